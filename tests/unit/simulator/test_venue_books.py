"""A client that only reads frames holds the venue's book at every `u`, for every depth."""

import itertools
import json
from collections import defaultdict

import pytest

from tests.unit.simulator.oracle import (
    SECOND,
    START_NS,
    ClientBook,
    Recorder,
    synthetic_venue,
    window_texts,
)
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.book_streams import BookStream
from tickwright.simulator.history import HISTORY_FRAMES

_INTERVAL_MS = {1: 10, 50: 20, 200: 100, 1000: 200}


@pytest.mark.parametrize("category", [Category.LINEAR, Category.SPOT])
def test_client_book_at_every_u_equals_the_venue_window(category: Category) -> None:
    venue = synthetic_venue("BTCUSDT", "ETHUSDT", category=category, events_per_s=800)
    client = Recorder(venue)
    topics = {
        f"orderbook.{depth}.{symbol}": (symbol, depth)
        for symbol in ("BTCUSDT", "ETHUSDT")
        for depth in (1, 50, 200, 1000)
    }
    client.subscribe(category, *topics)
    books: dict[str, ClientBook] = defaultdict(ClientBook)
    for step in range(1, 401):
        venue.advance(START_NS + step * 5_000_000)
        for topic, frame in client.drain():
            books[topic].apply(frame)
            symbol, depth = topics[topic]
            stream = venue.book_stream(category, symbol, depth)
            assert stream is not None
            bids, asks = books[topic].levels()
            assert (bids, asks) == stream.history.window_at(frame["data"]["u"])
            assert (depth, depth) == (len(bids), len(asks))
            assert float(bids[0][0]) < float(asks[0][0])
    for topic, (symbol, depth) in topics.items():
        idle = venue.stream(category, topic)
        assert isinstance(idle, BookStream)
        idle.publish(0)
        for _, frame in client.drain():
            books[topic].apply(frame)
        assert window_texts(venue, category, symbol, depth) == books[topic].levels()


def test_frames_of_a_book_topic_keep_its_push_interval_and_stamp_the_change() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=2_000)
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, *(f"orderbook.{depth}.BTCUSDT" for depth in _INTERVAL_MS))
    venue.advance(START_NS + 3 * SECOND)
    for depth, interval_ms in _INTERVAL_MS.items():
        frames = client.of(f"orderbook.{depth}.BTCUSDT")[1:]
        gaps = [b["ts"] - a["ts"] for a, b in itertools.pairwise(frames)]
        assert min(gaps) >= interval_ms
        assert len(frames) > 3_000 / interval_ms * 0.6
        lags = [frame["ts"] - frame["cts"] for frame in frames]
        # A change waits 2 ms at least; one that arrives while a push is due goes with it.
        assert 0 <= min(lags)
        assert max(lags) <= 20 + interval_ms


@pytest.mark.parametrize(
    ("category", "depth", "keys"),
    [
        (Category.LINEAR, 50, ["topic", "type", "ts", "data", "cts"]),
        (Category.LINEAR, 1, ["topic", "ts", "type", "data", "cts"]),
        (Category.SPOT, 50, ["topic", "ts", "type", "data", "cts"]),
    ],
)
def test_frame_keys_come_in_the_order_of_the_category(
    category: Category, depth: int, keys: list[str]
) -> None:
    venue = synthetic_venue("BTCUSDT", category=category)
    client = Recorder(venue)
    topic = f"orderbook.{depth}.BTCUSDT"
    client.subscribe(category, topic)
    venue.advance(START_NS + SECOND)
    frames = client.of(topic)
    assert {tuple(keys)} == {tuple(frame) for frame in frames}
    assert ["s", "b", "a", "u", "seq"] == list(frames[0]["data"])
    assert {"snapshot"} | ({"delta"} if depth > 1 else set()) == {f["type"] for f in frames}


def test_prices_have_the_fixed_decimals_of_a_contract_and_none_too_many_on_spot() -> None:
    linear, spot = (
        synthetic_venue("BTCUSDT", category=category)
        for category in (Category.LINEAR, Category.SPOT)
    )
    for price, size in window_texts(linear, Category.LINEAR, "BTCUSDT", 200)[0]:
        assert (2, 3) == (len(price.partition(".")[2]), len(size.partition(".")[2]))
    for price, size in window_texts(spot, Category.SPOT, "BTCUSDT", 200)[0]:
        assert not (("." in price and price.endswith("0")) or ("." in size and size.endswith("0")))


def test_level_1_when_nothing_changes_repeats_the_same_u_every_three_seconds() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=0.0001)
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT")
    venue.advance(START_NS + 10 * SECOND)
    frames = client.of("orderbook.1.BTCUSDT")
    assert [0, 3_000, 6_000, 9_000] == [frame["ts"] - START_NS // 1_000_000 for frame in frames]
    assert 1 == len({frame["data"]["u"] for frame in frames})
    assert 1 == len({frame["cts"] for frame in frames})
    assert 1 == len(client.of("orderbook.50.BTCUSDT"))


def test_second_subscriber_gets_a_snapshot_that_the_next_delta_continues() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=500)
    first, second = Recorder(venue), Recorder(venue)
    topic = "orderbook.50.BTCUSDT"
    first.subscribe(Category.LINEAR, topic)
    venue.advance(START_NS + SECOND)
    second.subscribe(Category.LINEAR, topic)
    venue.advance(START_NS + 2 * SECOND)
    books = ClientBook(), ClientBook()
    for client, book in zip((first, second), books, strict=True):
        for frame in client.of(topic):
            book.apply(frame)
    assert books[0].levels() == books[1].levels()
    assert books[0].u == books[1].u


def test_topic_after_an_idle_time_starts_from_a_fresh_snapshot() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=500)
    client = Recorder(venue)
    topic = "orderbook.50.BTCUSDT"
    stream = venue.stream(Category.LINEAR, topic)
    assert stream is not None
    client.subscribe(Category.LINEAR, topic)
    venue.advance(START_NS + SECOND)
    stream.unsubscribe(client)
    silent = len(client.frames)
    venue.advance(START_NS + 3 * SECOND)
    assert silent == len(client.frames)
    client.subscribe(Category.LINEAR, topic)
    venue.advance(START_NS + 4 * SECOND)
    book = ClientBook()
    for frame in client.of(topic)[silent:]:
        book.apply(frame)
    stream_window = venue.book_stream(Category.LINEAR, "BTCUSDT", 50)
    assert stream_window is not None
    shown = stream_window.window.shown()
    assert [abs(key) for key, _ in shown[0]] == [
        int(float(price) * 100 + 0.5) for price, _ in book.levels()[0]
    ]


def test_restart_sends_u_1_to_everyone_and_counts_on() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=500)
    client = Recorder(venue)
    topic = "orderbook.50.BTCUSDT"
    client.subscribe(Category.LINEAR, topic)
    venue.advance(START_NS + SECOND)
    stream = venue.stream(Category.LINEAR, topic)
    assert isinstance(stream, BookStream)
    client.frames.clear()
    stream.restart()
    venue.advance(START_NS + 2 * SECOND)
    frames = client.of(topic)
    assert ("snapshot", 1) == (frames[0]["type"], frames[0]["data"]["u"])
    book = ClientBook()
    book.seq = 0
    for frame in frames:
        book.apply(frame)
    assert list(range(1, len(frames) + 1)) == [frame["data"]["u"] for frame in frames]


def test_own_order_shows_in_the_published_book() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=0.0001)
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "orderbook.50.BTCUSDT")
    book = venue.markets[Category.LINEAR, "BTCUSDT"].book
    best_bid, _ = book.best()
    assert best_bid is not None
    venue.advance(START_NS + SECOND)
    book.add_own(Side.BUY, best_bid[0], 1_000)
    venue.advance(START_NS + 2 * SECOND)
    (_, delta) = client.of("orderbook.50.BTCUSDT")
    size = f"{(best_bid[1] + 1_000) / 1000:.3f}"
    assert [[f"{best_bid[0] / 100:.2f}", size]] == delta["data"]["b"]
    assert [] == delta["data"]["a"]


def test_window_of_an_earlier_u_is_what_a_client_held_then() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=2_000)
    client = Recorder(venue)
    topic = "orderbook.50.BTCUSDT"
    client.subscribe(Category.LINEAR, topic)
    venue.advance(START_NS + 25 * SECOND)
    stream = venue.book_stream(Category.LINEAR, "BTCUSDT", 50)
    assert stream is not None
    book, held = ClientBook(), {}
    for frame in client.of(topic):
        book.apply(frame)
        held[book.u] = book.levels()
    assert len(held) > HISTORY_FRAMES
    for u in range(book.u - HISTORY_FRAMES // 2 + 1, book.u + 1, 37):
        assert held[u] == stream.history.window_at(u)
    assert stream.history.window_at(book.u + 1) is None
    assert stream.history.window_at(min(held)) is None


def test_same_seed_gives_the_same_frames() -> None:
    runs = []
    for _ in range(2):
        venue = synthetic_venue("BTCUSDT", "ETHUSDT", "XRPUSDT", events_per_s=600)
        client = Recorder(venue)
        for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT"):
            client.subscribe(
                Category.LINEAR,
                f"orderbook.50.{symbol}",
                f"publicTrade.{symbol}",
                f"tickers.{symbol}",
            )
        venue.advance(START_NS + 3 * SECOND)
        runs.append([payload for _, _, payload in client.frames])
    assert runs[0] == runs[1]
    assert len(runs[0]) > 300


def test_steps_of_advance_do_not_change_the_frames() -> None:
    runs = []
    for step_ns in (1_000_000, 37_000_000, 2 * SECOND):
        venue = synthetic_venue("BTCUSDT", events_per_s=600)
        client = Recorder(venue)
        client.subscribe(Category.LINEAR, "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT")
        for now_ns in range(START_NS, START_NS + 2 * SECOND, step_ns):
            venue.advance(now_ns)
        venue.advance(START_NS + 2 * SECOND)
        runs.append([payload for _, _, payload in client.frames])
    assert runs[0] == runs[1] == runs[2]


def test_unpaced_production_makes_the_asked_number_of_frames() -> None:
    symbols = [f"SIM{number}USDT" for number in range(10)]
    venue = synthetic_venue(*symbols, frames_per_s=20_000, levels=300)
    client = Recorder(venue)
    for symbol in symbols:
        client.subscribe(Category.LINEAR, f"orderbook.50.{symbol}", f"publicTrade.{symbol}")
    for step in range(1, 101):
        venue.advance(START_NS + step * 1_000_000)
    assert venue.unpaced is not None
    assert 0 == venue.unpaced.frames_late
    assert 2_000 <= len(client.frames) - len(symbols) <= 2_010
    held: dict[str, ClientBook] = defaultdict(ClientBook)
    for topic, frame in client.drain():
        if topic.startswith("orderbook"):
            held[topic].apply(frame)
            assert (50, 50) == (len(held[topic].bids), len(held[topic].asks))
    for topic, book in held.items():
        symbol = topic.rpartition(".")[2]
        assert window_texts(venue, Category.LINEAR, symbol, 50) == book.levels()
    books: dict[str, ClientBook] = defaultdict(ClientBook)
    for symbol in symbols:
        stream = venue.stream(Category.LINEAR, f"orderbook.50.{symbol}")
        assert isinstance(stream, BookStream)
        second = Recorder(venue)
        stream.subscribe(second)
        books[stream.topic].apply(json.loads(second.frames[0][2]))
        assert window_texts(venue, Category.LINEAR, symbol, 50) == books[stream.topic].levels()
