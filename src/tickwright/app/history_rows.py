"""Owns turning what an engine lives through into rows of history; refuses to slow or change it.

Each row's offset is the number of the engine's input, so that a run and a replay of its session
give the same rows at the same offsets.
"""

from collections.abc import Callable, Iterable

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
    Reconciliation,
    SyncReport,
    Trade,
)
from tickwright.core.identity import InstrumentId
from tickwright.core.orders import Fill
from tickwright.core.verdicts import Rejected
from tickwright.engine.engine import Engine
from tickwright.storage.history.rows import (
    CandleRow,
    EquityRow,
    ExecutionRow,
    FundingRow,
    HistoryRow,
    InstrumentRef,
    LevelRow,
    OrderRow,
    PositionRow,
    RiskEventRow,
    SignalRow,
    TopRow,
    TradeRow,
)

__all__ = ["EngineRows"]

SECOND_NS = 1_000_000_000


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
        self._refs: dict[InstrumentId, tuple[int, InstrumentRef]] = {}
        self.unknown = 0
        """Fills and orders of instruments that this engine doesn't know; no row holds them."""
        self._fundings: dict[InstrumentId, tuple[int, int]] = {}

    @property
    def count(self) -> int:
        """Rows that wait."""
        return len(self._rows)

    def take(self) -> list[tuple[int, HistoryRow]]:
        """Return and forget the rows so far, in the order of their offsets."""
        rows, self._rows = self._rows, []
        rows.sort(key=_offset)
        return rows

    def on_input(self, event: Input) -> None:
        """Take note of an input that the engine has just taken."""
        if isinstance(event, Trade):
            self._add(
                TradeRow(
                    self._ref(event.instrument_id),
                    event.venue_ns or event.received_ns,
                    event.received_ns,
                    event.price_units,
                    event.size_units,
                    event.side.value,
                    event.sequence,
                    event.is_block,
                    event.trade_id,
                )
            )
        elif isinstance(event, Fill):
            self._fill(event)
        elif isinstance(event, SyncReport):
            self._fills(event)
        elif isinstance(event, Reconciliation):
            self._fills(event.report)
        elif isinstance(event, CandleUpdate):
            if event.is_final:
                self._candle(event)
        elif isinstance(event, FundingUpdate):
            self._funding(event)

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
        if not self._sample_ns or now_ns // self._sample_ns <= self._sampled:
            return
        self._sampled = now_ns // self._sample_ns
        at_ns = self._sampled * self._sample_ns
        for book in self._books():
            if book.is_synced:
                self._sample_book(book, at_ns)
        summary = self._engine.summary()
        for one in summary.positions:
            self._add(
                PositionRow(
                    at_ns,
                    one.account,
                    one.strategy_id,
                    one.instrument,
                    str(one.size),
                    None if one.entry_price is None else str(one.entry_price),
                    str(one.realised),
                    None if one.unrealised is None else str(one.unrealised),
                    str(one.funding),
                )
            )
        for account in summary.accounts:
            self._add(
                EquityRow(
                    at_ns,
                    account.account,
                    *(
                        None if figure is None else str(figure)
                        for figure in (account.equity, account.exposure, account.day_loss)
                    ),
                )
            )

    def _sample_book(self, book: OrderBook, at_ns: int) -> None:
        ref = InstrumentRef.of(book.instrument)
        self._add(
            TopRow(
                ref,
                at_ns,
                book.best_bid or 0,
                book.best_bid_size or 0,
                book.best_ask or 0,
                book.best_ask_size or 0,
                book.update_id,
            )
        )
        if not self._levels:
            return
        for side, levels in ((1, book.bids(self._levels)), (-1, book.asks(self._levels))):
            for number, (price_units, size_units) in enumerate(levels, start=1):
                self._add(LevelRow(ref, at_ns, side, number, price_units, size_units))

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
        instrument = self._engine.state.instrument(instrument_id)
        known = self._refs.get(instrument_id)
        if known is None or known[0] != id(instrument):
            known = self._refs[instrument_id] = (id(instrument), InstrumentRef.of(instrument))
        return known[1]

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
                fill.fee,
                fill.fee_asset,
                fill.cash,
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


def _offset(row: tuple[int, HistoryRow]) -> int:
    return row[0]
