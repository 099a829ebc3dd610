"""Frames of every socket are told apart, in all the spellings Bybit uses."""

from collections.abc import Callable

import pytest

from tickwright.core.errors import FrameError
from tickwright.venues.bybit.control import Classified, FrameKind, classify

Sample = Callable[[str], bytes]


@pytest.mark.parametrize(
    ("name", "kind", "op", "request_id", "success"),
    [
        ("ws-pong-spot", FrameKind.PONG, "ping", "", True),
        ("ws-pong-linear", FrameKind.PONG, "ping", "", True),
        ("ws-pong-option", FrameKind.PONG, "pong", "", True),
        ("ws-pong-private", FrameKind.PONG, "pong", "test", True),
        ("ws-pong-trade", FrameKind.PONG, "pong", "", True),
        ("ws-subscribe-ack-linear", FrameKind.SUBSCRIPTION, "subscribe", "sub-1", True),
        ("ws-subscribe-ack-spot", FrameKind.SUBSCRIPTION, "subscribe", "10001", True),
        ("ws-subscribe-ack-option", FrameKind.SUBSCRIPTION, "subscribe", "", True),
        ("ws-subscribe-ack-private", FrameKind.SUBSCRIPTION, "subscribe", "", True),
        ("ws-subscribe-error-already", FrameKind.SUBSCRIPTION, "subscribe", "e6", False),
        ("ws-subscribe-error-args-size", FrameKind.SUBSCRIPTION, "subscribe", "e7", False),
        ("ws-subscribe-error-not-found", FrameKind.SUBSCRIPTION, "subscribe", "e1", False),
        ("ws-unsubscribe-ack", FrameKind.SUBSCRIPTION, "unsubscribe", "3", True),
        ("ws-auth-success-private", FrameKind.AUTH, "auth", "", True),
        ("ws-auth-failure-private", FrameKind.AUTH, "auth", "", False),
        ("ws-auth-success-trade", FrameKind.AUTH, "auth", "", True),
        ("ws-auth-failure-trade", FrameKind.AUTH, "auth", "", False),
        ("ws-trade-order-create-response", FrameKind.REPLY, "order.create", "test-005", True),
        ("ws-trade-order-create-error", FrameKind.REPLY, "order.create", "1", False),
    ],
)
def test_classify_when_control_sample_then_told(
    sample: Sample, name: str, kind: FrameKind, op: str, request_id: str, success: bool
):
    found = classify(sample(name))
    assert (kind, op, request_id, success) == (
        found.kind,
        found.op,
        found.request_id,
        found.is_success,
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ws-orderbook-delta", FrameKind.BOOK),
        ("ws-public-trade", FrameKind.TRADES),
        ("ws-tickers-spot", FrameKind.TICKER),
        ("ws-kline", FrameKind.CANDLE),
        ("ws-all-liquidation", FrameKind.LIQUIDATION),
        ("ws-price-limit", FrameKind.PRICE_LIMIT),
        ("ws-private-order", FrameKind.ORDERS),
        ("ws-private-execution", FrameKind.EXECUTIONS),
        ("ws-private-execution-fast", FrameKind.OTHER_DATA),
        ("ws-private-position", FrameKind.POSITIONS),
        ("ws-private-wallet", FrameKind.WALLET),
    ],
)
def test_classify_when_data_sample_then_its_topic(sample: Sample, name: str, kind: FrameKind):
    assert kind is classify(sample(name)).kind


def test_classify_when_reply_is_an_error_then_code_and_text(sample: Sample):
    found = classify(sample("ws-trade-order-create-error"))
    assert (170131, "Insufficient balance.") == (found.code, found.text)


def test_classify_when_option_socket_refuses_a_topic_then_named():
    frame = (
        b'{"success":true,"conn_id":"a","data":{"failTopics":["orderbook.25.X"],'
        b'"successTopics":[]},"type":"COMMAND_RESP"}'
    )
    assert ("orderbook.25.X",) == classify(frame).topics_refused


def test_classify_when_older_echo_then_its_request_is_read():
    frame = (
        b'{"success":true,"ret_msg":"","conn_id":"x",'
        b'"request":{"op":"subscribe","args":["a"],"req_id":"7"}}'
    )
    assert Classified(
        FrameKind.SUBSCRIPTION, op="subscribe", request_id="7", is_success=True
    ) == classify(frame)


def test_classify_when_operation_is_unknown_then_error():
    frame = b'{"success":false,"ret_msg":"error:invalid op","req_id":"1","op":"dance"}'
    assert FrameKind.ERROR is classify(frame).kind
    assert FrameKind.UNKNOWN is classify(b"{}").kind


@pytest.mark.parametrize(
    "frame", [b"", b"[]", b"<html>", b'{"op":5}', b'{"success":"yes"}', b"\xff"]
)
def test_classify_when_no_socket_sends_that_then_frame_error(frame: bytes):
    with pytest.raises(FrameError):
        classify(frame)
