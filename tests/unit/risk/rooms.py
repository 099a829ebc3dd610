"""A gate with a book, an account and a view, for the tests of the gate."""

from decimal import Decimal
from typing import Any

from tests.unit.portfolio.worlds import ACCOUNT, ALPHA, DAY_NS, linear, portfolio_with
from tickwright.book.order_book import OrderBook
from tickwright.core.identity import StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, OrderType, Side
from tickwright.core.verdicts import Approved, Rejected, Verdict
from tickwright.risk import Gate, RiskLimits, RiskView

NOW_NS = 20_000 * DAY_NS
WIDE = RiskLimits(
    position_percent_max=Decimal(1_000),
    exposure_percent_max=Decimal(1_000),
    leverage_max=Decimal(10),
    order_notional_usdt_max=Decimal(1_000_000),
    daily_loss_percent_max=Decimal(50),
    drawdown_percent_max=Decimal(50),
    orders_per_second_max=1_000,
    orders_per_minute_max=10_000,
    open_orders_per_instrument_max=100,
)
"""Limits nobody reaches by accident, so that a test meets the one it means."""


def book_of(
    instrument: Instrument, *, mid_units: int = 6_000_000, size_units: int = 1_000
) -> OrderBook:
    book = OrderBook(instrument)
    tick = instrument.tick_units
    bids = [(mid_units - tick * (n + 1), size_units) for n in range(20)]
    asks = [(mid_units + tick * (n + 1), size_units) for n in range(20)]
    book.apply_snapshot(bids, asks, update_id=1, received_ns=NOW_NS)
    return book


class Desk:
    """One instrument, one account of 10,000 USDT, one gate."""

    def __init__(
        self,
        limits: RiskLimits = WIDE,
        *,
        instrument: Instrument | None = None,
        usdt: int = 10_000,
        mid_units: int = 6_000_000,
    ) -> None:
        self.instrument = instrument or linear()
        self.portfolio = portfolio_with(self.instrument, usdt=usdt)
        self.portfolio.set_mark(self.instrument.id, mid_units)
        self.portfolio.start_day(NOW_NS)
        self.book: OrderBook | None = book_of(self.instrument, mid_units=mid_units)
        self.view = RiskView(self.portfolio, ready_accounts={ACCOUNT})
        self.gate = Gate(limits)
        self.now_ns = NOW_NS

    def intent(self, side: Side = Side.BUY, size_units: int = 10, **changes: Any) -> OrderIntent:
        fields: dict[str, Any] = {
            "instrument_id": self.instrument.id,
            "side": side,
            "size_units": size_units,
            "price_units": 6_000_000,
        }
        fields.update(changes)
        if fields.get("order_type") is OrderType.MARKET:
            fields.setdefault("price_units", None)
            fields["price_units"] = None
        return OrderIntent(**fields)

    def ask(self, intent: OrderIntent, *, strategy_id: StrategyId = ALPHA) -> Verdict:
        return self.gate.check(
            intent,
            strategy_id=strategy_id,
            account_id=ACCOUNT,
            event_id=1,
            now_ns=self.now_ns,
            book=self.book,
            instrument=self.instrument,
            view=self.view,
        )

    def approve(self, intent: OrderIntent) -> Approved:
        verdict = self.ask(intent)
        assert isinstance(verdict, Approved), str(verdict)
        return verdict

    def reject(self, intent: OrderIntent) -> Rejected:
        verdict = self.ask(intent)
        assert isinstance(verdict, Rejected), str(verdict)
        # A refusal always has the value and the bound in it.
        assert verdict.check.value
        assert verdict.check.bound
        return verdict
