"""The compiled modules know words by place or value: they are the words of the enumerations."""

import re
from pathlib import Path

import pytest

from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.matching import (
    CancelReason,
    FillCause,
    OrderPhase,
    QueueModel,
    SelfTrade,
    StopKind,
    events,
)
from tickwright.matching.kinds import __all__ as kinds

ROOM = Path(__file__).resolve().parents[3] / "src" / "tickwright" / "matching"

# Two words of C must not be spelled alike, so some carry more than the enumeration's member.
SPELLED = {
    "SELF_TRADE_NONE": "NONE",
    "STOP_NONE": "NONE",
    "SELF_TRADED": "SELF_TRADE",
    "BY_LAST": "LAST",
    "BY_MARK": "MARK",
    "BY_INDEX": "INDEX",
}


def _blocks(name: str) -> list[list[tuple[str, int]]]:
    text = (ROOM / name).read_text()
    blocks = re.findall(r"^cdef enum:\n((?:    \w+ = -?\d+\n)+)", text, re.MULTILINE)
    return [
        [(SPELLED.get(word, word), int(value)) for word, value in re.findall(r"(\w+) = (-?\d+)", b)]
        for b in blocks
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "orders.pxd",
            [
                [(member.name, member.value) for member in OrderPhase],
                [(member.name, member.value) for member in SelfTrade],
                [(member.name, member.value) for member in StopKind],
                [(member.name, place) for place, member in enumerate(TimeInForce)],
                [(member.name, place) for place, member in enumerate(TriggerBy)],
                [(member.name, member.value) for member in Side],
            ],
        ),
        ("queues.pxd", [[(member.name, member.value) for member in QueueModel]]),
        (
            "events.pxd",
            [
                [(member.name, place) for place, member in enumerate(CancelReason)],
                [(member.name, place) for place, member in enumerate(FillCause)],
            ],
        ),
    ],
)
def test_words_in_the_compiled_code_then_are_the_enumerations(name, expected):
    assert expected == _blocks(name)


def test_words_when_counted_then_every_enumeration_of_the_room_is_held():
    held = (OrderPhase, SelfTrade, StopKind, CancelReason, FillCause, QueueModel)
    assert sorted(kinds) == sorted(kind.__name__ for kind in held)


@pytest.mark.parametrize("name", [name for name in events.__all__ if name != "MatchEvent"])
def test_record_when_made_from_outside_then_is_refused(name: str):
    with pytest.raises(TypeError, match="made by the matching engine"):
        getattr(events, name)()
