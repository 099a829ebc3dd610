"""Owns marks and what things are worth in the equity asset; refuses zero for a missing price.

A `Market` is one instrument with its last mark. Whatever depends on that mark (a holding, a balance
in another asset) hangs on it and is valued anew when the mark moves, so that equity and exposure
are sums that are always ready and nobody loops over positions to read them.
"""

from typing import Protocol

from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.units import MONEY_DECIMALS, money_from_decimal
from tickwright.portfolio.position import divide_half_even

__all__ = ["Dependant", "Market", "Valuer", "quote_value", "unit_value"]

_ROUTE_ORDER = (Category.SPOT, Category.LINEAR, Category.INVERSE)


class Dependant(Protocol):
    """Something whose value follows marks."""

    def revalue(self) -> None:
        """Compute the value anew."""


class Market:
    """One instrument and its mark; None while nobody told it."""

    __slots__ = (
        "_one_to_one",
        "dependants",
        "direct_value",
        "funding_last_ns",
        "funding_next_ns",
        "instrument",
        "is_spot",
        "mark_mid_twice_units",
        "mark_ns",
        "mark_units",
        "notional_min",
        "unit_value",
    )

    def __init__(self, instrument: Instrument, one_to_one: frozenset[str]) -> None:
        self._one_to_one = one_to_one
        self.mark_units: int | None = None
        self.mark_ns = 0
        """When the mark was last told, also unchanged; 0 when nobody said."""
        self.mark_mid_twice_units = 0
        """Twice the mid of that moment; 0 when unknown."""
        self.funding_next_ns = 0
        """When funding is paid next, as last told; 0 when unknown."""
        self.funding_last_ns = 0
        """The time that was next before this one."""
        self.dependants: list[Dependant] = []
        self.take(instrument)

    def take(self, instrument: Instrument) -> None:
        """Take a new version of the instrument; the caller values anew what hangs on it."""
        self.instrument = instrument
        self.is_spot = instrument.is_spot
        self.notional_min = money_from_decimal(instrument.notional_min)
        self.unit_value = unit_value(instrument)
        """Quote money units of one size unit at one price unit; 0 when only `notional` can tell."""
        self.direct_value = self.unit_value if instrument.quote_asset in self._one_to_one else 0
        """The same in the equity asset; 0 when a conversion is needed."""

    def set_mark(self, price_units: int | None) -> None:
        """Take a new mark and value what hangs on it."""
        if price_units == self.mark_units:
            return
        self.mark_units = price_units
        for dependant in self.dependants:
            dependant.revalue()

    def set_funding_time(self, next_ns: int) -> None:
        """Take when funding is paid next; what was told before stays as the last one."""
        if next_ns != self.funding_next_ns:
            if self.funding_next_ns < next_ns:
                self.funding_last_ns = self.funding_next_ns
            self.funding_next_ns = next_ns

    def attach(self, dependant: Dependant) -> None:
        """Hang something on this mark; once is enough."""
        if dependant not in self.dependants:
            self.dependants.append(dependant)

    def quote_value(self, size_units: int, price_units: int) -> int:
        """Return the absolute worth of a size in money units of the quote asset."""
        if self.unit_value:
            return abs(size_units) * price_units * self.unit_value
        return quote_value(self.instrument, size_units, price_units)


def quote_value(instrument: Instrument, size_units: int, price_units: int) -> int:
    """Return the absolute worth of a size in money units of the quote asset."""
    if instrument.payoff is Payoff.LINEAR:
        return instrument.notional(size_units, price_units)
    # An inverse contract is a fixed number of quote asset, whatever the price is.
    numerator, denominator = instrument.multiplier.as_integer_ratio()
    scale = 10 ** (MONEY_DECIMALS - instrument.size_decimals)
    return divide_half_even(abs(size_units) * scale * numerator, denominator)


def unit_value(instrument: Instrument) -> int:
    """Return the quote money units of one size unit at one price unit; 0 if not whole."""
    if instrument.payoff is not Payoff.LINEAR:
        return 0
    numerator, denominator = instrument.multiplier.as_integer_ratio()
    power = MONEY_DECIMALS - instrument.price_decimals - instrument.size_decimals
    value, rest = divmod(10**power * numerator, denominator)
    return 0 if rest else int(value)


class Valuer:
    """Turns money of any asset into the equity asset by the marks known now.

    `parity_assets` count one to one with the equity asset; `ignored_assets` are left out of equity
    on purpose. Any other asset needs a market whose base it is and whose quote counts one to one.
    """

    __slots__ = ("_routes", "equity_asset", "ignored_assets", "one_to_one")

    def __init__(
        self,
        equity_asset: str,
        *,
        parity_assets: frozenset[str],
        ignored_assets: frozenset[str],
    ) -> None:
        self.equity_asset = equity_asset
        self.one_to_one = parity_assets | {equity_asset}
        self.ignored_assets = ignored_assets
        self._routes: dict[str, list[Market]] = {}

    def add(self, market: Market) -> str | None:
        """Use a market to price its base asset when it can; return that asset, or None."""
        instrument = market.instrument
        if (
            instrument.quote_asset not in self.one_to_one
            or (instrument.multiplier != 1 and instrument.payoff is Payoff.LINEAR)
            or instrument.id.category not in _ROUTE_ORDER
        ):
            return None
        routes = self._routes.setdefault(instrument.base_asset, [])
        routes.append(market)
        routes.sort(key=_route_key)
        return instrument.base_asset

    def routes(self, asset: str) -> list[Market]:
        """Return the markets that price an asset, best first."""
        return self._routes.get(asset, [])

    def value(self, asset: str, amount: int) -> int | None:
        """Return money of an asset in the equity asset; None when no price is known."""
        if asset in self.one_to_one:
            return amount
        if amount == 0 or asset in self.ignored_assets:
            return 0
        for market in self._routes.get(asset, ()):
            if market.mark_units is not None:
                return divide_half_even(
                    amount * market.mark_units, 10**market.instrument.price_decimals
                )
        return None

    def value_in(self, asset: str, worth: int) -> int | None:
        """Return money of the equity asset as money of another one; None when no price is known."""
        if asset in self.one_to_one:
            return worth
        for market in self._routes.get(asset, ()):
            if market.mark_units is not None:
                return divide_half_even(
                    worth * 10**market.instrument.price_decimals, market.mark_units
                )
        return None


def _route_key(market: Market) -> tuple[int, InstrumentId]:
    # The order must not depend on when a market was added: a replay may add them in another order.
    identity = market.instrument.id
    return _ROUTE_ORDER.index(identity.category), identity
