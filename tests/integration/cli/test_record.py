"""`record` as a real process: what it leaves, and what is left when it is killed."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.campaigns.record_kills import kill_recorder
from tickwright.storage.segments import Record, RecordKind, SegmentReader, read_segments

TICKWRIGHT = (sys.executable, "-m", "tickwright")
START_S_MAX = 30.0
KILLS = 4


def command(urls: dict[str, str], folder: Path, *more: str) -> list[str]:
    return [
        *TICKWRIGHT, "record", "--venue", "bybit", "--symbol", "BTCUSDT", "--symbol", "ETHUSDT",
        "--public-url", urls["public"], "--rest-url", urls["rest"], "--dir", str(folder), *more,
    ]  # fmt: skip


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TICKWRIGHT, *words], capture_output=True, text=True, timeout=START_S_MAX, check=False
    )


def test_record_when_over_then_frames_books_and_connections_are_there(
    urls: dict[str, str], tmp_path: Path
):
    done = subprocess.run(
        command(urls, tmp_path / "r", "--seconds", "2", "--json", "-"),
        capture_output=True,
        text=True,
        timeout=START_S_MAX,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert (2, 2, 0, True) == (
        report["books"], report["books_synced"], report["lost"], report["is_whole"],
    )  # fmt: skip
    reader = read_segments(Path(report["folder"]))
    records = list(reader)
    frames = [r for r in records if r.kind is RecordKind.FRAME and r.payload]
    assert (report["messages"], report["raw_bytes"]) == (
        len(frames), sum(len(r.payload) for r in frames),
    )  # fmt: skip
    assert report["disk_bytes"] == reader.size
    assert not reader.is_cut
    assert {b"BTCUSDT", b"ETHUSDT"} <= {
        name for name in (b"BTCUSDT", b"ETHUSDT") for r in frames if name in r.payload
    }
    assert 2 == sum(r.kind is RecordKind.BOOK for r in records)
    marks = [json.loads(r.payload) for r in records if r.kind is RecordKind.MARK]
    assert ["synced", "synced"] == [mark["state"] for mark in marks]
    ups = [json.loads(r.payload) for r in records if r.kind is RecordKind.INPUT]
    assert [True] == [up["is_up"] for up in ups if up["type"] == "connection"]
    assert frames[0].now_ns <= frames[-1].now_ns
    books = run("book", report["folder"], "--levels", "1")
    assert {"BTCUSDT", "ETHUSDT"} == {json.loads(x)["symbol"] for x in books.stdout.splitlines()}
    replayed = run("run", "--replay", report["folder"])
    assert (1, True) == (replayed.returncode, "no decision stands in it" in replayed.stderr)


def test_record_when_the_process_is_killed_then_everything_but_the_tail_is_read(
    urls: dict[str, str], tmp_path: Path
):
    process = subprocess.Popen(command(urls, tmp_path / "r"), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S_MAX
    try:
        while not (found := _frames(tmp_path / "r")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # More of it on the disk, whenever its thread comes to it.
        while len(_frames(tmp_path / "r")) <= len(found):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    (folder,) = (tmp_path / "r").iterdir()
    reader = SegmentReader(folder, is_strict=True)
    read = [r for r in reader if r.kind is RecordKind.FRAME]
    assert found == read[: len(found)]
    assert len(read) > len(found)
    assert reader.is_cut


def _frames(folder: Path) -> list[Record]:
    for path in folder.glob("*/inputs-000001.tws"):
        if path.stat().st_size > 64:
            return [r for r in read_segments(path) if r.kind is RecordKind.FRAME]
    return []


def test_recorder_when_killed_at_any_moment_then_nothing_written_is_lost_or_wrong(tmp_path: Path):
    chance = random.Random(11)
    killed = [kill_recorder(tmp_path / str(number), chance) for number in range(KILLS)]
    assert max(one.records for one in killed) > 1_000
