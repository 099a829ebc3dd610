"""A hand-made feed with our requests in it: who comes first is decided by the nanosecond.

Our requests arrive `latency_ns` after they were sent; what the market does in the nanosecond of
their arrival comes before them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tickwright.core.orders import Side
from tickwright.matching import (
    BookOrder,
    Cancelled,
    Execution,
    ExternalLevels,
    MatchEvent,
    MatchingBook,
    OrderIds,
)

__all__ = ["Tape"]

_MARKET, _OURS = 0, 1


@dataclass
class Tape:
    """Rows by time; `run` plays them and keeps what the engine told."""

    bids: dict[int, int]
    asks: dict[int, int]
    latency_ns: int = 10
    events: list[MatchEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.levels = ExternalLevels()
        for side, prices in ((Side.BUY, self.bids), (Side.SELL, self.asks)):
            for price, size in prices.items():
                self.levels.set_level(side, price, size)
        self.ids = OrderIds()
        self.book = MatchingBook(self.levels, new_id=self.ids)
        self._rows: list[tuple[int, int, int, Callable[[int], Any]]] = []

    def trade(self, at_ns: int, aggressor: Side, price: int, size: int) -> None:
        """Let a trade print."""
        self._add(at_ns, _MARKET, lambda now: self.book.on_trade(aggressor, price, size, now))

    def level(self, at_ns: int, side: Side, price: int, size: int) -> None:
        """Let a level change."""
        self.change(at_ns, (side, price, size))

    def change(self, at_ns: int, *levels: tuple[Side, int, int]) -> None:
        """Let the levels of one message change together."""

        def apply(now_ns: int) -> None:
            for side, price, size in levels:
                self.levels.set_level(side, price, size)
            self.book.on_book_change(now_ns)

        self._add(at_ns, _MARKET, apply)

    def send(self, at_ns: int, side: Side, size: int, price: int, **terms: Any) -> BookOrder:
        """Send an order."""
        account = terms.pop("account", 1)
        order = BookOrder(self.ids(), account, side, size, price, **terms)
        self._add(at_ns + self.latency_ns, _OURS, lambda now: self.book.submit(order, now))
        return order

    def cancel(self, at_ns: int, order: BookOrder) -> None:
        """Send a cancel."""
        arrival = at_ns + self.latency_ns
        self._add(arrival, _OURS, lambda now: self.book.cancel(order.order_id, now))

    def run(self) -> None:
        """Play all rows in order."""
        for at_ns, _, _, act in sorted(self._rows, key=lambda row: row[:3]):
            act(at_ns)
            self.events += self.book.drain()

    def fills(self, *orders: BookOrder) -> list[tuple[int, int, int]]:
        """Return (time, price, size) of the fills of some orders, or of all."""
        return [
            (event.now_ns, event.price_units, event.size_units)
            for event in self.events
            if isinstance(event, Execution) and (not orders or event.order in orders)
        ]

    def end(self, order: BookOrder) -> tuple[int, str] | None:
        """Return when and why an order was cancelled; None when it was not."""
        for event in self.events:
            if isinstance(event, Cancelled) and event.order is order:
                return event.now_ns, event.reason.value
        return None

    def _add(self, at_ns: int, rank: int, act: Callable[[int], Any]) -> None:
        self._rows.append((at_ns, rank, len(self._rows), act))
