"""Owns a size spread evenly over time: the schedule, made once, and what is due by it.

Refuses floats where sizes add up: the sizes of a schedule are whole lots and sum to the size
exactly. All chance is drawn when the schedule is made.
"""

from random import Random

import msgspec

from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side, TimeInForce
from tickwright.core.work import Twap
from tickwright.execution.algorithms.steps import (
    Finish,
    Place,
    Step,
    View,
    Wait,
    beyond,
    child_units,
    is_worse,
)

__all__ = ["RETRY_MS", "Slice", "TwapPlanner", "schedule"]

_MS = 1_000_000
_PARTS = 10**6
RETRY_MS = 50
"""Between two tries of what is due when the first found nothing."""


class Slice(msgspec.Struct, frozen=True, gc=False):
    """One slice: when it is due and its own size."""

    due_ns: int
    size_units: int


def schedule(
    wish: Twap, size_units: int, instrument: Instrument, started_ns: int, random: Random
) -> tuple[Slice, ...]:
    """Return the slices of a size: whole lots that sum to it (a rest below a lot goes to nobody).

    The first is due at once. There are fewer slices than asked for when they would be smaller than
    an order may be.
    """
    lot = instrument.lot_units
    lots = size_units // lot
    least = -(-max(1, instrument.size_min_units) // lot)
    count = max(1, min(wish.slices, lots // least))
    slot_ns = wish.duration_ms * _MS // count
    spread = round(wish.randomise_fraction * _PARTS)
    # What keeps every slice an order is given out first; only the rest varies.
    free = lots - count * least if lots >= count * least else 0
    base = lots - free
    weights = [_PARTS + random.randint(-spread, spread) for _ in range(count)]
    jitter_ns = slot_ns * spread // _PARTS
    slices = []
    given = weight = 0
    for number in range(count):
        weight += weights[number]
        # Even shares of what every slice must have, then the weighted share of the rest.
        until = base * (number + 1) // count + free * weight // sum(weights)
        due_ns = started_ns + number * slot_ns
        if number:
            due_ns += random.randrange(jitter_ns + 1)
        slices.append(Slice(due_ns, (until - given) * lot))
        given = until
    return tuple(slices)


class TwapPlanner:
    """Plans one time-weighted size."""

    __slots__ = (
        "_due_units",
        "_end_ns",
        "_instrument",
        "_next",
        "_side",
        "_size",
        "_until_units",
        "_wish",
        "slices",
    )

    def __init__(
        self,
        wish: Twap,
        side: Side,
        size_units: int,
        instrument: Instrument,
        started_ns: int,
        random: Random,
    ) -> None:
        self._wish = wish
        self._side = side
        self._size = size_units
        self._instrument = instrument
        self.slices = schedule(wish, size_units, instrument, started_ns, random)
        self._end_ns = started_ns + wish.duration_ms * _MS
        self._next = 0
        self._due_units = 0
        """Scheduled up to the slice that is due."""
        self._until_units = 0
        """Where the slice that is due may bring the filled size."""

    def next(self, view: View) -> Step:
        """Say what comes next."""
        if view.child is not None:
            return Wait(max(self._end_ns, view.now_ns + RETRY_MS * _MS))
        instrument, slices = self._instrument, self.slices
        if not child_units(view.remaining_units, instrument):
            return Finish("the rest is too small for an order", is_done=True)
        filled = self._size - view.remaining_units
        own_units = 0
        while self._next < len(slices) and view.now_ns >= slices[self._next].due_ns:
            own_units = slices[self._next].size_units
            self._due_units += own_units
            self._next += 1
        if own_units:
            # What earlier slices could not get comes on top, at most the slice's own size again.
            self._until_units = min(self._due_units, filled + 2 * own_units)
        if view.now_ns >= self._end_ns:
            return Finish("not to be had within the cap by the end")
        following_ns = slices[self._next].due_ns if self._next < len(slices) else self._end_ns
        wished = min(self._until_units - filled, view.remaining_units)
        size_units = child_units(max(0, wished), instrument)
        if not size_units:
            return Wait(following_ns)
        touch = view.ask if self._side is Side.BUY else view.bid
        if touch is None:
            return Wait(following_ns)
        price = beyond(touch, self._wish.slippage_bps_max, self._side, instrument)
        cap = self._wish.price_units
        if cap is not None and is_worse(price, cap, self._side):
            price = cap
        if is_worse(touch, price, self._side):
            # Beyond the cap: the market must come back.
            return Wait(following_ns)
        due_ns = view.last_sent_ns + RETRY_MS * _MS
        if view.is_last_empty and view.now_ns < due_ns:
            return Wait(min(due_ns, following_ns))
        return Place(price, size_units, TimeInForce.IOC, price)
