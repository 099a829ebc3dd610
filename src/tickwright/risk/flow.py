"""Owns how often an account asks the venue for something, and how often that fills.

Refuses to judge, and to grow: stamps are kept up to the bound they are counted against.
"""

from collections import deque
from collections.abc import Iterable

from tickwright.core.risk_state import FillRatioRecord

__all__ = ["FillRatio", "Rate"]

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
BUCKETS = 60
"""Parts a window of the order-to-fill ratio is counted in."""


class Rate:
    """Requests of one kind in the last second and the last minute, counted up to `most`."""

    __slots__ = ("minute", "second")

    def __init__(self, most: int) -> None:
        self.second: deque[int] = deque(maxlen=most)
        self.minute: deque[int] = deque(maxlen=most)

    def note(self, now_ns: int) -> None:
        """Count one."""
        self.second.append(now_ns)
        self.minute.append(now_ns)

    def forget_before(self, now_ns: int) -> bool:
        """Drop what is older than the windows; say whether anything is left."""
        minute = self.minute
        if minute:
            second, before_ns = self.second, now_ns - SECOND_NS
            while second and second[0] <= before_ns:
                second.popleft()
            before_ns = now_ns - MINUTE_NS
            while minute and minute[0] <= before_ns:
                minute.popleft()
        return bool(minute)

    def refill(self, stamps_ns: Iterable[int]) -> None:
        """Take up remembered stamps."""
        self.second.clear()
        self.minute.clear()
        for stamp_ns in stamps_ns:
            self.note(stamp_ns)


class FillRatio:
    """Orders and fills within a window, counted in `BUCKETS` parts of it.

    The oldest part leaves as a whole, so that the window is between 59 and 60 parts long.
    """

    __slots__ = (
        "_bucket",
        "_bucket_ns",
        "_fills",
        "_orders",
        "_place",
        "fills",
        "orders",
        "until_ns",
    )

    def __init__(self, window_ns: int) -> None:
        self._bucket_ns = max(1, window_ns // BUCKETS)
        self._bucket = 0
        self._place = 0
        self._orders = [0] * BUCKETS
        self._fills = [0] * BUCKETS
        self.orders = 0
        self.fills = 0
        self.until_ns = 0
        """Until then `orders` and `fills` are those of the window without a `turn`."""

    def note_order(self, now_ns: int) -> None:
        """Count an order sent."""
        place = self._place if now_ns < self.until_ns else self.turn(now_ns)
        self._orders[place] += 1
        self.orders += 1

    def note_fill(self, now_ns: int) -> None:
        """Count an execution of an order."""
        place = self._place if now_ns < self.until_ns else self.turn(now_ns)
        self._fills[place] += 1
        self.fills += 1

    def turn(self, now_ns: int) -> int:
        """Forget what left the window and return the place of now."""
        bucket = now_ns // self._bucket_ns
        gone = bucket - self._bucket
        if gone > 0:
            for old in range(self._bucket + 1, self._bucket + 1 + min(gone, BUCKETS)):
                place = old % BUCKETS
                self.orders -= self._orders[place]
                self.fills -= self._fills[place]
                self._orders[place] = self._fills[place] = 0
            self._bucket = bucket
            self._place = bucket % BUCKETS
            self.until_ns = (bucket + 1) * self._bucket_ns
        return self._place

    def record(self) -> FillRatioRecord:
        """Return what a restart must know."""
        return FillRatioRecord(
            bucket_ns=self._bucket_ns,
            bucket=self._bucket,
            orders=tuple(self._orders),
            fills=tuple(self._fills),
        )

    def restore(self, record: FillRatioRecord) -> None:
        """Take up a remembered window; one of another length counts afresh."""
        if record.bucket_ns != self._bucket_ns or len(record.orders) != BUCKETS:
            return
        self._bucket = record.bucket
        self._place = record.bucket % BUCKETS
        self._orders = list(record.orders)
        self._fills = list(record.fills)
        self.orders = sum(self._orders)
        self.fills = sum(self._fills)
        self.until_ns = (record.bucket + 1) * self._bucket_ns
