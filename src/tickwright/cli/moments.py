"""Owns reading a moment from the command line."""

from datetime import UTC, datetime

from tickwright.core.errors import ConfigError

__all__ = ["moment_ns"]


def moment_ns(text: str, default: int) -> int:
    """Return UTC nanoseconds of an ISO date or time, `default` of nothing; UTC unless it says.

    Raises:
        ConfigError: it is no time.
    """
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time such as 2024-12-01 or 2024-12-01T08:30") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
