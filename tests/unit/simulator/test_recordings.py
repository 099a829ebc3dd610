"""Recordings played through the venue give the books an independent reader finds in them."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.unit.simulator.oracle import (
    SECOND,
    START_NS,
    ClientBook,
    Recorder,
    window_texts,
)
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.run import SimulatorOptions, build_venue
from tickwright.simulator.sources.opening import open_recording, sample_path
from tickwright.simulator.sources.operations import BookReset, LabelChange, TradePrints
from tickwright.simulator.sources.recording import AfterEnd
from tickwright.simulator.venue import SimulatedVenue

_BYBIT = "bybit_linear_xrpusdt_ob500_20241201.zip"
_USDM = "binance_usdm_btcusdt_20240808.jsonl.gz"
_SPOT = "binance_spot_btcusdt_20240808.jsonl.gz"


def _venue(name: str, after_end: AfterEnd = AfterEnd.STOP) -> SimulatedVenue:
    recording = open_recording(sample_path(name), Random(1), after_end=after_end)
    return SimulatedVenue(
        list(recording.instruments.values()), [recording], rng=Random(2), start_ns=START_NS
    )


def _bybit_frames() -> list[dict[str, Any]]:
    with zipfile.ZipFile(sample_path(_BYBIT)) as archive:
        (name,) = archive.namelist()
        return [json.loads(line) for line in archive.read(name).splitlines()]


def test_bybit_recording_at_every_frame_gives_the_recorded_book_text_for_text() -> None:
    frames = _bybit_frames()
    oracle = ClientBook()
    venue = _venue(_BYBIT)
    first_ms = frames[0]["ts"]
    for number, frame in enumerate(frames):
        oracle.apply(frame)
        following = frames[number + 1]["ts"] if number + 1 < len(frames) else frame["ts"] + 1
        if following == frame["ts"]:
            continue
        venue.advance(START_NS + (frame["ts"] - first_ms) * 1_000_000)
        assert oracle.levels() == window_texts(venue, Category.LINEAR, "XRPUSDT", 500)


def test_bybit_recording_after_its_end_goes_on_from_the_last_book_and_says_so() -> None:
    venue = _venue(_BYBIT, AfterEnd.CONTINUE)
    market = venue.markets[Category.LINEAR, "XRPUSDT"]
    assert "Bybit recording" == market.label
    venue.advance(START_NS + 4_799 * 1_000_000)
    assert "synthetic from last book" == market.label
    before = market.book.seq
    venue.advance(START_NS + 30 * SECOND)
    assert market.book.seq > before
    (bid, ask) = market.book.best()
    assert bid is not None and ask is not None
    assert bid[0] < ask[0]
    assert abs(bid[0] - 19_537) < 200
    assert market.tape


def test_recording_when_looped_starts_over_with_a_fresh_snapshot() -> None:
    recording = open_recording(sample_path(_BYBIT), Random(1), after_end=AfterEnd.LOOP)
    operations = recording.operations()
    resets = []
    last_ns = 0
    for at_ns, _, operation in operations:
        assert at_ns >= last_ns
        last_ns = at_ns
        assert not isinstance(operation, LabelChange)
        if isinstance(operation, BookReset):
            resets.append(at_ns)
            if len(resets) == 3:
                break
    assert [0, 5_799_000_000, 11_598_000_000] == resets


def test_recording_at_double_speed_takes_half_the_time() -> None:
    recording = open_recording(sample_path(_BYBIT), Random(1), after_end=AfterEnd.STOP)
    venue = SimulatedVenue(
        list(recording.instruments.values()),
        [recording],
        rng=Random(2),
        start_ns=START_NS,
        speed=2.0,
    )
    oracle = ClientBook()
    for frame in _bybit_frames():
        oracle.apply(frame)
    venue.advance(START_NS + 2_400 * 1_000_000)
    assert oracle.levels() == window_texts(venue, Category.LINEAR, "XRPUSDT", 500)


class _BinanceOracle:
    """The book of a Binance recording by the documented rules, on Decimals, with its trades."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.trades: list[tuple[str, Decimal, Decimal]] = []

    def read(self, lines: Iterator[bytes]) -> Iterator[int]:
        """Apply the file line by line from the snapshot on; yields the receive time after each."""
        last: int | None = None
        buffered: list[dict[str, Any]] = []
        for line in lines:
            received, text = line.split(b" ", 1)
            message = json.loads(text)
            if "lastUpdateId" in message:
                last = message["lastUpdateId"]
                for side, name in ((self.bids, "bids"), (self.asks, "asks")):
                    side.update({Decimal(p): Decimal(q) for p, q in message[name]})
                events = [event for event in buffered if event["u"] > last]
            else:
                data = message["data"]
                if last is None:
                    buffered += [data] if data["e"] == "depthUpdate" else []
                    continue
                events = [data]
            for event in events:
                if event["e"] == "depthUpdate":
                    if event["u"] <= last:
                        continue
                    last = event["u"]
                    for side, name in ((self.bids, "b"), (self.asks, "a")):
                        for price, size in event[name]:
                            side.pop(Decimal(price), None)
                            if Decimal(size):
                                side[Decimal(price)] = Decimal(size)
                elif event["e"] == "trade" and Decimal(event["q"]):
                    taker = "SELL" if event["m"] else "BUY"
                    self.trades.append((taker, Decimal(event["p"]), Decimal(event["q"])))
            yield int(received)

    def top(self, levels: int) -> tuple[list[list[Decimal]], list[list[Decimal]]]:
        bids = sorted(self.bids.items(), reverse=True)[:levels]
        asks = sorted(self.asks.items())[:levels]
        return [list(level) for level in bids], [list(level) for level in asks]


@pytest.mark.parametrize(
    ("name", "category", "lines"),
    [(_USDM, Category.LINEAR, 4_000), (_SPOT, Category.SPOT, 4_000)],
)
def test_binance_recording_gives_the_exact_book_and_trades(
    name: str, category: Category, lines: int
) -> None:
    venue = _venue(name)
    client = Recorder(venue)
    client.subscribe(category, "orderbook.200.BTCUSDT", "publicTrade.BTCUSDT")
    oracle = _BinanceOracle()
    book = ClientBook()
    with gzip.open(sample_path(name), "rb") as packed:
        first: int | None = None
        for number, received in enumerate(oracle.read(iter(packed))):
            first = received if first is None else first
            if number % 97 == 0 or number == lines:
                at_ns = START_NS + received - first
                venue.advance(at_ns - 1)
                venue.advance(at_ns)
                exact = [
                    [[Decimal(text) for text in level] for level in side]
                    for side in window_texts(venue, category, "BTCUSDT", 300)
                ]
                assert list(oracle.top(300)) == exact
                assert exact[0][0][0] < exact[1][0][0]
            if number == lines:
                break
    stream = venue.book_stream(category, "BTCUSDT", 200)
    assert stream is not None
    stream.publish(0)
    venue.advance(venue.now_ns + 2_000_000)
    for frame in client.of("orderbook.200.BTCUSDT"):
        book.apply(frame)
        bids, asks = book.levels()
        assert (200, 200) == (len(bids), len(asks))
    assert [list(map(Decimal, level)) for level in book.levels()[0]] == oracle.top(200)[0]
    published = [
        (trade["S"].upper(), Decimal(trade["p"]), Decimal(trade["v"]))
        for frame in client.of("publicTrade.BTCUSDT")
        for trade in frame["data"]
    ]
    assert oracle.trades == published[: len(oracle.trades)]
    assert len(oracle.trades) > 1_000


@pytest.mark.parametrize("name", [_USDM, _SPOT])
def test_binance_recording_has_no_gap_to_its_end(name: str) -> None:
    recording = open_recording(sample_path(name), Random(1), after_end=AfterEnd.STOP)
    last_ns, trades = 0, 0
    for at_ns, _, operation in recording.play():
        last_ns = at_ns
        trades += isinstance(operation, TradePrints)
    assert last_ns > 344 * SECOND
    assert trades > 9_000


def test_demo_lists_both_recordings_and_says_what_they_are() -> None:
    venue, _ = build_venue(SimulatorOptions(sources=["demo"], symbols=5), start_ns=START_NS)
    labels = {symbol: market.label for (_, symbol), market in venue.markets.items()}
    assert {
        "BTCUSDT": "Binance recording re-encoded as Bybit frames",
        "XRPUSDT": "Bybit recording",
        "ETHUSDT": "synthetic",
        "SOLUSDT": "synthetic",
        "DOGEUSDT": "synthetic",
    } == labels


def test_recording_cut_in_the_middle_plays_to_the_cut_and_goes_on(tmp_path: Path) -> None:
    whole = sample_path(_SPOT).read_bytes()
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole[: len(whole) // 10])
    recording = open_recording(cut, Random(1))
    kinds = []
    for number, (_, _, operation) in enumerate(recording.operations()):
        kinds.append(type(operation).__name__)
        if number > 3_000:
            break
    assert "LabelChange" in kinds
    assert kinds.index("LabelChange") > 500


def test_recording_with_a_broken_line_ends_there(tmp_path: Path) -> None:
    lines = [json.dumps(frame).encode() for frame in _bybit_frames()[:10]]
    lines[6] = lines[6][:200]
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(lines))
    recording = open_recording(path, Random(1), after_end=AfterEnd.STOP)
    assert 6 == len(list(recording.operations()))


def test_recording_with_a_missing_delta_ends_at_the_gap(tmp_path: Path) -> None:
    frames = _bybit_frames()[:10]
    del frames[5]
    path = tmp_path / "gap.jsonl"
    path.write_bytes(b"\n".join(json.dumps(frame).encode() for frame in frames))
    recording = open_recording(path, Random(1), after_end=AfterEnd.STOP)
    assert 5 == len(list(recording.operations()))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "neither Bybit frames nor a Binance recording"),
        ("words.jsonl", b"hello\nworld\n", "neither"),
        ("half.zip", b"PK\x03\x04 not a zip", "cut or damaged"),
        ("half.gz", b"\x1f\x8b\x08\x00 not a gzip", "cut or damaged"),
        ("delta.jsonl", b'{"topic":"orderbook.50.A","type":"delta"}\n', "not a book frame"),
    ],
)
def test_file_that_is_no_recording_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        open_recording(path, Random(1))


def test_missing_recording_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        open_recording(tmp_path / "nowhere.gz", Random(1))
