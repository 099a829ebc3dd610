"""Owns what the feed asks of a venue's public socket; refuses to name a venue.

One session per socket (`net.session.Session` plus the methods here); its owner, the feed, is the
host.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tickwright.book.control import BookVerb
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import BookState, MarketEvent, Trade
from tickwright.core.instrument import Instrument
from tickwright.net.session import Session
from tickwright.venues.port import TopOfBook

__all__ = [
    "MarketTopic",
    "PublicHost",
    "PublicSession",
    "SessionCounts",
    "TopCheck",
    "TopicChange",
]


class MarketTopic(enum.Enum):
    """What a strategy may ask for besides book and trades."""

    TICKER = "ticker"
    CANDLE = "candle"
    LIQUIDATION = "liquidation"


class TopCheck(msgspec.Struct, frozen=True, gc=False):
    """Ask REST for the top of this book and report by `PublicSession.on_top_checked`."""

    slot: int
    symbol: str


class TopicChange(msgspec.Struct, frozen=True, gc=False, tag="topic"):
    """A companion topic came or went, or any topic went.

    Recorded, since a replay must read the same frames.
    """

    source: int
    topic: str
    slot: int
    is_added: bool


class SessionCounts(msgspec.Struct):
    """What one session has seen, for reports; counts only ever rise."""

    resyncs: int = 0
    refused_frames: int = 0
    refused_topics: int = 0
    unlisted_frames: int = 0
    alarms: int = 0
    suspicions: int = 0
    pongs: int = 0
    last_refusal: str = ""


class PublicHost(Protocol):
    """What a public session tells its owner, the feed."""

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        """A book changed."""
        ...

    def on_trades(self, trades: list[Trade]) -> Sequence[Command] | None:
        """Trades came, oldest first."""
        ...

    def on_commands(self, commands: Sequence[Command]) -> None:
        """What `on_book` or `on_trades` answered, when it isn't empty."""
        ...

    def on_book_state(self, slot: int, previous: BookState, now_ns: int) -> None:
        """A frame changed what a book is worth."""
        ...

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price, funding, candle or liquidation came."""
        ...

    def control_book(
        self, slot: int, verb: BookVerb, reason: str, now_ns: int, *, is_derived: bool = False
    ) -> None:
        """Do this to the book, and tell the strategies when its state changed.

        A derived control follows from a recorded frame; the others must be recorded themselves.
        """
        ...

    def on_topic(self, change: TopicChange, now_ns: int) -> None:
        """A companion topic came or went."""
        ...

    def on_refused(self, topic: str, text: str) -> None:
        """The venue refuses a topic for good."""
        ...

    def on_instrument_doubt(self, symbol: str) -> None:
        """A number didn't fit the instrument: it must be read again from the venue."""
        ...

    def instrument_for(self, symbol: str) -> Instrument:
        """Look a symbol up; raises InstrumentUnknown."""
        ...


class PublicSession(Session, Protocol):
    """Thinks for one public socket."""

    counts: SessionCounts

    wake: Callable[[], None] | None

    @property
    def callback_time(self) -> LatencyHistogram:
        """Socket read to `on_book`, when measured."""
        ...

    @property
    def book_frame_count(self) -> int:
        """Book frames taken."""
        ...

    @property
    def trade_count(self) -> int:
        """Trades taken."""
        ...

    @property
    def conflated_count(self) -> int:
        """Book updates that were applied but not delivered one by one."""
        ...

    def measure_callbacks(self) -> None:
        """Start to measure socket read to callback."""
        ...

    def add_book(self, book: OrderBook) -> None:
        """Keep this book alive over this connection."""
        ...

    def add_trades(self, instrument: Instrument, slot: int) -> None:
        """Read the public trades of an instrument."""
        ...

    def add_market(
        self, instrument: Instrument, slot: int, topic: MarketTopic, interval: str = "1"
    ) -> None:
        """Read tickers, candles (of `interval` minutes) or liquidations of an instrument."""
        ...

    def remove_symbol(self, symbol: str, now_ns: int) -> None:
        """Drop all topics of a symbol."""
        ...

    def change_instrument(self, instrument: Instrument) -> None:
        """Read numbers by a new version of an instrument from now on."""
        ...

    def apply_topic(self, change: TopicChange) -> None:
        """Repeat a recorded change of topics (replay)."""
        ...

    def resync(self, slot: int, now_ns: int) -> None:
        """Get one book's snapshot again."""
        ...

    def top_checks(self, now_ns: int) -> list[TopCheck]:
        """Return the REST checks that suspicions of this poll ask for."""
        ...

    def on_top_checked(self, slot: int, top: TopOfBook | None, asked_ns: int, now_ns: int) -> None:
        """Take the answer to a check; None when REST failed."""
        ...
