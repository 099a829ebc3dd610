"""Order entry: every request ends in one outcome, and nothing lost is ever called refused."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.venues.bybit.accounts import (
    ACCOUNT,
    CLIENT,
    NOW,
    SECOND,
    Listener,
    amend,
    cancel,
    credentials,
    instrument_by_id,
    place,
)
from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.events import Outcome, RateLimitReport, Reply
from tickwright.core.identity import ClientId, VenueOrderId
from tickwright.core.orders import RequestKind
from tickwright.net.session import Abort, Send
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.bybit.trade import OUTSTANDING_MAX, TradeSession
from tickwright.venues.port import Encoded, OrderRequest, Unsendable

MS = 1_000_000
PATIENCE_NS = 6 * SECOND
Sample = Callable[[str], bytes]


def _session() -> tuple[TradeSession, Listener]:
    host = Listener()
    return TradeSession(ACCOUNT, credentials(), OrderEncoder(instrument_by_id), host), host


def _ready() -> tuple[TradeSession, Listener]:
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"c"}', NOW)
    host.told.clear()
    return session, host


def _encode(session: TradeSession, request: OrderRequest, now_ns: int = NOW) -> Encoded:
    encoded = session.encode(request, now_ns)
    assert isinstance(encoded, Encoded), encoded
    return encoded


def _answer(request_id: str, *, code: int = 0, op: str = "order.create", **more: Any) -> bytes:
    message = {
        "reqId": request_id,
        "retCode": code,
        "retMsg": "OK" if code == 0 else "no",
        "op": op,
        "data": {"orderId": "v-1", "orderLinkId": ""} if code == 0 else {},
        "header": {
            "X-Bapi-Limit": "10",
            "X-Bapi-Limit-Status": "9",
            "X-Bapi-Limit-Reset-Timestamp": str(NOW // MS + 1),
            "Timenow": str(NOW // MS + 2),
        },
        "connId": "c",
    }
    return json.dumps(message | more).encode()


def _replies(host: Listener) -> list[Reply]:
    return [event for event in host.events if isinstance(event, Reply)]


def test_encode_when_create_then_documented_message():
    session, _ = _ready()
    session.set_clock_offset(250 * MS)
    encoded = _encode(session, place())
    assert {
        "reqId": f"{CLIENT}-1",
        "header": {"X-BAPI-TIMESTAMP": str(NOW // MS + 250), "X-BAPI-RECV-WINDOW": "5000"},
        "op": "order.create",
        "args": [
            {
                "category": "linear",
                "symbol": "BTCUSDT",
                "orderLinkId": CLIENT,
                "side": "Buy",
                "orderType": "Limit",
                "qty": "0.100",
                "price": "61800.50",
                "timeInForce": "GTC",
                "positionIdx": 0,
            }
        ],
    } == json.loads(encoded.message)
    assert (f"{CLIENT}-1", CLIENT, RequestKind.CREATE) == (
        encoded.request_id,
        encoded.client_id,
        encoded.request,
    )


def test_encode_when_many_requests_of_one_order_then_ids_differ_and_stay_short():
    session, _ = _ready()
    long_id = ClientId("a" * 36)
    ids = [
        _encode(session, request).request_id
        for request in (place(client_id=long_id), amend(client_id=long_id), cancel(), cancel())
    ]
    assert 4 == len(set(ids))
    assert 36 == max(map(len, ids))


@pytest.mark.parametrize(
    ("request_of", "op"), [(amend(), "order.amend"), (cancel(), "order.cancel")]
)
def test_encode_when_amend_or_cancel_then_its_operation(request_of: OrderRequest, op: str):
    session, _ = _ready()
    assert op == json.loads(_encode(session, request_of).message)["op"]


def test_encode_when_not_logged_in_then_refused():
    session, _ = _session()
    refused = session.encode(place(), NOW)
    assert Unsendable(CLIENT, RequestKind.CREATE, "the trade socket is not logged in") == refused


def test_encode_when_too_many_are_unanswered_then_refused():
    session, _ = _ready()
    for _ in range(OUTSTANDING_MAX):
        _encode(session, cancel())
    assert isinstance(session.encode(cancel(), NOW), Unsendable)


def test_reply_when_accepted_then_accepted_with_venue_id_and_limit():
    session, host = _ready()
    encoded = _encode(session, place())
    session.on_frame(_answer(encoded.request_id), NOW + 3)
    assert [
        Reply(
            account_id=ACCOUNT,
            client_id=CLIENT,
            request=RequestKind.CREATE,
            outcome=Outcome.ACCEPTED,
            code=0,
            text="OK",
            venue_id=VenueOrderId("v-1"),
            venue_ns=NOW + 2 * MS,
        ),
        RateLimitReport(
            account_id=ACCOUNT, group="create.linear", limit=10, remaining=9, reset_ns=NOW + MS
        ),
    ] == host.events
    assert not session._outstanding


def test_reply_when_interleaved_then_matched_by_id():
    session, host = _ready()
    first = _encode(session, place(client_id=ClientId("a1")))
    second = _encode(session, place(client_id=ClientId("a2")))
    session.on_frame(_answer(second.request_id, code=110007), NOW)
    session.on_frame(_answer(first.request_id), NOW)
    assert [("a2", Outcome.REFUSED), ("a1", Outcome.ACCEPTED)] == [
        (reply.client_id, reply.outcome) for reply in _replies(host)
    ]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (110007, Outcome.REFUSED),
        (10016, Outcome.UNKNOWN),
        (10006, Outcome.UNKNOWN),
        (20006, Outcome.UNKNOWN),
        (110072, Outcome.UNKNOWN),
        (999999, Outcome.UNKNOWN),
    ],
)
def test_reply_when_code_then_what_it_proves(code: int, outcome: Outcome):
    session, host = _ready()
    session.on_frame(_answer(_encode(session, place()).request_id, code=code), NOW)
    (reply,) = _replies(host)
    assert (outcome, code, None) == (reply.outcome, reply.code, reply.venue_id)


def test_reply_when_rate_is_exceeded_then_the_group_stops_for_a_second():
    session, host = _ready()
    session.on_frame(_answer(_encode(session, cancel()).request_id, code=10006), NOW)
    (report,) = [event for event in host.events if isinstance(event, RateLimitReport)]
    assert ("create.linear", 0, NOW + SECOND) != (report.group, 0, 0)
    assert ("cancel.linear", 0, NOW + SECOND) == (report.group, report.remaining, report.reset_ns)


def test_reply_when_operation_differs_then_unknown():
    session, host = _ready()
    session.on_frame(_answer(_encode(session, cancel()).request_id, op="order.amend"), NOW)
    assert [Outcome.UNKNOWN] == [reply.outcome for reply in _replies(host)]


@pytest.mark.parametrize(("named", "outcome"), [(CLIENT, "accepted"), ("other", "unknown")])
def test_reply_when_it_names_an_order_then_it_must_be_ours(named: str, outcome: str):
    session, host = _ready()
    data = {"orderId": "v-1", "orderLinkId": named}
    session.on_frame(_answer(_encode(session, place()).request_id, data=data), NOW)
    assert [outcome] == [reply.outcome.value for reply in _replies(host)]


def test_poll_when_no_answer_comes_then_unknown_once_and_late_answer_still_counts():
    session, host = _ready()
    encoded = _encode(session, place())
    at = NOW
    while at < NOW + PATIENCE_NS - SECOND:
        at += SECOND
        session.on_frame(b'{"retCode":0,"op":"pong","connId":"c"}', at)
        session.poll(at)
    assert [] == _replies(host)
    session.poll(NOW + PATIENCE_NS)
    session.poll(NOW + PATIENCE_NS + SECOND)
    assert [(Outcome.UNKNOWN, "no answer in time")] == [
        (reply.outcome, reply.text) for reply in _replies(host)
    ]
    session.on_frame(_answer(encoded.request_id), NOW + PATIENCE_NS + SECOND)
    session.on_frame(_answer(encoded.request_id), NOW + PATIENCE_NS + SECOND)
    assert [Outcome.UNKNOWN, Outcome.ACCEPTED] == [reply.outcome for reply in _replies(host)]
    assert (1, 1, 1) == (
        session.counts.timeouts,
        session.counts.late_replies,
        session.counts.unmatched,
    )


def test_disconnect_when_requests_are_under_way_then_all_unknown():
    session, host = _ready()
    for request in (place(), amend(), cancel()):
        _encode(session, request)
    session.on_disconnected("connection reset", NOW)
    assert [
        (RequestKind.CREATE, Outcome.UNKNOWN),
        (RequestKind.AMEND, Outcome.UNKNOWN),
        (RequestKind.CANCEL, Outcome.UNKNOWN),
    ] == [(reply.request, reply.outcome) for reply in _replies(host)]
    assert "connection reset" in _replies(host)[0].text
    assert isinstance(session.encode(place(), NOW), Unsendable)
    assert [] == session.poll(NOW + 100 * SECOND)


def test_not_sent_when_socket_refused_then_never_unknown():
    session, host = _ready()
    session.not_sent(_encode(session, place()).request_id)
    session.on_disconnected("reset", NOW)
    assert [] == _replies(host)


def test_reply_when_it_has_no_id_then_told_and_the_request_times_out():
    session, host = _ready()
    _encode(session, place())
    session.on_frame(b'{"retCode":10005,"retMsg":"Permission denied","op":"order.create"}', NOW)
    assert [("unreadable", "trade")] == [told[:2] for told in host.told]
    assert 1 == len(session._outstanding)
    session.poll(NOW + PATIENCE_NS)
    assert [Outcome.UNKNOWN] == [reply.outcome for reply in _replies(host)]


@pytest.mark.parametrize("with_id", [True, False])
def test_reply_when_venue_restarts_then_new_connection(with_id: bool):
    session, _ = _ready()
    encoded = _encode(session, place())
    session.on_frame(_answer(encoded.request_id if with_id else "", code=10019), NOW)
    (abort,) = session.poll(NOW)
    assert isinstance(abort, Abort)
    assert "restarts" in abort.reason


def test_login_when_already_logged_in_then_accepted():
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(b'{"retCode":20001,"retMsg":"again","op":"auth","connId":"c"}', NOW)
    assert session.is_ready
    assert [("ready", "trade")] == host.told


def test_login_when_refused_then_told_and_dropped(sample: Sample):
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(sample("ws-auth-failure-trade"), NOW)
    assert [("refused", "trade", "10004", "invalid sign")] == host.told
    assert [Abort("login refused: 10004 invalid sign")] == session.poll(NOW)
    assert not session.is_ready


def test_heartbeat_when_idle_then_ping_of_this_socket():
    session, _ = _ready()
    (ping,) = session.poll(NOW + 2 * SECOND)
    assert Send(b'{"reqId":"ping","op":"ping"}') == ping


@pytest.mark.parametrize("name", ["ws-trade-order-create-response", "ws-trade-order-create-error"])
def test_reply_when_sample_answers_nobody_then_counted(sample: Sample, name: str):
    session, host = _ready()
    session.on_frame(sample(name), NOW)
    assert ([], 1) == (host.events, session.counts.unmatched)


@pytest.mark.parametrize("seed", range(3))
def test_session_when_answers_are_mutated_then_no_outcome_is_doubled(seed: int):
    session, host = _ready()
    chance = random.Random(seed)
    good = [
        path.read_bytes()
        for path in sorted(SAMPLES.glob("ws-*-*.json"))
        if "trade" in path.name or "auth" in path.name
    ]
    for number in range(600):
        request_id = _encode(session, place(client_id=ClientId(f"c{number}"))).request_id
        is_answer = chance.random() < 0.7
        frame = bytearray(_answer(request_id) if is_answer else chance.choice(good))
        for _ in range(chance.randint(0, 2)):
            at = chance.randrange(len(frame))
            frame[at] = chance.choice(b'{}[]",:.-+0123456789eE \x00\xffabc')
        session.on_frame(bytes(frame), NOW)
        session.on_frame(bytes(frame), NOW)
    session.on_disconnected("end", NOW)
    named = [reply.client_id for reply in _replies(host)]
    assert 600 == len(named) == len(set(named))
    assert 100 < sum(reply.outcome is Outcome.ACCEPTED for reply in _replies(host)) < 500


@pytest.mark.parametrize(("code", "doubts"), [(10002, 1), (-1, 1), (0, 0), (10006, 0)])
def test_reply_when_our_time_is_refused_then_the_clock_is_doubted_at_once(code: int, doubts: int):
    session, _ = _ready()
    told: list[str] = []
    session.on_clock_doubt = lambda: told.append("doubt")
    session.on_frame(_answer(_encode(session, place()).request_id, code=code), NOW + 30 * MS)
    assert doubts == len(told)
