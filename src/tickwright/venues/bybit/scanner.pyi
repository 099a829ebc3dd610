from collections.abc import Callable, Sequence
from typing import Any, final

from typing_extensions import disjoint_base

from tickwright.book.messages import MessageSink
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import Trade
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.listener import FrameSink
from tickwright.net.tap import InputTap

__all__ = ["PublicScanner", "Topic"]

@final
class Topic:
    def __init__(
        self,
        name: bytes,
        *,
        instrument: Instrument,
        book: OrderBook | None = None,
        role: int,
        slot: int,
    ) -> None: ...
    @property
    def name(self) -> bytes: ...
    @property
    def symbol(self) -> bytes: ...
    @property
    def book(self) -> OrderBook: ...
    @property
    def instrument(self) -> Instrument: ...
    @property
    def instrument_id(self) -> InstrumentId: ...
    @property
    def slot(self) -> int: ...
    @property
    def role(self) -> int: ...
    @property
    def price_decimals(self) -> int: ...
    @property
    def size_decimals(self) -> int: ...
    @property
    def frame_count(self) -> int: ...
    @property
    def last_frame_ns(self) -> int: ...
    @property
    def disagreed_ns(self) -> int: ...
    def change_instrument(self, instrument: Instrument) -> None: ...

@disjoint_base
class PublicScanner(FrameSink):
    source: int
    conflate_after: int
    measures_callbacks: bool
    @property
    def callback_time(self) -> LatencyHistogram: ...
    @property
    def book_frame_count(self) -> int: ...
    @property
    def trade_count(self) -> int: ...
    @property
    def trade_frame_count(self) -> int: ...
    @property
    def other_count(self) -> int: ...
    @property
    def conflated_count(self) -> int: ...
    @property
    def unlisted_count(self) -> int: ...
    @property
    def last_frame_ns(self) -> int: ...
    def __init__(
        self,
        *,
        on_book: Callable[[int, int], Sequence[Command] | None],
        on_other: Callable[[bytes, int], Any],
        on_state: Callable[[int, int], Any] | None = None,
        on_trades: Callable[[list[Trade]], Sequence[Command] | None] | None = None,
        on_commands: Callable[[Sequence[Command]], Any] | None = None,
        tap: InputTap | None = None,
        messages: MessageSink | None = None,
        conflate_after: int = 0,
        source: int = 0,
    ) -> None: ...
    def add_book(self, topic: str, book: OrderBook, slot: int) -> None: ...
    def add_companion(self, topic: str, book: OrderBook, slot: int) -> None: ...
    def add_trades(self, topic: str, instrument: Instrument, slot: int) -> None: ...
    def remove(self, topic: str) -> None: ...
    def topic(self, name: str) -> Topic | None: ...
    def take_decoded(
        self,
        topic_name: str,
        *,
        is_snapshot: bool,
        update_id: int,
        sequence: int,
        venue_ns: int,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        matched_ns: int = ...,
    ) -> int | None: ...
    def take_trades(self, topic_name: str, trades: list[Trade]) -> None: ...
