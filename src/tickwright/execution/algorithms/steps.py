"""Owns what an execution algorithm looks at and what it may answer; refuses to act.

A planner sees one `View` and answers with one step. At most one child lives at a time, and the
next one is asked for only when the last is settled: every fill here, nothing unanswered. So the
size not filled is exact whenever a planner may place, however a cancel and a fill raced.
"""

import msgspec

from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side, TimeInForce

__all__ = [
    "BPS_PARTS",
    "ChildView",
    "Finish",
    "Move",
    "Place",
    "Step",
    "View",
    "Wait",
    "beyond",
    "child_units",
    "is_worse",
]

BPS_PARTS = 10**5
"""Parts of 10^9 in a basis point."""
_PARTS = 10**9


class ChildView(msgspec.Struct, frozen=True, gc=False):
    """The child that lives. `is_movable`: seen resting, and no request about it is open."""

    price_units: int
    remaining_units: int
    is_movable: bool


class View(msgspec.Struct, frozen=True, gc=False):
    """What a planner decides by. `bid` and `ask` leave our own child out; None is an empty side.

    `last_sent_ns` is when the last child was placed or moved, 0 before the first.
    `is_last_empty` says that the last child ended without a fill.
    """

    now_ns: int
    bid: int | None
    ask: int | None
    remaining_units: int
    child: ChildView | None = None
    last_sent_ns: int = 0
    is_last_empty: bool = False


class Place(msgspec.Struct, frozen=True, gc=False):
    """Send a child. `worst_units` is the worst price the algorithm may reach with it."""

    price_units: int
    size_units: int
    time_in_force: TimeInForce
    worst_units: int
    post_only: bool = False


class Move(msgspec.Struct, frozen=True, gc=False):
    """Give the resting child another price."""

    price_units: int


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Do nothing until `until_ns`, or until something happens."""

    until_ns: int


class Finish(msgspec.Struct, frozen=True, gc=False):
    """End it: withdraw the child that may live. `is_done` says that this is success."""

    reason: str = ""
    is_done: bool = False


Step = Place | Move | Wait | Finish


def beyond(price_units: int, bps: float, side: Side, instrument: Instrument) -> int:
    """Return the price `bps` worse than another for a side, rounded to the tick inward."""
    tick = instrument.tick_units
    distance = price_units * round(bps * BPS_PARTS) // _PARTS // tick * tick
    if side is Side.BUY:
        return min(price_units + distance, instrument.price_max_units // tick * tick)
    return max(price_units - distance, -(-instrument.price_min_units // tick) * tick)


def is_worse(price_units: int, than_units: int, side: Side) -> bool:
    """Whether a side pays more, or gets less, at one price than at another."""
    return (price_units - than_units) * side > 0


def child_units(wished_units: int, instrument: Instrument) -> int:
    """Return the largest size an order may have within a wish; 0 when the wish is too small."""
    lot = instrument.lot_units
    units = min(wished_units, instrument.size_max_units) // lot * lot
    return units if units >= max(1, instrument.size_min_units) else 0
