"""Owns turning a recorded session into rows of the lake; refuses to make up what wasn't applied.

Frames go through the production scanner and books, as in a replay but without an engine. A book
frame becomes a row only if the live book took it; what a book lost becomes a row of doubt. The
companion of level 1, by which a feed proves quiet books, stays in the session.
"""

from collections.abc import Callable, Sequence

from tickwright.app.door import BookAdded
from tickwright.app.replay_host import RecordedHost
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import (
    BookState,
    CandleUpdate,
    FundingUpdate,
    IndexPrice,
    Input,
    InstrumentChanged,
    LastPrice,
    Liquidation,
    MarketEvent,
    MarkPrice,
    OrderReport,
    Reconciliation,
    SyncReport,
    Trade,
)
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill, Side
from tickwright.core.units import money_to_decimal
from tickwright.net.listener import FrameSink
from tickwright.storage.lake.schema import (
    BookRow,
    CandleRow,
    FillRow,
    FundingRow,
    LiquidationRow,
    MessageKind,
    OrderRow,
    Row,
    Table,
    TickerRow,
    TradeRow,
)
from tickwright.storage.lake.writer import LakeWriter
from tickwright.storage.segment_feed import feed_frames
from tickwright.storage.segments import Block, record_in
from tickwright.storage.session_log import Record, RecordKind, SessionReader, is_repeated

__all__ = ["SessionRows"]

FILLS_SEEN_MAX = 5_000_000
"""Executions of one session remembered, so that a recovered one isn't written twice."""
_SIDES = {Side.BUY: 1, Side.SELL: -1}


class SessionRows(RecordedHost):
    """Writes the rows of one session.

    Raises:
        StorageError: the session is damaged; what came before it has been appended.
    """

    def __init__(self, source: SessionReader, writer: LakeWriter) -> None:
        super().__init__(source.folder, messages=writer.book_rows(self._depth_of))
        self.remarks: list[str] = []
        self._source = source
        self._writer = writer
        self._sinks: list[FrameSink | None] = []
        self._seen: set[str] = set()
        self._unknown = 0
        self._losses = 0
        self._now_ns = 0

    def run(self, on_block: Callable[[], None]) -> None:
        """Read everything; `on_block` is called after every few hundred records."""
        for block in self._source.blocks():
            self._take_block(block)
            on_block()
        if self._unknown:
            self.remarks.append(f"{self._unknown} orders or fills of unknown instruments left out")
        if self._losses:
            self.remarks.append(f"the recording says {self._losses} times that records are missing")

    def _take_block(self, block: Block) -> None:
        at = 0
        while at < len(block.data):
            # Frames run through in compiled code; what stops it is another record.
            at, _ = feed_frames(block.data, at, self._sinks)
            if at < len(block.data):
                record, at = record_in(block, at)
                self._now_ns = record.now_ns
                if not is_repeated(record):
                    self._take(record)

    def _take(self, record: Record) -> None:
        kind = record.kind
        if kind is RecordKind.FRAME:
            self._session(record.source)
        elif kind is RecordKind.INPUT:
            self._input(self._decode_input(record.payload), record.now_ns)
        elif kind is RecordKind.CONTROL:
            self._control(record.payload, record.now_ns)
        elif kind is RecordKind.BOOK:
            self._add_book(self._decode_book(record.payload))
        elif kind is RecordKind.LOSS:
            # A book notices by its own ids what it lost; for trades nothing can.
            self._losses += 1

    # books --------------------------------------------------------------------------------------

    def _add_book(self, added: BookAdded) -> OrderBook:
        book = super()._add_book(added)
        self._sinks += [None] * (added.source + 1 - len(self._sinks))
        self._sinks[added.source] = self._session(added.source).sink
        return book

    def _depth_of(self, book: OrderBook) -> int:
        return self._depths[book.instrument_id]

    def _state_changed(self, book: OrderBook, previous: BookState, now_ns: int) -> None:
        if previous is BookState.SYNCED and not book.is_synced:
            reason = book.stale_reason or book.state.name.lower()
            depth = self._depth_of(book)
            self._write(
                Table.BOOK,
                book.instrument,
                BookRow(now_ns, 0, 0, MessageKind.DOUBT, depth, 0, 0, 0, 0, [], [], [], [], reason),
            )

    # inputs -------------------------------------------------------------------------------------

    def _input(self, event: Input, now_ns: int) -> None:
        if isinstance(event, InstrumentChanged):
            self._change_instrument(event.instrument)
        elif isinstance(event, OrderReport):
            self._order(event)
        elif isinstance(event, Fill):
            self._fill(event)
        elif isinstance(event, (SyncReport, Reconciliation)):
            report = event.report if isinstance(event, Reconciliation) else event
            for order in report.orders:
                self._order(order)
            for fill in report.fills:
                self._fill(fill)
        elif isinstance(event, Trade):
            self.on_trades([event])
        elif isinstance(
            event, (LastPrice, MarkPrice, IndexPrice, FundingUpdate, CandleUpdate, Liquidation)
        ):
            self.on_market(event, now_ns)

    def _change_instrument(self, instrument: Instrument) -> None:
        books = [book for book in self._books.values() if book.instrument_id == instrument.id]
        states = [book.state for book in books]
        super()._change_instrument(instrument)
        for book, previous in zip(books, states, strict=True):
            self._state_changed(book, previous, self._now_ns)

    def _order(self, order: OrderReport) -> None:
        self._write_own(
            Table.ORDERS,
            order.instrument_id,
            OrderRow(
                received_ns=order.received_ns or self._now_ns,
                venue_ns=order.venue_ns,
                account=str(order.account_id),
                client_id=order.client_id,
                venue_id=order.venue_id,
                parent_id=order.parent_id,
                side=_SIDES[order.side],
                order_type=order.order_type.value,
                state=order.state.value,
                price=order.price_units,
                trigger_price=order.trigger_price_units,
                size=order.size_units,
                filled_size=order.filled_units,
                leg=order.leg.value,
                is_reduce_only=order.reduce_only,
                is_from_query=order.is_from_query,
                reason=order.reason,
            ),
        )

    def _fill(self, fill: Fill) -> None:
        if fill.execution_id in self._seen:
            return
        if len(self._seen) < FILLS_SEEN_MAX:
            self._seen.add(fill.execution_id)
        self._write_own(
            Table.FILLS,
            fill.instrument_id,
            FillRow(
                received_ns=fill.received_ns or self._now_ns,
                venue_ns=fill.venue_ns,
                account=str(fill.account_id),
                client_id=fill.client_id,
                venue_id=fill.venue_id,
                execution_id=fill.execution_id,
                kind=fill.kind.value,
                side=_SIDES[fill.side],
                price=fill.price_units,
                size=fill.size_units,
                fee=money_to_decimal(fill.fee),
                fee_asset=fill.fee_asset,
                cash=money_to_decimal(fill.cash),
                is_maker=fill.is_maker,
                leg=fill.leg.value,
            ),
        )

    def _write_own(self, table: Table, instrument_id: InstrumentId, row: Row) -> None:
        instrument = self._instruments.get(instrument_id)
        if instrument is None:
            self._unknown += 1
            return
        self._write(table, instrument, row)

    def _write(self, table: Table, instrument: Instrument, row: Row) -> None:
        self._writer.append(
            table,
            instrument.id,
            row,
            price_decimals=instrument.price_decimals,
            size_decimals=instrument.size_decimals,
        )

    # the host of the sessions -------------------------------------------------------------------

    def on_trades(self, trades: list[Trade]) -> Sequence[Command] | None:
        """Trades came, oldest first."""
        for trade in trades:
            self._write(
                Table.TRADES,
                self._instruments[trade.instrument_id],
                TradeRow(
                    received_ns=trade.received_ns or self._now_ns,
                    venue_ns=trade.venue_ns,
                    side=_SIDES[trade.side],
                    price=trade.price_units,
                    size=trade.size_units,
                    trade_id=trade.trade_id,
                    sequence=trade.sequence,
                    is_block=trade.is_block,
                ),
            )
        return None

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price, funding, candle or liquidation came."""
        if isinstance(event, InstrumentChanged):
            return
        table, row = market_row(event, now_ns)
        self._write_own(table, event.instrument_id, row)


def market_row(
    event: LastPrice | MarkPrice | IndexPrice | FundingUpdate | CandleUpdate | Liquidation,
    now_ns: int,
) -> tuple[Table, Row]:
    """Return the table and row of a market event."""
    if isinstance(event, FundingUpdate):
        return Table.FUNDING, FundingRow(
            now_ns, event.venue_ns, event.rate_e9, event.next_funding_ns
        )
    if isinstance(event, CandleUpdate):
        return Table.CANDLES, CandleRow(
            received_ns=now_ns,
            venue_ns=event.venue_ns,
            interval_ns=event.interval_ns,
            start_ns=event.start_ns,
            open_price=event.open_units,
            high_price=event.high_units,
            low_price=event.low_units,
            close_price=event.close_units,
            volume_size=event.volume_units,
            is_final=event.is_final,
        )
    if isinstance(event, Liquidation):
        return Table.LIQUIDATIONS, LiquidationRow(
            now_ns, event.venue_ns, _SIDES[event.side], event.price_units, event.size_units
        )
    kind = {LastPrice: "last", MarkPrice: "mark", IndexPrice: "index"}[type(event)]
    return Table.TICKERS, TickerRow(now_ns, event.venue_ns, kind, event.price_units)
