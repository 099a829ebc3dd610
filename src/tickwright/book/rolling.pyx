"""Owns rolling mean, deviation and z-score of whole numbers, in exact sums; refuses to drift.

A window holds distances from an anchor value in 128-bit sums, so that after a billion updates they
equal the sums of what is in the window, to the last digit. When values wander far from the anchor
it is moved and the sums are made anew, once in a long while.
"""

from libc.math cimport isfinite, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

__all__ = ["RollingStd", "RollingZScore"]

cdef enum:
    WINDOW_MAX = 1_000_000

# With a window below 2^20 and distances below 2^42, count x sum of squares stays below 2^124.
cdef int64_t DISTANCE_MAX = <int64_t> 1 << 42
cdef int64_t _LOW_BITS = (<int64_t> 1 << 62) - 1
cdef int64_t ANCHOR_AFTER = <int64_t> 1 << 41


cdef class RollingStd:
    """Mean and population standard deviation of the last `window` whole numbers; O(1) an update."""

    def __cinit__(self, int window, **_):
        if not 2 <= window <= WINDOW_MAX:
            raise ValueError(f"a window holds 2 to {WINDOW_MAX} samples, not {window}")
        self.window = window
        self.values = <int64_t*> calloc(window, sizeof(int64_t))
        if self.values == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.values)

    def reset(self):
        """Forget everything, as if new."""
        cdef int i
        for i in range(self.window):
            self.values[i] = 0
        self.place = 0
        self.count = 0
        self.anchor = 0
        self.total = 0
        self.squares = 0

    cdef int move_anchor(self, int64_t anchor) except -1:
        """Count distances from here; raises when a value in the window is too far away."""
        cdef int64_t shift = self.anchor - anchor, distance
        cdef int i
        for i in range(self.count):
            distance = self.values[i] + shift
            if distance <= -DISTANCE_MAX or distance >= DISTANCE_MAX:
                raise OverflowError(f"values of one window lie more than {DISTANCE_MAX} apart")
        self.anchor = anchor
        self.total = 0
        self.squares = 0
        for i in range(self.count):
            self.values[i] += shift
            self.total += self.values[i]
            self.squares += <tw_int128> self.values[i] * self.values[i]
        return 0

    cdef int push(self, int64_t value) except -1:
        cdef int64_t distance, old
        if self.count == 0:
            self.anchor = value
        distance = value - self.anchor
        if distance <= -ANCHOR_AFTER or distance >= ANCHOR_AFTER:
            self.move_anchor(value)
            distance = 0
        old = self.values[self.place]
        self.values[self.place] = distance
        self.total += distance - old
        self.squares += <tw_int128> (distance - old) * (distance + old)
        self.place += 1
        if self.count < self.place:
            self.count = self.place
        if self.place == self.window:
            self.place = 0
        return 0

    cdef double spread(self) noexcept:
        """Return count^2 times the variance, exact before it becomes a float."""
        return <double> (self.squares * self.count - <tw_int128> self.total * self.total)

    def update(self, int64_t value):
        """Take the next value in, and let the oldest go once the window is full."""
        self.push(value)

    @property
    def is_full(self):
        """Whether the window is full."""
        return self.count == self.window

    @property
    def mean(self):
        """The mean, or None while warming up."""
        if self.count != self.window:
            return None
        # Python ints, so that the one division rounds once.
        return (<object> self.anchor * self.window + self.total) / <object> self.window

    @property
    def variance(self):
        """The population variance, or None while warming up; never negative."""
        cdef tw_int128 spread
        if self.count != self.window:
            return None
        spread = self.squares * self.count - <tw_int128> self.total * self.total
        # As a Python int, so that the one division rounds once.
        exact = (<object> <int64_t> (spread >> 62) << 62) + <int64_t> (spread & _LOW_BITS)
        return exact / (<object> self.window * self.window)

    @property
    def value(self):
        """The standard deviation, or None while warming up."""
        variance = self.variance
        return None if variance is None else sqrt(variance)


cdef class RollingZScore(RollingStd):
    """(value - rolling mean) / rolling deviation, with a floor for the deviation; O(1) an update.

    The floor (in the unit of the values) keeps a market that stands still from calling one tick an
    extreme.
    """

    def __init__(self, int window, *, double floor):
        if not (isfinite(floor) and floor > 0.0):
            raise ValueError(f"the deviation's floor must be above zero, not {floor}")
        self.floor = floor

    cdef double z(self, int64_t value) noexcept:
        cdef double deviation = sqrt(self.spread()) / self.window
        cdef double distance = (
            <double> (value - self.anchor) - <double> self.total / self.window
        )
        return distance / (deviation if deviation > self.floor else self.floor)

    def score(self, int64_t value):
        """Return the z-score of `value` against the window, or None while warming up."""
        if self.count != self.window:
            return None
        return self.z(value)

    def step(self, int64_t value):
        """Take `value` in and return its z-score against the window it is part of now."""
        self.push(value)
        if self.count != self.window:
            return None
        return self.z(value)

    def is_within(self, int64_t value, double bound):
        """Say whether `value`'s z-score is at most `bound` either way; true while warming up."""
        cdef double score
        if self.count != self.window:
            return True
        score = self.z(value)
        return -bound <= score <= bound
