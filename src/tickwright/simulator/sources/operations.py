"""Owns the words market sources speak: timed operations on a market; refuses wire formats.

A source is an iterator of `TimedOperation`, times rising, in nanoseconds since the market's start.
What an operation holds is fixed when it is yielded; only a `Turn` is decided at its own time.
Prices and sizes are ints in the units of the symbol's `VenueInstrument`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side

if TYPE_CHECKING:
    from tickwright.simulator.book import VenueBook

__all__ = [
    "BookReset",
    "LabelChange",
    "Level",
    "LevelChanges",
    "MarketFacts",
    "MarketSource",
    "Operation",
    "PublicTrade",
    "TimedOperation",
    "TradePrints",
    "Turn",
]

Level = tuple[int, int]
"""(price_units, size_units); size 0 in a change removes the level."""


class BookReset(msgspec.Struct, frozen=True):
    """The whole book: replaces every external level. Order of the levels doesn't matter."""

    bids: list[Level]
    asks: list[Level]


class LevelChanges(msgspec.Struct, frozen=True):
    """Levels whose absolute size changed, applied as one; the book isn't crossed after it.

    `only_sizes` promises that every level rests already and stays: none appears or goes. The lists
    then hold each price once.
    """

    bids: list[Level]
    asks: list[Level]
    only_sizes: bool = False


class PublicTrade(msgspec.Struct, frozen=True, gc=False):
    """One public match: the aggressor's side, price and size."""

    side: Side
    price_units: int
    size_units: int


class TradePrints(msgspec.Struct, frozen=True):
    """Trades of one instant, oldest first; what they take from the book, level changes say."""

    trades: list[PublicTrade]


class MarketFacts(msgspec.Struct, frozen=True, gc=False):
    """What a perpetual's ticker says beside the book; None leaves the venue's own estimate.

    The funding rate is a fraction per interval in units of 10^-8.
    """

    mark_units: int | None = None
    index_units: int | None = None
    funding_e8: int | None = None


class LabelChange(msgspec.Struct, frozen=True):
    """What the market is from now on, in words for people ("synthetic from last book")."""

    label: str


class Turn(msgspec.Struct, frozen=True):
    """The turn of a participant who looks at the market: `act(book)` says what it does.

    The venue calls it when its time has come, with the book as users have left it, and applies each
    operation before it asks for the next one: who prints a trade sees what users' orders filled of
    it before saying what is left. The source goes on only after that.
    """

    act: "Callable[[VenueBook], Iterable[Operation]]"


Operation = BookReset | LevelChanges | TradePrints | MarketFacts | LabelChange | Turn

TimedOperation = tuple[int, str, Operation]
"""(nanoseconds since the market's start, symbol, operation)."""


class MarketSource(Protocol):
    """A market of one category, consumed once; the venue stops asking when it ends."""

    category: Category

    def has(self, symbol: str) -> bool:
        """Whether the source makes this symbol's market."""

    def label(self, symbol: str) -> str:
        """Say in words what the symbol's market is made of at the start."""

    def operations(self) -> Iterator[TimedOperation]:
        """Yield the operations in time order, starting with a `BookReset` per symbol.

        A `Turn` whose first operation is the reset will do.
        """
