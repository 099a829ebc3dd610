"""Owns the passive quote: where it rests, when it moves, how far it goes; refuses to take.

It rests at the touch of its own side, measured without itself: alone at the best price it steps
back to the others. It never crosses its worst price, `chase_bps_max` from the touch it started at.
"""

from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side, TimeInForce
from tickwright.core.work import FollowTouch
from tickwright.execution.algorithms.steps import (
    Finish,
    Move,
    Place,
    Step,
    View,
    Wait,
    beyond,
    child_units,
    is_worse,
)

__all__ = ["FollowPlanner"]

_MS = 1_000_000


class FollowPlanner:
    """Plans one passive quote. `worst_units` is fixed by the first touch that was seen."""

    __slots__ = ("_end_ns", "_instrument", "_offset_units", "_pause_ns", "_side", "_wish", "worst")

    def __init__(
        self, wish: FollowTouch, side: Side, instrument: Instrument, started_ns: int
    ) -> None:
        self._wish = wish
        self._side = side
        self._instrument = instrument
        self._offset_units = wish.offset_ticks * instrument.tick_units
        self._pause_ns = wish.amend_ms_min * _MS
        self._end_ns = started_ns + wish.give_up_ms * _MS
        self.worst: int | None = None

    def next(self, view: View) -> Step:
        """Say what comes next."""
        if view.now_ns >= self._end_ns:
            return Finish(f"gave up after {self._wish.give_up_ms} ms")
        child = view.child
        size_units = child_units(view.remaining_units, self._instrument)
        if child is None and not size_units:
            return Finish("the rest is too small for an order", is_done=True)
        target = self.target(view)
        if target is None or (child is not None and target == child.price_units):
            return Wait(self._end_ns)
        due_ns = view.last_sent_ns + self._pause_ns if view.last_sent_ns else 0
        # What follows a filled part is no move of the quote, and needn't wait for one.
        is_refill = child is None and not view.is_last_empty
        if view.now_ns < due_ns and not is_refill:
            return Wait(min(due_ns, self._end_ns))
        if child is None:
            assert self.worst is not None, "a target was measured from a first touch"
            return Place(target, size_units, TimeInForce.GTC, self.worst, post_only=True)
        return Move(target) if child.is_movable else Wait(self._end_ns)

    def target(self, view: View) -> int | None:
        """Return where the quote belongs now; None while a side of the book is empty."""
        bid, ask = view.bid, view.ask
        if bid is None or ask is None:
            return None
        side, instrument = self._side, self._instrument
        touch = bid if side is Side.BUY else ask
        if self.worst is None:
            self.worst = beyond(touch, self._wish.chase_bps_max, side, instrument)
        price = touch - side * self._offset_units
        if is_worse(price, self.worst, side):
            price = self.worst
        tick = instrument.tick_units
        low = -(-instrument.price_min_units // tick) * tick
        return min(max(price, low), instrument.price_max_units // tick * tick)
