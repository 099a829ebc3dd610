"""Owns one symbol's agents: what each of them does in its turn with the book before it.

Refuses wire formats and a clock: the source says what time it is. All size that rests in the book
beside users' orders is the agents' own, so the book itself is their memory. They see what everybody
sees, users' orders included, and never quote through them.

Prices are signed keys as in `Ladder`: on both sides a greater key is a better price.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from math import floor
from random import Random

from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.sources.agents.depth import LEVELS_LEFT_MIN, Depth
from tickwright.simulator.sources.agents.quotes import ASKS, BIDS, Edit, Maker, Quotes
from tickwright.simulator.sources.agents.sizes import Sizes
from tickwright.simulator.sources.agents.style import MAKERS_MAX, AgentsStyle
from tickwright.simulator.sources.operations import (
    Level,
    LevelChanges,
    Operation,
    PublicTrade,
    TradePrints,
)

__all__ = ["AgentMarket"]

_LEVELS_TAKEN_MAX = 60
_PRINTS_MAX = 50
"""Most trades one level is taken in."""
_LEVELS_PULLED_MAX = 200
_SAME_SIDE = 0.65
"""Probability that the next taker trades the side of the last one."""
_TOWARDS_FAIR = 0.85
"""Probability that a taker takes what is offered beyond the fair value."""
_TREND_SPAN_NS = 1_000_000_000
_INVENTORY_QUOTES = 8.0
"""Inventory, in typical quotes, at which a maker stops quoting the side that adds to it."""
_STEP_BEHIND = 0.35
_JOIN = 0.7
"""Beside a user's order that is alone at the best price a maker steps behind, joins or improves."""
_REVERSION = 0.02
"""Share of its way back to where it started that the fair value goes in one piece of news."""
_REST_SHARE = 6
"""How many times shorter a maker rests after the usual hit than after a user swept its side."""
_ALARM_NS = 400_000_000
"""How long the makers of a side stand back after users took more than its best level."""


class AgentMarket:
    """The agents of one symbol. `open` once, then `turn` after every `gap_ns`."""

    def __init__(
        self,
        instrument: VenueInstrument,
        style: AgentsStyle,
        rng: Random,
        gauss: list[float],
    ) -> None:
        assert 1 <= style.makers <= MAKERS_MAX, f"{style.makers} makers"
        self.now_ns = 0
        self._rng = rng
        self._style = style
        self._tick = tick = instrument.tick_units
        self._fair = self._anchor = float(instrument.reference_price_units)
        self._news_units = self._fair * style.news_bps / 10_000
        scale = 10 ** (instrument.price_decimals + instrument.size_decimals) / self._fair
        lot = instrument.lot_units
        self._quote_sizes = Sizes(
            gauss, style.maker_median * scale, style.maker_deviation, lot, rng
        )
        self._taker_sizes = Sizes(
            gauss, style.taker_median * scale, style.taker_deviation, lot, rng
        )
        self._print_sizes = Sizes(
            gauss, style.print_median * scale, style.print_deviation, lot, rng
        )
        level_sizes = Sizes(gauss, style.level_median * scale, style.level_deviation, lot, rng)
        self._inventory_max = _INVENTORY_QUOTES * style.maker_median * scale
        self._quotes = Quotes(style.makers)
        gap_ticks = max(1.0, self._fair * style.level_gap_bps / 10_000 / tick)
        self._depth = Depth(style, self._quotes, level_sizes, rng, tick, gap_ticks)
        self._gap_ticks = gap_ticks
        self._slack = 0.75 * tick * max(1.0, gap_ticks / 2)
        self._alarm_until_ns = [0, 0]
        self._taker_buys = True
        self._trend_position = 0
        self._mids: list[tuple[int, float]] = []
        self._regime_until_ns = 0
        self._bias = 0.0
        self._rates = (0.0, 0.0, 0.0, 0.0)
        self._rate = 0.0
        self._next_regime()

    # time -------------------------------------------------------------------------------------

    def gap_ns(self) -> int:
        """Draw the time to the next turn."""
        if self.now_ns >= self._regime_until_ns:
            self._next_regime()
        return 1 + int(self._rng.expovariate(self._rate) * 1e9)

    def _next_regime(self) -> None:
        rng, style = self._rng, self._style
        draw = rng.random() * sum(regime.share for regime in style.regimes)
        for regime in style.regimes:
            draw -= regime.share
            if draw < 0:
                break
        self._regime_until_ns = self.now_ns + int(rng.expovariate(1 / regime.seconds) * 1e9)
        self._bias = regime.bias if rng.random() < 0.5 else -regime.bias
        noise = style.noise_rate * regime.depth
        makers = noise + style.maker_rate * regime.depth
        takers = makers + style.taker_rate * regime.takers
        news = takers + style.news_rate * regime.news
        self._rates = (noise, makers, takers, news)
        self._rate = news + style.trend_rate

    # turns ------------------------------------------------------------------------------------

    def open(self, book: VenueBook) -> Iterator[Operation]:
        """Build the first book and listen to what users take from it."""
        book.on_take(self._on_user_take)
        yield self._depth.opening(self._fair)
        for maker in self._quotes.makers:
            for side in (BIDS, ASKS):
                yield from self._make(book, maker, side)

    def turn(self, book: VenueBook) -> Iterable[Operation]:
        """Let one agent act; what it decides must be applied as it comes."""
        rng = self._rng
        if min(len(book.bids.external), len(book.asks.external)) < LEVELS_LEFT_MIN:
            return self._depth.rebuild(book, self._fair)
        draw = rng.random() * self._rate
        noise, makers, takers, news = self._rates
        if draw < noise:
            return self._depth.turn(book)
        if draw < makers:
            maker = self._quotes.makers[int(rng.random() * self._style.makers)]
            return self._make(book, maker, rng.getrandbits(1))
        if draw < takers:
            return self._take_some(book)
        if draw < news:
            return self._news(book)
        return self._follow_trend(book)

    # makers -----------------------------------------------------------------------------------

    def _make(self, book: VenueBook, maker: Maker, side: int) -> Iterable[Operation]:
        """Requote one side: withdraw, join, improve, or step behind the best price."""
        key = self._wanted_key(book, maker, side)
        if key is None:
            if not maker.sizes[side]:
                return ()
            key, size = maker.keys[side], 0
        elif maker.sizes[side] and maker.keys[side] == key:
            return ()
        else:
            size = self._quote_sizes.draw()
        edit = Edit(book)
        self._quotes.move(edit, maker, side, key, size)
        return edit.said()

    def _close_spread(self, book: VenueBook) -> Iterable[Operation]:
        """Let the quickest maker that isn't resting quote; the others come in their turns."""
        bids, asks = book.bids, book.asks
        if -asks.keys[-1] - bids.keys[-1] <= self._tick:
            return ()
        # The side that is further from what the fair value allows.
        gaps = self._limit(asks, BIDS) - bids.keys[-1], self._limit(bids, ASKS) - asks.keys[-1]
        side = BIDS if gaps[BIDS] >= gaps[ASKS] else ASKS
        makers = self._quotes.makers
        first = int(self._rng.random() * len(makers))
        for maker in makers[first:] + makers[:first]:
            if self.now_ns >= maker.rests_until_ns[side]:
                return self._make(book, maker, side)
        return ()

    def _wanted_key(self, book: VenueBook, maker: Maker, side: int) -> int | None:
        """The price a maker wants to quote at, None for no quote."""
        rng, tick = self._rng, self._tick
        sign = 1 if side == BIDS else -1
        if self.now_ns < maker.rests_until_ns[side]:
            return None
        if sign * maker.inventory > self._inventory_max:
            # It unwinds elsewhere, and quotes again when it has.
            maker.inventory -= int(maker.inventory * 0.1)
            return None
        ladder, other = (book.bids, book.asks) if side == BIDS else (book.asks, book.bids)
        best = ladder.keys[-1]
        limit = self._limit(other, side)
        if self.now_ns < self._alarm_until_ns[side]:
            # Something big was hit: better behind the best price than at it.
            return min(best, limit) - tick * (1 + int(rng.random() * 3 * self._gap_ticks))
        if best > limit:
            return limit
        if best in ladder.external:
            # The gap to the fair value is for the quickest; everybody else joins.
            return limit
        # A user stands there alone: behind, beside or before it.
        choice = rng.random()
        if choice < _STEP_BEHIND:
            return best - tick
        return best if choice < _JOIN else min(best + tick, limit)

    def _limit(self, other: Ladder, side: int) -> int:
        """The best price of a side that crosses nothing and isn't beyond the fair value."""
        tick = self._tick
        fair_key = (self._fair if side == BIDS else -self._fair) + self._slack
        key = floor(fair_key / tick) * tick
        return min(key, -other.keys[-1] - tick)

    # takers -----------------------------------------------------------------------------------

    def _take_some(self, book: VenueBook) -> Iterator[Operation]:
        """One taker trades: what looks cheap, or the way takers have gone lately, or anyhow."""
        rng = self._rng
        keys = book.bids.keys[-1], book.asks.keys[-1]
        cheap = -keys[ASKS] < self._fair - self._slack
        dear = keys[BIDS] > self._fair + self._slack
        if (cheap or dear) and rng.random() < _TOWARDS_FAIR:
            buys = cheap
        elif rng.random() < _SAME_SIDE:
            buys = self._taker_buys
        else:
            buys = rng.random() < 0.5 + self._bias
        self._taker_buys = buys
        reach = 0
        if rng.random() < self._style.taker_through:
            reach = int((1 + rng.random() * 8) * self._gap_ticks) * self._tick
        limit = keys[ASKS if buys else BIDS] - reach
        size, impact = self._taker_sizes.draw(), self._style.impact
        yield from self._take(book, size, limit, buys=buys, impact=impact)

    def _follow_trend(self, book: VenueBook) -> Iterator[Operation]:
        """Trade with a strong move of the last second, and out again when it is over."""
        mid = _mid(book)
        mids, now_ns = self._mids, self.now_ns
        mids.append((now_ns, mid))
        while now_ns - mids[0][0] > _TREND_SPAN_NS:
            mids.pop(0)
        move = mid - mids[0][1]
        threshold = self._style.trend_threshold * self._news_units
        position_max = 4 * self._inventory_max
        if abs(move) > threshold and abs(self._trend_position) < position_max:
            buys = move > 0
        elif self._trend_position and abs(move) < threshold / 2:
            buys = self._trend_position < 0
        else:
            return
        size = self._taker_sizes.draw()
        if (self._trend_position < 0) == buys and self._trend_position:
            size = min(size, abs(self._trend_position))
        limit = (book.asks if buys else book.bids).keys[-1]
        self._trend_position += size if buys else -size
        yield from self._take(book, size, limit, buys=buys, impact=self._style.impact)

    def _news(self, book: VenueBook) -> Iterator[Operation]:
        """The fair value jumps: the quick take or cancel what it leaves behind, others follow."""
        rng, tick = self._rng, self._tick
        # A mixture of exponentials of mean 1: mostly small steps, now and then a large one.
        jump = rng.expovariate(1.0) * (1.6 if rng.random() < 0.25 else 0.8)
        sign = 1 if rng.random() < 0.5 + self._bias / 2 else -1
        self._fair += sign * jump * self._news_units + (self._anchor - self._fair) * _REVERSION
        self._fair = max(self._fair, 100.0 * tick)
        fair, slack = self._fair, self._slack
        if fair - slack > -book.asks.keys[-1]:
            side, stale = ASKS, -fair + slack
        elif fair + slack < book.bids.keys[-1]:
            side, stale = BIDS, fair + slack
        else:
            return
        if rng.random() < self._style.news_taken:
            size = 3 * self._taker_sizes.draw()
            # The value has moved already: that it is traded to isn't news once more.
            yield from self._take(book, size, floor(stale) + 1, buys=side == ASKS, impact=0.0)
        yield from self._pull(book, side, stale)
        if book.bids.keys and book.asks.keys:
            yield from self._close_spread(book)

    def _pull(self, book: VenueBook, side: int, stale: float) -> Iterable[Operation]:
        """Withdraw what agents still offer beyond the fair value."""
        ladder = book.bids if side == BIDS else book.asks
        edit = Edit(book)
        first = max(bisect_left(ladder.keys, stale), len(ladder.keys) - _LEVELS_PULLED_MAX)
        for key in ladder.keys[first:]:
            if key in ladder.external:
                self._quotes.gone(side, key)
                edit.sizes[side][key] = 0
        return edit.said()

    def _take(
        self, book: VenueBook, size_units: int, limit: int, *, buys: bool, impact: float
    ) -> Iterator[Operation]:
        """Take the other side's levels as far as the size and the limit key go.

        Each level is first printed, so that users' orders there get their share by their place in
        the queue; what they didn't fill comes out of the agents' size.
        """
        side = ASKS if buys else BIDS
        ladder = book.asks if buys else book.bids
        before = _mid(book)
        left = size_units
        for _ in range(_LEVELS_TAKEN_MAX):
            if left <= 0 or not ladder.keys or ladder.keys[-1] < limit:
                break
            key = ladder.keys[-1]
            own = ladder.own.get(key, 0)
            part = min(left, ladder.external.get(key, 0) + own)
            left -= part
            yield self._prints(Side.BUY if buys else Side.SELL, ladder.sign * key, part)
            filled = min(part, max(0, own - ladder.own.get(key, 0)))
            rest = part - filled
            external = ladder.external.get(key, 0)
            if rest and external:
                self._hit(side, key, min(rest, external), self._style.rest_s / _REST_SHARE)
                change = [(ladder.sign * key, max(0, external - rest))]
                yield LevelChanges([], change) if buys else LevelChanges(change, [])
            elif not filled:
                break  # a user's order that nobody matches: it can't be taken
        if book.bids.keys and book.asks.keys:
            self._fair += (_mid(book) - before) * impact
            yield from self._close_spread(book)

    def _prints(self, side: Side, price_units: int, size_units: int) -> TradePrints:
        trades: list[PublicTrade] = []
        while len(trades) < _PRINTS_MAX - 1:
            part = self._print_sizes.draw()
            if part >= size_units:
                break
            trades.append(PublicTrade(side, price_units, part))
            size_units -= part
        trades.append(PublicTrade(side, price_units, size_units))
        return TradePrints(trades)

    # users ------------------------------------------------------------------------------------

    def _on_user_take(self, book: VenueBook, aggressor: Side, matches: list[Level]) -> None:
        """A user took from the agents: the hit rest, others stand back, the value follows."""
        side = ASKS if aggressor is Side.BUY else BIDS
        sign = 1 if side == BIDS else -1
        ladder = book.asks if side == ASKS else book.bids
        first = sign * matches[0][0]
        is_swept = not ladder.keys or ladder.keys[-1] < first
        rest_s = self._style.rest_s / (1 if is_swept else _REST_SHARE)
        for price, size in matches:
            self._hit(side, sign * price, size, rest_s)
        if is_swept and ladder.keys:
            # The best price moved: half of that is the move of the mid.
            self._fair += sign * (ladder.keys[-1] - first) / 2 * self._style.impact
            self._alarm_until_ns[side] = self.now_ns + _ALARM_NS

    def _hit(self, side: int, key: int, size_units: int, rest_s: float) -> None:
        for maker in self._quotes.taken(side, key, size_units):
            rest_ns = int(self._rng.expovariate(1 / rest_s) * 1e9)
            maker.rests_until_ns[side] = self.now_ns + rest_ns


def _mid(book: VenueBook) -> float:
    return (book.bids.keys[-1] - book.asks.keys[-1]) / 2
