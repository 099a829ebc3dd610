"""A session's rows the slow way: record by record, each book frame read by the typed decoder.

What the compiled columns must equal: a row for every book frame that its book took, as plain lists.
"""

import re

from tickwright.app.door import BookAdded
from tickwright.app.lake_session import SessionRows
from tickwright.book.order_book import OrderBook
from tickwright.storage.lake.schema import BookRow, MessageKind, Table
from tickwright.storage.lake.writer import LakeWriter
from tickwright.storage.segments import Block, Record, RecordKind, records_in
from tickwright.storage.session_log import SessionReader, is_repeated
from tickwright.venues.bybit.decode import BookFrame, decode_orderbook

__all__ = ["PlainSessionRows", "book_row"]

_BOOK_TOPIC = re.compile(rb'"orderbook\.(\d+)\.([^"]+)"')


class PlainSessionRows(SessionRows):
    """Writes the rows of a session without the compiled way."""

    def __init__(self, source: SessionReader, writer: LakeWriter) -> None:
        super().__init__(source, writer)
        self._messages = None
        self._by_topic: dict[tuple[int, bytes], OrderBook] = {}

    def _take_block(self, block: Block) -> None:
        for record in records_in(block.data, block.path, block.position):
            if is_repeated(record):
                continue
            self._now_ns = record.now_ns
            if record.kind is RecordKind.FRAME:
                self._frame(record)
            else:
                self._take(record)

    def _add_book(self, added: BookAdded) -> OrderBook:
        book = super()._add_book(added)
        topic = f'"orderbook.{added.depth}.{book.symbol}"'.encode()
        self._by_topic[added.source, topic] = book
        return book

    def _frame(self, record: Record) -> None:
        sink = self._session(record.source).sink
        frame, is_last = record.payload, bool(record.flags & 1)
        found = _BOOK_TOPIC.search(frame, 0, 200)
        book = None if found is None else self._by_topic.get((record.source, found[0]))
        before = 0 if book is None else book.update_count + book.snapshot_count
        sink.feed(frame, record.now_ns, last=is_last)
        if book is not None and book.update_count + book.snapshot_count > before:
            message = decode_orderbook(frame, lambda _: book.instrument)
            self._write(Table.BOOK, book.instrument, book_row(message, record.now_ns))


def book_row(message: BookFrame, received_ns: int) -> BookRow:
    """Return the row of a book message."""
    bids, asks = message.bids, message.asks
    return BookRow(
        received_ns,
        message.ts_ms * 1_000_000,
        message.cts_ms * 1_000_000,
        MessageKind.SNAPSHOT if message.is_snapshot else MessageKind.DELTA,
        message.depth,
        message.update_id,
        0,
        -1,
        message.sequence,
        [price for price, _ in bids],
        [size for _, size in bids],
        [price for price, _ in asks],
        [size for _, size in asks],
        "",
    )
