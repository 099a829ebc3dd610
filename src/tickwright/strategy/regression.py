"""Owns a straight line through the last samples of two series; refuses to grow and to drift.

Sums are whole numbers, so that the line after a billion samples is that of the window, to the last
digit. Feed it whole numbers, log prices times `LOG_SCALE` for instance.
"""

import math

from tickwright.strategy.indicators import WINDOW_MAX

__all__ = ["LOG_SCALE", "Line", "RollingRegression", "log_units"]

LOG_SCALE = 10**9
"""Log prices are counted in parts per thousand million: a hundred-thousandth of a basis point."""


def log_units(price: int) -> int:
    """Return the natural logarithm of a price above zero, in units of 1 / `LOG_SCALE`."""
    return round(math.log(price) * LOG_SCALE)


class Line:
    """y = intercept + slope * x, and the standard deviation of what is left over."""

    __slots__ = ("deviation", "intercept", "slope")

    def __init__(self, slope: float, intercept: float, deviation: float) -> None:
        self.slope = slope
        self.intercept = intercept
        self.deviation = deviation

    def residual(self, x: int, y: int) -> float:
        """Return how far a sample lies above the line."""
        return y - self.intercept - self.slope * x


class RollingRegression:
    """Ordinary least squares of y on x over the last `window` pairs; O(1) a pair."""

    __slots__ = ("_index", "_pairs", "_sums", "count", "window")

    def __init__(self, window: int) -> None:
        if not 3 <= window <= WINDOW_MAX:
            raise ValueError(f"a window must hold 3 to {WINDOW_MAX} pairs, not {window}")
        self.window = window
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._pairs: list[tuple[int, int]] = [(0, 0)] * self.window
        self._sums = (0, 0, 0, 0, 0)
        self._index = 0
        self.count = 0

    def update(self, x: int, y: int) -> None:
        """Take the next pair in, and let the oldest go once the window is full."""
        index = self._index
        old_x, old_y = self._pairs[index]
        self._pairs[index] = (x, y)
        sum_x, sum_y, sum_xx, sum_xy, sum_yy = self._sums
        self._sums = (
            sum_x + x - old_x,
            sum_y + y - old_y,
            sum_xx + x * x - old_x * old_x,
            sum_xy + x * y - old_x * old_y,
            sum_yy + y * y - old_y * old_y,
        )
        self._index = (index + 1) % self.window
        self.count = min(self.count + 1, self.window)

    @property
    def line(self) -> Line | None:
        """The line; None while warming up, and while x stood still."""
        count = self.count
        if count < self.window:
            return None
        sum_x, sum_y, sum_xx, sum_xy, sum_yy = self._sums
        spread_x = count * sum_xx - sum_x * sum_x
        if spread_x == 0:
            return None
        spread_xy = count * sum_xy - sum_x * sum_y
        spread_y = count * sum_yy - sum_y * sum_y
        slope = spread_xy / spread_x
        intercept = (sum_y - slope * sum_x) / count
        # Exact until here: the difference of two large numbers would be noise as floats.
        left_over = (spread_y * spread_x - spread_xy * spread_xy) / spread_x
        variance = max(left_over, 0.0) / count / (count - 2)
        return Line(slope, intercept, math.sqrt(variance))
