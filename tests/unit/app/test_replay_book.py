"""Recordings give the exact books of a plain reading of the venue's rules, whole or damaged."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tickwright.app.replay_book import BookLine, ReplayReport, replay_book
from tickwright.core.errors import ConfigError, StorageError
from tickwright.simulator.sources.opening import sample_path

BYBIT = sample_path("bybit_linear_xrpusdt_ob500_20241201.zip")
SPOT = sample_path("binance_spot_btcusdt_20240808.jsonl.gz")
USDM = sample_path("binance_usdm_btcusdt_20240808.jsonl.gz")
VECTORS = Path(__file__).resolve().parents[2] / "data" / "binance"


def replayed(path: Path, **options: int) -> tuple[list[BookLine], ReplayReport]:
    """Replay a file and keep its lines."""
    lines: list[BookLine] = []
    report = replay_book(path, emit=lines.append, **options)
    return lines, report


def bybit_frames() -> list[bytes]:
    """Return the frames of the packaged Bybit recording."""
    with zipfile.ZipFile(BYBIT) as archive:
        return archive.read(archive.namelist()[0]).splitlines()


class PlainBook:
    """Levels by price text; knows nothing of units or arrays."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}

    def apply(self, side: str, rows: list[list[str]]) -> None:
        for price, size in rows:
            if float(size) == 0:
                self.sides[side].pop(price, None)
            else:
                self.sides[side][price] = size

    def levels(self, side: str, count: int) -> list[list[str]]:
        rows = [[price, size] for price, size in self.sides[side].items()]
        rows.sort(key=lambda row: float(row[0]), reverse=side == "b")
        return rows[:count]


def test_bybit_recording_when_replayed_then_each_frame_gives_the_plain_book():
    lines, report = replayed(BYBIT, every=1, levels=500)
    book = PlainBook()

    for number, (frame, line) in enumerate(zip(bybit_frames(), lines, strict=True), start=1):
        message = json.loads(frame)
        if message["type"] == "snapshot":
            book = PlainBook()
        for side in "ba":
            book.apply(side, message["data"][side])
        assert (number, "XRPUSDT", "synced", message["data"]["u"]) == (
            line.frame,
            line.symbol,
            line.state,
            line.update_id,
        )
        assert book.levels("b", 500) == line.bids
        assert book.levels("a", 500) == line.asks
    assert (50, 0, 0, 0) == (
        report.frame_count,
        report.refused_count,
        report.gap_count,
        report.fault_count,
    )


def plain_binance(path: Path, *, checkpoints: set[int], is_futures: bool) -> dict[int, Any]:
    """Follow a recording by the documented procedure; return books at some line numbers."""
    book = PlainBook()
    waiting: list[dict[str, Any]] = []
    last: int | None = None
    at: dict[int, Any] = {}
    with gzip.open(path) as lines:
        for number, line in enumerate(lines, start=1):
            message = json.loads(line.split(b" ", 1)[1])
            events: list[dict[str, Any]] = []
            if "lastUpdateId" in message and last is None:
                last = message["lastUpdateId"]
                book.apply("b", message["bids"])
                book.apply("a", message["asks"])
                events = waiting
            elif message.get("data", {}).get("e") == "depthUpdate":
                if last is None:
                    waiting.append(message["data"])
                else:
                    events = [message["data"]]
            for event in events:
                assert last is not None
                if event["u"] <= last:
                    continue
                if events is not waiting:
                    follows = event["pu"] == last if is_futures else event["U"] == last + 1
                    assert follows or event["U"] <= last + 1
                last = event["u"]
                book.apply("b", event["b"])
                book.apply("a", event["a"])
            if number in checkpoints:
                at[number] = (last, book.levels("b", 20), book.levels("a", 20))
    return at


@pytest.mark.parametrize(("path", "is_futures", "every"), [(SPOT, False, 2000), (USDM, True, 4000)])
def test_binance_recording_when_replayed_then_gives_the_plain_books(
    path: Path, is_futures: bool, every: int
):
    lines, report = replayed(path, every=every, levels=20)
    expected = plain_binance(
        path, checkpoints={line.frame for line in lines}, is_futures=is_futures
    )

    assert len(lines) >= 5
    for line in lines:
        assert "synced" == line.state
        assert expected[line.frame] == (line.update_id, line.bids, line.asks)
    assert (0, 0, 0) == (report.refused_count, report.gap_count, report.fault_count)


@pytest.mark.parametrize(
    ("name", "last_key"),
    [("spot", "expected_last_id_before_resync"), ("usdm", "expected_last_u_before_resync")],
)
def test_binance_vector_when_replayed_then_joins_as_documented(
    name: str, last_key: str, tmp_path: Path
):
    vector = json.loads((VECTORS / f"{name}_l2_sync_vector.json").read_text())
    events = vector["stream_in_order"]
    # The snapshot comes while the stream is on its way: after its second event.
    frames = [*events[:2], vector["rest_snapshot"], *events[2:]]
    path = tmp_path / "vector.jsonl"
    path.write_text("\n".join(json.dumps(frame) for frame in frames))

    lines, report = replayed(path, every=1)

    before, after = lines[-2], lines[-1]
    assert ("synced", vector[last_key]) == (before.state, before.update_id)
    assert vector["expected_book_before_resync"] == {"bids": before.bids, "asks": before.asks}
    assert ("buffering", [], []) == (after.state, after.bids, after.asks)
    assert 1 == report.gap_count


# damage ------------------------------------------------------------------------------------------


def test_recording_when_plain_with_receive_times_then_reads_alike(tmp_path: Path):
    path = tmp_path / "frames.txt"
    path.write_bytes(
        b"".join(b"17000000000000%05d %b\n" % (i, f) for i, f in enumerate(bybit_frames()))
    )

    assert replayed(BYBIT)[0] == replayed(path)[0]


def test_recording_when_cut_in_a_line_then_the_last_whole_book_is_told(tmp_path: Path):
    frames = bybit_frames()
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"\n".join(frames[:20]) + b"\n" + frames[20][:200])

    lines, report = replayed(path)

    (line,) = lines
    assert json.loads(frames[19])["data"]["u"] == line.update_id
    assert (21, 1) == (report.frame_count, report.refused_count)
    assert "frame 21" in report.refusals[0]


def test_recording_when_its_archive_is_cut_then_what_was_read_is_told(tmp_path: Path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(SPOT.read_bytes()[:200_000])

    lines, report = replayed(path)

    assert "synced" == lines[0].state
    assert "cut or damaged" in report.cut


def test_recording_when_a_delta_is_missing_then_the_book_is_stale(tmp_path: Path):
    frames = bybit_frames()
    path = tmp_path / "gap.jsonl"
    path.write_bytes(b"\n".join(frames[:10] + frames[11:]))

    lines, report = replayed(path)

    assert ("stale", 1) == (lines[0].state, report.gap_count)


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>busy</html>",
        b"\x00\xff\x00",
        b'{"topic":"orderbook.500.XRPUSDT","type":"delta","ts":1,"data":{}}',
        b'{"topic":"orderbook.500.XRPUSDT","type":"delta","ts":1733011204291,'
        b'"data":{"s":"XRPUSDT","b":[["' + b"9" * 30 + b'","1"]],"a":[],"u":20254879,"seq":1}}',
        b'{"topic":"orderbook.500.XRPUSDT","type":"delta","ts":1733011204291,'
        b'"data":{"s":"BTCUSDT","b":[],"a":[],"u":20254879,"seq":1}}',
    ],
)
def test_recording_when_a_line_is_garbage_then_it_is_counted_and_no_book_is_wrong(
    garbage: bytes, tmp_path: Path
):
    frames = bybit_frames()
    path = tmp_path / "garbage.jsonl"
    path.write_bytes(b"\n".join([*frames[:10], garbage, *frames[10:]]))

    lines, report = replayed(path)

    assert (51, 1) == (report.frame_count, report.refused_count)
    if lines[0].state == "synced":
        assert replayed(BYBIT)[0][0].bids == lines[0].bids


def test_recording_when_several_symbols_then_each_has_a_line_and_the_deepest_topic(tmp_path: Path):
    frames = bybit_frames()[:3]
    other = [frame.replace(b"XRPUSDT", b"ADAUSDT") for frame in frames]
    shallow = b'{"topic":"orderbook.1.XRPUSDT","type":"snapshot","ts":1733011200691,"data":' + (
        b'{"s":"XRPUSDT","b":[["1.0000","1"]],"a":[["1.0001","1"]],"u":7,"seq":1},"cts":1}'
    )
    path = tmp_path / "two.jsonl"
    path.write_bytes(b"\n".join([frames[0], shallow, other[0], frames[1], other[1]]))

    lines, report = replayed(path, levels=1)

    assert ["XRPUSDT", "ADAUSDT"] == [line.symbol for line in lines]
    assert lines[0].bids == lines[1].bids
    assert [["1.9531", "6198"]] == lines[0].bids
    assert (5, 0) == (report.frame_count, report.refused_count)


@pytest.mark.parametrize(
    ("name", "content", "kind", "text"),
    [
        ("empty.jsonl", b"", StorageError, "holds no frame"),
        ("page.html", b"<html>\n</html>\n", ConfigError, "neither Bybit"),
        ("not.zip", b"hello", StorageError, "cut or damaged"),
        ("not.gz", b"hello", StorageError, "cut or damaged"),
    ],
)
def test_recording_when_unreadable_then_says_why(
    name: str, content: bytes, kind: type[Exception], text: str, tmp_path: Path
):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(kind, match=text):
        replayed(path)


def test_recording_when_absent_then_says_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"):
        replayed(tmp_path / "absent.jsonl")
