"""Owns one recording as a served venue plays it: its books, its topics, who is cut when.

Records come in their order from whoever reads and paces them. Frames are read by the production
scanner into the books that the live run had, and handed to the topics as they are; orders of this
venue's users rest in markets that mirror those books. It refuses to hide a hole: where records are
missing, and where a recorded connection was lost, clients are cut.
"""

import re
from collections.abc import Callable

import msgspec

from tickwright.app.door import BookAdded
from tickwright.app.replay_host import RecordedHost
from tickwright.app.replay_source import RecordedSpan, topic_name
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import FrameError
from tickwright.core.events import (
    BookState,
    ConnectionChanged,
    FundingUpdate,
    IndexPrice,
    InstrumentChanged,
    LastPrice,
    MarketEvent,
    MarkPrice,
    Trade,
)
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.mirror import Mirror, mirror_of
from tickwright.simulator.private.margin import SETTLE_ASSET
from tickwright.simulator.public_session import PublicSession
from tickwright.simulator.recorded_topics import RecordedTopic, RecordedTopics
from tickwright.simulator.venue import SimulatedVenue
from tickwright.storage.segments import REPEATED, Record, RecordKind
from tickwright.venues.bybit.control import FrameKind, classify
from tickwright.venues.public_port import TopicChange

__all__ = ["TOPICS_MAX", "RecordedMarket", "RecordedShelf"]

_CONNECTION = b'{"type":"connection"'
_INSTRUMENT = b'{"type":"instrument"'
_ANSWERS = frozenset(
    (FrameKind.PONG, FrameKind.AUTH, FrameKind.SUBSCRIPTION, FrameKind.REPLY, FrameKind.ERROR)
)
TOPICS_MAX = 20_000
"""Topics of one recording; a venue has fewer, and damage may write any name."""
_ANY_TOPIC = re.compile(rb'"topic":"([^"]+)"')


class RecordedShelf:
    """What all recordings of one venue share: its topics, and a market for each instrument."""

    def __init__(
        self,
        venue: SimulatedVenue,
        pay_funding: Callable[[SymbolMarket, int], None],
    ) -> None:
        self.topics = RecordedTopics(venue)
        self._venue = venue
        self._pay_funding = pay_funding
        self._mirrors: dict[InstrumentId, Mirror] = {}

    def enlist(self, instrument: Instrument) -> None:
        """List an instrument, with the topics that every recording of it has."""
        category, symbol = instrument.id.category, instrument.symbol
        self.topics.instruments[category, symbol] = instrument
        self.topics.add(category, f"publicTrade.{symbol}")
        if category is not Category.SPOT:
            self.topics.add(category, f"allLiquidation.{symbol}")
        if instrument.id not in self._mirrors and instrument.settle_asset == SETTLE_ASSET:
            # What settles otherwise is shown, and no simulated account could pay for it.
            self._mirrors[instrument.id] = mirror_of(self._venue, instrument, self._pay_funding)

    def mirror(self, instrument_id: InstrumentId) -> Mirror | None:
        """Return the market that users' orders for an instrument rest in."""
        return self._mirrors.get(instrument_id)


class RecordedMarket(RecordedHost):
    """Plays the records of one span.

    Args:
        cut: ends the sockets of these sessions, after what was sent to them has left.
    """

    def __init__(
        self,
        span: RecordedSpan,
        shelf: RecordedShelf,
        cut: Callable[[list[PublicSession]], None],
    ) -> None:
        super().__init__(span.folder)
        self.span = span
        self.is_silent = False
        """While what stands before the beginning is read: it makes the books, nobody is told."""
        self.frames = 0
        self.frame_bytes = 0
        """Of what was played; answers to the recorder's own requests are not."""
        self.lost_connections = 0
        self.lost_records = 0
        """What the recording says of itself is missing."""
        self.unread_frames = 0
        """Frames of a connection whose books aren't known: their record was damaged."""
        self._shelf = shelf
        self._cut = cut
        self._category_of: dict[int, Category] = {}
        self._mirrors: dict[int, Mirror | None] = {}
        self._topics: dict[tuple[int, bytes], RecordedTopic | None] = {}
        self._owners: dict[tuple[Category, bytes], int] = {}
        self._decode_connection = msgspec.json.Decoder(ConnectionChanged).decode
        self._decode_instrument = msgspec.json.Decoder(InstrumentChanged).decode
        self.on_book = self._on_book

    def take(self, record: Record) -> None:
        """Play one record."""
        kind = record.kind
        if kind is RecordKind.FRAME:
            if record.payload:
                self._frame(record)
        elif kind is RecordKind.CONTROL:
            self._control(record.payload, record.now_ns)
        elif kind is RecordKind.INPUT:
            if record.payload.startswith(_CONNECTION):
                self._connection(self._decode_connection(record.payload), record.now_ns)
            elif record.payload.startswith(_INSTRUMENT):
                self._change_instrument(self._decode_instrument(record.payload).instrument)
        elif kind is RecordKind.BOOK:
            added = self._decode_book(record.payload)
            if added.slot not in self._books or not record.flags & REPEATED:
                self._add_book(added)
        elif kind is RecordKind.LOSS:
            self.lost_records += not self.is_silent
            self.interrupt()

    def interrupt(self) -> None:
        """Cut everybody who hears this recording: something is missing here.

        Books that go on with the next number lost nothing; the others wait for their snapshot.
        """
        self._cut_topics([topic for topic in self._topics.values() if topic is not None])

    def begin(self) -> None:
        """Play from here on; whoever subscribed already is told how it stands."""
        self.is_silent = False
        for topic in self._topics.values():
            if topic is not None:
                topic.tell_waiting()

    def end(self) -> None:
        """Cut everybody: the recording is over, and what it knew is of no worth any more."""
        topics = [topic for topic in self._topics.values() if topic is not None]
        self._cut_topics(topics)
        for topic in topics:
            topic.forget()

    # records --------------------------------------------------------------------------------------

    def _frame(self, record: Record) -> None:
        source, frame = record.source, record.payload
        session = self._sessions.get(source)
        if session is None:
            self.unread_frames += 1
            return
        session.sink.feed(frame, record.now_ns, last=bool(record.flags & 1))
        name = topic_name(frame)
        place = source, name
        if place not in self._topics:
            if not self._is_listed(source, name):
                self._odd(source, frame)
                return
            self._topics[place] = self._topic(source, name)
        topic = self._topics[place]
        if topic is None:
            return
        if self.is_silent:
            topic.learn(frame)
            return
        self.frames += 1
        self.frame_bytes += len(frame)
        topic.play(frame)

    def _is_listed(self, source: int, name: bytes) -> bool:
        """Whether a frame's topic can be one of ours: damaged frames have any name, or none."""
        symbol = name.rpartition(b".")[2].decode("ascii", "replace")
        listed = (self._category_of[source], symbol) in self._shelf.topics.instruments
        return listed and len(self._topics) < TOPICS_MAX

    def _topic(self, source: int, name: bytes) -> RecordedTopic | None:
        """Find the topic of a frame; None for one that another connection carries already."""
        category = self._category_of[source]
        if self._owners.setdefault((category, name), source) != source:
            return None
        return self._shelf.topics.add(category, name.decode("ascii", "replace"))

    def _odd(self, source: int, frame: bytes) -> None:
        """Play a frame that doesn't begin with a topic of ours, unless it is an answer.

        Answers were meant for the recorder. What is damaged went to him as well, and he had to cope
        with it: it goes to those whose topic it names, or to everybody on that connection.
        """
        try:
            is_answer = classify(frame).kind in _ANSWERS
        except FrameError:
            is_answer = False
        if is_answer or self.is_silent:
            return
        self.frames += 1
        self.frame_bytes += len(frame)
        found = _ANY_TOPIC.search(frame)
        topic = None if found is None else self._topics.get((source, found[1]))
        if topic is not None:
            topic.play(frame)
            return
        topics = [t for (s, _), t in self._topics.items() if s == source and t is not None]
        for session in self._shelf.topics.sessions_of(topics):
            session.line.send(frame)

    def _add_book(self, added: BookAdded) -> OrderBook:
        # As deep as the topic: a late client needs every level that a delta may speak of.
        book = super()._add_book(
            msgspec.structs.replace(added, capacity=max(added.capacity, added.depth))
        )
        instrument = added.instrument
        self._category_of[added.source] = instrument.id.category
        self._shelf.enlist(instrument)
        mirror = self._mirrors[added.slot] = self._shelf.mirror(instrument.id)
        if mirror is not None:
            mirror.book.attach(book)
        topic = f"orderbook.{added.depth}.{instrument.symbol}"
        self._shelf.topics.add(
            instrument.id.category, topic, book=lambda: book if book.is_synced else None
        )
        return book

    def _control(self, payload: bytes, now_ns: int) -> None:
        control = self._decode_control(payload)
        if isinstance(control, TopicChange):
            session = self._sessions.get(control.source)
            if session is not None and (not control.is_added or control.slot in self._books):
                session.apply_topic(control)
                if control.is_added:
                    self._shelf.topics.add(self._category_of[control.source], control.topic)
        elif control.slot in self._books:
            self._do(control.slot, control.verb, control.reason, now_ns)

    def _connection(self, change: ConnectionChanged, now_ns: int) -> None:
        if change.is_up or change.channel != "public":
            return
        self.lost_connections += not self.is_silent
        sources = self._sources_of(change.name)
        topics = [
            topic
            for (source, _), topic in self._topics.items()
            if source in sources and topic is not None
        ]
        self._cut_topics(topics)
        for topic in topics:
            topic.forget()

    def _sources_of(self, name: str) -> set[int]:
        """Return the connections of this name: `VENUE-CATEGORY-NUMBER`, numbered within both."""
        rest, _, number = name.rpartition("-")
        category = rest.rpartition("-")[2]
        sources = {s for s, held in self._category_of.items() if held.value == category}
        if sources and number.isdecimal() and min(sources) + int(number) in sources:
            return {min(sources) + int(number)}
        return sources

    def _cut_topics(self, topics: list[RecordedTopic]) -> None:
        sessions = [] if self.is_silent else self._shelf.topics.sessions_of(topics)
        if sessions:
            self._cut(sessions)

    def _change_instrument(self, instrument: Instrument) -> None:
        super()._change_instrument(instrument)
        self._shelf.enlist(instrument)
        mirror = self._shelf.mirror(instrument.id)
        if mirror is not None:
            mirror.change_instrument(instrument)

    # the markets of this venue's users ------------------------------------------------------------

    def _on_book(self, slot: int, now_ns: int) -> None:
        mirror = self._mirrors[slot]
        if mirror is not None and mirror.has_resting:
            mirror.follow()

    def on_trades(self, trades: list[Trade]) -> None:
        """Trades came: the orders that rest hear of them."""
        if self.is_silent:
            return
        for trade in trades:
            mirror = self._shelf.mirror(trade.instrument_id)
            if mirror is not None:
                mirror.on_trade(trade)

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price or a funding came."""
        if isinstance(event, MarkPrice | IndexPrice | LastPrice | FundingUpdate):
            mirror = self._shelf.mirror(event.instrument_id)
            if mirror is not None:
                mirror.on_market(event)

    def _state_changed(self, book: OrderBook, previous: BookState, now_ns: int) -> None:
        mirror = self._mirrors.get(book.slot)
        if mirror is not None:
            mirror.follow()
