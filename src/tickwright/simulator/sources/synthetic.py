"""Owns a seeded synthetic market of busy and quiet symbols, never crossed; refuses clocks.

A symbol has a fair value (a random walk with mean reversion whose volatility and drift switch
between quiet, trending and stressed regimes) and a book of resting levels. Most events change the
size of a level near the touch; some place or pull a level; when the fair value runs through the
touch, an aggressor takes it and the book follows. Every trade is consistent with the level change
that follows it in the same instant.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.sources.operations import (
    BookReset,
    Level,
    LevelChanges,
    Operation,
    PublicTrade,
    TimedOperation,
    TradePrints,
)

__all__ = [
    "SyntheticMarket",
    "SyntheticSource",
    "SyntheticStyle",
    "activity_weights",
    "continue_synthetically",
]

SYNTHETIC_LABEL = "synthetic"

_TABLE = 1 << 12
_REGIMES = (  # (probability of being next, volatility factor, drift per step in ticks)
    (0.62, 1.0, 0.0),
    (0.15, 1.4, 0.05),
    (0.15, 1.4, -0.05),
    (0.08, 3.5, 0.0),
)
_REGIME_STEPS = 1_500
_REVERSION = 0.0004
_NOISE = 0.22
"""Standard deviation of the fair value per event, in ticks, in a quiet regime."""
_QUIET_RATE = 0.25
"""Events per second of a quiet symbol: silent for several seconds at a time."""
_ZIPF_EXPONENT = 0.8


class SyntheticStyle(msgspec.Struct, frozen=True, kw_only=True):
    """How a synthetic market looks. `events_per_s` is over all symbols of the category."""

    levels: int = 1_100
    events_per_s: float = 0.0
    quiet_symbols: int = -1

    def rate(self, symbols: int) -> float:
        """Events per second over all symbols; 40 a symbol unless said."""
        return self.events_per_s or 40.0 * symbols

    def quiet(self, symbols: int) -> int:
        """How many of the symbols are quiet; one in twelve unless said, none below four symbols."""
        if self.quiet_symbols >= 0:
            return min(self.quiet_symbols, symbols - 1)
        return 0 if symbols < 4 else max(1, symbols // 12)


def activity_weights(symbols: int, style: SyntheticStyle) -> list[float]:
    """Events per second of each symbol: Zipf for the busy ones, a trickle for the last ones."""
    quiet = style.quiet(symbols)
    raw = [1.0 / (rank + 1) ** _ZIPF_EXPONENT for rank in range(symbols - quiet)]
    budget = max(style.rate(symbols) - quiet * _QUIET_RATE, 1e-6)
    scale = budget / sum(raw)
    return [weight * scale for weight in raw] + [_QUIET_RATE] * quiet


Recipe = list[tuple[bool, int, int]]
"""Levels that change size together: (on the bid side, place from the touch, lots in hundredths)."""


class _Tables:
    """Random numbers drawn once: a look-up costs a fraction of a draw."""

    __slots__ = ("depth_index", "gauss", "lots", "recipes")

    def __init__(self, rng: Random) -> None:
        self.gauss = [rng.gauss(0.0, 1.0) for _ in range(_TABLE)]
        # Activity falls off with distance from the touch: most changes hit the first ten levels.
        self.depth_index = [1 + min(int(rng.expovariate(1 / 7)), 180) for _ in range(_TABLE)]
        self.lots = [max(1, int(rng.lognormvariate(0.0, 1.1) * 100)) for _ in range(_TABLE)]
        self.recipes: list[Recipe] = []
        for _ in range(_TABLE):
            places = {
                (rng.random() < 0.5, rng.choice(self.depth_index)): rng.choice(self.lots)
                for _ in range(rng.randint(1, 4))
            }
            # Best first, so that a window may publish the levels as they come.
            self.recipes.append(
                [(is_bid, place, lots) for (is_bid, place), lots in sorted(places.items())]
            )


class SyntheticMarket:
    """One symbol's market: `reset()` gives the book, each `step()` the next event."""

    __slots__ = (
        "_anchor",
        "_drift",
        "_fair",
        "_instrument",
        "_levels_max",
        "_lot",
        "_regime_left",
        "_rng",
        "_scale",
        "_tables",
        "_tick",
        "_volatility",
        "asks",
        "bids",
    )

    def __init__(
        self, instrument: VenueInstrument, rng: Random, tables: _Tables, *, levels: int
    ) -> None:
        self._instrument = instrument
        self._rng = rng
        self._tables = tables
        self._tick = instrument.tick_units
        self._lot = instrument.lot_units
        # A typical level is worth about 20,000 in quote; `lots` entries are hundredths of it.
        notional = 10 ** (instrument.price_decimals + instrument.size_decimals) * 20_000
        self._scale = max(1, notional // max(1, instrument.reference_price_units) // self._lot)
        self._levels_max = levels
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self._volatility = 1.0
        self._drift = 0.0
        self._regime_left = 0
        self._fair = self._anchor = float(instrument.reference_price_units)

    def reset(self) -> BookReset:
        """Build a fresh book around the reference price: dense at the touch, sparser far out."""
        rng, tick = self._rng, self._tick
        middle = self._instrument.reference_price_units // tick
        bids: list[Level] = []
        asks: list[Level] = []
        for out, sign in ((bids, -1), (asks, 1)):
            ticks = middle if sign < 0 else middle + 1
            for index in range(self._levels_max):
                if ticks <= 0:
                    break
                out.append((ticks * tick, self._size()))
                ticks += sign * (1 if index < 20 or rng.random() < 0.6 else 1 + rng.randrange(3))
        return self.adopt(bids, asks)

    def adopt(self, bids: list[Level], asks: list[Level]) -> BookReset:
        """Go on from a given book, for instance the last one of a recording."""
        self.bids.reset_external(bids)
        self.asks.reset_external(asks)
        assert bids and asks, "a synthetic market needs levels on both sides to go on from"
        self._fair = self._anchor = (self.bids.keys[-1] - self.asks.keys[-1]) / 2
        self._levels_max = max(50, len(self.bids.keys), len(self.asks.keys))
        return BookReset(bids, asks)

    def step(self) -> tuple[TradePrints | None, LevelChanges]:
        """Make the next event: the trades, if any, and the level changes that follow them."""
        rng = self._rng
        if self._regime_left <= 0:
            self._next_regime()
        self._regime_left -= 1
        tick = self._tick
        noise = self._tables.gauss[rng.getrandbits(12)] * self._volatility * _NOISE + self._drift
        self._fair += tick * noise + (self._anchor - self._fair) * _REVERSION
        best_bid, best_ask = self.bids.keys[-1], -self.asks.keys[-1]
        if self._fair > best_ask + tick * 0.5:
            return self._sweep(self.asks, self.bids, Side.BUY)
        if self._fair < best_bid - tick * 0.5:
            return self._sweep(self.bids, self.asks, Side.SELL)
        choice = rng.random()
        if best_ask - best_bid > 3 * tick and choice < 0.5:
            return None, self._close_spread(best_bid, best_ask)
        if choice < 0.78:
            return None, self._resize()
        if choice < 0.86:
            return self._nibble()
        if choice < 0.93:
            return None, self._place()
        return None, self._pull()

    # events
    # -----------------------------------------------------------------------------------------

    def _resize(self) -> LevelChanges:
        """One to four levels near the touch change size."""
        bids: list[Level] = []
        asks: list[Level] = []
        scale, lot = self._scale, self._lot
        for is_bid, place, lots in self._tables.recipes[self._rng.getrandbits(12)]:
            ladder = self.bids if is_bid else self.asks
            keys = ladder.keys
            if place <= len(keys):
                key = keys[-place]
                size = (lots * scale // 100 or 1) * lot
                ladder.external[key] = size
                if is_bid:
                    bids.append((key, size))
                else:
                    asks.append((-key, size))
        return LevelChanges(bids, asks, only_sizes=True)

    def _nibble(self) -> tuple[TradePrints, LevelChanges]:
        """An aggressor takes part of the touch, more often in the direction of the fair value."""
        keys_bid, keys_ask = self.bids.keys[-1], self.asks.keys[-1]
        toward_ask = self._fair > (keys_bid - keys_ask) / 2
        buys = (self._rng.random() < 0.7) == toward_ask
        ladder = self.asks if buys else self.bids
        key = ladder.keys[-1]
        resting = ladder.external[key]
        taken = min(self._size() // 4 // self._lot * self._lot or self._lot, resting - self._lot)
        side = Side.BUY if buys else Side.SELL
        if taken <= 0:
            return self._sweep(ladder, self.bids if buys else self.asks, side)
        ladder.external[key] = resting - taken
        change = [(ladder.sign * key, resting - taken)]
        trade = PublicTrade(side, change[0][0], taken)
        changes = LevelChanges(*(([], change) if buys else (change, [])), only_sizes=True)
        return TradePrints([trade]), changes

    def _sweep(
        self, taken: Ladder, follows: Ladder, side: Side
    ) -> tuple[TradePrints, LevelChanges]:
        """The touch is taken whole, up to three levels; the other side follows."""
        trades: list[PublicTrade] = []
        gone: list[Level] = []
        fair_key = taken.sign * self._fair
        while len(gone) < 3 and len(taken.keys) > 10:
            key = taken.keys[-1]
            if gone and key < fair_key:
                break
            size = taken.external.pop(key)
            taken.keys.pop()
            trades.append(PublicTrade(side, taken.sign * key, size))
            gone.append((taken.sign * key, 0))
        new: list[Level] = []
        # The side behind follows to one tick from the new touch, so that the spread stays narrow.
        touch = taken.sign * taken.keys[-1]
        price = touch + taken.sign * self._tick
        step = follows.sign * self._tick
        edge = follows.sign * follows.keys[-1]
        while len(new) < 4 and (price - edge) * follows.sign > 0:
            size = self._size()
            follows.set_external(follows.sign * price, size)
            new.append((price, size))
            price -= step
        self._replenish(taken, gone)
        self._trim(follows, new)
        changes = LevelChanges(new, gone) if side is Side.BUY else LevelChanges(gone, new)
        return TradePrints(trades), changes

    def _place(self) -> LevelChanges:
        """A level appears in a gap near the touch or inside the spread, or one is resized."""
        bits = self._rng.getrandbits(13)
        ladder, other = (self.bids, self.asks) if bits & 1 else (self.asks, self.bids)
        keys, tick = ladder.keys, self._tick
        depth = min(self._tables.depth_index[bits >> 1], len(keys))
        key = keys[-depth] + tick
        if key in ladder.external or key >= -other.keys[-1]:
            return self._resize()
        size = self._size()
        ladder.set_external(key, size)
        changed = [(ladder.sign * key, size)]
        self._trim(ladder, changed)
        return LevelChanges(changed, []) if ladder.sign > 0 else LevelChanges([], changed)

    def _close_spread(self, best_bid: int, best_ask: int) -> LevelChanges:
        """A better price appears one tick from the other touch, where the value moved from."""
        size, changed = self._size(), []
        is_bid = self._fair > (best_bid + best_ask) / 2
        ladder = self.bids if is_bid else self.asks
        price = best_ask - self._tick if is_bid else best_bid + self._tick
        ladder.set_external(ladder.sign * price, size)
        changed.append((price, size))
        self._trim(ladder, changed)
        return LevelChanges(changed, []) if is_bid else LevelChanges([], changed)

    def _pull(self) -> LevelChanges:
        """A level near the touch is withdrawn; one appears at the far end: the depth stays."""
        bits = self._rng.getrandbits(13)
        ladder = self.bids if bits & 1 else self.asks
        keys = ladder.keys
        # The touch itself is pulled only while the spread is narrow: spreads widen and close again.
        depth = self._tables.depth_index[bits >> 1]
        narrow = -self.asks.keys[-1] - self.bids.keys[-1] <= 2 * self._tick
        depth = min(max(depth, 1 if narrow else 2), len(keys))
        if len(keys) <= 10:
            return self._resize()
        key = keys[-depth]
        del ladder.external[key]
        del keys[-depth]
        changed: list[Level] = [(ladder.sign * key, 0)]
        self._replenish(ladder, changed)
        return LevelChanges(changed, []) if ladder.sign > 0 else LevelChanges([], changed)

    # upkeep
    # -----------------------------------------------------------------------------------------

    def _replenish(self, ladder: Ladder, changed: list[Level]) -> None:
        while len(ladder.keys) < self._levels_max:
            key = ladder.keys[0] - self._tick * (1 + self._rng.getrandbits(1))
            if ladder.sign > 0 and key <= 0:
                return
            size = self._size()
            ladder.external[key] = size
            ladder.keys.insert(0, key)
            changed.append((ladder.sign * key, size))

    def _trim(self, ladder: Ladder, changed: list[Level]) -> None:
        surplus = len(ladder.keys) - self._levels_max
        for key in ladder.keys[: max(0, surplus)]:
            del ladder.external[key]
            changed.append((ladder.sign * key, 0))
        if surplus > 0:
            del ladder.keys[:surplus]

    def _size(self) -> int:
        lots = self._tables.lots[self._rng.getrandbits(12)] * self._scale // 100
        return (lots or 1) * self._lot

    def _next_regime(self) -> None:
        rng = self._rng
        draw = rng.random()
        for probability, volatility, drift in _REGIMES:
            self._volatility, self._drift = volatility, drift
            if draw < probability:
                break
            draw -= probability
        self._regime_left = int(rng.expovariate(1 / _REGIME_STEPS)) + 50


class SyntheticSource:
    """Many synthetic symbols of one category as one stream of events, superposed Poisson processes.

    With a seed the stream is the same in every run. `next_event` serves drivers that set the pace
    themselves (a total frame rate); `operations` is the paced stream.
    """

    def __init__(
        self,
        instruments: Sequence[VenueInstrument],
        rng: Random,
        style: SyntheticStyle | None = None,
    ) -> None:
        assert instruments, "a source needs a symbol"
        style = style or SyntheticStyle()
        self.category: Category = instruments[0].category
        self._rng = rng
        tables = _Tables(rng)
        self._markets = {
            instrument.symbol: SyntheticMarket(
                instrument, Random(rng.getrandbits(64)), tables, levels=style.levels
            )
            for instrument in instruments
        }
        self._weights = dict(
            zip(self._markets, activity_weights(len(self._markets), style), strict=True)
        )
        self._symbols: list[str] = []
        self._cumulative: list[float] = []
        self._rate = 0.0
        self.focus(set(self._markets))

    def focus(self, symbols: set[str]) -> None:
        """Make events for these symbols only; the others stand still."""
        self._symbols = [symbol for symbol in self._markets if symbol in symbols]
        self._cumulative = list(accumulate(self._weights[symbol] for symbol in self._symbols))
        self._rate = self._cumulative[-1] if self._cumulative else 0.0

    @property
    def is_focused(self) -> bool:
        """Whether any symbol moves."""
        return bool(self._symbols)

    def has(self, symbol: str) -> bool:
        """Whether the source makes this symbol's market."""
        return symbol in self._markets

    def label(self, symbol: str) -> str:
        """Always "synthetic"."""
        return SYNTHETIC_LABEL

    def resets(self) -> list[tuple[str, BookReset]]:
        """Build every symbol's first book."""
        return [(symbol, market.reset()) for symbol, market in self._markets.items()]

    def next_market(self) -> tuple[str, SyntheticMarket]:
        """Pick a symbol by its activity: the caller steps its market."""
        symbol = self._symbols[bisect_left(self._cumulative, self._rng.random() * self._rate)]
        return symbol, self._markets[symbol]

    def next_event(self) -> tuple[str, TradePrints | None, LevelChanges]:
        """Pick a symbol by its activity and make its next event."""
        symbol, market = self.next_market()
        trades, changes = market.step()
        return symbol, trades, changes

    def operations(self) -> Iterator[TimedOperation]:
        """Yield the first books at 0, then events for ever at the style's rate."""
        for symbol, reset in self.resets():
            yield 0, symbol, reset
        time_s = 0.0
        expovariate, rate = self._rng.expovariate, self._rate
        while True:
            time_s += expovariate(rate)
            at_ns = int(time_s * 1e9)
            symbol, trades, changes = self.next_event()
            operation: Operation
            if trades is not None:
                operation = trades
                yield at_ns, symbol, operation
            yield at_ns, symbol, changes


def continue_synthetically(
    instrument: VenueInstrument,
    bids: list[Level],
    asks: list[Level],
    *,
    start_ns: int,
    events_per_s: float,
    rng: Random,
) -> Iterator[TimedOperation]:
    """Go on from a book for ever, one symbol, from `start_ns`; the book itself isn't repeated."""
    market = SyntheticMarket(instrument, Random(rng.getrandbits(64)), _Tables(rng), levels=1)
    market.adopt(bids, asks)
    time_ns = start_ns
    while True:
        time_ns += int(rng.expovariate(events_per_s) * 1e9)
        trades, changes = market.step()
        if trades is not None:
            yield time_ns, instrument.symbol, trades
        yield time_ns, instrument.symbol, changes
