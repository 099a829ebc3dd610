"""Setting a position's stops by REST: what is sent, and what each answer proves."""

from typing import Any

import msgspec
import pytest

from tests.integration.bybit_private.conftest import Script, caller_of
from tests.unit.engine.bench import instrument
from tickwright.core.commands import SetPositionStops
from tickwright.core.events import Outcome
from tickwright.core.identity import AccountId, Leg
from tickwright.venues.bybit.stops_rest import send_stops

RULES = instrument(price_decimals=2)


def command(**changes: Any) -> SetPositionStops:
    values: dict[str, Any] = {
        "account_id": AccountId("bybit", "main"),
        "instrument_id": RULES.id,
        "leg": Leg.NET,
        "number": 7,
        "stop_units": None,
        "take_units": None,
        "trailing_distance_units": None,
        "trailing_active_units": None,
        "event_id": 1,
    }
    return SetPositionStops(**{**values, **changes})


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({"stop_units": 5_000_050}, {"stopLoss": "50000.50", "slTriggerBy": "LastPrice"}),
        ({"take_units": 7_000_000}, {"takeProfit": "70000.00", "tpTriggerBy": "LastPrice"}),
        (
            {"trailing_distance_units": 30_000, "trailing_active_units": 6_060_000},
            {"trailingStop": "300.00", "activePrice": "60600.00"},
        ),
    ],
)
async def test_stops_when_sent_then_only_what_changes_stands_in_the_body(
    script: Script, wanted: dict[str, int], sent: dict[str, str]
) -> None:
    script.say('{"retCode":0,"retMsg":"OK","result":{},"time":1700000000123}')
    caller = caller_of(script.url, key="k", secret="s")
    reply, _ = await send_stops(caller, command(**wanted), RULES)
    await caller.http.aclose()
    ((method, path, _, body),) = script.requests
    assert ("POST", "/v5/position/trading-stop") == (method, path)
    where = {"category": "linear", "symbol": "BTCUSDT", "positionIdx": 0, "tpslMode": "Full"}
    assert where | sent == msgspec.json.decode(body)
    assert (7, Outcome.ACCEPTED, 1_700_000_000_123_000_000) == (
        reply.number,
        reply.outcome,
        reply.venue_ns,
    )


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (34040, Outcome.ACCEPTED),  # not modified: it is held already
        (10001, Outcome.REFUSED),
        (10005, Outcome.REFUSED),
        (10006, Outcome.UNKNOWN),
        (10002, Outcome.UNKNOWN),
        (10016, Outcome.UNKNOWN),
        (999_999, Outcome.UNKNOWN),
    ],
)
async def test_answer_when_read_then_proves_what_its_code_says(
    script: Script, code: int, outcome: Outcome
) -> None:
    script.say(f'{{"retCode":{code},"retMsg":"why","result":{{}},"time":1700000000123}}')
    caller = caller_of(script.url, key="k", secret="s")
    reply, answer = await send_stops(caller, command(stop_units=5_000_000), RULES)
    await caller.http.aclose()
    assert (code, outcome, "why") == (reply.code, reply.outcome, reply.text)
    assert answer is not None


async def test_answer_when_a_gateway_answers_then_unknown(script: Script) -> None:
    script.say("<html>502</html>", status=502)
    caller = caller_of(script.url, key="k", secret="s")
    reply, answer = await send_stops(caller, command(stop_units=5_000_000), RULES)
    await caller.http.aclose()
    assert Outcome.UNKNOWN is reply.outcome
    assert answer is None
