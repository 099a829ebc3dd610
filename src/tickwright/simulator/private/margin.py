"""Owns what an account is worth and what its orders bind; refuses to change either.

Cross margin: a leg binds its largest possible exposure - the position as it is, with all its buys,
or with all its sells - divided by the leverage. Reduce-only and waiting conditional orders bind
nothing; spot orders lock what they would pay. Maintenance margin follows the risk tiers.
"""

from collections.abc import Callable, Iterable

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_DECIMALS, MONEY_ONE
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.ledger import PPM, Position, PositionKey, money_of, share_of
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.tiers import RISK_TIERS, tier_of

__all__ = [
    "SETTLE_ASSET",
    "Claim",
    "Effect",
    "MarketOf",
    "Worth",
    "claim_of",
    "effect_of",
    "exposure_of",
    "liquidation_price",
    "locked",
    "maintenance_of",
    "standing",
    "unrealised",
    "worth",
]

SETTLE_ASSET = "USDT"

_FLAT = Position()

MarketOf = Callable[[str], SymbolMarket]
"""The linear market of a symbol."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What one order could add to a leg, in money."""

    key: PositionKey
    side: Side
    notional: int


class Worth(msgspec.Struct, frozen=True, gc=False):
    """An account's totals in money units of USDT; spot assets other than USDT aren't collateral."""

    wallet: int
    unrealised: int
    position_margin: int
    order_margin: int
    maintenance_margin: int
    locked: int

    @property
    def equity(self) -> int:
        """Wallet and unrealised profit."""
        return self.wallet + self.unrealised

    @property
    def available(self) -> int:
        """What new orders may bind."""
        return self.equity - self.position_margin - self.order_margin - self.locked

    @property
    def initial_rate_e4(self) -> int:
        """Initial margin in parts of 10,000 of the equity."""
        return self._rate_e4(self.position_margin + self.order_margin)

    @property
    def maintenance_rate_e4(self) -> int:
        """Maintenance margin in parts of 10,000 of the equity."""
        return self._rate_e4(self.maintenance_margin)

    def _rate_e4(self, margin: int) -> int:
        return margin * 10_000 // self.equity if self.equity > 0 else 0


def maintenance_of(value: int) -> int:
    """Return the maintenance margin of a position's value, both in money units."""
    tier = tier_of(-(-value // MONEY_ONE))
    margin: int = share_of(value, tier.rate_ppm, PPM) - tier.deduction * MONEY_ONE
    return margin


def standing(account: Account, market_of: MarketOf) -> tuple[int, int]:
    """Return (equity, maintenance margin) of an account: what liquidation compares."""
    profit = maintenance = 0
    for (symbol, _), position in account.ledger.positions.items():
        if position.size_units:
            market = market_of(symbol)
            value = money_of(market.instrument, market.mark_units, position.size_units)
            profit += value - position.cost
            maintenance += maintenance_of(abs(value))
    return account.ledger.wallet.get(SETTLE_ASSET, 0) + profit, maintenance


def liquidation_price(
    account: Account, market: SymbolMarket, size: int, market_of: MarketOf
) -> int:
    """Return the mark, on the tick, at which this leg alone would bring liquidation; 0: none.

    Everything else stays at its mark. The leg passes through the risk tiers on the way: each tier
    has its own straight line, and the one that crosses zero inside its tier is the answer.
    """
    if not size:
        return 0
    instrument, mark = market.instrument, market.mark_units
    equity, maintenance = standing(account, market_of)
    unit = money_of(instrument, 1, size)
    value = abs(unit) * mark
    others = maintenance - maintenance_of(value)
    # equity + unit x (p - mark) = others + rate x |unit| x p - deduction, solved for p.
    free = equity - unit * mark - others
    bottom, price = -1, 0
    for tier in RISK_TIERS:
        top = tier.value_max * MONEY_ONE if tier is not RISK_TIERS[-1] else None
        slope = unit * PPM - abs(unit) * tier.rate_ppm
        price = -(free + tier.deduction * MONEY_ONE) * PPM // slope
        if abs(unit) * price > bottom and (top is None or abs(unit) * price <= top):
            break
        bottom = tier.value_max * MONEY_ONE
    tick = instrument.tick_units
    price = price // tick * tick
    return price if 0 < price < mark * 100 else 0


def unrealised(market: SymbolMarket, size_units: int, cost: int) -> int:
    """Return the profit of a position if closed at the mark."""
    return money_of(market.instrument, market.mark_units, size_units) - cost


def claim_of(order: VenueOrder) -> Claim | None:
    """Return what a live linear order binds; None when it binds nothing."""
    if order.category is not Category.LINEAR or order.reduce_only or order.close_on_trigger:
        return None
    if order.status == "Untriggered" or (order.status == "Created" and order.is_conditional):
        return None
    price = order.price_units or order.trigger_price_units
    notional = money_of(order.instrument, price, order.leaves_units)
    return Claim((order.instrument.symbol, order.position_index), order.side, notional)


def locked(order: VenueOrder) -> tuple[str, int]:
    """Return the (asset, money) a live spot order locks; a waiting StopOrder locks nothing."""
    instrument = order.instrument
    price = order.price_units or order.trigger_price_units
    is_waiting = order.status in ("Untriggered", "Created") and order.is_conditional
    if is_waiting and order.order_filter == "StopOrder":
        return instrument.quote, 0
    if order.side is Side.SELL:
        if order.quote_amount is not None:
            # Sold until the amount is reached: bind what that takes at the present price.
            size = order.quote_units_left // price
        else:
            size = order.leaves_units
        return instrument.base, size * 10 ** (MONEY_DECIMALS - instrument.size_decimals)
    if order.quote_amount is not None:
        return instrument.quote, money_of(instrument, 1, order.quote_units_left)
    return instrument.quote, money_of(instrument, price, order.leaves_units)


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What one more order would do: the account without it, margin it adds, its leg's exposure.

    All in money units; `before` and `exposure` are the leg's largest value without and with it.
    """

    now: Worth
    added: int
    before: int
    exposure: int


class _Claims:
    """What an account's live orders claim: sums by leg and side, and what spot orders lock."""

    __slots__ = ("bound", "buys", "sells")

    def __init__(self, live: Iterable[VenueOrder]) -> None:
        self.buys: dict[PositionKey, int] = {}
        self.sells: dict[PositionKey, int] = {}
        self.bound = 0
        for order in live:
            if order.is_spot:
                asset, amount = locked(order)
                self.bound += amount if asset == SETTLE_ASSET else 0
                continue
            claim = claim_of(order)
            if claim is not None:
                self.add(claim)

    def add(self, claim: Claim) -> None:
        """Count one more claim."""
        sums = self.buys if claim.side is Side.BUY else self.sells
        sums[claim.key] = sums.get(claim.key, 0) + claim.notional

    def exposure(self, key: PositionKey, value: int) -> int:
        """Return the largest value a leg now worth `value` (signed) can come to."""
        # A leg of a hedge can't pass through zero: orders that shrink it bind nothing.
        index = key[1]
        more_long = self.buys.get(key, 0) if index != 2 else 0
        more_short = self.sells.get(key, 0) if index != 1 else 0
        return max(abs(value), abs(value + more_long), abs(value - more_short))

    def worth(self, account: Account, market_of: MarketOf) -> Worth:
        """Return the account's totals with these claims."""
        profit = position_margin = order_margin = maintenance = 0
        positions = account.ledger.positions
        keys = self.buys.keys() | self.sells.keys()
        keys.update(key for key, position in positions.items() if position.size_units)
        for key in keys:
            market = market_of(key[0])
            position = positions.get(key, _FLAT)
            value = money_of(market.instrument, market.mark_units, position.size_units)
            profit += value - position.cost
            numerator, denominator = account.leverage_ratio(key[0])
            held = share_of(abs(value), denominator, numerator)
            position_margin += held
            exposure = self.exposure(key, value)
            if exposure != abs(value):
                order_margin += share_of(exposure, denominator, numerator) - held
            if value:
                maintenance += maintenance_of(abs(value))
        wallet = account.ledger.wallet.get(SETTLE_ASSET, 0)
        return Worth(wallet, profit, position_margin, order_margin, maintenance, self.bound)


def worth(
    account: Account,
    live: Iterable[VenueOrder],
    market_of: MarketOf,
    *,
    more: Claim | None = None,
) -> Worth:
    """Return an account's totals with its live orders, and with one more order if given."""
    claims = _Claims(live)
    if more is not None:
        claims.add(more)
    return claims.worth(account, market_of)


def effect_of(
    account: Account, live: Iterable[VenueOrder], market_of: MarketOf, more: Claim
) -> Effect:
    """Return what one more order beside the live ones would do to the account and its leg."""
    claims, key = _Claims(live), more.key
    now = claims.worth(account, market_of)
    position, value = account.ledger.positions.get(key), 0
    if position is not None and position.size_units:
        market = market_of(key[0])
        value = money_of(market.instrument, market.mark_units, position.size_units)
    before = claims.exposure(key, value)
    claims.add(more)
    exposure = claims.exposure(key, value)
    if exposure == before:
        return Effect(now, 0, before, exposure)
    numerator, denominator = account.leverage_ratio(key[0])
    margin = share_of(exposure, denominator, numerator)
    if before:
        margin -= share_of(before, denominator, numerator)
    return Effect(now, margin, before, exposure)


def exposure_of(
    account: Account,
    market_of: MarketOf,
    key: PositionKey,
    live: Iterable[VenueOrder],
) -> int:
    """Return the largest value, in money, that a leg can come to with its live orders."""
    claims = _Claims(live)
    market = market_of(key[0])
    size = account.ledger.positions.get(key, _FLAT).size_units
    return claims.exposure(key, money_of(market.instrument, market.mark_units, size))
