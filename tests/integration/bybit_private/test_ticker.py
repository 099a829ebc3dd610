"""Prices of now by REST: the venue's own, and an answer about something else is refused."""

import json
from typing import Any

import pytest

from tests.integration.bybit_private.conftest import Script, caller_of
from tests.unit.portfolio.worlds import linear
from tickwright.core.errors import FrameError
from tickwright.core.events import FundingUpdate, LastPrice, MarkPrice
from tickwright.core.identity import Category
from tickwright.core.units import units_from_text
from tickwright.simulator.run import RunningSimulator
from tickwright.venues.bybit.rest import BybitMarketClient

BTC = linear()


def answer(*rows: dict[str, Any]) -> str:
    result = {"category": "linear", "list": list(rows)}
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": 1_790_000_000_123})


async def test_ticker_when_asked_of_a_venue_then_mark_and_funding_of_now(venue: RunningSimulator):
    caller = caller_of(venue.rest)
    try:
        market = BybitMarketClient(caller)
        (instrument,) = await market.instruments(Category.LINEAR, symbol="BTCUSDT")
        events = await market.ticker(instrument)
        book = await market.book(instrument, limit=1)
    finally:
        await caller.http.aclose()
    (mark,) = [event for event in events if isinstance(event, MarkPrice)]
    assert abs(mark.price_units - book.bids[0][0]) < mark.price_units // 100
    assert 1 == len([event for event in events if isinstance(event, FundingUpdate)])


async def test_ticker_when_fields_are_empty_then_they_make_no_event(script: Script):
    script.say(answer({"symbol": "BTCUSDT", "lastPrice": "60000.10", "markPrice": ""}))
    caller = caller_of(script.url)
    try:
        events = await BybitMarketClient(caller).ticker(BTC)
    finally:
        await caller.http.aclose()
    units = units_from_text("60000.10", BTC.price_decimals)
    assert (LastPrice(BTC.id, units, 1_790_000_000_123_000_000),) == events


@pytest.mark.parametrize(
    "rows", [(), ({"symbol": "ETHUSDT"},), ({"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT"})]
)
async def test_ticker_when_the_answer_is_of_something_else_then_refused(
    script: Script, rows: tuple[dict[str, Any], ...]
):
    script.say(answer(*rows))
    caller = caller_of(script.url)
    try:
        with pytest.raises(FrameError, match="REST ticker of"):
            await BybitMarketClient(caller).ticker(BTC)
    finally:
        await caller.http.aclose()
