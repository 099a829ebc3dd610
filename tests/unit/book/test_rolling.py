"""The compiled rolling window equals plain whole-number arithmetic, however far values wander."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.rolling import OracleZScore
from tickwright.book.rolling import RollingStd, RollingZScore

steps = st.integers(-(2**20), 2**20)


@given(
    window=st.integers(2, 12),
    start=st.integers(-(2**50), 2**50),
    moves=st.lists(steps, max_size=60),
    floor=st.floats(0.5, 1e6),
)
def test_window_when_values_wander_then_it_equals_the_oracle(
    window: int, start: int, moves: list[int], floor: float
) -> None:
    ours, oracle = RollingZScore(window, floor=floor), OracleZScore(window, floor=floor)
    value = start
    for move in moves:
        value += move
        ours.update(value)
        oracle.update(value)
        assert oracle.count == ours.count
        assert oracle.is_full == ours.is_full
        assert (oracle.variance is None) == (ours.variance is None)
        if oracle.variance is not None and ours.variance is not None:
            assert math.isclose(oracle.variance, ours.variance, rel_tol=1e-9, abs_tol=1e-9)
            assert math.isclose(oracle.mean or 0.0, ours.mean or 0.0, rel_tol=1e-12, abs_tol=1e-6)
            expected, actual = oracle.score(value), ours.score(value)
            assert expected is not None
            assert actual is not None
            assert math.isclose(expected, actual, rel_tol=1e-6, abs_tol=1e-6)
            assert ours.is_within(value, abs(actual))
            assert ours.is_within(value, abs(actual) / 2) == (actual == 0.0)


def test_window_when_values_leave_the_anchor_far_behind_then_sums_stay_exact() -> None:
    window = RollingStd(4)
    for value in (0, 1, 2**41, 2**41 + 1, 2**41 + 2, 2**41 + 3, 2**41 + 4):
        window.update(value)
    assert 1.25 == window.variance
    assert 2**41 + 2.5 == window.mean


def test_window_when_values_lie_too_far_apart_then_it_says_so() -> None:
    window = RollingStd(3)
    window.update(0)
    window.update(2**40)
    with pytest.raises(OverflowError, match="apart"):
        window.update(2**43)


def test_step_when_warming_up_then_none_then_a_score() -> None:
    window = RollingZScore(2, floor=1.0)
    assert window.step(10) is None
    assert 1.0 == window.step(14)
    assert -1.0 == window.step(10)


def test_window_when_reset_then_it_is_as_new() -> None:
    window = RollingZScore(2, floor=1.0)
    window.update(5)
    window.update(9)
    window.reset()
    assert 0 == window.count
    assert window.value is None
    assert window.is_within(10**9, 0.1)


@pytest.mark.parametrize("window", [0, 1, -3, 1_000_001])
def test_window_when_its_size_is_impossible_then_it_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        RollingStd(window)


@pytest.mark.parametrize("floor", [0.0, -1.0, math.nan, math.inf])
def test_score_when_its_floor_is_impossible_then_it_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match="floor"):
        RollingZScore(5, floor=floor)
