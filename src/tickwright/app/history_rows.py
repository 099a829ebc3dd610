"""Owns turning what an engine lives through into rows of history; refuses to slow or change it.

Each row's offset is the number of the engine's input, so that a run and a replay of its session
give the same rows at the same offsets. Trades, of which there are many, are packed at once; the
rest is rare.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from tickwright.book.order_book import OrderBook
from tickwright.core.commands import (
    HaltNotice,
    Notice,
    OrderNotice,
    ProtectionNotice,
    SignalNotice,
)
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.events import (
    CandleUpdate,
    FundingUpdate,
    Input,
    InstrumentChanged,
    Reconciliation,
    SyncReport,
    Trade,
)
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill, Side
from tickwright.core.verdicts import Rejected
from tickwright.engine.engine import Engine
from tickwright.storage.history.rows import (
    TRADE,
    BookRow,
    CandleRow,
    EquityRow,
    ExecutionRow,
    FundingRow,
    HistoryRow,
    InstrumentRef,
    OrderRow,
    PositionRow,
    RiskEventRow,
    SignalRow,
)

__all__ = ["EngineRows", "Taken"]

SECOND_NS = 1_000_000_000
_pack = TRADE.pack
SLICE_BOOKS = 4
"""Books that are sampled in one go, about 50 us: whoever samples may do something else between."""


class Taken(NamedTuple):
    """Trades packed by `TRADE`, sampled books, and all other rows; with their offsets."""

    trades: bytearray
    books: list[tuple[int, HistoryRow]]
    rows: list[tuple[int, HistoryRow]]

    def __bool__(self) -> bool:
        return any(len(part) for part in self)


class EngineRows:
    """Collects rows until `take`.

    Args:
        books: what is sampled.
        sample_s: seconds between two samples of books, positions and equity; 0 takes none.
        levels: of each side of a sampled book.
    """

    def __init__(
        self,
        engine: Engine,
        books: Callable[[], Iterable[OrderBook]],
        *,
        sample_s: int = 1,
        levels: int = 10,
    ) -> None:
        self._engine = engine
        self._books = books
        self._sample_ns = sample_s * SECOND_NS
        self._levels = levels
        self._sampled = 0
        self._rows: list[tuple[int, HistoryRow]] = []
        self._sampled_books: list[tuple[int, HistoryRow]] = []
        self._trades = bytearray()
        self._by_id: dict[InstrumentId, int] = {}
        self._numbers: dict[InstrumentRef, int] = {}
        self.instruments: list[InstrumentRef] = []
        """What the numbers in packed trades mean; it only grows."""
        self.has_market = True
        """Trades and samples of books are kept; else they are counted as lost."""
        self.lost = 0
        self.unknown = 0
        """What no row holds: fills and orders of instruments that this engine doesn't know, trades
        whose numbers don't fit."""
        self._fundings: dict[InstrumentId, tuple[int, int]] = {}
        self._doors: dict[type, Callable[[Any], None]] = {
            Trade: self._trade,
            Fill: self._fill,
            SyncReport: self._fills,
            Reconciliation: lambda event: self._fills(event.report),
            CandleUpdate: self._candle,
            FundingUpdate: self._funding,
            InstrumentChanged: self._changed,
        }

    @property
    def count(self) -> int:
        """Rows that wait, but for the levels of books."""
        return len(self._trades) // TRADE.size + len(self._sampled_books) + len(self._rows)

    def take(self) -> "Taken":
        """Return and forget the rows so far."""
        taken = Taken(self._trades, self._sampled_books, self._rows)
        self._trades, self._sampled_books, self._rows = bytearray(), [], []
        return taken

    def on_input(self, event: Input) -> None:
        """Take note of an input that the engine has just taken."""
        door = self._doors.get(event.__class__)
        if door is not None:
            try:
                door(event)
            except (struct.error, InstrumentUnknown):
                self.unknown += 1

    def _trade(self, trade: Trade) -> None:
        if not self.has_market:
            self.lost += 1
            return
        number = self._by_id.get(trade.instrument_id)
        if number is None:
            number = self._number(trade.instrument_id)
        name = trade.trade_id
        received_ns = trade.received_ns
        self._trades += _pack(
            self._engine.event_id,
            number,
            trade.venue_ns or received_ns,
            received_ns,
            trade.price_units,
            trade.size_units,
            1 if trade.side is Side.BUY else -1,
            trade.sequence,
            trade.is_block,
            name.encode() if name.isascii() else name.encode("ascii", "replace"),
        )

    def _changed(self, event: InstrumentChanged) -> None:
        """Look its units up anew."""
        self._by_id.pop(event.instrument.id, None)

    def on_notice(self, notice: Notice) -> None:
        """Take note of what the engine told."""
        if isinstance(notice, SignalNotice):
            signal, verdict = notice.signal, notice.verdict
            is_rejected = isinstance(verdict, Rejected)
            row: HistoryRow = SignalRow(
                notice.now_ns,
                notice.event_id,
                notice.strategy_id,
                self._ref(signal.instrument_id),
                signal.kind.value,
                signal.confidence,
                signal.reason,
                "rejected" if is_rejected else "approved",
                str(verdict) if is_rejected else "",
                notice.client_id,
            )
        elif isinstance(notice, OrderNotice):
            found = self._order(notice)
            if found is None:
                return
            row = found
        elif isinstance(notice, HaltNotice):
            row = RiskEventRow(
                notice.now_ns, notice.event_id, "halt", notice.scope, "halted", notice.reason,
                None, "",
            )  # fmt: skip
        elif isinstance(notice, ProtectionNotice):
            row = RiskEventRow(
                notice.now_ns, notice.event_id, notice.kind.value, str(notice.scope),
                notice.stage.value, notice.reason, notice.until_ns, notice.by,
            )  # fmt: skip
        else:
            return
        self._rows.append((notice.event_id, row))

    def sample(self, now_ns: int) -> None:
        """Look at books, positions and equity, if a moment of sampling has come."""
        for _ in self.sampling(now_ns):
            pass

    def sampling(self, now_ns: int) -> Iterator[None]:
        """Do the same in slices; what one moment shows must be taken whole."""
        if not self._sample_ns or now_ns // self._sample_ns <= self._sampled:
            return
        self._sampled = now_ns // self._sample_ns
        at_ns = self._sampled * self._sample_ns
        books = iter(list(self._books()))
        while some := list(islice(books, SLICE_BOOKS)):
            for book in some:
                if book.is_synced:
                    self._sample_book(book, at_ns)
            yield
        summary = self._engine.summary()
        for one in summary.positions:
            self._add(
                PositionRow(
                    at_ns,
                    one.account,
                    one.strategy_id,
                    one.instrument,
                    _exact(one.size),
                    None if one.entry_price is None else _exact(one.entry_price),
                    _exact(one.realised),
                    None if one.unrealised is None else _exact(one.unrealised),
                    _exact(one.funding),
                )
            )
        for account in summary.accounts:
            self._add(
                EquityRow(
                    at_ns,
                    account.account,
                    *(
                        None if figure is None else _exact(figure)
                        for figure in (account.equity, account.exposure, account.day_loss)
                    ),
                )
            )

    def _sample_book(self, book: OrderBook, at_ns: int) -> None:
        levels = self._levels
        bids, asks = book.bids(max(1, levels)), book.asks(max(1, levels))
        if not self.has_market:
            self.lost += 1 + (levels and len(bids) + len(asks))
            return
        number = self._by_id[book.instrument_id] = self._number_of(book.instrument)
        ref = self.instruments[number]
        row = BookRow(ref, at_ns, book.update_id, tuple(bids), tuple(asks), levels)
        self._sampled_books.append((self._engine.event_id, row))

    def _add(self, row: HistoryRow) -> None:
        self._rows.append((self._engine.event_id, row))

    def _is_known(self, instrument_id: InstrumentId) -> bool:
        """Whether its units are: without them a row can't be read."""
        try:
            self._engine.state.instrument(instrument_id)
        except InstrumentUnknown:
            self.unknown += 1
            return False
        return True

    def _ref(self, instrument_id: InstrumentId) -> InstrumentRef:
        return self.instruments[self._number(instrument_id)]

    def _number(self, instrument_id: InstrumentId) -> int:
        known = self._by_id.get(instrument_id)
        if known is None:
            known = self._number_of(self._engine.state.instrument(instrument_id))
            self._by_id[instrument_id] = known
        return known

    def _number_of(self, instrument: Instrument) -> int:
        ref = InstrumentRef.of(instrument)
        number = self._numbers.setdefault(ref, len(self.instruments))
        if number == len(self.instruments):
            self.instruments.append(ref)
        return number

    def _fills(self, report: SyncReport) -> None:
        for fill in report.fills:
            self._fill(fill)

    def _fill(self, fill: Fill) -> None:
        if not self._is_known(fill.instrument_id):
            return
        self._add(
            ExecutionRow(
                str(fill.account_id),
                fill.execution_id,
                self._ref(fill.instrument_id),
                fill.venue_ns or fill.received_ns,
                fill.kind.value,
                fill.side.value,
                fill.price_units,
                fill.size_units,
                str(fill.fee),
                fill.fee_asset,
                str(fill.cash),
                fill.is_maker,
                fill.client_id,
                fill.venue_id,
            )
        )

    def _candle(self, candle: CandleUpdate) -> None:
        self._add(
            CandleRow(
                self._ref(candle.instrument_id),
                candle.interval_ns // SECOND_NS,
                candle.start_ns,
                candle.open_units,
                candle.high_units,
                candle.low_units,
                candle.close_units,
                candle.volume_units,
            )
        )

    def _funding(self, funding: FundingUpdate) -> None:
        """Keep a rate when it is news: tickers repeat it many times a second."""
        told = (funding.rate_e9, funding.next_funding_ns)
        if funding.next_funding_ns and self._fundings.get(funding.instrument_id) != told:
            self._fundings[funding.instrument_id] = told
            ref = self._ref(funding.instrument_id)
            self._add(FundingRow(ref, told[1], told[0], funding.venue_ns))

    def _order(self, notice: OrderNotice) -> OrderRow | None:
        record = None
        if notice.client_id is not None:
            record = self._engine.state.blotter.find_ours(notice.client_id)
        if record is not None:
            order = record.order
            return OrderRow(
                str(order.account_id),
                order.client_id,
                self._ref(order.instrument_id),
                order.strategy_id,
                order.side.value,
                order.intent.order_type.value,
                order.price_units,
                order.size_units,
                max(order.filled_units, notice.filled_units),
                notice.state.value,
                notice.reason,
                order.created_ns,
                notice.now_ns,
                order.venue_id,
            )
        report = notice.foreign
        if report is None or not self._is_known(report.instrument_id):
            return None
        return OrderRow(
            str(report.account_id),
            report.venue_id,
            self._ref(report.instrument_id),
            None,
            report.side.value,
            report.order_type.value,
            report.price_units,
            report.size_units,
            report.filled_units,
            report.state.value,
            report.reason,
            report.venue_ns or notice.now_ns,
            notice.now_ns,
            report.venue_id,
        )


def _exact(value: Decimal) -> str:
    """Return plain digits: `str` may write an exponent."""
    return format(value, "f")
