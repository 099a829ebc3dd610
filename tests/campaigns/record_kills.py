"""Kills a recorder at random moments: what it wrote is there, whole, and in its order.

`python -m tests.campaigns.record_kills --count 100` starts a recorder of small, often rotated
segments and kills it with SIGKILL somewhere in its first moments. What a strict reader finds must
be the records from the first on, each as it was made, and no fewer than the recorder had written
when it was killed. Then a power cut is played on it: a random part of the last segment is taken
away, and the rest must be a beginning of what was there. Both are opened as `replay --serve` does.
"""

import argparse
import inspect
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.unit.app.test_replay_host import instrument
from tickwright.app.door import BookAdded
from tickwright.app.replay_source import find_spans
from tickwright.core.errors import StorageError
from tickwright.core.identity import Category
from tickwright.storage.segments import (
    FILE_HEAD,
    Record,
    RecordKind,
    SegmentReader,
    last_record,
    segment_files,
)

__all__ = ["Killed", "kill_recorder", "main"]

DELAY_S_MAX = 1.0

_RECORDER = """
import sys, time
from pathlib import Path
from tickwright.net.tap import InputTap
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.storage.session_log import FORMAT, SessionHeader, SessionWriter

header = SessionHeader(format=FORMAT, code_version="", config_digest="", config={}, seed=0,
                       epoch=0, started_ns=0, mode="record")
tap = InputTap()
print(0, flush=True)
writer = SessionWriter(Path(sys.argv[1]), header, tap, options=SegmentOptions(
    segment_bytes_max=20_000, sync_s=0.01, disk_free_min=0))
tap.append(7, 0, 0, 0, 0, sys.argv[2].encode())
number = 0
while True:
    for _ in range(500):
        tap.append(1, 0, 0, number, 1 + number, frame(number))
        number += 1
    # As much as a busy market, and not as much as fits: what is read back is compared.
    time.sleep(0.01)
    print(writer.segments.record_count, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Killed:
    """What was found after a kill."""

    segments: int
    records: int
    behind: int
    """Records found beyond those that the recorder had said were written."""
    is_cut: bool
    left_by_power_cut: int


def frame(number: int) -> bytes:
    """Return the frame of this number: known, so that it can be told when it comes back."""
    return b'{"topic":"book.%d","u":%d,"b":[["%d.5","0.%d"]]}' % (
        number % 9,
        number,
        60_000 + number % 13,
        number * number % 99_991,
    )


def book() -> bytes:
    """Return the record of a book, without which nothing is served."""
    return msgspec.json.encode(BookAdded(0, 0, instrument(Category.LINEAR, 2), 50, 50))


def kill_recorder(folder: Path, chance: random.Random) -> Killed:
    """Record into `folder` until a random moment, kill, and judge what is there.

    Raises:
        AssertionError: something was lost or isn't what was written.
        StorageError: a damaged file.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", inspect.getsource(frame) + _RECORDER, str(folder), book().decode()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = 0
    ends_s = None
    with process.stdout:
        for line in process.stdout:
            said = int(line)
            if ends_s is None:
                ends_s = time.monotonic() + chance.uniform(0.0, DELAY_S_MAX)
            elif time.monotonic() >= ends_s:
                process.kill()
    process.wait()
    found = _judged(folder)
    # One record of what was said is the book.
    assert found.records >= said - 1, f"{said} records were written, {found.records} are there"
    left = _cut_power(folder, chance) if found.records else 0
    assert left <= found.records
    return Killed(
        segments=found.segments,
        records=found.records,
        behind=found.records - max(0, said - 1),
        is_cut=found.is_cut,
        left_by_power_cut=left,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    segments: int
    records: int
    is_cut: bool


def _judged(folder: Path) -> _Found:
    """Read strictly, and see that every record is what was made, in its order."""
    try:
        files = segment_files(folder)
    except StorageError:
        return _Found(0, 0, is_cut=True)  # killed before its first segment was there
    reader = SegmentReader(folder, is_strict=True)
    count = 0
    last: Record | None = None
    for record in reader:
        if record.kind is RecordKind.FRAME:
            assert (count, frame(count)) == (record.number, record.payload)
            count += 1
            last = record
    assert reader.skip_count == 0
    if count:
        assert last == last_record(folder)
        (span,) = find_spans([folder])
        assert (1, count) == (span.first_ns, span.last_ns)
    return _Found(len(files), count, reader.is_cut)


def _cut_power(folder: Path, chance: random.Random) -> int:
    """Take a random part of the last segment away, as a disk does that never got it."""
    last = segment_files(folder)[-1]
    whole = last.read_bytes()
    if len(whole) > FILE_HEAD.size:
        last.write_bytes(whole[: chance.randrange(FILE_HEAD.size, len(whole))])
    return _judged(folder).records


def main() -> int:
    """Kill so many times and say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.record_kills")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    seen: list[Killed] = []
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tw-record-kills-") as name:
        for number in range(options.count):
            try:
                seen.append(kill_recorder(Path(name) / str(number), chance))
            except (AssertionError, StorageError):
                sys.stdout.write(f"seed {options.seed}, kill {number}:\n")
                raise
    records = sum(one.records for one in seen)
    sys.stdout.write(
        f"{len(seen)} kills in {time.monotonic() - began_s:.0f} s: {records:,} records in "
        f"{sum(one.segments for one in seen):,} segments, none lost of those written, none wrong; "
        f"{sum(one.is_cut for one in seen)} recordings without an end, "
        f"{sum(one.records == 0 for one in seen)} killed before the first record; "
        f"after a power cut played on each, {sum(one.left_by_power_cut for one in seen):,} left, "
        "every one a beginning\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
