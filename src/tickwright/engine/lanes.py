"""Owns what the engine keeps per order book: the book, who listens and what is watched on it."""

from collections.abc import Callable
from typing import Any, cast

from tickwright.book.order_book import OrderBook
from tickwright.core.events import FundingUpdate
from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.signals import Decision
from tickwright.core.verdicts import Rejected
from tickwright.engine.range_volatility import RangeVolatility
from tickwright.execution.algorithms.work_file import WorkFile
from tickwright.execution.position_plan import PositionPlan
from tickwright.risk.round_trips import RoundTrips
from tickwright.risk.sizing import ClosedReturns
from tickwright.strategy.base import Strategy
from tickwright.strategy.context import StrategyContext
from tickwright.strategy.indicators import RealisedVolatility

__all__ = ["TIMERS_MAX", "Call", "Lane", "StrategyRun"]

Callback = Callable[[Any], Decision]
Call = tuple["StrategyRun", Callback]
"""Whom to call and what."""

CALLBACKS = (
    "on_account",
    "on_book",
    "on_book_state",
    "on_fill",
    "on_market",
    "on_order",
    "on_start",
    "on_stop",
    "on_timer",
    "on_trade",
    "on_work",
)
TIMERS_MAX = 1_000
"""Named timers a strategy may have waiting."""


class StrategyRun:
    """One configured strategy: the object, its context, and what became of it.

    `halt_reason` is "" while it runs; a halted strategy is never called again until resumed.
    """

    __slots__ = (
        "calls",
        "context",
        "exit_count",
        "fill_count",
        "halt_reason",
        "last_refusals",
        "order_count",
        "refusals",
        "returns",
        "signal_count",
        "strategy",
        "strategy_id",
        "timers",
        "trades",
        "wakes_on_touch",
    )

    def __init__(self, strategy: Strategy, context: StrategyContext) -> None:
        self.strategy = strategy
        self.context = context
        self.strategy_id: StrategyId = context.strategy_id
        self.halt_reason = ""
        self.calls: dict[str, tuple[Call, ...]] = {
            name: ((self, _one_argument(strategy, name)),) if self._listens(name) else ()
            for name in CALLBACKS
        }
        """The callbacks the strategy overrides, ready to be called."""
        self.wakes_on_touch = type(strategy).wakes_on == "touch"
        self.timers: dict[str, int] = {}
        """When each is due that the strategy waits for; at most `TIMERS_MAX`."""
        self.signal_count = 0
        self.exit_count = 0
        self.order_count = 0
        self.fill_count = 0
        self.refusals: dict[str, int] = {}
        self.last_refusals: dict[str, Rejected] = {}
        """The last words of each reason, put together when somebody reads them."""
        self.returns = ClosedReturns()
        """Kelly reads them."""
        self.trades = RoundTrips()
        """Trades under way, each of which becomes one of `returns`."""

    def _listens(self, name: str) -> bool:
        return getattr(type(self.strategy), name) is not getattr(Strategy, name)


def _one_argument(strategy: Strategy, name: str) -> Callback:
    bound = getattr(strategy, name)
    if name in ("on_start", "on_stop"):
        return lambda _: bound()
    return cast(Callback, bound)


class Lane:
    """One order book with its listeners. The tuples are rebuilt when a strategy halts or resumes.

    `watch` holds the plans whose bracket must be compared with every update; `marks_from_mid` says
    that no venue mark ever came and positions or orders need one.
    """

    __slots__ = (
        "book",
        "book_calls",
        "funding",
        "has_venue_mark",
        "index_units",
        "instrument",
        "instrument_id",
        "is_busy",
        "mark_due_ns",
        "market_calls",
        "marks_from_mid",
        "on_change",
        "plans",
        "ranges",
        "slot",
        "state_calls",
        "touch",
        "touch_calls",
        "trade_calls",
        "volatility",
        "watch",
        "works",
    )

    def __init__(self, slot: int, book: OrderBook, volatility_window: int) -> None:
        self.slot = slot
        self.book = book
        self.instrument_id: InstrumentId = book.instrument_id
        self.instrument: Instrument = book.instrument
        self.book_calls: tuple[Call, ...] = ()
        self.touch_calls: tuple[Call, ...] = ()
        """Those who listen to `book` when its touch changes."""
        self.touch: tuple[int | None, ...] = ()
        self.trade_calls: tuple[Call, ...] = ()
        self.market_calls: tuple[Call, ...] = ()
        self.state_calls: tuple[Call, ...] = ()
        self.plans: list[PositionPlan] = []
        self.watch: tuple[PositionPlan, ...] = ()
        self.works: list[WorkFile] = []
        self.on_change: Callable[[int], None] | None = None
        self.is_busy = False
        self.has_venue_mark = False
        self.marks_from_mid = False
        self.mark_due_ns = 0
        self.index_units: int | None = None
        self.funding: FundingUpdate | None = None
        self.volatility = RealisedVolatility(volatility_window)
        self.ranges = RangeVolatility()

    def settle(self) -> None:
        """Refresh what a book update must look at, after a plan or the source of marks changed."""
        self.watch = tuple(plan for plan in self.plans if plan.is_watching)
        self.is_busy = bool(self.watch) or self.marks_from_mid or bool(self.works)
        self.changed()

    def changed(self) -> None:
        """Tell whoever walks this book by itself that somebody else listens or holds."""
        if self.on_change is not None:
            self.on_change(self.slot)

    def has_new_touch(self) -> bool:
        """Whether the best prices or their sizes differ from those last asked about."""
        book = self.book
        touch = (book.best_bid, book.best_bid_size, book.best_ask, book.best_ask_size)
        if touch == self.touch:
            return False
        self.touch = touch
        return True

    def sample(self) -> int | None:
        """Take twice the mid for the volatility and return it; None of a book that isn't synced."""
        book = self.book
        twice = book.mid_twice_units if book.is_synced else None
        if twice is not None and twice > 0:
            self.volatility.update(twice)
            self.ranges.update(twice)
        else:
            self.volatility.reset()
            self.ranges.reset()
        return twice
