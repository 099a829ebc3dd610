"""Owns users' resting orders of one side by price, then time; refuses to match them.

Prices are signed keys (bids +price, asks -price) in one ascending list: the best is last, and one
routine serves both sides.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from tests.oracle.matching.orders import BookOrder
from tickwright.core.orders import Side

__all__ = ["OwnSide"]


class OwnSide:
    """Users' orders of one side, oldest first at each price; `ahead_units` never falls along it."""

    __slots__ = ("keys", "queues", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.keys: list[int] = []
        self.queues: dict[int, list[BookOrder]] = {}

    def __bool__(self) -> bool:
        return bool(self.keys)

    def __iter__(self) -> Iterator[BookOrder]:
        """Yield the orders in price-time order."""
        for key in reversed(self.keys):
            yield from self.queues[key]

    def best_price(self) -> int:
        """Return the best price; the side must not be empty."""
        return self.side * self.keys[-1]

    def best_queue(self) -> list[BookOrder]:
        """Return the orders at the best price, oldest first; the side must not be empty."""
        return self.queues[self.keys[-1]]

    def at(self, price_units: int) -> list[BookOrder]:
        """Return the orders at a price, oldest first; empty when none."""
        return self.queues.get(self.side * price_units, [])

    def add(self, order: BookOrder) -> None:
        """Queue an order last at its price."""
        key = self.side * order.price_units
        queue = self.queues.get(key)
        if queue is None:
            insort(self.keys, key)
            self.queues[key] = [order]
        else:
            queue.append(order)

    def remove(self, order: BookOrder) -> None:
        """Take an order out; it must be in."""
        key = self.side * order.price_units
        queue = self.queues[key]
        if queue[0] is order:
            del queue[0]
        else:
            queue.remove(order)
        if not queue:
            del self.queues[key]
            if self.keys[-1] == key:
                self.keys.pop()
            else:
                del self.keys[bisect_left(self.keys, key)]

    @staticmethod
    def advance(queue: list[BookOrder], traded_units: int) -> None:
        """Count external size before these orders as traded away."""
        for order in queue:
            ahead = order.ahead_units - traded_units
            order.ahead_units = max(0, ahead)

    @staticmethod
    def cap(queue: list[BookOrder], external_units: int) -> None:
        """Bound each place by what is left at the price: no more than that can be before it."""
        # The last place is the largest: it says whether any is beyond the bound.
        if queue[-1].ahead_units > external_units:
            for order in queue:
                order.ahead_units = min(order.ahead_units, external_units)
