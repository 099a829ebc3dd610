"""The rivals do the work they are measured for: right books and features, one call a frame."""

import json
from decimal import Decimal

import pytest

from tickwright.bench.ours import OursStack
from tickwright.bench.rivals import Features, Stack, subscribe_requests
from tickwright.bench.rivals.article import ArticleStack
from tickwright.bench.rivals.composed import ComposedStack
from tickwright.bench.tape import CORE_SHAPE, Tape, make_tape

Call = tuple[str, float, float, float, float, float, float]
MAKERS = pytest.mark.parametrize("maker", [ArticleStack, ComposedStack])


@pytest.fixture(scope="module")
def tape() -> Tape:
    return make_tape(CORE_SHAPE, frames=3_000, symbols=10, seed=5)


def calls_of(maker: type, tape: Tape, features: Features) -> tuple[list[Call], Stack]:
    calls: list[Call] = []
    symbols = [instrument.symbol for instrument in tape.instruments]
    stack = maker(symbols, lambda *call: calls.append(call), features)
    for frame in tape.frames:
        stack.feed(frame)
    return calls, stack


def oracle_tops(tape: Tape) -> dict[str, tuple[float, float]]:
    sides: dict[tuple[str, str], dict[Decimal, Decimal]] = {}
    for message in map(json.loads, tape.frames):
        if message["topic"].startswith("orderbook"):
            for side in ("b", "a"):
                held = sides.setdefault((message["data"]["s"], side), {})
                for price, size in message["data"][side]:
                    held[Decimal(price)] = Decimal(size)
    return {
        i.symbol: (
            float(max(p for p, q in sides[i.symbol, "b"].items() if q)),
            float(min(p for p, q in sides[i.symbol, "a"].items() if q)),
        )
        for i in tape.instruments
    }


@MAKERS
def test_stack_when_fed_a_tape_then_ends_with_the_oracle_touch(maker: type, tape: Tape):
    calls, stack = calls_of(maker, tape, "touch")

    assert oracle_tops(tape) == stack.tops()
    assert len(tape.frames) == stack.frames
    assert sum(1 for count in tape.levels if count) == len(calls)


def test_stacks_when_computing_features_then_agree(tape: Tape):
    article, _ = calls_of(ArticleStack, tape, "full")
    composed, _ = calls_of(ComposedStack, tape, "full")

    assert len(article) == len(composed)
    for one, other in zip(article, composed, strict=True):
        assert one[0] == other[0]
        assert one[1:6] == pytest.approx(other[1:6], abs=1e-9)
        assert one[6] == pytest.approx(other[6], abs=1e-4)


def test_ours_when_fed_the_same_tape_then_ends_with_the_same_touch_and_signals(tape: Tape):
    stack = OursStack(tape, "full")
    for frame in tape.frames:
        stack.feed(frame)
    calls, _ = calls_of(ComposedStack, tape, "full")
    signals = sum(1 for call in calls if call[6] < -2.0 and call[5] > 0.1)

    assert oracle_tops(tape) == stack.tops()
    assert len(tape.frames) == stack.frames
    assert [] == stack.refused
    assert len(calls) == stack.strategy.updates
    assert signals == stack.strategy.signals


def test_article_when_trades_pass_then_only_books_call_back():
    tape = make_tape(frames=1_000, symbols=5)
    calls, stack = calls_of(ArticleStack, tape, "touch")

    assert len(tape.frames) == stack.frames
    assert 0 < len(calls) < stack.frames


def test_subscribe_requests_when_topics_are_many_then_go_in_tens():
    requests = [json.loads(text) for text in subscribe_requests([f"t{i}" for i in range(25)])]

    assert [10, 10, 5] == [len(request["args"]) for request in requests]
    assert ["subscribe"] * 3 == [request["op"] for request in requests]
    assert 3 == len({request["req_id"] for request in requests})
