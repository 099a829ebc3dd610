"""Owns writing a source's rows into the lake: partition by partition, each whole or not there.

A day is written out when a later one begins. Whoever comes again with the same source finds what
was written and goes on behind it. Refuses a second source over the same stretch of a partition,
unless told that both are wanted.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.manifest import (
    NOTES,
    PartitionNote,
    Source,
    SourceNote,
    decode_partition,
    decode_source,
    note_name,
    partition_folder,
    source_name,
)
from tickwright.storage.lake.schema import FORMAT, BookRow, Row, Table, schema_of
from tickwright.storage.lake.store import LakeStore, remove_scratch

__all__ = ["LakeWriter", "source_in"]

DAY_NS = 86_400_000_000_000
GROUP_ROWS = 65_536
"""Rows of a row group: what a reader holds at once. A book row may be a thousand levels."""
GROUP_LEVELS = 2_000_000
BUFFERED_ROWS_MAX = 400_000
"""Rows held over all partitions before the fullest goes to disk."""
BUFFERED_LEVELS_MAX = 8_000_000

_RUNNING = ("ordinal", "received_ns", "venue_ns", "matched_ns", "update_id", "sequence")
_LISTS = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")


@dataclass(slots=True)
class _Part:
    """A partition being written; `is_done` ones were written by an earlier run."""

    table: Table
    instrument_id: InstrumentId
    date: str
    price_decimals: int
    size_decimals: int
    file: str
    is_done: bool
    draft: Path
    rows: list[tuple[object, ...]] = field(default_factory=list)
    row_count: int = 0
    levels_held: int = 0
    levels: int = 0
    first_ns: int = 0
    last_ns: int = 0
    writer: pq.ParquetWriter | None = None


_Key = tuple[Table, InstrumentId, int, int, int]


class LakeWriter:
    """Writes one source. Use it in a `with`: what isn't finished leaves no drafts behind.

    Raises:
        StorageError: the lake can't be written.
    """

    def __init__(self, store: LakeStore, source: Source, *, allows_overlap: bool = False) -> None:
        self.source = source
        self.rows = 0
        """Rows appended, those of an earlier run included."""
        self.resumed_files = 0
        self.files: list[PartitionNote] = []
        self._store = store
        self._allows_overlap = allows_overlap
        self._folder = store.scratch()
        self._parts: dict[_Key, _Part] = {}
        self._generation: dict[_Key, int] = {}
        self._day = 0
        self._held = 0
        self._levels_held = 0
        self._drafts = 0
        self._done = self._forget_older()

    def __enter__(self) -> "LakeWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for part in self._parts.values():
            if part.writer is not None:
                part.writer.close()
        remove_scratch(self._folder)

    def append(
        self,
        table: Table,
        instrument_id: InstrumentId,
        row: Row,
        *,
        price_decimals: int,
        size_decimals: int,
    ) -> None:
        """Take the next row of the source; its day is when we received it, else the venue's."""
        moment_ns = row.received_ns or row.venue_ns
        day = moment_ns // DAY_NS
        if day > self._day:
            self._roll(day)
        key = (table, instrument_id, day, price_decimals, size_decimals)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = self._open(key)
        ordinal = self.rows
        self.rows = ordinal + 1
        part.row_count += 1
        part.first_ns = min(part.first_ns, moment_ns) if part.first_ns else moment_ns
        part.last_ns = max(part.last_ns, moment_ns)
        levels = 0
        if isinstance(row, BookRow):
            levels = len(row.bid_prices) + len(row.ask_prices)
            part.levels += levels
        if part.is_done:
            return
        part.rows.append((ordinal, *row, price_decimals, size_decimals))
        part.levels_held += levels
        self._held += 1
        self._levels_held += levels
        if len(part.rows) >= GROUP_ROWS or part.levels_held >= GROUP_LEVELS:
            self._flush(part)
        elif self._held >= BUFFERED_ROWS_MAX or self._levels_held >= BUFFERED_LEVELS_MAX:
            self._flush(max(self._parts.values(), key=lambda p: len(p.rows) + p.levels_held))

    def finish(self, remarks: list[str]) -> SourceNote:
        """Write out what is left, then the note that the source is in the lake whole."""
        self._roll(None)
        note = SourceNote(
            format=FORMAT,
            source=self.source,
            rows=self.rows,
            files=[one.file for one in self.files],
            remarks=remarks,
        )
        self._store.write(source_name(self.source.key), msgspec.json.encode(note))
        return note

    # partitions ---------------------------------------------------------------------------------

    def _open(self, key: _Key) -> _Part:
        table, instrument_id, day, price_decimals, size_decimals = key
        date = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
        generation = self._generation.get(key, 0)
        again = f"-{generation}" if generation else ""
        file = (
            f"{partition_folder(table, instrument_id, date)}/{self.source.key[:16]}"
            f"-p{price_decimals}s{size_decimals}{again}.parquet"
        )
        self._drafts += 1
        return _Part(
            table=table,
            instrument_id=instrument_id,
            date=date,
            price_decimals=price_decimals,
            size_decimals=size_decimals,
            file=file,
            is_done=file in self._done,
            draft=self._folder / f"{self._drafts}.parquet",
        )

    def _roll(self, day: int | None) -> None:
        """Write out the days before `day`; None means all."""
        for key in [key for key in self._parts if day is None or key[2] < day]:
            self._commit(self._parts.pop(key))
            self._generation[key] = self._generation.get(key, 0) + 1
        if day is not None:
            self._day = day

    def _flush(self, part: _Part) -> None:
        if not part.rows:
            return
        schema = schema_of(
            part.table, price_decimals=part.price_decimals, size_decimals=part.size_decimals
        )
        columns = list(zip(*part.rows, strict=True))
        arrays = [
            pa.array(column, type=one.type) for column, one in zip(columns, schema, strict=True)
        ]
        if part.writer is None:
            part.writer = _parquet_writer(part.draft, schema)
        try:
            part.writer.write_table(
                pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP_ROWS
            )
        except OSError as error:
            raise StorageError(f"the lake {self._store.place} can't be written: {error}") from None
        self._held -= len(part.rows)
        self._levels_held -= part.levels_held
        part.rows = []
        part.levels_held = 0

    def _commit(self, part: _Part) -> None:
        if part.is_done:
            self.resumed_files += 1
            self.files.append(self._done[part.file])
            return
        self._flush(part)
        assert part.writer is not None, "a partition has a row"
        note = self._note(part)
        if not self._allows_overlap:
            self._refuse_overlap(note)
        try:
            part.writer.close()
            part.writer = None
            note = msgspec.structs.replace(note, bytes=part.draft.stat().st_size)
            self._store.put(part.draft, part.file)
            self._store.write(note_name(part.file), msgspec.json.encode(note))
        except OSError as error:
            raise StorageError(f"the lake {self._store.place} can't be written: {error}") from None
        self.files.append(note)

    def _note(self, part: _Part) -> PartitionNote:
        return PartitionNote(
            format=FORMAT,
            table=part.table,
            venue=part.instrument_id.venue,
            category=part.instrument_id.category.value,
            symbol=part.instrument_id.symbol,
            date=part.date,
            file=part.file,
            rows=part.row_count,
            levels=part.levels,
            bytes=0,
            first_ns=part.first_ns,
            last_ns=part.last_ns,
            price_decimals=part.price_decimals,
            size_decimals=part.size_decimals,
            source=self.source,
        )

    def _refuse_overlap(self, note: PartitionNote) -> None:
        folder = f"{NOTES}/{partition_folder(note.table, note.instrument_id, note.date)}"
        for name in self._store.names(folder):
            raw = self._store.read(name)
            if raw is None:
                continue
            other = decode_partition(raw, name)
            if other.source.key == note.source.key:
                continue
            if other.first_ns <= note.last_ns and note.first_ns <= other.last_ns:
                raise StorageError(
                    f"{note.table.value} of {note.instrument_id} on {note.date} stands in the lake "
                    f"already for the same time, from {other.source.name}; give --overlap to "
                    "keep both"
                )

    def _forget_older(self) -> dict[str, PartitionNote]:
        """Return the files of this very source; those of an older state of it are removed."""
        done: dict[str, PartitionNote] = {}
        mark = f"/{self.source.key[:16]}-p"
        for name in self._store.names(NOTES):
            if mark not in name:
                continue
            raw = self._store.read(name)
            if raw is None:
                continue
            note = decode_partition(raw, name)
            if note.source.checksum == self.source.checksum:
                done[note.file] = note
            else:
                # The note goes first: a file without one is no part of the lake.
                self._store.remove(source_name(self.source.key))
                self._store.remove(name)
                self._store.remove(note.file)
        return done


def source_in(store: LakeStore, source: Source) -> SourceNote | None:
    """Return the note of a source that is in the lake whole, as it is now; else None."""
    name = source_name(source.key)
    raw = store.read(name)
    if raw is None:
        return None
    note = decode_source(raw, name)
    return note if note.source.checksum == source.checksum else None


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    names = {one.name for one in schema}
    running = {name: "DELTA_BINARY_PACKED" for name in _RUNNING if name in names}
    running |= {f"{name}.list.element": "DELTA_BINARY_PACKED" for name in _LISTS if name in names}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=[n for n in names if n not in running and n not in _LISTS],
        column_encoding=running,
        write_statistics=[*(n for n in names if n not in _LISTS)],
    )
