"""Owns the conversion between decimal text and fixed-point whole numbers.

Refuses to round silently.

A price or size is an int in units of 10^-decimals of its instrument, bounded to int64. Money is an
int in units of 10^-18 of its asset (`MONEY_DECIMALS`), a plain Python int without a bound, so that
sums are exact.
"""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from tickwright.core.errors import UnitsError

__all__ = [
    "INT64_MAX",
    "MONEY_DECIMALS",
    "MONEY_ONE",
    "decimal_from_units",
    "decimals_of",
    "money_from_decimal",
    "money_to_decimal",
    "units_from_decimal",
    "units_from_text",
    "units_to_text",
    "units_writer",
]

INT64_MAX = 2**63 - 1
MONEY_DECIMALS = 18
MONEY_ONE = 10**MONEY_DECIMALS
"""One whole asset (one USDT, one BTC) in money units."""

_DECIMALS_MAX = 18
_EXACT = Context(prec=400)
"""Wide enough that no number of ours is ever rounded; the ambient context has 28 digits."""


def units_from_text(text: str, decimals: int) -> int:
    """Parse plain decimal text ("60000.10") into units of 10^-decimals.

    Only digits with at most one dot are taken: no sign, exponent, blank or NaN. Zeros beyond
    `decimals` are accepted, any other digit there is refused.

    Raises:
        UnitsError: the text isn't such a number, has digits beyond `decimals`, or exceeds int64.
    """
    whole, dot, fraction = text.partition(".")
    # str.isdigit alone would accept other scripts' digits, which int() then reads; the wire has
    # ASCII only.
    if not (whole.isascii() and whole.isdigit()) or (
        dot and not (fraction.isascii() and fraction.isdigit())
    ):
        raise UnitsError(f"{text[:40]!r} is not plain decimal text")
    kept, beyond = fraction[:decimals], fraction[decimals:]
    if beyond.strip("0"):
        raise UnitsError(f"{text[:40]!r} has more than {decimals} decimals")
    units = int(whole + kept.ljust(decimals, "0")) if len(whole) < 40 else INT64_MAX + 1
    if units > INT64_MAX:
        raise UnitsError(f"{text[:40]!r} is too large for {decimals} decimals")
    return units


def units_to_text(units: int, decimals: int) -> str:
    """Write units as plain decimal text with exactly `decimals` decimals, never an exponent."""
    if units < 0:
        return "-" + units_to_text(-units, decimals)
    digits = str(units)
    if decimals == 0:
        return digits
    if len(digits) > decimals:
        return f"{digits[:-decimals]}.{digits[-decimals:]}"
    return "0." + digits.rjust(decimals, "0")


def units_writer(decimals: int) -> Callable[[int], str]:
    """Return a function that writes units >= 0 as `units_to_text` does, in half of its time."""
    if decimals == 0:
        return str
    one, form = 10**decimals, f"%d.%0{decimals}d"

    def write(units: int) -> str:
        text: str = form % divmod(units, one)
        return text

    return write


def decimal_from_units(units: int, decimals: int) -> Decimal:
    """Return the exact Decimal of `units` x 10^-decimals."""
    return _EXACT.scaleb(Decimal(units), -decimals)


def units_from_decimal(value: Decimal, decimals: int) -> int:
    """Turn an exact Decimal into units.

    Raises:
        UnitsError: not finite, not exact at `decimals`, or beyond int64.
    """
    try:
        scaled = _EXACT.scaleb(value, decimals)
        units = int(scaled)
        exact = scaled == units
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise UnitsError(f"{value} is not a finite number") from error
    if not exact:
        raise UnitsError(f"{value} has more than {decimals} decimals")
    if abs(units) > INT64_MAX:
        raise UnitsError(f"{value} is too large for {decimals} decimals")
    return units


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a step such as 0.10 or 0.001 needs (trailing zeros don't count).

    Raises:
        UnitsError: the step isn't a positive number or needs more than 18 decimals.
    """
    if not step.is_finite() or step <= 0:
        raise UnitsError(f"step {step} must be a positive number")
    exponent = step.normalize(_EXACT).as_tuple().exponent
    decimals = max(0, -int(exponent))
    if decimals > _DECIMALS_MAX:
        raise UnitsError(
            f"step {step} needs {decimals} decimals; at most {_DECIMALS_MAX} are supported"
        )
    return decimals


def money_from_decimal(value: Decimal) -> int:
    """Return money units of a Decimal amount; beyond 18 decimals it rounds half-even."""
    if not value.is_finite():
        raise UnitsError(f"{value} is not an amount of money")
    scaled = _EXACT.scaleb(value, MONEY_DECIMALS)
    return int(scaled.to_integral_value(ROUND_HALF_EVEN, context=_EXACT))


def money_to_decimal(units: int) -> Decimal:
    """Return the exact Decimal of money units."""
    return _EXACT.scaleb(Decimal(units), -MONEY_DECIMALS)
