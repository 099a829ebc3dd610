"""Owns what a configured figure may be; refuses numbers that are none and names key and remedy."""

from decimal import Decimal

from tickwright.core.errors import ConfigError

__all__ = ["between", "percent", "whole"]


def percent(key: str, value: Decimal, most: Decimal) -> None:
    """Raise ConfigError for anything but a share above zero with at most four decimals."""
    between(key, value, Decimal("0.0001"), most)
    if value * 10_000 != int(value * 10_000):
        raise ConfigError(f"risk.{key} is {value}; write at most four decimals")


def between(key: str, value: Decimal, least: Decimal, most: Decimal) -> None:
    """Raise ConfigError for a number outside its bounds, NaN and infinity among them."""
    if not value.is_finite() or not least <= value <= most:
        raise ConfigError(f"risk.{key} is {value}; choose a number from {least} to {most}")


def whole(key: str, value: int, least: int, most: int) -> None:
    """Raise ConfigError for a whole number outside its bounds."""
    if not least <= value <= most:
        raise ConfigError(f"risk.{key} is {value}; choose a whole number from {least} to {most}")
