"""Owns the venue's public half as one deterministic machine; refuses sockets and clocks.

The server, or a test under a virtual clock, calls `advance(now_ns)`; everything else happens
inside: operations of the sources, conflation, frames to subscribers. Same instruments, sources,
seed and calls: same frames.

The contract with the private half (accounts and matching)
----------------------------------------------------------
`venue.markets[(Category, symbol)]` is a `SymbolMarket`; its `.book` is the `VenueBook` in which
users' orders rest beside the source's liquidity, `.instrument` the filters, `.mark_units` /
`.index_units` / `.funding_e8` / `.last_or_mid_units()` the facts. All prices and sizes are ints in
the instrument's units.

- `book.best()`, `book.levels(side, limit)`, `book.external_size(side, price_units)`: what rests
now.
- `book.add_own(side, price_units, size_units)` and `remove_own(...)`: a user's order rests, fills
or goes.
- `book.take(side, size_units, limit_price_units) -> [(price_units, size_units)]`: an aggressor
consumes external
  liquidity; what is taken stays taken until the source sets the level again. Own orders are not
  matched here.
- `book.on_external_trade(hook(book, trade, now_ns))`: the source printed a trade.
- `book.on_book_change(hook(book, now_ns))`: external levels changed, nothing of it published yet;
an own order
  the market moved through must be filled in the hook, or the published book would be crossed.
- `venue.print_trade(book, side, price_units, size_units)`: puts a match between users, or of a user
with
  external liquidity, on the public tape.
- `venue.schedule(due_ns, action(due_ns))`: run something at a venue time. `venue.now_ns` is that
time.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.book_streams import (
    BOOK_INTERVALS_NS,
    BookStream,
    FullBookStream,
    RpiBookStream,
)
from tickwright.simulator.candles import INTERVALS
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.sources.operations import (
    BookReset,
    LabelChange,
    LevelChanges,
    MarketFacts,
    MarketSource,
    Operation,
    PublicTrade,
    TimedOperation,
    TradePrints,
    Turn,
)
from tickwright.simulator.sources.synthetic import SyntheticSource
from tickwright.simulator.streams import (
    KlineStream,
    PriceLimitStream,
    SilentStream,
    Stream,
    TickerStream,
    TradeStream,
)
from tickwright.simulator.unpaced import UnpacedMaker

__all__ = ["MarketKey", "SimulatedVenue"]

MarketKey = tuple[Category, str]

_MS = 1_000_000
_INDEX_NS = 1_000 * _MS


class SimulatedVenue:
    """A venue in a box: markets, topics, subscribers, time as an argument.

    `frames_per_s` switches unpaced production on: synthetic sources then make that many book and
    trade frames a second over all subscribed symbols, ignoring the push intervals. It is a stress
    figure: the real venue pushes at most 50 frames a second per symbol at depth 50.
    """

    def __init__(
        self,
        instruments: Sequence[VenueInstrument],
        sources: Sequence[MarketSource],
        *,
        rng: Random,
        start_ns: int,
        speed: float = 1.0,
        frames_per_s: float = 0.0,
    ) -> None:
        self.now_ns = start_ns
        self.rng = rng
        # What the stamps of public frames go through while a fault puts the clock off.
        self.clock_ns: Callable[[int], int] | None = None
        self._start_ns = start_ns
        self._speed = speed
        self._actions: list[tuple[int, int, Callable[[int], None]]] = []
        self._action_number = 0
        self._streams: dict[tuple[Category, str], Stream] = {}
        self._books: dict[VenueBook, list[BookStream]] = {}
        self._trades: dict[VenueBook, TradeStream] = {}
        self.markets: dict[MarketKey, SymbolMarket] = {}
        for instrument in instruments:
            book = VenueBook(
                instrument,
                first_seq=rng.randrange(10_000_000_000, 900_000_000_000),
                on_touched=self._book_touched,
            )
            self.markets[instrument.key] = SymbolMarket(
                instrument, book, rng, start_ms=start_ns // _MS
            )
        # A topic's numbers come from its name: they don't depend on who asked for what before.
        self._topics_seed = rng.getrandbits(64)
        self._pending: list[
            tuple[int, int, dict[str, SymbolMarket], TimedOperation, Iterator[TimedOperation]]
        ] = []
        self.unpaced: UnpacedMaker | None = None
        if frames_per_s:
            self.unpaced = UnpacedMaker(frames_per_s, rng, start_ns, self._books, self._trades)
        for number, source in enumerate(sources):
            self._open_source(number, source)
        self.schedule(start_ns + _INDEX_NS, self._tick_indexes)
        self.advance(start_ns)
        for market in self.markets.values():
            market.look(start_ns // _MS)

    # time
    # -------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Do everything due up to `now_ns`, in time order; frames go out on the way."""
        pending, actions = self._pending, self._actions
        while True:
            due = actions[0][0] if actions else now_ns + 1
            if pending and pending[0][0] <= due:
                if pending[0][0] > now_ns:
                    break
                at_ns, number, markets, (_, symbol, operation), rest = pending[0]
                if at_ns > self.now_ns:
                    self.now_ns = at_ns
                self._apply(markets[symbol], operation)
                following = next(rest, None)
                if following is None:
                    heapq.heappop(pending)
                else:
                    at_ns = self._start_ns + self._scaled(following[0])
                    heapq.heapreplace(pending, (at_ns, number, markets, following, rest))
            elif due <= now_ns:
                action = heapq.heappop(actions)[2]
                if due > self.now_ns:
                    self.now_ns = due
                action(due)
            else:
                break
        if now_ns > self.now_ns:
            self.now_ns = now_ns
        if self.unpaced is not None:
            self.unpaced.produce(self.now_ns)

    def schedule(self, due_ns: int, action: Callable[[int], None]) -> None:
        """Call `action(due_ns)` when venue time reaches `due_ns`; ties run in the order asked."""
        self._action_number += 1
        heapq.heappush(self._actions, (due_ns, self._action_number, action))

    # topics
    # -----------------------------------------------------------------------------------------

    def stream(self, category: Category, topic: str) -> Stream | None:
        """The stream of a topic, made on first use; None when the venue has no such topic."""
        known = self._streams.get((category, topic))
        if known is None:
            known = self._make_stream(category, topic)
            if known is not None:
                self._streams[category, topic] = known
        return known

    def streams(self) -> Mapping[tuple[Category, str], Stream]:
        """Every topic anyone ever asked for."""
        return self._streams

    def subscriptions_changed(self) -> None:
        """Tell the venue that subscribers came or went: unpaced production follows them."""
        if self.unpaced is not None:
            self.unpaced.focus()

    def book_stream(self, category: Category, symbol: str, depth: int) -> BookStream | None:
        """The depth topic of a symbol, for REST and control answers."""
        stream = self.stream(category, f"orderbook.{depth}.{symbol}")
        return stream if isinstance(stream, BookStream) else None

    def _make_stream(self, category: Category, topic: str) -> Stream | None:
        name, *middle = topic.split(".")
        market = self.markets.get((category, middle.pop() if middle else ""))
        if market is None or len(middle) > 1:
            return None
        if name == "orderbook" and middle and middle[0] in ("rpi", "full"):
            return self._make_wide_book(market, topic, is_full=middle[0] == "full")
        if name == "orderbook" and middle:
            depth = int(middle[0]) if middle[0] in _DEPTH_TEXTS else 0
            if not depth:
                return None
            return self._listen(
                BookStream(topic, market, self, depth, self._first_u(category, topic))
            )
        if name == "kline" and middle and middle[0] in INTERVALS:
            return KlineStream(topic, market, self, middle[0])
        if middle:
            return None
        if name == "publicTrade":
            trades = TradeStream(topic, market, self)
            self._trades[market.book] = trades
            return trades
        if name == "tickers":
            return TickerStream(topic, market, self)
        if category is Category.LINEAR and name == "priceLimit":
            return PriceLimitStream(topic, market, self)
        if category is Category.LINEAR and name == "allLiquidation":
            return SilentStream(topic, market, self)
        return None

    def _make_wide_book(
        self, market: SymbolMarket, topic: str, *, is_full: bool
    ) -> BookStream | None:
        """Make the book with RPI sizes, or on spot the whole book."""
        category = market.instrument.category
        first_u = self._first_u(category, topic)
        if not is_full:
            return self._listen(RpiBookStream(topic, market, self, first_u))
        if category is not Category.SPOT:
            return None
        return self._listen(FullBookStream(topic, market, self, first_u))

    def _first_u(self, category: Category, topic: str) -> int:
        own = Random(f"{self._topics_seed}:{category.value}:{topic}")
        return own.randrange(1_000_000, 200_000_000)

    def _listen(self, stream: BookStream) -> BookStream:
        self._books.setdefault(stream.market.book, []).append(stream)
        return stream

    # trades
    # -----------------------------------------------------------------------------------------

    def print_trade(self, book: VenueBook, side: Side, price_units: int, size_units: int) -> None:
        """Put a match on the public tape: last price, candles and the trade topic follow."""
        self._print(self.markets[book.instrument.key], side, price_units, size_units)

    def _print(self, market: SymbolMarket, side: Side, price_units: int, size_units: int) -> None:
        trade = market.print_trade(side, price_units, size_units, self.now_ns // _MS)
        stream = self._trades.get(market.book)
        if stream is not None:
            stream.add(trade)

    # sources
    # ----------------------------------------------------------------------------------------

    def _open_source(self, number: int, source: MarketSource) -> None:
        if self.unpaced is not None and isinstance(source, SyntheticSource):
            for symbol, reset in source.resets():
                market = self.markets[source.category, symbol]
                market.label = source.label(symbol)
                self._apply(market, reset)
            self.unpaced.add(source, self._markets_of(source.category))
            return
        operations = source.operations()
        first = next(operations, None)
        assert first is not None, "a source without any operation"
        at_ns = self._start_ns + self._scaled(first[0])
        markets = self._markets_of(source.category)
        heapq.heappush(self._pending, (at_ns, number, markets, first, operations))
        for symbol, market in markets.items():
            if source.has(symbol):
                market.label = source.label(symbol)

    def _scaled(self, after_ns: int) -> int:
        return after_ns if self._speed == 1.0 else int(after_ns / self._speed)

    def _markets_of(self, category: Category) -> dict[str, SymbolMarket]:
        """A category's markets by symbol."""
        return {
            market.instrument.symbol: market
            for market in self.markets.values()
            if market.instrument.category is category
        }

    def _apply(self, market: SymbolMarket, operation: Operation) -> None:
        book = market.book
        if isinstance(operation, Turn):
            for decided in operation.act(book):
                self._apply(market, decided)
            return
        step = 1 + self.rng.getrandbits(7)
        if isinstance(operation, LevelChanges):
            book.apply(operation.bids, operation.asks, self.now_ns, step)
        elif isinstance(operation, TradePrints):
            for trade in operation.trades:
                self._print_external(market, trade, step)
        elif isinstance(operation, BookReset):
            book.reset(operation.bids, operation.asks, self.now_ns, step)
        elif isinstance(operation, MarketFacts):
            market.facts = operation
            if operation.funding_e8 is not None:
                market.funding_e8 = operation.funding_e8
        else:
            assert isinstance(operation, LabelChange)
            market.label = operation.label

    def _print_external(self, market: SymbolMarket, trade: PublicTrade, step: int) -> None:
        book = market.book
        book.seq += step
        self._print(market, trade.side, trade.price_units, trade.size_units)
        book.external_trade(trade, self.now_ns)

    def _book_touched(self, book: VenueBook) -> None:
        if self.unpaced is not None and book is self.unpaced.publishing:
            return
        for stream in self._books.get(book, ()):
            if stream.subscribers:
                stream.touched()

    def _tick_indexes(self, due_ns: int) -> None:
        for market in self.markets.values():
            market.tick(due_ns // _MS)
        self.schedule(due_ns + _INDEX_NS, self._tick_indexes)


_DEPTH_TEXTS = frozenset(str(depth) for depth in BOOK_INTERVALS_NS)
