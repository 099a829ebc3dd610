"""A configuration's backtests as trials: parameters reach the strategy, windows hold."""

import dataclasses
from pathlib import Path

import pytest

from tests.integration.research.conftest import CONFIG
from tickwright.app.trial_figures import METRICS
from tickwright.app.trials import BacktestTrials, StrategyHalted, open_trials
from tickwright.core.errors import ConfigError
from tickwright.research.trial import Task

S = 1_000_000_000


def trials(market: Path) -> BacktestTrials:
    return open_trials(str(market), str(market.parent / "tape"))


def task(**changes) -> Task:
    values = {"number": 0, "key": "", "parameters": {}, **changes}
    return Task(**values)


def test_trial_when_run_then_figures_and_returns_on_a_grid_of_the_window(market: Path):
    evaluator = trials(market)
    assert {"mm.fill_decay", "mm.order_notional"} < set(evaluator.bounds)
    near = evaluator.evaluate(task())
    far = evaluator.evaluate(task(parameters={"mm.fill_decay": 0.1}))
    assert METRICS.keys() == near.metrics.keys()
    assert near.metrics["fills"] or 0 > 5
    # 1/k is 10 bps away there: nothing comes that far.
    assert (0.0, None) == (far.metrics["fills"], far.metrics["maker_share"])
    assert (near.interval_ns, near.started_ns, len(near.returns)) == (
        far.interval_ns,
        far.started_ns,
        len(far.returns),
    )
    assert 0 == sum(abs(one) for one in far.returns)
    total = near.metrics["total_return"]
    grown = 1.0
    for one in near.returns:
        grown *= 1.0 + one
    # The grid leaves out what is behind its last point.
    assert grown - 1.0 == pytest.approx(total, abs=2e-5)


def test_trial_when_run_twice_then_the_same(market: Path):
    one, two = (trials(market).evaluate(task()) for _ in range(2))
    assert one == two


def test_trial_when_it_has_a_window_then_nothing_outside_counts(market: Path):
    evaluator = trials(market)
    first, last = evaluator.span_ns
    half = (first + last) // 2
    whole, late = evaluator.evaluate(task()), evaluator.evaluate(task(from_ns=half))
    assert half == late.started_ns
    assert 0 < (late.metrics["orders"] or 0) < (whole.metrics["orders"] or 0)


def test_trial_when_warmed_up_then_quotes_at_once_and_not_before(market: Path):
    evaluator = trials(market)
    half = sum(evaluator.span_ns) // 2
    cold = evaluator.evaluate(task(from_ns=half, until_ns=half + 4 * S))
    warm = evaluator.evaluate(task(from_ns=half, until_ns=half + 4 * S, warm_up_ns=20 * S))
    # Five seconds of volatility are asked for: a cold one knows none within four.
    assert 0.0 == cold.metrics["orders"]
    assert 0 < (warm.metrics["orders"] or 0)
    assert half == warm.started_ns
    settings = evaluator._settings(task(from_ns=half, warm_up_ns=20 * S))
    assert half - 20 * S == settings.from_ns
    assert 20.0 > (warm.metrics["orders"] or 0)


def test_trial_when_parameters_contradict_or_the_strategy_raises_then_told(market: Path):
    text = CONFIG.replace('"market_making"', '"broken.py:Broken"').partition("[strategies.par")
    rest = text[2].partition("[risk]")
    (market.parent / "broken.py").write_text(
        "from tickwright.strategy.library.grid import GridParameters\n"
        "import tickwright as tw\n"
        "class Broken(tw.Strategy):\n"
        "    Parameters = GridParameters\n"
        "    def on_book(self, book):\n"
        "        raise ValueError('ouch')\n"
    )
    market.write_text(text[0] + "[risk]" + rest[2])
    evaluator = trials(market)
    with pytest.raises(ConfigError, match="levels 9 must not exceed inventory_max 3"):
        evaluator.evaluate(task(parameters={"mm.levels": 9, "mm.inventory_max": 3}))
    with pytest.raises(StrategyHalted, match=r"strategy mm was halted: ValueError: ouch at broken"):
        evaluator.evaluate(task())


def test_identity_when_anything_it_depends_on_changes_then_another(market: Path, made_tape: Path):
    base = trials(market).identity
    assert base == trials(market).identity
    seen = {base}
    for old, new in (
        ("fill_decay = 50", "fill_decay = 49"),
        ("position_percent_max = 50", "position_percent_max = 40"),
        ("[backtest]", "[backtest]\norder_ms = 7.0"),
        ("[backtest]", '[backtest]\nqueue = "log"'),
        ("[backtest]", "[backtest]\nqueue_exponent = 3.0"),
        (
            "[backtest]",
            '[backtest]\nimpact = "obizhaeva_wang"\nimpact_permanent_bps_per_million = 1.0',
        ),
    ):
        market.write_text(CONFIG.replace(old, new))
        seen.add(trials(market).identity)
    market.write_text(CONFIG)
    evaluator = trials(market)
    seen.add(open_trials(str(market), str(made_tape), seed=99).identity)
    assert 8 == len(seen)
    assert dataclasses.replace(evaluator.settings, name="x") != evaluator.settings
