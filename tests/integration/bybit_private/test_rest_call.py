"""REST calls repeat queries only, keep silence after a ban, and never guess at an answer."""

import json

import pytest

from tests.integration.bybit_private.conftest import Naps, Script, caller_of
from tickwright.core.errors import ConfigError, ConnectionLost, FrameError, VenueError
from tickwright.net.http import NeverSent
from tickwright.venues.bybit.rest_call import RestCaller, query_text

PATH = "/v5/position/list"


def _envelope(code: int = 0, result: object = None, text: str = "OK") -> str:
    return json.dumps(
        {"retCode": code, "retMsg": text, "result": result or {}, "retExtInfo": {}, "time": 1700}
    )


def _time(offset_ms: int, naps: Naps) -> str:
    nano = naps.now() + offset_ms * 1_000_000
    return _envelope(result={"timeSecond": str(nano // 10**9), "timeNano": str(nano)})


async def _close(caller: RestCaller) -> None:
    await caller.http.aclose()


async def test_get_when_signed_then_signature_covers_the_query_as_sent(script: Script):
    script.say(_envelope())
    caller = caller_of(script.url, key="X" * 10, secret="Y" * 10)
    await caller.get(
        PATH,
        (("category", "linear"), ("symbol", ""), ("settleCoin", "US DT")),
        cursor="a%3D1%2C2",
        is_signed=True,
    )
    _, path, headers, _ = script.requests[0]
    query = "category=linear&settleCoin=US%20DT&cursor=a%3D1%2C2"
    assert f"{PATH}?{query}" == path
    stamp = headers["x-bapi-timestamp"]
    credentials = caller_of("http://x", key="X" * 10, secret="Y" * 10)._credentials
    assert credentials is not None
    assert credentials.sign(f"{stamp}{'X' * 10}5000{query}") == headers["x-bapi-sign"]
    await _close(caller)


async def test_get_when_gateway_fails_then_repeated_with_growing_jittered_waits(script: Script):
    script.say("<html>502 Bad Gateway</html>", status=502, times=2)
    script.say(_envelope(10016, text="server error"))
    script.say(_envelope(result={"list": [1]}))
    naps = Naps()
    caller = caller_of(script.url, naps)
    answer = await caller.get("/v5/market/x")
    assert {"list": [1]} == answer.result
    assert 3 == len(naps.slept)
    for step, slept in enumerate(naps.slept):
        assert 0.1 * 2**step <= slept <= 0.2 * 2**step
    await _close(caller)


async def test_get_when_answers_stay_unreadable_then_frame_error_with_the_text(script: Script):
    script.say("<html>502 Bad Gateway</html>", status=502, times=4)
    caller = caller_of(script.url, Naps())
    with pytest.raises(FrameError, match=r"HTTP 502.*Bad Gateway"):
        await caller.get("/v5/market/x")
    assert 4 == len(script.requests)
    await _close(caller)


async def test_get_when_venue_refuses_then_venue_error_at_once(script: Script):
    script.say(_envelope(10001, text="params error"))
    caller = caller_of(script.url, Naps())
    with pytest.raises(VenueError) as caught:
        await caller.get("/v5/market/x")
    assert (10001, "/v5/market/x", 1) == (
        caught.value.code,
        caught.value.what,
        len(script.requests),
    )
    await _close(caller)


async def test_get_when_banned_then_ten_minutes_without_a_request(script: Script):
    script.say("access too frequent", status=403)
    naps = Naps()
    caller = caller_of(script.url, naps)
    with pytest.raises(FrameError, match="HTTP 403"):
        await caller.get("/v5/market/x")
    with pytest.raises(NeverSent, match="silence"):
        await caller.get("/v5/market/x")
    with pytest.raises(NeverSent):
        await caller.server_clock()
    assert 1 == len(script.requests)
    assert caller.budget.silent_for_ns(naps.now()) > 590 * 10**9
    naps.ahead_ns += 601 * 10**9
    script.say(_envelope())
    await caller.get("/v5/market/x")
    await _close(caller)


async def test_get_when_rate_is_exceeded_then_waits_and_repeats(script: Script):
    script.say(_envelope(10006, text="Too many visits"))
    script.say(_envelope())
    naps = Naps()
    caller = caller_of(script.url, naps, key="k" * 10, secret="s" * 10)
    await caller.get(PATH, group="position/list", is_signed=True)
    assert 1.0 <= sum(naps.slept) <= 1.6
    await _close(caller)


async def test_get_when_clock_is_wrong_then_measured_and_repeated_once(script: Script):
    naps = Naps()
    script.say(_envelope(10002, text="check your timestamp"))
    script.say(_time(5_000, naps))
    script.say(_envelope())
    caller = caller_of(script.url, naps, key="k" * 10, secret="s" * 10)
    await caller.get(PATH, is_signed=True)
    first, second = script.requests[0][2], script.requests[2][2]
    moved = int(second["x-bapi-timestamp"]) - int(first["x-bapi-timestamp"])
    assert 4_900 < moved < 6_000
    script.say(_envelope(10002))
    script.say(_time(5_000, naps))
    script.say(_envelope(10002))
    with pytest.raises(VenueError):
        await caller.get(PATH, is_signed=True)
    await _close(caller)


async def test_get_when_limit_headers_say_nothing_is_left_then_the_next_one_waits(script: Script):
    naps = Naps()
    reset = naps.now() // 1_000_000 + 800
    headers = {
        "X-Bapi-Limit": "50",
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": str(reset),
    }
    script.say(_envelope(), headers=headers)
    script.say(_envelope())
    caller = caller_of(script.url, naps, key="k" * 10, secret="s" * 10)
    await caller.get(PATH, group="position/list", is_signed=True)
    await caller.get(PATH, group="position/list", is_signed=True)
    assert 0.5 < sum(naps.slept) <= 0.8
    await _close(caller)


async def test_post_when_server_fails_then_sent_once_and_unreadable(script: Script):
    script.say("<html>", status=502)
    caller = caller_of(script.url, Naps(), key="k" * 10, secret="s" * 10)
    with pytest.raises(FrameError):
        await caller.post("/v5/order/create", b"{}", group="create.linear", is_urgent=False)
    method, _, headers, body = script.requests[0]
    assert ("POST", "application/json", b"{}") == (method, headers["content-type"], body)
    assert 1 == len(script.requests)
    await _close(caller)


async def test_post_when_budget_is_used_up_then_never_sent(script: Script):
    script.say(_envelope(), times=10)
    caller = caller_of(script.url, key="k" * 10, secret="s" * 10)
    for _ in range(10):
        await caller.post("/v5/order/create", b"{}", group="create.linear", is_urgent=False)
    with pytest.raises(NeverSent, match="budget"):
        await caller.post("/v5/order/create", b"{}", group="create.linear", is_urgent=False)
    assert 10 == len(script.requests)
    await _close(caller)


async def test_server_clock_when_asked_then_offset_within_its_uncertainty(script: Script):
    naps = Naps()
    script.say(_time(250, naps))
    caller = caller_of(script.url, naps)
    notice = await caller.server_clock()
    assert abs(notice.offset_ns - 250_000_000) <= notice.uncertainty_ns + 50_000_000
    assert 0 <= notice.uncertainty_ns < 1_000_000_000
    await _close(caller)


@pytest.mark.parametrize("nano", ["soon", "1700000000", "-1700000000000000000"])
async def test_server_clock_when_time_is_no_time_then_frame_error(script: Script, nano: str):
    script.say(_envelope(result={"timeNano": nano}))
    caller = caller_of(script.url)
    with pytest.raises(FrameError):
        await caller.server_clock()
    await _close(caller)


async def test_get_when_nobody_listens_then_connection_lost_after_repeats():
    naps = Naps()
    caller = caller_of("http://127.0.0.1:1", naps)
    with pytest.raises(ConnectionLost):
        await caller.get("/v5/market/x")
    assert 3 == len(naps.slept)
    await _close(caller)


async def test_get_when_no_key_is_there_then_config_error():
    with pytest.raises(ConfigError):
        await caller_of("http://127.0.0.1:1").get(PATH, is_signed=True)


@pytest.mark.parametrize("cursor", ["a&b=c", "a b", "x" * 2000, "a\r\nb", "a#b"])
def test_query_when_cursor_could_change_the_request_then_refused(cursor: str):
    with pytest.raises(FrameError):
        query_text((("a", "b"),), cursor)
