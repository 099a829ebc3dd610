"""Owns the port to others' resting size; refuses to hold any of it.

`Liquidity` is what the engine asks of a book of aggregated levels that a market source drives.
Taken size stays taken until the source next sets the level: that is the implementer's promise.
"""

from typing import Protocol

from tickwright.core.orders import Side

__all__ = ["Level", "Liquidity"]

Level = tuple[int, int]
"""(price_units, size_units)."""


class Liquidity(Protocol):
    """External levels that users' orders rest among. As a place, `Side.BUY` is the bids."""

    def best(self) -> tuple[Level | None, Level | None]:
        """Return the best bid and ask, users' orders included."""

    def levels(self, side: Side, limit: int | None = None) -> list[Level]:
        """Return a side's levels best first, users' orders included."""

    def external_size(self, side: Side, price_units: int) -> int:
        """Return the external size resting at a price."""

    def add_own(self, side: Side, price_units: int, size_units: int) -> None:
        """Show a user's resting size."""

    def remove_own(self, side: Side, price_units: int, size_units: int) -> None:
        """Take a user's resting size back."""

    def take(self, side: Side, size_units: int, limit_price_units: int | None) -> list[Level]:
        """Consume external size as an aggressor on `side`, best first, within the limit price."""
