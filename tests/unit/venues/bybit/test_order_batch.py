"""Several requests in one message: each keeps its own name, outcome and doubt."""

import json
from typing import Any

import msgspec
import pytest

from tests.unit.venues.bybit.accounts import (
    NOW,
    SECOND,
    Listener,
    amend,
    cancel,
    instrument_by_id,
    place,
)
from tests.unit.venues.bybit.test_trade import PATIENCE_NS, Sample, _ready, _replies
from tickwright.core.events import Outcome, RateLimitReport
from tickwright.core.identity import ClientId
from tickwright.core.orders import OrderType, RequestKind
from tickwright.venues.bybit.limits import RestBudget
from tickwright.venues.bybit.order_batch import verdicts_of
from tickwright.venues.bybit.order_encode import OrderEncoder, OrderForm
from tickwright.venues.bybit.private_wire import BatchReply, BatchRows, BatchVerdicts, RestAnswer
from tickwright.venues.bybit.trade import TradeSession
from tickwright.venues.bybit.wire import read_strict
from tickwright.venues.port import EncodedBatch, PricedRequest

IDS = tuple(ClientId(f"twbatch{number}") for number in range(3))


def _creates(**changes: Any) -> list[PricedRequest]:
    return [(place(client_id=one, **changes), None) for one in IDS]


def _sent(session: TradeSession, requests: list[PricedRequest] | None = None) -> EncodedBatch:
    batch = session.encode_batch(_creates() if requests is None else requests, NOW)
    assert batch.message
    return batch


def _answer(
    batch: EncodedBatch,
    verdicts: list[tuple[int, str, str]],
    *,
    code: int = 0,
    op: str = "order.create-batch",
) -> bytes:
    """Make an answer of (code, orderId, orderLinkId) for each item."""
    rows = [{"category": "linear", "orderId": i, "orderLinkId": n} for _, i, n in verdicts]
    codes = [{"code": c, "msg": "OK" if c == 0 else "no"} for c, _, _ in verdicts]
    message = {
        "reqId": batch.request_id,
        "retCode": code,
        "retMsg": "OK" if code == 0 else "all",
        "op": op,
        "data": {"list": rows} if code == 0 else {},
        "retExtInfo": {"list": codes} if code == 0 else {},
        "header": {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "7", "Timenow": "1"},
        "connId": "c",
    }
    return json.dumps(message).encode()


def _told(host: Listener) -> list[tuple[ClientId, Outcome, int, str | None]]:
    return [(one.client_id, one.outcome, one.code, one.venue_id) for one in _replies(host)]


# text -----------------------------------------------------------------------------------------


def test_batch_when_creates_then_the_documented_message_and_the_rows_of_single_ones():
    session, _ = _ready()
    requests: list[PricedRequest] = [
        (place(client_id=IDS[0]), None),
        (place(client_id=IDS[1], order_type=OrderType.MARKET, price_units=None), None),
        (place(client_id=IDS[2], trigger_price_units=6_000_000), 6_180_000),
    ]
    batch = _sent(session, requests)
    message = json.loads(batch.message)
    assert f"{IDS[0]}-1" == message["reqId"] == batch.request_id
    assert "order.create-batch" == message["op"]
    (body,) = message["args"]
    assert ["category", "request"] == list(body)
    assert "linear" == body["category"]
    encoder = OrderEncoder(instrument_by_id)
    for item, (request, last) in zip(body["request"], requests, strict=True):
        row = encoder.row(request, NOW, last_price_units=last)
        assert isinstance(row, OrderForm)
        assert {
            name: value
            for name in row.__struct_fields__
            if (value := getattr(row, name)) != getattr(OrderForm("", ""), name)
        } == {"category": "linear"} | item
    assert requests == [(one, last) for one, (_, last) in zip(batch.sent, requests, strict=True)]


def test_batch_when_amends_then_its_operation_and_what_changes():
    session, _ = _ready()
    batch = _sent(session, [(amend(client_id=one), None) for one in IDS[:2]])
    message = json.loads(batch.message)
    assert "order.amend-batch" == message["op"]
    assert [
        {"symbol": "BTCUSDT", "orderLinkId": one, "price": "61700.00"} for one in IDS[:2]
    ] == message["args"][0]["request"]


def test_batch_when_cancels_then_its_operation_and_names():
    session, _ = _ready()
    batch = _sent(session, [(cancel(client_id=one), None) for one in IDS])
    message = json.loads(batch.message)
    assert "order.cancel-batch" == message["op"]
    assert [{"symbol": "BTCUSDT", "orderLinkId": one} for one in IDS] == message["args"][0][
        "request"
    ]


def test_batch_when_some_can_not_be_sent_then_the_others_go_and_these_are_told():
    session, _ = _ready()
    requests = _creates()
    requests[1] = (place(client_id=IDS[1], size_units=0), None)
    batch = _sent(session, requests)
    assert [IDS[0], IDS[2]] == [one.client_id for one in batch.sent]
    assert [(requests[1][0], "size must be above zero")] == list(batch.refused)
    assert 2 == session.counts.requests


def test_batch_when_nothing_can_be_sent_then_there_is_no_message():
    session, _ = _ready()
    batch = session.encode_batch(_creates(size_units=0), NOW)
    assert (b"", (), 3) == (batch.message, batch.sent, len(batch.refused))
    session.on_disconnected("gone", NOW)
    assert b"" == session.encode_batch(_creates(), NOW).message


# verdicts -------------------------------------------------------------------------------------


def test_verdicts_when_the_documented_answers_then_each_item_has_its_own(sample: Sample):
    frame = sample("ws-trade-batch-create-response")
    reply = read_strict(frame, BatchReply)
    names = [ClientId(row.orderLinkId) for row in reply.data.rows]
    found = verdicts_of(names, RequestKind.CREATE, 0, "OK", reply.data, reply.retExtInfo)
    assert [(Outcome.REFUSED, 10001)] * 3 == [(one.outcome, one.code) for one in found]
    assert {"position idx not match position mode"} == {one.text for one in found}


def test_verdicts_when_a_documented_cancel_is_half_refused_then_the_other_half_stands(
    sample: Sample,
):
    answer = read_strict(sample("rest-order-cancel-batch-response"), RestAnswer)
    rows = msgspec.convert(answer.result, BatchRows)
    said = msgspec.convert(answer.retExtInfo, BatchVerdicts)
    names = [ClientId(row.orderLinkId) for row in rows.rows]
    found = verdicts_of(names, RequestKind.CANCEL, answer.retCode, "OK", rows, said)
    assert [
        (Outcome.ACCEPTED, 0, "1666800494330512128"),
        (Outcome.UNKNOWN, 170213, ""),
    ] == [(one.outcome, one.code, one.venue_id) for one in found]


def test_reply_when_items_differ_then_each_request_ends_by_its_own_code():
    session, host = _ready()
    batch = _sent(session)
    session.on_frame(
        _answer(batch, [(0, "v-1", IDS[0]), (170140, "", IDS[1]), (10006, "", IDS[2])]), NOW
    )
    assert [
        (IDS[0], Outcome.ACCEPTED, 0, "v-1"),
        (IDS[1], Outcome.REFUSED, 170140, None),
        (IDS[2], Outcome.UNKNOWN, 10006, None),
    ] == _told(host)
    (limit,) = [one for one in host.events if isinstance(one, RateLimitReport)]
    assert ("create.linear", 0) == (limit.group, limit.remaining)
    assert (3, 3, 0) == (session.counts.requests, session.counts.replies, session.counts.unmatched)


def test_reply_when_cancels_differ_then_what_is_gone_says_nothing():
    session, host = _ready()
    batch = _sent(session, [(cancel(client_id=one), None) for one in IDS[:2]])
    answer = _answer(batch, [(0, "v-1", IDS[0]), (110001, "", IDS[1])], op="order.cancel-batch")
    session.on_frame(answer, NOW)
    assert [(IDS[0], Outcome.ACCEPTED, 0, "v-1"), (IDS[1], Outcome.UNKNOWN, 110001, None)] == _told(
        host
    )


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(10001, Outcome.REFUSED), (10006, Outcome.UNKNOWN), (10016, Outcome.UNKNOWN)],
)
def test_reply_when_the_outer_code_fails_then_each_gets_it_by_the_same_rule(
    code: int, outcome: Outcome
):
    session, host = _ready()
    session.on_frame(_answer(_sent(session), [], code=code), NOW)
    assert [(one, outcome, code, None) for one in IDS] == _told(host)


@pytest.mark.parametrize(
    "verdicts",
    [
        [],
        [(0, "v-1", IDS[0]), (0, "v-2", IDS[1])],
        [(0, "v-2", IDS[1]), (0, "v-1", IDS[0]), (0, "v-3", ClientId("other"))],
    ],
)
def test_reply_when_rows_are_missing_or_of_others_then_nothing_is_proven(
    verdicts: list[tuple[int, str, str]],
):
    session, host = _ready()
    session.on_frame(_answer(_sent(session), verdicts), NOW)
    assert {(Outcome.UNKNOWN, None)} == {(outcome, it) for _, outcome, _, it in _told(host)}
    assert list(IDS) == [client_id for client_id, *_ in _told(host)]


def test_reply_when_its_items_can_not_be_read_or_its_op_is_another_then_all_are_unknown():
    session, host = _ready()
    frame = _answer(_sent(session), [(0, "v", one) for one in IDS])
    session.on_frame(frame.replace(b'"code": 0', b'"code": "0"'), NOW)
    frame = _answer(_sent(session), [(0, "v", one) for one in IDS], op="order.create")
    session.on_frame(frame, NOW)
    assert [Outcome.UNKNOWN] * 6 == [one.outcome for one in _replies(host)]


def test_answer_when_it_never_comes_then_every_request_of_the_batch_is_unknown():
    session, host = _ready()
    batch = _sent(session)
    session.poll(NOW + PATIENCE_NS)
    assert [(one, Outcome.UNKNOWN, 0, None) for one in IDS] == _told(host)
    assert 3 == session.counts.timeouts
    host.events.clear()
    # Late, and still each one's own.
    session.on_frame(_answer(batch, [(0, f"v-{one}", one) for one in IDS]), NOW + 7 * SECOND)
    assert [(one, Outcome.ACCEPTED, 0, f"v-{one}") for one in IDS] == _told(host)


def test_socket_when_lost_under_a_batch_then_every_request_of_it_is_unknown():
    session, host = _ready()
    _sent(session)
    session.on_disconnected("reset", NOW)
    assert [(one, Outcome.UNKNOWN) for one in IDS] == [one[:2] for one in _told(host)]
    assert 3 == session.counts.lost


def test_batch_when_its_bytes_never_left_then_it_is_forgotten():
    session, host = _ready()
    session.not_sent(_sent(session).request_id)
    session.on_disconnected("reset", NOW)
    assert ([], 0) == (_told(host), session.counts.requests)


# budget ---------------------------------------------------------------------------------------


def test_budget_when_batches_are_taken_then_each_order_counts_and_the_address_once():
    budget = RestBudget()
    assert 0 == budget.take("create-batch.linear", NOW, units=6)
    assert 0 < budget.take("create-batch.linear", NOW, units=5)
    assert 0 == budget.take("create-batch.linear", NOW, units=4)
    assert 0 == budget.take("create.linear", NOW)
    assert 3 == budget.address_use(NOW).used


def test_budget_when_a_batch_is_larger_than_the_limit_then_it_waits_for_an_empty_second():
    budget = RestBudget()
    assert 0 == budget.take("create-batch.linear", NOW)
    wait_ns = budget.take("create-batch.linear", NOW, units=12)
    assert 0 < wait_ns
    assert 0 == budget.take("create-batch.linear", NOW + wait_ns, units=12)
