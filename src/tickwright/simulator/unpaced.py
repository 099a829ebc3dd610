"""Owns making frames at a total rate, beyond the push intervals; refuses to be realistic.

A stress setting: synthetic symbols with subscribers make events as fast as the rate asks, and every
event is published at once on every subscribed depth topic. Symbols take turns by their activity, a
few events at a time, because a book that is warm in the processor's cache costs half.
"""

from collections.abc import Mapping
from random import Random

from tickwright.simulator.book import VenueBook
from tickwright.simulator.book_streams import PUSH_DELAY_NS, BookStream
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.sources.operations import TradePrints
from tickwright.simulator.sources.synthetic import SyntheticMarket, SyntheticSource
from tickwright.simulator.streams import TradeStream

__all__ = ["UnpacedMaker"]

_MS = 1_000_000
_BURST_EVENTS = 32
"""Events of one symbol in a row at most, and no more than the turn has frames due."""
_EVENTS_PER_FRAME_MAX = 20
"""Most events spent on one frame before the turn ends: some change nothing that is subscribed."""
_BACKLOG_S = 0.1


class UnpacedMaker:
    """Makes `frames_per_s` book and trade frames a second over all sources it was given.

    `frames_late` counts frames given up because the process couldn't keep up for 0.1 s.
    """

    def __init__(
        self,
        frames_per_s: float,
        rng: Random,
        start_ns: int,
        book_streams: Mapping[VenueBook, list[BookStream]],
        trade_streams: Mapping[VenueBook, TradeStream],
    ) -> None:
        self.frames_per_s = frames_per_s
        self.frames_late = 0
        self.publishing: VenueBook | None = None
        self._rng = rng
        self._book_streams = book_streams
        self._trade_streams = trade_streams
        self._sources: list[tuple[SyntheticSource, dict[str, SymbolMarket]]] = []
        self._from_ns = start_ns
        self._made = 0
        self._turn = 0

    def add(self, source: SyntheticSource, markets: dict[str, SymbolMarket]) -> None:
        """Drive a source; its symbols stand still until someone subscribes."""
        self._sources.append((source, markets))
        source.focus(set())

    def focus(self) -> None:
        """Follow the subscriptions: only symbols with a book or trade subscriber move."""
        for source, markets in self._sources:
            source.focus(
                {
                    symbol
                    for symbol, market in markets.items()
                    if any(stream.subscribers for stream in self._streams(market))
                }
            )

    def produce(self, now_ns: int) -> None:
        """Make the frames due by now."""
        due = int(self.frames_per_s * (now_ns - self._from_ns) / 1e9) - self._made
        active = [pair for pair in self._sources if pair[0].is_focused]
        if not active or due > self.frames_per_s * _BACKLOG_S + 1:
            if active:
                self.frames_late += due
            self._from_ns, self._made = now_ns, 0
            return
        made = 0
        for _ in range(due * _EVENTS_PER_FRAME_MAX // _BURST_EVENTS + 1):
            if made >= due:
                break
            source, markets = active[self._turn % len(active)]
            self._turn += 1
            symbol, synthetic = source.next_market()
            made += self._burst(markets[symbol], synthetic, due - made, now_ns)
        self._made += made

    def _burst(
        self, market: SymbolMarket, synthetic: SyntheticMarket, due: int, now_ns: int
    ) -> int:
        """Make a few events of one symbol; returns how many frames they gave."""
        book = market.book
        streams = [stream for stream in self._streams(market) if stream.subscribers]
        books = [stream for stream in streams if isinstance(stream, BookStream)]
        tapes = [stream for stream in streams if isinstance(stream, TradeStream)]
        before = sum([stream.frames for stream in streams])
        draw = self._rng.getrandbits
        ts_ms = now_ns // _MS
        # In venue time a change comes a little before its frame, as on the wire.
        changed_ns = now_ns - PUSH_DELAY_NS
        self.publishing = book
        for _ in range(min(_BURST_EVENTS, due)):
            trades, changes = synthetic.step()
            if trades is not None:
                self._print(market, trades, tapes, now_ns, ts_ms)
            bids, asks = changes.bids, changes.asks
            if changes.only_sizes:
                book.apply_sizes(bids, asks, now_ns, 1 + draw(7))
                book.changed_ns = changed_ns
                for stream in books:
                    stream.publish_sizes(bids, asks, ts_ms)
            else:
                book.apply(bids, asks, now_ns, 1 + draw(7))
                book.changed_ns = changed_ns
                for stream in books:
                    stream.publish(ts_ms)
        self.publishing = None
        return sum([stream.frames for stream in streams]) - before

    def _streams(self, market: SymbolMarket) -> list[BookStream | TradeStream]:
        streams: list[BookStream | TradeStream] = [*self._book_streams.get(market.book, ())]
        tape = self._trade_streams.get(market.book)
        return streams if tape is None else [*streams, tape]

    def _print(
        self,
        market: SymbolMarket,
        trades: TradePrints,
        tapes: list[TradeStream],
        now_ns: int,
        ts_ms: int,
    ) -> None:
        book = market.book
        for trade in trades.trades:
            book.seq += 1 + self._rng.getrandbits(2)
            at_ms = (now_ns - PUSH_DELAY_NS) // _MS
            printed = market.print_trade(trade.side, trade.price_units, trade.size_units, at_ms)
            for tape in tapes:
                tape.add_now(printed)
            book.external_trade(trade, now_ns)
        for tape in tapes:
            tape.publish(ts_ms)
