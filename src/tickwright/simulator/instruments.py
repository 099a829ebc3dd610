"""Owns what the venue lists: instruments, their wire texts and REST shapes; refuses markets.

Units follow the rest of the project: a price or size is an int of 10^-decimals, where the decimals
are the ones the venue prints (BTCUSDT linear prints "86723.40": 2 decimals, tick 10 units).
"""

import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.core.units import MONEY_DECIMALS, units_to_text

__all__ = [
    "SYMBOLS_MAX",
    "UnitText",
    "VenueInstrument",
    "instrument_for",
    "instruments_info_row",
    "symbols_of_count",
]

SYMBOLS_MAX = 2_000
"""Most symbols one simulator lists per category: a bound on memory, far above any use."""

_TEXT_CACHE_MAX = 1 << 16
_LAUNCH_MS = 1_585_526_400_000

# (base, price, price decimals, tick units, linear size decimals, leverage): orders of magnitude of
# real markets, so that texts on the wire look and weigh like the real ones. Everything else is
# derived.
_KNOWN: tuple[tuple[str, str, int, int, int, int], ...] = (
    ("BTC", "61800", 2, 10, 3, 100),
    ("ETH", "2680", 2, 1, 2, 100),
    ("SOL", "158.4", 3, 10, 1, 100),
    ("XRP", "1.9533", 4, 1, 0, 75),
    ("DOGE", "0.10432", 5, 1, 0, 75),
    ("ADA", "0.3385", 4, 1, 0, 75),
    ("BNB", "512.3", 2, 10, 2, 75),
    ("TON", "6.4120", 4, 1, 1, 50),
    ("TRX", "0.12875", 5, 1, 0, 50),
    ("AVAX", "22.160", 3, 1, 1, 50),
    ("LINK", "10.420", 3, 1, 1, 50),
    ("DOT", "4.6110", 4, 1, 1, 50),
    ("LTC", "58.91", 2, 1, 1, 50),
    ("BCH", "341.2", 2, 5, 2, 50),
    ("NEAR", "4.1230", 4, 1, 1, 50),
    ("UNI", "5.9820", 4, 1, 1, 50),
    ("APT", "6.0470", 4, 1, 2, 50),
    ("ARB", "0.5632", 4, 1, 1, 50),
    ("OP", "1.4210", 4, 1, 1, 50),
    ("SUI", "0.95530", 5, 1, 0, 50),
)

_MORE_BASES = (
    "ATOM FIL ICP ETC XLM HBAR INJ STX IMX VET GRT RNDR AAVE MKR ALGO FTM EGLD FLOW SAND AXS "
    "MANA THETA XTZ EOS "
    "KAVA GALA CHZ MINA CRV LDO DYDX GMX SNX COMP ZEC DASH NEO IOTA QTUM ZIL ENJ BAT ONE ROSE CELO "
    "KSM ANKR WOO "
    "MASK ENS APE BLUR JUP PYTH TIA SEI WLD ORDI BONK PEPE SHIB FLOKI WIF STRK MANTA ALT DYM "
    "PIXEL PORTAL AEVO "
    "ETHFI ENA W TNSR SAGA OMNI REZ NOT IO ZK LISTA ZRO BLAST RENDER POL EIGEN SCR GRASS MOVE ME "
    "VANA USUAL"
).split()

_FUNDING_CAP = {True: Decimal("0.00375"), False: Decimal("0.02")}


class UnitText(dict[int, str]):
    """Writes units as the venue prints them; remembers at most 65,536 answers."""

    __slots__ = ("_decimals", "_strip")

    def __init__(self, decimals: int, *, strip_zeros: bool) -> None:
        super().__init__()
        self._decimals = decimals
        self._strip = strip_zeros
        self[0] = "0"

    def __missing__(self, units: int) -> str:
        if len(self) >= _TEXT_CACHE_MAX:
            self.clear()
            self[0] = "0"
        text = units_to_text(units, self._decimals)
        if self._strip and "." in text:
            text = text.rstrip("0").rstrip(".")
        if units:
            self[units] = text
        return text


class VenueInstrument:
    """One listed contract or pair and its filters.

    `price_text[units]` and `size_text[units]` give the wire text: fixed decimals on contracts,
    trailing zeros stripped on spot, "0" for zero, as the venue prints them.
    """

    __slots__ = (
        "base",
        "category",
        "funding_interval_minutes",
        "leverage_max",
        "lot_units",
        "market_size_max_units",
        "money_scale",
        "notional_min",
        "price_decimals",
        "price_text",
        "quote",
        "reference_price_units",
        "size_decimals",
        "size_max_units",
        "size_min_units",
        "size_text",
        "symbol",
        "symbol_id",
        "tick_units",
    )

    def __init__(
        self,
        *,
        category: Category,
        symbol: str,
        base: str,
        quote: str,
        price_decimals: int,
        tick_units: int,
        size_decimals: int,
        lot_units: int,
        reference_price_units: int,
        leverage_max: Decimal,
        symbol_id: int = 0,
    ) -> None:
        self.category = category
        self.symbol = symbol
        self.symbol_id = symbol_id
        self.base = base
        self.quote = quote
        self.price_decimals = price_decimals
        self.tick_units = tick_units
        self.size_decimals = size_decimals
        self.money_scale: int = 10 ** (MONEY_DECIMALS - price_decimals - size_decimals)
        """Money units of one price unit times one size unit."""
        self.lot_units = lot_units
        self.reference_price_units = reference_price_units
        self.leverage_max = leverage_max
        self.notional_min = Decimal(5)
        self.funding_interval_minutes = 480
        # A maximum order worth about 70 million in quote, floored to the lot, as the real filters
        # are.
        one_million = 10 ** (price_decimals + size_decimals + 6) // max(1, reference_price_units)
        self.size_max_units = max(lot_units, 70 * one_million // lot_units * lot_units)
        self.market_size_max_units = max(lot_units, 30 * one_million // lot_units * lot_units)
        self.size_min_units = lot_units
        strip = category is Category.SPOT
        self.price_text = UnitText(price_decimals, strip_zeros=strip)
        self.size_text = UnitText(size_decimals, strip_zeros=strip)

    @property
    def key(self) -> tuple[Category, str]:
        """What all state is keyed by: the same symbol exists in several categories."""
        return (self.category, self.symbol)

    def turnover_text(self, turnover: int) -> str:
        """Write a sum of price units x size units in quote, with four decimals, floored."""
        decimals = self.price_decimals + self.size_decimals
        return units_to_text(turnover * 10_000 // 10**decimals, 4)

    def __repr__(self) -> str:
        return f"VenueInstrument({self.category.value} {self.symbol})"


def _price_shape(price: Decimal) -> tuple[int, int]:
    """Return (decimals, tick units) giving about 10^4 to 10^5 ticks in the price."""
    decimals = max(0, 4 - price.adjusted())
    return decimals, 1


def _known(base: str) -> tuple[str, int, int, int, int] | None:
    for name, price, decimals, tick, size_decimals, leverage in _KNOWN:
        if name == base:
            return price, decimals, tick, size_decimals, leverage
    return None


def _derived(base: str) -> tuple[str, int, int, int, int]:
    # The price comes from the name, not from the seed of a run: a symbol looks alike in every run.
    number = zlib.crc32(base.encode())
    price = Decimal(1 + number % 899).scaleb(-(number // 899 % 4)) + Decimal("0.01")
    decimals, tick = _price_shape(price)
    size_decimals = max(0, price.adjusted())
    return str(price), decimals, tick, size_decimals, 25


def instrument_for(category: Category, symbol: str, *, symbol_id: int = 0) -> VenueInstrument:
    """Return the listing of a USDT symbol, known or derived from its name.

    Raises:
        ConfigError: the symbol isn't upper-case letters and digits ending in USDT.
    """
    base = symbol.removesuffix("USDT")
    if (
        base == symbol
        or not base
        or not (symbol.isascii() and symbol.isalnum() and symbol.isupper())
    ):
        raise ConfigError(f"symbol {symbol!r} must be upper case and end in USDT, like BTCUSDT")
    price, decimals, tick, size_decimals, leverage = _known(base) or _derived(base)
    if category is Category.SPOT:
        # Spot lots are finer. A known contract's coarser tick is one unit on spot (BTCUSDT: 0.01).
        size_decimals, tick = min(6, size_decimals + 3), 1
    return VenueInstrument(
        category=category,
        symbol=symbol,
        base=base,
        quote="USDT",
        price_decimals=decimals,
        tick_units=tick,
        size_decimals=size_decimals,
        lot_units=1,
        reference_price_units=int(Decimal(price).scaleb(decimals)) // tick * tick,
        leverage_max=Decimal(leverage),
        symbol_id=symbol_id,
    )


def symbols_of_count(count: int) -> Sequence[str]:
    """Return the first `count` symbols of the catalogue: real names first, then numbered ones.

    Raises:
        ConfigError: the count isn't within 1..SYMBOLS_MAX.
    """
    if not 1 <= count <= SYMBOLS_MAX:
        raise ConfigError(f"number of symbols must be 1 to {SYMBOLS_MAX}, not {count}")
    bases = [row[0] for row in _KNOWN] + _MORE_BASES
    bases += [f"SIM{number:04d}" for number in range(max(0, count - len(bases)))]
    return [f"{base}USDT" for base in bases[:count]]


def instruments_info_row(instrument: VenueInstrument) -> dict[str, Any]:
    """Return the instruments-info entry of an instrument, in the shape of its category."""
    row = _spot_row if instrument.category is Category.SPOT else _linear_row
    return row(instrument)


def _step_text(units: int, decimals: int) -> str:
    return units_to_text(units, decimals)


def _linear_row(instrument: VenueInstrument) -> dict[str, Any]:
    tick, decimals = instrument.tick_units, instrument.price_decimals
    lots = instrument.size_decimals
    cap = _FUNDING_CAP[instrument.leverage_max >= 100]
    size_max = units_to_text(instrument.size_max_units, lots)
    return {
        "symbol": instrument.symbol,
        "symbolId": instrument.symbol_id,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "settleCoin": instrument.quote,
        "launchTime": str(_LAUNCH_MS),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(decimals),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{instrument.leverage_max:.2f}",
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": _step_text(tick, decimals),
            "maxPrice": _step_text(_price_max_units(instrument), decimals),
            "tickSize": _step_text(tick, decimals),
        },
        "lotSizeFilter": {
            "maxOrderQty": size_max,
            "minOrderQty": units_to_text(instrument.size_min_units, lots),
            "qtyStep": units_to_text(instrument.lot_units, lots),
            "postOnlyMaxOrderQty": size_max,
            "maxMktOrderQty": units_to_text(instrument.market_size_max_units, lots),
            "minNotionalValue": str(instrument.notional_min),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": instrument.funding_interval_minutes,
        "copyTrading": "both",
        "upperFundingRate": str(cap),
        "lowerFundingRate": str(-cap),
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "symbolType": "",
    }


def _price_max_units(instrument: VenueInstrument) -> int:
    reference = instrument.reference_price_units * 32
    return reference // instrument.tick_units * instrument.tick_units


def _spot_row(instrument: VenueInstrument) -> dict[str, Any]:
    size, price = instrument.size_text, instrument.price_text
    minimum_units = max(
        1,
        10 ** (instrument.price_decimals + instrument.size_decimals)
        // instrument.reference_price_units,
    )
    return {
        "symbolId": instrument.symbol_id,
        "symbol": instrument.symbol,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": size[instrument.lot_units],
            "quotePrecision": "0.0000001",
            "minOrderQty": size[minimum_units],
            "maxOrderQty": size[instrument.size_max_units],
            "minOrderAmt": str(instrument.notional_min),
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": size[instrument.size_max_units],
            "maxMarketOrderQty": size[instrument.market_size_max_units],
            "postOnlyMaxLimitOrderSize": size[instrument.size_max_units],
        },
        "priceFilter": {"tickSize": price[instrument.tick_units]},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
    }
