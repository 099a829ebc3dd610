"""The recordings through the production way give the oracle's book at every frame."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.oracle.instruments import make_instrument
from tests.oracle.recordings import RecordedOracle, binance_frames, bybit_frames
from tickwright.app.recorded_books import BinanceRecorded, BybitRecorded
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.events import BookState
from tickwright.core.units import decimal_from_units
from tickwright.simulator.sources.opening import sample_path
from tickwright.venues.bybit.decode import decode_orderbook

BYBIT = sample_path("bybit_linear_xrpusdt_ob500_20241201.zip")
BINANCE = {
    "spot": (sample_path("binance_spot_btcusdt_20240808.jsonl.gz"), 3_451),
    "usdm": (sample_path("binance_usdm_btcusdt_20240808.jsonl.gz"), 6_551),
}
WHOLE_EVERY = 500

Sides = tuple[list[tuple[Decimal, Decimal]], ...]


def sides_of(book: OrderBook, count: int = 0) -> Sides:
    return tuple(
        [
            (
                decimal_from_units(price, book.instrument.price_decimals),
                decimal_from_units(size, book.instrument.size_decimals),
            )
            for price, size in side
        ]
        for side in (book.bids(count), book.asks(count))
    )


def assert_changes(oracle: RecordedOracle, book: OrderBook, document: dict[str, Any]) -> None:
    event = document.get("data", document)
    for side, rows, size_at in (
        (oracle.bids, event["b"], book.bid_size_at),
        (oracle.asks, event["a"], book.ask_size_at),
    ):
        for price_text, _ in rows:
            price = Decimal(price_text)
            units = size_at(int(price.scaleb(book.instrument.price_decimals)))
            held = decimal_from_units(units or 0, book.instrument.size_decimals)
            assert side.get(price, 0) == held


def test_bybit_recording_when_scanned_and_when_decoded_then_both_equal_the_oracle_throughout():
    frames = list(bybit_frames(BYBIT))
    recorded = BybitRecorded()
    for frame in frames:
        recorded.survey(frame)
    recorded.open()
    (scanned,) = recorded.books
    decoded = OrderBook(scanned.instrument, capacity=500, policy=BookPolicy(window=500))
    oracle = RecordedOracle()
    for number, frame in enumerate(frames, start=1):
        assert recorded.take(frame, number) is None
        read = decode_orderbook(frame, lambda symbol: scanned.instrument)
        apply = decoded.apply_snapshot if read.is_snapshot else decoded.apply_delta
        apply(read.bids, read.asks, update_id=read.update_id, received_ns=number)
        oracle.take_bybit(json.loads(frame))
        for book in (scanned, decoded):
            assert book.is_synced
            assert oracle.last_id == book.update_id
            assert oracle.best() == sides_of(book)
            assert (500, 500) == (book.bid_count, book.ask_count)
    assert 50 == len(frames)
    assert (0, 0) == (scanned.gap_count, scanned.unknown_delete_count)


@pytest.mark.parametrize("market", BINANCE)
def test_binance_recording_when_replayed_then_equals_the_oracle_throughout(market: str):
    path, events = BINANCE[market]
    lines = list(binance_frames(path))
    recorded = BinanceRecorded()
    for _, frame, _ in lines:
        recorded.survey(frame)
    recorded.open()
    (book,) = recorded.books
    assert BookState.BUFFERING is book.state
    oracle = RecordedOracle()
    compared = 0
    for number, (received_ns, frame, document) in enumerate(lines):
        assert recorded.take(frame, received_ns) is None
        oracle.take_binance(document)
        if oracle.last_id < 0:
            assert not book.is_synced
            continue
        assert book.is_synced
        assert oracle.last_id == book.update_id
        assert (len(oracle.bids), len(oracle.asks)) == (book.bid_count, book.ask_count)
        if number % WHOLE_EVERY == 0 or "lastUpdateId" in document:
            assert oracle.best() == sides_of(book)
        else:
            # As many levels and every changed one equal: with the frame before, the whole is.
            assert_changes(oracle, book, document)
        compared += 1
    assert oracle.best() == sides_of(book)
    assert events + 1 == len(lines)
    assert compared > events - 20
    assert 0 == book.gap_count


def test_bybit_recording_when_a_frame_is_missing_then_stale_until_the_next_snapshot():
    frames = list(bybit_frames(BYBIT))
    instrument = make_instrument("XRPUSDT", price_decimals=4, size_decimals=0)
    book = OrderBook(instrument, capacity=500, policy=BookPolicy(window=500))
    oracle = RecordedOracle()
    for number, frame in enumerate(frames + frames[:3], start=1):
        if number == 20:
            continue
        read = decode_orderbook(frame, lambda symbol: instrument)
        apply = book.apply_snapshot if read.is_snapshot else book.apply_delta
        apply(read.bids, read.asks, update_id=read.update_id, received_ns=number)
        assert (number < 20 or number > 50) == book.is_synced
        if book.is_synced:
            oracle.take_bybit(json.loads(frame))
            assert oracle.best() == sides_of(book)
    assert 1 == book.gap_count
