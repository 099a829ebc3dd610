"""Owns volatility told from ranges: an average true range of sampled mids as a deviation.

Refuses to guess: unknown until a whole window of candles is there, and anew after every gap.
A driftless walk of deviation s over a candle has a mean range of s x sqrt(8 / pi) (Feller 1951,
"The asymptotic distribution of the range of sums of independent random variables"), so the range
divided by that is its deviation. Sampled once a second the extremes between samples are missed and
the figure is a little low.
"""

import math

from tickwright.strategy.indicators import Atr

__all__ = ["RangeVolatility"]

CANDLE_SAMPLES = 60
"""Samples a candle: a minute of them."""
WINDOW = 14
"""Candles of the average, as Wilder had it."""
_RANGE_OF_DEVIATION = math.sqrt(8 / math.pi)


class RangeVolatility:
    """Takes a mid per second; tells the deviation of returns over a horizon."""

    __slots__ = ("_atr", "_close", "_high", "_low", "_samples")

    def __init__(self) -> None:
        self._atr = Atr(WINDOW)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._atr.reset()
        self._samples = self._high = self._low = self._close = 0

    def update(self, value: int) -> None:
        """Take the next mid (whole units, above zero) in."""
        if not self._samples:
            self._high = self._low = value
        self._samples += 1
        self._close = value
        if value > self._high:
            self._high = value
        elif value < self._low:
            self._low = value
        if self._samples == CANDLE_SAMPLES:
            self._atr.update(self._high, self._low, value)
            self._samples = 0

    def over(self, horizon_ns: int) -> float | None:
        """Return the deviation over a horizon as a fraction; None while warming up."""
        average = self._atr.value
        if average is None:
            return None
        candles = horizon_ns / (CANDLE_SAMPLES * 1_000_000_000)
        return average / self._close / _RANGE_OF_DEVIATION * math.sqrt(candles)
