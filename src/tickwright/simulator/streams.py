"""Owns the topics of the public stream: what each sends, and when; refuses sockets and clocks.

A stream belongs to one (category, topic), keeps its subscribers, and is run by the venue at the
times it asks
for. Frame texts follow the wire exactly: key order depends on the category (spot and level 1 put
`ts` before `type`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.candles import Candle, interval_end_ms
from tickwright.simulator.history import PublishedHistory
from tickwright.simulator.market import SymbolMarket, TapeTrade
from tickwright.simulator.sources.operations import Level
from tickwright.simulator.tickers import linear_ticker, price_limit_texts, spot_ticker
from tickwright.simulator.window import BookWindow, Changes, levels_text

__all__ = [
    "BOOK_INTERVALS_NS",
    "PUSH_DELAY_NS",
    "TRADES_PER_FRAME",
    "BookStream",
    "FullBookStream",
    "KlineStream",
    "PriceLimitStream",
    "RpiBookStream",
    "SilentStream",
    "Stream",
    "Subscriber",
    "TickerStream",
    "TradeStream",
]

MS = 1_000_000
BOOK_INTERVALS_NS = {1: 10 * MS, 50: 20 * MS, 200: 100 * MS, 1000: 200 * MS}
"""Push interval by depth, spot and linear alike."""
PUSH_DELAY_NS = 2 * MS
"""From a first change to its frame: how far `cts` lies before `ts`, less under conflation."""
TRADE_DELAY_NS = 1 * MS
LEVEL1_REPEAT_NS = 3_000 * MS
RPI_NS = 100 * MS
FULL_NS = 200 * MS
FULL_DEPTH = 10_000
"""Levels a side of the whole book."""
TRADES_PER_FRAME = 1_024
_TICKER_NS = {Category.LINEAR: 100 * MS, Category.SPOT: 50 * MS}
_KLINE_NS = 1_000 * MS
_PRICE_LIMIT_NS = 300 * MS

_encode = msgspec.json.Encoder().encode


class Subscriber(Protocol):
    """Who receives frames."""

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        """Take one frame of a topic."""


class Scheduler(Protocol):
    """The part of the venue a stream needs: the time, and a later run."""

    now_ns: int
    clock_ns: Callable[[int], int] | None

    def schedule(self, due_ns: int, action: Callable[[int], None]) -> None:
        """Call `action(due_ns)` when the venue's time reaches `due_ns`."""


class Stream(ABC):
    """One topic. `subscribers` is replaced, never changed in place, so delivery may iterate it."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler) -> None:
        self.topic = topic
        self.market = market
        self.venue = venue
        self.subscribers: tuple[Subscriber, ...] = ()
        self.frames = 0
        self.is_scheduled = False

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber and send it the topic's first frame, if it has one."""
        was_idle = not self.subscribers
        if was_idle:
            self.wake()
        self.subscribers += (subscriber,)
        first = self.first_frame()
        if first is not None:
            subscriber.deliver(self.topic, first, is_delta=False)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; the last one stops the stream's work."""
        self.subscribers = tuple(s for s in self.subscribers if s is not subscriber)
        if not self.subscribers:
            self.sleep()

    def send(self, payload: bytes, *, is_delta: bool) -> None:
        """Deliver a frame to everyone."""
        self.frames += 1
        topic = self.topic
        for subscriber in self.subscribers:
            subscriber.deliver(topic, payload, is_delta=is_delta)

    def ask(self, due_ns: int) -> None:
        """Ask for a run unless one is coming."""
        if not self.is_scheduled:
            self.is_scheduled = True
            self.venue.schedule(due_ns, self._run_scheduled)

    def stamp(self, ms: int) -> int:
        """Return what the venue's clock says at a venue time: a fault may have put it off."""
        clock_ns = self.venue.clock_ns
        return ms if clock_ns is None else clock_ns(ms * MS) // MS

    def _run_scheduled(self, due_ns: int) -> None:
        self.is_scheduled = False
        self.run(due_ns)

    def wake(self) -> None:  # noqa: B027 - streams without upkeep need nothing
        """Start working: the first subscriber is coming."""

    def sleep(self) -> None:  # noqa: B027 - streams without upkeep need nothing
        """Stop working: the last subscriber left."""

    @abstractmethod
    def first_frame(self) -> bytes | None:
        """The frame a new subscriber gets at once."""

    @abstractmethod
    def run(self, due_ns: int) -> None:
        """Do what was scheduled."""


class BookStream(Stream):
    """`orderbook.{depth}.{symbol}`: conflated to the push interval, or every event when unpaced."""

    def __init__(
        self,
        topic: str,
        market: SymbolMarket,
        venue: Scheduler,
        depth: int,
        first_u: int,
        *,
        interval_ns: int = 0,
    ) -> None:
        super().__init__(topic, market, venue)
        self.depth = depth
        self.interval_ns = interval_ns or BOOK_INTERVALS_NS[depth]
        book = self._book = market.book
        self.window = BookWindow(book.bids, book.asks, depth, first_u=first_u)
        self._price_text = market.instrument.price_text
        self._size_text = market.instrument.size_text
        self._last_ns = 0
        self._is_watched = False
        self.shown_seq = book.seq
        self.shown_cts_ms = book.changed_ns // MS
        symbol = market.instrument.symbol
        ts_first = market.instrument.category is Category.SPOT or depth == 1
        self._heads = {}
        for kind in ("snapshot", "delta"):
            data = f'"data":{{"s":"{symbol}","b":['
            if ts_first:
                parts = (f'{{"topic":"{topic}","ts":', f',"type":"{kind}",{data}')
            else:
                parts = (f'{{"topic":"{topic}","type":"{kind}","ts":', f",{data}")
            self._heads[kind] = parts
        self.history = PublishedHistory(self.snapshot())

    def wake(self) -> None:
        """Follow the book again: the window is taken afresh under the next `u`."""
        self.refresh()
        self.market.book.windows.append(self.window)

    def sleep(self) -> None:
        """Stop following the book."""
        self.market.book.windows.remove(self.window)

    def refresh(self) -> None:
        """Bring an idle window up to the book; its `u` moves on only if something changed."""
        if self.window not in self.market.book.windows:
            if self.shown_seq != self.market.book.seq:
                self.window.renumber(self.window.u + 1)
            self._stamp()
            self.history = PublishedHistory(self.snapshot())

    def first_frame(self) -> bytes | None:
        """A snapshot of what the topic last showed: the next delta continues it."""
        if self.depth == 1:
            self._watch_silence()
        return self.snapshot()

    def snapshot(self, ts_ms: int = 0) -> bytes:
        """The window last published, as a snapshot under its `u`; stamped now unless given."""
        bids, asks = self.window.shown()
        texts = self._levels(bids, 1), self._levels(asks, -1)
        return self._text("snapshot", *texts, ts_ms or self.venue.now_ns // MS)

    def restart(self) -> None:
        """Restart the topic as a service restart does: everyone gets a snapshot with `u` 1."""
        self.window.renumber(1)
        self._stamp()
        snapshot = self.snapshot()
        self.history = PublishedHistory(snapshot)
        self.send(snapshot, is_delta=False)

    def touched(self) -> None:
        """Ask for the next frame: not before the push interval has passed."""
        if not self.is_scheduled:
            due = max(self.market.book.changed_ns, self.venue.now_ns) + PUSH_DELAY_NS
            self.ask(max(due, self._last_ns + self.interval_ns))

    def run(self, due_ns: int) -> None:
        """Publish what changed."""
        self.publish(due_ns // MS)
        self._last_ns = due_ns

    def publish(self, ts_ms: int) -> None:
        """Send the changes since the last frame, if the window changed at all."""
        if not self.subscribers:
            return
        changed = self.window.advance()
        if changed is None:
            return
        self._send_changes(self._levels(changed[0], 1), self._levels(changed[1], -1), ts_ms)

    def publish_sizes(self, bids: list[Level], asks: list[Level], ts_ms: int) -> None:
        """Send changes that only resize resting levels of the book: the short way of `publish`."""
        window = self.window
        texts = window.resize(bids, asks, self._price_text, self._size_text)
        if texts is None:
            window.touched_bids.update([price for price, _ in bids])
            window.touched_asks.update([-price for price, _ in asks])
            self.publish(ts_ms)
        elif texts[0] or texts[1]:
            self._send_changes(texts[0], texts[1], ts_ms)

    def _send_changes(self, bids: str, asks: str, ts_ms: int) -> None:
        book = self._book
        self.shown_seq = book.seq
        self.shown_cts_ms = book.changed_ns // MS
        if self.depth != 1:
            payload = self._text("delta", bids, asks, ts_ms)
            if self.history.add(payload):
                self.history.turn(self.snapshot())
            self.send(payload, is_delta=True)
        else:
            self._last_ns = self.venue.now_ns
            payload = self.snapshot(ts_ms)
            if self.history.add(payload):
                self.history.turn(payload)
            self.send(payload, is_delta=False)

    def _stamp(self) -> None:
        book = self._book
        self.shown_seq = book.seq
        self.shown_cts_ms = book.changed_ns // MS

    def _text(self, kind: str, bids: str, asks: str, ts_ms: int) -> bytes:
        head, data = self._heads[kind]
        cts_ms = self.shown_cts_ms
        if self.venue.clock_ns is not None:
            ts_ms, cts_ms = self.stamp(ts_ms), self.stamp(cts_ms)
        return (
            f'{head}{ts_ms}{data}{bids}],"a":[{asks}],"u":{self.window.u},'
            f'"seq":{self.shown_seq}}},"cts":{cts_ms}}}'
        ).encode()

    def _levels(self, changes: Changes, sign: int) -> str:
        return levels_text(changes, sign, self._price_text, self._size_text)

    def _watch_silence(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            self._last_ns = self.venue.now_ns
            self.venue.schedule(self.venue.now_ns + LEVEL1_REPEAT_NS, self._repeat_if_silent)

    def _repeat_if_silent(self, due_ns: int) -> None:
        """Level 1 only: push the same snapshot, same `u`, after three seconds without change."""
        if not self.subscribers:
            self._is_watched = False
            return
        if due_ns - self._last_ns >= LEVEL1_REPEAT_NS:
            self._last_ns = due_ns
            self.send(self.snapshot(), is_delta=False)
        self.venue.schedule(self._last_ns + LEVEL1_REPEAT_NS, self._repeat_if_silent)


class RpiBookStream(BookStream):
    """`orderbook.rpi.{symbol}`: 50 levels of [price, size, RPI size]; nobody quotes RPI here."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler, first_u: int) -> None:
        super().__init__(topic, market, venue, 50, first_u, interval_ns=RPI_NS)

    def publish_sizes(self, bids: list[Level], asks: list[Level], ts_ms: int) -> None:
        """Send changes that only resize resting levels."""
        self.window.touched_bids.update([price for price, _ in bids])
        self.window.touched_asks.update([-price for price, _ in asks])
        self.publish(ts_ms)

    def _levels(self, changes: Changes, sign: int) -> str:
        price, size = self._price_text, self._size_text
        return ",".join([f'["{price[sign * key]}","{size[units]}","0"]' for key, units in changes])


class FullBookStream(BookStream):
    """`orderbook.full.{symbol}`: deltas of the whole book; the base comes from REST."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler, first_u: int) -> None:
        super().__init__(topic, market, venue, FULL_DEPTH, first_u, interval_ns=FULL_NS)

    def first_frame(self) -> None:
        """Nothing: whoever wants a base asks for it."""
        return


class TradeStream(Stream):
    """`publicTrade.{symbol}`: every trade, oldest first, at most 1,024 a frame; no history."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler) -> None:
        super().__init__(topic, market, venue)
        self._waiting: list[TapeTrade] = []
        self._is_spot = market.instrument.category is Category.SPOT

    def first_frame(self) -> None:
        """Trades send nothing first."""
        return

    def add(self, trade: TapeTrade) -> None:
        """Take a trade for the next frame."""
        if self.subscribers:
            self._waiting.append(trade)
            if not self.is_scheduled:
                self.ask(self.venue.now_ns + TRADE_DELAY_NS)

    def add_now(self, trade: TapeTrade) -> None:
        """Take a trade for a frame the caller publishes at once."""
        self._waiting.append(trade)

    def run(self, due_ns: int) -> None:
        """Send what waits."""
        self.publish(due_ns // MS)

    def publish(self, ts_ms: int) -> None:
        """Send every waiting trade, in frames of at most `TRADES_PER_FRAME`."""
        ts_ms = self.stamp(ts_ms)
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), TRADES_PER_FRAME):
            rows = ",".join(map(self._row, waiting[first : first + TRADES_PER_FRAME]))
            if self._is_spot:
                head = f'{{"topic":"{self.topic}","ts":{ts_ms},"type":"snapshot","data":['
            else:
                head = f'{{"topic":"{self.topic}","type":"snapshot","ts":{ts_ms},"data":['
            self.send(f"{head}{rows}]}}".encode(), is_delta=False)

    def _row(self, trade: TapeTrade) -> str:
        instrument = self.market.instrument
        side = "Buy" if trade.side is Side.BUY else "Sell"
        price = instrument.price_text[trade.price_units]
        size = instrument.size_text[trade.size_units]
        at_ms = self.stamp(trade.at_ms)
        if self._is_spot:
            return (
                f'{{"i":"{trade.trade_id}","T":{at_ms},"p":"{price}",'
                f'"v":"{size}","S":"{side}",'
                f'"seq":{trade.seq},"s":"{instrument.symbol}","BT":false,"RPI":false}}'
            )
        return (
            f'{{"T":{at_ms},"s":"{instrument.symbol}","S":"{side}",'
            f'"v":"{size}","p":"{price}",'
            f'"L":"{trade.tick_direction}","i":"{trade.trade_id}","BT":false,"RPI":false,'
            f'"seq":{trade.seq}}}'
        )


class _PeriodicStream(Stream):
    """A topic that looks at its market at a fixed interval while someone listens."""

    interval_ns: int

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber and keep the interval running."""
        super().subscribe(subscriber)
        self.ask(self.venue.now_ns + self.interval_ns)

    def run(self, due_ns: int) -> None:
        """Look at the market and go on while someone listens."""
        if self.subscribers:
            self.look(due_ns // MS)
            self.ask(due_ns + self.interval_ns)

    @abstractmethod
    def look(self, ts_ms: int) -> None:
        """Send what changed."""


class TickerStream(_PeriodicStream):
    """`tickers.{symbol}`: contracts send a snapshot, then changed fields; spot snapshots only."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler) -> None:
        super().__init__(topic, market, venue)
        self._is_spot = market.instrument.category is Category.SPOT
        self.interval_ns = _TICKER_NS[market.instrument.category]
        self._sent: dict[str, str] = {}

    def wake(self) -> None:
        """Forget what earlier subscribers saw."""
        self._sent = self._fields()

    def first_frame(self) -> bytes:
        """The fields as everyone was last told, whole: the next delta continues them."""
        return self._text("snapshot", self._sent, self.venue.now_ns // MS)

    def look(self, ts_ms: int) -> None:
        """Send the fields that changed (all of them on spot)."""
        fields, sent = self._fields(), self._sent
        if fields == sent:
            return
        self._sent = fields
        if self._is_spot:
            self.send(self._text("snapshot", fields, ts_ms), is_delta=False)
            return
        changed = {name: text for name, text in fields.items() if sent.get(name) != text}
        delta = {"symbol": fields["symbol"], **changed}
        self.send(self._text("delta", delta, ts_ms), is_delta=True)

    def _fields(self) -> dict[str, str]:
        if self._is_spot:
            return spot_ticker(self.market)
        return linear_ticker(self.market, self.venue.now_ns)

    def _text(self, kind: str, fields: dict[str, str], ts_ms: int) -> bytes:
        seq, ts_ms = self.market.book.seq, self.stamp(ts_ms)
        frame: dict[str, Any]
        if self._is_spot:
            frame = {"topic": self.topic, "ts": ts_ms, "type": kind, "cs": seq, "data": fields}
        else:
            frame = {"topic": self.topic, "type": kind, "data": fields, "cs": seq, "ts": ts_ms}
        return _encode(frame)


class KlineStream(_PeriodicStream):
    """`kline.{interval}.{symbol}`: the open candle each second it changes, and when it closes."""

    interval_ns = _KLINE_NS

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler, interval: str) -> None:
        super().__init__(topic, market, venue)
        self.interval = interval
        self._sent: Candle | None = None

    def first_frame(self) -> bytes | None:
        """The open candle, if there was a trade yet."""
        candles = self.market.candles.candles(self.interval, self.venue.now_ns // MS)
        self._sent = candles[-1] if candles else None
        return self._text(candles[-1], self.venue.now_ns // MS, is_final=False) if candles else None

    def look(self, ts_ms: int) -> None:
        """Confirm closed candles, then send the open one if it changed."""
        candles = self.market.candles.candles(self.interval, ts_ms)
        if not candles:
            return
        sent = self._sent
        if sent is not None:
            for candle in candles[:-1]:
                if candle.start_ms >= sent.start_ms:
                    self.send(self._text(candle, ts_ms, is_final=True), is_delta=False)
        if candles[-1] != sent:
            self.send(self._text(candles[-1], ts_ms, is_final=False), is_delta=False)
        self._sent = candles[-1]

    def _text(self, candle: Candle, ts_ms: int, *, is_final: bool) -> bytes:
        instrument = self.market.instrument
        price = instrument.price_text
        row = {
            "start": candle.start_ms,
            "end": interval_end_ms(self.interval, candle.start_ms) - 1,
            "interval": self.interval,
            "open": price[candle.open],
            "close": price[candle.close],
            "high": price[candle.high],
            "low": price[candle.low],
            "volume": instrument.size_text[candle.volume],
            "turnover": instrument.turnover_text(candle.turnover),
            "confirm": is_final,
            "timestamp": candle.last_trade_ms,
        }
        return _encode(
            {"topic": self.topic, "data": [row], "ts": self.stamp(ts_ms), "type": "snapshot"}
        )


class PriceLimitStream(_PeriodicStream):
    """`priceLimit.{symbol}`: the highest buy and the lowest sell price, when they change."""

    interval_ns = _PRICE_LIMIT_NS

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler) -> None:
        super().__init__(topic, market, venue)
        self._sent = ("", "")

    def first_frame(self) -> bytes:
        """The limits now."""
        self._sent = price_limit_texts(self.market)
        return self._text(self.venue.now_ns // MS)

    def look(self, ts_ms: int) -> None:
        """Send the limits if they moved."""
        limits = price_limit_texts(self.market)
        if limits != self._sent:
            self._sent = limits
            self.send(self._text(ts_ms), is_delta=False)

    def _text(self, ts_ms: int) -> bytes:
        buy, sell = self._sent
        data = {"symbol": self.market.instrument.symbol, "buyLmt": buy, "sellLmt": sell}
        return _encode({"topic": self.topic, "data": data, "ts": self.stamp(ts_ms)})


class SilentStream(Stream):
    """A topic the venue accepts and has nothing to say on (nobody is liquidated here)."""

    def first_frame(self) -> None:
        """Nothing."""
        return

    def run(self, due_ns: int) -> None:
        """Nothing."""
