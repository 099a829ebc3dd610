"""Owns reading moments and spans of time from the command line."""

import re
from datetime import UTC, datetime

from tickwright.core.errors import ConfigError

__all__ = ["moment_ns", "span_ns"]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}


def moment_ns(text: str, default: int = 0, *, option: str) -> int:
    """Return UTC nanoseconds of an option's ISO time (UTC unless it says), `default` of none.

    Raises:
        ConfigError: it is no time.
    """
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is no time such as 2024-12-01 or 2024-12-01T08:30:05.250"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def span_ns(text: str, *, option: str) -> int:
    """Return nanoseconds of an option's span such as 90s, 30m, 6h or 1.5d.

    Raises:
        ConfigError: it is no span.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{option} {text!r} is no span of time such as 90s, 30m, 6h or 7d")
    return round(float(found[1]) * _UNITS_NS[found[2]])
