"""Owns reading Bybit's daily archives into the lake: order book lines and trade CSV files.

A line that can't be read is counted, and the book is in doubt until its next snapshot. The archives
tell the venue's time alone: `received_ns` is 0.
"""

from collections.abc import Callable
from pathlib import Path

from tickwright.app.recorded_units import UnitsSurvey
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.errors import ConfigError, FrameError, StorageError
from tickwright.core.events import BookState
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.storage.lake.importers.trades_csv import TradeColumns
from tickwright.storage.lake.schema import BookRow, MessageKind, Table
from tickwright.storage.lake.writer import LakeWriter
from tickwright.venues.bybit.decode import decode_orderbook
from tickwright.venues.bybit.scanner import PublicScanner

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
    rows = _Rows(instrument, depth, writer)
    for line, received_ns, frame in recorded_lines(path):
        rows.take(line, frame, received_ns or 0)
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
    """Takes frames through the book; those it took are written as they are read."""

    def __init__(self, instrument: Instrument, depth: int, writer: LakeWriter) -> None:
        self._instrument = instrument
        self._depth = depth
        self._writer = writer
        self._others = 0
        self._refused = 0
        self._told: list[str] = []
        self._line = 0
        self._frame = b""
        self._topic = f"orderbook.{depth}.{instrument.symbol}"
        self._book = OrderBook(
            instrument, capacity=depth, policy=BookPolicy(window=depth, restart_id=1)
        )
        self._book.slot = 0
        self._scanner = PublicScanner(
            on_book=_look_on,
            on_state=self._state_changed,
            on_other=self._take_other,
            messages=writer.book_rows(lambda _: depth),
        )
        self._scanner.add_book(self._topic, self._book, 0)

    def take(self, line: int, frame: bytes, received_ns: int) -> None:
        """Take one line."""
        self._line, self._frame = line, frame
        self._scanner.feed(frame, received_ns)

    def _take_other(self, frame: bytes, received_ns: int) -> None:
        """Read a frame that isn't canonical the slow way."""
        try:
            message = decode_orderbook(frame, lambda _: self._instrument)
        except FrameError as error:
            self._refuse(error)
            return
        if message.symbol != self._instrument.symbol or message.depth != self._depth:
            self._others += 1
            return
        self._scanner.take_decoded(
            self._topic,
            is_snapshot=message.is_snapshot,
            update_id=message.update_id,
            sequence=message.sequence,
            venue_ns=message.ts_ms * 1_000_000,
            bids=message.bids,
            asks=message.asks,
            matched_ns=message.cts_ms * 1_000_000,
        )

    def _refuse(self, error: FrameError) -> None:
        self._refused += 1
        if len(self._told) < _REFUSALS_TOLD_MAX:
            self._told.append(f"line {self._line}: {error}")
        was_synced = self._book.is_synced
        self._book.mark_stale("a line could not be read")
        if was_synced:
            self._doubt(0, self._book.venue_ns)

    def _state_changed(self, slot: int, previous: int) -> None:
        """A frame that the book did not take puts it in doubt from the frame's own time on."""
        if previous == BookState.SYNCED and not self._book.is_synced:
            message = decode_orderbook(self._frame, lambda _: self._instrument)
            self._doubt(self._scanner.last_frame_ns, message.ts_ms * 1_000_000)

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
        if self._others:
            found.append(f"{self._others} frames of other topics left out")
        if not book.snapshot_count:
            raise StorageError("no snapshot: no order book comes out of this archive")
        return found

    def _doubt(self, received_ns: int, venue_ns: int) -> None:
        book = self._book
        reason = book.stale_reason or book.state.name.lower()
        row = BookRow(
            received_ns,
            venue_ns,
            0,
            MessageKind.DOUBT,
            self._depth,
            0,
            0,
            0,
            0,
            [],
            [],
            [],
            [],
            reason,
        )
        self._writer.append(
            Table.BOOK,
            self._instrument.id,
            row,
            price_decimals=self._instrument.price_decimals,
            size_decimals=self._instrument.size_decimals,
        )


def _look_on(slot: int, now_ns: int) -> None:
    """Want nothing."""
