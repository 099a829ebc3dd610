"""Private queries read every page, keep cursors as they came, and fail as a whole."""

import json
from typing import Any

import pytest

from tests.integration.bybit_private.conftest import Naps, Script, caller_of
from tests.unit.venues.bybit.accounts import ACCOUNT, BTC, CLIENT, instrument_of
from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.commands import CancelAll, QueryOrder
from tickwright.core.errors import FrameError, VenueError
from tickwright.core.events import OrderAbsent, RateLimitReport
from tickwright.core.identity import Category
from tickwright.venues.bybit.account_rest import BybitAccountClient
from tickwright.venues.bybit.rest import BybitMarketClient


def _client(script: Script, limits: list[RateLimitReport] | None = None) -> BybitAccountClient:
    caller = caller_of(script.url, Naps(), key="k" * 10, secret="s" * 10)
    return BybitAccountClient(
        ACCOUNT,
        caller,
        instrument_of,
        settle_assets=("USDT",),
        on_limit=None if limits is None else limits.append,
    )


def _page(name: str, cursor: str = "", **changes: Any) -> str:
    document = json.loads((SAMPLES / f"{name}.json").read_text())
    document["result"]["list"][0] |= changes
    document["result"]["nextPageCursor"] = cursor
    return json.dumps(document)


def _empty(code: int = 0) -> str:
    return json.dumps({"retCode": code, "retMsg": "", "result": {"list": []}, "time": 5})


async def test_open_orders_when_two_pages_then_both_and_the_cursor_as_it_came(script: Script):
    script.say(_page("rest-order-realtime", "page_args%3Dfd43%26symbol%3D6%26"))
    script.say(_page("rest-order-realtime", "next%3D2", orderId="second"))
    script.say(_empty())
    client = _client(script)
    orders = await client.open_orders(Category.LINEAR)
    assert ["fd4300ae-7847-404e-b947-b46980a4d140", "second"] == [o.venue_id for o in orders]
    base = "/v5/order/realtime?category=linear&settleCoin=USDT&openOnly=0&limit=50"
    assert [base, f"{base}&cursor=page_args%3Dfd43%26symbol%3D6%26", f"{base}&cursor=next%3D2"] == [
        request[1] for request in script.requests
    ]
    await client._caller.http.aclose()


async def test_open_orders_when_the_second_page_fails_then_no_answer_at_all(script: Script):
    script.say(_page("rest-order-realtime", "more"))
    script.say(_empty(10005))
    client = _client(script)
    with pytest.raises(VenueError):
        await client.open_orders(Category.LINEAR)
    await client._caller.http.aclose()


async def test_open_orders_when_an_instrument_is_not_held_then_left_out_and_counted(
    script: Script,
):
    script.say(_page("rest-order-realtime", symbol="NEWUSDT"))
    client = _client(script)
    assert () == await client.open_orders(Category.LINEAR)
    assert 1 == client.unlisted_rows
    await client._caller.http.aclose()


async def test_open_orders_when_a_row_is_wrong_then_the_query_failed(script: Script):
    script.say(_page("rest-order-realtime", qty="much"))
    client = _client(script)
    with pytest.raises(FrameError):
        await client.open_orders(Category.LINEAR)
    await client._caller.http.aclose()


async def test_open_orders_when_pages_never_end_then_frame_error(script: Script):
    for number in range(200):
        script.say(_page("rest-order-realtime", f"c{number}"))
    client = _client(script)
    with pytest.raises(FrameError, match="no end"):
        await client.open_orders(Category.LINEAR)
    await client._caller.http.aclose()


async def test_fills_when_made_in_one_millisecond_then_in_the_order_the_venue_made_them(
    script: Script,
):
    document = json.loads((SAMPLES / "rest-execution-list.json").read_text())
    row = document["result"]["list"][0]
    rows = [row | {"symbol": "ETHPERP", "execId": name} for name in ("newest", "middle", "oldest")]
    for first, last in ((0, 2), (2, 3)):
        document["result"]["list"] = rows[first:last]
        document["result"]["nextPageCursor"] = "more" if last < len(rows) else ""
        script.say(json.dumps(document))
    client = _client(script)
    since = int(row["execTime"]) * 1_000_000
    client._caller.now = lambda: since + 1
    fills = await client.fills(Category.LINEAR, since_ns=since)
    assert ["oldest", "middle", "newest"] == [fill.execution_id for fill in fills]
    await client._caller.http.aclose()


async def test_fills_when_weeks_are_missed_then_each_window_is_asked_and_ids_are_unique(
    script: Script,
):
    client = _client(script)
    week_ns = 7 * 24 * 3_600 * 10**9
    for _ in range(3):
        script.say(_page("rest-execution-list", symbol="ETHPERP"))
    since = client._caller.now() - 2 * week_ns - 1_000_000_000
    fills = await client.fills(Category.LINEAR, since_ns=since)
    assert 1 == len(fills)
    assert 3 == len(script.requests)
    await client._caller.http.aclose()


async def test_query_when_the_venue_ignores_the_filter_then_foreign_orders_are_no_evidence(
    script: Script,
):
    for name in ("rest-order-realtime", "rest-execution-list"):
        script.say(_page(name))
    client = _client(script)
    query = QueryOrder(account_id=ACCOUNT, client_id=CLIENT, instrument_id=BTC, event_id=1)
    (found,) = await client.query_order(query)
    assert isinstance(found, OrderAbsent)
    assert "orderLinkId=" + CLIENT in script.requests[0][1]
    await client._caller.http.aclose()


async def test_key_rights_when_it_may_withdraw_then_said(script: Script):
    script.say(
        json.dumps(
            {
                "retCode": 0,
                "result": {
                    "permissions": {"Wallet": ["AccountTransfer", "Withdraw"], "Spot": []},
                    "readOnly": 0,
                    "ips": ["*"],
                    "expiredAt": "2026-01-01T00:00:00Z",
                },
                "time": 5,
            }
        )
    )
    client = _client(script)
    rights = await client.key_rights()
    assert (True, False, False) == (
        rights.can_withdraw,
        rights.is_read_only,
        rights.is_bound_to_address,
    )
    assert ("Wallet.AccountTransfer", "Wallet.Withdraw") == rights.permissions
    await client._caller.http.aclose()


async def test_cancel_all_when_a_call_is_full_then_repeated_without_touching_stops(
    script: Script,
):
    ids = [{"orderId": str(number), "orderLinkId": ""} for number in range(500)]
    headers = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "8"}
    for rows in (ids, ids[:3]):
        script.say(
            json.dumps({"retCode": 0, "result": {"list": rows, "success": "1"}, "time": 5}),
            headers=headers,
        )
    limits: list[RateLimitReport] = []
    client = _client(script, limits)
    command = CancelAll(account_id=ACCOUNT, instrument_id=None, event_id=1)
    assert 503 == await client.cancel_all(command, category=Category.LINEAR)
    body = {"category": "linear", "settleCoin": "USDT", "orderFilter": "Order"}
    assert [body, body] == [json.loads(request[3]) for request in script.requests]
    assert [("cancel-all.linear", 10, 8)] * 2 == [(r.group, r.limit, r.remaining) for r in limits]
    await client._caller.http.aclose()


async def test_instruments_when_paged_then_all_and_faults_aside(script: Script):
    first = json.loads((SAMPLES / "rest-instruments-linear-premarket.json").read_text())
    second = json.loads((SAMPLES / "rest-instruments-linear.json").read_text())
    broken = second["result"]["list"][0] | {"symbol": "BADUSDT", "priceFilter": {}}
    second["result"]["list"].append(broken)
    script.say(json.dumps(first))
    script.say(json.dumps(second))
    caller = caller_of(script.url, Naps())
    market = BybitMarketClient(caller)
    listed = await market.instruments(Category.LINEAR)
    assert ["BIOUSDT", "BTCUSDT"] == [instrument.symbol for instrument in listed]
    assert ["BADUSDT"] == [fault.symbol for fault in market.faults]
    assert script.requests[1][1].endswith("&limit=1000&cursor=first%3DBIOUSDT%26last%3DBIOUSDT")
    await caller.http.aclose()


async def test_book_when_another_symbol_answers_then_frame_error(script: Script):
    script.say((SAMPLES / "rest-orderbook.json").read_bytes())
    caller = caller_of(script.url, Naps())
    with pytest.raises(FrameError, match="asked for"):
        await BybitMarketClient(caller).top_of_book(instrument_of(Category.LINEAR, "ETHUSDT"))
    await caller.http.aclose()


async def test_candles_when_sample_then_oldest_first_and_the_open_one_is_not_final(
    script: Script,
):
    script.say((SAMPLES / "rest-kline.json").read_bytes())
    caller = caller_of(script.url, Naps())
    candles = await BybitMarketClient(caller).candles(
        instrument_of(Category.INVERSE, "BTCUSD"), "60"
    )
    starts = [candle.start_ns // 10**6 for candle in candles]
    assert [1670601600000, 1670605200000, 1670608800000] == starts
    assert all(candle.is_final for candle in candles)
    assert (1705550, 268611) == (candles[-1].close_units, candles[-1].volume_units)
    await caller.http.aclose()
