"""Owns what an account's open positions are worth and bind at their marks; refuses orders.

Every request asks for it several times, and it changes with a fill, a mark or a leverage alone: so
it is kept with the account and worked out anew when one of these is another.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from tickwright.core.units import MONEY_ONE
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.ledger import (
    PPM,
    AccountLedger,
    PositionKey,
    money_of,
    share_of,
)
from tickwright.simulator.tiers import tier_of

__all__ = ["Holdings", "Leg", "MarketOf", "maintenance_of", "margin_of"]

MarketOf = Callable[[str], SymbolMarket]
"""The linear market of a symbol."""


def margin_of(value: int, leverage: Decimal) -> int:
    """Return what a value binds at a leverage, both in money units."""
    numerator, denominator = leverage.as_integer_ratio()
    return share_of(value, denominator, numerator)


def maintenance_of(value: int) -> int:
    """Return the maintenance margin of a position's value, both in money units."""
    tier = tier_of(-(-value // MONEY_ONE))
    margin: int = share_of(value, tier.rate_ppm, PPM) - tier.deduction * MONEY_ONE
    return margin


class Leg(msgspec.Struct, frozen=True, gc=False):
    """An open leg: its signed value at a mark, and the margins of it, in money units."""

    market: SymbolMarket
    leverage: Decimal
    mark_units: int
    value: int
    margin: int
    maintenance: int


class Holdings:
    """The open legs of an account with their sums, as its ledger and the marks were.

    `profit` is unrealised. Who reads it asks `hold` first.
    """

    __slots__ = ("_ledger", "_revision", "legs", "maintenance", "margin", "profit")

    def __init__(
        self, ledger: AccountLedger, leverage_of: Callable[[str], Decimal], market_of: MarketOf
    ) -> None:
        self._ledger, self._revision = ledger, ledger.revision
        self.legs: dict[PositionKey, Leg] = {}
        self.profit = self.margin = self.maintenance = 0
        for key, position in ledger.positions.items():
            size = position.size_units
            if not size:
                continue
            market, leverage = market_of(key[0]), leverage_of(key[0])
            mark = market.mark_units
            value = money_of(market.instrument, mark, size)
            margin, maintenance = margin_of(abs(value), leverage), maintenance_of(abs(value))
            self.legs[key] = Leg(market, leverage, mark, value, margin, maintenance)
            self.profit += value - position.cost
            self.margin += margin
            self.maintenance += maintenance

    def hold(
        self, ledger: AccountLedger, leverage_of: Callable[[str], Decimal], market_of: MarketOf
    ) -> bool:
        """Whether nothing of what these were worked out from is another by now."""
        if self._revision != ledger.revision or self._ledger is not ledger:
            return False
        for (symbol, _), leg in self.legs.items():
            market = leg.market
            if (
                market.mark_units != leg.mark_units
                or market_of(symbol) is not market
                or leverage_of(symbol) != leg.leverage
            ):
                return False
        return True
