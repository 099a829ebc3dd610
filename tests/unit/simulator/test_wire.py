"""Answers of the public sockets: acks, refusals and pongs, category by category."""

import json
from typing import Any

import pytest

from tickwright.core.identity import Category
from tickwright.simulator.wire import ARGS_CHARACTERS_MAX, Ask, PublicWire, Request

_KNOWN = {f"orderbook.50.S{number}USDT" for number in range(2_000)} | {"publicTrade.BTCUSDT"}


def _wire(category: Category = Category.LINEAR) -> PublicWire:
    return PublicWire(category, "conn-1", _KNOWN.__contains__)


def _decode(
    message: object, *, category: Category = Category.LINEAR, active: frozenset[str] = frozenset()
) -> Request | dict[str, Any]:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    answer = _wire(category).decode(text, active)
    return answer if isinstance(answer, Request) else json.loads(answer)


def test_ack_on_contracts_names_the_request_and_no_topic() -> None:
    request = _decode({"req_id": "sub-1", "op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
    assert Request(Ask.SUBSCRIBE, "sub-1", ("publicTrade.BTCUSDT",)) == request
    expected = b'{"success":true,"ret_msg":"","conn_id":"conn-1","req_id":"sub-1","op":"subscribe"}'
    assert expected == _wire().ack(request)


def test_ack_on_spot_has_the_operation_as_its_message() -> None:
    request = Request(Ask.SUBSCRIBE, "10001", ("publicTrade.BTCUSDT",))
    ack = json.loads(_wire(Category.SPOT).ack(request))
    assert ("subscribe", "10001", "subscribe") == (ack["ret_msg"], ack["req_id"], ack["op"])


def test_ack_on_option_names_topics_and_neither_op_nor_req_id() -> None:
    request = Request(Ask.SUBSCRIBE, "1", ("publicTrade.BTCUSDT",))
    assert {
        "success": True,
        "conn_id": "conn-1",
        "data": {"failTopics": [], "successTopics": ["publicTrade.BTCUSDT"]},
        "type": "COMMAND_RESP",
    } == json.loads(_wire(Category.OPTION).ack(request))


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (
            Category.LINEAR,
            {"success": True, "ret_msg": "pong", "conn_id": "conn-1", "req_id": "7", "op": "ping"},
        ),
        (Category.SPOT, {"success": True, "ret_msg": "pong", "conn_id": "conn-1", "op": "ping"}),
        (Category.OPTION, {"args": ["1675418560633"], "op": "pong"}),
    ],
)
def test_pong_has_the_shape_of_its_category(category: Category, expected: dict[str, Any]) -> None:
    request = _decode({"op": "ping", "req_id": "7"}, category=category)
    assert isinstance(request, Request)
    assert expected == json.loads(_wire(category).pong(request, 1_675_418_560_633))


def test_pong_without_req_id_has_an_empty_one() -> None:
    request = _decode({"op": "ping"})
    assert isinstance(request, Request)
    assert "" == json.loads(_wire().pong(request, 1))["req_id"]


def test_unknown_topic_refuses_the_whole_request() -> None:
    args = ["publicTrade.BTCUSDT", "orderbook.50.NOPEUSDT"]
    assert {
        "success": False,
        "ret_msg": "error:handler not found,topic:orderbook.50.NOPEUSDT",
        "conn_id": "conn-1",
        "req_id": "e1",
        "op": "subscribe",
    } == _decode({"req_id": "e1", "op": "subscribe", "args": args})


def test_active_topic_refuses_the_whole_request() -> None:
    topic = "publicTrade.BTCUSDT"
    refusal = _decode(
        {"req_id": "e6", "op": "subscribe", "args": ["orderbook.50.S1USDT", topic]},
        active=frozenset({topic}),
    )
    assert isinstance(refusal, dict)
    assert f"error:already subscribed,topic:{topic}" == refusal["ret_msg"]
    assert refusal["success"] is False


def test_topic_twice_in_one_request_is_refused() -> None:
    refusal = _decode({"op": "subscribe", "args": ["publicTrade.BTCUSDT"] * 2})
    assert isinstance(refusal, dict)
    assert refusal["ret_msg"].startswith("error:already subscribed")


def test_spot_takes_ten_args_and_no_more() -> None:
    args = [f"orderbook.50.S{number}USDT" for number in range(11)]
    assert isinstance(
        _decode({"op": "subscribe", "args": args[:10]}, category=Category.SPOT), Request
    )
    refusal = _decode({"op": "subscribe", "args": args}, category=Category.SPOT)
    assert isinstance(refusal, dict)
    assert "args size >10" == refusal["ret_msg"]


def test_args_beyond_21000_characters_a_connection_are_refused() -> None:
    topics = sorted(_KNOWN)
    per_topic = len('"orderbook.50.S1000USDT",')
    fitting = topics[: ARGS_CHARACTERS_MAX // per_topic]
    assert isinstance(_decode({"op": "subscribe", "args": fitting}), Request)
    refusal = _decode(
        {"op": "subscribe", "args": topics[len(fitting) : len(fitting) + 100]},
        active=frozenset(fitting),
    )
    assert isinstance(refusal, dict)
    assert refusal["success"] is False


@pytest.mark.parametrize(
    ("message", "ret_msg"),
    [
        ({"op": "dance"}, "error:invalid op"),
        ({}, "error:invalid op"),
        ({"op": ["subscribe"]}, "error:invalid op"),
        ({"op": "subscribe"}, "error:params error"),
        ({"op": "subscribe", "args": "publicTrade.BTCUSDT"}, "error:params error"),
        ({"op": "subscribe", "args": [1]}, "error:params error"),
        ({"op": "subscribe", "args": []}, "error:params error"),
    ],
)
def test_wrong_request_is_refused_in_words(message: object, ret_msg: str) -> None:
    refusal = _decode(message)
    assert isinstance(refusal, dict)
    assert (False, ret_msg) == (refusal["success"], refusal["ret_msg"])


@pytest.mark.parametrize("text", [b"hello", b"", b"[1,2]", b"\xff\xfe", b'{"op":'])
def test_text_that_is_no_json_object_is_refused_in_words(text: bytes) -> None:
    refusal = _decode(text)
    assert isinstance(refusal, dict)
    assert refusal["ret_msg"].startswith("Failed to decode incoming data")
