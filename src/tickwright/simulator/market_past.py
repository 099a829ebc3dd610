"""Owns what one contract's facts were: mark, index, premium, open interest, funding rates paid.

It is shown the market once a second and remembers within bounds. Refuses to decide any of it, but
for the past before the venue's start, where there is none: funding rates of that time are invented
from symbol and time alone, so that every run tells the same.
"""

import zlib
from collections import deque

from tickwright.core.orders import Side
from tickwright.simulator.candles import CandleSeries
from tickwright.simulator.instruments import VenueInstrument

__all__ = [
    "FACT_MINUTES_MAX",
    "FUNDINGS_KEPT",
    "INTEREST_KEPT",
    "INTEREST_STEP_MS",
    "MarketPast",
]

FACT_MINUTES_MAX = 1_500
"""Latest minutes of mark, index and premium kept per contract: a little over a day."""
FUNDINGS_KEPT = 1_000
"""Latest funding payments remembered per contract."""
INTEREST_STEP_MS = 300_000
"""From one remembered open interest to the next."""
INTEREST_KEPT = 2_016
"""Latest open interests remembered per contract: a week of them."""

_CROWD_NOTIONAL = 300_000_000
_RATE_E8 = 10_000
_RATE_STEPS = 1_000
_RATE_STEP_E8 = 5


class MarketPast:
    """One contract's remembered facts.

    Open interest is what users hold, and beside it a crowd's: the crowd opens when the market goes
    on in its direction and closes when it turns, half of each trade's size, between half of what
    it began with and twice that.
    """

    __slots__ = (
        "_crowd_bounds",
        "_crowd_half_units",
        "_longs_units",
        "_shorts_units",
        "_start_ms",
        "fundings",
        "indexes",
        "interests",
        "marks",
        "premiums",
    )

    def __init__(self, instrument: VenueInstrument, start_ms: int) -> None:
        scale: int = 10 ** (instrument.price_decimals + instrument.size_decimals)
        crowd = max(1, _CROWD_NOTIONAL * scale // max(1, instrument.reference_price_units))
        # Counted in halves of a unit, because half of each trade's size counts.
        self._crowd_half_units = 2 * crowd
        self._crowd_bounds = crowd, 4 * crowd
        self._longs_units = 0
        self._shorts_units = 0
        self._start_ms = start_ms
        self.marks = CandleSeries(FACT_MINUTES_MAX)
        self.indexes = CandleSeries(FACT_MINUTES_MAX)
        self.premiums = CandleSeries(FACT_MINUTES_MAX)
        self.interests: deque[tuple[int, int]] = deque(maxlen=INTEREST_KEPT)
        self.fundings: deque[tuple[int, int]] = deque(maxlen=FUNDINGS_KEPT)

    @property
    def open_interest_units(self) -> int:
        """Size of all open positions, each contract counted once."""
        return self._crowd_half_units // 2 + max(self._longs_units, self._shorts_units)

    def look(self, mark_units: int, index_units: int, mid_units: int, at_ms: int) -> None:
        """Remember the facts of a moment; times rise."""
        self.marks.add(mark_units, 0, at_ms)
        self.indexes.add(index_units, 0, at_ms)
        premium_e8 = (mid_units - index_units) * 10**8 // index_units if index_units else 0
        self.premiums.add(premium_e8, 0, at_ms)
        boundary = at_ms // INTEREST_STEP_MS * INTEREST_STEP_MS
        if not self.interests or boundary > self.interests[-1][0]:
            self.interests.append((boundary, self.open_interest_units))

    def traded(self, side: Side, size_units: int, direction: str) -> None:
        """Let the crowd's positions follow a trade; `direction` is its tick direction."""
        rises = direction.endswith("PlusTick")
        change = size_units if rises is (side is Side.BUY) else -size_units
        lowest, highest = self._crowd_bounds
        self._crowd_half_units = min(highest, max(lowest, self._crowd_half_units + change))

    def moved(self, before_units: int, after_units: int) -> None:
        """Count the change of a user's position, signed sizes."""
        self._longs_units += max(0, after_units) - max(0, before_units)
        self._shorts_units += max(0, -after_units) - max(0, -before_units)

    def paid(self, rate_e8: int, at_ms: int) -> None:
        """Remember a funding payment."""
        self.fundings.append((at_ms, rate_e8))

    def funding_rates(
        self, symbol: str, span_ms: int, start_ms: int, end_ms: int, limit: int
    ) -> list[tuple[int, int]]:
        """Return (time, rate) of funding within a span, newest first, at most `limit`.

        Before the venue's start there is a rate at each interval of `span_ms`.
        """
        rates = [pair for pair in reversed(self.fundings) if start_ms <= pair[0] <= end_ms]
        at = min(end_ms, self._start_ms) // span_ms * span_ms
        while len(rates) < limit and at >= start_ms and at > 0:
            rates.append((at, _invented_rate_e8(symbol, at)))
            at -= span_ms
        return rates[:limit]


def _invented_rate_e8(symbol: str, at_ms: int) -> int:
    """Return a rate of before the start: most often the basic one, else within half of it."""
    number = zlib.crc32(f"{symbol}:{at_ms}".encode())
    if number % 3:
        return _RATE_E8
    return _RATE_E8 + (number // 3 % (2 * _RATE_STEPS + 1) - _RATE_STEPS) * _RATE_STEP_E8
