"""Owns one partition while it is written: rows gather in memory, groups of them go to a draft.

Rows of the book table gather in compiled columns, the others as they are. Refuses to know where the
finished draft goes, and what else is in the lake.
"""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.book_columns import BookColumns
from tickwright.storage.lake.manifest import PartitionNote, Source
from tickwright.storage.lake.schema import FORMAT, Row, Table, schema_of

__all__ = ["DAY_NS", "GROUP_LEVELS", "GROUP_ROWS", "Partition", "date_of"]

DAY_NS = 86_400_000_000_000
GROUP_ROWS = 65_536
"""Rows of a row group: what a reader holds at once. A book row may be a thousand levels."""
GROUP_LEVELS = 2_000_000

_RUNNING = ("ordinal", "received_ns", "venue_ns", "matched_ns", "update_id", "sequence")
_LISTS = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")


class Partition:
    """One table of one instrument on one day, in one pair of decimals.

    Args:
        file: its name in the lake.
        draft: where it is written until it is whole.
        is_done: an earlier run wrote it: rows are counted alone.
        file_rows_max: how many rows it may take, held or not.
    """

    def __init__(
        self,
        table: Table,
        instrument_id: InstrumentId,
        day: int,
        decimals: tuple[int, int],
        *,
        file: str,
        draft: Path,
        is_done: bool,
        file_rows_max: int,
    ) -> None:
        self.table = table
        self.instrument_id = instrument_id
        self.date = date_of(day)
        self.price_decimals, self.size_decimals = decimals
        self.file = file
        self.draft = draft
        self.is_done = is_done
        self.books = BookColumns(
            from_ns=day * DAY_NS,
            until_ns=(day + 1) * DAY_NS,
            file_rows_max=file_rows_max,
            is_counted_only=is_done,
        )
        """The rows of the book table; whoever has it adds to them."""
        self._rows: list[tuple[object, ...]] = []
        self._file_rows_max = file_rows_max
        self._row_count = 0
        self._first_ns = 0
        self._last_ns = 0
        self._schema = schema_of(
            table, price_decimals=self.price_decimals, size_decimals=self.size_decimals
        )
        self._writer: pq.ParquetWriter | None = None

    @property
    def held(self) -> int:
        """Rows and levels in memory."""
        return len(self._rows) + self.books.rows_held + self.books.levels_held

    def append(self, ordinal: int, row: Row, moment_ns: int) -> bool:
        """Take a row that is none of a book; returns whether it is held."""
        self._row_count += 1
        if not self._first_ns or moment_ns < self._first_ns:
            self._first_ns = moment_ns
        if moment_ns > self._last_ns:
            self._last_ns = moment_ns
        if self.is_done:
            return False
        self._rows.append((ordinal, *row, self.price_decimals, self.size_decimals))
        return True

    @property
    def is_full(self) -> bool:
        """Whether a row group's rows are held."""
        return len(self._rows) >= GROUP_ROWS

    @property
    def is_whole(self) -> bool:
        """Whether it took as many rows as it may; books tell so by themselves."""
        return self._row_count >= self._file_rows_max

    def flush(self) -> tuple[int, int]:
        """Write what is held to the draft as one row group; returns its rows and levels.

        Raises:
            OSError: the draft can't be written.
        """
        rows, levels = len(self._rows) + self.books.rows_held, self.books.levels_held
        if not rows:
            return 0, 0
        arrays = self._book_arrays() if self.table is Table.BOOK else self._row_arrays()
        if self._writer is None:
            self._writer = _parquet_writer(self.draft, self._schema)
        self._writer.write_table(
            pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=GROUP_ROWS
        )
        return rows, levels

    def close(self) -> None:
        """End the draft; nothing more comes in."""
        self.books.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def note(self, source: Source) -> PartitionNote:
        """Return what is told beside the file; its size is not known yet."""
        is_book = self.table is Table.BOOK
        return PartitionNote(
            format=FORMAT,
            table=self.table,
            venue=self.instrument_id.venue,
            category=self.instrument_id.category.value,
            symbol=self.instrument_id.symbol,
            date=self.date,
            file=self.file,
            rows=self.books.row_count if is_book else self._row_count,
            levels=self.books.level_count,
            bytes=0,
            first_ns=self.books.first_ns if is_book else self._first_ns,
            last_ns=self.books.last_ns if is_book else self._last_ns,
            price_decimals=self.price_decimals,
            size_decimals=self.size_decimals,
            source=source,
        )

    def _row_arrays(self) -> list[pa.Array]:
        columns = list(zip(*self._rows, strict=True))
        self._rows = []
        return [
            pa.array(column, type=one.type)
            for column, one in zip(columns, self._schema, strict=True)
        ]

    def _book_arrays(self) -> list[pa.Array]:
        """Lay Arrow's arrays over the gathered bytes: no object is made for a row or level."""
        count, columns, reasons = self.books.take()
        columns["price_decimals"] = bytes([self.price_decimals]) * count
        columns["size_decimals"] = bytes([self.size_decimals]) * count
        arrays = []
        for one in self._schema:
            if one.name in _LISTS:
                side = one.name.partition("_")[0]
                arrays.append(_lists(columns[f"{side}_ends"], columns[one.name], one.type))
            elif one.name == "reason":
                arrays.append(_texts(count, reasons))
            else:
                arrays.append(_numbers(columns[one.name], count, one.type))
        return arrays


def date_of(day: int) -> str:
    """Return the UTC date of a day since 1970 began."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _numbers(raw: bytes, count: int, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(raw)])


def _lists(ends: bytes, raw: bytes, kind: pa.ListType) -> pa.Array:
    values = _numbers(raw, len(raw) // 8, kind.value_type)
    count = len(ends) // 4 - 1
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(ends)], children=[values])


def _texts(count: int, held: list[tuple[int, str]]) -> pa.Array:
    """Return texts that are empty but for a few."""
    if not held:
        return pa.Array.from_buffers(
            pa.string(), count, [None, pa.py_buffer(bytes(4 * (count + 1))), pa.py_buffer(b"")]
        )
    texts = [""] * count
    for at, text in held:
        texts[at] = text
    return pa.array(texts, type=pa.string())


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
