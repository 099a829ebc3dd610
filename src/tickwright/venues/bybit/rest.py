"""Owns Bybit's public queries: clock, instruments, books, candles; refuses private matters."""

import msgspec

from tickwright.core.errors import FrameError
from tickwright.core.events import CandleUpdate, ClockNotice
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.core.units import INT64_MAX
from tickwright.venues.bybit.decode import MILLISECONDS_MAX, units_of
from tickwright.venues.bybit.instruments import (
    INSTRUMENTS_MAX,
    InstrumentFault,
    InstrumentListing,
    page_of,
)
from tickwright.venues.bybit.market import TickerEvent, Tickers, candle_of, interval_ns_of
from tickwright.venues.bybit.rest_call import RestCaller
from tickwright.venues.bybit.wire import (
    CandleData,
    OrderBookData,
    TickerData,
    TickerMessage,
    shortened,
)
from tickwright.venues.port import TopOfBook

__all__ = ["BybitMarketClient", "RestBook"]

PAGES_MAX = 64
_PAGE_SIZE = 1_000
_CANDLES_MAX = 1_000


class _Book(OrderBookData, frozen=True, gc=False):
    ts: int
    cts: int = 0


class _Candles(msgspec.Struct, frozen=True):
    list: list[tuple[str, str, str, str, str, str, str]]


class _TickerPage(msgspec.Struct, frozen=True):
    list: list[TickerData]


class RestBook(msgspec.Struct, frozen=True):
    """An order book by REST, best level first, in units.

    `update_id` equals the 1000-level stream's; against other depths only `sequence` compares.
    """

    symbol: str
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    update_id: int
    sequence: int
    venue_ns: int


class BybitMarketClient:
    """Public queries of one address; see `port.MarketClient` for what they raise."""

    def __init__(self, caller: RestCaller) -> None:
        self._caller = caller
        self.faults: tuple[InstrumentFault, ...] = ()
        """What the last `instruments` call couldn't use."""

    async def server_clock(self) -> ClockNotice:
        """Measure how far the venue's clock is ahead of ours."""
        return await self._caller.server_clock()

    async def instruments(self, category: Category, *, symbol: str = "") -> tuple[Instrument, ...]:
        """Read all instruments of a category, or one; unusable rows are left in `faults`."""
        found: list[Instrument] = []
        faults: list[InstrumentFault] = []
        cursor = ""
        for _ in range(PAGES_MAX):
            pairs = [("category", category.value), ("symbol", symbol)]
            if category is not Category.SPOT:
                pairs.append(("limit", str(_PAGE_SIZE)))
            answer = await self._caller.get("/v5/market/instruments-info", pairs, cursor=cursor)
            page = page_of(
                answer.read(InstrumentListing), category, valid_from_ns=self._caller.now()
            )
            found += page.instruments
            faults += page.faults
            if len(found) > INSTRUMENTS_MAX:
                break
            if not page.next_cursor or page.next_cursor == cursor:
                self.faults = tuple(faults)
                return tuple(found)
            cursor = page.next_cursor
        raise FrameError(f"the instruments of {category.value} have no end")

    async def book(self, instrument: Instrument, *, limit: int = 50) -> RestBook:
        """Read the order book, `limit` (1 to 1000) levels a side."""
        answer = await self._caller.get(
            "/v5/market/orderbook",
            (
                ("category", instrument.id.category.value),
                ("symbol", instrument.symbol),
                ("limit", str(limit)),
            ),
        )
        book = answer.read(_Book)
        text = f"REST book of {instrument.id}".encode()
        if book.s != instrument.symbol:
            raise FrameError(f"REST book of {shortened(book.s)}, asked for {instrument.id}")
        if not 0 < book.u <= INT64_MAX or not 0 <= book.seq <= INT64_MAX:
            raise FrameError(f"{instrument.id}: REST update id or sequence out of range")
        if not 0 < book.ts <= MILLISECONDS_MAX:
            raise FrameError(f"{instrument.id}: REST time out of range")
        sides = []
        for rows in (book.b, book.a):
            sides.append(
                [
                    (
                        units_of(price, instrument.price_decimals, instrument, text),
                        units_of(size, instrument.size_decimals, instrument, text),
                    )
                    for price, size in rows
                ]
            )
        return RestBook(
            instrument.symbol, sides[0], sides[1], book.u, book.seq, book.ts * 1_000_000
        )

    async def top_of_book(self, instrument: Instrument) -> TopOfBook:
        """Read the best bid and ask."""
        book = await self.book(instrument, limit=1)
        bid = book.bids[0] if book.bids else (0, 0)
        ask = book.asks[0] if book.asks else (0, 0)
        return TopOfBook(
            instrument.symbol, *bid, *ask, book.update_id, book.sequence, book.venue_ns
        )

    async def ticker(self, instrument: Instrument) -> tuple[TickerEvent, ...]:
        """Read the prices of now and, of a perpetual, its funding."""
        answer = await self._caller.get(
            "/v5/market/tickers",
            (("category", instrument.id.category.value), ("symbol", instrument.symbol)),
        )
        rows = answer.read(_TickerPage).list
        if len(rows) != 1 or rows[0].symbol != instrument.symbol:
            raise FrameError(f"REST ticker of {instrument.id}: the answer is about something else")
        # Read as the stream's first message: one decoder knows what a ticker says.
        message = TickerMessage(
            topic=f"tickers.{instrument.symbol}",
            type="snapshot",
            ts=answer.venue_ns // 1_000_000,
            data=rows[0],
        )
        return tuple(Tickers(lambda _: instrument).decode(msgspec.json.encode(message)))

    async def candles(
        self,
        instrument: Instrument,
        interval: str,
        *,
        limit: int = 200,
        start_ns: int = 0,
        end_ns: int = 0,
    ) -> tuple[CandleUpdate, ...]:
        """Read candles, oldest first; the last one may not be final. `limit` is 1 to 1000."""
        interval_ns = interval_ns_of(interval)
        answer = await self._caller.get(
            "/v5/market/kline",
            (
                ("category", instrument.id.category.value),
                ("symbol", instrument.symbol),
                ("interval", interval),
                ("start", str(start_ns // 1_000_000) if start_ns else ""),
                ("end", str(end_ns // 1_000_000) if end_ns else ""),
                ("limit", str(limit)),
            ),
        )
        rows = answer.read(_Candles).list
        if len(rows) > _CANDLES_MAX:
            raise FrameError(f"more than {_CANDLES_MAX} candles of {instrument.id}")
        text = f"REST candles of {instrument.id}".encode()
        candles = []
        for start, opened, high, low, close, volume, _turnover in reversed(rows):
            if not (start.isascii() and start.isdigit() and len(start) <= 16):
                raise FrameError(f"{instrument.id}: candle start {shortened(start)}")
            start_ms = int(start)
            end_ns_of_row = start_ms * 1_000_000 + interval_ns
            data = CandleData(
                start=start_ms,
                end=end_ns_of_row // 1_000_000 - 1,
                interval=interval,
                open=opened,
                close=close,
                high=high,
                low=low,
                volume=volume,
                confirm=end_ns_of_row <= answer.venue_ns,
                timestamp=start_ms,
            )
            candles.append(candle_of(data, interval_ns, instrument, answer.venue_ns, text))
        return tuple(candles)
