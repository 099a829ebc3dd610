"""A served recording's topics and listing: what a late client is told, and what REST knows."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.unit.app.test_replay_host import instrument
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument, InstrumentStatus
from tickwright.simulator.recorded_rest import recorded_row
from tickwright.simulator.recorded_topics import RecordedTopic
from tickwright.venues.bybit.decode import decode_orderbook
from tickwright.venues.bybit.instruments import parse_instruments

DATA = Path(__file__).resolve().parents[2] / "data" / "bybit"


class Client:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        self.frames.append(payload)


def book(category: Category, *, is_synced: bool = True) -> OrderBook:
    made = OrderBook(instrument(category, 2), capacity=50, policy=BookPolicy(window=50))
    if is_synced:
        made.apply_snapshot(
            [(100, 1_500), (90, 20)], [(110, 3_000)], update_id=7, received_ns=1, sequence=9
        )
    return made


@pytest.mark.parametrize("category", [Category.LINEAR, Category.SPOT])
def test_book_topic_when_subscribed_late_then_says_the_book_in_the_venues_own_form(
    category: Category,
):
    topic = RecordedTopic(category, "orderbook.50.BTCUSDT")
    held = book(category)
    topic.keep(lambda: held)
    topic.play(b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":12,"data":{},"cts":11}')
    client = Client()
    topic.subscribe(client)
    data = (
        '"data":{"s":"BTCUSDT","b":[["%s"],["%s"]],"a":[["%s"]],"u":7,"seq":9},"cts":11}'
    )  # fmt: skip
    if category is Category.SPOT:
        head = '{"topic":"orderbook.50.BTCUSDT","ts":12,"type":"snapshot",'
        levels = ('1","1.5', '0.9","0.02', '1.1","3')
    else:
        head = '{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":12,'
        levels = ('1.00","1.500', '0.90","0.020', '1.10","3.000')
    assert [(head + data % levels).encode()] == client.frames
    decoded = decode_orderbook(client.frames[0], lambda _: held.instrument)
    assert (held.bids(), held.asks()) == (decoded.bids, decoded.asks)
    assert 1 == topic.snapshots


def test_book_topic_when_the_book_is_in_doubt_then_a_late_client_waits_for_the_recorded_snapshot():
    topic = RecordedTopic(Category.LINEAR, "orderbook.50.BTCUSDT")
    topic.keep(lambda: None)
    early, late = Client(), Client()
    snapshot = b'{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1,"data":{}}'
    delta = b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":2,"data":{}}'
    topic.subscribe(early)
    topic.play(snapshot)
    topic.subscribe(late)
    topic.play(delta)
    assert ([snapshot, delta], []) == (early.frames, late.frames)
    assert 2 == topic.listener_count
    topic.play(snapshot)
    assert [snapshot] == late.frames
    topic.unsubscribe(late)
    topic.play(delta)
    assert [snapshot] == late.frames
    assert (4, 5) == (topic.frames, topic.sent)


def test_level_one_topic_when_subscribed_late_then_repeats_the_last_frame():
    topic = RecordedTopic(Category.LINEAR, "orderbook.1.BTCUSDT")
    frame = b'{"topic":"orderbook.1.BTCUSDT","ts":1,"type":"snapshot","data":{}}'
    topic.play(frame)
    client = Client()
    topic.subscribe(client)
    assert [frame] == client.frames
    topic.forget()
    other = Client()
    topic.subscribe(other)
    assert [] == other.frames


def test_ticker_topic_when_subscribed_late_then_says_all_fields_with_the_newest_stamps():
    topic = RecordedTopic(Category.LINEAR, "tickers.BTCUSDT")
    head = b'{"topic":"tickers.BTCUSDT","type":"'
    topic.play(head + b'snapshot","data":{"symbol":"BTCUSDT","a":"1","b":"2"},"cs":5,"ts":1}')
    topic.play(head + b'delta","data":{"symbol":"BTCUSDT","b":"3"},"cs":6,"ts":2}')
    client = Client()
    topic.subscribe(client)
    data = {"symbol": "BTCUSDT", "a": "1", "b": "3"}
    expected = {"topic": "tickers.BTCUSDT", "type": "snapshot", "data": data, "cs": 6, "ts": 2}
    assert list(expected.items()) == list(json.loads(client.frames[0]).items())
    assert data == topic.fields()
    # Cut short on its way: what it changed isn't known, nor is the whole any more.
    topic.play(head + b'delta","data":{"symbol"}')
    waiting = Client()
    topic.subscribe(waiting)
    assert ([], None) == (waiting.frames, topic.fields())


def test_trades_topic_when_subscribed_late_then_says_nothing_of_before():
    topic = RecordedTopic(Category.LINEAR, "publicTrade.BTCUSDT")
    topic.play(b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[]}')
    client = Client()
    topic.subscribe(client)
    assert [] == client.frames


def listed(one: Instrument) -> Instrument:
    """Return what a client makes of a recorded instrument's row."""
    body = msgspec.json.encode({"category": one.id.category.value, "list": [recorded_row(one)]})
    page = parse_instruments(body, one.id.category)
    assert () == page.faults
    return msgspec.structs.replace(
        page.instruments[0], version=one.version, valid_from_ns=one.valid_from_ns
    )


@pytest.mark.parametrize(
    ("file", "category"),
    [
        ("rest-instruments-linear", Category.LINEAR),
        ("rest-instruments-linear-premarket", Category.LINEAR),
        ("rest-instruments-spot", Category.SPOT),
        ("rest-instruments-inverse", Category.INVERSE),
    ],
)
def test_instrument_when_listed_then_a_client_reads_the_very_same(file: str, category: Category):
    for one in parse_instruments((DATA / f"{file}.json").read_bytes(), category).instruments:
        assert one == listed(one)


def test_instrument_of_every_size_when_listed_then_a_client_reads_the_very_same():
    for decimals in range(9):
        for status in InstrumentStatus:
            one = msgspec.structs.replace(
                instrument(Category.LINEAR, decimals),
                tick_units=5,
                status=status,
                lot_units=1,
                size_min_units=10,
                capabilities=parse_instruments(
                    (DATA / "rest-instruments-linear.json").read_bytes(), Category.LINEAR
                )
                .instruments[0]
                .capabilities,
            )
            assert one == listed(one)
