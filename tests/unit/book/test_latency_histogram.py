"""Durations counted in bounded space: never below the truth, at most a sixteenth above it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.book.order_book import LatencyHistogram

LONGEST_NS = 2**43 - 1


def filled(values: list[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(st.lists(st.integers(0, LONGEST_NS), min_size=1, max_size=60), st.floats(0, 1))
def test_percentile_when_asked_then_is_the_upper_edge_of_the_true_samples_bucket(
    values: list[int], fraction: float
):
    answered = filled(values).percentile_ns(fraction)
    true = sorted(values)[min(int(fraction * len(values)), len(values) - 1)]
    assert answered is not None
    assert true <= answered <= true + true // 16
    assert answered <= max(values)


def test_percentile_when_there_are_no_samples_then_unknown():
    assert LatencyHistogram().percentile_ns(0.5) is None


@pytest.mark.parametrize("fraction", [-0.01, 1.01, float("nan")])
def test_percentile_when_the_fraction_is_none_then_refused(fraction: float):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        filled([1]).percentile_ns(fraction)


def test_extremes_when_recorded_then_count_as_the_nearest():
    histogram = filled([-5, 2**62])
    assert [(0, 1), (LONGEST_NS, 1)] == histogram.counts()
    assert 2**62 == histogram.max_ns
    assert LONGEST_NS == histogram.percentile_ns(1.0)


@given(st.lists(st.integers(0, 10**12), max_size=40), st.lists(st.integers(0, 10**12), max_size=40))
def test_merge_when_two_are_added_then_equals_one_that_saw_all(one: list[int], other: list[int]):
    merged = filled(one)
    merged.merge(filled(other))
    together = filled(one + other)
    assert together.counts() == merged.counts()
    assert (together.count, together.max_ns) == (merged.count, merged.max_ns)


def test_counts_when_listed_then_rise_and_sum_up_and_reset_forgets():
    histogram = filled([2**power for power in range(43)])
    edges = [edge for edge, _ in histogram.counts()]
    assert sorted(set(edges)) == edges
    assert 43 == sum(count for _, count in histogram.counts()) == histogram.count
    histogram.reset()
    assert (0, 0, []) == (histogram.count, histogram.max_ns, histogram.counts())
