"""Spaces: what is written, what it holds, and what is refused with which words."""

from typing import Any

import pytest

from tests.unit.research.formula import BOUNDS
from tickwright.core.errors import ConfigError
from tickwright.research.samplers import make_sampler
from tickwright.research.space import Dimension, Space, parse_dimension


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("s.p=1,2,5", (1, 2, 5)),
        ("s.p=0.5,2", (0.5, 2)),
        ("s.p=true,false", (True, False)),
        ("s.p=by_update,by_interval", ("by_update", "by_interval")),
        ("s.p=0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("s.p=10:35:10", (10, 20, 30)),
        ("s.p=2:5", (2, 3, 4, 5)),
        ("s.p=-1:1:0.5", (-1.0, -0.5, 0.0, 0.5, 1.0)),
        ("s.p=0.5:2", None),
        ("s.p=0.001:0.1:log", None),
        ("s.p=1:100:log", None),
    ],
)
def test_dimension_when_written_then_holds_its_values(text, values):
    found = parse_dimension(text).values()
    assert values == found
    if values is not None:
        assert [type(one) for one in values] == [type(one) for one in found or ()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p=1,2", "must be written strategy.name"),
        ("s.p", "must be written"),
        ("s.=1", "must be written"),
        ("s.p=", "must be written"),
        ("s.p=1,1", "names a value twice"),
        ("s.p=1,,2", "an empty value"),
        ("s.p=a:b", "a is no number"),
        ("s.p=2:1", "must end above 2"),
        ("s.p=1:2:0", "the step must be above 0"),
        ("s.p=1:2:9", "the step must be above 0 and fit"),
        ("s.p=0:1:log", "by ratio must begin above 0"),
        ("s.p=1:2:3:4", "a range is LOW:HIGH"),
        ("s.p=1:inf", "no number"),
    ],
)
def test_dimension_when_written_wrong_then_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_dimension(text)


def test_space_when_checked_then_numbers_become_what_the_strategy_declares():
    x, n = Space.of(["one.x=1:3", "one.n=1,2"]).check(BOUNDS).dimensions
    assert (False, None) == (x.is_whole, x.values())
    assert (1, 2) == n.values()
    (listed,) = Space.of({"one.x": [1, 2]}).check(BOUNDS).dimensions
    assert (1.0, 2.0) == listed.values()
    assert [float, float] == [type(one) for one in listed.choices]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["one.y=1,2"], "no such parameter; did you mean 'one.x'"),
        (["zzzz.q=1"], "no such parameter; known: one.kind, one.n, one.x"),
        (["one.x=1,11"], r"one.x = 11.0: must be number at least -10 and at most 10"),
        (["one.x=0:20"], r"one.x = 20.0: must be"),
        (["one.n=1.5,2"], "one.n = 1.5: must be whole number"),
        (["one.n=0.5:3"], "one.n"),
        (["one.kind=a,c"], "one.kind = c: must be one of a, b"),
        (["one.x=1", "one.x=2"], "named twice"),
        ([], "needs 1 to 64 --param"),
    ],
)
def test_space_when_it_does_not_fit_then_refused(texts, words):
    with pytest.raises(ConfigError, match=words):
        Space.of(texts).check(BOUNDS)


def test_grid_when_made_then_every_set_with_the_last_fastest():
    space = Space.of(["one.n=1,2", "one.kind=a,b"])
    assert [
        {"one.n": 1, "one.kind": "a"},
        {"one.n": 1, "one.kind": "b"},
        {"one.n": 2, "one.kind": "a"},
        {"one.n": 2, "one.kind": "b"},
    ] == list(space.grid())
    assert 4 == space.size


def test_grid_when_a_range_has_no_steps_then_refused():
    with pytest.raises(ConfigError, match="a grid needs a list or LOW:HIGH:STEP"):
        Space.of(["one.x=0:1.5"]).grid()


def test_grid_when_too_large_then_refused():
    wide = [Dimension(name=f"s.p{i}", choices=tuple(range(100))) for i in range(4)]
    with pytest.raises(ConfigError, match="more than 1000000 sets"):
        Space(wide).grid()


def test_random_when_seeded_then_the_same_inside_its_bounds_and_none_twice():
    space = Space.of(["one.x=0.001:10:log", "one.n=1:4"]).check(BOUNDS)

    def drawn(seed: int) -> list[Any]:
        sampler = make_sampler("random", space, trials=50, seed=seed)
        return [sampler.ask() for _ in range(51)]

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert None is first.pop()
    assert 50 == len({tuple(one.values()) for one in first})
    assert all(0.001 <= one["one.x"] <= 10 and 1 <= one["one.n"] <= 4 for one in first)
    # By ratio: half of them below the geometric middle.
    assert 15 < sum(one["one.x"] < 0.1 for one in first) < 35


def test_random_when_the_space_is_small_then_all_of_it_and_an_end():
    sampler = make_sampler("random", Space.of(["one.n=1,2,3"]), trials=50, seed=1)
    drawn = [sampler.ask() for _ in range(5)]
    assert (3, [None, None]) == (sampler.total, drawn[3:])
    assert {1, 2, 3} == {one["one.n"] for one in drawn if one}


@pytest.mark.parametrize(
    ("name", "trials", "words"),
    [
        ("random", None, "needs --trials"),
        ("tpe", 0, "--trials must be 1 to"),
        ("annealing", 5, "must be grid, random or tpe"),
    ],
)
def test_sampler_when_wrong_then_refused(name, trials, words):
    with pytest.raises(ConfigError, match=words):
        make_sampler(name, Space.of(["one.n=1,2"]), trials=trials, seed=1)


def test_tpe_when_told_then_it_finds_the_hill():
    space = Space.of(["one.x=-10:10", "one.n=1:10", "one.kind=a,b"]).check(BOUNDS)
    sampler = make_sampler("tpe", space, trials=60, seed=3)
    best = -1e9
    while (asked := sampler.ask()) is not None:
        assert isinstance(asked["one.n"], int)
        x, n = float(asked["one.x"]), int(asked["one.n"])
        value = -((x - 2) ** 2) - (n - 3) ** 2 - (asked["one.kind"] == "b")
        best = max(best, value)
        sampler.tell(asked, None if n == 9 else value)
    assert best > -2.0


def test_tpe_when_told_what_is_known_from_before_then_it_counts():
    space = Space.of(["one.x=-10:10:0.5", "one.n=1:100:log"]).check(BOUNDS)
    sampler = make_sampler("tpe", space, trials=1, seed=3)
    for step in range(20):
        sampler.tell({"one.x": step / 2, "one.n": 1 + step}, float(-step))
    assert sampler.ask() is not None
