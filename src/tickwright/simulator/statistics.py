"""Owns measuring what a market looks like, whatever makes it; refuses to judge or to print.

A meter sits on the book of a simulated market and sees what its subscribers could see: when levels
change, what trades, how wide and how deep the book is. Sources are run in virtual time, so that an
hour takes seconds and the same seed gives the same figures.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.simulator.book import VenueBook
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.sources.operations import MarketSource, PublicTrade, TimedOperation
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.window import BookWindow

__all__ = [
    "LEVELS_WATCHED",
    "SAMPLES_MAX",
    "SECONDS_MAX",
    "MarketMeter",
    "MarketStatistics",
    "measure",
]

SECONDS_MAX = 3_600.0
SAMPLES_MAX = 1_000_000
"""Gaps and sizes kept per symbol; what comes later is counted and no longer sampled."""
LEVELS_WATCHED = 200
"""Levels a side within which a change counts as an update."""

_MS = 1_000_000
_SECOND = 1_000_000_000
_START_NS = 1_700_000_000 * _SECOND
_GRID_NS = 100 * _MS
_GRID_PER_S = _SECOND // _GRID_NS


class MarketStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of one market looked like; None where there was too little to measure.

    An update is an instant at which levels within the first 200 a side changed; with `interval_ms`
    over 0 changes are gathered over that interval, as a venue gathers them before it sends. Trades
    of one millisecond count as one arrival. Sizes are in the base asset, depths the size of the
    best 1, 5 and 20 levels of one side, both sides averaged over time. A dispersion is variance
    over mean of the counts per second: 1 for a Poisson process, more when arrivals come in bursts.
    """

    category: str
    symbol: str
    source: str
    seconds: float
    interval_ms: float
    updates_per_s: float
    update_gap_ms_p50: float | None
    update_gap_ms_p90: float | None
    update_gap_ms_p99: float | None
    update_dispersion: float | None
    levels_per_update: float | None
    trades_per_s: float
    trade_gap_ms_p50: float | None
    trade_gap_ms_p90: float | None
    trade_gap_ms_p99: float | None
    trade_dispersion: float | None
    trade_size_p50: float | None
    trade_size_p99: float | None
    spread_ticks_mean: float | None
    spread_ticks_p90: float | None
    depth_1: float | None
    depth_5: float | None
    depth_20: float | None
    volatility_bps_1s: float | None


class MarketMeter:
    """Watches one market of a venue from now on; `statistics(...)` says what it saw.

    Book and tape are seen through the book's own hooks, spread and depth are looked at ten times a
    second of venue time.
    """

    def __init__(
        self, venue: SimulatedVenue, market: SymbolMarket, *, interval_ms: float = 0.0
    ) -> None:
        self._venue = venue
        self._market = market
        self._from_ns = venue.now_ns
        self._interval_ns = int(interval_ms * _MS)
        book = market.book
        self._window = BookWindow(book.bids, book.asks, LEVELS_WATCHED, first_u=1)
        book.windows.append(self._window)
        self._updates, self._levels, self._trades = _Arrivals(), 0, _Arrivals()
        self._trade_sizes = array("q")
        self._spreads = array("q")
        self._depths = [0, 0, 0]
        self._mids = array("d")
        self._looks = 0
        book.on_external_trade(self._on_trade)
        if self._interval_ns:
            venue.schedule(self._from_ns + self._interval_ns, self._gather)
        else:
            book.on_book_change(self._on_change)
        venue.schedule(self._from_ns + _GRID_NS, self._look)

    def statistics(self, *, seconds: float, source: str) -> MarketStatistics:
        """Return what was seen in a stretch of that many seconds."""
        instrument = self._market.instrument
        scale = 10.0**instrument.size_decimals
        spreads = sorted(self._spreads)
        ticks = instrument.tick_units
        sizes = sorted(self._trade_sizes)
        depths = [
            size / scale / (2 * self._looks) if self._looks else None for size in self._depths
        ]
        updates, trades = self._updates, self._trades
        spread_p90 = _quantile(spreads, 0.9)
        return MarketStatistics(
            category=instrument.category.value,
            symbol=instrument.symbol,
            source=source,
            seconds=seconds,
            interval_ms=self._interval_ns / _MS,
            updates_per_s=updates.count / seconds,
            **updates.quantiles_ms("update"),
            update_dispersion=updates.dispersion(seconds),
            levels_per_update=self._levels / updates.count if updates.count else None,
            trades_per_s=trades.count / seconds,
            **trades.quantiles_ms("trade"),
            trade_dispersion=trades.dispersion(seconds),
            trade_size_p50=_scaled(_quantile(sizes, 0.5), scale),
            trade_size_p99=_scaled(_quantile(sizes, 0.99), scale),
            spread_ticks_mean=sum(spreads) / ticks / len(spreads) if spreads else None,
            spread_ticks_p90=_scaled(spread_p90, ticks),
            depth_1=depths[0],
            depth_5=depths[1],
            depth_20=depths[2],
            volatility_bps_1s=_volatility_bps(self._mids),
        )

    # what happens -----------------------------------------------------------------------------

    def _on_change(self, book: VenueBook, now_ns: int) -> None:
        changed = self._window.advance()
        if changed is not None:
            self._levels += len(changed[0]) + len(changed[1])
            self._updates.add(now_ns - self._from_ns)

    def _gather(self, due_ns: int) -> None:
        self._on_change(self._market.book, due_ns)
        self._venue.schedule(due_ns + self._interval_ns, self._gather)

    def _on_trade(self, book: VenueBook, trade: PublicTrade, now_ns: int) -> None:
        if len(self._trade_sizes) < SAMPLES_MAX:
            self._trade_sizes.append(trade.size_units)
        self._trades.add_of_millisecond(now_ns - self._from_ns)

    def _look(self, due_ns: int) -> None:
        self._venue.schedule(due_ns + _GRID_NS, self._look)
        bids, asks = self._market.book.bids, self._market.book.asks
        if not bids.keys or not asks.keys:
            return
        bid, ask = bids.keys[-1], -asks.keys[-1]
        self._spreads.append(ask - bid)
        self._looks += 1
        for place, count in enumerate((1, 5, 20)):
            self._depths[place] += _depth(bids, count) + _depth(asks, count)
        if (due_ns - self._from_ns) % _SECOND == 0:
            self._mids.append((ask + bid) / 2)


def measure(
    source: MarketSource,
    instruments: Sequence[VenueInstrument],
    *,
    seconds: float,
    seed: int = 1,
    interval_ms: Mapping[str, float] | None = None,
    name: str | None = None,
) -> list[MarketStatistics]:
    """Run a source in virtual time and measure each instrument; it ends early if the source does.

    `interval_ms` says by symbol over what interval changes are gathered, 0 unless given. `name`
    replaces the source's own label.

    Raises:
        ConfigError: seconds that can't be, or a source that ends at once.
    """
    if not 0 < seconds <= SECONDS_MAX:
        raise ConfigError(f"seconds must be above 0 and at most {SECONDS_MAX:g}, not {seconds}")
    played = _Played(source)
    venue = SimulatedVenue(instruments, [played], rng=Random(seed), start_ns=_START_NS)
    wanted = interval_ms or {}
    meters = [
        (market, MarketMeter(venue, market, interval_ms=wanted.get(market.instrument.symbol, 0.0)))
        for market in venue.markets.values()
    ]
    end_ns = _START_NS + int(seconds * 1e9)
    while venue.now_ns < end_ns and not played.has_ended:
        venue.advance(min(end_ns, venue.now_ns + _GRID_NS))
    lasted = (min(end_ns, _START_NS + played.last_ns) if played.has_ended else end_ns) - _START_NS
    if lasted <= 0:
        raise ConfigError(f"{name or 'the source'} ends at once: nothing to measure")
    return [
        meter.statistics(
            seconds=lasted / 1e9, source=name or source.label(market.instrument.symbol)
        )
        for market, meter in meters
    ]


class _Played:
    """A source that remembers how far it has been played."""

    def __init__(self, source: MarketSource) -> None:
        self.category = source.category
        self.has = source.has
        self.label = source.label
        self._source = source
        self.last_ns = 0
        self.has_ended = False

    def operations(self) -> Iterator[TimedOperation]:
        for timed in self._source.operations():
            self.last_ns = timed[0]
            yield timed
        self.has_ended = True


class _Arrivals:
    """Times of one kind of arrival: how many, how far apart, how many in each second."""

    __slots__ = ("_gaps", "_last_ns", "_per_second", "count")

    def __init__(self) -> None:
        self.count = 0
        self._last_ns = -1
        self._gaps = array("q")
        self._per_second: dict[int, int] = {}

    def add(self, at_ns: int) -> None:
        if self._last_ns >= 0 and len(self._gaps) < SAMPLES_MAX:
            self._gaps.append(at_ns - self._last_ns)
        self._last_ns = at_ns
        self.count += 1
        second = at_ns // _SECOND
        self._per_second[second] = self._per_second.get(second, 0) + 1

    def add_of_millisecond(self, at_ns: int) -> None:
        if self._last_ns < 0 or at_ns // _MS != self._last_ns // _MS:
            self.add(at_ns)

    def quantiles_ms(self, kind: str) -> dict[str, float | None]:
        gaps = sorted(self._gaps)
        return {
            f"{kind}_gap_ms_p{percent}": _scaled(_quantile(gaps, percent / 100), _MS)
            for percent in (50, 90, 99)
        }

    def dispersion(self, seconds: float) -> float | None:
        whole = int(seconds)
        counts = [self._per_second.get(second, 0) for second in range(whole)]
        if whole < 2 or not sum(counts):
            return None
        mean = sum(counts) / whole
        return sum((count - mean) ** 2 for count in counts) / (whole - 1) / mean


def _depth(ladder: Ladder, count: int) -> int:
    external, own = ladder.external, ladder.own
    return sum([external.get(key, 0) + own.get(key, 0) for key in ladder.keys[-count:]])


def _quantile(ordered: Sequence[int], share: float) -> int | None:
    """Return the smallest value that at least this share of the values doesn't exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _scaled(value: int | None, scale: float) -> float | None:
    return None if value is None else value / scale


def _volatility_bps(mids: Sequence[float]) -> float | None:
    moves = [math.log(later / earlier) for earlier, later in pairwise(mids)]
    if len(moves) < 2:
        return None
    return 10_000 * math.sqrt(sum(move * move for move in moves) / len(moves))
