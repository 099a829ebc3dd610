"""Owns constant-time indicators over bounded windows; refuses to grow, to drift and to copy.

Rolling sums are kept in whole numbers, so that a sum after a billion updates equals the sum of what
is in the window, to the last digit. Feed them whole numbers: price units, `mid_twice_units`, size
units. Values are None while warming up: an indicator with half a window has no opinion.
"""

import math

from tickwright.book.rolling import RollingStd, RollingZScore

__all__ = [
    "Atr",
    "Candle",
    "CandleSampler",
    "Ema",
    "IntervalSampler",
    "RealisedVolatility",
    "RollingMean",
    "RollingStd",
    "RollingZScore",
]

WINDOW_MAX = 1_000_000
"""Most samples a window may hold: one list slot each."""

_RETURN_SCALE = 10**12
"""Log returns are summed as parts per million million: exact sums, far below a tick's return."""


class RollingMean:
    """Mean of the last `window` whole numbers, in exact sums; O(1) an update."""

    __slots__ = ("_index", "_sum", "_values", "count", "window")

    def __init__(self, window: int) -> None:
        _check_window(window)
        self.window = window
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        # Slots not used yet hold 0, so that "subtract what leaves" needs no special case while
        # warming up.
        self._values = [0] * self.window
        self._index = 0
        self._sum = 0
        self.count = 0

    def update(self, value: int) -> None:
        """Take the next value in, and let the oldest go once the window is full."""
        index = self._index
        values = self._values
        self._sum += value - values[index]
        values[index] = value
        index += 1
        if index == self.window:
            self._index = 0
            self.count = index
        else:
            self._index = index
            if self.count < index:
                self.count = index

    @property
    def is_full(self) -> bool:
        """Whether the window is full."""
        return self.count == self.window

    @property
    def value(self) -> float | None:
        """The mean, or None while warming up."""
        return self._sum / self.window if self.count == self.window else None


class Ema:
    """Exponential moving average with a smoothing factor of 2 / (window + 1); O(1) an update.

    Warm after `window` updates; it starts from the first value.
    """

    __slots__ = ("_average", "_factor", "count", "window")

    def __init__(self, window: int) -> None:
        _check_window(window)
        self.window = window
        self._factor = 2.0 / (window + 1)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._average = 0.0
        self.count = 0

    def update(self, value: float) -> None:
        """Take the next value in."""
        if self.count:
            self._average += self._factor * (value - self._average)
        else:
            self._average = float(value)
        if self.count < self.window:
            self.count += 1

    @property
    def value(self) -> float | None:
        """The average, or None while warming up."""
        return self._average if self.count == self.window else None


class RealisedVolatility:
    """Standard deviation of log returns between samples, about zero, over `window` returns; O(1).

    About zero and not about their mean: over short windows the mean return is noise.
    """

    __slots__ = ("_squares", "_value_before")

    def __init__(self, window: int) -> None:
        self._squares = RollingMean(window)
        self._value_before = 0

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._squares.reset()
        self._value_before = 0

    def update(self, value: int) -> None:
        """Take the next price (whole units, above zero) in.

        Raises:
            ValueError: the price is not above zero.
        """
        if value <= 0:
            raise ValueError(f"a price must be above zero, not {value}")
        before = self._value_before
        self._value_before = value
        if before:
            change = int(math.log(value / before) * _RETURN_SCALE)
            self._squares.update(change * change)

    @property
    def value(self) -> float | None:
        """Volatility per sample, or None while warming up."""
        mean = self._squares.value
        return None if mean is None else math.sqrt(mean) / _RETURN_SCALE

    def over(self, horizon_ns: int, *, interval_ns: int) -> float | None:
        """Return the volatility over `horizon_ns` when samples are `interval_ns` apart."""
        value = self.value
        return None if value is None else value * math.sqrt(horizon_ns / interval_ns)


class Atr:
    """Average true range over candles, smoothed as Wilder did.

    The first value is the plain mean of `window` ranges.
    """

    __slots__ = ("_average", "_close_before", "_is_first", "count", "window")

    def __init__(self, window: int) -> None:
        _check_window(window)
        self.window = window
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._average = 0.0
        self._close_before = 0
        self._is_first = True
        self.count = 0

    def update(self, high: int, low: int, close: int) -> None:
        """Take a finished candle in.

        Raises:
            ValueError: the close is not between low and high.
        """
        if not low <= close <= high:
            raise ValueError(f"a candle of low {low}, high {high} cannot close at {close}")
        if self._is_first:
            self._is_first = False
            true_range = high - low
        else:
            before = self._close_before
            true_range = max(high, before) - min(low, before)
        self._close_before = close
        if self.count < self.window:
            self.count += 1
            self._average += (true_range - self._average) / self.count
        else:
            self._average += (true_range - self._average) / self.window

    @property
    def value(self) -> float | None:
        """The average true range in the unit of the candles, or None while warming up."""
        return self._average if self.count == self.window else None


class IntervalSampler:
    """Tells how many samples of a fixed grid in time are due; O(1), whatever the silence before.

    The value that counts at a grid point is the last one known before it, because feeds report
    changes only: so ask `due` with the time of the new value, and use the old value for what is
    due.
    """

    __slots__ = ("_next_ns", "interval_ns")

    def __init__(self, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"the interval must be above zero, not {interval_ns}")
        self.interval_ns = interval_ns
        self._next_ns = 0

    def reset(self) -> None:
        """Forget the grid; the next time asked about starts a new one."""
        self._next_ns = 0

    def due(self, now_ns: int) -> int:
        """Return how many grid points passed up to `now_ns`; 0 for the first time asked."""
        next_ns = self._next_ns
        if now_ns < next_ns:
            return 0
        if not next_ns:
            self._next_ns = now_ns + self.interval_ns
            return 0
        passed = (now_ns - next_ns) // self.interval_ns + 1
        self._next_ns = next_ns + passed * self.interval_ns
        return passed


class Candle:
    """High, low and close of one interval of sampled prices, in the unit of the samples."""

    __slots__ = ("close", "high", "low")

    def __init__(self, value: int) -> None:
        self.high = value
        self.low = value
        self.close = value


class CandleSampler:
    """Builds candles from sampled mids, for `Atr` on feeds without candles; O(1) an update.

    An interval without a sample makes no candle.
    """

    __slots__ = ("_candle", "_grid")

    def __init__(self, interval_ns: int) -> None:
        self._grid = IntervalSampler(interval_ns)
        self._candle: Candle | None = None

    def reset(self) -> None:
        """Forget the candle under way."""
        self._grid.reset()
        self._candle = None

    def update(self, value: int, now_ns: int) -> Candle | None:
        """Take a sample in; return the candle it finished, or None."""
        finished = self._candle if self._grid.due(now_ns) else None
        candle = self._candle
        if candle is None or finished is not None:
            self._candle = Candle(value)
            return finished
        candle.close = value
        if value > candle.high:
            candle.high = value
        elif value < candle.low:
            candle.low = value
        return None


def _check_window(window: int, *, low: int = 1) -> None:
    if not low <= window <= WINDOW_MAX:
        raise ValueError(f"a window must hold {low} to {WINDOW_MAX} samples, not {window}")
