"""Owns the figures of the lake: recorded messages into Parquet, and rows out of it again.

``python -m tickwright.bench.lake --tape FOLDER`` records a tape's laps as `tickwright record` does,
converts the recording as `tickwright lake build` does, and reads the books back as a backtest does.
Rates are by the processor's time of the whole process, so that other work on the machine counts for
less; the wall clock stands beside them.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tickwright.app.door import BookAdded
from tickwright.bench.figures import Spread
from tickwright.bench.machine import pin
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Session
from tickwright.bench.tape import COMPOSED_SHAPE, CORE_SHAPE, Tape, load_tape
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.tap import InputTap
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.session_log import FORMAT, RECORDING_MODE, RecordKind, SessionHeader

__all__ = ["main", "measure_lake"]

_FRAMES: Final = 100_000
_STEP_NS: Final = 20_000
_BLOCK_BYTES: Final = 256 * 1024
_BUILT_LEAST: Final = 150_000.0
_T0: Final = 1_790_000_000_000_000_000


def _record(tape: Tape, folder: Path, laps: int) -> int:
    """Write a recording of so many laps; returns its messages."""
    folder.mkdir()
    header = SessionHeader(
        format=FORMAT,
        code_version="bench",
        config_digest="",
        config={},
        seed=0,
        epoch=0,
        started_ns=_T0,
        mode=RECORDING_MODE,
    )
    (folder / "header.json").write_bytes(msgspec.json.encode(header))
    segments = SegmentWriter(folder, SegmentOptions(disk_free_min=0))
    tap = InputTap()
    for slot, one in enumerate(tape.instruments):
        instrument = Instrument(
            id=InstrumentId("bybit", Category(tape.category), one.symbol),
            base_asset="A",
            quote_asset="USDT",
            settle_asset="USDT",
            price_decimals=one.price_decimals,
            size_decimals=one.size_decimals,
            tick_units=1,
            lot_units=1,
            size_min_units=1,
            size_max_units=10**15,
            market_size_max_units=10**15,
        )
        added = BookAdded(slot, 0, instrument, tape.depth, 2 * tape.depth)
        tap.append(RecordKind.BOOK, 0, 0, 0, _T0, msgspec.json.encode(added))
    now_ns = _T0
    for _ in range(laps):
        for frame in tape.frames:
            now_ns += _STEP_NS
            tap.append(RecordKind.FRAME, 1, 0, 0, now_ns, frame)
            if tap.pending_bytes > _BLOCK_BYTES:
                segments.write(tap.take())
    segments.write(tap.take())
    segments.close()
    return laps * len(tape.frames)


def _convert(tape: Tape, folder: Path, laps: int) -> dict[str, Any]:
    from tickwright.app.lake import build_lake
    from tickwright.storage.lake.catalogue import Catalogue
    from tickwright.storage.lake.reader import LakeReader
    from tickwright.storage.lake.schema import Table
    from tickwright.storage.lake.store import FolderStore

    messages = _record(tape, folder / "recording", laps)
    lake = folder / "lake"
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    build_lake(
        [folder / "recording"],
        str(lake),
        instrument=None,
        allows_overlap=False,
        on_progress=lambda name, part: None,
    )
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    reader = LakeReader(Catalogue(FolderStore(lake)))
    notes = reader.catalogue.notes()
    began_cpu_s = time.process_time()
    rows = levels = 0
    for instrument_id in dict.fromkeys(n.instrument_id for n in notes if n.table is Table.BOOK):
        for batch in reader.book(instrument_id):
            rows += len(batch)
            levels += len(batch.bid_prices) + len(batch.ask_prices)
    read_s = time.process_time() - began_cpu_s
    return {
        "messages": messages,
        "built": messages / cpu_s,
        "wall": messages / wall_s,
        "bytes": sum(note.bytes for note in notes) / messages,
        "read": rows / read_s,
        "levels": levels / read_s,
        "is_whole": sum(note.rows for note in notes) >= messages,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one tape and print the figures."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.lake")
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--laps", type=int, default=10)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    with tempfile.TemporaryDirectory(prefix="tickwright-lake-") as folder:
        figures = _convert(load_tape(options.tape), Path(folder), options.laps)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def measure_lake(session: Session) -> Section:
    """Measure the lake section."""
    rounds, laps = (1, 1) if session.quick else (5, 10)
    section = Section(
        "lake",
        f"A recording of {laps * _FRAMES:,} messages of 50 symbols into Parquet, and its books out "
        f"again, on one core (median of {rounds} runs)",
        [
            Column("built", "built, messages/s of a core"),
            Column("wall", "messages/s"),
            Column("bytes", "in the lake (B)", 1),
            Column("read", "read, messages/s of a core"),
            Column("levels", "levels/s"),
        ],
    )
    slowest = float("inf")
    for shape in (COMPOSED_SHAPE, CORE_SHAPE):
        tape = session.tape(shape, frames=_FRAMES, category="linear")
        reports = []
        for number in range(rounds):
            session.say(f"lake, {shape.name}, round {number + 1} of {rounds}")
            arguments = ["--tape", str(tape), "--laps", str(laps)]
            reports.append(session.call("tickwright.bench.lake", arguments))
        found = {
            name: Spread.of(report[name] for report in reports)
            for name in ("built", "wall", "bytes", "read", "levels")
        }
        section.add(f"tape {shape.name}", **found)
        slowest = min(slowest, found["built"].median)
        if not all(report["is_whole"] for report in reports):
            section.notes.append(f"{shape.name}: rows are MISSING from the lake.")
    section.aim("messages/s of a core, at least 150,000", slowest, least=_BUILT_LEAST)
    section.notes.append(
        "Built: segments unpacked, scanned, applied to books, trades and levels in Parquet (zstd), "
        "flushed to disk. Read: the book table as NumPy views, nothing made of it."
    )
    return section


if __name__ == "__main__":
    sys.exit(main())
