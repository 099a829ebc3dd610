"""Owns who is who: instruments, accounts, strategies, position legs.

Refuses to guess any of them.
"""

import enum
from typing import NewType

import msgspec

from tickwright.core.errors import ConfigError

__all__ = ["AccountId", "Category", "ClientId", "InstrumentId", "Leg", "StrategyId", "VenueOrderId"]

StrategyId = NewType("StrategyId", str)
"""Name of one configured strategy, unique within a process."""
ClientId = NewType("ClientId", str)
"""Our name for an order: strategy tag + epoch + counter, at most 32 letters and digits."""
VenueOrderId = NewType("VenueOrderId", str)
"""The venue's name for an order."""


class Category(enum.Enum):
    """Product line of a venue: the same symbol may exist in several."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"
    OPTION = "option"

    def __lt__(self, other: object) -> bool:
        """Order by name: instruments of several categories are listed in one order everywhere."""
        return self.value < other.value if isinstance(other, Category) else NotImplemented


class Leg(enum.Enum):
    """Which position of an account an order or fill belongs to.

    The net one, or one side of a hedge.
    """

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    NET = "net"
    LONG = "long"
    SHORT = "short"


class InstrumentId(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """Names one tradable contract or pair: venue + category + the venue's own symbol."""

    venue: str
    category: Category
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.category.value}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> "InstrumentId":
        """Read the form `venue:category:SYMBOL`.

        Raises:
            ConfigError: a part is missing or the category doesn't exist.
        """
        parts = text.split(":")
        if len(parts) != 3 or not all(parts):
            raise ConfigError(f"instrument {text!r} must be written venue:category:SYMBOL")
        try:
            category = Category(parts[1])
        except ValueError:
            known = ", ".join(c.value for c in Category)
            raise ConfigError(f"instrument {text!r}: category must be one of {known}") from None
        return cls(parts[0], category, parts[2])


class AccountId(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """Names one account at one venue, by the name the configuration gives it."""

    venue: str
    name: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.name}"
