"""Owns one public Bybit connection's thinking: subscribe, prove books alive, resync.

Refuses sockets and clocks.

Silence is judged by the age of a book's last proof, not of its last change. A busy topic (its
recent p99.9 gap is under 0.5 s) is suspected within 2 s, a quiet one within max(2 s, 4 x p99.9); a
quiet topic gets its level-1 companion, which Bybit repeats every 3 s; and before any alarm the top
is checked by REST.
"""

from collections.abc import Callable

from tickwright.book.control import BookVerb
from tickwright.book.messages import MessageSink
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.errors import FrameError
from tickwright.core.events import BookState
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.net.session import Abort, Action, Send
from tickwright.net.tap import InputTap
from tickwright.venues.bybit.control import Classified, FrameKind, classify
from tickwright.venues.bybit.decode import decode_orderbook, decode_trades
from tickwright.venues.bybit.market import Tickers, decode_candles, decode_liquidations
from tickwright.venues.bybit.scanner import PublicScanner
from tickwright.venues.bybit.subscriptions import Phase, Subscription, Subscriptions, TopicKind
from tickwright.venues.bybit.wire import InstrumentMismatch
from tickwright.venues.port import TopOfBook
from tickwright.venues.public_port import (
    MarketTopic,
    PublicHost,
    SessionCounts,
    TopCheck,
    TopicChange,
)

__all__ = ["PublicSession"]

PING_NS = 20_000_000_000
IDLE_PING_NS = 800_000_000
"""A socket without any frame for this long is pinged.

Its pong tells a quiet one from a dead one.
"""
DEAD_NS = 2_200_000_000
"""A socket without any frame for this long, pings unanswered, is dropped."""
BUSY_GAP_NS = 500_000_000
GAP_SAMPLES_MIN = 200
SUSPECT_BUSY_NS = 1_300_000_000
ALARM_BUSY_NS = 1_850_000_000
SUSPECT_QUIET_NS = 2_000_000_000
SUSPECT_QUIET_MAX_NS = 4_000_000_000
ALARM_QUIET_NS = 4_800_000_000
COMPANION_AFTER_NS = 900_000_000
DISAGREE_NS = 800_000_000
"""A companion that shows another top for this long, while its book is silent, is believed."""
DENIED_NS = 150_000_000
"""A REST answer that shows another top is believed when the feed hasn't followed for this long."""
JUDGE_EVERY_NS = 5_000_000_000
MUTE_NS = 2_900_000_000
"""Level 1 is repeated every 3 s at least: a socket without data for this long is suspicious."""
_TOPIC_FIRST = b'{"topic":"'
TIMEOUTS_MAX = 3
"""So many unanswered requests of one topic mean that the connection is no good."""


class _Watch:
    """The silence clock of one book topic."""

    __slots__ = (
        "busy",
        "companion",
        "denied_ns",
        "judged_ns",
        "subscription",
        "suspect_after_ns",
        "suspected_ns",
    )

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.companion: Subscription | None = None
        self.suspected_ns = 0
        self.denied_ns = 0
        self.judged_ns = 0
        self.busy = False
        self.suspect_after_ns = SUSPECT_QUIET_NS


class PublicSession:
    """Thinks for one public connection; see `net.session` for the contract with the socket.

    Args:
        category: the product line of the socket; its symbols are of this one.
        host: is told everything that happens.
        depth: the book depth to subscribe (1, 50, 200 or 1000).
        has_companion: let quiet topics be proven by their level-1 topic.
        messages: is told every book message that a book took.
        wake: called when the session wants to be polled at once.
    """

    def __init__(
        self,
        category: Category,
        host: PublicHost,
        *,
        depth: int = 50,
        has_companion: bool = True,
        wants_trades: bool = True,
        tap: InputTap | None = None,
        source: int = 0,
        conflate_after: int = 0,
        messages: MessageSink | None = None,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.category = category
        self.depth = depth
        self.counts = SessionCounts()
        self.subscriptions = Subscriptions()
        self.wake = wake
        self.source = source
        self._host = host
        self._has_companion = has_companion and depth > 1
        self._books: dict[int, OrderBook] = {}
        self._watches: dict[int, _Watch] = {}
        self._tickers = Tickers(host.instrument_for)
        self._is_connected = False
        self._connected_ns = 0
        self._pinged_ns = 0
        self._abort_reason = ""
        self._fresh_checks: list[TopCheck] = []
        self.scanner = PublicScanner(
            on_book=host.on_book,
            on_trades=host.on_trades if wants_trades else None,
            on_commands=host.on_commands,
            on_state=self._on_state,
            on_other=self._on_other,
            tap=tap,
            messages=messages,
            source=source,
            conflate_after=conflate_after,
        )

    @property
    def sink(self) -> PublicScanner:
        """Where the connection's frames go."""
        return self.scanner

    @property
    def is_proven(self) -> bool:
        """Whether data came on this connection."""
        return self._is_connected and self.scanner.last_frame_ns > self._connected_ns

    @property
    def callback_time(self) -> LatencyHistogram:
        """Socket read to `on_book`, when measured."""
        return self.scanner.callback_time

    @property
    def book_frame_count(self) -> int:
        """Book frames taken."""
        return self.scanner.book_frame_count

    @property
    def trade_count(self) -> int:
        """Trades taken."""
        return self.scanner.trade_count

    @property
    def conflated_count(self) -> int:
        """Book updates that were applied but not delivered one by one."""
        return self.scanner.conflated_count

    def measure_callbacks(self) -> None:
        """Start to measure socket read to callback."""
        self.scanner.measures_callbacks = True

    @property
    def slots(self) -> list[int]:
        """The books this connection keeps."""
        return list(self._books)

    # what is wanted -------------------------------------------------------------------------------

    def add_book(self, book: OrderBook) -> None:
        """Keep this book (its slot set) alive over this connection."""
        topic = f"orderbook.{self.depth}.{book.symbol}"
        subscription = Subscription(topic, TopicKind.BOOK, book.symbol, book.slot, book)
        self.subscriptions.add(subscription)
        self._books[book.slot] = book
        self._watches[book.slot] = _Watch(subscription)
        self.scanner.add_book(topic, book, book.slot)

    def add_trades(self, instrument: Instrument, slot: int) -> None:
        """Read the public trades of an instrument."""
        topic = f"publicTrade.{instrument.symbol}"
        self.subscriptions.add(Subscription(topic, TopicKind.TRADES, instrument.symbol, slot, None))
        self.scanner.add_trades(topic, instrument, slot)

    def add_market(
        self, instrument: Instrument, slot: int, topic: MarketTopic, interval: str = "1"
    ) -> None:
        """Read tickers, candles (of `interval` minutes) or liquidations of an instrument."""
        name, kind = {
            MarketTopic.TICKER: (f"tickers.{instrument.symbol}", TopicKind.TICKER),
            MarketTopic.CANDLE: (f"kline.{interval}.{instrument.symbol}", TopicKind.CANDLE),
            MarketTopic.LIQUIDATION: (f"allLiquidation.{instrument.symbol}", TopicKind.LIQUIDATION),
        }[topic]
        self.subscriptions.add(Subscription(name, kind, instrument.symbol, slot, None))

    def remove_symbol(self, symbol: str, now_ns: int) -> None:
        """Drop all topics of a symbol."""
        for topic, subscription in list(self.subscriptions.by_topic.items()):
            if subscription.symbol == symbol:
                self.subscriptions.drop(topic)
                self.scanner.remove(topic)
                change = TopicChange(self.source, topic, subscription.slot, False)
                self._host.on_topic(change, now_ns)
                if subscription.kind is TopicKind.BOOK:
                    self._books.pop(subscription.slot, None)
                    self._watches.pop(subscription.slot, None)
        self._wake()

    def change_instrument(self, instrument: Instrument) -> None:
        """Read numbers by a new version of an instrument from now on."""
        for name, subscription in self.subscriptions.by_topic.items():
            topic = self.scanner.topic(name)
            if topic is not None and subscription.symbol == instrument.symbol:
                topic.change_instrument(instrument)

    def apply_topic(self, change: TopicChange) -> None:
        """Repeat a recorded change of topics (replay)."""
        if change.is_added:
            self.scanner.add_companion(change.topic, self._books[change.slot], change.slot)
        else:
            self.scanner.remove(change.topic)

    # the connection -------------------------------------------------------------------------------

    def on_connected(self, now_ns: int) -> None:
        """Start over on a new socket."""
        self._is_connected = True
        self._connected_ns = now_ns
        self._pinged_ns = now_ns
        self._abort_reason = ""
        self.subscriptions.reset()
        self._tickers.reset()

    def on_disconnected(self, reason: str, now_ns: int) -> None:
        """No book is proven any more."""
        self._is_connected = False
        for slot, book in self._books.items():
            if book.is_synced:
                self._host.control_book(slot, BookVerb.STALE, f"connection lost: {reason}", now_ns)
        for watch in self._watches.values():
            watch.suspected_ns = 0
            self._drop_companion(watch, now_ns)
        self.subscriptions.reset()

    def poll(self, now_ns: int) -> list[Action]:
        """Return what to send now, and judge every silence."""
        if not self._is_connected:
            return []
        if not self.subscriptions.is_calm:
            self._expect(now_ns)
        self._fresh_checks.clear()
        actions: list[Action] = []
        self._beat(now_ns, actions)
        for watch in list(self._watches.values()):
            self._judge(watch, now_ns)
        if self._abort_reason:
            return [Abort(self._abort_reason)]
        if not self.subscriptions.is_calm:
            actions += self.subscriptions.requests(now_ns)
        return actions

    def _expect(self, now_ns: int) -> None:
        """Look whether answers and first data came in time."""
        self._note_data()
        for late in self.subscriptions.expire(now_ns):
            if late.timeouts >= TIMEOUTS_MAX:
                self._abort_reason = f"{late.topic} got no answer {TIMEOUTS_MAX} times"
            elif self._is_mute(now_ns):
                self._abort_reason = f"{late.topic} is late, and no topic has any data"

    def top_checks(self, now_ns: int) -> list[TopCheck]:
        """Return the REST checks that suspicions of this poll ask for."""
        return self._fresh_checks

    def _beat(self, now_ns: int, actions: list[Action]) -> None:
        quiet_ns = now_ns - max(self.scanner.last_frame_ns, self._connected_ns)
        if quiet_ns > DEAD_NS:
            self._abort_reason = f"no frame for {quiet_ns / 1e9:.1f} s, pings unanswered"
            return
        wait = IDLE_PING_NS if quiet_ns > IDLE_PING_NS else PING_NS
        if now_ns - self._pinged_ns >= wait:
            self._pinged_ns = now_ns
            actions.append(Send(b'{"req_id":"ping","op":"ping"}'))

    def _is_mute(self, now_ns: int) -> bool:
        """Whether no topic had a frame for long: a socket that answers but sends no data."""
        topics = map(self.scanner.topic, self.subscriptions.by_topic)
        return not any(topic and now_ns - topic.last_frame_ns < MUTE_NS for topic in topics)

    def _note_data(self) -> None:
        for subscription in self.subscriptions.by_topic.values():
            if subscription.phase in (Phase.SENT, Phase.ACKED):
                topic = self.scanner.topic(subscription.topic)
                if topic is not None and topic.last_frame_ns > self._connected_ns:
                    book = subscription.book
                    # A book waits for its snapshot: frames of the old subscription prove nothing.
                    if subscription.kind is not TopicKind.BOOK or (
                        book is not None and book.is_synced
                    ):
                        self.subscriptions.on_data(subscription)

    # silence --------------------------------------------------------------------------------------

    def _judge(self, watch: _Watch, now_ns: int) -> None:
        subscription = watch.subscription
        book = self._books[subscription.slot]
        if not book.is_synced:
            watch.suspected_ns = 0
            return
        age = now_ns - book.proof_ns
        if now_ns - watch.judged_ns > JUDGE_EVERY_NS:
            self._measure(watch, book, now_ns)
        if watch.companion is None and not watch.busy and age > COMPANION_AFTER_NS:
            self._add_companion(watch, book, now_ns)
        if watch.companion is not None and self._companion_disagrees(watch, book, now_ns):
            self._alarm(watch, "its level-1 topic shows another top", now_ns)
        elif watch.suspected_ns and book.proof_ns >= watch.suspected_ns:
            watch.suspected_ns = 0
        elif watch.suspected_ns:
            if watch.denied_ns and now_ns - watch.denied_ns > DENIED_NS:
                self._alarm(watch, "REST shows another top", now_ns)
            elif age > (ALARM_BUSY_NS if watch.busy else ALARM_QUIET_NS):
                self._alarm(watch, f"no proof for {age / 1e9:.1f} s", now_ns)
        elif age > watch.suspect_after_ns:
            watch.suspected_ns = now_ns
            watch.denied_ns = 0
            self._fresh_checks.append(TopCheck(subscription.slot, subscription.symbol))
            self.counts.suspicions += 1

    def _measure(self, watch: _Watch, book: OrderBook, now_ns: int) -> None:
        watch.judged_ns = now_ns
        gap_ns = (
            book.update_gap.percentile_ns(0.999)
            if book.update_gap.count >= GAP_SAMPLES_MIN
            else None
        )
        watch.busy = gap_ns is not None and gap_ns < BUSY_GAP_NS
        if watch.busy:
            watch.suspect_after_ns = SUSPECT_BUSY_NS
        else:
            wanted = SUSPECT_QUIET_NS if gap_ns is None else max(SUSPECT_QUIET_NS, 4 * gap_ns)
            watch.suspect_after_ns = min(wanted, SUSPECT_QUIET_MAX_NS)

    def _companion_disagrees(self, watch: _Watch, book: OrderBook, now_ns: int) -> bool:
        assert watch.companion is not None
        topic = self.scanner.topic(watch.companion.topic)
        if topic is None or topic.disagreed_ns == 0 or topic.disagreed_ns <= book.received_ns:
            return False
        return now_ns - topic.disagreed_ns > DISAGREE_NS

    def on_top_checked(self, slot: int, top: TopOfBook | None, asked_ns: int, now_ns: int) -> None:
        """Take the top as REST tells it, or None when REST failed."""
        watch = self._watches.get(slot)
        book = self._books.get(slot)
        if watch is None or book is None or not watch.suspected_ns or not book.is_synced:
            return
        if book.proof_ns >= asked_ns:
            watch.suspected_ns = 0
        elif top is None:
            # REST is no help: the deadline decides.
            return
        elif book.top_agrees(
            top.bid_price_units, top.bid_size_units, top.ask_price_units, top.ask_size_units
        ):
            watch.suspected_ns = 0
            self._host.control_book(slot, BookVerb.PROVE, "REST top agrees", now_ns)
        else:
            # REST may be ahead of the socket: the book's own feed gets a moment to catch up.
            watch.denied_ns = now_ns

    def _alarm(self, watch: _Watch, reason: str, now_ns: int) -> None:
        watch.suspected_ns = 0
        self.counts.alarms += 1
        slot = watch.subscription.slot
        self._host.control_book(slot, BookVerb.STALE, reason, now_ns)
        self.resync(slot, now_ns)

    def _add_companion(self, watch: _Watch, book: OrderBook, now_ns: int) -> None:
        if not self._has_companion:
            return
        topic = f"orderbook.1.{book.symbol}"
        companion = Subscription(topic, TopicKind.COMPANION, book.symbol, book.slot, None)
        if self.subscriptions.characters + len(topic) + 3 > 20_000:
            return
        self.subscriptions.add(companion)
        self.scanner.add_companion(topic, book, book.slot)
        watch.companion = companion
        self._host.on_topic(TopicChange(self.source, topic, book.slot, True), now_ns)

    def _drop_companion(self, watch: _Watch, now_ns: int) -> None:
        if watch.companion is not None:
            topic = watch.companion.topic
            self.subscriptions.drop(topic)
            self.scanner.remove(topic)
            watch.companion = None
            slot = watch.subscription.slot
            self._host.on_topic(TopicChange(self.source, topic, slot, False), now_ns)

    # resync ---------------------------------------------------------------------------------------

    def resync(self, slot: int, now_ns: int, *, is_derived: bool = False) -> None:
        """Get one book's snapshot again; the other topics of the connection go on."""
        watch = self._watches.get(slot)
        if watch is None:
            return
        self.counts.resyncs += 1
        self._host.control_book(slot, BookVerb.RESYNCING, "", now_ns, is_derived=is_derived)
        self.subscriptions.resync(watch.subscription, now_ns)
        self._wake()

    def _on_state(self, slot: int, previous: int) -> None:
        now_ns = self.scanner.last_frame_ns
        self._host.on_book_state(slot, BookState(previous), now_ns)
        if self._books[slot].state is BookState.STALE:
            self.resync(slot, now_ns, is_derived=True)

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()

    # frames that aren't canonical -----------------------------------------------------------------

    def _on_other(self, frame: bytes, now_ns: int) -> None:
        try:
            what = classify(frame)
        except FrameError as error:
            self._refuse(str(error))
            self._distrust(_topic_at_the_head(frame), now_ns)
            return
        try:
            self._take(what, frame, now_ns)
        except InstrumentMismatch as error:
            self._refuse(str(error))
            self._distrust(what.topic, now_ns)
            self._host.on_instrument_doubt(what.topic.rpartition(".")[2])
        except FrameError as error:
            self._refuse(str(error))
            self._distrust(what.topic, now_ns)

    def _take(self, what: Classified, frame: bytes, now_ns: int) -> None:
        host = self._host
        if what.kind is FrameKind.BOOK:
            self._take_book(what.topic, frame)
        elif what.kind is FrameKind.TRADES:
            if self.scanner.topic(what.topic) is not None:
                trades = decode_trades(frame, host.instrument_for, received_ns=now_ns)
                self.scanner.take_trades(what.topic, trades)
        elif what.kind is FrameKind.TICKER:
            for event in self._tickers.decode(frame):
                host.on_market(event, now_ns)
        elif what.kind is FrameKind.CANDLE:
            for candle in decode_candles(frame, host.instrument_for):
                host.on_market(candle, now_ns)
        elif what.kind is FrameKind.LIQUIDATION:
            for liquidation in decode_liquidations(frame, host.instrument_for):
                host.on_market(liquidation, now_ns)
        elif what.kind is FrameKind.PONG:
            self.counts.pongs += 1
        elif what.kind is FrameKind.SUBSCRIPTION:
            for lost in self.subscriptions.on_answer(what, now_ns):
                self._lose(lost)
            self._wake()
        elif what.kind is FrameKind.ERROR:
            self._refuse(f"the venue says: {what.text}")

    def _take_book(self, topic: str, frame: bytes) -> None:
        if self.scanner.topic(topic) is None:
            # A frame under way when its topic was dropped, or one never asked for.
            self.counts.unlisted_frames += 1
            return
        book = decode_orderbook(frame, self._host.instrument_for)
        self.scanner.take_decoded(
            topic,
            is_snapshot=book.is_snapshot,
            update_id=book.update_id,
            sequence=book.sequence,
            venue_ns=book.ts_ms * 1_000_000,
            bids=book.bids,
            asks=book.asks,
            matched_ns=book.cts_ms * 1_000_000,
        )

    def _lose(self, lost: Subscription) -> None:
        self.counts.refused_topics += 1
        if lost.kind is TopicKind.COMPANION:
            watch = self._watches.get(lost.slot)
            if watch is not None:
                self._drop_companion(watch, self.scanner.last_frame_ns)
            self._has_companion = False
            return
        self._host.on_refused(lost.topic, lost.refusal)

    def _refuse(self, text: str) -> None:
        self.counts.refused_frames += 1
        self.counts.last_refusal = text

    def _distrust(self, topic: str, now_ns: int) -> None:
        """A frame of this topic was lost to us: its book can't be trusted."""
        subscription = self.subscriptions.by_topic.get(topic)
        if subscription is None or subscription.kind is not TopicKind.BOOK:
            return
        if self._books[subscription.slot].is_synced:
            slot = subscription.slot
            reason = "a frame was unreadable"
            self._host.control_book(slot, BookVerb.STALE, reason, now_ns, is_derived=True)
            self.resync(slot, now_ns, is_derived=True)


def _topic_at_the_head(frame: bytes) -> str:
    """Return the topic that a broken frame begins with, whose data was lost; "" if it has none."""
    if not frame.startswith(_TOPIC_FIRST):
        return ""
    name, quote, _ = frame[len(_TOPIC_FIRST) :].partition(b'"')
    return name.decode("ascii", "replace") if quote else ""
