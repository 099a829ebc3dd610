"""Trades, tickers, candles and limits on the public stream."""

import itertools
from typing import Any

import pytest

from tests.unit.simulator.oracle import SECOND, START_NS, Recorder, synthetic_venue
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.candles import CandleSeries, interval_end_ms, interval_start_ms
from tickwright.simulator.sources.operations import MarketFacts
from tickwright.simulator.streams import TRADES_PER_FRAME


def test_trade_frame_on_contracts_has_the_wire_fields_in_order() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=500)
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "publicTrade.BTCUSDT")
    venue.advance(START_NS + SECOND)
    frames = client.of("publicTrade.BTCUSDT")
    assert ["topic", "type", "ts", "data"] == list(frames[0])
    row = frames[0]["data"][0]
    assert ["T", "s", "S", "v", "p", "L", "i", "BT", "RPI", "seq"] == list(row)
    rows = [trade for frame in frames for trade in frame["data"]]
    assert len({trade["i"] for trade in rows}) == len(rows)
    assert [5] * len(rows) == [trade["i"].count("-") + 1 for trade in rows]
    assert {"Buy", "Sell"} == {trade["S"] for trade in rows}


def test_trade_frame_on_spot_puts_ts_first_and_has_no_tick_direction() -> None:
    venue = synthetic_venue("BTCUSDT", category=Category.SPOT, events_per_s=500)
    client = Recorder(venue)
    client.subscribe(Category.SPOT, "publicTrade.BTCUSDT")
    venue.advance(START_NS + SECOND)
    frame = client.of("publicTrade.BTCUSDT")[0]
    assert ["topic", "ts", "type", "data"] == list(frame)
    row = frame["data"][0]
    assert ["i", "T", "p", "v", "S", "seq", "s", "BT", "RPI"] == list(row)
    assert row["i"].isdigit()


def test_tick_direction_follows_the_price() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=0.0001)
    book = venue.markets[Category.LINEAR, "BTCUSDT"].book
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "publicTrade.BTCUSDT")
    for price in (100, 110, 110, 90, 90, 120):
        venue.print_trade(book, Side.BUY, price, 1)
    venue.advance(START_NS + SECOND)
    (frame,) = client.of("publicTrade.BTCUSDT")
    assert [
        "ZeroPlusTick",
        "PlusTick",
        "ZeroPlusTick",
        "MinusTick",
        "ZeroMinusTick",
        "PlusTick",
    ] == [trade["L"] for trade in frame["data"]]


def test_trades_beyond_1024_take_another_frame() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=0.0001)
    book = venue.markets[Category.LINEAR, "BTCUSDT"].book
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "publicTrade.BTCUSDT")
    for size in range(1, TRADES_PER_FRAME + 6):
        venue.print_trade(book, Side.SELL, 100, size)
    venue.advance(START_NS + SECOND)
    frames = client.of("publicTrade.BTCUSDT")
    assert [TRADES_PER_FRAME, 5] == [len(frame["data"]) for frame in frames]
    sizes = [trade["v"] for frame in frames for trade in frame["data"]]
    assert [f"{size / 1000:.3f}" for size in range(1, TRADES_PER_FRAME + 6)] == sizes


def test_linear_ticker_deltas_merged_equal_a_later_snapshot() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=500)
    client, late = Recorder(venue), Recorder(venue)
    client.subscribe(Category.LINEAR, "tickers.BTCUSDT")
    venue.advance(START_NS + 5 * SECOND)
    frames = client.of("tickers.BTCUSDT")
    assert ["topic", "type", "data", "cs", "ts"] == list(frames[0])
    assert ["snapshot", *["delta"] * (len(frames) - 1)] == [frame["type"] for frame in frames]
    state: dict[str, Any] = {}
    for frame in frames:
        assert "BTCUSDT" == frame["data"]["symbol"]
        state.update(frame["data"])
    late.subscribe(Category.LINEAR, "tickers.BTCUSDT")
    assert state == late.of("tickers.BTCUSDT")[0]["data"]
    assert min(b["ts"] - a["ts"] for a, b in itertools.pairwise(frames)) >= 100
    assert any("bid1Price" not in frame["data"] for frame in frames)


def test_spot_ticker_sends_snapshots_without_bid_and_ask() -> None:
    venue = synthetic_venue("BTCUSDT", category=Category.SPOT, events_per_s=500)
    client = Recorder(venue)
    client.subscribe(Category.SPOT, "tickers.BTCUSDT")
    venue.advance(START_NS + 2 * SECOND)
    frames = client.of("tickers.BTCUSDT")
    assert len(frames) > 3
    assert ["topic", "ts", "type", "cs", "data"] == list(frames[0])
    assert {"snapshot"} == {frame["type"] for frame in frames}
    assert not any("bid1Price" in frame["data"] for frame in frames)


def test_facts_of_a_source_override_mark_index_and_funding() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=0.0001)
    market = venue.markets[Category.LINEAR, "BTCUSDT"]
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "tickers.BTCUSDT", "priceLimit.BTCUSDT")
    market.facts = MarketFacts(mark_units=6_000_000, index_units=6_000_100)
    market.funding_e8 = -12_500
    venue.advance(START_NS + SECOND)
    delta = client.of("tickers.BTCUSDT")[1]["data"]
    assert ("60000.00", "60001.00", "-0.000125") == (
        delta["markPrice"],
        delta["indexPrice"],
        delta["fundingRate"],
    )
    limit = client.of("priceLimit.BTCUSDT")[-1]
    assert ["topic", "data", "ts"] == list(limit)
    assert {"symbol": "BTCUSDT", "buyLmt": "60600.00", "sellLmt": "59400.00"} == limit["data"]


def test_kline_confirms_the_closed_candle_once_and_adds_up_the_trades() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=0.0001)
    book = venue.markets[Category.LINEAR, "BTCUSDT"].book
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "kline.1.BTCUSDT")
    minute_ns = START_NS // (60 * SECOND) * 60 * SECOND
    for second, price, size in ((1, 100, 1), (20, 130, 2), (40, 90, 3), (59, 110, 4)):
        venue.advance(minute_ns + 60 * SECOND + second * SECOND)
        venue.print_trade(book, Side.BUY, price, size)
    venue.advance(minute_ns + 125 * SECOND)
    frames = client.of("kline.1.BTCUSDT")
    final = [frame["data"][0] for frame in frames if frame["data"][0]["confirm"]]
    assert 1 == len(final)
    candle = final[0]
    assert ("1.00", "1.10", "1.30", "0.90") == (
        candle["open"],
        candle["close"],
        candle["high"],
        candle["low"],
    )
    assert "0.010" == candle["volume"]
    assert "0.0107" == candle["turnover"]
    assert 59_999 == candle["end"] - candle["start"]
    flat = frames[-1]["data"][0]
    assert ("1.10", "1.10", "0") == (flat["open"], flat["close"], flat["volume"])


def test_candles_of_longer_intervals_add_up_the_minutes() -> None:
    series = CandleSeries()
    start = interval_start_ms("15", START_NS // 1_000_000)
    for minute, price in enumerate((10, 20, 5, 7)):
        series.add(price, 2, start + minute * 60_000)
    (candle,) = series.candles("15", start + 200_000)
    assert (start, 10, 20, 5, 7, 8, 84) == (
        candle.start_ms,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.turnover,
    )


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("240", 1_672_315_200_000, 1_672_329_600_000),
        ("D", 1_672_272_000_000, 1_672_358_400_000),
        ("W", 1_672_012_800_000, 1_672_617_600_000),
        ("M", 1_669_852_800_000, 1_672_531_200_000),
    ],
)
def test_interval_bounds_follow_the_calendar_in_utc(interval: str, start: int, end: int) -> None:
    assert start == interval_start_ms(interval, 1_672_324_988_882)
    assert end == interval_end_ms(interval, start)


@pytest.mark.parametrize(
    "topic",
    [
        "orderbook.500.BTCUSDT",
        "orderbook.BTCUSDT",
        "orderbook.50.btcusdt",
        "orderbook.50.1.BTCUSDT",
        "orderbook.01.BTCUSDT",
        "kline.2.BTCUSDT",
        "publicTrade.NOPEUSDT",
        "publicTrade",
        "tickers.1.BTCUSDT",
        "liquidation.BTCUSDT",
        "order",
        "",
        ".",
    ],
)
def test_topic_that_does_not_exist_has_no_stream(topic: str) -> None:
    assert synthetic_venue("BTCUSDT").stream(Category.LINEAR, topic) is None


def test_liquidations_are_accepted_and_silent() -> None:
    venue = synthetic_venue("BTCUSDT", events_per_s=500)
    client = Recorder(venue)
    client.subscribe(Category.LINEAR, "allLiquidation.BTCUSDT")
    venue.advance(START_NS + SECOND)
    assert [] == client.frames
