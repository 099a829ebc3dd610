"""Which books a feed keeps, on which socket, and what it does when their rules change."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from tests.oracle.instruments import make_instrument
from tickwright.book.control import BookControl, BookVerb
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.errors import ConfigError, InstrumentUnknown
from tickwright.core.events import BookState, BookStateChanged, Input, InstrumentChanged
from tickwright.core.identity import Category, InstrumentId
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.connection import DialGate
from tickwright.net.tap import InputTap
from tickwright.venues.bybit.public import PublicSession
from tickwright.venues.public_port import MarketTopic, PublicHost, TopicChange


class Door:
    """Keeps what comes in."""

    tap: InputTap | None = None

    def __init__(self) -> None:
        self.books: dict[int, OrderBook] = {}
        self.sources: dict[int, int] = {}
        self.pinned: set[str] = set()
        self.derived: list[Input] = []
        self.inputs: list[Input] = []
        self.controls: list[BookControl | TopicChange] = []

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        assert slot not in self.books
        self.books[slot] = book
        self.sources[slot] = source

    def remove_book(self, slot: int) -> None:
        del self.books[slot]

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        return None

    def on_derived(self, event: Input, now_ns: int) -> None:
        self.derived.append(event)

    def on_input(self, event: Input, now_ns: int) -> None:
        self.inputs.append(event)

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        self.controls.append(control)

    def on_commands(self, commands: Sequence[Command]) -> None:
        raise AssertionError("nobody answers commands here")

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        return instrument_id.symbol in self.pinned


def make_feed(door: Door, **options: object) -> PublicFeed:
    asked = {"venue": "bybit", "category": Category.LINEAR, **options}
    kept = msgspec.convert(asked, FeedOptions)

    def make_session(host: PublicHost, source: int) -> PublicSession:
        return PublicSession(kept.category, host, depth=kept.depth, source=source)

    return PublicFeed(
        kept,
        door,
        make_session=make_session,
        url="ws://127.0.0.1:1/v5/public/linear",
        gate=DialGate(Random(1)),
        rest=None,
    )


def sessions_of(feed: PublicFeed) -> list[PublicSession]:
    return [session for session in feed.sessions if isinstance(session, PublicSession)]


def names(count: int) -> list[str]:
    return [f"S{number}USDT" for number in range(count)]


def fill(feed: PublicFeed, *symbols: str) -> None:
    for symbol in symbols:
        feed.add(make_instrument(symbol))


@pytest.mark.parametrize("options", [{"connections": 0}, {"books_max": 0}])
def test_feed_when_its_options_are_impossible_then_refused(options: dict[str, int]):
    with pytest.raises(ConfigError, match="at least one connection and one book"):
        make_feed(Door(), **options)


def test_books_when_added_then_spread_evenly_over_the_sockets():
    door = Door()
    feed = make_feed(door, connections=3)
    fill(feed, *names(10))
    assert [4, 3, 3] == [len(session.slots) for session in sessions_of(feed)]
    assert list(range(10)) == sorted(door.books)
    for source, session in enumerate(sessions_of(feed)):
        assert all(door.sources[slot] == source for slot in session.slots)
    feed.remove("S0USDT")
    fill(feed, "NEWUSDT")
    assert [4, 3, 3] == [len(session.slots) for session in sessions_of(feed)]


def test_book_when_added_then_its_topics_are_wanted_on_its_socket_alone():
    feed = make_feed(Door(), connections=2, market_topics=["ticker"])
    fill(feed, "BTCUSDT", "ETHUSDT")
    session = sessions_of(feed)[0]
    assert ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT"] == list(
        session.subscriptions.by_topic
    )
    assert MarketTopic.TICKER in feed.options.market_topics


def test_book_when_kept_already_then_refused():
    feed = make_feed(Door())
    fill(feed, "BTCUSDT")
    with pytest.raises(ConfigError, match="BTCUSDT is kept already"):
        fill(feed, "BTCUSDT")


def test_instrument_when_not_loaded_then_unknown():
    with pytest.raises(InstrumentUnknown, match="NOPEUSDT is not among the loaded"):
        make_feed(Door()).instrument_for("NOPEUSDT")
    assert make_feed(Door()).book("NOPEUSDT") is None


# the bound ---------------------------------------------------------------------------------------


def test_books_when_at_the_bound_then_the_least_recently_used_makes_room():
    door = Door()
    feed = make_feed(door, books_max=3)
    fill(feed, "AUSDT", "BUSDT", "CUSDT")
    assert feed.book("AUSDT") is not None
    fill(feed, "DUSDT")
    assert ["AUSDT", "CUSDT", "DUSDT"] == sorted(feed.symbols)
    assert 1 == feed.counts.evicted
    # Its place is free again, and nobody mixes the two up.
    book = feed.book("DUSDT")
    assert book is not None
    assert (1, "DUSDT") == (book.slot, door.books[1].symbol)
    assert [BookVerb.CLEAR] == [
        control.verb for control in door.controls if isinstance(control, BookControl)
    ]


def test_books_when_pinned_then_never_make_room():
    door = Door()
    feed = make_feed(door, books_max=3)
    fill(feed, "AUSDT", "BUSDT", "CUSDT")
    door.pinned = {"AUSDT", "BUSDT"}
    fill(feed, "DUSDT")
    assert ["AUSDT", "BUSDT", "DUSDT"] == sorted(feed.symbols)
    door.pinned.add("DUSDT")
    with pytest.raises(ConfigError, match="raise books_max"):
        fill(feed, "EUSDT")
    assert ["AUSDT", "BUSDT", "DUSDT"] == sorted(feed.symbols)
    assert 3 == len(door.books)


def test_books_when_hundreds_pass_through_then_nothing_grows():
    door = Door()
    feed = make_feed(door, books_max=5, connections=2)
    chance = Random(5)
    for number in range(500):
        door.pinned = set(chance.sample(feed.symbols, min(2, len(feed.symbols))))
        before = set(feed.symbols)
        fill(feed, f"S{number}USDT")
        assert door.pinned <= set(feed.symbols)
        assert len(before - set(feed.symbols)) <= 1
        if chance.random() < 0.5:
            feed.book(chance.choice(feed.symbols))
    assert 5 == len(door.books) == len(feed.symbols) == len(feed.books)
    assert 5 == sum(len(session.slots) for session in sessions_of(feed))
    for session in sessions_of(feed):
        assert len(session.subscriptions.by_topic) == 2 * len(session.slots)
    assert 495 == feed.counts.evicted


# what changes while running ----------------------------------------------------------------------


def synced(feed: PublicFeed, symbol: str) -> OrderBook:
    book = feed.book(symbol)
    assert book is not None
    book.apply_snapshot([(100, 1)], [(101, 1)], update_id=1, received_ns=1)
    return book


def test_instrument_when_only_its_tick_changes_then_an_input_and_the_book_lives():
    door = Door()
    feed = make_feed(door)
    fill(feed, "BTCUSDT", "ETHUSDT")
    book = synced(feed, "BTCUSDT")
    feed.change_instrument(msgspec.structs.replace(make_instrument("BTCUSDT"), tick_units=5))
    (event,) = door.inputs
    assert isinstance(event, InstrumentChanged)
    assert (2, 5) == (event.instrument.version, event.instrument.tick_units)
    assert event.instrument.valid_from_ns > 0
    assert book.is_synced
    assert event.instrument == book.instrument == feed.instrument_for("BTCUSDT")
    assert 1 == feed.counts.instruments_changed


def test_instrument_when_its_decimals_change_then_the_book_is_empty_and_everybody_hears_of_it():
    door = Door()
    feed = make_feed(door)
    fill(feed, "BTCUSDT")
    book = synced(feed, "BTCUSDT")
    feed.change_instrument(make_instrument("BTCUSDT", price_decimals=4))
    assert (BookState.EMPTY, []) == (book.state, book.bids())
    states = [event for event in door.derived if isinstance(event, BookStateChanged)]
    assert [(BookState.SYNCED, BookState.EMPTY)] == [(each.previous, each.state) for each in states]
    session = sessions_of(feed)[0]
    topic = session.scanner.topic("orderbook.50.BTCUSDT")
    assert topic is not None
    assert 4 == topic.price_decimals
    assert 1 == session.counts.resyncs


def test_instrument_when_nothing_changed_or_nobody_keeps_it_then_nothing_happens():
    door = Door()
    feed = make_feed(door)
    fill(feed, "BTCUSDT")
    feed.change_instrument(make_instrument("BTCUSDT"))
    feed.change_instrument(
        msgspec.structs.replace(make_instrument("BTCUSDT"), version=9, valid_from_ns=7)
    )
    feed.change_instrument(make_instrument("ETHUSDT", price_decimals=4))
    assert [] == door.inputs


def test_control_when_derived_then_is_not_recorded_again():
    door = Door()
    feed = make_feed(door)
    fill(feed, "BTCUSDT")
    synced(feed, "BTCUSDT")
    feed.control_book(0, BookVerb.STALE, "why", 5)
    feed.control_book(0, BookVerb.RESYNCING, "", 5, is_derived=True)
    assert [BookControl(0, BookVerb.STALE, "why")] == door.controls
    assert [(BookState.STALE, "why"), (BookState.RESYNCING, "why")] == [
        (event.state, event.reason) for event in door.derived if isinstance(event, BookStateChanged)
    ]
