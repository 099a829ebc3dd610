"""Owns reading Tardis CSV files: incremental books and trades; refuses rows out of order.

Their times are in microseconds, both the venue's and when Tardis received. Rows of one message
share both. They carry no ids: messages are numbered from 1 in the order of the file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.importers.columns import decimals_in, open_texts, units_in
from tickwright.storage.lake.importers.trades_csv import TradeColumns
from tickwright.storage.lake.schema import BookRow, MessageKind, Table
from tickwright.storage.lake.writer import LakeWriter

__all__ = ["BOOK_COLUMNS", "TRADE_COLUMNS", "TRADE_HEADER", "import_book"]

TRADE_HEADER = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount".split(",")
BOOK_COLUMNS = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount".split(",")
TRADE_COLUMNS = TradeColumns(
    venue_time="timestamp",
    received_time="local_timestamp",
    time_digits=3,
    trade_id="id",
    side="side",
    price="price",
    size="amount",
)
_US_DIGITS = 3
"""Microseconds to nanoseconds."""


def import_book(path: Path, instrument_id: InstrumentId, writer: LakeWriter) -> list[str]:
    """Write an `incremental_book_L2` file; returns what a person should know.

    Raises:
        StorageError: the file is cut, a value can't be read, or time goes back.
    """
    price_decimals = size_decimals = 0
    for batch in _batches(path):
        price_decimals = max(price_decimals, decimals_in(batch.column("price")))
        size_decimals = max(size_decimals, decimals_in(batch.column("amount")))
    messages = _Messages(writer, instrument_id, price_decimals, size_decimals)
    row = 1
    for batch in _batches(path):
        row += 1
        venue = units_in(batch.column("timestamp"), _US_DIGITS, f"{path}: timestamp")
        received = units_in(batch.column("local_timestamp"), _US_DIGITS, f"{path}: local_timestamp")
        back = np.flatnonzero(received[1:] < received[:-1])
        if back.size or (received.size and received[0] < messages.received_ns):
            at = row + (int(back[0]) + 1 if back.size else 0)
            raise StorageError(f"{path}: line {at} goes back in time; sort by local_timestamp")
        _take(
            messages,
            received.tolist(),
            venue.tolist(),
            [text.lower() == "true" for text in batch.column("is_snapshot").to_pylist()],
            [text in ("bid", "buy") for text in batch.column("side").to_pylist()],
            units_in(batch.column("price"), price_decimals, f"{path}: price").tolist(),
            units_in(batch.column("amount"), size_decimals, f"{path}: amount").tolist(),
        )
        row += batch.num_rows - 1
    messages.end()
    return [] if messages.number else ["the file holds no book message"]


def _take(
    messages: "_Messages",
    received: list[int],
    venue: list[int],
    snapshots: list[bool],
    bids: list[bool],
    prices: list[int],
    sizes: list[int],
) -> None:
    for now_ns, venue_ns, is_snapshot, is_bid, price, size in zip(
        received, venue, snapshots, bids, prices, sizes, strict=True
    ):
        if (
            now_ns != messages.received_ns
            or venue_ns != messages.venue_ns
            or is_snapshot is not messages.is_snapshot
        ):
            messages.begin(now_ns, venue_ns, is_snapshot=is_snapshot)
        if is_bid:
            messages.bid_prices.append(price)
            messages.bid_sizes.append(size)
        else:
            messages.ask_prices.append(price)
            messages.ask_sizes.append(size)


class _Messages:
    """Gathers rows into messages."""

    def __init__(
        self,
        writer: LakeWriter,
        instrument_id: InstrumentId,
        price_decimals: int,
        size_decimals: int,
    ) -> None:
        self.number = 0
        self.received_ns = 0
        self.venue_ns = 0
        self.is_snapshot = False
        self.bid_prices: list[int] = []
        self.bid_sizes: list[int] = []
        self.ask_prices: list[int] = []
        self.ask_sizes: list[int] = []
        self._kind = MessageKind.DELTA
        self._writer = writer
        self._instrument_id = instrument_id
        self._decimals = (price_decimals, size_decimals)

    def begin(self, received_ns: int, venue_ns: int, *, is_snapshot: bool) -> None:
        """Write the message so far and begin the next."""
        self.end()
        # Only the first message of a snapshot discards what was there; the rest goes on with it.
        goes_on = is_snapshot and self.is_snapshot
        whole = MessageKind.REFILL if goes_on else MessageKind.SNAPSHOT
        self._kind = whole if is_snapshot else MessageKind.DELTA
        self.received_ns, self.venue_ns, self.is_snapshot = received_ns, venue_ns, is_snapshot

    def end(self) -> None:
        """Write the message so far."""
        if not self.bid_prices and not self.ask_prices:
            return
        self.number += 1
        row = BookRow(
            self.received_ns,
            self.venue_ns,
            0,
            self._kind,
            0,
            self.number,
            0,
            -1,
            0,
            self.bid_prices,
            self.bid_sizes,
            self.ask_prices,
            self.ask_sizes,
            "",
        )
        self.bid_prices, self.bid_sizes, self.ask_prices, self.ask_sizes = [], [], [], []
        self._writer.append(
            Table.BOOK,
            self._instrument_id,
            row,
            price_decimals=self._decimals[0],
            size_decimals=self._decimals[1],
        )


def _batches(path: Path) -> Any:
    try:
        with open_texts(path) as reader:
            yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise StorageError(f"{path} is cut or damaged: {first[:300]}") from None
