"""Owns resting at one price with only a part shown; refuses to show two parts at a time."""

from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side, TimeInForce
from tickwright.core.work import Iceberg
from tickwright.execution.algorithms.steps import Finish, Place, Step, View, Wait, child_units

__all__ = ["RETRY_MS", "IcebergPlanner"]

_MS = 1_000_000
RETRY_MS = 250
"""After a part that ended without a fill (post-only that would have taken, say)."""


class IcebergPlanner:
    """Plans one iceberg."""

    __slots__ = ("_end_ns", "_instrument", "_wish")

    def __init__(self, wish: Iceberg, side: Side, instrument: Instrument, started_ns: int) -> None:
        del side  # It rests at its own price, whatever the book does.
        self._wish = wish
        self._instrument = instrument
        self._end_ns = started_ns + wish.give_up_ms * _MS

    def next(self, view: View) -> Step:
        """Say what comes next."""
        wish = self._wish
        if view.now_ns >= self._end_ns:
            return Finish(f"gave up after {wish.give_up_ms} ms")
        if view.child is not None:
            return Wait(self._end_ns)
        size_units = child_units(min(wish.shown_units, view.remaining_units), self._instrument)
        if not size_units:
            if child_units(view.remaining_units, self._instrument):
                return Finish("the part to show is smaller than an order may be")
            return Finish("the rest is too small for an order", is_done=True)
        due_ns = view.last_sent_ns + RETRY_MS * _MS
        if view.is_last_empty and view.now_ns < due_ns:
            return Wait(min(due_ns, self._end_ns))
        price = wish.price_units
        return Place(price, size_units, TimeInForce.GTC, price, post_only=wish.post_only)
