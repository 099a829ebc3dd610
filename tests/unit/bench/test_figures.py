"""The arithmetic of a report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.bench.figures import Spread, latency_us, percentile, ratio
from tickwright.bench.machine import LOAD_QUIET_MAX, load_warning, read_machine


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 1), (0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_percentile_when_samples_are_one_to_a_hundred_then_is_the_nearest_rank(
    fraction: float, expected: int
):
    assert expected == percentile(range(1, 101), fraction)


def test_percentile_when_there_are_no_samples_then_refuses():
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


@pytest.mark.parametrize("fraction", [-0.01, 1.01])
def test_percentile_when_the_fraction_is_none_then_refuses(fraction: float):
    with pytest.raises(ValueError, match="0 to 1"):
        percentile([1], fraction)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300), st.floats(0.0, 1.0))
def test_percentile_when_any_samples_then_that_share_is_at_or_below(
    samples: list[int], fraction: float
):
    ordered = sorted(samples)
    found = percentile(ordered, fraction)

    assert found in samples
    assert sum(1 for sample in samples if sample <= found) >= fraction * len(samples) - 1e-6


def test_latency_us_when_given_nanoseconds_then_reports_microseconds_and_count():
    figures = latency_us(range(1_000_000, 0, -1_000))

    assert 1_000.0 == figures["count"]
    assert 500.0 == figures["p50"]
    assert 990.0 == figures["p99"]
    assert 999.0 == figures["p999"]
    assert 1_000.0 == figures["max"]


def test_spread_when_of_several_runs_then_shows_median_and_ends():
    spread = Spread.of([30.0, 10.0, 20.0, 1_000.0])

    assert Spread(25.0, 10.0, 1_000.0, 4) == spread
    assert "25.0 (10.0-1,000.0)" == spread.text(1)
    assert "250 (100-10,000)" == spread.text(scale=10)


def test_spread_when_of_one_run_then_shows_it_alone():
    assert "7" == Spread.of([7.0]).text()


def test_spread_when_of_no_run_then_refuses():
    with pytest.raises(ValueError, match="no runs"):
        Spread.of([])


def test_ratio_when_of_two_spreads_then_compares_their_medians():
    assert 2.5 == ratio(Spread.of([4.0, 5.0, 900.0]), Spread.of([1.0, 2.0, 3.0]))


def test_load_warning_when_quiet_then_is_silent_and_when_busy_then_names_the_load():
    assert load_warning(LOAD_QUIET_MAX) is None
    assert "2.75" in (load_warning(2.75) or "")


def test_machine_when_read_then_its_line_names_what_a_figure_needs():
    machine = read_machine()

    assert machine.cores >= 1
    assert machine.versions["picows"] in machine.line()
    assert f"CPython {machine.python}" in machine.line()
