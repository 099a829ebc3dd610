"""Sharpe ratios and their worth, against the papers' own examples and sums done by hand."""

import math
from typing import Any

import numpy as np
import pytest

from tickwright.research.statistics import (
    deflated_sharpe,
    expected_sharpe_max,
    probabilistic_sharpe,
    return_shape,
    sharpe_deviation,
    track_record_min,
)


def test_shape_when_worked_out_by_hand_then_the_same():
    # Mean 2; squares 4, 1, 1, 4: deviation sqrt(10/3), and of the plain moments 2.5 and 8.5.
    shape = return_shape([0.0, 1.0, 3.0, 4.0])
    assert (4, 2.0, 0.0) == (shape.count, shape.mean, shape.skewness)
    assert pytest.approx((math.sqrt(10 / 3), 2 / math.sqrt(10 / 3), 8.5 / 6.25)) == (
        shape.deviation,
        shape.sharpe,
        shape.kurtosis,
    )


def test_shape_when_nothing_varies_then_no_ratio():
    shape = return_shape([0.1] * 9)
    assert (None, 0.0, 3.0) == (shape.sharpe, shape.skewness, shape.kurtosis)
    assert None is return_shape([0.0, 0.0]).sharpe


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, math.nan], [0.1, math.inf]])
def test_shape_when_returns_are_unusable_then_refused(returns):
    with pytest.raises(ValueError, match="return"):
        return_shape(returns)


def test_deviation_when_normal_then_that_of_lo():
    # (1 + s^2 / 2) / (n - 1)
    assert math.sqrt((1 + 0.02) / 99) == pytest.approx(
        sharpe_deviation(0.2, count=100, skewness=0.0, kurtosis=3.0)
    )


def test_probabilistic_sharpe_when_of_the_papers_fund_then_its_figures():
    # Bailey and Lopez de Prado (2012): two years of months with a ratio of 0.458, which is 0.982
    # likely to be positive by a normal distribution, and 0.913 by its skewness and kurtosis.
    assert 0.982 == round(probabilistic_sharpe(0.458, count=24), 3)
    assert 0.913 == round(
        probabilistic_sharpe(0.458, count=24, skewness=-2.448, kurtosis=10.164), 3
    )


def test_probabilistic_sharpe_when_at_the_benchmark_then_one_half():
    assert 0.5 == probabilistic_sharpe(0.1, count=50, skewness=-1.0, kurtosis=5.0, benchmark=0.1)


def test_track_record_when_that_long_then_just_as_sure():
    shape = {"skewness": -0.7, "kurtosis": 6.0}
    count = track_record_min(0.1, **shape, confidence=0.95)
    assert count is not None
    assert 0.95 < probabilistic_sharpe(0.1, count=math.ceil(count), **shape)
    assert 0.95 > probabilistic_sharpe(0.1, count=math.floor(count), **shape)
    # Normal: 1 + (1 + 0.01 / 2) x (1.644854 / 0.1)^2.
    assert 1 + 1.005 * 16.44853627**2 == pytest.approx(track_record_min(0.1))
    assert None is track_record_min(0.1, benchmark=0.1)


def test_expected_max_when_ten_trials_then_by_the_formula():
    # Z(0.9) = 1.2815516 and Z(1 - 0.1 / e) = Z(0.9632121) = 1.789271: 0.4227843 and 0.5772157.
    assert 0.4227843 * 1.2815516 + 0.5772157 * 1.7892 == pytest.approx(
        expected_sharpe_max(10, 1.0), abs=1e-3
    )
    assert 0.0 == expected_sharpe_max(1, 1.0)


def test_expected_max_when_simulated_then_near():
    chance = np.random.default_rng(3)
    best = chance.standard_normal((20_000, 50)).max(axis=1).mean()
    assert best == pytest.approx(expected_sharpe_max(50, 1.0), abs=0.03)


def test_deflated_sharpe_when_of_the_papers_example_then_its_figures():
    # Bailey and Lopez de Prado (2014): 2.5 a year over 1,250 days, skewness -3 and kurtosis 10,
    # the best of 100 trials whose yearly ratios vary by 1/2: 0.9004, and of 46 trials 0.9505.
    a_day: dict[str, Any] = {
        "sharpe": 2.5 / math.sqrt(250),
        "sharpe_variance": 0.5 / 250,
        "count": 1_250,
        "skewness": -3.0,
        "kurtosis": 10.0,
    }
    assert 0.1132 == round(expected_sharpe_max(100, 0.5 / 250), 4)
    assert 0.9004 == round(deflated_sharpe(trials=100, **a_day), 4)
    assert 0.9505 == round(deflated_sharpe(trials=46, **a_day), 4)


def test_deflated_sharpe_when_one_trial_then_no_deflation():
    plain = probabilistic_sharpe(0.1, count=100)
    assert plain == deflated_sharpe(0.1, trials=1, sharpe_variance=0.3, count=100)


@pytest.mark.parametrize(
    "wrong", [{"trials": 0, "sharpe_variance": 1.0}, {"trials": 5, "sharpe_variance": -1.0}]
)
def test_expected_max_when_impossible_then_refused(wrong):
    with pytest.raises(ValueError, match="trials with a variance"):
        expected_sharpe_max(**wrong)


def test_deviation_when_the_shape_is_impossible_then_refused():
    with pytest.raises(ValueError, match="do not fit"):
        sharpe_deviation(2.0, count=100, skewness=3.0, kurtosis=3.0)
