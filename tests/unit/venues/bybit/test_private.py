"""The private session logs in, subscribes, reads, and never lets a bad row hide a good one."""

import json
import random
from collections.abc import Callable

import pytest

from tests.unit.venues.bybit.accounts import (
    ACCOUNT,
    NOW,
    SECOND,
    Listener,
    credentials,
    instrument_of,
)
from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.events import AccountState, BalanceReport, OrderReport, PositionReport
from tickwright.core.orders import Fill
from tickwright.net.session import Abort, Action, Send
from tickwright.venues.bybit.login import (
    ANSWER_DEADLINE_NS,
    IDLE_PING_NS,
    PING_EVERY_NS,
    PONG_DEADLINE_NS,
    SecretSend,
)
from tickwright.venues.bybit.private import PrivateSession
from tickwright.venues.bybit.private_decode import RowReader

Sample = Callable[[str], bytes]
PONG = b'{"req_id":"ping","op":"pong","args":["1"],"conn_id":"x"}'


def _session() -> tuple[PrivateSession, Listener]:
    host = Listener()
    return PrivateSession(credentials(), RowReader(ACCOUNT, instrument_of), host), host


def _sent(actions: list[Action]) -> list[object]:
    return [json.loads(action.message) for action in actions if isinstance(action, Send)]


def _ready(sample: Sample) -> tuple[PrivateSession, Listener]:
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(sample("ws-auth-success-private"), NOW)
    session.poll(NOW)
    session.on_frame(sample("ws-subscribe-ack-private"), NOW)
    host.told.clear()
    return session, host


def test_session_when_connected_then_logs_in_with_ten_seconds():
    session, _ = _session()
    session.set_clock_offset(500_000_000)
    session.on_connected(NOW)
    (login,) = session.poll(NOW)
    assert isinstance(login, SecretSend)
    message = json.loads(login.message)
    expires = NOW // 1_000_000 + 500 + 10_000
    assert {
        "op": "auth",
        "args": ["K" * 18, expires, credentials().sign(f"GET/realtime{expires}")],
    } == message
    assert [] == session.poll(NOW + 1)
    assert "K" * 18 not in repr(login)


def test_session_when_logged_in_then_subscribes_once_and_is_ready_after_the_ack(sample: Sample):
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(sample("ws-auth-success-private"), NOW + 1)
    assert not session.is_proven
    assert [
        {
            "req_id": "subscribe",
            "op": "subscribe",
            "args": ["order", "execution", "position", "wallet"],
        }
    ] == _sent(session.poll(NOW + 2))
    assert [] == session.poll(NOW + 3)
    session.on_frame(sample("ws-subscribe-ack-private"), NOW + 4)
    assert session.is_proven
    assert [("ready", "private")] == host.told


def test_session_when_login_is_refused_then_told_and_dropped(sample: Sample):
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(sample("ws-auth-failure-private"), NOW + 1)
    assert [("refused", "private", "0", "Params Error")] == host.told
    assert [Abort("login refused: 0 Params Error")] == session.poll(NOW + 2)


@pytest.mark.parametrize("steps", [1, 2])
def test_session_when_an_answer_does_not_come_then_dropped(sample: Sample, steps: int):
    session, _ = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    if steps == 2:
        session.on_frame(sample("ws-auth-success-private"), NOW)
        session.poll(NOW)
    at = NOW
    while at < NOW + ANSWER_DEADLINE_NS:
        at += SECOND
        session.on_frame(PONG, at)
        assert not [a for a in session.poll(at) if isinstance(a, Abort)]
    session.on_frame(PONG, at + 1)
    (abort,) = session.poll(at + 1)
    assert isinstance(abort, Abort)
    assert "no answer" in abort.reason


def test_session_when_subscription_is_refused_then_dropped():
    session, host = _session()
    session.on_connected(NOW)
    session.poll(NOW)
    session.on_frame(b'{"success":true,"ret_msg":"","op":"auth","conn_id":"x"}', NOW)
    session.poll(NOW)
    session.on_frame(b'{"success":false,"ret_msg":"no","op":"subscribe","conn_id":"x"}', NOW)
    assert [("refused", "private", "0", "no")] == host.told
    assert [Abort("subscription refused: no")] == session.poll(NOW)


def test_session_when_silent_then_pinged_then_dropped(sample: Sample):
    session, _ = _ready(sample)
    assert [] == session.poll(NOW + IDLE_PING_NS - 1)
    at = NOW + IDLE_PING_NS
    assert [{"req_id": "ping", "op": "ping"}] == _sent(session.poll(at))
    assert [] == session.poll(at + PONG_DEADLINE_NS)
    (abort,) = session.poll(at + PONG_DEADLINE_NS + 1)
    assert isinstance(abort, Abort)
    assert "ping unanswered" in abort.reason


def test_session_when_pong_comes_then_stays_and_pings_again(sample: Sample):
    session, _ = _ready(sample)
    at = NOW
    for _ in range(5):
        at += IDLE_PING_NS + 1000
        assert 1 == len(session.poll(at))
        session.on_frame(PONG, at + 1000)
        assert [] == session.poll(at + IDLE_PING_NS - 1)


def test_session_when_data_flows_then_still_pinged_every_twenty_seconds(sample: Sample):
    session, _ = _ready(sample)
    pings = 0
    for step in range(1, 61):
        session.on_frame(sample("ws-private-wallet"), NOW + step * SECOND)
        pings += len(session.poll(NOW + step * SECOND))
    assert 60 * SECOND // PING_EVERY_NS == pings


def test_session_when_samples_come_then_inputs_in_order(sample: Sample):
    session, host = _ready(sample)
    for name in (
        "ws-private-order-linear-filled",
        "ws-private-execution",
        "ws-private-position",
        "ws-private-wallet",
    ):
        session.on_frame(sample(name), NOW + 7)
    assert [OrderReport, Fill, PositionReport, BalanceReport, AccountState] == [
        type(event) for event in host.events
    ]
    assert [] == host.told


def test_session_when_one_row_is_bad_then_the_others_pass_and_it_is_told(sample: Sample):
    session, host = _ready(sample)
    message = json.loads(sample("ws-private-execution"))
    bad = message["data"][0] | {"execQty": "lots", "execId": "x"}
    message["data"] = [bad, message["data"][0], bad]
    session.on_frame(json.dumps(message).encode(), NOW)
    assert ["0ab1bdf7-4219-438b-b30a-32ec863018f7"] == [
        event.execution_id for event in host.events if isinstance(event, Fill)
    ]
    assert ["unreadable", "unreadable"] == [told[0] for told in host.told]
    assert 2 == session.counts.unreadable


def test_session_when_instrument_is_not_held_then_doubted_without_reading_again(sample: Sample):
    session, host = _ready(sample)
    session.on_frame(sample("ws-private-order"), NOW)
    assert ([], [("doubt", "ETH-30DEC22-1400-C")]) == (host.events, host.told)


def test_session_when_number_does_not_fit_then_doubted_and_told(sample: Sample):
    session, host = _ready(sample)
    frame = sample("ws-private-execution").replace(b'"95900.1"', b'"95900.123"')
    session.on_frame(frame, NOW)
    assert ["doubt", "unreadable"] == [told[0] for told in host.told]


def test_session_when_disconnected_then_starts_over(sample: Sample):
    session, host = _ready(sample)
    session.on_disconnected("reset", NOW)
    assert not session.is_proven
    assert [] == session.poll(NOW + 100 * SECOND)
    session.on_connected(NOW + 101 * SECOND)
    (login,) = session.poll(NOW + 101 * SECOND)
    assert isinstance(login, SecretSend)
    assert [] == host.told


def test_session_when_answer_to_no_login_comes_then_told_not_raised(sample: Sample):
    session, host = _ready(sample)
    session.on_frame(sample("ws-auth-success-private"), NOW)
    assert "unreadable" == host.told[0][0]


@pytest.mark.parametrize("seed", range(3))
def test_session_when_frames_are_mutated_then_nothing_raises(sample: Sample, seed: int):
    session, host = _ready(sample)
    chance = random.Random(seed)
    frames = [path.read_bytes() for path in sorted(SAMPLES.glob("ws-private-*.json"))]
    for _ in range(1200):
        frame = bytearray(chance.choice(frames))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(frame))
            if chance.random() < 0.7:
                frame[at] = chance.choice(b'{}[]",:.-+0123456789eE \x00\xffabc')
            else:
                del frame[at : at + chance.randint(1, 8)]
        session.on_frame(bytes(frame), NOW)
    assert session.counts.unreadable > 300
    assert len(host.events) > 100
