"""Owns what an account is worth and what its orders bind; refuses to change either.

Cross margin: a leg binds its largest possible exposure - the position as it is, with all its buys,
or with all its sells - divided by the leverage. Reduce-only and waiting conditional orders bind
nothing; spot orders lock what they would pay. Maintenance margin follows the risk tiers.
"""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_DECIMALS, MONEY_ONE
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.holdings import (
    Holdings,
    MarketOf,
    maintenance_of,
    margin_of,
)
from tickwright.simulator.private.ledger import PPM, PositionKey, money_of
from tickwright.simulator.private.records import FINAL_STATUSES, VenueOrder
from tickwright.simulator.tiers import RISK_TIERS

__all__ = [
    "SETTLE_ASSET",
    "Claim",
    "Claims",
    "MarketOf",
    "Worth",
    "exposure_of",
    "liquidation_at",
    "liquidation_price",
    "locked",
    "maintenance_of",
    "margin_of",
    "standing",
    "worth",
]

SETTLE_ASSET = "USDT"

_FIGURES_KEPT = 4_096
"""Legs whose liquidation prices are remembered."""
_SPOT = Category.SPOT
_BUY, _SELL = Side.BUY, Side.SELL


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
        bound = self.position_margin + self.order_margin + self.locked
        return self.wallet + self.unrealised - bound

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


def standing(account: Account, market_of: MarketOf) -> tuple[int, int]:
    """Return (equity, maintenance margin) of an account: what liquidation compares."""
    held = account.holdings(market_of)
    return account.ledger.wallet.get(SETTLE_ASSET, 0) + held.profit, held.maintenance


def liquidation_price(
    account: Account, market: SymbolMarket, size: int, market_of: MarketOf
) -> int:
    """Return the mark, on the tick, at which this leg alone would bring liquidation; 0: none.

    Everything else stays at its mark.
    """
    if not size:
        return 0
    equity, maintenance = standing(account, market_of)
    own = maintenance_of(abs(money_of(market.instrument, market.mark_units, size)))
    return liquidation_at(market, market.mark_units, size, equity - (maintenance - own))


def liquidation_at(market: SymbolMarket, mark: int, size: int, free: int) -> int:
    """Return the liquidation price of a leg whose account has so much `free` at its mark.

    That is its equity less the maintenance margin of everything else.
    """
    instrument = market.instrument
    unit, tick = money_of(instrument, 1, size), instrument.tick_units
    price = _crossing(unit, free - unit * mark) // tick * tick
    return price if 0 < price < mark * 100 else 0


@lru_cache(maxsize=_FIGURES_KEPT)
def _crossing(unit: int, free: int) -> int:
    """Solve `free + unit x price = rate x |unit| x price - deduction` for the price.

    The leg passes through the risk tiers on the way: each tier has its own straight line, and the
    one that crosses zero inside its tier is the answer.
    """
    bottom, price = -1, 0
    for tier in RISK_TIERS:
        top = tier.value_max * MONEY_ONE if tier is not RISK_TIERS[-1] else None
        slope = unit * PPM - abs(unit) * tier.rate_ppm
        price = -(free + tier.deduction * MONEY_ONE) * PPM // slope
        if abs(unit) * price > bottom and (top is None or abs(unit) * price <= top):
            break
        bottom = tier.value_max * MONEY_ONE
    return price


def locked(order: VenueOrder) -> tuple[str, int]:
    """Return the (asset, money) a live spot order locks; a waiting StopOrder locks nothing."""
    instrument = order.instrument
    price = order.price_units or order.trigger_price_units
    is_waiting = order.status in ("Untriggered", "Created") and order.is_conditional
    if is_waiting and order.order_filter == "StopOrder":
        return instrument.quote, 0
    if order.side is _SELL:
        if order.quote_amount is not None:
            # Sold until the amount is reached: bind what that takes at the present price.
            size = order.quote_units_left // price
        else:
            size = order.leaves_units
        return instrument.base, size * 10 ** (MONEY_DECIMALS - instrument.size_decimals)
    if order.quote_amount is not None:
        return instrument.quote, money_of(instrument, 1, order.quote_units_left)
    return instrument.quote, money_of(instrument, price, order.leaves_units)


class Claims:
    """What an account's live orders, all `but` one, claim: by leg, and what spot orders lock."""

    __slots__ = ("_legs", "locks")

    def __init__(self, live: Iterable[VenueOrder], *, but: VenueOrder | None = None) -> None:
        self._legs: dict[PositionKey, list[int]] = {}
        self.locks: dict[str, int] = {}
        for order in live:
            if order is but:
                continue
            instrument, status = order.instrument, order.status
            if instrument.category is _SPOT:
                asset, amount = locked(order)
                self.locks[asset] = self.locks.get(asset, 0) + amount
                continue
            if order.reduce_only or order.close_on_trigger or status in FINAL_STATUSES:
                continue
            if status == "Untriggered" or (status == "Created" and order.trigger_price_units):
                continue
            price = order.price_units or order.trigger_price_units
            notional = price * (order.size_units - order.filled_units) * instrument.money_scale
            self.add((instrument.symbol, order.position_index), order.side, notional)

    def add(self, key: PositionKey, side: Side, notional: int) -> None:
        """Count one more claim."""
        # A leg of a hedge can't pass through zero: orders that shrink it bind nothing.
        if key[1] == (2 if side is _BUY else 1):
            return
        sums = self._legs.get(key)
        if sums is None:
            sums = self._legs[key] = [0, 0]
        sums[side is _SELL] += notional

    def exposure(self, key: PositionKey, value: int) -> int:
        """Return the largest value a leg now worth `value` (signed) can come to."""
        buys, sells = self._legs.get(key, _NOTHING)
        return max(value + buys, sells - value)

    def exposures(self, key: PositionKey, value: int, side: Side, notional: int) -> tuple[int, int]:
        """Return the same as it is and with one more order on the leg, which isn't kept."""
        buys, sells = self._legs.get(key, _NOTHING)
        longest, shortest = value + buys, sells - value
        before = longest if longest > shortest else shortest
        if key[1] == (2 if side is _BUY else 1):
            return before, before
        after = (longest if side is _BUY else shortest) + notional
        return before, after if after > before else before

    def worth(self, account: Account, held: Holdings) -> Worth:
        """Return the account's totals with these claims; `held` is what it holds now."""
        order_margin = 0
        for key, (buys, sells) in self._legs.items():
            leg = held.legs.get(key)
            if leg is None:
                order_margin += margin_of(max(buys, sells), account.leverage(key[0]))
                continue
            value = leg.value
            exposure = max(value + buys, sells - value)
            if exposure != value and exposure != -value:
                order_margin += margin_of(exposure, leg.leverage) - leg.margin
        wallet, bound = account.ledger.wallet.get(SETTLE_ASSET, 0), self.locks.get(SETTLE_ASSET, 0)
        return Worth(wallet, held.profit, held.margin, order_margin, held.maintenance, bound)


_NOTHING = [0, 0]


def worth(
    account: Account,
    live: Iterable[VenueOrder],
    market_of: MarketOf,
    *,
    more: Claim | None = None,
) -> Worth:
    """Return an account's totals with its live orders, and with one more order if given."""
    claims = Claims(live)
    if more is not None:
        claims.add(more.key, more.side, more.notional)
    return claims.worth(account, account.holdings(market_of))


def exposure_of(
    account: Account,
    market_of: MarketOf,
    key: PositionKey,
    live: Iterable[VenueOrder],
) -> int:
    """Return the largest value, in money, that a leg can come to with its live orders."""
    leg = account.holdings(market_of).legs.get(key)
    return Claims(live).exposure(key, 0 if leg is None else leg.value)
