"""Owns what every recording does as a source: end, loop, going on; refuses any format.

A format gives its operations once, in its own time; here they become a source that ends, starts
over (a fresh snapshot) or goes on synthetically from its last book, and says which in its label.
"""

import enum
import heapq
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from tickwright.core.errors import FrameError, StorageError, UnitsError
from tickwright.core.identity import Category
from tickwright.core.units import units_from_text
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.sources.operations import (
    BookReset,
    LabelChange,
    Level,
    LevelChanges,
    TimedOperation,
)
from tickwright.simulator.sources.synthetic import continue_synthetically

__all__ = ["AfterEnd", "Recording", "levels_of"]

CONTINUED_LABEL = "synthetic from last book"

_EVENTS_PER_S = 20.0
_LOOP_PAUSE_NS = 1_000_000_000

_log = logging.getLogger("tickwright.simulator")


class AfterEnd(enum.Enum):
    """What a recording does when it has been played."""

    CONTINUE = "continue"
    """Go on synthetically from the last book, labelled so."""
    LOOP = "loop"
    """Start over with a fresh snapshot."""
    STOP = "stop"
    """Stand still."""


class _LastBook:
    """The recording's own book, kept to go on from."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def apply(self, operation: BookReset | LevelChanges) -> None:
        if isinstance(operation, BookReset):
            self.bids.clear()
            self.asks.clear()
        for levels, changes in ((self.bids, operation.bids), (self.asks, operation.asks)):
            for price, size in changes:
                if size:
                    levels[price] = size
                else:
                    levels.pop(price, None)


class Recording(ABC):
    """A recorded market of one category.

    `instruments` are the listings the recording is written in; formats fill them when they open the
    file. A damaged line or a gap in the recorded ids ends the recording there, logged with its
    line.
    """

    format_label: str

    def __init__(self, path: Path, category: Category, rng: Random, after_end: AfterEnd) -> None:
        self.path = path
        self.category = category
        self.instruments: Mapping[str, VenueInstrument] = {}
        self._rng = rng
        self._after_end = after_end

    @abstractmethod
    def play(self) -> Iterator[TimedOperation]:
        """Yield the recorded operations once, from 0."""

    def has(self, symbol: str) -> bool:
        """Whether the recording holds this symbol."""
        return symbol in self.instruments

    def label(self, symbol: str) -> str:
        """What the market is made of while the recording plays."""
        return self.format_label

    def operations(self) -> Iterator[TimedOperation]:
        """Yield the recording, then what follows it."""
        start_ns = end_ns = 0
        books = {symbol: _LastBook() for symbol in self.instruments}
        while True:
            for at_ns, symbol, operation in self._play_to_damage():
                end_ns = start_ns + at_ns
                if isinstance(operation, BookReset | LevelChanges):
                    books[symbol].apply(operation)
                yield end_ns, symbol, operation
            if self._after_end is not AfterEnd.LOOP:
                break
            start_ns = end_ns + _LOOP_PAUSE_NS
        if self._after_end is AfterEnd.CONTINUE:
            yield from self._continue(books, end_ns)

    def _play_to_damage(self) -> Iterator[TimedOperation]:
        try:
            yield from self.play()
        except (StorageError, FrameError) as error:
            _log.warning("the recording ends early: %s", error)

    def _continue(self, books: dict[str, _LastBook], end_ns: int) -> Iterator[TimedOperation]:
        streams = []
        for symbol, book in books.items():
            if not book.bids or not book.asks:
                continue
            yield end_ns, symbol, LabelChange(CONTINUED_LABEL)
            streams.append(
                continue_synthetically(
                    self.instruments[symbol],
                    sorted(book.bids.items()),
                    sorted(book.asks.items()),
                    start_ns=end_ns,
                    events_per_s=_EVENTS_PER_S,
                    rng=self._rng,
                )
            )
        yield from heapq.merge(*streams, key=lambda timed: timed[0])


def levels_of(
    texts: list[tuple[str, str]], instrument: VenueInstrument, number: int
) -> list[Level]:
    """Return the levels of recorded pairs of price and size; raises FrameError with the line."""
    prices, sizes = instrument.price_decimals, instrument.size_decimals
    try:
        return [
            (units_from_text(price, prices), units_from_text(size, sizes)) for price, size in texts
        ]
    except UnitsError as error:
        raise FrameError(f"line {number}: {error}") from None
