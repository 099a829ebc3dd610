"""Who may ask, and when: signatures, clocks, rights, over real sockets."""

import pytest

from tests.integration.simulator_private.client import now_ms, running
from tickwright.simulator.private import AccountSpec
from tickwright.simulator.private.accounts import signature

VECTORS = [
    (
        "1658384314791XXXXXXXXXX5000category=option&symbol=BTC-29JUL22-25000-C",
        "37813c67fafb3017e92354eb88f218e7e52a98f9f5eb74cfcf0b21f17edb143b",
    ),
    (
        '1658385579423XXXXXXXXXX5000{"category": "option"}',
        "4cbc693a498014a4d2c81ae4b7e33a28715cd1b6eec43163dc9b15acfa3c8763",
    ),
    (
        "GET/realtime1662350400000",
        "9c4c0629fddfee26ca0da50a7fed51968fce6935d34b02e772d3bd0c34327bd1",
    ),
]
INFO = "/v5/account/info"


@pytest.mark.parametrize(("text", "expected"), VECTORS)
def test_signature_of_a_documented_text_then_is_the_documented_one(text, expected):
    assert signature("YYYYYYYYYY", text) == expected


async def test_rest_request_when_signed_then_is_answered_with_its_budget():
    async with running() as client:
        answer = await client.get(INFO)
        assert (answer["retCode"], answer["result"]["unifiedMarginStatus"]) == (0, 5)
        assert client.headers["X-Bapi-Limit"] == "50"
        assert client.headers["X-Bapi-Limit-Status"] == "49"


async def test_rest_request_when_not_signed_right_then_each_fault_has_its_code():
    async with running() as client:
        async with client.http.get(f"{client.venue.rest}{INFO}") as response:
            assert (await response.json())["retCode"] == 10001
        client.key = "nobody"
        assert (await client.get(INFO))["retCode"] == 10003
        client.key = "tickwright-demo-key"
        client.secret = "wrong"
        assert (await client.get(INFO))["retCode"] == 10004


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [(-4_000, "5000", 0), (-6_000, "5000", 10002), (-6_000, "9000", 0), (1_500, "60000", 10002)],
)
async def test_rest_request_when_the_clock_is_off_then_only_a_slow_one_can_be_covered(
    offset_ms, window, code
):
    async with running() as client:
        answer = await client.get(INFO, at_ms=client.clock_ms() + offset_ms, window=window)
        assert answer["retCode"] == code
        assert ("recv_window[" in answer["retMsg"]) is (code == 10002)


async def test_query_when_its_text_is_escaped_then_is_signed_as_it_was_sent():
    async with running() as client:
        answer = await client.get("/v5/order/realtime", "category=linear&symbol=BTC%55SDT")
        assert answer["retCode"] == 0


async def test_get_with_a_body_then_403():
    async with running() as client:
        headers = client.sign("")
        url = f"{client.venue.rest}{INFO}"
        async with client.http.get(url, headers=headers, json={}) as response:
            assert response.status == 403


async def test_private_socket_before_auth_then_refuses_topics_and_says_pong():
    async with running() as client, client.socket(client.venue.private) as socket:
        answer = await socket.ask(op="subscribe", args=["order"])
        assert answer["success"] is False
        pong = await socket.ask(op="ping", req_id="test")
        assert (pong["op"], pong["req_id"]) == ("pong", "test")
        assert pong["args"][0].isdigit()
        late = await socket.ask(op="auth", args=[client.key, now_ms() - 2_000, "00"])
        assert (late["success"], late["ret_msg"]) == (False, "Params Error")
        wrong = await socket.authorise(client.key, "wrong")
        assert wrong["success"] is False
        right = await socket.authorise(client.key, client.secret)
        assert (right["success"], right["op"], right["ret_msg"]) == (True, "auth", "")


async def test_private_subscription_when_a_topic_is_wrong_then_the_whole_request_is_refused():
    async with running() as client, client.stream("order") as socket:
        for topics in (["execution", "moon"], ["execution", "order"], ["wallet", "wallet.linear"]):
            assert (await socket.ask(op="subscribe", args=topics))["success"] is False
        mixed = await socket.ask(op="subscribe", args=["execution", "execution.linear"])
        assert mixed["success"] is False
        assert (await socket.ask(op="subscribe", args=["execution"], req_id="9"))["req_id"] == "9"


async def test_trade_socket_when_auth_goes_wrong_then_answers_in_its_own_shape():
    async with running() as client, client.socket(client.venue.trade) as socket:
        unauthorised = await socket.order("order.create", "1", category="linear")
        assert unauthorised["retCode"] == 10005
        assert (await socket.authorise(client.key, "wrong"))["retCode"] == 10004
        assert (await socket.authorise(client.key, client.secret))["retCode"] == 0
        assert (await socket.authorise(client.key, client.secret))["retCode"] == 20001
        pong = await socket.ask(op="ping")
        assert (pong["retCode"], pong["op"]) == (0, "pong")
        assert pong["data"][0].isdigit()


async def test_read_only_key_then_may_look_and_not_trade():
    account = AccountSpec("looker", "looker-secret", (), read_only=True)
    async with running(accounts=(account,)) as client:
        client.key, client.secret = "looker", "looker-secret"
        key = await client.get("/v5/user/query-api")
        assert key["result"]["readOnly"] == 1
        assert "Withdraw" not in key["result"]["permissions"]["Wallet"]
        assert (await client.create(side="Buy", price="50000"))["retCode"] == 10005
