"""Owns the way in and out of a live engine.

Inputs are recorded as they enter, commands carried out.

It refuses to change the order of anything: what is recorded is what the engine saw, so that
`app.replay` can repeat it.
"""

from collections.abc import Callable, Sequence

import msgspec

from tickwright.book.control import BookControl
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.commands import Command, PlaceOrder
from tickwright.core.events import BookStateChanged, Input
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.engine.engine import Engine
from tickwright.net.tap import InputTap
from tickwright.storage.segments import Mark
from tickwright.storage.session_log import RecordKind
from tickwright.venues.public_port import TopicChange

__all__ = ["BookAdded", "Control", "EngineDoor", "mark_of"]

Control = BookControl | TopicChange
"""What a CONTROL record holds."""


class BookAdded(msgspec.Struct, frozen=True):
    """What a BOOK record holds: a book that the feed keeps from now on."""

    slot: int
    source: int
    instrument: Instrument
    depth: int
    capacity: int


class EngineDoor:
    """The engine's door in a live process.

    See `feed.door.Door` and `feed.account_link.AccountDoor`.

    Args:
        tap: records everything; None records nothing.
        execute: carries out the commands of one step.
        depth: of the books, for the record.
    """

    def __init__(
        self,
        engine: Engine,
        tap: InputTap | None,
        execute: Callable[[Sequence[Command]], None],
        *,
        depth: int,
    ) -> None:
        self.engine = engine
        self.on_book: Callable[[int, int], Sequence[Command]] = engine.on_book
        """The hottest call goes straight to the engine."""
        self.tick_to_order = LatencyHistogram()
        """Socket read of the frame to the order's bytes handed to the socket (or to REST)."""
        self.on_restricted: Callable[[], None] = _nothing
        """Called right after the commands of an input that made a protection restrict something."""
        self.on_taken: Callable[[Input], None] | None = None
        """Called with every input but book updates, once the engine took it and orders left."""
        self._protections = engine.state.protections
        self._entered = 0
        self._tap = tap
        self._execute = execute
        self._depth = depth
        self._tick_ns = 0
        self._encode = msgspec.json.Encoder().encode

    @property
    def tap(self) -> InputTap | None:
        """Records frames, controls and inputs in order."""
        return self._tap

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """A book exists (empty yet)."""
        added = BookAdded(slot, source, book.instrument, self._depth, book.capacity)
        self._record(RecordKind.BOOK, 0, self._encode(added))
        self.engine.add_book(slot, book)

    def remove_book(self, slot: int) -> None:
        """A book is no longer kept."""
        self.engine.remove_book(slot)

    def start(self, now_ns: int) -> None:
        """Start the engine: its first input."""
        self._record(RecordKind.START, now_ns, b"")
        self._carry_out(self.engine.start(now_ns))

    def on_derived(self, event: Input, now_ns: int) -> None:
        """An input that follows from a recorded frame or control."""
        if event.__class__ is BookStateChanged:
            self._record(RecordKind.MARK, now_ns, self._encode(mark_of(event)))
        commands = self.engine.handle(event, now_ns)
        if commands:
            self._carry_out(commands)
        if self.on_taken is not None:
            self.on_taken(event)
        if self._protections.entered_count != self._entered:
            self._restricted()

    def on_input(self, event: Input, now_ns: int) -> None:
        """An input of its own: record it, then take it."""
        self._record(RecordKind.INPUT, now_ns, self._encode(event))
        commands = self.engine.handle(event, now_ns)
        if commands:
            self._carry_out(commands)
        if self.on_taken is not None:
            self.on_taken(event)
        if self._protections.entered_count != self._entered:
            self._restricted()

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        """Record what the feed did to a book or a topic."""
        self._record(RecordKind.CONTROL, now_ns, self._encode(control))

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Do what the engine answered to a book update."""
        self._tick_ns = self.engine.state.now_ns
        self._carry_out(commands)
        self._tick_ns = 0
        if self._protections.entered_count != self._entered:
            self._restricted()

    def on_sent(self, command: PlaceOrder, sent_ns: int) -> None:
        """An order's bytes left: measure it if a book update caused it just now."""
        if self._tick_ns:
            self.tick_to_order.record(sent_ns - self._tick_ns)

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        """Whether a position, an order or a strategy needs this instrument's book."""
        return self.engine.needs(instrument_id)

    def stop(self, now_ns: int) -> None:
        """Write down how the engine ended."""
        self._record(RecordKind.STOP, now_ns, self.engine.digest.encode())

    def _restricted(self) -> None:
        self._entered = self._protections.entered_count
        self.on_restricted()

    def _carry_out(self, commands: Sequence[Command]) -> None:
        # Orders leave first: hashing is nothing they must wait for (12 us). The record still stands
        # right behind its input, because no command enters an input before it returns.
        self._execute(commands)
        if self._tap is not None:
            digest = self.engine.digest.encode()
            self._record(RecordKind.DIGEST, self.engine.state.now_ns, digest)

    def _record(self, kind: RecordKind, now_ns: int, payload: bytes) -> None:
        if self._tap is not None:
            self._tap.append(kind, 0, 0, self.engine.event_id, now_ns, payload)


def mark_of(change: BookStateChanged) -> Mark:
    """Return what a recording says of a book's new state, for a reader that replays nothing."""
    instrument_id = change.instrument_id
    return Mark(
        venue=instrument_id.venue,
        category=instrument_id.category.value,
        symbol=instrument_id.symbol,
        state=change.state.name.lower(),
        was=change.previous.name.lower(),
        reason=change.reason,
    )


def _nothing() -> None:
    """Nobody wants to know."""
