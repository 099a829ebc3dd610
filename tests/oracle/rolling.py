"""Rolling deviation and z-score in plain whole numbers: the oracle of `book/rolling.pyx`."""

import math

__all__ = ["OracleStd", "OracleZScore"]


class OracleStd:
    """Mean and population standard deviation of the last `window` whole numbers; O(1) an update.

    Values are kept as distances from the first one (`anchor`), which keeps the squares small.
    """

    __slots__ = ("_index", "_values", "anchor", "count", "sum", "sum_squares", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if new."""
        self._values = [0] * self.window
        self._index = 0
        self.anchor = 0
        self.sum = 0
        """Sum of (value - anchor)."""
        self.sum_squares = 0
        """Sum of (value - anchor) squared."""
        self.count = 0

    def update(self, value: int) -> None:
        """Take the next value in, and let the oldest go once the window is full."""
        if not self.count:
            self.anchor = value
        value -= self.anchor
        index = self._index
        values = self._values
        old = values[index]
        if value != old:
            values[index] = value
            change = value - old
            self.sum += change
            self.sum_squares += change * (value + old)
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
    def mean(self) -> float | None:
        """The mean, or None while warming up."""
        return self.anchor + self.sum / self.window if self.count == self.window else None

    @property
    def variance(self) -> float | None:
        """The population variance, or None while warming up; exact, so never negative."""
        if self.count != self.window:
            return None
        return (self.window * self.sum_squares - self.sum * self.sum) / (self.window * self.window)

    @property
    def value(self) -> float | None:
        """The standard deviation, or None while warming up."""
        variance = self.variance
        return None if variance is None else math.sqrt(variance)


class OracleZScore(OracleStd):
    """(value - rolling mean) / rolling deviation, with a floor for the deviation; O(1) an update.

    The floor (in the unit of the values) keeps a market that stands still from calling one tick an
    extreme.
    """

    __slots__ = ("floor",)

    def __init__(self, window: int, *, floor: float) -> None:
        super().__init__(window)
        if not (math.isfinite(floor) and floor > 0.0):
            raise ValueError(f"the deviation's floor must be above zero, not {floor}")
        self.floor = floor

    def score(self, value: int) -> float | None:
        """Return the z-score of `value` against the window, or None while warming up."""
        deviation = self.value
        if deviation is None:
            return None
        distance = value - self.anchor - self.sum / self.window
        return distance / (deviation if deviation > self.floor else self.floor)
