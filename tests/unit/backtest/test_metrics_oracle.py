"""The usual figures beside those of jquantstats, which nobody here wrote."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import jquantstats as jqs
import numpy as np
import polars as pl
import pytest

from tests.unit.backtest.made_runs import MadeRun, near
from tickwright.backtest.metrics import Metrics, make_metrics

DAYS = 365


def theirs(values: Sequence[float] | np.ndarray) -> jqs.Data:
    days = [date(2024, 10, 4) + timedelta(days=index) for index in range(len(values))]
    frame = pl.DataFrame({"Date": days, "run": list(values)})
    return jqs.Data.from_returns(returns=frame, date_col="Date")


def ours(equity: Sequence[float] | np.ndarray) -> Metrics:
    run = MadeRun(seconds=(len(equity) - 1) * 86400, equity=str(equity[0]))
    for index, value in enumerate(equity):
        run.sample(index * 86400, value)
    return make_metrics(run.record())


def drawn(seed: int, *, drift: float, count: int = DAYS) -> np.ndarray:
    chance = random.Random(seed)
    return np.array([chance.gauss(drift, 0.02) for _ in range(count)])


@pytest.mark.parametrize(("seed", "drift"), [(1, 0.002), (2, -0.001), (3, 0.0), (4, 0.01)])
def test_ratios_when_returns_are_drawn_then_equal_another_librarys(seed: int, drift: float):
    returns = drawn(seed, drift=drift)
    stats = theirs(returns).stats

    found = ours([10_000.0, *(10_000 * np.cumprod(1 + returns))]).returns

    assert (DAYS, 86400.0) == (found.samples, found.sample_seconds)
    pairs: dict[str, tuple[Any, float | None]] = {
        "sharpe": (stats.sharpe(periods=365), found.sharpe),
        "sortino": (stats.sortino(periods=365), found.sortino),
        "volatility": (stats.volatility(periods=365), found.volatility),
        "omega": (stats.omega(periods=365), found.omega),
        "cagr": (stats.cagr(periods=365), found.cagr),
        "total": (stats.comp(), found.total_return),
        "best": (stats.best(), found.best_sample),
        "worst": (stats.worst(), found.worst_sample),
    }
    assert {name: near(a["run"], rel=1e-6) for name, (a, _) in pairs.items()} == {
        name: b for name, (_, b) in pairs.items()
    }
    assert near(stats.avg_return()["run"] * 365, rel=1e-6) == found.annual_return


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_drawdown_when_returns_are_drawn_then_equals_another_librarys(seed: int):
    # Their curve begins after the first return, ours before it.
    returns = np.array([0.0, *drawn(seed, drift=0.0005)])
    stats = theirs(returns).stats

    found = ours(10_000 * np.cumprod(1 + returns)).drawdown

    assert near(abs(stats.max_drawdown()["run"]), rel=1e-6) == found.depth
    assert near(stats.calmar(periods=365)["run"], rel=5e-3) == (
        ours(10_000 * np.cumprod(1 + returns)).returns.calmar
    )


@pytest.mark.parametrize("seed", [8, 9])
def test_trips_when_results_are_drawn_then_equal_another_librarys(seed: int):
    chance = random.Random(seed)
    results = [round(chance.gauss(0.3, 2), 2) or 0.01 for _ in range(200)]
    run = MadeRun(seconds=1000)
    for index, result in enumerate(results):
        run.order(f"i{index}", 1, 1).order(f"o{index}", -1, 1)
        run.fill(index, 1, 1, 100, order=f"i{index}")
        run.fill(index + 0.5, -1, 1, 100 + result, order=f"o{index}")
    stats = theirs(results).stats

    found = make_metrics(run.record()).trips

    assert {
        "win_rate": near(stats.win_rate()["run"]),
        "payoff": near(stats.payoff_ratio()["run"]),
        "profit_factor": near(stats.profit_factor()["run"]),
        "kelly": near(stats.kelly_criterion()["run"]),
        "win_streak": stats.consecutive_wins()["run"],
        "loss_streak": stats.consecutive_losses()["run"],
    } == {
        name: getattr(found, name)
        for name in ("win_rate", "payoff", "profit_factor", "kelly", "win_streak", "loss_streak")
    }
