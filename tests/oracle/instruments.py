"""Instruments for tests: any symbol, any decimals."""

from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument

__all__ = ["make_instrument"]


def make_instrument(
    symbol: str = "BTCUSDT",
    *,
    price_decimals: int = 2,
    size_decimals: int = 3,
    category: Category = Category.LINEAR,
    venue: str = "bybit",
) -> Instrument:
    """Return an instrument that accepts everything."""
    return Instrument(
        id=InstrumentId(venue, category, symbol),
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=10**15,
        market_size_max_units=10**15,
    )
