"""Public REST answers over a real socket, and the simulator as a process."""

import asyncio
import json
import signal
import sys
from typing import Any

import pytest

from tests.integration.simulator_public.client import client, get, is_book, simulator
from tickwright.core.identity import Category
from tickwright.simulator.sources.synthetic import SyntheticStyle

_BUSY = SyntheticStyle(events_per_s=600.0, quiet_symbols=0)
_BOTH = (Category.LINEAR, Category.SPOT)


async def test_every_answer_has_the_envelope() -> None:
    async with simulator(categories=_BOTH) as running:
        for path, query in (
            ("time", {}),
            ("instruments-info", {"category": "linear"}),
            ("instruments-info", {"category": "spot"}),
            ("orderbook", {"category": "spot", "symbol": "BTCUSDT"}),
            ("tickers", {"category": "linear"}),
            ("tickers", {"category": "spot", "symbol": "BTCUSDT"}),
            ("kline", {"category": "linear", "symbol": "BTCUSDT", "interval": "5"}),
            ("recent-trade", {"category": "spot", "symbol": "BTCUSDT"}),
            ("funding/history", {"category": "linear", "symbol": "BTCUSDT"}),
            ("price-limit", {"category": "linear", "symbol": "BTCUSDT"}),
        ):
            answer = await get(running, f"/v5/market/{path}", **query)
            assert ["retCode", "retMsg", "result", "retExtInfo", "time"] == list(answer)
            assert 0 == answer["retCode"], answer


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("instruments-info", {}),
        ("instruments-info", {"category": "future"}),
        ("instruments-info", {"category": "linear", "symbol": "NOPEUSDT"}),
        ("instruments-info", {"category": "linear", "limit": "0"}),
        ("instruments-info", {"category": "linear", "limit": "many"}),
        ("instruments-info", {"category": "linear", "cursor": "first%3DX%26last%3DX"}),
        ("orderbook", {"category": "linear"}),
        ("orderbook", {"category": "linear", "symbol": "btcusdt"}),
        ("orderbook", {"category": "linear", "symbol": "BTCUSDT", "limit": "1001"}),
        ("kline", {"category": "linear", "symbol": "BTCUSDT", "interval": "2"}),
        ("funding/history", {"category": "spot", "symbol": "BTCUSDT"}),
        ("funding/history", {"category": "linear", "symbol": "BTCUSDT", "startTime": "1"}),
    ],
)
async def test_wrong_parameter_is_10001(path: str, query: dict[str, str]) -> None:
    async with simulator(categories=_BOTH) as running:
        answer = await get(running, f"/v5/market/{path}", **query)
        assert (10001, {}) == (answer["retCode"], answer["result"])
        assert answer["retMsg"]


async def test_instruments_are_paged_to_the_last() -> None:
    async with simulator(symbols=25) as running:
        query: dict[str, Any] = {"category": "linear", "limit": 10}
        seen, cursor, pages = [], "", 0
        while True:
            more = {"cursor": cursor} if cursor else {}
            result = (await get(running, "/v5/market/instruments-info", **query, **more))["result"]
            seen += [row["symbol"] for row in result["list"]]
            cursor, pages = result["nextPageCursor"], pages + 1
            if not cursor:
                break
        assert (25, 3) == (len(set(seen)), pages)
        assert seen == [symbol for _, symbol in running.venue.markets]


async def test_rest_book_carries_the_u_of_the_1000_level_topic() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        topic = "orderbook.1000.BTCUSDT"
        query = {"category": "linear", "symbol": "BTCUSDT", "limit": 1000}
        before = (await get(running, "/v5/market/orderbook", **query))["result"]
        assert {"s", "a", "b", "ts", "u", "seq", "cts"} == set(before)
        assert 1000 == len(before["b"])
        await public.subscribe(topic)
        for _ in range(4):
            await public.wait(is_book)
        result = (await get(running, "/v5/market/orderbook", **query))["result"]
        while public.books[topic].u < result["u"]:
            await public.wait(is_book)
        assert result["u"] == public.books[topic].u
        assert (result["b"], result["a"]) == public.books[topic].levels()


async def test_recent_trades_and_candles_are_newest_first() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await public.subscribe("publicTrade.BTCUSDT")
        for _ in range(10):
            await public.wait(lambda frame: "publicTrade" in frame.get("topic", ""))
        query = {"category": "linear", "symbol": "BTCUSDT"}
        rows = (await get(running, "/v5/market/recent-trade", **query, limit=8))["result"]["list"]
        times = [int(row["time"]) for row in rows]
        assert 8 == len(rows)
        assert sorted(times, reverse=True) == times
        candles = (await get(running, "/v5/market/kline", **query, interval="1"))["result"]["list"]
        assert 7 == len(candles[0])
        assert candles[0][4] == rows[0]["price"] or candles


async def test_simulator_as_a_process_prints_one_line_and_stops_cleanly() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tickwright.simulator",
        "2",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = await process.stdout.readline()
        ready = json.loads(line)
        assert {"rest", "public", "private", "trade"} == set(ready)
        assert ready["public"].endswith("/v5/public")
        process.send_signal(signal.SIGTERM)
        rest, errors = await process.communicate()
    assert (0, b"", b"") == (process.returncode, rest, errors)
