"""Owns the candles of a row of prices, a symbol's trades or its mark; refuses to make prices.

One-minute candles are kept, at most `MINUTES_MAX`; longer intervals are added up from them on
request. A minute without a price is a flat candle at the last close.
"""

from collections import deque
from datetime import UTC, datetime

import msgspec

__all__ = [
    "INTERVALS",
    "MINUTES_MAX",
    "Candle",
    "CandleSeries",
    "interval_end_ms",
    "interval_start_ms",
]

MINUTES_MAX = 3_000
"""Latest minutes kept per symbol: a little over two days."""

INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
# 1970-01-05 was the first Monday of the epoch.
_MONDAY_MS = 4 * _DAY_MS


class Candle(msgspec.Struct, gc=False):
    """Prices in units, volume in size units, turnover in price units x size units."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    turnover: int = 0
    last_trade_ms: int = 0

    def add(self, price_units: int, size_units: int, at_ms: int) -> None:
        """Count a trade."""
        self.high = max(self.high, price_units)
        self.low = min(self.low, price_units)
        self.close = price_units
        self.volume += size_units
        self.turnover += price_units * size_units
        self.last_trade_ms = at_ms

    def join(self, later: "Candle") -> None:
        """Extend by a later candle."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover
        self.last_trade_ms = max(self.last_trade_ms, later.last_trade_ms)


def interval_start_ms(interval: str, at_ms: int) -> int:
    """Start of the interval that holds a moment, UTC."""
    if interval == "M":
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp() * 1000)
    if interval == "W":
        return (at_ms - _MONDAY_MS) // (7 * _DAY_MS) * (7 * _DAY_MS) + _MONDAY_MS
    span = _DAY_MS if interval == "D" else int(interval) * _MINUTE_MS
    return at_ms // span * span


def interval_end_ms(interval: str, start_ms: int) -> int:
    """Start of the following interval."""
    if interval == "M":
        return interval_start_ms("M", start_ms + 32 * _DAY_MS)
    if interval == "W":
        return start_ms + 7 * _DAY_MS
    return start_ms + (_DAY_MS if interval == "D" else int(interval) * _MINUTE_MS)


class CandleSeries:
    """One symbol's minutes."""

    __slots__ = ("_minutes", "_minutes_max")

    def __init__(self, minutes_max: int = MINUTES_MAX) -> None:
        self._minutes_max = minutes_max
        self._minutes: deque[Candle] = deque(maxlen=minutes_max)

    def add(self, price_units: int, size_units: int, at_ms: int) -> None:
        """Count a trade; times don't go back by more than the open minute."""
        minutes = self._minutes
        start = at_ms // _MINUTE_MS * _MINUTE_MS
        if not minutes or start > minutes[-1].start_ms:
            if minutes:
                self.roll(at_ms - _MINUTE_MS)
            minutes.append(Candle(start, price_units, price_units, price_units, price_units))
        minutes[-1].add(price_units, size_units, at_ms)

    def roll(self, now_ms: int) -> None:
        """Append flat candles up to the minute of `now_ms`; at most as many as are kept."""
        minutes = self._minutes
        if not minutes:
            return
        last = minutes[-1]
        start = now_ms // _MINUTE_MS * _MINUTE_MS
        first = max(last.start_ms + _MINUTE_MS, start - (self._minutes_max - 1) * _MINUTE_MS)
        for minute in range(first, start + 1, _MINUTE_MS):
            close = last.close
            minutes.append(Candle(minute, close, close, close, close, 0, 0, last.last_trade_ms))

    def candles(self, interval: str, now_ms: int) -> list[Candle]:
        """Candles of an interval, oldest first, the open one last. Empty before the first trade."""
        self.roll(now_ms)
        out: list[Candle] = []
        for minute in self._minutes:
            start = interval_start_ms(interval, minute.start_ms)
            if out and out[-1].start_ms == start:
                out[-1].join(minute)
            else:
                out.append(
                    Candle(
                        start,
                        minute.open,
                        minute.high,
                        minute.low,
                        minute.close,
                        minute.volume,
                        minute.turnover,
                        minute.last_trade_ms,
                    )
                )
        return out
