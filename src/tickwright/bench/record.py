"""Owns the figures of the recorder: a core's share, bytes a message, nothing lost.

``python -m tickwright.bench.record --tape FOLDER`` offers a tape's frames to a tap at a steady rate
in bursts, as sockets do, while the session log's own thread packs and writes them; then it reads
the recording back and compares every frame.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from tickwright.bench.figures import Spread
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Session
from tickwright.bench.tape import COMPOSED_SHAPE, CORE_SHAPE, load_tape
from tickwright.net.tap import InputTap
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.storage.session_log import (
    FORMAT,
    RECORDING_MODE,
    RecordKind,
    SessionHeader,
    SessionReader,
    SessionWriter,
)

__all__ = ["main", "measure_record"]

_RATE: Final = 50_000
_BURST: Final = 250
_FRAMES: Final = 200_000
_CORE_SHARE_MAX: Final = 15.0
_RATIO_MAX: Final = 20.0
_STORED_MAX: Final = 25.0


def _record(frames: Sequence[bytes], folder: Path, seconds: float, rate: int) -> dict[str, Any]:
    header = SessionHeader(
        format=FORMAT,
        code_version="bench",
        config_digest="",
        config={},
        seed=0,
        epoch=0,
        started_ns=0,
        mode=RECORDING_MODE,
    )
    tap = InputTap()
    writer = SessionWriter(folder, header, tap, options=SegmentOptions(disk_free_min=0))
    left = cycle(frames)
    wanted = int(rate * seconds) // _BURST * _BURST
    tap_s = 0.0
    began = time.perf_counter()
    for sent in range(0, wanted, _BURST):
        late = began + sent / rate - time.perf_counter()
        if late > 0:
            time.sleep(late)
        burst = list(islice(left, _BURST))
        started_s = time.thread_time()
        now_ns = time.time_ns()
        for frame in burst:
            tap.append(RecordKind.FRAME, 0, 0, 0, now_ns, frame)
        tap_s += time.thread_time() - started_s
    took = time.perf_counter() - began
    cpu = writer.cpu_seconds
    writer.close()
    written = writer.segments
    again = cycle(frames)
    is_equal = all(record.payload == next(again) for record in SessionReader(folder).records())
    return {
        "messages": written.frame_count,
        "rate": written.frame_count / took,
        "core": 100 * cpu / took,
        "tap_core": 100 * tap_s / took,
        "raw": written.frame_bytes / written.frame_count,
        "stored": written.bytes_written / written.frame_count,
        "ratio": 100 * written.bytes_written / written.frame_bytes,
        "lost": written.lost_count + wanted - written.frame_count,
        "is_equal": is_equal,
        "fault": written.fault,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Record one tape and print the figures."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.record")
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=_RATE)
    parser.add_argument("--cpu", type=int, help="accepted for uniformity: two threads want two")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tickwright-record-") as folder:
        frames = load_tape(options.tape).frames
        figures = _record(frames, Path(folder) / "r", options.seconds, options.rate)
    figures["cores"] = os.cpu_count()
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def measure_record(session: Session) -> Section:
    """Measure the record section."""
    rounds, seconds = (1, 2.0) if session.quick else (3, 20.0)
    section = Section(
        "record",
        f"Recording {_RATE:,} messages/s: packed, checked, written and read back",
        [
            Column("rate", "messages/s"),
            Column("core", "core (%)", 1),
            Column("tap", "tap (%)", 1),
            Column("raw", "raw (B)", 1),
            Column("stored", "on disk (B)", 1),
            Column("ratio", "of raw (%)", 1),
            Column("lost", "lost"),
        ],
    )
    worst = {"core": 0.0, "ratio": 0.0, "lost": 0.0, "stored": 0.0}
    for shape in (COMPOSED_SHAPE, CORE_SHAPE):
        tape = session.tape(shape, frames=_FRAMES, category="linear")
        reports = []
        for number in range(rounds):
            session.say(f"record, {shape.name}, round {number + 1} of {rounds}")
            arguments = ["--tape", str(tape), "--seconds", str(seconds)]
            reports.append(session.call("tickwright.bench.record", arguments))
        section.add(
            f"tape {shape.name}",
            rate=Spread.of(report["rate"] for report in reports),
            core=Spread.of(report["core"] for report in reports),
            tap=Spread.of(report["tap_core"] for report in reports),
            raw=Spread.of(report["raw"] for report in reports),
            stored=Spread.of(report["stored"] for report in reports),
            ratio=Spread.of(report["ratio"] for report in reports),
            lost=Spread.of(report["lost"] for report in reports),
        )
        for name, value in worst.items():
            worst[name] = max(value, *(float(report[name]) for report in reports))
        if not all(report["is_equal"] for report in reports):
            section.notes.append(f"{shape.name}: the recording read back DIFFERS from the tape.")
    section.aim(
        "core of the recording thread in %, at most 15", worst["core"], most=_CORE_SHARE_MAX
    )
    section.aim("bytes on disk in % of the raw ones, at most 20", worst["ratio"], most=_RATIO_MAX)
    section.aim("bytes on disk a message, at most 25", worst["stored"], most=_STORED_MAX)
    section.aim("messages lost", worst["lost"], most=0.0)
    section.notes.append(
        f"Bursts of {_BURST} to the session log's own tap and thread, segments in the folder for "
        "temporary files, forced to disk every 5 s; every block is unpacked again before it is "
        "written, and the whole recording is compared with the tape afterwards."
    )
    section.notes.append(
        "tap: the copy on the trading thread, called from Python here and from C by the scanner."
    )
    return section


if __name__ == "__main__":
    sys.exit(main())
