"""Fixtures of the Bybit room: sample payloads and the instruments they speak of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tickwright.core.errors import InstrumentUnknown
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "bybit"


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """Return a sample payload by its name without ending."""
    return lambda name: (SAMPLES / f"{name}.json").read_bytes().strip()


def make_instrument(
    symbol: str,
    *,
    price_decimals: int = 2,
    size_decimals: int = 3,
    category: Category = Category.LINEAR,
) -> Instrument:
    """Return an instrument wide enough for the samples."""
    return Instrument(
        id=InstrumentId("bybit", category, symbol),
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=10**12,
        market_size_max_units=10**12,
    )


@pytest.fixture
def linear() -> Callable[[str], Instrument]:
    """Look up the linear instruments of the samples."""
    known = {
        symbol: make_instrument(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "AAPLUSDT", "BTCUSD")
    }
    known["ROSEUSDT"] = make_instrument("ROSEUSDT", price_decimals=5, size_decimals=0)
    return _lookup(known)


@pytest.fixture
def spot() -> Callable[[str], Instrument]:
    """Look up the spot instruments of the samples."""
    return _lookup(
        {
            "BTCUSDT": make_instrument(
                "BTCUSDT", price_decimals=2, size_decimals=6, category=Category.SPOT
            )
        }
    )


def _lookup(known: dict[str, Instrument]) -> Callable[[str], Instrument]:
    def instrument_for(symbol: str) -> Instrument:
        try:
            return known[symbol]
        except KeyError:
            raise InstrumentUnknown(f"symbol {symbol!r} is not loaded") from None

    return instrument_for
