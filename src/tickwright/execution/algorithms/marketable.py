"""Owns taking a size now within a slippage cap; refuses to move the cap once it stands.

The cap is measured from the touch it started at, so that tries after the first pay no more.
"""

from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side, TimeInForce
from tickwright.core.work import Marketable
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

__all__ = ["RETRY_MS", "MarketablePlanner"]

_MS = 1_000_000
RETRY_MS = 50
"""Between a try that found nothing and the next: the book needs time to show why."""


class MarketablePlanner:
    """Plans one size taken at once."""

    __slots__ = ("_end_ns", "_instrument", "_side", "_wish", "worst")

    def __init__(
        self, wish: Marketable, side: Side, instrument: Instrument, started_ns: int
    ) -> None:
        self._wish = wish
        self._side = side
        self._instrument = instrument
        self._end_ns = started_ns + wish.give_up_ms * _MS
        self.worst: int | None = None

    def next(self, view: View) -> Step:
        """Say what comes next."""
        if view.child is not None:
            # At once or not at all: its end is under way.
            return Wait(max(self._end_ns, view.now_ns + RETRY_MS * _MS))
        size_units = child_units(view.remaining_units, self._instrument)
        if not size_units:
            return Finish("the rest is too small for an order", is_done=True)
        if view.now_ns >= self._end_ns:
            return Finish(f"not to be had within the cap in {self._wish.give_up_ms} ms")
        touch = view.ask if self._side is Side.BUY else view.bid
        if touch is None:
            return Wait(self._end_ns)
        if self.worst is None:
            wish = self._wish
            self.worst = beyond(touch, wish.slippage_bps_max, self._side, self._instrument)
        if is_worse(touch, self.worst, self._side):
            return Wait(self._end_ns)
        due_ns = view.last_sent_ns + RETRY_MS * _MS
        if view.is_last_empty and view.now_ns < due_ns:
            return Wait(min(due_ns, self._end_ns))
        return Place(self.worst, size_units, TimeInForce.IOC, self.worst)
