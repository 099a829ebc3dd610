"""Owns when opening is allowed by the clock: windows of the week in UTC; refuses local time.

A window is written `mon-fri 08:00-20:00`, `sat 10:00-12:00` or `06:00-22:00` (every day). One whose
end is not after its start runs past midnight into the next day; `24:00` is a day's end.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from tickwright.core.errors import ConfigError

__all__ = ["WINDOWS_MAX", "TradingHours", "moment_text"]

WINDOWS_MAX = 50
"""Windows one limit may name."""
MINUTE_NS = 60_000_000_000
WEEK_MINUTES = 7 * 24 * 60
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH_DAY = 3
"""1970-01-01 was a Thursday."""
_WINDOW = re.compile(
    r"(?:(mon|tue|wed|thu|fri|sat|sun)(?:-(mon|tue|wed|thu|fri|sat|sun))? )?"
    r"(\d\d):(\d\d)-(\d\d):(\d\d)"
)


class TradingHours:
    """The union of some windows; without any, always open."""

    __slots__ = ("_from_ns", "_is_open", "_minutes", "_until_ns", "texts")

    def __init__(self, texts: Sequence[str], *, key: str = "risk.trading_hours") -> None:
        """Read windows.

        Raises:
            ConfigError: one is no window, or there are more than `WINDOWS_MAX`.
        """
        if len(texts) > WINDOWS_MAX:
            raise ConfigError(f"{key} has {len(texts)} windows; at most {WINDOWS_MAX}")
        self.texts = tuple(texts)
        minutes = bytearray(WEEK_MINUTES if texts else 0)
        for text in texts:
            for start, end in _spans(text, key):
                # A window of Sunday night may run into Monday.
                minutes[start : min(end, WEEK_MINUTES)] = b"\1" * (min(end, WEEK_MINUTES) - start)
                minutes[: max(0, end - WEEK_MINUTES)] = b"\1" * max(0, end - WEEK_MINUTES)
        self._minutes = bytes(minutes)
        self._from_ns = self._until_ns = 0
        self._is_open = True

    def is_open(self, now_ns: int) -> bool:
        """Whether opening is allowed at a moment."""
        if not self._minutes:
            return True
        if self._from_ns <= now_ns < self._until_ns:
            return self._is_open
        minute = now_ns // MINUTE_NS
        # The answer holds for the rest of the minute: no order pays for the calendar twice.
        self._from_ns = minute * MINUTE_NS
        self._until_ns = self._from_ns + MINUTE_NS
        self._is_open = bool(self._minutes[(minute + _EPOCH_DAY * 24 * 60) % WEEK_MINUTES])
        return self._is_open

    @staticmethod
    @lru_cache(maxsize=1_000)
    def of(texts: tuple[str, ...]) -> "TradingHours":
        """Return the hours of good windows, the same object for the same ones."""
        return TradingHours(texts)

    def within(self, other: "TradingHours") -> "TradingHours":
        """Return the hours that are open in both."""
        if not self._minutes:
            return other
        if not other._minutes:
            return self
        both = TradingHours(())
        both.texts = (*self.texts, "and", *other.texts)
        both._minutes = bytes(a & b for a, b in zip(self._minutes, other._minutes, strict=True))
        return both

    @property
    def is_never(self) -> bool:
        """Whether no minute of the week is open."""
        return bool(self._minutes) and not any(self._minutes)

    def __str__(self) -> str:
        return ", ".join(self.texts).replace(", and, ", " and ") or "always"


def moment_text(now_ns: int) -> str:
    """Write a moment as its weekday and minute, UTC."""
    minute = (now_ns // MINUTE_NS + _EPOCH_DAY * 24 * 60) % WEEK_MINUTES
    day, rest = divmod(minute, 24 * 60)
    return f"{_DAYS[day]} {rest // 60:02d}:{rest % 60:02d} UTC"


def _spans(text: str, key: str) -> Iterable[tuple[int, int]]:
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{key} has {text!r}; write a window as 'mon-fri 08:00-20:00' or '08:00-20:00', in UTC"
        )
    first, last = match[1], match[2]
    start = int(match[3]) * 60 + int(match[4])
    end = int(match[5]) * 60 + int(match[6])
    if start >= 24 * 60 or end > 24 * 60 or int(match[4]) > 59 or int(match[6]) > 59:
        raise ConfigError(f"{key} has {text!r}; a day has the times 00:00 to 24:00")
    if start == end:
        raise ConfigError(f"{key} has {text!r}, a window of no length; write 00:00-24:00 for a day")
    if end < start:
        end += 24 * 60
    begin = _DAYS.index(first) if first else 0
    stop = _DAYS.index(last) if last else begin if first else 6
    days = range(begin, stop + 1) if begin <= stop else [*range(begin, 7), *range(stop + 1)]
    return [(day * 24 * 60 + start, day * 24 * 60 + end) for day in days]
