"""Owns what every reader of a recording repeats: its books, and the sessions that read its frames.

Frames go through the production scanner, controls and instruments as they were written. It refuses
to decide what a change of a book, a trade or a price is good for: that is its heirs'.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import msgspec

from tickwright.app.door import BookAdded, Control
from tickwright.app.venue_kit import make_replay_session
from tickwright.book.control import BookVerb, control_book
from tickwright.book.messages import MessageSink
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.errors import InstrumentUnknown, StorageError
from tickwright.core.events import BookState, Input, MarketEvent, Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.feed.feed import FeedOptions, book_policy
from tickwright.venues.public_port import PublicSession, TopicChange

__all__ = ["RecordedHost"]


class RecordedHost(ABC):
    """Owns a recording's books and sessions; each session has a seat here, and asks for nothing.

    Heirs hand records on to the methods below, and answer the abstract ones. `place` names the
    recording in errors; `messages` is told every book message that a book took.
    """

    def __init__(self, place: object, *, messages: MessageSink | None = None) -> None:
        self._place = place
        self._messages = messages
        self.on_book: Callable[[int, int], Sequence[Command] | None] = _look_on
        """Called when a frame changed a book: with its slot and the time."""
        self._books: dict[int, OrderBook] = {}
        self._depths: dict[InstrumentId, int] = {}
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._sessions: dict[int, PublicSession] = {}
        self._decode_input = msgspec.json.Decoder(Input).decode
        self._decode_control = msgspec.json.Decoder(Control).decode
        self._decode_book = msgspec.json.Decoder(BookAdded).decode

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments met so far, by their latest rules."""
        return tuple(self._instruments.values())

    # what the records say -------------------------------------------------------------------------

    def _add_book(self, added: BookAdded) -> OrderBook:
        instrument = added.instrument
        options = FeedOptions(
            venue=instrument.id.venue, category=instrument.id.category, depth=added.depth
        )
        book = OrderBook(instrument, capacity=added.capacity, policy=book_policy(options))
        book.slot = added.slot
        self._books[added.slot] = book
        self._depths[instrument.id] = added.depth
        self._instruments[instrument.id] = instrument
        session = self._sessions.get(added.source)
        if session is None:
            seat = _Seat(self, instrument.id.venue, instrument.id.category)
            session = make_replay_session(
                instrument.id, added.depth, seat, added.source, messages=self._messages
            )
            self._sessions[added.source] = session
        session.add_book(book)
        session.add_trades(instrument, added.slot)
        return book

    def _session(self, source: int) -> PublicSession:
        session = self._sessions.get(source)
        if session is None:
            raise StorageError(f"{self._place}: frames of source {source} before its books")
        return session

    def _control(self, payload: bytes, now_ns: int) -> None:
        control = self._decode_control(payload)
        if isinstance(control, TopicChange):
            self._session(control.source).apply_topic(control)
        else:
            self._do(control.slot, control.verb, control.reason, now_ns)

    def _do(self, slot: int, verb: BookVerb, reason: str, now_ns: int) -> None:
        book = self._books[slot]
        previous = book.state
        control_book(book, verb, reason, now_ns)
        if book.state is not previous:
            self._state_changed(book, previous, now_ns)

    def _change_instrument(self, instrument: Instrument) -> None:
        self._instruments[instrument.id] = instrument
        for book in self._books.values():
            if book.instrument_id == instrument.id:
                book.change_instrument(instrument)
        for session in self._sessions.values():
            session.change_instrument(instrument)

    # what follows from a frame --------------------------------------------------------------------

    @abstractmethod
    def on_trades(self, trades: list[Trade]) -> Sequence[Command] | None:
        """Trades came, oldest first."""

    @abstractmethod
    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price, funding, candle or liquidation came."""

    @abstractmethod
    def _state_changed(self, book: OrderBook, previous: BookState, now_ns: int) -> None:
        """A frame or a control changed what a book is worth."""

    def on_commands(  # noqa: B027 - readers without an engine have none
        self, commands: Sequence[Command]
    ) -> None:
        """Nothing is carried out."""

    def on_book_state(self, slot: int, previous: BookState, now_ns: int) -> None:
        """A frame changed what a book is worth."""
        self._state_changed(self._books[slot], previous, now_ns)

    def control_book(
        self, slot: int, verb: BookVerb, reason: str, now_ns: int, *, is_derived: bool = False
    ) -> None:
        """Repeat what follows from a frame; the rest stands in the log."""
        if is_derived:
            self._do(slot, verb, reason, now_ns)

    def instrument_of(self, instrument_id: InstrumentId) -> Instrument:
        """Look a recorded instrument up; raises InstrumentUnknown."""
        instrument = self._instruments.get(instrument_id)
        if instrument is None:
            raise InstrumentUnknown(
                f"{instrument_id.symbol} is not among the recorded {instrument_id.category.value} "
                "instruments"
            )
        return instrument


class _Seat:
    """A `venues.public_port.PublicHost` for one session: symbols are of its own product line."""

    def __init__(self, host: RecordedHost, venue: str, category: Category) -> None:
        self._host = host
        self._venue = venue
        self._category = category
        # Asked for once a frame and once a session: the host's own are the short way.
        self.on_book = host.on_book
        self.on_trades = host.on_trades
        self.on_commands = host.on_commands
        self.on_book_state = host.on_book_state
        self.on_market = host.on_market

    def control_book(
        self, slot: int, verb: BookVerb, reason: str, now_ns: int, *, is_derived: bool = False
    ) -> None:
        """Repeat what follows from a frame."""
        self._host.control_book(slot, verb, reason, now_ns, is_derived=is_derived)

    def on_topic(self, change: TopicChange, now_ns: int) -> None:
        """Topic changes stand in the log."""

    def on_refused(self, topic: str, text: str) -> None:
        """Nothing was asked of a venue."""

    def on_instrument_doubt(self, symbol: str) -> None:
        """A new version, if there was one, stands in the log."""

    def instrument_for(self, symbol: str) -> Instrument:
        """Look a symbol up; raises InstrumentUnknown."""
        return self._host.instrument_of(InstrumentId(self._venue, self._category, symbol))


def _look_on(slot: int, now_ns: int) -> None:
    """Want nothing."""
