"""Endpoints by name: batches, budgets, and whatever a client may send."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulator_private.house import House
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.private.limits import AddressLimits, RequestLimits
from tickwright.simulator.private.service import GETS, POSTS, Service

FIELDS = [
    "category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderLinkId",
    "orderId", "positionIdx", "reduceOnly", "closeOnTrigger", "marketUnit", "triggerPrice",
    "triggerDirection", "triggerBy", "orderFilter", "takeProfit", "stopLoss", "tpslMode", "smpType",
    "slippageToleranceType", "slippageTolerance", "buyLeverage", "sellLeverage", "mode", "coin",
    "bboSideType", "bboLevel", "isLeverage", "modifyEnable",
    "settleCoin", "request", "limit", "cursor", "openOnly", "startTime", "endTime", "accountType",
]  # fmt: skip
WORDS = [
    "", "linear", "spot", "inverse", "BTCUSDT", "Buy", "Sell", "Limit", "Market", "GTC", "FOK", "0",
    "1", "0.01", "59000", "60001", "-1", "1e5", "NaN", "Infinity", "9" * 40, "٣", "PostOnly",
    "quoteCoin", "Order", "StopOrder", "tpslOrder", "MarkPrice", "Full", "Percent", "TickSize",
    "USDT", "UNIFIED", "CancelBoth", "Queue", "Counterparty", "x" * 37, "\ud800",
]  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.lists(st.sampled_from(WORDS), max_size=2),
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=14)
LIKELY = BODIES.map(
    lambda body: {
        "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
        "qty": "0.01", "price": "59000",
    } | body
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(sorted(POSTS)), st.one_of(BODIES, LIKELY)), max_size=12))
def test_any_body_then_is_answered_with_a_code_and_the_books_balance(calls):
    house = House()
    service = Service(house.desk, RequestLimits(100.0), FaultBoard(Random(3)))
    key = house.accounts.keys["key0"]
    for name, body in calls:
        wrapped = {"category": "linear", "request": [body, 7]} if "batch" in name else body
        answer = service.post(key, name, wrapped)
        assert isinstance(answer.code, int)
        assert answer.text
        house.run()
    assert house.ledger.faults() + house.desk.faults() == []


@settings(max_examples=100)
@given(
    st.sampled_from(sorted(GETS)), st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(WORDS))
)
def test_any_query_then_is_answered_with_a_code(name, query):
    house = House()
    answer = Service(house.desk, RequestLimits(), FaultBoard(Random(3))).get(
        house.accounts.keys["key0"], name, query
    )
    assert isinstance(answer.code, int)


def test_batch_when_the_budget_ends_midway_then_the_first_pass_and_the_rest_fail_alone():
    house = House()
    service = Service(house.desk, RequestLimits(), FaultBoard(Random(3)))
    order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001"}
    order["price"] = "59000"
    body = {"category": "linear", "request": [order] * 12}
    answer = service.post(house.accounts.keys["key0"], "order.create-batch", body)
    assert (answer.code, answer.budget and answer.budget.left) == (0, 0)
    assert [verdict["code"] for verdict in answer.extra["list"]] == [0] * 10 + [10006] * 2
    again = service.post(house.accounts.keys["key0"], "order.create-batch", body)
    assert again.code == 10006


def test_budget_then_comes_back_one_rolling_second_after_it_was_spent():
    limits = RequestLimits()
    for now_ms in range(0, 1_000, 100):
        assert limits.spend(1, "order.create", None, now_ms).is_allowed
    refused = limits.spend(1, "order.create", None, 999)
    assert (refused.is_allowed, refused.left, refused.reset_ms) == (False, 0, 1_000)
    assert limits.spend(1, "order.create", None, 1_000).is_allowed
    assert limits.spend(2, "order.create", None, 999).is_allowed


def test_address_over_its_limit_then_is_banned_until_the_ban_ends():
    limits = AddressLimits(2, 5_000, 60_000)
    assert [limits.is_allowed("a", at) for at in (0, 1, 2, 59_000)] == [True, True, False, False]
    assert limits.is_allowed("b", 2)
    assert limits.is_allowed("a", 60_002)
