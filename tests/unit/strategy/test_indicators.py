"""Indicators equal their textbook definitions over the window, after any number of updates."""

import math
import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.strategy.indicators import (
    Atr,
    CandleSampler,
    Ema,
    IntervalSampler,
    RealisedVolatility,
    RollingMean,
    RollingStd,
    RollingZScore,
)

PRICES = st.lists(st.integers(1, 10**12), min_size=1, max_size=60)


@given(PRICES, st.integers(2, 12))
def test_rolling_std_when_fed_then_equals_the_exact_definition(values, window):
    std, mean = RollingStd(window), RollingMean(window)
    for count, value in enumerate(values, start=1):
        std.update(value)
        mean.update(value)
        if count < window:
            assert (None, None, None) == (std.value, std.mean, mean.value)
            continue
        kept = values[count - window : count]
        exact_mean = Fraction(sum(kept), window)
        exact_variance = sum((Fraction(v) - exact_mean) ** 2 for v in kept) / window
        assert mean.value == float(exact_mean)
        assert std.mean == pytest.approx(float(exact_mean), rel=1e-12)
        assert std.variance == float(exact_variance)


def test_rolling_std_when_a_million_updates_far_from_the_anchor_then_no_drift():
    std = RollingStd(16)
    value = 10**9
    chance = random.Random(1)
    kept = []
    for _ in range(200_000):
        value += chance.randrange(0, 1000)
        std.update(value)
        kept.append(value)
    assert statistics.pstdev(kept[-16:]) == pytest.approx(std.value, rel=1e-12)


def test_z_score_when_the_market_stands_still_then_the_floor_holds():
    z = RollingZScore(5, floor=2.0)
    assert z.score(100) is None
    for _ in range(5):
        z.update(100)
    assert (0.0, 1.0, -1.0) == (z.score(100), z.score(102), z.score(98))


def test_z_score_when_spread_out_then_plain_definition():
    z = RollingZScore(4, floor=0.5)
    for value in (10, 20, 30, 40):
        z.update(value)
    expected = (55 - 25) / statistics.pstdev([10, 20, 30, 40])
    assert expected == pytest.approx(z.score(55))


def test_rolling_when_reset_then_warms_up_again():
    z = RollingZScore(2, floor=1.0)
    z.update(5)
    z.update(6)
    z.reset()
    assert (0, None) == (z.count, z.score(5))


def test_ema_when_fed_then_follows_its_factor():
    ema = Ema(3)
    ema.update(10.0)
    ema.update(20.0)
    assert ema.value is None
    ema.update(30.0)
    assert 22.5 == ema.value


def test_realised_volatility_when_returns_alternate_then_their_size():
    volatility = RealisedVolatility(4)
    for value in (100_000, 101_000, 100_000, 101_000, 100_000):
        volatility.update(value)
    assert math.log(1.01) == pytest.approx(volatility.value, rel=1e-9)
    over = volatility.over(100_000_000, interval_ns=1_000_000)
    assert math.log(1.01) * 10 == pytest.approx(over, rel=1e-9)
    with pytest.raises(ValueError, match="above zero"):
        volatility.update(0)


def test_atr_when_candles_gap_then_true_range_counts_the_gap():
    atr = Atr(2)
    atr.update(12, 10, 11)
    assert atr.value is None
    atr.update(21, 20, 20)  # true range 21 - 11
    assert 6.0 == atr.value
    atr.update(20, 20, 20)
    assert 3.0 == atr.value
    with pytest.raises(ValueError, match="cannot close"):
        atr.update(5, 4, 6)


def test_interval_sampler_when_silent_for_long_then_counts_every_grid_point():
    grid = IntervalSampler(100)
    due = [grid.due(now) for now in (1000, 1050, 1099, 1100, 1150, 1200, 1650, 1700)]
    assert [0, 0, 0, 1, 0, 1, 4, 1] == due


def test_candle_sampler_when_the_interval_ends_then_gives_the_finished_candle():
    sampler = CandleSampler(100)
    assert [None, None, None] == [
        sampler.update(value, now) for value, now in ((5, 1000), (9, 1010), (3, 1099))
    ]
    candle = sampler.update(7, 1100)
    assert candle is not None
    assert (9, 3, 3) == (candle.high, candle.low, candle.close)


@pytest.mark.parametrize("make", [RollingMean, RollingStd, Ema, Atr, RealisedVolatility])
def test_window_when_empty_or_huge_then_refused(make):
    for window in (0, 1_000_001):
        with pytest.raises(ValueError, match="window"):
            make(window)
