"""Owns the fields of tickers and price limits as wire texts; refuses to decide when they go out.

Figures named 24h count since the simulator's start: it has no earlier day.
"""

from functools import lru_cache

from tickwright.core.identity import Category
from tickwright.core.units import units_to_text
from tickwright.simulator.market import SymbolMarket

__all__ = [
    "funding_text",
    "linear_ticker",
    "next_funding_ms",
    "price_limit_texts",
    "price_limits",
    "spot_rest_ticker",
    "spot_ticker",
]

LIMIT_RATIOS_BPS = {Category.SPOT: (50, 100), Category.LINEAR: (100, 200)}
"""The listed ratios X and Y of price limits."""
_SPOT = Category.SPOT
SPOT_PREMIUM_S = 120
CONTRACT_PREMIUM_S = 30

_TEXTS_KEPT = 4_096
"""Shares and rates whose texts are remembered: tickers ask for the same ones again and again."""


def next_funding_ms(now_ns: int, interval_minutes: int) -> int:
    """The next multiple of the funding interval, UTC."""
    span = interval_minutes * 60_000
    return (now_ns // 1_000_000 // span + 1) * span


def _change_text(market: SymbolMarket, decimals: int) -> str:
    first = market.first_price_units
    return _share_text(market.last_price_units - first, first, decimals) if first else "0"


@lru_cache(maxsize=_TEXTS_KEPT)
def _share_text(part: int, whole: int, decimals: int) -> str:
    return units_to_text(part * 10**decimals // whole, decimals)


def linear_ticker(market: SymbolMarket, now_ns: int) -> dict[str, str]:
    """Every field of a perpetual's ticker, in the venue's order."""
    instrument = market.instrument
    price, size = instrument.price_text, instrument.size_text
    bid, ask = market.book.best()
    last = market.last_or_mid_units()
    mark = market.mark_units
    open_interest = market.past.open_interest_units
    interest_value = instrument.turnover_text(open_interest * mark)
    return {
        "symbol": instrument.symbol,
        "tickDirection": market.tape[-1].tick_direction if market.tape else "ZeroPlusTick",
        "price24hPcnt": _change_text(market, 6),
        "lastPrice": price[last],
        "prevPrice24h": price[market.first_price_units or last],
        "highPrice24h": price[market.high_units or last],
        "lowPrice24h": price[market.low_units or last],
        "prevPrice1h": price[market.first_price_units or last],
        "markPrice": price[mark],
        "indexPrice": price[market.index_units],
        "openInterest": size[open_interest],
        "openInterestValue": interest_value,
        "turnover24h": instrument.turnover_text(market.turnover),
        "volume24h": size[market.volume_units],
        "fundingIntervalHour": str(instrument.funding_interval_minutes // 60),
        "fundingCap": "0.005",
        "nextFundingTime": str(next_funding_ms(now_ns, instrument.funding_interval_minutes)),
        "fundingRate": funding_text(market.funding_e8),
        "bid1Price": price[bid[0]] if bid else "",
        "bid1Size": size[bid[1]] if bid else "",
        "ask1Price": price[ask[0]] if ask else "",
        "ask1Size": size[ask[1]] if ask else "",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


@lru_cache(maxsize=_TEXTS_KEPT)
def funding_text(rate_e8: int) -> str:
    """Write a funding rate in units of 10^-8 without trailing zeros."""
    return units_to_text(rate_e8, 8).rstrip("0").rstrip(".") if rate_e8 else "0"


def spot_ticker(market: SymbolMarket) -> dict[str, str]:
    """Every field of a spot ticker on the stream: there is no bid and no ask in it."""
    instrument = market.instrument
    price = instrument.price_text
    last = market.last_or_mid_units()
    return {
        "symbol": instrument.symbol,
        "lastPrice": price[last],
        "highPrice24h": price[market.high_units or last],
        "lowPrice24h": price[market.low_units or last],
        "prevPrice24h": price[market.first_price_units or last],
        "volume24h": instrument.size_text[market.volume_units],
        "turnover24h": instrument.turnover_text(market.turnover),
        "price24hPcnt": _change_text(market, 4),
        "usdIndexPrice": price[market.index_units],
    }


def spot_rest_ticker(market: SymbolMarket) -> dict[str, str]:
    """A spot ticker over REST: with the best bid and ask."""
    price, size = market.instrument.price_text, market.instrument.size_text
    bid, ask = market.book.best()
    stream = spot_ticker(market)
    return {
        "symbol": stream.pop("symbol"),
        "bid1Price": price[bid[0]] if bid else "",
        "bid1Size": size[bid[1]] if bid else "",
        "ask1Price": price[ask[0]] if ask else "",
        "ask1Size": size[ask[1]] if ask else "",
        **stream,
    }


def price_limits(market: SymbolMarket) -> tuple[int, int]:
    """Return the highest buy and the lowest sell price, in units on the tick.

    Around the index on spot, around mark and index on contracts, with the average premium of the
    mid over the last two minutes (spot) or 30 seconds (contracts).
    """
    instrument, index = market.instrument, market.index_units
    if instrument.category is _SPOT:
        mark, premium = index, market.premium(SPOT_PREMIUM_S)
    else:
        mark, premium = market.mark_units, market.premium(CONTRACT_PREMIUM_S)
    return _limits(instrument.category, instrument.tick_units, mark, index, premium)


@lru_cache(maxsize=_TEXTS_KEPT)
def _limits(category: Category, tick: int, mark: int, index: int, premium: int) -> tuple[int, int]:
    """Return the price limits that these facts make: they outlive many requests."""
    inner, outer = LIMIT_RATIOS_BPS[category]
    if category is _SPOT:
        anchor, above, below = index, premium, premium
    else:
        anchor, above, below = mark, max(0, premium), min(0, premium)
    highest = min(
        anchor * (10_000 + outer) // 10_000,
        max(index, anchor * (10_000 + inner) // 10_000 + above),
    )
    lowest = max(
        -(-anchor * (10_000 - outer) // 10_000),
        min(index, -(-anchor * (10_000 - inner) // 10_000) + below),
    )
    return max(tick, highest // tick * tick), max(tick, -(-lowest // tick) * tick)


def price_limit_texts(market: SymbolMarket) -> tuple[str, str]:
    """Return the price limits as wire texts."""
    highest, lowest = price_limits(market)
    return market.instrument.price_text[highest], market.instrument.price_text[lowest]
