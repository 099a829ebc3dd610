"""Owns writing a source's rows into the lake: partition by partition, each whole or not there.

A file is written out at `FILE_ROWS_MAX` rows, a day when a later one begins. Whoever comes again
with the same source finds what was written and goes on behind it. Refuses a second source over the
same stretch of a partition, unless told that both are wanted.
"""

from collections.abc import Callable
from types import TracebackType

import msgspec

from tickwright.book.messages import MessageSink
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.book_columns import BookColumns, BookRows
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
from tickwright.storage.lake.partition import (
    DAY_NS,
    GROUP_LEVELS,
    GROUP_ROWS,
    Partition,
    date_of,
)
from tickwright.storage.lake.schema import FORMAT, BookRow, Row, Table
from tickwright.storage.lake.store import LakeStore, remove_scratch

__all__ = ["DAY_NS", "LakeWriter", "source_in"]

BUFFERED_ROWS_MAX = 400_000
"""Rows held over all partitions before the fullest goes to disk; books count by themselves."""
BUFFERED_LEVELS_MAX = 4_000_000
FILE_ROWS_MAX = 1 << 20
"""Rows of a file: what a converter that is killed writes once more, for each partition."""

_Key = tuple[Table, InstrumentId, int, int, int]


class LakeWriter:
    """Writes one source. Use it in a `with`: what isn't finished leaves no drafts behind.

    Raises:
        StorageError: the lake can't be written.
    """

    def __init__(self, store: LakeStore, source: Source, *, allows_overlap: bool = False) -> None:
        self.source = source
        self.resumed_files = 0
        self.files: list[PartitionNote] = []
        self._store = store
        self._allows_overlap = allows_overlap
        self._folder = store.scratch()
        self._parts: dict[_Key, Partition] = {}
        self._generation: dict[_Key, int] = {}
        self._day = 0
        self._held = 0
        self._drafts = 0
        self._depth_of: Callable[[OrderBook], int] = _no_depth
        self._books = BookRows(
            columns_for=self._columns_for,
            on_full=self._flush_columns,
            on_held=self._flush_fullest_book,
            on_whole=self._commit_columns,
            rows_max=GROUP_ROWS,
            levels_max=GROUP_LEVELS,
            all_rows_max=BUFFERED_ROWS_MAX,
            all_levels_max=BUFFERED_LEVELS_MAX,
        )
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
            part.close()
        remove_scratch(self._folder)

    @property
    def rows(self) -> int:
        """Rows appended, those of an earlier run included."""
        return self._books.ordinal

    def book_rows(self, depth_of: Callable[[OrderBook], int]) -> MessageSink:
        """Return what takes the messages that books took, each as the source's next row.

        `depth_of` tells how many levels the feed of a book shows.
        """
        self._depth_of = depth_of
        return self._books

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
        part = self._part(table, instrument_id, moment_ns, price_decimals, size_decimals)
        if isinstance(row, BookRow):
            self._books.append(part.books, row)
            return
        ordinal = self._books.ordinal
        self._books.ordinal = ordinal + 1
        if part.append(ordinal, row, moment_ns):
            self._held += 1
            if part.is_full:
                self._flush(part)
            elif self._held >= BUFFERED_ROWS_MAX:
                self._flush_fullest(is_book=False)
        if part.is_whole:
            self._commit_early(part)

    def finish(self, remarks: list[str]) -> SourceNote:
        """Write out what is left, then the note that the source is in the lake whole."""
        self._roll(None)
        note = SourceNote(
            format=FORMAT,
            source=self.source,
            rows=self.rows,
            files=sorted(one.file for one in self.files),
            remarks=remarks,
        )
        self._store.write(source_name(self.source.key), msgspec.json.encode(note))
        return note

    # partitions ---------------------------------------------------------------------------------

    def _part(
        self,
        table: Table,
        instrument_id: InstrumentId,
        moment_ns: int,
        price_decimals: int,
        size_decimals: int,
    ) -> Partition:
        day = moment_ns // DAY_NS
        if day > self._day:
            self._roll(day)
        key = (table, instrument_id, day, price_decimals, size_decimals)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = self._open(key)
        return part

    def _columns_for(self, book: OrderBook, moment_ns: int) -> tuple[BookColumns, int]:
        instrument = book.instrument
        part = self._part(
            Table.BOOK,
            instrument.id,
            moment_ns,
            instrument.price_decimals,
            instrument.size_decimals,
        )
        return part.books, self._depth_of(book)

    def _open(self, key: _Key) -> Partition:
        table, instrument_id, day, price_decimals, size_decimals = key
        generation = self._generation.get(key, 0)
        again = f"-{generation}" if generation else ""
        file = (
            f"{partition_folder(table, instrument_id, date_of(day))}/{self.source.key[:16]}"
            f"-p{price_decimals}s{size_decimals}{again}.parquet"
        )
        self._drafts += 1
        done = self._done.get(file)
        return Partition(
            table,
            instrument_id,
            day,
            (price_decimals, size_decimals),
            file=file,
            draft=self._folder / f"{self._drafts}.parquet",
            is_done=done is not None,
            file_rows_max=FILE_ROWS_MAX if done is None else done.rows,
        )

    def _roll(self, day: int | None) -> None:
        """Write out the days before `day`; None means all."""
        for key in [key for key in self._parts if day is None or key[2] < day]:
            self._commit_next(key)
        if day is not None:
            self._day = day

    def _commit_next(self, key: _Key) -> None:
        """Write a partition out; what comes for it later goes into another file."""
        self._commit(self._parts.pop(key))
        self._generation[key] = self._generation.get(key, 0) + 1

    def _commit_early(self, part: Partition) -> None:
        self._commit_next(next(key for key, one in self._parts.items() if one is part))

    def _commit_columns(self, columns: BookColumns) -> None:
        self._commit_early(self._part_of(columns))

    def _part_of(self, columns: BookColumns) -> Partition:
        return next(part for part in self._parts.values() if part.books is columns)

    def _flush(self, part: Partition) -> None:
        try:
            rows, levels = part.flush()
        except OSError as error:
            raise StorageError(f"the lake {self._store.place} can't be written: {error}") from None
        if part.table is Table.BOOK:
            self._books.rows_held -= rows
            self._books.levels_held -= levels
        else:
            self._held -= rows

    def _flush_columns(self, columns: BookColumns) -> None:
        self._flush(self._part_of(columns))

    def _flush_fullest_book(self) -> None:
        self._flush_fullest(is_book=True)

    def _flush_fullest(self, *, is_book: bool) -> None:
        parts = (p for p in self._parts.values() if (p.table is Table.BOOK) is is_book)
        self._flush(max(parts, key=lambda part: part.held))

    def _commit(self, part: Partition) -> None:
        if part.is_done:
            part.close()
            self.resumed_files += 1
            self.files.append(self._done[part.file])
            return
        self._flush(part)
        note = part.note(self.source)
        if not self._allows_overlap:
            self._refuse_overlap(note)
        try:
            part.close()
            note = msgspec.structs.replace(note, bytes=part.draft.stat().st_size)
            self._store.put(part.draft, part.file)
            self._store.write(note_name(part.file), msgspec.json.encode(note))
        except OSError as error:
            raise StorageError(f"the lake {self._store.place} can't be written: {error}") from None
        self.files.append(note)

    def _refuse_overlap(self, note: PartitionNote) -> None:
        folder = f"{NOTES}/{partition_folder(note.table, note.instrument_id, note.date)}"
        own = f"/{self.source.key[:16]}-p"
        for name in self._store.names(folder):
            raw = None if own in name else self._store.read(name)
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


def _no_depth(book: OrderBook) -> int:
    raise AssertionError(f"nobody told the depth of {book.instrument_id}")
