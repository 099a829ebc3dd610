"""Order requests become the venue's rows in plain text, or are refused with the reason."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.bybit.accounts import (
    BTC,
    CLIENT,
    NOW,
    SPOT_BTC,
    amend,
    cancel,
    instrument_by_id,
    place,
)
from tickwright.core.identity import Category, ClientId, InstrumentId, Leg, VenueOrderId
from tickwright.core.orders import OrderType, SelfTradeRule, Side, TimeInForce, TriggerBy
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.port import OrderRequest, Unsendable

ENCODER = OrderEncoder(instrument_by_id)
COMMON = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": CLIENT}


def _wire(request: OrderRequest, **how: Any) -> dict[str, Any]:
    row = ENCODER.row(request, NOW, **how)
    assert not isinstance(row, Unsendable), row
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(row))
    return made


def test_create_when_limit_then_plain_text():
    assert {
        **COMMON,
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.100",
        "price": "61800.50",
        "timeInForce": "GTC",
        "positionIdx": 0,
    } == _wire(place())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"post_only": True}, {"timeInForce": "PostOnly"}),
        ({"time_in_force": TimeInForce.IOC}, {"timeInForce": "IOC"}),
        ({"time_in_force": TimeInForce.FOK}, {"timeInForce": "FOK"}),
        ({"leg": Leg.SHORT}, {"positionIdx": 2}),
        ({"leg": Leg.LONG}, {"positionIdx": 1}),
        ({"side": Side.SELL, "reduce_only": True}, {"side": "Sell", "reduceOnly": True}),
        ({"size_units": 1, "price_units": 1}, {"qty": "0.001", "price": "0.01"}),
        (
            {"stop_loss_price_units": 6_149_150, "take_profit_price_units": 6_272_750},
            {
                "stopLoss": "61491.50",
                "takeProfit": "62727.50",
                "tpslMode": "Full",
                "tpTriggerBy": "LastPrice",
                "slTriggerBy": "LastPrice",
            },
        ),
        (
            {"stop_loss_price_units": 6_149_150, "trigger_by": TriggerBy.MARK},
            {"stopLoss": "61491.50", "tpslMode": "Full", "slTriggerBy": "MarkPrice"},
        ),
    ],
)
def test_create_when_option_is_set_then_its_field(
    changes: dict[str, Any], expected: dict[str, Any]
):
    made = _wire(place(**changes))
    plain = _wire(place())
    assert plain | expected == made


def test_create_when_market_then_no_price_and_immediate():
    made = _wire(place(order_type=OrderType.MARKET, price_units=None))
    assert ("Market", "IOC", False) == (made["orderType"], made["timeInForce"], "price" in made)


@pytest.mark.parametrize(
    ("side", "last", "direction"),
    [
        (Side.SELL, None, 2),
        (Side.BUY, None, 1),
        (Side.SELL, 6_000_000, 1),
        (Side.SELL, 6_200_000, 2),
        (Side.BUY, 6_200_000, 2),
        (Side.BUY, 6_150_000, 1),
    ],
)
def test_create_when_conditional_then_direction(side: Side, last: int | None, direction: int):
    order = place(
        side=side,
        order_type=OrderType.MARKET,
        price_units=None,
        trigger_price_units=6_150_000,
        trigger_by=TriggerBy.MARK,
        reduce_only=True,
    )
    made = _wire(order, last_price_units=last)
    assert ("61500.00", direction, "MarkPrice", True) == (
        made["triggerPrice"],
        made["triggerDirection"],
        made["triggerBy"],
        made["reduceOnly"],
    )


def test_create_when_spot_market_then_base_unit_and_no_leg():
    made = _wire(place(instrument_id=SPOT_BTC.id, order_type=OrderType.MARKET, price_units=None))
    assert {
        "category": "spot",
        "symbol": "BTCUSDT",
        "orderLinkId": CLIENT,
        "side": "Buy",
        "orderType": "Market",
        "qty": "0.000100",
        "timeInForce": "IOC",
        "marketUnit": "baseCoin",
        "isLeverage": 0,
        "orderFilter": "Order",
    } == made


def test_create_when_spot_conditional_then_stop_order():
    made = _wire(place(instrument_id=SPOT_BTC.id, side=Side.SELL, trigger_price_units=6_000_000))
    assert ("StopOrder", "60000.00", False) == (
        made["orderFilter"],
        made["triggerPrice"],
        "triggerDirection" in made,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"valid_until_ns": NOW - 1}, "expired"),
        ({"client_id": ClientId("")}, "client id"),
        ({"client_id": ClientId("a" * 37)}, "client id"),
        ({"client_id": ClientId('a"b')}, "client id"),
        ({"size_units": 0}, "size"),
        ({"price_units": None}, "price"),
        ({"price_units": 0}, "price"),
        ({"order_type": OrderType.MARKET}, "price"),
        ({"post_only": True, "time_in_force": TimeInForce.IOC}, "post-only"),
        ({"reduce_only": True, "stop_loss_price_units": 1}, "bracket"),
        ({"instrument_id": SPOT_BTC.id, "reduce_only": True}, "reduce-only"),
        ({"instrument_id": SPOT_BTC.id, "take_profit_price_units": 1}, "bracket"),
        ({"instrument_id": InstrumentId("bybit", Category.LINEAR, "NOPE")}, "NOPE"),
    ],
)
def test_create_when_venue_cannot_be_asked_then_reason(changes: dict[str, Any], reason: str):
    refused = ENCODER.row(place(**changes), NOW)
    assert isinstance(refused, Unsendable)
    assert reason in refused.reason


@given(
    st.fixed_dictionaries(
        {
            "instrument_id": st.sampled_from([BTC, SPOT_BTC.id]),
            "side": st.sampled_from(Side),
            "order_type": st.sampled_from(OrderType),
            "time_in_force": st.sampled_from(TimeInForce),
            "post_only": st.booleans(),
            "reduce_only": st.booleans(),
            "leg": st.sampled_from(Leg),
            "size_units": st.integers(-1, 2**63 - 1),
            "price_units": st.none() | st.integers(0, 2**63 - 1),
            "stop_loss_price_units": st.none() | st.integers(1, 2**63 - 1),
            "take_profit_price_units": st.none() | st.integers(1, 2**63 - 1),
            "trigger_price_units": st.none() | st.just(1),
            "trigger_by": st.sampled_from(TriggerBy),
            "client_id": st.sampled_from([CLIENT, ClientId('quo"te'), ClientId("a-b_c")]),
        }
    )
)
def test_plain_row_when_any_order_then_the_bytes_of_its_form(changes: dict[str, Any]):
    order = place(**changes)
    plain = ENCODER.plain_row(order, NOW)
    form = ENCODER.row(order, NOW)
    if plain is None:
        assert order.order_type is OrderType.MARKET or order.trigger_price_units is not None
    elif isinstance(plain, Unsendable) or isinstance(form, Unsendable):
        assert plain == form
    else:
        assert plain.text.encode() == msgspec.json.encode(form)
        assert plain.category == form.category


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (SelfTradeRule.NONE, None),
        (SelfTradeRule.CANCEL_MAKER, "CancelMaker"),
        (SelfTradeRule.CANCEL_TAKER, "CancelTaker"),
        (SelfTradeRule.CANCEL_BOTH, "CancelBoth"),
    ],
)
def test_create_when_the_account_has_a_rule_for_its_own_orders_then_it_is_named(
    rule: SelfTradeRule, word: str | None
):
    encoder = OrderEncoder(instrument_by_id, self_trade=rule)
    market = {"order_type": OrderType.MARKET, "price_units": None}
    for changes in ({}, {"instrument_id": SPOT_BTC.id}, {"reduce_only": True}, market):
        order = place(**changes)
        form, plain = encoder.row(order, NOW), encoder.plain_row(order, NOW)
        assert not isinstance(form, Unsendable)
        made = msgspec.json.encode(form)
        assert word == msgspec.json.decode(made).get("smpType")
        assert plain is None or (not isinstance(plain, Unsendable) and made.decode() == plain.text)
    for request in (amend(), cancel()):
        assert b"smpType" not in msgspec.json.encode(encoder.row(request, NOW))


def test_amend_when_price_changes_then_price_alone():
    assert {**COMMON, "price": "61700.00"} == _wire(amend())
    assert {**COMMON, "qty": "0.050"} == _wire(amend(price_units=None, size_units=50))


def test_cancel_when_named_by_client_id_then_venue_id_is_left_out():
    assert COMMON == _wire(cancel(venue_id=VenueOrderId("v1")))
    foreign = cancel(client_id=ClientId(""), venue_id=VenueOrderId("v1"))
    assert {"category": "linear", "symbol": "BTCUSDT", "orderId": "v1"} == _wire(foreign)


@pytest.mark.parametrize(
    "request_of", [amend(price_units=None), cancel(client_id=ClientId("")), amend(client_id="")]
)
def test_request_when_it_says_nothing_then_refused(request_of: OrderRequest):
    assert isinstance(ENCODER.row(request_of, NOW), Unsendable)
