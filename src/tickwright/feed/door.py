"""Owns what the feed needs of the engine's door; refuses to know an engine."""

from collections.abc import Sequence
from typing import Protocol

from tickwright.book.control import BookControl
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import Input
from tickwright.core.identity import InstrumentId
from tickwright.net.tap import InputTap
from tickwright.venues.public_port import TopicChange

__all__ = ["Door"]


class Door(Protocol):
    """Where everything the feed sees goes in.

    Inputs are of two kinds: derived ones follow from a recorded frame and come again by themselves
    in a replay; the others are recorded when they enter.
    """

    @property
    def tap(self) -> InputTap | None:
        """Records frames, controls and inputs in order; None records nothing."""
        ...

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """A book exists (empty yet); `source` is the connection that carries it."""
        ...

    def remove_book(self, slot: int) -> None:
        """A book is no longer kept."""
        ...

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        """A book changed."""
        ...

    def on_derived(self, event: Input, now_ns: int) -> None:
        """An input that follows from a recorded frame or control."""
        ...

    def on_input(self, event: Input, now_ns: int) -> None:
        """An input of its own: record it, then take it."""
        ...

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        """Record what the feed did to a book or a topic."""
        ...

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Do what the engine answered to a book update."""
        ...

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        """Whether a position, an order or a strategy needs this instrument's book."""
        ...
