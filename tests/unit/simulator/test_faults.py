"""Fault plans are read strictly; faults strike when, where and as often as the plan says."""

import json
from pathlib import Path
from random import Random

import pytest

from tickwright.core.errors import ConfigError
from tickwright.simulator.faults import (
    CONNECTION_KINDS,
    DAMAGE_KINDS,
    FAULTS_MAX,
    FRAME_KINDS,
    FaultBoard,
    FaultKind,
    FaultSpec,
    damage,
    fault_specs,
    load_fault_plan,
)

_DELTA = (
    b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT",'
    b'"b":[["30247.20","30.028"]],"a":[["30248.70","0"]],"u":177400507,"seq":66544703342},'
    b'"cts":1687940967464}'
)
_TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{"T":1,"s":"BTCUSDT",'
    b'"S":"Buy","v":"0.001","p":"83766.30","L":"PlusTick","i":"x","BT":false,"RPI":false,"seq":1}]}'
)
_SECOND = 1_000_000_000


def _board(*specs: FaultSpec, now_ns: int = 0) -> FaultBoard:
    board = FaultBoard(Random(1))
    for spec in specs:
        board.add(spec, now_ns)
    return board


def _hits(board: FaultBoard, topic: str, frames: int, now_ns: int = 0) -> list[int]:
    return [
        number
        for number in range(1, frames + 1)
        if board.strike(FRAME_KINDS, "linear", (topic,), now_ns) is not None
    ]


def test_plan_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        '[[faults]]\nkind = "gap"\ntopic = "orderbook.50.*"\nafter_frames = 10\n'
        '[[faults]]\nkind = "outage"\nat_s = 5.0\nduration_s = 2\n'
    )
    assert [
        FaultSpec(kind=FaultKind.GAP, topic="orderbook.50.*", after_frames=10),
        FaultSpec(kind=FaultKind.OUTAGE, at_s=5.0, duration_s=2.0),
    ] == load_fault_plan(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[faults]]\nkind = ", "is not TOML"),
        ('[[fault]]\nkind = "gap"', "unknown key 'fault' .did you mean 'faults'"),
        ('[[faults]]\nkind = "gapp"', "unknown kind 'gapp' .did you mean 'gap'"),
        ('[[faults]]\nkind = "gap"\ntopik = "x"', "unknown key 'topik' .did you mean 'topic'"),
        ('[[faults]]\ntopic = "x"', "kind is missing"),
        ('[[faults]]\nkind = "gap"\ncount = "many"', "Expected `int`"),
        ('[[faults]]\nkind = "gap"\nprobability = 1.5', "probability"),
        ('[[faults]]\nkind = "gap"\nprobability = 0.0', "probability"),
        ('[[faults]]\nkind = "gap"\nat_s = -1.0', "at_s must be 0 or more"),
        ('faults = "gap"', "array of tables"),
        ("faults = [1]", "must be a table"),
    ],
)
def test_wrong_plan_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_fault_plan(path)


def test_missing_plan_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_fault_plan(tmp_path / "none.toml")


def test_fault_strikes_once_after_the_frames_it_skips() -> None:
    board = _board(FaultSpec(kind=FaultKind.GAP, after_frames=3))
    assert [4] == _hits(board, "orderbook.50.BTCUSDT", 10)
    assert (4, 1) == (board.faults[0].armed, board.faults[0].hit)
    assert not board.has_frame_faults


def test_fault_strikes_only_matching_topics_and_categories() -> None:
    spec = FaultSpec(kind=FaultKind.GAP, topic="orderbook.*.BTC*", category="linear", count=0)
    board = _board(spec)
    assert [] == _hits(board, "orderbook.50.ETHUSDT", 5)
    assert [1, 2] == _hits(board, "orderbook.200.BTCUSDT", 2)
    assert board.strike(FRAME_KINDS, "spot", ("orderbook.50.BTCUSDT",), 0) is None


def test_fault_waits_for_its_time_and_ends_with_its_span() -> None:
    spec = FaultSpec(kind=FaultKind.DUPLICATE, at_s=5.0, duration_s=2.0, count=0)
    board = _board(spec, now_ns=10 * _SECOND)
    assert [] == _hits(board, "x", 2, 14 * _SECOND)
    assert [1, 2] == _hits(board, "x", 2, 15 * _SECOND)
    assert [] == _hits(board, "x", 2, 17 * _SECOND)


def test_fault_with_a_probability_strikes_that_often_and_the_same_by_seed() -> None:
    spec = FaultSpec(kind=FaultKind.GAP, probability=0.2, count=0)
    first, second = (_hits(_board(spec), "x", 1_000) for _ in range(2))
    assert first == second
    assert 150 < len(first) < 250


def test_cleared_board_strikes_no_more_and_keeps_its_counts() -> None:
    board = _board(FaultSpec(kind=FaultKind.GAP, count=0))
    _hits(board, "x", 3)
    board.clear()
    assert [] == _hits(board, "x", 3)
    assert [3] == [row["hit"] for row in board.report()]


def test_full_board_refuses_another_fault() -> None:
    board = _board(*[FaultSpec(kind=FaultKind.GAP)] * FAULTS_MAX)
    with pytest.raises(ConfigError, match="at most"):
        board.add(FaultSpec(kind=FaultKind.GAP), 0)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind in DAMAGE_KINDS])
@pytest.mark.parametrize("payload", [_DELTA, _TRADE])
def test_damage_changes_the_frame_as_its_kind_says(kind: FaultKind, payload: bytes) -> None:
    damaged = damage(kind, payload, Random(3))
    assert payload != damaged
    if kind in (FaultKind.TRUNCATED, FaultKind.GARBAGE, FaultKind.HTML):
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|Extra|Invalid"):
            json.loads(damaged)
        return
    frame = json.loads(damaged)
    text = damaged.decode()
    if kind is FaultKind.UNKNOWN_FIELDS:
        assert json.loads(payload).items() <= frame.items()
    elif kind is FaultKind.MISSING_FIELD:
        assert '"u":' not in text if payload is _DELTA else '"p":' not in text
    elif kind is FaultKind.LONG_NUMBER:
        assert "123456789012345678901234567890" in text
    elif kind is FaultKind.UNKNOWN_ENUM:
        assert "NeverHeardOf" in text
    else:
        assert "WRONGUSDT" in text


def test_rows_of_a_request_are_read_like_a_plan() -> None:
    assert [FaultSpec(kind=FaultKind.CUT)] == fault_specs([{"kind": "cut"}], "request")
    with pytest.raises(ConfigError, match="request: fault 1"):
        fault_specs([{"kind": "cutt"}], "request")


@pytest.mark.parametrize(
    "kind", sorted(set(FaultKind) - CONNECTION_KINDS - {FaultKind.CLOCK}, key=str)
)
def test_every_kind_then_counts_how_often_it_was_armed_and_how_often_it_hit(
    kind: FaultKind,
) -> None:
    board = _board(FaultSpec(kind=kind, after_frames=2, count=3))
    struck = [board.strike(frozenset({kind}), "linear", ("topic",), 0) for _ in range(8)]
    (report,) = board.report()
    assert [fault is not None for fault in struck] == [False] * 2 + [True] * 3 + [False] * 3
    assert (report["kind"], report["armed"], report["hit"]) == (kind.value, 5, 3)
