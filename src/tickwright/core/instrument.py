"""Owns what a tradable contract is: its units, filters, payoff and abilities.

Refuses inexact numbers.

Prices and sizes are whole numbers of 10^-price_decimals and 10^-size_decimals (`price_units`,
`size_units`); tick and lot are validity rules on top, because venues change them while running.
Money is in units of 10^-18 of its asset (`core.units`).
"""

import enum
from decimal import Decimal

import msgspec

from tickwright.core.errors import UnitsError
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import Side
from tickwright.core.units import (
    MONEY_DECIMALS,
    decimal_from_units,
    units_to_text,
)

__all__ = [
    "AmendKind",
    "Capabilities",
    "FeeRates",
    "Instrument",
    "InstrumentStatus",
    "Payoff",
    "SizeUnit",
]

# Looking a member up in its class is a Python call, and every order asks.
_SPOT = Category.SPOT


class Payoff(enum.Enum):
    """How profit follows price: linear settles in quote, inverse in base."""

    LINEAR = "linear"
    INVERSE = "inverse"


class SizeUnit(enum.Enum):
    """What one whole size counts: base asset, quote asset, or contracts of `multiplier` base."""

    BASE = "base"
    QUOTE = "quote"
    CONTRACT = "contract"


class AmendKind(enum.Enum):
    """How a venue changes a working order."""

    IN_PLACE = "in_place"
    REPLACE = "replace"
    NONE = "none"


class InstrumentStatus(enum.Enum):
    """Whether the venue trades the instrument now."""

    TRADING = "trading"
    PRELAUNCH = "prelaunch"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Capabilities(msgspec.Struct, frozen=True, gc=False):
    """What the venue offers for an instrument: data, so that no code asks for a venue's name."""

    can_short: bool = True
    has_reduce_only: bool = True
    has_native_stop: bool = True
    has_attached_brackets: bool = True
    amend: AmendKind = AmendKind.IN_PLACE
    batch_size_max: int = 1
    client_id_length_max: int = 32


class FeeRates(msgspec.Struct, frozen=True, gc=False):
    """Rates of an account on an instrument, as fractions of notional; negative is a rebate."""

    maker: Decimal
    taker: Decimal


# Looking a member up in its class is a Python call, and every fill asks.
_LINEAR = Payoff.LINEAR


class Instrument(msgspec.Struct, frozen=True):
    """One tradable contract and its rules, valid from `valid_from_ns`; a change is a new version.

    Units: `tick_units` and the price bounds in price units; `lot_units` and the size bounds in size
    units; `notional_min` and `multiplier` as Decimal in the quote asset and in base asset per size.
    """

    id: InstrumentId
    base_asset: str
    quote_asset: str
    settle_asset: str
    price_decimals: int
    size_decimals: int
    tick_units: int
    lot_units: int
    size_min_units: int
    size_max_units: int
    market_size_max_units: int
    notional_min: Decimal = Decimal(0)
    price_min_units: int = 1
    price_max_units: int = 2**63 - 1
    payoff: Payoff = Payoff.LINEAR
    size_unit: SizeUnit = SizeUnit.BASE
    multiplier: Decimal = Decimal(1)
    leverage_max: Decimal = Decimal(1)
    status: InstrumentStatus = InstrumentStatus.TRADING
    capabilities: Capabilities = Capabilities()
    funding_interval_minutes: int = 0
    version: int = 1
    valid_from_ns: int = 0

    def __post_init__(self) -> None:
        if self.tick_units <= 0 or self.lot_units <= 0:
            raise UnitsError(f"{self.id}: tick and lot must be positive")
        if self.price_decimals + self.size_decimals > MONEY_DECIMALS:
            raise UnitsError(
                f"{self.id}: {self.price_decimals} + {self.size_decimals} decimals exceed "
                f"the {MONEY_DECIMALS} of money"
            )

    @property
    def symbol(self) -> str:
        """The venue's own string."""
        return self.id.symbol

    @property
    def is_spot(self) -> bool:
        """Whether buying means holding the asset (no position, no reduce-only)."""
        return self.id.category is _SPOT

    # prices and sizes -----------------------------------------------------------------------------

    def price(self, price_units: int) -> Decimal:
        """Return the exact price in quote asset."""
        return decimal_from_units(price_units, self.price_decimals)

    def quantity(self, size_units: int) -> Decimal:
        """Return the exact size in the venue's size unit."""
        return decimal_from_units(size_units, self.size_decimals)

    def price_text(self, price_units: int) -> str:
        """Write a price as the wire wants it: plain decimals, no exponent."""
        return units_to_text(price_units, self.price_decimals)

    def size_text(self, size_units: int) -> str:
        """Write a size as the wire wants it: plain decimals, no exponent."""
        return units_to_text(size_units, self.size_decimals)

    def price_units_floor(self, price: Decimal | float) -> int:
        """Return the highest valid price at or below `price` (for a bid).

        A multiple of the tick.
        """
        return self._on_step(price, self.price_decimals, self.tick_units, up=False)

    def price_units_ceil(self, price: Decimal | float) -> int:
        """Return the lowest valid price at or above `price` (for an ask).

        A multiple of the tick.
        """
        return self._on_step(price, self.price_decimals, self.tick_units, up=True)

    def size_units_floor(self, quantity: Decimal | float) -> int:
        """Return the largest valid size at or below `quantity`: a multiple of the lot, maybe 0."""
        return self._on_step(quantity, self.size_decimals, self.lot_units, up=False)

    def passive_price_units(self, side: Side, price: Decimal | float) -> int:
        """Round a wished limit price away from the market: a bid down, an ask up."""
        return self.price_units_floor(price) if side is Side.BUY else self.price_units_ceil(price)

    def aggressive_price_units(self, side: Side, price: Decimal | float) -> int:
        """Round a worst acceptable price toward the market: a buy up, a sell down."""
        return self.price_units_ceil(price) if side is Side.BUY else self.price_units_floor(price)

    def _on_step(self, value: Decimal | float, decimals: int, step: int, *, up: bool) -> int:
        # A float is taken at its shortest text (0.3 means 0.3), not at its binary value, so that a
        # computed price that prints as a valid tick stays on it.
        exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
        if not exact.is_finite() or exact < 0:
            raise UnitsError(f"{self.id}: {value} is not a price or size")
        numerator, denominator = exact.as_integer_ratio()
        steps, rest = divmod(numerator * 10**decimals, denominator * step)
        units: int = (steps + (1 if up and rest else 0)) * step
        if units > 2**63 - 1:
            raise UnitsError(f"{self.id}: {value} is too large")
        return units

    # money ----------------------------------------------------------------------------------------

    def notional(self, size_units: int, price_units: int) -> int:
        """Return the notional of a size at a price, in money units of `settle_asset`, at least 0.

        Linear and spot: price x quantity x multiplier. Inverse: quantity x multiplier / price,
        rounded half-even at 10^-18.
        """
        size = abs(size_units)
        if self.payoff is _LINEAR:
            decimals = MONEY_DECIMALS - self.price_decimals - self.size_decimals
            raw = size * price_units * int(10**decimals)
            return raw if self.multiplier == 1 else _times(raw, self.multiplier)
        if price_units <= 0:
            raise UnitsError(f"{self.id}: inverse notional needs a price above zero")
        numerator = size * 10 ** (MONEY_DECIMALS + self.price_decimals - self.size_decimals)
        return _divide_half_even(*_scaled(numerator, price_units, self.multiplier))

    def pnl(self, size_units: int, entry_price_units: int, exit_price_units: int) -> int:
        """Return the profit of a signed size, in money units of `settle_asset`."""
        sign = 1 if size_units >= 0 else -1
        entry = self.notional(size_units, entry_price_units)
        leave = self.notional(size_units, exit_price_units)
        return sign * (leave - entry) if self.payoff is _LINEAR else sign * (entry - leave)

    def size_fault(self, size_units: int, *, is_market: bool) -> str | None:
        """Say why the venue would refuse this size, or None when it fits."""
        if size_units <= 0:
            return "size must be above zero"
        if size_units % self.lot_units:
            lot = self.size_text(self.lot_units)
            return f"size {self.size_text(size_units)} is no multiple of {lot}"
        if size_units < self.size_min_units:
            return (
                f"size {self.size_text(size_units)} is below {self.size_text(self.size_min_units)}"
            )
        bound = self.market_size_max_units if is_market else self.size_max_units
        if size_units > bound:
            return f"size {self.size_text(size_units)} is above {self.size_text(bound)}"
        return None

    def price_fault(self, price_units: int) -> str | None:
        """Say why the venue would refuse this price, or None when it fits."""
        if price_units % self.tick_units:
            tick = self.price_text(self.tick_units)
            return f"price {self.price_text(price_units)} is no multiple of {tick}"
        if not self.price_min_units <= price_units <= self.price_max_units:
            low, high = self.price_text(self.price_min_units), self.price_text(self.price_max_units)
            return f"price {self.price_text(price_units)} is outside {low} to {high}"
        return None


def _times(value: int, factor: Decimal) -> int:
    numerator, denominator = factor.as_integer_ratio()
    return _divide_half_even(value * numerator, denominator)


def _scaled(numerator: int, denominator: int, factor: Decimal) -> tuple[int, int]:
    up, down = factor.as_integer_ratio()
    return numerator * up, denominator * down


def _divide_half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient
