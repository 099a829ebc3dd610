"""Owns how figures are written for people; refuses to say a number for what isn't known."""

from datetime import UTC, datetime
from decimal import Decimal

__all__ = [
    "UNKNOWN",
    "count",
    "duration",
    "estimate",
    "figure",
    "milliseconds",
    "moment",
    "money",
    "percent",
    "points",
    "signed_money",
    "signed_percent",
]

UNKNOWN = "unknown"


def money(value: float | Decimal | None) -> str:
    """Write an amount: cents, or four digits that matter below one."""
    if value is None:
        return UNKNOWN
    if value == 0 or abs(float(value)) >= 1:
        return f"{value:,.2f}"
    return f"{float(value):.4g}"


def signed_money(value: float | Decimal | None) -> str:
    """Write a result with its sign."""
    text = money(value)
    return f"+{text}" if value is not None and value > 0 else text


def percent(value: float | None) -> str:
    """Write a fraction as per cent."""
    if value is None:
        return UNKNOWN
    return f"{value:.2%}" if abs(value) >= 0.001 or not value else f"{value:.4%}"


def signed_percent(value: float | None) -> str:
    """Write a fraction as per cent with its sign."""
    text = percent(value)
    return text if value is None or value <= 0 else f"+{text}"


def points(value: float | None) -> str:
    """Write basis points, which a table's head names."""
    return UNKNOWN if value is None else f"{value:+.2f}"


def estimate(mean: float | None, error: float | None) -> str:
    """Write a mean in basis points with its standard error."""
    if mean is None:
        return UNKNOWN
    return f"{mean:+.2f} ± {error:.2f}" if error is not None else f"{mean:+.2f} ± ?"


def figure(value: float | None) -> str:
    """Write a ratio with the digits that matter."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.2f}"


def count(value: int | None) -> str:
    """Write a whole number."""
    return UNKNOWN if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    """Write a time told in milliseconds."""
    return UNKNOWN if value is None else duration(value / 1e3)


def duration(seconds: float | None) -> str:
    """Write a time in the two units that matter."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if not seconds:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {whole % 60} s" if whole % 60 else f"{minutes} min"


def moment(time_ms: float | None) -> str:
    """Write a UTC time given in milliseconds since 1970, to the second."""
    if time_ms is None:
        return UNKNOWN
    return datetime.fromtimestamp(time_ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M:%S")
