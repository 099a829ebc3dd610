"""An average true range told as a deviation of returns."""

import math
from random import Random

from tickwright.engine.range_volatility import RangeVolatility

MINUTE_NS = 60_000_000_000


def test_range_volatility_when_a_window_is_not_full_then_unknown():
    ranges = RangeVolatility()
    for _ in range(14 * 60 - 1):
        ranges.update(1_000_000)
    assert ranges.over(MINUTE_NS) is None
    ranges.update(1_000_000)
    assert 0.0 == ranges.over(MINUTE_NS)
    ranges.reset()
    assert ranges.over(MINUTE_NS) is None


def test_range_volatility_when_prices_walk_then_near_the_deviation_of_the_walk():
    random, ranges, price = Random(3), RangeVolatility(), 10**9
    told = []
    for second in range(200 * 60):
        price += int(random.gauss(0, 10_000))
        ranges.update(price)
        now = ranges.over(4 * MINUTE_NS)
        if second % 60 == 59 and now is not None:
            told.append(now)
    # 10,000 of 10^9 a second over 240 seconds; a little low, for extremes between samples.
    wished = 1e-5 * math.sqrt(240)
    mean = sum(told) / len(told)
    assert 0.8 * wished < mean < 1.1 * wished
