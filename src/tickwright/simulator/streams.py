"""Owns the topics of the public stream but books: what each sends, and when; refuses sockets.

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
from tickwright.simulator.market import SymbolMarket, TapeTrade
from tickwright.simulator.tickers import linear_ticker, price_limit_texts, spot_ticker

__all__ = [
    "MS",
    "TRADES_PER_FRAME",
    "KlineStream",
    "PriceLimitStream",
    "Scheduler",
    "SilentStream",
    "Stream",
    "Subscriber",
    "TickerStream",
    "TradeStream",
]

MS = 1_000_000
TRADE_DELAY_NS = 1 * MS
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
