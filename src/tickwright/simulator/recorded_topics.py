"""Owns the topics of a recording that is served: who hears them, and what a late one is told first.

Frames go out as they were recorded, byte for byte. One who subscribes while a recording plays gets
what the venue would have said then: a book's or ticker's state in a snapshot of the venue's form,
for topics that only ever send whole states the last frame itself, for trades nothing. Where the
state isn't known (a hole in the recording, a lost connection) he waits for the recorded snapshot.
It refuses to make up a frame's number or time: a snapshot has those of the last recorded frame.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.simulator.instruments import UnitText
from tickwright.simulator.public_session import PublicSession
from tickwright.simulator.streams import Subscriber
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["RecordedTopic", "RecordedTopics"]

_HEAD_BYTES = 160
"""Topic, type and time stand so far ahead in every frame of the venue."""
_DELTA = b'"type":"delta"'
_TS = re.compile(rb'"ts":(\d+)')
_CTS = re.compile(rb'"cts":(\d+)')
_NO_STATE = frozenset(("publicTrade", "allLiquidation"))

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class RecordedTopic:
    """One topic of one category."""

    __slots__ = (
        "_book",
        "_fields",
        "_has_state",
        "_is_ticker",
        "_last",
        "_whole",
        "category",
        "depth",
        "frames",
        "name",
        "sent",
        "snapshots",
        "subscribers",
        "waiting",
    )

    def __init__(self, category: Category, name: str) -> None:
        self.category = category
        self.name = name
        self.frames = 0
        """Recorded frames played."""
        self.sent = 0
        """The same, counted for each subscriber."""
        self.snapshots = 0
        """Made for those who came late."""
        self.subscribers: tuple[Subscriber, ...] = ()
        self.waiting: tuple[Subscriber, ...] = ()
        """Who subscribed while the state wasn't known."""
        kind, _, rest = name.partition(".")
        depth = rest.partition(".")[0]
        self.depth = int(depth) if kind == "orderbook" and depth.isdecimal() else 0
        """Levels a side of a book; 0 for other topics."""
        self._book: Callable[[], OrderBook | None] | None = None
        self._has_state = kind not in _NO_STATE
        self._is_ticker = kind == "tickers"
        self._last = b""
        self._whole = b""
        self._fields: dict[str, Any] | None = None

    @property
    def listener_count(self) -> int:
        """Who subscribed it."""
        return len(self.subscribers) + len(self.waiting)

    # subscribers ----------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber and tell it the topic's state, if it has one."""
        if not self._has_state:
            self.subscribers += (subscriber,)
            return
        first = self.state_frame()
        if first is None:
            self.waiting += (subscriber,)
            return
        self.snapshots += 1
        self.subscribers += (subscriber,)
        subscriber.deliver(self.name, first, is_delta=False)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""
        self.subscribers = tuple(s for s in self.subscribers if s is not subscriber)
        self.waiting = tuple(s for s in self.waiting if s is not subscriber)

    # frames ---------------------------------------------------------------------------------------

    def play(self, frame: bytes) -> None:
        """Send a recorded frame to everybody who can read it."""
        self.frames += 1
        is_delta = self.learn(frame)
        if self.waiting and not is_delta and frame.endswith(b"}"):
            self.subscribers += self.waiting
            self.waiting = ()
        name, subscribers = self.name, self.subscribers
        self.sent += len(subscribers)
        for subscriber in subscribers:
            subscriber.deliver(name, frame, is_delta=is_delta)

    def learn(self, frame: bytes) -> bool:
        """Take the state from a frame without playing it; returns whether it was a delta."""
        is_delta = frame.find(_DELTA, 0, _HEAD_BYTES) >= 0
        # A frame that was recorded cut short is played as it came, and tells nothing.
        if self._has_state and frame.endswith(b"}"):
            self._last = frame
            if not is_delta:
                self._whole = frame
                self._fields = None
            elif self._is_ticker and self._whole:
                self._merge(frame)
        return is_delta

    def tell_waiting(self) -> None:
        """Tell those who wait what was learned, if that is the whole state."""
        first = self.state_frame() if self.waiting else None
        if first is None:
            return
        waiting, self.waiting = self.waiting, ()
        self.subscribers += waiting
        self.snapshots += len(waiting)
        for subscriber in waiting:
            subscriber.deliver(self.name, first, is_delta=False)

    def _merge(self, frame: bytes) -> None:
        try:
            if self._fields is None:
                self._fields = _decode(self._whole)["data"]
            self._fields.update(_decode(frame)["data"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            # A damaged frame was recorded as it came: the state is unknown until the next whole.
            self._whole, self._fields = b"", None

    def forget(self) -> None:
        """The recorded connection went: nobody knows what the venue said until it came back."""
        self._last = self._whole = b""
        self._fields = None

    # state ----------------------------------------------------------------------------------------

    def state_frame(self) -> bytes | None:
        """Return what the venue would send a new subscriber now; None while that isn't known."""
        if self._book is not None and self.depth > 1:
            book = self.book()
            return None if book is None else self._book_frame(book)
        if self._fields is None:
            return self._whole or None
        # The keys stand as in the recorded snapshot, with the newest stamps.
        frame = _decode(self._whole)
        newest = _decode(self._last)
        return _encode({**frame, **newest, "type": "snapshot", "data": self._fields})

    def _book_frame(self, book: OrderBook) -> bytes:
        """Write a proven book as the snapshot the venue would send after the last frame.

        Key order follows the wire: spot puts `ts` before `type`; prices and sizes have fixed
        decimals on contracts, and no trailing zeros on spot.
        """
        price, size = self.texts(book)
        bids, asks = (
            ",".join([f'["{price[units]}","{size[held]}"]' for units, held in levels])
            for levels in (book.bids(self.depth), book.asks(self.depth))
        )
        ts, cts = self.stamps_ms
        if self.category is Category.SPOT:
            head = f'{{"topic":"{self.name}","ts":{ts},"type":"snapshot",'
        else:
            head = f'{{"topic":"{self.name}","type":"snapshot","ts":{ts},'
        return (
            f'{head}"data":{{"s":"{book.symbol}","b":[{bids}],"a":[{asks}],'
            f'"u":{book.update_id},"seq":{book.sequence}}},"cts":{cts}}}'
        ).encode()

    def fields(self) -> dict[str, Any] | None:
        """Return what a ticker says now, by the venue's names; None while that isn't known."""
        if self._fields is not None:
            return dict(self._fields)
        try:
            data = _decode(self._whole)["data"] if self._is_ticker and self._whole else None
        except (msgspec.DecodeError, KeyError):
            return None
        return data if isinstance(data, dict) else None

    def keep(self, book: Callable[[], OrderBook | None]) -> None:
        """Take the book of a topic from what returns it while it is proven."""
        self._book = book

    def book(self) -> OrderBook | None:
        """Return the topic's book while it is proven; None for topics without one."""
        return None if self._book is None or not self._last else self._book()

    def texts(self, book: OrderBook) -> tuple[UnitText, UnitText]:
        """Return how the venue prints the prices and the sizes of this topic."""
        strip = self.category is Category.SPOT
        return (
            UnitText(book.price_decimals, strip_zeros=strip),
            UnitText(book.size_decimals, strip_zeros=strip),
        )

    @property
    def stamps_ms(self) -> tuple[int, int]:
        """Return `ts` and `cts` of the last frame; 0 where it has none."""
        return _stamp(_TS, self._last), _stamp(_CTS, self._last)


class RecordedTopics:
    """What a `PublicSession` finds in place of a simulated venue: the topics of a recording."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self._venue = venue
        self._topics: dict[tuple[Category, str], RecordedTopic] = {}
        self._books: dict[tuple[Category, str], list[RecordedTopic]] = {}
        self.instruments: dict[tuple[Category, str], Instrument] = {}
        """What is listed, in the version that was played last."""
        self.change_count = 0
        """How often subscribers came or went."""
        self.ask_count = 0
        """How often REST was asked for a book or a ticker."""

    @property
    def now_ns(self) -> int:
        """Venue time, which is today's: the recorded one stands in the frames."""
        return self._venue.now_ns

    def schedule(self, due_ns: int, action: Callable[[int], None]) -> None:
        """Call `action(due_ns)` when venue time reaches `due_ns`."""
        self._venue.schedule(due_ns, action)

    def stream(self, category: Category, topic: str) -> RecordedTopic | None:
        """Return a topic; None when the recording has none of that name."""
        return self._topics.get((category, topic))

    def streams(self) -> Mapping[tuple[Category, str], RecordedTopic]:
        """Every topic of the recording."""
        return self._topics

    def subscriptions_changed(self) -> None:
        """Note that subscribers came or went."""
        self.change_count += 1

    def add(
        self,
        category: Category,
        name: str,
        *,
        book: Callable[[], OrderBook | None] | None = None,
    ) -> RecordedTopic:
        """Return the topic of this name; one that is new is listed from now on.

        A book given later takes the place of the one before: the next recording has its own.
        """
        topic = self._topics.get((category, name))
        if topic is None:
            topic = self._topics[category, name] = RecordedTopic(category, name)
            if topic.depth:
                symbol = name.rpartition(".")[2]
                self._books.setdefault((category, symbol), []).append(topic)
        if book is not None:
            topic.keep(book)
        return topic

    def deepest_book(
        self, category: Category, symbol: str
    ) -> tuple[RecordedTopic, OrderBook] | None:
        """Return the deepest proven book of a symbol and its topic; None when there is none."""
        found = [
            (topic, book)
            for topic in self._books.get((category, symbol), ())
            if (book := topic.book()) is not None
        ]
        return max(found, key=lambda one: one[0].depth, default=None)

    @property
    def listener_count(self) -> int:
        """Subscriptions of all topics."""
        return sum(topic.listener_count for topic in self._topics.values())

    def sessions_of(self, topics: "list[RecordedTopic]") -> list[PublicSession]:
        """Return the sessions that subscribed any of these topics, each once."""
        found = dict.fromkeys(
            subscriber
            for topic in topics
            for subscriber in (*topic.subscribers, *topic.waiting)
            if isinstance(subscriber, PublicSession)
        )
        return list(found)


def _stamp(pattern: re.Pattern[bytes], frame: bytes) -> int:
    found = pattern.search(frame)
    return 0 if found is None else int(found[1])
