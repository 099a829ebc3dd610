"""Owns what one listed symbol is: book, tape, candles, mark, index, past; refuses sockets."""

from collections import deque
from random import Random

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.candles import CandleSeries
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.market_past import MarketPast
from tickwright.simulator.sources.operations import MarketFacts

__all__ = ["RECENT_TRADES", "SymbolMarket", "TapeTrade"]

RECENT_TRADES = 1_000
"""Latest trades kept per symbol: what recent-trade may ask for."""

_INDEX_SMOOTHING = 0.02
_PREMIUMS_KEPT = 120
"""Seconds of premiums that price limits look back on."""


class TapeTrade(msgspec.Struct, frozen=True, gc=False):
    """One printed trade as the public sees it."""

    at_ms: int
    side: Side
    price_units: int
    size_units: int
    trade_id: str
    seq: int
    tick_direction: str


class SymbolMarket:
    """A symbol's public state beside its book: tape, figures since start, mark, index."""

    __slots__ = (
        "_direction",
        "_id_number",
        "_id_prefix",
        "_index",
        "_premiums",
        "book",
        "candles",
        "facts",
        "first_price_units",
        "funding_e8",
        "high_units",
        "instrument",
        "label",
        "last_price_units",
        "low_units",
        "past",
        "tape",
        "turnover",
        "volume_units",
    )

    def __init__(
        self, instrument: VenueInstrument, book: VenueBook, rng: Random, *, start_ms: int = 0
    ) -> None:
        self.instrument = instrument
        self.book = book
        self.past = MarketPast(instrument, start_ms)
        self.candles = CandleSeries()
        self.tape: deque[TapeTrade] = deque(maxlen=RECENT_TRADES)
        self.label = ""
        self.facts = MarketFacts()
        self.funding_e8 = 10_000
        self.last_price_units = 0
        self.first_price_units = 0
        self.high_units = 0
        self.low_units = 0
        self.volume_units = 0
        self.turnover = 0
        self._direction = "ZeroPlusTick"
        self._index = 0.0
        self._premiums: deque[int] = deque(maxlen=_PREMIUMS_KEPT)
        # Trade ids are unique within a run and look like the venue's: a UUID on contracts, digits
        # on spot.
        bits = f"{rng.getrandbits(80):020x}"
        self._id_prefix = f"{bits[:8]}-{bits[8:12]}-5{bits[13:16]}-a{bits[17:20]}-"
        self._id_number = 2_290_000_000_000_000_000 + rng.getrandbits(40)

    def print_trade(self, side: Side, price_units: int, size_units: int, at_ms: int) -> TapeTrade:
        """Put a trade on the tape and count it in candles and figures."""
        last = self.last_price_units
        if not last:
            self.first_price_units = self.high_units = self.low_units = price_units
        elif price_units > last:
            self._direction = "PlusTick"
        elif price_units < last:
            self._direction = "MinusTick"
        elif not self._direction.startswith("Zero"):
            self._direction = "Zero" + self._direction
        self.last_price_units = price_units
        self.high_units = max(self.high_units, price_units)
        self.low_units = min(self.low_units, price_units)
        self.volume_units += size_units
        self.turnover += price_units * size_units
        self.candles.add(price_units, size_units, at_ms)
        self.past.traded(side, size_units, self._direction)
        self._id_number += 1
        trade = TapeTrade(
            at_ms,
            side,
            price_units,
            size_units,
            self._trade_id(),
            self.book.seq,
            self._direction,
        )
        self.tape.append(trade)
        return trade

    def _trade_id(self) -> str:
        if self.instrument.category.value == "spot":
            return str(self._id_number)
        return f"{self._id_prefix}{self._id_number & 0xFFFFFFFFFFFF:012x}"

    @property
    def mark_units(self) -> int:
        """Mark price: the source's fact, else the mid of the book."""
        if self.facts.mark_units is not None:
            return self.facts.mark_units
        return self.mid_units

    @property
    def index_units(self) -> int:
        """Index price: the source's fact, else a slow average of the mark."""
        if self.facts.index_units is not None:
            return self.facts.index_units
        return round(self._index) if self._index else self.mark_units

    def tick(self, at_ms: int) -> None:
        """Move the smoothed index a step towards the mark and remember the facts: once a second."""
        mark = self.mark_units
        self._index = self._index + (mark - self._index) * _INDEX_SMOOTHING if self._index else mark
        mid = self.mid_units
        if self.instrument.category is Category.SPOT:
            self._premiums.append(mid - self.index_units)
        else:
            self._premiums.append(mid - mark)
            self.look(at_ms)

    def look(self, at_ms: int) -> None:
        """Remember a contract's facts as they are now."""
        if self.instrument.category is not Category.SPOT:
            self.past.look(self.mark_units, self.index_units, self.mid_units, at_ms)

    @property
    def mid_units(self) -> int:
        """Mid of the book, or the last price when a side is empty."""
        bids, asks = self.book.bids.keys, self.book.asks.keys
        if not bids or not asks:
            return self.last_price_units or self.instrument.reference_price_units
        return (bids[-1] - asks[-1]) // 2

    def premium(self, seconds: int) -> int:
        """Average of the mid above the mark (contracts) or the index (spot) of late, in units."""
        if not self._premiums:
            return 0
        latest = list(self._premiums)[-seconds:]
        return sum(latest) // len(latest)

    def last_or_mid_units(self) -> int:
        """Last trade price, or the mark before the first trade."""
        return self.last_price_units or self.mark_units
