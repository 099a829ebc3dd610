"""Owns the levels behind the best price: noise that resizes, places and withdraws them.

Refuses to know who trades. A book is kept as dense and as deep as its style says; what users took
comes back in the noise's turns.
"""

from collections.abc import Iterable, Iterator
from math import floor, log
from random import Random

from tickwright.simulator.book import VenueBook
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.sources.agents.quotes import ASKS, BIDS, Edit, Quotes
from tickwright.simulator.sources.agents.sizes import Sizes
from tickwright.simulator.sources.agents.style import AgentsStyle
from tickwright.simulator.sources.operations import BookReset, Level, Operation

__all__ = ["LEVELS_LEFT_MIN", "Depth"]

LEVELS_LEFT_MIN = 20
"""A side with fewer levels is built up again at once."""
_LEVELS_SLACK = 64
"""How far the number of levels may drift before the far end is filled up or cut."""
_NEAR_LEVELS = 12


class Depth:
    """The noise of one symbol. Prices are signed keys: on both sides a greater one is better."""

    __slots__ = ("_gap_ticks", "_occupied", "_quotes", "_rng", "_sizes", "_style", "_tick")

    def __init__(
        self,
        style: AgentsStyle,
        quotes: Quotes,
        sizes: Sizes,
        rng: Random,
        tick: int,
        gap_ticks: float,
    ) -> None:
        self._style = style
        self._quotes = quotes
        self._sizes = sizes
        self._rng = rng
        self._tick = tick
        self._gap_ticks = gap_ticks
        self._occupied = 1 / gap_ticks

    def opening(self, fair: float) -> BookReset:
        """Build a book around the fair value."""
        sides: tuple[list[Level], list[Level]] = [], []
        tick = self._tick
        for side, out in enumerate(sides):
            sign = 1 if side == BIDS else -1
            key = floor(sign * fair / tick) * tick - (side == ASKS) * tick
            best = key
            while len(out) < self._style.levels and sign * key > 0:
                out.append((sign * key, self._size((best - key) // tick)))
                key -= tick * self._step()
        return BookReset(*sides)

    def turn(self, book: VenueBook) -> Iterable[Operation]:
        """Resize, place and withdraw a few levels of one side or the other."""
        rng, style, tick = self._rng, self._style, self._tick
        edit = Edit(book)
        for _ in range(1 + int(rng.random() * style.noise_levels)):
            side = rng.getrandbits(1)
            ladder = book.asks if side else book.bids
            keys = ladder.keys
            if rng.random() < style.churn:
                self._churn(edit, ladder, side)
                continue
            place = 1 + int(rng.random() * style.noise_depth)
            key = keys[-place] if place <= len(keys) else keys[0]
            if key in ladder.external:
                size = self._size((keys[-1] - key) // tick)
                edit.sizes[side][key] = self._quotes.at(side, key) + size
        self._keep_levels(edit, book)
        return edit.said()

    def _churn(self, edit: Edit, ladder: Ladder, side: int) -> None:
        """Place a level in a gap, or withdraw one where the book is denser than it should be."""
        rng, tick, keys = self._rng, self._tick, ladder.keys
        best = keys[-1]
        # Half of it close by, where sweeps leave holes.
        count = min(_NEAR_LEVELS if rng.getrandbits(1) else self._style.noise_depth, len(keys))
        if best - keys[-count] < (count - 1) * self._gap_ticks * tick:
            key = keys[-1 - int(rng.random() * count)]
            if key in ladder.external and not self._quotes.at(side, key):
                edit.sizes[side][key] = 0
            return
        away = 1 + int(rng.random() * count * self._gap_ticks)
        key = best - away * tick
        if not edit.size(side, key) and (side == ASKS or key > 0):
            edit.sizes[side][key] = self._size(away)

    def _keep_levels(self, edit: Edit, book: VenueBook) -> None:
        """Fill up or cut the far end now and then."""
        tick = self._tick
        for side, ladder in ((BIDS, book.bids), (ASKS, book.asks)):
            surplus = len(ladder.external) - self._style.levels
            if surplus > _LEVELS_SLACK:
                for key in ladder.keys[:surplus]:
                    if key in ladder.external:
                        self._quotes.gone(side, key)
                        edit.sizes[side][key] = 0
            elif surplus < -_LEVELS_SLACK:
                key = ladder.keys[0]
                for _ in range(-surplus):
                    key -= tick * self._step()
                    if side == BIDS and key <= 0:
                        break
                    edit.sizes[side][key] = self._sizes.draw()

    def rebuild(self, book: VenueBook, fair: float) -> Iterator[Operation]:
        """Put levels where a side has hardly any left: users took the others."""
        tick = self._tick
        for side, ladder in ((BIDS, book.bids), (ASKS, book.asks)):
            if len(ladder.external) >= LEVELS_LEFT_MIN:
                continue
            other = book.asks if side == BIDS else book.bids
            fair_key = fair if side == BIDS else -fair
            key = floor(fair_key / tick) * tick
            if ladder.keys:
                key = min(key, ladder.keys[-1])
            if other.keys:
                key = min(key, -other.keys[-1] - tick)
            edit, best = Edit(book), key
            for _ in range(2 * LEVELS_LEFT_MIN):
                if side == BIDS and key <= 0:
                    break
                edit.add(side, key, self._size((best - key) // tick))
                key -= tick * self._step()
            yield from edit.said()

    def _size(self, ticks_away: int) -> int:
        """Draw the noise's size at a level: less at the touch, more behind it, or the reverse."""
        style = self._style
        levels = ticks_away / self._gap_ticks
        if levels >= style.ramp_levels:
            return self._sizes.draw()
        share = style.touch_share + (1 - style.touch_share) * levels / style.ramp_levels
        return self._sizes.draw(share)

    def _step(self) -> int:
        """Draw the distance to the next level in ticks: geometric, every tick when dense."""
        if self._occupied >= 1:
            return 1
        return 1 + int(log(1 - self._rng.random()) / log(1 - self._occupied))
