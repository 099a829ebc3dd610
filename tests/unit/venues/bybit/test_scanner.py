"""Where the scanner's frames go: books, companions, trades, the tap, and the end of a read."""

import struct

import pytest

from tests.fuzz.corpus import book_frame, trade_frame
from tests.oracle.instruments import make_instrument
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.book.verdict import BookVerdict
from tickwright.core.commands import Command
from tickwright.core.events import BookState, Trade
from tickwright.core.identity import Category
from tickwright.net.tap import HEADER_SIZE, InputTap
from tickwright.venues.bybit.scanner import PublicScanner

POLICY = BookPolicy(window=50, restart_id=1)
COMMAND = object()


class World:
    """A scanner with books, and everything it called."""

    def __init__(self, *, conflate_after: int = 0, symbols: tuple[str, ...] = ("BTCUSDT",)) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.commands: list[Command] = []
        self.tap = InputTap()
        self.answer: list[Command] | None = None
        self.scanner = PublicScanner(
            on_book=self._on_book,
            on_state=lambda slot, previous: self.calls.append(("state", slot, previous)),
            on_trades=self._on_trades,
            on_other=lambda frame, now_ns: self.calls.append(("other", frame, now_ns)),
            on_commands=self.commands.extend,
            tap=self.tap,
            conflate_after=conflate_after,
            source=3,
        )
        self.books = []
        for slot, symbol in enumerate(symbols):
            instrument = make_instrument(symbol)
            book = OrderBook(instrument, capacity=50, policy=POLICY)
            self.books.append(book)
            self.scanner.add_book(f"orderbook.50.{symbol}", book, slot)
            self.scanner.add_trades(f"publicTrade.{symbol}", instrument, slot)

    def _on_book(self, slot: int, now_ns: int) -> list[Command] | None:
        self.calls.append(("book", slot, now_ns, self.books[slot].update_id))
        return self.answer

    def _on_trades(self, trades: list[Trade]) -> list[Command] | None:
        self.calls.append(("trades", [trade.price_units for trade in trades]))
        return self.answer

    def feed(self, frame: bytes, now_ns: int = 1, *, last: bool = True) -> list[tuple[object, ...]]:
        self.calls.clear()
        self.scanner.feed(frame, now_ns, last=last)
        return list(self.calls)


def snapshot(update_id: int = 10, symbol: str = "BTCUSDT") -> bytes:
    return book_frame(
        Category.LINEAR,
        50,
        kind="snapshot",
        bids=[("100", "1")],
        asks=[("101", "2")],
        update_id=update_id,
        symbol=symbol,
    )


def delta(update_id: int, *, bid: str = "99", size: str = "5", symbol: str = "BTCUSDT") -> bytes:
    return book_frame(
        Category.LINEAR,
        50,
        kind="delta",
        bids=[(bid, size)],
        asks=[],
        update_id=update_id,
        symbol=symbol,
    )


def level1(bid: str, bid_size: str, ask: str, ask_size: str) -> bytes:
    return book_frame(
        Category.LINEAR,
        1,
        kind="snapshot",
        bids=[(bid, bid_size)] if bid else [],
        asks=[(ask, ask_size)] if ask else [],
    )


def test_book_frames_when_next_then_state_first_and_then_the_book():
    world = World()
    assert [("state", 0, BookState.EMPTY), ("book", 0, 5, 10)] == world.feed(snapshot(), 5)
    assert [("book", 0, 6, 11)] == world.feed(delta(11), 6)
    assert (2, 0) == (world.scanner.book_frame_count, world.scanner.other_count)
    topic = world.scanner.topic("orderbook.50.BTCUSDT")
    assert topic is not None
    assert (2, 6) == (topic.frame_count, topic.last_frame_ns)


def test_book_frames_when_not_next_then_nobody_hears_of_the_book():
    world = World()
    world.feed(snapshot())
    assert [] == world.feed(delta(10))
    assert [("state", 0, BookState.SYNCED)] == world.feed(delta(13))
    assert [] == world.feed(delta(11))
    assert BookState.STALE is world.books[0].state
    assert [("state", 0, BookState.STALE), ("book", 0, 1, 20)] == world.feed(snapshot(20))


def test_repeated_snapshot_when_it_comes_then_the_book_is_heard_of_as_proven():
    world = World()
    world.feed(snapshot(), 5)
    assert [("book", 0, 9, 10)] == world.feed(snapshot(), 9)
    assert 9 == world.books[0].proof_ns


def test_commands_when_answered_then_are_handed_on_at_once():
    world = World()
    world.answer = [COMMAND]  # type: ignore[list-item]
    world.feed(snapshot())
    world.feed(trade_frame(Category.LINEAR, [("Buy", "1", "1")]))
    assert [COMMAND, COMMAND] == world.commands


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b'{"topic":"',
        b'{"topic":"orderbook.50.ETHUSDT","type":"delta"',
        b'{"topic":"' + b"x" * 1_000,
        b'{"topic":"orderbook.50.BTCUSDT"',
        b'{"success":true,"ret_msg":"pong","conn_id":"1","op":"ping"}',
        b"<html></html>",
        bytes(range(256)),
    ],
)
def test_other_frames_when_they_come_then_go_on_whole(frame: bytes):
    world = World()
    assert [("other", frame, 7)] == world.feed(frame, 7)
    assert 1 == world.scanner.other_count


def test_canonical_frame_when_cut_anywhere_then_goes_on_whole_and_changes_nothing():
    world = World()
    world.feed(snapshot())
    whole = delta(11)
    for end in range(1, len(whole)):
        assert [("other", whole[:end], 1)] == world.feed(whole[:end])
    assert (10, [(10_000, 1_000)]) == (world.books[0].update_id, world.books[0].bids())


# conflation --------------------------------------------------------------------------------------


def test_reads_when_short_then_every_update_is_delivered():
    world = World(conflate_after=2)
    assert [("state", 0, 0), ("book", 0, 1, 10)] == world.feed(snapshot(), last=False)
    assert [("book", 0, 1, 11)] == world.feed(delta(11))
    assert [("book", 0, 2, 12)] == world.feed(delta(12), 2, last=False)
    assert [("book", 0, 2, 13)] == world.feed(delta(13), 2)
    assert 0 == world.scanner.conflated_count


def test_reads_when_long_then_later_books_are_delivered_once_at_the_end_and_trades_always():
    world = World(conflate_after=2, symbols=("BTCUSDT", "ETHUSDT"))
    world.feed(snapshot(), last=False)
    world.feed(snapshot(symbol="ETHUSDT"), last=False)
    for update_id in range(11, 20):
        assert [] == world.feed(delta(update_id), last=False)
    assert [] == world.feed(delta(11, symbol="ETHUSDT"), last=False)
    trades = trade_frame(Category.LINEAR, [("Buy", "1.25", "1"), ("Sell", "1.26", "1")])
    assert [("trades", [125, 126])] == world.feed(trades, last=False)
    assert 19 == world.books[0].update_id
    assert [("book", 0, 1, 20), ("book", 1, 1, 11)] == world.feed(delta(20))
    assert 9 == world.scanner.conflated_count
    assert [("book", 0, 2, 21)] == world.feed(delta(21), 2)


def test_reads_when_they_end_with_something_else_then_what_waited_is_delivered():
    world = World(conflate_after=1)
    world.feed(snapshot(), last=False)
    world.feed(delta(11), last=False)
    assert [("other", b"{}", 1), ("book", 0, 1, 11)] == world.feed(b"{}")


def test_reads_when_an_empty_frame_ends_them_then_what_waited_is_delivered_and_the_next_is_new():
    world = World(conflate_after=1)
    world.feed(snapshot(), last=False)
    world.feed(delta(11), last=False)
    assert [("book", 0, 4, 11)] == world.feed(b"", 4)
    assert [("book", 0, 5, 12)] == world.feed(delta(12), 5, last=False)


def test_gap_when_it_is_conflated_then_its_state_is_told_at_once():
    world = World(conflate_after=1)
    world.feed(snapshot(), last=False)
    world.feed(delta(11), last=False)
    assert [("state", 0, BookState.SYNCED)] == world.feed(delta(13), last=False)


# companions --------------------------------------------------------------------------------------


def with_companion() -> tuple[World, OrderBook]:
    world = World()
    world.scanner.add_companion("orderbook.1.BTCUSDT", world.books[0], 0)
    world.feed(snapshot(), 5)
    return world, world.books[0]


def test_companion_when_it_agrees_then_proves_the_book_and_changes_nothing():
    world, book = with_companion()
    assert [] == world.feed(level1("100", "1", "101", "2"), 9)
    assert (9, 10, 5) == (book.proof_ns, book.update_id, book.received_ns)


@pytest.mark.parametrize(
    "top",
    [
        ("100", "1.001", "101", "2"),
        ("100.01", "1", "101", "2"),
        ("100", "1", "100.99", "2"),
        ("100", "1", "101", "2.5"),
        ("", "", "101", "2"),
        ("100", "1", "", ""),
    ],
)
def test_companion_when_it_disagrees_then_proves_nothing_and_notes_since_when(top):
    world, book = with_companion()
    world.feed(level1(*top), 9)
    world.feed(level1(*top), 11)
    topic = world.scanner.topic("orderbook.1.BTCUSDT")
    assert topic is not None
    assert (5, 9) == (book.proof_ns, topic.disagreed_ns)
    world.feed(level1("100", "1", "101", "2"), 12)
    assert (12, 0) == (book.proof_ns, topic.disagreed_ns)


def test_companion_when_it_disagrees_anew_after_the_book_moved_then_notes_the_new_time():
    world, _ = with_companion()
    world.feed(level1("100.5", "1", "101", "2"), 9)
    world.feed(delta(11, bid="100.5", size="1"), 10)
    world.feed(level1("100.6", "1", "101", "2"), 12)
    topic = world.scanner.topic("orderbook.1.BTCUSDT")
    assert topic is not None
    assert 12 == topic.disagreed_ns


def test_companion_when_the_book_is_stale_then_proves_nothing():
    world, book = with_companion()
    book.mark_stale("doubt")
    world.feed(level1("100", "1", "101", "2"), 9)
    assert 5 == book.proof_ns


# the slow way in ---------------------------------------------------------------------------------


def test_decoded_frame_when_taken_then_does_what_the_scanned_one_does():
    world = World()
    world.feed(snapshot())
    topic = "orderbook.50.BTCUSDT"
    taken = world.scanner.take_decoded(
        topic, is_snapshot=False, update_id=11, sequence=80, venue_ns=4, bids=[(9_900, 7)], asks=[]
    )
    assert BookVerdict.APPLIED == taken
    assert [(10_000, 1_000), (9_900, 7)] == world.books[0].bids()
    assert [("book", 0, 1, 11)] == world.calls[-1:]
    gap = world.scanner.take_decoded(
        topic, is_snapshot=False, update_id=14, sequence=81, venue_ns=4, bids=[], asks=[]
    )
    assert BookVerdict.GAP == gap
    assert [("state", 0, BookState.SYNCED)] == world.calls[-1:]


def test_decoded_frame_when_larger_than_any_scanned_then_fits():
    world = World()
    bids = [(100_000 - place, 1) for place in range(10_000)]
    taken = world.scanner.take_decoded(
        "orderbook.50.BTCUSDT",
        is_snapshot=True,
        update_id=10,
        sequence=1,
        venue_ns=1,
        bids=bids[:50],
        asks=[],
    )
    assert BookVerdict.SNAPSHOT == taken
    wide = world.scanner.take_decoded(
        "orderbook.50.BTCUSDT",
        is_snapshot=True,
        update_id=11,
        sequence=1,
        venue_ns=1,
        bids=bids,
        asks=[],
    )
    assert BookVerdict.WINDOW == wide


def test_topics_when_removed_or_of_another_kind_then_take_nothing():
    world = World()
    world.feed(snapshot())
    world.scanner.remove("orderbook.50.BTCUSDT")
    assert [("other", delta(11), 1)] == world.feed(delta(11))
    for topic in ("orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"):
        assert (
            world.scanner.take_decoded(
                topic, is_snapshot=False, update_id=11, sequence=1, venue_ns=1, bids=[], asks=[]
            )
            is None
        )
    world.scanner.take_trades("orderbook.50.BTCUSDT", [])
    assert 3 == world.scanner.unlisted_count
    assert 10 == world.books[0].update_id
    world.scanner.remove("never.there")


def test_topics_when_hundreds_come_and_go_then_each_finds_its_own_book():
    symbols = tuple(f"S{number}USDT" for number in range(300))
    world = World(symbols=symbols)
    for symbol in symbols[::2]:
        world.scanner.remove(f"orderbook.50.{symbol}")
    for slot, symbol in enumerate(symbols):
        calls = world.feed(snapshot(100 + slot, symbol=symbol))
        if slot % 2:
            assert ("book", slot, 1, 100 + slot) == calls[-1]
        else:
            assert "other" == calls[-1][0]


def test_topic_when_its_name_is_too_long_then_refused():
    world = World()
    with pytest.raises(ValueError, match="longer than 64"):
        world.scanner.add_trades("publicTrade." + "X" * 60, make_instrument("X" * 60), 1)


def test_instrument_when_it_changes_then_numbers_are_read_by_the_new_one():
    world = World()
    topic = world.scanner.topic("orderbook.50.BTCUSDT")
    assert topic is not None
    new = make_instrument("BTCUSDT", price_decimals=4, size_decimals=0)
    topic.change_instrument(new)
    world.books[0].change_instrument(new)
    world.feed(snapshot())
    assert [(1_000_000, 1)] == world.books[0].bids()
    # Its sizes are whole now: others go the slow way, which asks for the instrument again.
    assert "other" == world.feed(delta(11, size="0.5"))[-1][0]


def test_tap_when_frames_come_then_holds_each_before_it_is_read_with_its_place_in_the_read():
    world = World()
    frames = [(snapshot(), 5, False), (b"odd", 5, True), (delta(11), 8, True)]
    for frame, now_ns, last in frames:
        world.feed(frame, now_ns, last=last)
    block = world.tap.take()
    read = []
    while block:
        size, kind, flags, source, _, now_ns = struct.unpack_from("<IBBHqq", block)
        read.append((kind, flags, source, now_ns, block[HEADER_SIZE : HEADER_SIZE + size]))
        block = block[HEADER_SIZE + size :]
    assert [(1, int(last), 3, now_ns, frame) for frame, now_ns, last in frames] == read


def test_callback_times_when_asked_for_then_are_measured():
    world = World()
    world.feed(snapshot())
    assert 0 == world.scanner.callback_time.count
    world.scanner.measures_callbacks = True
    world.feed(delta(11))
    assert 1 == world.scanner.callback_time.count


def test_strategy_when_it_raises_then_the_error_comes_out_of_the_read():
    world = World()

    def broken(slot: int, now_ns: int) -> None:
        raise RuntimeError("strategy")

    scanner = PublicScanner(on_book=broken, on_other=lambda frame, now_ns: None)
    scanner.add_book("orderbook.50.BTCUSDT", world.books[0], 0)
    with pytest.raises(RuntimeError, match="strategy"):
        scanner.feed(snapshot(), 1)
