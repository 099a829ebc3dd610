"""Owns what an order's size means: what it may close, what its direction holds, what it is worth.

Refuses to judge. Called once per intent by the gate, before the first check.
"""

from tickwright.core.identity import Leg
from tickwright.core.orders import OrderType, Side
from tickwright.portfolio.valuation import Market, Valuer
from tickwright.risk.question import WORTH_UNITS, Question

__all__ = ["set_sizes", "set_worth", "unit_worth"]

# Looking a member up in its class is a Python call, and these are asked for every order.
_BUY = Side.BUY
_LIMIT = OrderType.LIMIT
_NET = Leg.NET


def set_sizes(q: Question) -> None:
    """Work out whether the order can only close, and what its direction holds."""
    intent, holding = q.intent, q.holding
    is_buy = intent.side is _BUY
    if intent.leg is not _NET:
        holding.leg(intent.leg)
    if holding.market.is_spot:
        q.is_closing = not is_buy
        q.closable_units = holding.long_units - holding.working_sell_units
        q.held_units = holding.long_units + holding.working_buy_units
        return
    if holding.is_hedged:
        q.held_units = holding.exposure_units
        closes_long = intent.leg is Leg.LONG or (intent.leg is _NET and not is_buy)
        against = holding.long_units if closes_long else holding.short_units
        is_against = closes_long != is_buy
        q.is_closing = intent.reduce_only or (intent.leg is not _NET and is_against)
        q.closable_units = against if is_against else 0
        return
    position = holding.long_units - holding.short_units
    if is_buy:
        q.held_units = position + holding.working_buy_units
        against, growing = -position, holding.working_sell_units
    else:
        q.held_units = holding.working_sell_units - position
        against, growing = position, holding.working_buy_units
    q.is_closing = intent.reduce_only
    if not q.is_closing:
        return
    q.closable_units = against
    if intent.trigger_price_units is not None or intent.order_type is _LIMIT:
        # A stop or a take profit may be placed for a position that is still growing.
        q.closable_units = max(0, against) + growing
    elif not q.instrument.capabilities.has_reduce_only:
        q.closable_units = -q.held_units


def set_worth(q: Question) -> None:
    """Find the price of the instrument and what one size unit is worth in the equity asset."""
    market = q.holding.market
    q.price_units = _price_units(market, q.mid_twice_units)
    q.worth, q.worth_scale = unit_worth(market, q.account.valuer, q.mid_twice_units)


def unit_worth(market: Market, valuer: Valuer, mid_twice_units: int | None) -> tuple[int, int]:
    """Return what so many size units are worth in the equity asset: (worth, units); 0: unknown."""
    price_units = _price_units(market, mid_twice_units)
    if price_units is None:
        return 0, 1
    if market.direct_value:
        return price_units * market.direct_value, 1
    quote_asset = market.instrument.quote_asset
    worth = valuer.value(quote_asset, market.quote_value(WORTH_UNITS, price_units))
    # Rounded up by one: a limit in another asset must not be passed by a rounding.
    return (0 if worth is None else worth + 1), WORTH_UNITS


def _price_units(market: Market, mid_twice_units: int | None) -> int | None:
    """Return the mark, or the mid where there is none."""
    price_units = market.mark_units
    if price_units is None and mid_twice_units is not None:
        price_units = (mid_twice_units + 1) // 2
    return price_units if price_units is not None and price_units > 0 else None
