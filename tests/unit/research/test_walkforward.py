"""Walk-forward on a market whose best parameter is known at each time."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.research.formula import BOUNDS
from tickwright.core.errors import ConfigError
from tickwright.research.trial import Outcome, Task
from tickwright.research.walkforward import (
    WalkForwardProgress,
    WalkForwardResult,
    make_windows,
    walk_forward,
)

S = 1_000_000_000


class Regimes:
    """Pays 1 % a second for x = 1 before second 50, and for x = 2 from then on; else loses it."""

    identity = "regimes"
    bounds = BOUNDS
    span_ns = (100 * S, 200 * S)

    def __init__(self) -> None:
        self.asked: list[Task] = []

    def evaluate(self, task: Task) -> Outcome:
        self.asked.append(task)
        x = task.parameters["one.x"]
        if x == 5:
            raise ValueError("five breaks")
        seconds = range(task.from_ns // S, task.until_ns // S)
        rights = [x == (1 if second < 150 else 2) for second in seconds]
        # A hair apart, so that ratios are known.
        returns = [0.01 if ok else -0.01 for ok in rights]
        returns[0] *= 1.5
        return Outcome(
            metrics={"total": float(sum(returns))},
            returns=returns,
            interval_ns=S,
            started_ns=task.from_ns,
        )


def walked(
    evaluator: Regimes | None = None, *, space: Iterable[str] = ("one.x=1,2",), **options: Any
) -> WalkForwardResult:
    return walk_forward(
        evaluator or Regimes(),
        list(space),
        in_sample_ns=20 * S,
        out_of_sample_ns=10 * S,
        objective="total",
        **options,
    )


def test_windows_when_rolling_then_the_stretches_behind_touch_and_look_back_evenly():
    windows = make_windows((0, 59), in_sample_ns=20, out_of_sample_ns=10)
    assert [(0, 20, 30), (10, 30, 40), (20, 40, 50)] == [
        (one.in_from_ns, one.in_until_ns, one.out_until_ns) for one in windows
    ]


def test_windows_when_anchored_then_all_begin_at_the_start():
    windows = make_windows((5, 45), in_sample_ns=20, out_of_sample_ns=10, anchored=True)
    assert [(5, 25, 35), (5, 35, 45)] == [
        (one.in_from_ns, one.in_until_ns, one.out_until_ns) for one in windows
    ]


@pytest.mark.parametrize(
    ("span", "lengths", "words"),
    [
        ((0, 29 * S), (20 * S, 10 * S), "no window fits: the tape is 29 s, a window 30 s"),
        ((0, 10_000), (1, 1), "9999 windows are more than 1000"),
        ((0, 100), (0, 10), "above 0"),
    ],
)
def test_windows_when_they_do_not_fit_then_refused(span, lengths, words):
    with pytest.raises(ConfigError, match=words):
        make_windows(span, in_sample_ns=lengths[0], out_of_sample_ns=lengths[1])


def test_walk_when_the_regime_changes_then_each_window_chose_by_what_it_saw():
    result = walked()
    # In-sample [100,120) ... [170,190): the regime changes at 150. Of [140,160) half is each, the
    # first return counts half more: x = 1. So out of sample [150,160) and [160,170) are lost.
    assert [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0] == [
        one.parameters["one.x"] for one in result.windows
    ]
    outs = [one.out.value("total") for one in result.windows if one.out is not None]
    assert pytest.approx([0.105, 0.105, 0.105, -0.105, -0.105, 0.105, 0.105, 0.105]) == outs
    summary = result.summary()
    assert (6 / 8, 8, 16, 0) == (
        summary.windows_won,
        len(summary.windows),
        summary.trials,
        summary.failed,
    )
    (stability,) = summary.stability
    assert ("one.x", 2, 1, 11 / 8) == (
        stability.name,
        stability.distinct,
        stability.changes,
        stability.mean,
    )
    # Wins of 1.015 x 1.01^9 six times, losses of 0.985 x 0.99^9 twice.
    won, lost = 1.015 * 1.01**9, 0.985 * 0.99**9
    assert won**6 * lost**2 - 1 == pytest.approx(summary.out_of_sample.total_return)
    assert 1 - lost**2 == pytest.approx(summary.out_of_sample.drawdown)
    assert (80, 1.0) == (summary.out_of_sample.observations, summary.out_of_sample.interval_s)


def test_walk_when_judged_then_deflated_by_what_was_tried():
    found = walked().out_of_sample()
    assert found.probabilistic_sharpe is not None
    assert found.deflated_sharpe is not None
    assert 0 <= found.deflated_sharpe < found.probabilistic_sharpe < 1
    returns = walked().returns()[1]
    ratio = returns.mean() / returns.std(ddof=1)
    assert ratio * math.sqrt(365 * 86_400) == pytest.approx(found.sharpe)


def test_efficiency_when_as_good_behind_as_before_then_one():
    result = walked(span=(100 * S, 140 * S))
    efficiency = result.summary().efficiency
    assert efficiency is not None
    # Logs of 1.015 and nine of 1.01 in ten seconds, against nineteen in twenty.
    outside = (math.log(1.015) + 9 * math.log(1.01)) / 10
    inside = (math.log(1.015) + 19 * math.log(1.01)) / 20
    assert outside / inside == pytest.approx(efficiency)


def test_walk_when_looked_at_then_no_choice_saw_what_it_is_judged_by():
    evaluator = Regimes()
    result = walked(evaluator, warm_up_ns=3 * S)
    for one in result.windows:
        assert one.out is not None
        assert {(one.window.in_from_ns, one.window.in_until_ns)} == {
            (t.from_ns, t.until_ns) for t in one.sweep.trials
        }
        assert (one.window.in_until_ns, one.window.out_until_ns) == (
            one.out.from_ns,
            one.out.until_ns,
        )
    assert {3 * S} == {task.warm_up_ns for task in evaluator.asked}


def test_walk_when_nothing_can_be_chosen_then_the_window_stands_out():
    result = walked(space=("one.x=5,5.0000001",), span=(100 * S, 130 * S))
    summary = result.summary()
    # 5.0000001 loses all the time, and is chosen all the same; five alone leaves nothing.
    assert [5.0000001] == [one.parameters["one.x"] for one in result.windows]
    alone = walked(space=("one.x=5",), span=(100 * S, 130 * S)).summary()
    assert ("no trial could be chosen", None) == (
        alone.windows[0].error,
        alone.windows[0].out_of_sample,
    )
    assert (0, None) == (alone.out_of_sample.observations, alone.out_of_sample.total_return)
    assert 1 == summary.failed


def test_walk_when_resumed_then_nothing_is_tried_twice(tmp_path: Path):
    class Stopped(Regimes):
        def evaluate(self, task: Task) -> Outcome:
            if len(self.asked) == 5:
                raise KeyboardInterrupt
            return super().evaluate(task)

    told: list[WalkForwardProgress] = []
    first = walked(Stopped(), folder=tmp_path)
    assert (True, 3) == (first.is_interrupted, len(first.windows))
    evaluator = Regimes()
    again = walked(evaluator, folder=tmp_path, resumes=True, on_progress=told.append)
    assert 16 + 8 - 5 == len(evaluator.asked)
    assert (24, 24, 5, 8) == (told[-1].done, told[-1].total, told[-1].reused, told[-1].windows)
    assert walked().summary().out_of_sample == again.summary().out_of_sample


def test_frames_when_made_then_windows_and_curve():
    result = walked()
    frame, curve = result.frame(), result.curve()
    assert (8, [1.0] * 5 + [2.0] * 3) == (frame.height, frame["one.x"].to_list())
    assert ["time", "return", "equity", "window"] == curve.columns
    assert 80 == curve.height
    assert "1970-01-01 00:02:01" in str(curve["time"][0])
    assert np.prod([1.015, *[1.01] * 9]) == pytest.approx(curve["equity"][9])
    assert 24 == result.trials().height
