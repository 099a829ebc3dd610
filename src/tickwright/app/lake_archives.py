"""Owns reading Bybit's daily archives into the lake: order book lines and trade CSV files.

A line that can't be read is counted, and the book is in doubt until its next snapshot. The archives
tell the venue's time alone: `received_ns` is 0.
"""

from collections.abc import Callable
from pathlib import Path

from tickwright.app.lake_session import book_row
from tickwright.app.recorded_units import UnitsSurvey
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.errors import ConfigError, FrameError, StorageError
from tickwright.core.identity import Category, InstrumentId
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.storage.lake.importers.trades_csv import TradeColumns
from tickwright.storage.lake.schema import BookRow, MessageKind, Table
from tickwright.storage.lake.writer import LakeWriter
from tickwright.venues.bybit.decode import BookFrame, decode_orderbook

__all__ = ["DERIVATIVE_TRADES", "SPOT_TRADES", "import_bybit_book"]

DERIVATIVE_TRADES = TradeColumns(
    venue_time="timestamp",
    time_digits=9,
    trade_id="trdMatchID",
    side="side",
    price="price",
    size="size",
)
"""`public.bybit.com/trading`: seconds with decimals, sizes in the contract's own unit."""
SPOT_TRADES = TradeColumns(
    venue_time="timestamp", time_digits=6, trade_id="id", side="side", price="price", size="volume"
)
"""`public.bybit.com/spot`: milliseconds."""
_REFUSALS_TOLD_MAX = 3
_PROGRESS_EVERY = 2_000


def import_bybit_book(
    path: Path,
    given: InstrumentId | None,
    writer: LakeWriter,
    on_lines: Callable[[int], None],
) -> list[str]:
    """Write an `ob500`, `ob200` or like archive; returns what a person should know.

    Raises:
        ConfigError: the file can't be opened, or holds no order book frame.
        StorageError: it is cut or damaged; names the line reached.
    """
    symbol, depth, is_spot, survey = _survey(path, on_lines)
    category = Category.SPOT if is_spot else Category.LINEAR
    instrument_id = given or InstrumentId("bybit", category, symbol)
    if instrument_id.symbol != symbol:
        raise ConfigError(f"{path} holds {symbol}, not {instrument_id.symbol}")
    instrument = survey.instrument(instrument_id)
    book = OrderBook(instrument, capacity=depth, policy=BookPolicy(window=depth, restart_id=1))
    rows = _Rows(book, depth, writer)
    for line, received_ns, frame in recorded_lines(path):
        try:
            message = decode_orderbook(frame, lambda _: instrument)
        except FrameError as error:
            rows.refuse(line, error)
            continue
        if message.symbol == symbol and message.depth == depth:
            rows.take(message, received_ns or 0)
        else:
            rows.others += 1
        if line % _PROGRESS_EVERY == 0:
            on_lines(line)
    return rows.remarks()


def _survey(path: Path, on_lines: Callable[[int], None]) -> tuple[str, int, bool, UnitsSurvey]:
    symbol, depth, is_spot = "", 0, False
    survey = UnitsSurvey()
    for line, _, frame in recorded_lines(path):
        _, _, rest = frame[:200].partition(b'"orderbook.')
        if not rest:
            continue
        deep, _, name = rest.partition(b'"')[0].partition(b".")
        if not deep.isdigit() or not name.isascii():
            continue
        if not symbol:
            symbol, depth = name.decode(), int(deep)
            is_spot = 0 <= frame.find(b'"ts"') < frame.find(b'"type"')
        survey.see(frame)
        if line % _PROGRESS_EVERY == 0:
            on_lines(line)
    if not symbol:
        raise ConfigError(f"{path} holds no order book frame of Bybit")
    return symbol, depth, is_spot, survey


class _Rows:
    """Takes frames through the book, and writes what it took."""

    def __init__(self, book: OrderBook, depth: int, writer: LakeWriter) -> None:
        self.others = 0
        self._book = book
        self._depth = depth
        self._writer = writer
        self._refused = 0
        self._told: list[str] = []
        self._last_ns = 0

    def take(self, message: BookFrame, received_ns: int) -> None:
        book = self._book
        before = book.update_count + book.snapshot_count
        was_synced = book.is_synced
        venue_ns = message.ts_ms * 1_000_000
        self._last_ns = venue_ns
        apply = book.apply_snapshot if message.is_snapshot else book.apply_delta
        apply(
            message.bids,
            message.asks,
            update_id=message.update_id,
            received_ns=received_ns or venue_ns,
            sequence=message.sequence,
            venue_ns=venue_ns,
        )
        if book.update_count + book.snapshot_count > before:
            self._write(book_row(message, received_ns))
        self._doubt(received_ns, was_synced=was_synced)

    def refuse(self, line: int, error: FrameError) -> None:
        self._refused += 1
        if len(self._told) < _REFUSALS_TOLD_MAX:
            self._told.append(f"line {line}: {error}")
        was_synced = self._book.is_synced
        self._book.mark_stale("a line could not be read")
        self._doubt(0, was_synced=was_synced)

    def remarks(self) -> list[str]:
        book = self._book
        found = []
        if self._refused:
            found.append(f"{self._refused} lines could not be read: {'; '.join(self._told)}")
        if book.gap_count:
            found.append(f"{book.gap_count} gaps: the book is in doubt until the next snapshot")
        if book.fault_count:
            found.append(f"{book.fault_count} impossible messages")
        if book.duplicate_count:
            found.append(f"{book.duplicate_count} messages told twice, taken once")
        if self.others:
            found.append(f"{self.others} frames of other topics left out")
        if not book.snapshot_count:
            raise StorageError("no snapshot: no order book comes out of this archive")
        return found

    def _doubt(self, received_ns: int, *, was_synced: bool) -> None:
        book = self._book
        if was_synced and not book.is_synced:
            reason = book.stale_reason or book.state.name.lower()
            depth, doubt, ns = self._depth, MessageKind.DOUBT, self._last_ns
            self._write(
                BookRow(received_ns, ns, 0, doubt, depth, 0, 0, 0, 0, [], [], [], [], reason)
            )

    def _write(self, row: BookRow) -> None:
        instrument = self._book.instrument
        self._writer.append(
            Table.BOOK,
            instrument.id,
            row,
            price_decimals=instrument.price_decimals,
            size_decimals=instrument.size_decimals,
        )
