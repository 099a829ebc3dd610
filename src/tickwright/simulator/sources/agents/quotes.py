"""Owns the market makers' quotes and what becomes of them; refuses to decide where to quote.

A level of the book is the makers' quotes there plus the noise's size. What takes from a level takes
from the quotes first, oldest maker first, so that a maker knows when it was hit.
"""

from tickwright.simulator.book import VenueBook
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.sources.operations import LevelChanges

__all__ = ["BIDS", "ASKS", "Edit", "Maker", "Quotes"]

BIDS, ASKS = 0, 1


class Edit:
    """Level changes of one instant, gathered by signed key; a key set twice is changed once."""

    __slots__ = ("_ladders", "sizes")

    def __init__(self, book: VenueBook) -> None:
        self._ladders: tuple[Ladder, Ladder] = book.bids, book.asks
        self.sizes: tuple[dict[int, int], dict[int, int]] = {}, {}

    def size(self, side: int, key: int) -> int:
        """External size at a key with what this edit has changed so far."""
        known = self.sizes[side].get(key)
        return self._ladders[side].external.get(key, 0) if known is None else known

    def add(self, side: int, key: int, size_units: int) -> None:
        """Add size at a key, or take some back; what isn't there any more isn't missed."""
        self.sizes[side][key] = max(0, self.size(side, key) + size_units)

    def said(self) -> tuple[LevelChanges, ...]:
        """The gathered changes as one operation; none when nothing was set."""
        bids, asks = self.sizes
        if not bids and not asks:
            return ()
        return (LevelChanges(list(bids.items()), [(-key, size) for key, size in asks.items()]),)


class Maker:
    """One market maker: a quote a side (size 0: none), inventory, and how long a side rests."""

    __slots__ = ("inventory", "keys", "rests_until_ns", "sizes")

    def __init__(self) -> None:
        self.keys = [0, 0]
        self.sizes = [0, 0]
        self.rests_until_ns = [0, 0]
        self.inventory = 0


class Quotes:
    """The quotes of all makers of one symbol."""

    __slots__ = ("makers",)

    def __init__(self, count: int) -> None:
        self.makers = [Maker() for _ in range(count)]

    def at(self, side: int, key: int) -> int:
        """Size quoted at a key."""
        total = 0
        for maker in self.makers:
            if maker.keys[side] == key:
                total += maker.sizes[side]
        return total

    def move(self, edit: Edit, maker: Maker, side: int, key: int, size_units: int) -> None:
        """Withdraw a maker's quote of a side and put another in its place (size 0: none)."""
        if maker.sizes[side]:
            edit.add(side, maker.keys[side], -maker.sizes[side])
        maker.keys[side], maker.sizes[side] = key, size_units
        if size_units:
            edit.add(side, key, size_units)

    def taken(self, side: int, key: int, size_units: int) -> list[Maker]:
        """Take size from the quotes at a key; returns the makers whose whole quote went."""
        emptied = []
        sign = 1 if side == BIDS else -1
        for maker in self.makers:
            if size_units <= 0:
                break
            if maker.keys[side] != key or not maker.sizes[side]:
                continue
            part = min(size_units, maker.sizes[side])
            maker.sizes[side] -= part
            maker.inventory += sign * part
            size_units -= part
            if not maker.sizes[side]:
                emptied.append(maker)
        return emptied

    def gone(self, side: int, key: int) -> None:
        """Forget the quotes at a key: the level was withdrawn whole."""
        for maker in self.makers:
            if maker.keys[side] == key:
                maker.sizes[side] = 0
