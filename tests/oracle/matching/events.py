"""What the plain engine reports: the same records with the same names and fields."""

import msgspec

from tests.oracle.matching.orders import BookOrder
from tickwright.matching.kinds import CancelReason, FillCause

__all__ = [
    "Amended",
    "Armed",
    "Cancelled",
    "Execution",
    "MatchEvent",
    "StopsChanged",
    "Trimmed",
    "Triggered",
    "Working",
]


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
