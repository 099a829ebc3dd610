"""Owns what an account is told once a cause is done, before it is put into words; refuses words.

The streams' rows and the inputs of an engine in the same process are both made of it.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

import msgspec

from tickwright.core.units import MONEY_DECIMALS, decimal_from_units, money_to_decimal
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.holdings import Leg
from tickwright.simulator.private.ledger import Position
from tickwright.simulator.private.margin import Worth
from tickwright.simulator.private.records import ExecutionRecord, VenueOrder

__all__ = [
    "Announcement",
    "Listener",
    "PositionFacts",
    "WalletFacts",
    "decimal_text",
    "entry_text",
    "frozen",
    "usd_total",
]

_EIGHT = Decimal("1e-8")
_ENTRIES_KEPT = 4_096
_STEP: int = 10 ** (MONEY_DECIMALS - 8)
_PLAIN_MAX = 10**28
"""Money units below which a sum in USD keeps every digit of a default decimal context."""


class PositionFacts(msgspec.Struct, frozen=True, gc=False):
    """One leg as it is now. Money in money units, prices in price units, 0 for none.

    `stops` are (take profit, stop loss), `trailing` is (distance, activation price).
    """

    market: SymbolMarket
    index: int
    position: Position
    mark_units: int
    value: int
    margin: int
    maintenance: int
    stops: tuple[int, int]
    trailing: tuple[int, int]
    liquidation_units: int
    leg: Leg | None = None
    """What of the account's holdings it was made of; None when it is flat."""


class WalletFacts(msgspec.Struct, frozen=True, gc=False):
    """An account's money as it is now: totals, what spot orders lock, what coins cost in USD."""

    worth: Worth
    locks: dict[str, int]
    usd_prices: dict[str, Decimal]


class Announcement(msgspec.Struct):
    """What one cause changed for one account. It is good while it is told, and not after.

    Orders and positions go on changing: who wants to keep something keeps what he makes of it.
    """

    account: Account
    orders: list[VenueOrder] = []
    executions: list[ExecutionRecord] = []
    positions: list[PositionFacts] = []
    wallet: WalletFacts | None = None


Listener = Callable[[Announcement], None]
"""Somebody without a line who hears everything of an account."""


def frozen(order: VenueOrder) -> VenueOrder:
    """Return an order as it is now: what it becomes later doesn't show."""
    return replace(order, fees=dict(order.fees))


def decimal_text(value: Decimal) -> str:
    """Write a Decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@lru_cache(maxsize=_ENTRIES_KEPT)
def entry_text(size_units: int, cost: int, size_decimals: int) -> str:
    """Return a position's average price to eight decimals; "0" when it is flat."""
    if not size_units:
        return "0"
    average = money_to_decimal(abs(cost)) / decimal_from_units(abs(size_units), size_decimals)
    return decimal_text(average.quantize(_EIGHT, ROUND_HALF_EVEN))


def usd_total(wallet: dict[str, int], facts: WalletFacts, settle_asset: str) -> int:
    """Return the equity of all coins in USD, in money units, rounded to eight decimals."""
    equity = facts.worth.equity
    if len(wallet) == 1 and settle_asset in wallet and abs(equity) < _PLAIN_MAX:
        # One dollar is one dollar: whole numbers are enough.
        quotient, rest = divmod(equity, _STEP)
        quotient += 2 * rest > _STEP or (2 * rest == _STEP and quotient & 1 == 1)
        return quotient * _STEP
    total = Decimal(0)
    for asset, balance in sorted(wallet.items()):
        amount = equity if asset == settle_asset else balance
        total += money_to_decimal(amount) * facts.usd_prices.get(asset, Decimal(0))
    return int(total.quantize(_EIGHT).scaleb(MONEY_DECIMALS))
