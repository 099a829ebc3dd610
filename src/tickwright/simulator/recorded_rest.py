"""Owns the public REST answers of a served recording: what it knows of instruments, books, tickers.

It refuses what nobody recorded: candles, old trades and fundings are an error, not an empty list.
"""

from collections.abc import Callable
from typing import Any

from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument, InstrumentStatus
from tickwright.core.units import INT64_MAX
from tickwright.simulator.instruments import instruments_info_row
from tickwright.simulator.mirror import listing_of
from tickwright.simulator.recorded_topics import RecordedTopics
from tickwright.simulator.rest import ParameterError, PublicRest
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["RecordedRest", "recorded_row"]

Query = Any
Result = dict[str, Any]

_LIMIT_DEFAULT = {Category.SPOT: 1}
_STATUS = {
    InstrumentStatus.TRADING: "Trading",
    InstrumentStatus.PRELAUNCH: "PreLaunch",
    InstrumentStatus.SUSPENDED: "Settling",
    InstrumentStatus.CLOSED: "Closed",
}


class RecordedRest(PublicRest):
    """Answers from the topics of a recording, as far as they have been played."""

    def __init__(
        self,
        topics: RecordedTopics,
        venue: SimulatedVenue,
        clock_ns: Callable[[], int],
        is_maintained: Callable[[], bool],
    ) -> None:
        super().__init__(venue, clock_ns, is_maintained)
        self._topics = topics

    def instruments_info(self, query: Query) -> Result:
        """Instruments of a category as they were recorded."""
        category = self._category(query)
        rows = [
            row
            for (listed, _), instrument in self._topics.instruments.items()
            if listed is category
            and query.get("symbol", "") in ("", instrument.symbol)
            and query.get("baseCoin", "") in ("", instrument.base_asset)
            for row in (recorded_row(instrument),)
            if query.get("status", row["status"]) in ("", row["status"])
        ]
        if query.get("symbol") and not rows:
            raise ParameterError("params error: symbol invalid")
        return self._listed(query, category, rows)

    def orderbook(self, query: Query) -> Result:
        """The top levels of the deepest recorded book; `u` and `seq` are its topic's."""
        category = self._category(query)
        self._topics.ask_count += 1
        symbol = self._symbol(query, category)
        limit = self._limit(query, _LIMIT_DEFAULT.get(category, 25))
        found = self._topics.deepest_book(category, symbol)
        if found is None:
            raise ParameterError("the recording has no proven book of this symbol now")
        topic, book = found
        price, size = topic.texts(book)
        ts_ms, cts_ms = topic.stamps_ms
        return {
            "s": symbol,
            "a": [[price[units], size[held]] for units, held in book.asks(limit)],
            "b": [[price[units], size[held]] for units, held in book.bids(limit)],
            "ts": ts_ms,
            "u": book.update_id,
            "seq": book.sequence,
            "cts": cts_ms,
        }

    def tickers(self, query: Query) -> Result:
        """Recorded tickers; of a symbol without one its best prices alone."""
        self._topics.ask_count += 1
        category = self._category(query)
        symbols = [symbol for listed, symbol in self._topics.instruments if listed is category]
        if query.get("symbol"):
            symbols = [self._symbol(query, category)]
        rows = [self._ticker(category, symbol) for symbol in symbols]
        return {"category": category.value, "list": rows}

    def _ticker(self, category: Category, symbol: str) -> Result:
        topic = self._topics.stream(category, f"tickers.{symbol}")
        fields = None if topic is None else topic.fields()
        row: Result = {"symbol": symbol} if fields is None else dict(fields)
        found = self._topics.deepest_book(category, symbol)
        if found is not None:
            bids, asks = found[1].bids_text(1), found[1].asks_text(1)
            for name, levels in (("bid1", bids), ("ask1", asks)):
                price, size = levels[0] if levels else ("", "")
                row[f"{name}Price"], row[f"{name}Size"] = price, size
        return row

    def kline(self, query: Query) -> Result:
        """Refuse: a recording has no candles of before."""
        raise ParameterError("a served recording has no candles: subscribe kline, if it was there")

    def recent_trade(self, query: Query) -> Result:
        """Refuse: what was traded is told by the topic."""
        raise ParameterError("a served recording has no trades by REST: subscribe publicTrade")

    def funding_history(self, query: Query) -> Result:
        """Refuse: a recording has no fundings of before."""
        raise ParameterError("a served recording has no funding history")

    def price_limit(self, query: Query) -> Result:
        """Refuse: nobody recorded them."""
        raise ParameterError("a served recording has no price limits")

    def _symbol(self, query: Query, category: Category) -> str:
        symbol = str(query.get("symbol", ""))
        if (category, symbol) not in self._topics.instruments:
            raise ParameterError("params error: symbol invalid")
        return symbol

    @staticmethod
    def _limit(query: Query, default: int) -> int:
        text = query.get("limit") or str(default)
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= 1_000):
            raise ParameterError("params error: limit must be 1 to 1000")
        return int(text)


def recorded_row(instrument: Instrument) -> Result:
    """Return the instruments-info entry from which a client reads this very instrument again."""
    row = instruments_info_row(listing_of(instrument))
    row["status"] = _STATUS[instrument.status]
    prices, lots = row["priceFilter"], row["lotSizeFilter"]
    size_text = instrument.size_text
    if instrument.is_spot:
        # Spot lists its step alone: the bounds of prices follow from nothing.
        lots["maxLimitOrderQty"] = _bound(size_text, instrument.size_max_units)
        lots["maxMarketOrderQty"] = _bound(size_text, instrument.market_size_max_units)
        lots["minOrderAmt"] = f"{instrument.notional_min:f}"
        return row
    row["settleCoin"] = instrument.settle_asset
    row["fundingInterval"] = instrument.funding_interval_minutes
    row["leverageFilter"]["maxLeverage"] = f"{instrument.leverage_max:f}"
    prices["minPrice"] = instrument.price_text(instrument.price_min_units)
    prices["maxPrice"] = _bound(instrument.price_text, instrument.price_max_units)
    lots["maxOrderQty"] = _bound(size_text, instrument.size_max_units)
    lots["maxMktOrderQty"] = _bound(size_text, instrument.market_size_max_units)
    lots["minNotionalValue"] = f"{instrument.notional_min:f}"
    return row


def _bound(text_of: Callable[[int], str], units: int) -> str:
    """Write a highest value; none given is an empty text, as the venue writes it."""
    return "" if units in (0, INT64_MAX) else text_of(units)
