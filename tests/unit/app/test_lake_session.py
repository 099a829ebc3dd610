"""A recording with every fault in it comes into the lake as the plain reading of it says."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.oracle.lake_session import PlainSessionRows
from tickwright.app.door import BookAdded
from tickwright.app.lake_session import SessionRows
from tickwright.bench.tape import COMPOSED_SHAPE, Tape, make_tape
from tickwright.book.control import BookControl, BookVerb
from tickwright.core.events import InstrumentChanged
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.tap import InputTap
from tickwright.storage.lake import writer as writer_module
from tickwright.storage.lake.manifest import Source
from tickwright.storage.lake.store import FolderStore
from tickwright.storage.lake.writer import LakeWriter
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.segments import RecordKind
from tickwright.storage.session_log import FORMAT, RECORDING_MODE, SessionHeader, SessionReader

SYMBOLS = 5
LAPS = 6
MIDNIGHT_NS = 1_790_035_200_000_000_000
INPUT = msgspec.json.Encoder()


def instrument_of(symbol: str, price_decimals: int, size_decimals: int) -> Instrument:
    return Instrument(
        id=InstrumentId("bybit", Category.LINEAR, symbol),
        base_asset="A",
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=10**15,
        market_size_max_units=10**15,
    )


class Recorder:
    """Writes records as a tap takes them, 20 ms apart."""

    def __init__(self, folder: Path, *, begins_ns: int) -> None:
        folder.mkdir()
        header = SessionHeader(
            format=FORMAT,
            code_version="test",
            config_digest="",
            config={},
            seed=0,
            epoch=0,
            started_ns=begins_ns,
            mode=RECORDING_MODE,
        )
        (folder / "header.json").write_bytes(msgspec.json.encode(header))
        self.now_ns = begins_ns
        self._tap = InputTap()
        self._segments = SegmentWriter(folder, SegmentOptions(disk_free_min=0))

    def add(self, kind: RecordKind, payload: bytes, source: int = 0) -> None:
        self.now_ns += 20_000_000
        self._tap.append(kind, 1, source, 0, self.now_ns, payload)
        if self._tap.pending_bytes > 20_000:
            self._segments.write(self._tap.take())

    def close(self) -> None:
        self._segments.write(self._tap.take())
        self._segments.close()


def faulty(frame: bytes, chance: random.Random) -> list[bytes]:
    """Return what becomes of a frame: mostly itself."""
    kind = chance.randrange(60)
    if kind == 0:
        return []
    if kind == 1:
        return [frame, frame]
    if kind == 2:
        return [frame[: chance.randrange(len(frame))]]
    if kind < 8:
        return [frame.replace(b'"data":', b'"data": ')]
    if kind == 8:
        return [frame.replace(b'"b":[["', b'"b":[["9')]
    if kind == 9:
        return [frame.replace(b'"],["', b'0001"],["', 1)]
    if kind == 10:
        return [b"", b'{"success":true,"ret_msg":"","op":"ping"}', b"{]", frame]
    return [frame]


@pytest.fixture(scope="module")
def tape() -> Tape:
    return make_tape(COMPOSED_SHAPE, frames=500, symbols=SYMBOLS, category="linear", seed=3)


def recorded(folder: Path, tape: Tape, seed: int) -> SessionReader:
    """Record laps over a tape with faults, over midnight, with two books of other decimals."""
    chance = random.Random(seed)
    recorder = Recorder(folder, begins_ns=MIDNIGHT_NS - 28_000_000_000)
    instruments = [
        instrument_of(one.symbol, one.price_decimals + seed % 2, one.size_decimals)
        for one in tape.instruments
    ]
    for slot, instrument in enumerate(instruments):
        added = BookAdded(slot, slot % 2, instrument, tape.depth, 200)
        recorder.add(RecordKind.BOOK, INPUT.encode(added))
    sources = {one.id.symbol.encode(): slot % 2 for slot, one in enumerate(instruments)}
    for lap in range(LAPS):
        for frame in tape.frames:
            symbol = frame.partition(b'"')[2].partition(b'"')[2].partition(b'"')[2]
            source = sources[symbol.partition(b'"')[0].rpartition(b".")[2]]
            for sent in faulty(frame, chance):
                recorder.add(RecordKind.FRAME, sent, source)
            if chance.randrange(200) == 0:
                verb = chance.choice((BookVerb.STALE, BookVerb.RESYNCING, BookVerb.PROVE))
                control = BookControl(chance.randrange(SYMBOLS), verb, "told")
                recorder.add(RecordKind.CONTROL, INPUT.encode(control))
        changed = instruments[lap % SYMBOLS]
        instruments[lap % SYMBOLS] = changed = msgspec.structs.replace(
            changed, size_decimals=changed.size_decimals + 1
        )
        recorder.add(RecordKind.INPUT, INPUT.encode(InstrumentChanged(changed)))
    recorder.close()
    return SessionReader(folder)


def built(reader: SessionReader, lake: Path, way: type[SessionRows]) -> dict[str, object]:
    """Build a lake; returns each file's rows and note."""
    store = FolderStore(lake)
    source = Source(key="a" * 64, checksum="a" * 64, kind="test", name="a")
    with LakeWriter(store, source) as writer:
        rows = way(reader, writer)
        rows.run(lambda: None)
        writer.finish(rows.remarks)
    found: dict[str, object] = {"remarks": rows.remarks}
    for path in sorted(lake.rglob("*.parquet")):
        file = pq.ParquetFile(path)
        found[path.relative_to(lake).as_posix()] = file.read().combine_chunks()
    for path in sorted(lake.rglob("*.json")):
        found[path.relative_to(lake).as_posix()] = msgspec.json.decode(path.read_bytes()) | {
            "bytes": 0
        }
    return found


@pytest.mark.parametrize("seed", range(3))
def test_recording_when_it_is_full_of_faults_then_rows_are_those_of_the_plain_reading(
    tmp_path: Path, tape: Tape, seed: int, monkeypatch: pytest.MonkeyPatch
):
    reader = recorded(tmp_path / "r", tape, seed)
    plain = built(reader, tmp_path / "plain", PlainSessionRows)
    if seed:
        # Groups end in the middle, and the fullest gives way.
        monkeypatch.setattr(writer_module, "GROUP_ROWS", 97)
        monkeypatch.setattr(writer_module, "GROUP_LEVELS", 2_000)
        monkeypatch.setattr(writer_module, "BUFFERED_ROWS_MAX", 300)

    compiled = built(reader, tmp_path / "compiled", SessionRows)

    assert plain.keys() == compiled.keys()
    for name, held in plain.items():
        other = compiled[name]
        assert held.equals(other) if hasattr(held, "equals") else held == other, name
    kinds = [
        k
        for name, table in plain.items()
        if name.startswith("book") and isinstance(table, pa.Table)
        for k in table["kind"].to_pylist()
    ]
    assert {0, 1, 2} == set(kinds)
    assert {"2026-09-21", "2026-09-22"} == {
        name.partition("date=")[2][:10] for name in plain if name.startswith("book")
    }


class _Stopped(Exception):
    pass


def test_build_when_stopped_in_the_middle_of_a_day_then_goes_on_behind_whole_files(
    tmp_path: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer_module, "FILE_ROWS_MAX", 100)
    reader = recorded(tmp_path / "r", tape, 0)
    whole = built(reader, tmp_path / "whole", SessionRows)
    store = FolderStore(tmp_path / "lake")
    source = Source(key="a" * 64, checksum="a" * 64, kind="test", name="a")
    resumed = 0
    for stop in (20, 9, 35):
        left = iter(range(stop))

        def step(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise _Stopped

        with LakeWriter(store, source) as writer, pytest.raises(_Stopped):
            SessionRows(reader, writer).run(step)
        resumed = max(resumed, writer.resumed_files)

    again = built(reader, tmp_path / "lake", SessionRows)

    assert resumed > 5
    assert whole.keys() == again.keys()
    for name, held in whole.items():
        other = again[name]
        assert held.equals(other) if hasattr(held, "equals") else held == other, name
