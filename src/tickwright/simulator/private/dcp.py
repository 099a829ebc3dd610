"""Owns disconnection protection: cancels an account's orders when its armed sockets stay away.

Refuses sockets. A product is armed by `set_window`; it fires when every private connection that had
subscribed its topic is gone for the window. Connections without the topic don't count. Unlike the
venue, which gives it to institutions alone, every account may have it here, and it counts at once
and not after ten seconds.
"""

from collections.abc import Callable

from tickwright.core.identity import Category
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.refusals import parameter
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["DCP_PRODUCTS", "DCP_TOPICS", "Disconnection"]

DCP_TOPICS = {"dcp.future": "DERIVATIVES", "dcp.spot": "SPOT", "dcp.option": "OPTIONS"}
"""Products by the topic that guards them."""
DCP_PRODUCTS = {
    "DERIVATIVES": Category.LINEAR,
    "SPOT": Category.SPOT,
    "OPTIONS": Category.OPTION,
}

_SECOND_NS = 1_000_000_000


class Disconnection:
    """Windows of every account. `cancel(account, category)` takes everything back."""

    def __init__(self, venue: SimulatedVenue, cancel: Callable[[Account, Category], None]) -> None:
        self._venue = venue
        self._cancel = cancel
        self._windows: dict[tuple[int, str], int] = {}
        self._sockets: dict[tuple[int, str], int] = {}
        self._left: dict[tuple[int, str], int] = {}
        self.fired = 0

    def set_window(self, account: Account, product: str, seconds: int) -> None:
        """Arm a product: 3 to 300 seconds."""
        if product not in DCP_PRODUCTS:
            raise parameter("params error: product invalid")
        if not 3 <= seconds <= 300:
            raise parameter("params error: timeWindow must be 3 to 300")
        self._windows[account.uid, product] = seconds

    def infos(self, account: Account) -> list[dict[str, str]]:
        """Return the armed products as the query shows them."""
        return [
            {"product": product, "dcpStatus": "ON", "timeWindow": str(seconds)}
            for (uid, product), seconds in self._windows.items()
            if uid == account.uid
        ]

    def joined(self, account: Account, topic: str) -> None:
        """Count a connection in that subscribed a guarding topic."""
        key = (account.uid, DCP_TOPICS[topic])
        self._sockets[key] = self._sockets.get(key, 0) + 1

    def left(self, account: Account, topic: str) -> None:
        """Count a connection out; the last one starts the window."""
        product = DCP_TOPICS[topic]
        key = (account.uid, product)
        self._sockets[key] -= 1
        seconds = self._windows.get(key)
        if self._sockets[key] or seconds is None:
            return
        now_ns = self._left[key] = self._venue.now_ns
        self._venue.schedule(
            now_ns + seconds * _SECOND_NS, lambda due_ns: self._fire(account, product, now_ns)
        )

    def _fire(self, account: Account, product: str, left_ns: int) -> None:
        key = (account.uid, product)
        if self._sockets.get(key) or self._left.get(key) != left_ns:
            return  # someone came back, or a later window counts
        self.fired += 1
        self._cancel(account, DCP_PRODUCTS[product])
