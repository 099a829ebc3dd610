"""Owns the market endpoints beyond trades: risk tiers, open interest, other candles, wide books.

Refuses accounts.
"""

from collections.abc import Callable
from decimal import Decimal

from aiohttp import web

from tickwright.core.identity import Category
from tickwright.simulator.book_streams import BookStream
from tickwright.simulator.candles import INTERVALS, CandleSeries
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.rest import ParameterError, Query, Result, answering
from tickwright.simulator.tickers import funding_text
from tickwright.simulator.tiers import RISK_TIERS, leverage_max
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["MARKET_PATHS", "MarketRest"]

_RISK_SYMBOLS_PER_PAGE = 15
_SPANS_MS = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}

MARKET_PATHS = {
    "/v5/market/risk-limit": "risk_limit",
    "/v5/market/open-interest": "open_interest",
    "/v5/market/account-ratio": "account_ratio",
    "/v5/market/rpi_orderbook": "rpi_orderbook",
    "/v5/market/full_orderbook": "full_orderbook",
    "/v5/market/mark-price-kline": "mark_kline",
    "/v5/market/index-price-kline": "index_kline",
    "/v5/market/premium-index-price-kline": "premium_kline",
    "/v5/market/historical-volatility": "no_rows",
    "/v5/market/delivery-price": "no_rows",
    "/v5/market/insurance": "no_rows",
}
"""Paths and the methods that answer them."""


class MarketRest:
    """Answers from one venue's markets."""

    def __init__(self, venue: SimulatedVenue, clock_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._clock_ns = clock_ns

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        for path, name in MARKET_PATHS.items():
            app.router.add_get(path, answering(getattr(self, name), self._clock_ns))

    def risk_limit(self, query: Query) -> Result:
        """Risk tiers of contracts: 15 symbols a page, or one symbol's."""
        category = self._contracts(query)
        chosen = self._all(category)
        if query.get("symbol"):
            chosen = [self._market(query, category)]
        cursor = query.get("cursor", "")
        first = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 9 else 0
        page = chosen[first : first + _RISK_SYMBOLS_PER_PAGE]
        more = first + len(page) < len(chosen)
        rows = [row for market in page for row in _tier_rows(market.instrument)]
        return {
            "category": category.value,
            "list": rows,
            "nextPageCursor": str(first + len(page)) if more else "",
        }

    def rpi_orderbook(self, query: Query) -> Result:
        """The book with the size of RPI orders beside each level's, which is none here."""
        category = self._category(query, default="linear")
        market = self._market(query, category)
        limit = _whole(query, "limit", 0, 50)
        if not limit:
            raise ParameterError("params error: limit must be 1 to 50")
        stream = self._venue.stream(category, f"orderbook.rpi.{market.instrument.symbol}")
        assert isinstance(stream, BookStream)
        return self._book(stream, limit, more=["0"])

    def full_orderbook(self, query: Query) -> Result:
        """The whole book, up to 10,000 levels a side: the base of `orderbook.full`. Spot alone."""
        category = self._category(query)
        market = self._market(query, category)
        stream = self._venue.stream(category, f"orderbook.full.{market.instrument.symbol}")
        if not isinstance(stream, BookStream):
            raise ParameterError("params error: category invalid")
        return self._book(stream, stream.depth, more=[])

    def _book(self, stream: BookStream, limit: int, *, more: list[str]) -> Result:
        stream.refresh()
        instrument = stream.market.instrument
        price, size = instrument.price_text, instrument.size_text
        bids, asks = (
            [[price[abs(key)], size[units], *more] for key, units in levels[:limit]]
            for levels in stream.window.shown()
        )
        return {
            "s": instrument.symbol,
            "a": asks,
            "b": bids,
            "ts": self._clock_ns() // 1_000_000,
            "u": stream.window.u,
            "seq": stream.shown_seq,
            "cts": stream.stamp(stream.shown_cts_ms),
        }

    def open_interest(self, query: Query) -> Result:
        """The open interest as it was at each interval since the start, newest first."""
        category = self._contracts(query)
        market = self._market(query, category)
        span = _span(query, "intervalTime")
        limit = _whole(query, "limit", 50, 200)
        start, end = (
            _whole(query, "startTime", 0, 1 << 62),
            _whole(query, "endTime", 1 << 62, 1 << 62),
        )
        samples = {at // span * span: units for at, units in reversed(market.past.interests)}
        rows = [
            {"openInterest": market.instrument.size_text[units], "timestamp": str(at)}
            for at, units in samples.items()
            if start <= at <= end
        ]
        symbol = market.instrument.symbol
        return {
            "symbol": symbol,
            "category": category.value,
            "list": rows[:limit],
            "nextPageCursor": "",
        }

    def account_ratio(self, query: Query) -> Result:
        """As many long as short: nobody else has an account here."""
        market = self._market(query, self._contracts(query))
        rows = [
            {
                "symbol": market.instrument.symbol,
                "buyRatio": "0.5",
                "sellRatio": "0.5",
                "timestamp": str(at),
            }
            for at in self._times(query, "period", 50, 500)
        ]
        return {"list": rows, "nextPageCursor": ""}

    def mark_kline(self, query: Query) -> Result:
        """Candles of the mark price, newest first."""
        market = self._market(query, self._contracts(query, default="linear"))
        return self._kline(
            query, market, market.past.marks, market.instrument.price_text.__getitem__
        )

    def index_kline(self, query: Query) -> Result:
        """Candles of the index price, newest first."""
        market = self._market(query, self._contracts(query, default="linear"))
        return self._kline(
            query, market, market.past.indexes, market.instrument.price_text.__getitem__
        )

    def premium_kline(self, query: Query) -> Result:
        """Candles of the premium index, the mid above the index as a part of it, newest first."""
        market = self._market(query, self._contracts(query, default="linear"))
        return self._kline(query, market, market.past.premiums, funding_text)

    def no_rows(self, query: Query) -> Result:
        """A list this venue has nothing to put into."""
        category = query.get("category", "")
        return {"category": category, "list": [], "nextPageCursor": ""}

    # parameters -------------------------------------------------------------------------------

    def _kline(
        self,
        query: Query,
        market: SymbolMarket,
        series: CandleSeries,
        text_of: Callable[[int], str],
    ) -> Result:
        interval = query.get("interval", "")
        if interval not in INTERVALS:
            raise ParameterError("params error: interval invalid")
        limit = _whole(query, "limit", 200, 1000)
        start, end = _whole(query, "start", 0, 1 << 62), _whole(query, "end", 1 << 62, 1 << 62)
        candles = series.candles(interval, self._venue.now_ns // 1_000_000)
        chosen = [c for c in candles if start <= c.start_ms <= end][-limit:][::-1]
        rows = [[str(c.start_ms), *map(text_of, (c.open, c.high, c.low, c.close))] for c in chosen]
        instrument = market.instrument
        return {"symbol": instrument.symbol, "category": instrument.category.value, "list": rows}

    def _times(self, query: Query, name: str, default: int, highest: int) -> list[int]:
        span = _span(query, name)
        limit = _whole(query, "limit", default, highest)
        now_ms = self._venue.now_ns // 1_000_000
        start = _whole(query, "startTime", 0, 1 << 62)
        end = min(_whole(query, "endTime", now_ms, 1 << 62), now_ms)
        latest = end // span * span
        return [at for at in (latest - span * n for n in range(limit)) if at >= start]

    def _category(self, query: Query, default: str = "") -> Category:
        try:
            return Category(query.get("category", default))
        except ValueError:
            raise ParameterError("params error: category invalid") from None

    def _contracts(self, query: Query, default: str = "") -> Category:
        text = query.get("category", default)
        if text not in ("linear", "inverse"):
            raise ParameterError("params error: category invalid")
        return Category(text)

    def _all(self, category: Category) -> list[SymbolMarket]:
        return [m for m in self._venue.markets.values() if m.instrument.category is category]

    def _market(self, query: Query, category: Category) -> SymbolMarket:
        market = self._venue.markets.get((category, query.get("symbol", "")))
        if market is None:
            raise ParameterError("params error: symbol invalid")
        return market


def _span(query: Query, name: str) -> int:
    span = _SPANS_MS.get(query.get(name, ""))
    if span is None:
        raise ParameterError(f"params error: {name} invalid")
    return span


def _whole(query: Query, name: str, default: int, highest: int) -> int:
    text = query.get(name, "")
    if text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ParameterError(f"params error: {name} invalid")
    return min(int(text), highest)


def _tier_rows(instrument: VenueInstrument) -> list[Result]:
    rows = []
    for number, tier in enumerate(RISK_TIERS, start=1):
        leverage = leverage_max(tier, instrument.leverage_max)
        rows.append(
            {
                "id": number,
                "symbol": instrument.symbol,
                "riskLimitValue": str(tier.value_max),
                "maintenanceMargin": str(Decimal(tier.rate_ppm).scaleb(-6).normalize()),
                "initialMargin": str((1 / leverage).quantize(Decimal("1e-6")).normalize()),
                "isLowestRisk": int(number == 1),
                "maxLeverage": f"{leverage:.2f}",
                "mmDeduction": str(tier.deduction) if tier.deduction else "",
            }
        )
    return rows
