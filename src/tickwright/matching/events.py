"""Owns what the matching engine reports, a record per change of an order; refuses to decide.

Each record carries the order itself and the figures as they were at that moment, because an order
may have moved on before the reader sees the record.
"""

import enum

import msgspec

from tickwright.matching.orders import BookOrder, CancelReason

__all__ = [
    "Amended",
    "Armed",
    "Cancelled",
    "Execution",
    "FillCause",
    "MatchEvent",
    "StopsChanged",
    "Trimmed",
    "Triggered",
    "Working",
]


class FillCause(enum.Enum):
    """What made a fill happen; there is no fill without one."""

    TOOK = "took"
    """The order took resting size on arrival."""
    HIT_BY_ORDER = "hit_by_order"
    """Another user's incoming order took it."""
    HIT_BY_TRADE = "hit_by_trade"
    """An external trade at its price used up the queue before it."""
    TRADED_THROUGH = "traded_through"
    """An external trade printed beyond its price."""
    BOOK_CROSSED = "book_crossed"
    """External resting size appeared at or beyond its price."""


class Working(msgspec.Struct, gc=False):
    """The order (or what an immediate match left of it) rests in the book."""

    order: BookOrder
    remaining_units: int
    ahead_units: int
    now_ns: int


class Armed(msgspec.Struct, gc=False):
    """The conditional order waits for its trigger."""

    order: BookOrder
    now_ns: int


class Triggered(msgspec.Struct, gc=False):
    """The conditional order's price was seen; what it does as an order follows."""

    order: BookOrder
    seen_price_units: int
    now_ns: int


class Execution(msgspec.Struct, gc=False):
    """One fill of one order. The two sides of a match between users share `match_id`.

    `counter_order_id` is the other user's order, 0 when the other side is external.
    """

    order: BookOrder
    match_id: int
    price_units: int
    size_units: int
    remaining_units: int
    filled_units: int
    is_maker: bool
    cause: FillCause
    counter_order_id: int
    now_ns: int


class Amended(msgspec.Struct, gc=False):
    """The order has new terms; without `kept_priority` it queues anew."""

    order: BookOrder
    price_units: int
    size_units: int
    kept_priority: bool
    now_ns: int


class Trimmed(msgspec.Struct, gc=False):
    """A reduce-only order was made smaller to fit its position."""

    order: BookOrder
    size_units: int
    remaining_units: int
    now_ns: int


class Cancelled(msgspec.Struct, gc=False):
    """The order ended with `remaining_units` unfilled."""

    order: BookOrder
    remaining_units: int
    filled_units: int
    reason: CancelReason
    was_armed: bool
    now_ns: int


class StopsChanged(msgspec.Struct, gc=False):
    """A position's take profit or stop loss prices are now these; 0 is none."""

    account: int
    position: int
    take_profit_units: int
    stop_loss_units: int
    now_ns: int


MatchEvent = Working | Armed | Triggered | Execution | Amended | Trimmed | Cancelled | StopsChanged
