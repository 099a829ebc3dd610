"""Owns conditional orders waiting for a price, by price, then time; refuses to activate them."""

from bisect import bisect_left, insort

from tests.oracle.matching.orders import BookOrder
from tickwright.core.orders import TriggerBy

__all__ = ["TriggerBook"]

_Entry = tuple[int, int, BookOrder]
"""(signed trigger price, arrival, order): ascending is the order in which a move reaches them."""


class TriggerBook:
    """Waiting orders: a rise reaches the lowest trigger first, a fall the highest."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[tuple[TriggerBy, bool], list[_Entry]] = {
            (by, rises): [] for by in TriggerBy for rises in (True, False)
        }

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._waiting.values())

    def has(self, by: TriggerBy) -> bool:
        """Whether any order waits for this kind of price."""
        return bool(self._waiting[by, True] or self._waiting[by, False])

    def add(self, order: BookOrder) -> None:
        """Let an order wait."""
        insort(self._waiting[order.trigger_by, order.trigger_rises], self._entry(order))

    def remove(self, order: BookOrder) -> None:
        """Take a waiting order out; it must be in."""
        entries = self._waiting[order.trigger_by, order.trigger_rises]
        at = bisect_left(entries, self._entry(order)[:2])
        assert entries[at][2] is order
        del entries[at]

    def pop_due(self, by: TriggerBy, price_units: int) -> BookOrder | None:
        """Take out the first order that this price triggers, or None."""
        rising = self._waiting[by, True]
        if rising and rising[0][0] <= price_units:
            return rising.pop(0)[2]
        falling = self._waiting[by, False]
        if falling and -falling[0][0] >= price_units:
            return falling.pop(0)[2]
        return None

    @staticmethod
    def _entry(order: BookOrder) -> _Entry:
        price = order.trigger_price_units
        return (price if order.trigger_rises else -price, order.arrival, order)
