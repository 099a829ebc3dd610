"""Owns the public REST answers: `/v5/market/...` and `/v5/system/status`; refuses private paths.

Every answer is the venue's envelope; a bad parameter is retCode 10001 with HTTP status 200, as on
the wire.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
from aiohttp import web

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.candles import INTERVALS
from tickwright.simulator.instruments import instruments_info_row
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.tickers import (
    funding_text,
    linear_ticker,
    price_limit_texts,
    spot_rest_ticker,
)
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.window import Changes

__all__ = ["ParameterError", "PublicRest", "Query", "Result", "answering"]

_encode = msgspec.json.Encoder().encode

Query = Mapping[str, str]
Result = dict[str, Any]


class ParameterError(Exception):
    """A request the venue refuses; `code` and the text go into the envelope."""

    def __init__(self, text: str, code: int = 10001) -> None:
        super().__init__(text)
        self.code = code


def envelope(result: Result, now_ns: int, *, code: int = 0, text: str = "OK") -> web.Response:
    """Wrap a result as every answer of the venue is wrapped."""
    body = {
        "retCode": code,
        "retMsg": text,
        "result": result,
        "retExtInfo": {},
        "time": now_ns // 1_000_000,
    }
    return web.Response(body=_encode(body), content_type="application/json")


def answering(
    answer: Callable[[Query], Result], clock_ns: Callable[[], int]
) -> Callable[[web.Request], Coroutine[None, None, web.Response]]:
    """Return what serves a GET by a method that answers its query or raises ParameterError."""

    async def respond(request: web.Request) -> web.Response:
        try:
            return envelope(answer(request.query), clock_ns())
        except ParameterError as error:
            return envelope({}, clock_ns(), code=error.code, text=str(error))

    return respond


def _whole(query: Query, name: str, default: int, lowest: int, highest: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ParameterError(f"params error: {name} invalid")
    value = int(text)
    if not lowest <= value <= highest:
        raise ParameterError(f"params error: {name} must be {lowest} to {highest}")
    return value


class PublicRest:
    """Answers of the public half, from one venue's state."""

    def __init__(
        self, venue: SimulatedVenue, clock_ns: Callable[[], int], is_maintained: Callable[[], bool]
    ) -> None:
        self._venue = venue
        self._clock_ns = clock_ns
        self._is_maintained = is_maintained

    def mount(self, app: web.Application) -> None:
        """Add the public routes."""
        routes: dict[str, Callable[[Query], Result]] = {
            "/v5/market/time": self.time,
            "/v5/market/instruments-info": self.instruments_info,
            "/v5/market/orderbook": self.orderbook,
            "/v5/market/tickers": self.tickers,
            "/v5/market/kline": self.kline,
            "/v5/market/recent-trade": self.recent_trade,
            "/v5/market/funding/history": self.funding_history,
            "/v5/market/price-limit": self.price_limit,
            "/v5/system/status": self.system_status,
        }
        for path, answer in routes.items():
            app.router.add_get(path, answering(answer, self._clock_ns))

    # answers
    # ----------------------------------------------------------------------------------------

    def time(self, query: Query) -> Result:
        """Venue time in seconds and nanoseconds."""
        now_ns = self._clock_ns()
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def instruments_info(self, query: Query) -> Result:
        """Instruments of a category; contracts are paged by `limit` and `cursor`, spot isn't."""
        category = self._category(query)
        markets = [m for m in self._venue.markets.values() if m.instrument.category is category]
        markets = [
            m
            for m in markets
            if query.get("symbol", "") in ("", m.instrument.symbol)
            and query.get("baseCoin", "") in ("", m.instrument.base)
            and query.get("status", "Trading") in ("", "Trading")
        ]
        if query.get("symbol") and not markets:
            raise ParameterError("params error: symbol invalid")
        return self._listed(query, category, [instruments_info_row(m.instrument) for m in markets])

    def _listed(self, query: Query, category: Category, rows: list[Result]) -> Result:
        """Page rows as the category pages them."""
        result: Result = {"category": category.value}
        if category is not Category.SPOT:
            limit = _whole(query, "limit", 500, 1, 1000)
            first = self._cursor(query, rows)
            page = rows[first : first + limit]
            more = first + limit < len(rows)
            symbol = page[-1]["symbol"] if page else ""
            result["nextPageCursor"] = (
                f"first%3D{page[0]['symbol']}%26last%3D{symbol}" if more else ""
            )
            rows = page
        return {**result, "list": rows}

    @staticmethod
    def _cursor(query: Query, rows: list[Result]) -> int:
        cursor = query.get("cursor", "")
        if not cursor:
            return 0
        # It may come back decoded or as it was given.
        last = cursor.replace("%3D", "=").replace("%26", "&").rpartition("last=")[2]
        for index, row in enumerate(rows):
            if row["symbol"] == last:
                return index + 1
        raise ParameterError("params error: cursor invalid")

    def orderbook(self, query: Query) -> Result:
        """The book's top levels; `u` is the 1000-level topic's."""
        category = self._category(query)
        market = self._market(query, category)
        limit = _whole(query, "limit", 1 if category is Category.SPOT else 25, 1, 1000)
        stream = self._venue.book_stream(category, market.instrument.symbol, 1000)
        assert stream is not None
        stream.refresh()
        bids, asks = stream.window.shown()
        return {
            "s": market.instrument.symbol,
            "a": self._rows(market, asks[:limit]),
            "b": self._rows(market, bids[:limit]),
            "ts": self._clock_ns() // 1_000_000,
            "u": stream.window.u,
            "seq": stream.shown_seq,
            "cts": stream.stamp(stream.shown_cts_ms),
        }

    @staticmethod
    def _rows(market: SymbolMarket, levels: Changes) -> list[list[str]]:
        price, size = market.instrument.price_text, market.instrument.size_text
        return [[price[abs(key)], size[units]] for key, units in levels]

    def tickers(self, query: Query) -> Result:
        """Tickers of one symbol or of all."""
        category = self._category(query)
        chosen = [self._market(query, category)] if query.get("symbol") else self._all(category)
        if category is Category.SPOT:
            return {"category": category.value, "list": [spot_rest_ticker(m) for m in chosen]}
        rows = []
        for market in chosen:
            row = linear_ticker(market, self._venue.now_ns)
            row.pop("tickDirection")
            empty = (
                "predictedDeliveryPrice",
                "basisRate",
                "deliveryFeeRate",
                "basis",
                "basisRateYear",
            )
            rows.append({**row, **dict.fromkeys(empty, ""), "deliveryTime": "0"})
        return {"category": category.value, "list": rows}

    def kline(self, query: Query) -> Result:
        """Candles of the venue's own trades, newest first, the open one included."""
        category = self._category(query, default="linear")
        market = self._market(query, category)
        interval = query.get("interval", "")
        if interval not in INTERVALS:
            raise ParameterError("params error: interval invalid")
        limit = _whole(query, "limit", 200, 1, 1000)
        start = _whole(query, "start", 0, 0, 1 << 62)
        end = _whole(query, "end", 1 << 62, 0, 1 << 62)
        candles = market.candles.candles(interval, self._venue.now_ns // 1_000_000)
        chosen = [c for c in candles if start <= c.start_ms <= end][-limit:]
        price, instrument = market.instrument.price_text, market.instrument
        rows = [
            [
                str(c.start_ms),
                price[c.open],
                price[c.high],
                price[c.low],
                price[c.close],
                instrument.size_text[c.volume],
                instrument.turnover_text(c.turnover),
            ]
            for c in reversed(chosen)
        ]
        return {"symbol": instrument.symbol, "category": category.value, "list": rows}

    def recent_trade(self, query: Query) -> Result:
        """The latest trades, newest first."""
        category = self._category(query)
        market = self._market(query, category)
        highest = 60 if category is Category.SPOT else 1000
        limit = _whole(query, "limit", min(500, highest), 1, highest)
        price, size = market.instrument.price_text, market.instrument.size_text
        rows = [
            {
                "execId": trade.trade_id,
                "symbol": market.instrument.symbol,
                "price": price[trade.price_units],
                "size": size[trade.size_units],
                "side": "Buy" if trade.side is Side.BUY else "Sell",
                "time": str(trade.at_ms),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(trade.seq),
            }
            for trade in list(market.tape)[-limit:][::-1]
        ]
        return {"category": category.value, "list": rows}

    def funding_history(self, query: Query) -> Result:
        """Rates of the fundings paid, newest first; before the start invented ones."""
        category = self._category(query)
        if category is Category.SPOT:
            raise ParameterError("params error: category invalid")
        market = self._market(query, category)
        if query.get("startTime") and not query.get("endTime"):
            raise ParameterError("params error: startTime needs endTime")
        limit = _whole(query, "limit", 200, 1, 200)
        now_ms = self._venue.now_ns // 1_000_000
        start = _whole(query, "startTime", 0, 0, 1 << 62)
        end = min(_whole(query, "endTime", now_ms, 0, 1 << 62), now_ms)
        span = market.instrument.funding_interval_minutes * 60_000
        symbol = market.instrument.symbol
        rows = [
            {
                "symbol": symbol,
                "fundingRate": funding_text(rate_e8),
                "fundingRateTimestamp": str(at),
            }
            for at, rate_e8 in market.past.funding_rates(symbol, span, start, end, limit)
        ]
        return {"category": category.value, "list": rows}

    def price_limit(self, query: Query) -> Result:
        """Highest buy and lowest sell price."""
        market = self._market(query, self._category(query, default="linear"))
        buy, sell = price_limit_texts(market)
        at = str(self._clock_ns() // 1_000_000)
        return {"symbol": market.instrument.symbol, "buyLmt": buy, "sellLmt": sell, "ts": at}

    def system_status(self, query: Query) -> Result:
        """Maintenance, while there is one."""
        if not self._is_maintained():
            return {"list": []}
        row = {
            "id": "1",
            "title": "Simulated maintenance",
            "state": "ongoing",
            "begin": "",
            "end": "",
            "href": "",
            "serviceTypes": [2, 5],
            "product": [1, 2],
            "uidSuffix": [],
            "maintainType": "1",
            "env": "1",
        }
        return {"list": [row]}

    # parameters
    # -------------------------------------------------------------------------------------

    def _category(self, query: Query, default: str = "") -> Category:
        text = query.get("category", default)
        try:
            return Category(text)
        except ValueError:
            raise ParameterError("params error: category invalid") from None

    def _all(self, category: Category) -> list[SymbolMarket]:
        return [m for m in self._venue.markets.values() if m.instrument.category is category]

    def _market(self, query: Query, category: Category) -> SymbolMarket:
        market = self._venue.markets.get((category, query.get("symbol", "")))
        if market is None:
            raise ParameterError("params error: symbol invalid")
        return market
