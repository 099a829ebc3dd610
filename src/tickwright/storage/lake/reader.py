"""Owns reading rows back in the order they came, a row group at a time; refuses to hold a day.

Files are memory-mapped. Batches come with their columns as Arrow; a `BookBatch` shows the numbers
as NumPy views of Arrow's own buffers, so no object is made per row or level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tickwright.book.order_book import OrderBook
from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.manifest import PartitionNote
from tickwright.storage.lake.schema import MessageKind, Table

__all__ = ["BookBatch", "LakeReader", "apply_book_row"]

BATCH_ROWS = 65_536

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class BookBatch:
    """Rows of the book table, columns of equal length; units of the decimals given.

    The levels of row i are `bid_prices[bid_offsets[i]:bid_offsets[i + 1]]` and so on.
    """

    ordinal: Ints
    received_ns: Ints
    venue_ns: Ints
    kind: Any
    update_id: Ints
    first_id: Ints
    previous_id: Ints
    sequence: Ints
    bid_offsets: Any
    bid_prices: Ints
    bid_sizes: Ints
    ask_offsets: Any
    ask_prices: Ints
    ask_sizes: Ints
    reasons: pa.StringArray
    price_decimals: int
    size_decimals: int

    def __len__(self) -> int:
        return len(self.received_ns)


class LakeReader:
    """Reads tables of a lake."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def batches(
        self,
        table: Table,
        instrument_id: InstrumentId,
        *,
        from_ns: int = 0,
        until_ns: int = 2**63 - 1,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches in time order, rows from `from_ns` up to but without `until_ns`.

        The time is when we received, else the venue's. Files of several sources follow each other
        by their first row; where two overlap (allowed on purpose) their rows aren't interleaved.

        Raises:
            StorageError: a file of the lake is missing or damaged.
        """
        for note in self.catalogue.notes(table, instrument_id):
            if note.last_ns < from_ns or note.first_ns >= until_ns:
                continue
            is_inside = note.first_ns >= from_ns and note.last_ns < until_ns
            for batch in self._read(note, columns, needs_times=not is_inside):
                cut = batch if is_inside else _between(batch, from_ns, until_ns)
                if cut.num_rows:
                    yield cut if columns is None else cut.select(list(columns))

    def book(
        self, instrument_id: InstrumentId, *, from_ns: int = 0, until_ns: int = 2**63 - 1
    ) -> Iterator[BookBatch]:
        """Yield the book messages of an instrument."""
        for batch in self.batches(Table.BOOK, instrument_id, from_ns=from_ns, until_ns=until_ns):
            yield _book_batch(batch)

    def _read(
        self, note: PartitionNote, columns: Sequence[str] | None, *, needs_times: bool
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if columns is None else list(columns)
        if wanted is not None and needs_times:
            wanted += [one for one in ("received_ns", "venue_ns") if one not in wanted]
        try:
            with pq.ParquetFile(self.catalogue.local(note), memory_map=True) as file:
                yield from file.iter_batches(batch_size=BATCH_ROWS, columns=wanted)
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"the lake's file {note.file} can't be read: {error}") from None


def apply_book_row(book: OrderBook, batch: BookBatch, index: int) -> None:
    """Do to a book what one row says, under the book's own rule of continuity.

    Raises:
        StorageError: the row is a CLEAR or REFILL, which books of live feeds never see.
    """
    kind = MessageKind(int(batch.kind[index]))
    if kind is MessageKind.DOUBT:
        book.mark_stale(batch.reasons[index].as_py())
        return
    bids = _levels(batch.bid_offsets, batch.bid_prices, batch.bid_sizes, index)
    asks = _levels(batch.ask_offsets, batch.ask_prices, batch.ask_sizes, index)
    common = {
        "update_id": int(batch.update_id[index]),
        "received_ns": int(batch.received_ns[index]),
        "sequence": int(batch.sequence[index]),
        "venue_ns": int(batch.venue_ns[index]),
    }
    if kind is MessageKind.SNAPSHOT:
        book.apply_snapshot(bids, asks, **common)
    elif kind is MessageKind.DELTA:
        book.apply_delta(
            bids,
            asks,
            first_id=int(batch.first_id[index]),
            previous_id=int(batch.previous_id[index]),
            **common,
        )
    else:
        raise StorageError(f"a {kind.name} row is no message of a live feed")


def _levels(offsets: Any, prices: Ints, sizes: Ints, index: int) -> list[tuple[int, int]]:
    begin, end = offsets[index], offsets[index + 1]
    return list(zip(prices[begin:end].tolist(), sizes[begin:end].tolist(), strict=True))


def _between(batch: pa.RecordBatch, from_ns: int, until_ns: int) -> pa.RecordBatch:
    received = batch.column("received_ns").to_numpy()
    moments = np.where(received != 0, received, batch.column("venue_ns").to_numpy())
    kept = (moments >= from_ns) & (moments < until_ns)
    return batch if kept.all() else batch.filter(pa.array(kept))


def _book_batch(batch: pa.RecordBatch) -> BookBatch:
    def ints(name: str) -> Any:
        return batch.column(name).to_numpy(zero_copy_only=True)

    def flat(name: str) -> tuple[Any, Any]:
        lists = batch.column(name)
        return lists.offsets.to_numpy(), lists.values.to_numpy(zero_copy_only=True)

    bid_offsets, bid_prices = flat("bid_prices")
    ask_offsets, ask_prices = flat("ask_prices")
    metadata = batch.schema.metadata
    return BookBatch(
        ordinal=ints("ordinal"),
        received_ns=ints("received_ns"),
        venue_ns=ints("venue_ns"),
        kind=ints("kind"),
        update_id=ints("update_id"),
        first_id=ints("first_id"),
        previous_id=ints("previous_id"),
        sequence=ints("sequence"),
        bid_offsets=bid_offsets,
        bid_prices=bid_prices,
        bid_sizes=flat("bid_sizes")[1],
        ask_offsets=ask_offsets,
        ask_prices=ask_prices,
        ask_sizes=flat("ask_sizes")[1],
        reasons=batch.column("reason"),
        price_decimals=int(metadata[b"tickwright.price_decimals"]),
        size_decimals=int(metadata[b"tickwright.size_decimals"]),
    )
