"""The whole venue in one process: sessions on a function, requests by name, a clock by hand."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.faults import FaultKind, fault_specs
from tickwright.simulator.private import DEMO_KEY, PrivateOptions
from tickwright.simulator.private.session import ACTIVE_NS_DEFAULT
from tickwright.simulator.public_session import IDLE_NS_MAX
from tickwright.simulator.run import SimulatorOptions, build_whole
from tickwright.simulator.session import ProcessLine
from tickwright.simulator.whole import PROCESS_SESSIONS_MAX, WholeVenue

START_NS = 1_767_225_600_000_000_000
SECOND_NS = 1_000_000_000
BOOK = "orderbook.50.BTCUSDT"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator.md"
MARKET: dict[str, Any] = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Market",
    "qty": "0.01",
}


def whole_with(*faults: dict[str, Any], **private: Any) -> WholeVenue:
    options = SimulatorOptions(
        symbols=["BTCUSDT"],
        categories=(Category.LINEAR,),
        seed=7,
        fault_specs=fault_specs(faults, "test"),
    )
    return build_whole(options, PrivateOptions(**private), start_ns=START_NS)


def passed(whole: WholeVenue, seconds: float = 1.0) -> None:
    whole.advance(whole.now_ns + int(seconds * SECOND_NS))


def topics_of(messages: list[bytes]) -> list[str]:
    return [json.loads(message).get("topic", "") for message in messages]


def test_example_when_copied_from_the_page_then_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), names)
    assert "0.010" == names["held"]["size"]
    assert len(names["frames"]) > 50
    assert {"order", "execution", "wallet"} == set(topics_of(names["events"]))


def test_request_when_answered_then_its_outcome_waits_for_the_clock():
    whole = whole_with()
    key = whole.key(DEMO_KEY)
    events: list[bytes] = []
    whole.private(key, events.append, "order", "execution")

    reply = whole.post(key, "order.create", MARKET)
    assert reply.answer is not None
    assert 0 == reply.answer.code
    assert [] == events

    whole.advance(whole.now_ns)
    assert {"order", "execution"} == set(topics_of(events))


@pytest.mark.parametrize(
    ("kind", "is_booked"),
    [("cut_before_booking", False), ("cut_after_booking", True), ("reply_dropped", True)],
)
def test_reply_when_a_fault_eats_it_then_is_none_whether_booked_or_not(kind: str, is_booked: bool):
    whole = whole_with({"kind": kind, "topic": "process.order.create"})
    key = whole.key(DEMO_KEY)
    reply = whole.post(key, "order.create", MARKET)
    assert (None, FaultKind(kind)) == (reply.answer, reply.fault)
    passed(whole)
    rows = whole.get(key, "execution.list", {"category": "linear"}).result["list"]
    assert is_booked == bool(rows)


def test_reply_when_late_or_an_error_then_says_so():
    whole = whole_with(
        {"kind": "reply_delayed", "delay_s": 0.5, "count": 1}, {"kind": "reply_error", "count": 1}
    )
    key = whole.key(DEMO_KEY)
    late, error, good = (whole.post(key, "order.create", MARKET) for _ in range(3))
    assert late.answer is not None and error.answer is not None and good.answer is not None
    assert (0, 0.5) == (late.answer.code, late.delay_s)
    assert 10016 == error.answer.code
    assert (0, None, 0.0) == (good.answer.code, good.fault, good.delay_s)


def test_session_when_its_line_is_cut_then_hears_nothing_more_and_is_closed():
    whole = whole_with({"kind": "cut", "topic": BOOK, "after_frames": 3})
    frames: list[bytes] = []
    session = whole.public(Category.LINEAR, frames.append)
    session.subscribe(BOOK)
    passed(whole)
    assert 3 == len(frames)
    assert not session.is_open
    assert {} == session.topics
    stream = whole.venue.stream(Category.LINEAR, BOOK)
    assert stream is not None
    assert () == stream.subscribers


def test_private_session_when_cut_by_its_own_message_then_the_others_go_on():
    whole = whole_with({"kind": "cut", "topic": "order", "count": 1})
    key = whole.key(DEMO_KEY)
    first: list[bytes] = []
    second: list[bytes] = []
    whole.private(key, first.append, "order")
    whole.private(key, second.append, "order")
    for _ in range(2):
        whole.post(key, "order.create", MARKET)
        passed(whole)
    assert [] == first
    assert 2 <= len(second)
    assert 1 == len(whole.streams)


def test_session_when_its_line_vanishes_then_hears_nothing_more():
    whole = whole_with({"kind": "vanish", "topic": BOOK, "after_frames": 2})
    frames: list[bytes] = []
    session = whole.public(Category.LINEAR, frames.append)
    session.subscribe(BOOK)
    passed(whole)
    assert 2 == len(frames)
    assert session.is_open


def test_frame_when_in_fragments_then_comes_whole():
    whole = whole_with({"kind": "fragmented", "topic": BOOK, "count": 0})
    frames: list[bytes] = []
    whole.public(Category.LINEAR, frames.append).subscribe(BOOK)
    passed(whole, 0.5)
    assert len(frames) > 3
    assert {BOOK} == set(topics_of(frames))


def test_session_when_spoken_to_in_text_then_answers_as_a_socket_does():
    whole = whole_with()
    said: list[bytes] = []
    session = whole.public(Category.LINEAR, said.append)
    assert session.on_request(b'{"op":"subscribe","req_id":"1","args":["publicTrade.BTCUSDT"]}')
    session.on_request(b'{"op":"ping","req_id":"2"}')
    session.on_request(b"nonsense")
    ack, pong, refusal = map(json.loads, said)
    assert (True, "1", "subscribe") == (ack["success"], ack["req_id"], ack["op"])
    assert ("pong", "2") == (pong["ret_msg"], pong["req_id"])
    assert False is refusal["success"]
    assert ["publicTrade.BTCUSDT"] == list(session.topics)


def test_trade_session_when_on_a_line_then_carries_orders():
    whole = whole_with()
    said: list[bytes] = []
    line = ProcessLine(said.append)
    session = whole.trade_session(line)
    session.open("process")
    session.key = whole.key(DEMO_KEY)
    request = {
        "reqId": "x",
        "header": {"X-BAPI-TIMESTAMP": str(whole.clock_ms())},
        "op": "order.create",
        "args": [MARKET],
    }
    session.on_request(json.dumps(request).encode())
    (answer,) = map(json.loads, said)
    assert ("x", 0) == (answer["reqId"], answer["retCode"])
    assert 1 == len(whole.trades)
    session.close()
    assert {} == whole.trades


NAMES = ["op", "args", "req_id", "reqId", "header", "X-BAPI-TIMESTAMP", "category", "symbol", "qty"]
WORDS = ["subscribe", "unsubscribe", "ping", "auth", "order.create", "order.cancel-batch", BOOK]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([*WORDS, "order", "linear", "BTCUSDT", "0.01", str(START_NS // 1_000_000)])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)
REQUESTS = st.binary(max_size=40) | st.fixed_dictionaries(
    {"op": st.sampled_from(WORDS) | VALUES},
    optional={"args": VALUES, "req_id": VALUES, "reqId": VALUES, "header": VALUES},
).map(lambda message: json.dumps(message).encode())


@settings(max_examples=25, deadline=None)
@given(st.lists(REQUESTS, max_size=30))
def test_sessions_when_told_anything_then_answer_and_go_on(requests: list[bytes]):
    whole = whole_with()
    said: list[bytes] = []
    key = whole.key(DEMO_KEY)
    public = whole.public(Category.LINEAR, said.append)
    stream = whole.private(key, said.append)
    trade = whole.trade_session(ProcessLine(said.append))
    trade.open("process")
    trade.key = key
    for request in requests:
        for session in (public, stream, trade):
            before = len(said)
            session.on_request(request)
            assert len(said) > before
    passed(whole)
    assert public.is_open and stream.is_open and trade.is_open
    assert [] == whole.ledger.faults() + whole.desk.faults()


def test_sessions_when_idle_too_long_then_say_so():
    whole = whole_with()
    public = whole.public(Category.LINEAR, lambda payload: None)
    private = whole.private(whole.key(DEMO_KEY), lambda payload: None)
    assert not public.is_idle(START_NS + IDLE_NS_MAX - 1)
    assert public.is_idle(START_NS + IDLE_NS_MAX)
    assert private.is_idle(START_NS + ACTIVE_NS_DEFAULT)
    public.subscribe(BOOK)
    assert not public.is_idle(START_NS + IDLE_NS_MAX)


def test_topics_when_the_venue_has_none_of_the_name_then_none_is_subscribed():
    whole = whole_with()
    session = whole.public(Category.LINEAR, lambda payload: None)
    with pytest.raises(ConfigError, match=r"no linear topic 'orderbook\.50\.NOPE'"):
        session.subscribe(BOOK, "orderbook.50.NOPE")
    assert {} == session.topics
    with pytest.raises(ConfigError, match="handler not found"):
        whole.private(whole.key(DEMO_KEY), lambda payload: None, "orders")
    assert {} == whole.streams
    with pytest.raises(ConfigError, match="no account has the key"):
        whole.key("nobody")


def test_sessions_when_as_many_as_allowed_then_another_is_refused():
    whole = whole_with()
    opened = [
        whole.public(Category.LINEAR, lambda payload: None) for _ in range(PROCESS_SESSIONS_MAX)
    ]
    with pytest.raises(ConfigError, match="sessions in one process"):
        whole.public(Category.LINEAR, lambda payload: None)
    opened[3].close()
    assert whole.public(Category.LINEAR, lambda payload: None).is_open


def test_topic_when_others_were_asked_for_before_then_begins_with_the_same_u():
    first, second = whole_with(), whole_with()
    alone: list[bytes] = []
    later: list[bytes] = []
    first.public(Category.LINEAR, alone.append).subscribe(BOOK)
    second.public(Category.LINEAR, lambda payload: None).subscribe(
        "orderbook.1.BTCUSDT", "orderbook.200.BTCUSDT", "tickers.BTCUSDT"
    )
    second.public(Category.LINEAR, later.append).subscribe(BOOK)
    passed(first)
    passed(second)
    assert len(alone) > 10
    assert alone == later
