"""The rolling line: against a line known by hand, and against numpy over a sliding window."""

import random

import numpy as np
import pytest

from tickwright.strategy.regression import RollingRegression, log_units


def test_line_when_the_points_are_on_it_then_slope_intercept_and_nothing_left():
    window = RollingRegression(3)
    for x in (1, 2):
        window.update(x, 7 + 3 * x)
    assert None is window.line
    window.update(5, 22)
    line = window.line
    assert line is not None
    assert (3.0, 7.0, 0.0) == (line.slope, line.intercept, line.deviation)
    assert 4.0 == line.residual(1, 14)


def test_line_when_worked_out_by_hand_then_the_same():
    window = RollingRegression(4)
    # Means 2.5 and 5; Sxx = 5, Sxy = 9, Syy = 18: slope 1.8, intercept 0.5, and 18 - 81/5 = 1.8
    # is left over four points, two of which the line took: sqrt(1.8 / 2).
    for x, y in ((1, 2), (2, 5), (3, 5), (4, 8)):
        window.update(x, y)
    line = window.line
    assert line is not None
    assert pytest.approx((1.8, 0.5, 0.9**0.5)) == (line.slope, line.intercept, line.deviation)


def test_line_when_the_window_slides_over_log_prices_then_as_numpy_says():
    chance = random.Random(5)
    window = RollingRegression(50)
    pairs: list[tuple[int, int]] = []
    price = 600_000
    for _ in range(400):
        price += chance.randint(-60, 60)
        x = log_units(price)
        pairs.append((x, round(1.3 * x) + chance.randint(-20_000, 20_000)))
        window.update(*pairs[-1])
    line = window.line
    assert line is not None
    xs, ys = np.array(pairs[-50:], dtype=np.float64).T
    xs -= xs.mean()
    slope, _ = np.polyfit(xs, ys, 1)
    left = ys - ys.mean() - slope * xs
    assert pytest.approx((slope, (left @ left / 48) ** 0.5), rel=1e-6) == (
        line.slope,
        line.deviation,
    )


def test_line_when_x_stands_still_then_none():
    window = RollingRegression(3)
    for y in (1, 2, 3):
        window.update(5, y)
    assert None is window.line


def test_window_when_too_short_for_a_line_then_refused():
    with pytest.raises(ValueError, match="3 to 1000000 pairs, not 2"):
        RollingRegression(2)
