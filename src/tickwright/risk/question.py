"""Owns what a check is asked about, and the forms of its answer; refuses to judge.

A `Test` says yes or no. A `Room` says how many size units a limit still allows, so that an order
may shrink to it. Both can put their limit, value and bound into words, which happens only when
somebody reads them. All figures are whole numbers; a missing price or equity refuses and is never
zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent
from tickwright.core.restrictions import Restriction
from tickwright.core.units import money_to_decimal
from tickwright.core.verdicts import Check, Reason
from tickwright.portfolio.account import Account, Holding
from tickwright.risk.bound_limits import BoundLimits

if TYPE_CHECKING:
    from tickwright.risk.memory import AccountMemory

__all__ = [
    "CLOSING_RATE_FACTOR",
    "WORTH_UNITS",
    "Question",
    "Room",
    "Test",
    "Words",
    "bps_text",
    "missing_text",
    "money_text",
    "percent_text",
    "size_text",
    "worth_of",
]

CLOSING_RATE_FACTOR = 2
"""Closing orders may use this many times the order rates, so that openings can't starve an exit."""
WORTH_UNITS = 10**12
"""Size whose worth is measured when that of one unit is no whole number of money units."""


class Question:
    """One intent with everything the checks look at; the gate fills it anew each time.

    `price_units` is the mark, or the mid where there is none. One size unit is worth
    `worth` / `worth_scale` money units of the equity asset. `held_units` is what the order's
    direction holds already with working orders: position + buys for a buy, sells - position for a
    sell. `closable_units` is how much a closing order can close.
    """

    __slots__ = (
        "account",
        "book",
        "clock_skew_ns",
        "closable_units",
        "engine_halt",
        "equity",
        "has_drawdown_breach",
        "has_loss_breach",
        "held_units",
        "holding",
        "instrument",
        "instrument_halt",
        "intent",
        "is_account_ready",
        "is_closing",
        "limits",
        "memory",
        "mid_twice_units",
        "now_ns",
        "order_size_units",
        "orders_in_minute",
        "orders_in_second",
        "price_units",
        "restriction",
        "size_units",
        "strategy_halt",
        "strategy_id",
        "worth",
        "worth_scale",
    )

    intent: OrderIntent
    instrument: Instrument
    book: OrderBook | None
    account: Account
    holding: Holding
    limits: BoundLimits
    memory: "AccountMemory"
    strategy_id: StrategyId
    clock_skew_ns: int | None
    order_size_units: int
    now_ns: int
    size_units: int
    is_closing: bool
    closable_units: int
    held_units: int
    mid_twice_units: int | None
    price_units: int | None
    equity: int | None
    worth: int
    worth_scale: int
    engine_halt: str
    strategy_halt: str
    instrument_halt: str
    restriction: Restriction | None
    is_account_ready: bool
    has_loss_breach: bool
    has_drawdown_breach: bool
    orders_in_second: int
    orders_in_minute: int


Words = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Test:
    """A limit that is kept or not."""

    reason: Reason
    passes: Callable[[Question], bool]
    words: Callable[[Question], Words]
    """Value and bound, for people."""

    def check(self, question: Question) -> Check:
        """Put the limit into words."""
        value, bound = self.words(question)
        return Check(self.reason, value, bound)


@dataclass(frozen=True, slots=True)
class Room:
    """A limit with so many size units left."""

    reason: Reason
    units: Callable[[Question], int]
    words: Callable[[Question], Words]

    def check(self, question: Question) -> Check:
        """Put the limit into words."""
        value, bound = self.words(question)
        return Check(self.reason, value, bound)


def money_text(question: Question, amount: int) -> str:
    """Write money of the equity asset."""
    return f"{money_to_decimal(amount):.2f} {question.account.valuer.equity_asset}"


def percent_text(parts: int) -> str:
    """Write parts per million as per cent."""
    return f"{parts / 10_000:g} %"


def bps_text(parts: int) -> str:
    """Write parts per million as basis points."""
    return f"{parts / 100:g} bps"


def size_text(question: Question, size_units: int) -> str:
    """Write a size in the instrument's decimals."""
    return f"size {question.instrument.size_text(size_units)}"


def missing_text(question: Question) -> str:
    """Name what has no price."""
    return "no price or balance for " + ", ".join(question.account.missing()[:5])


def worth_of(question: Question, size_units: int) -> int:
    """Return the worth of a size in the equity asset at the question's price."""
    return size_units * question.worth // question.worth_scale
