"""Research: sweeps over parameters, walk-forward, and statistics that know how much was tried."""

from tickwright.research.judgement import Judgement, judge, returns_matrix
from tickwright.research.overfitting import Overfitting, overfitting
from tickwright.research.results import keep_in_lake, write_trials
from tickwright.research.space import Dimension, Space, parse_dimension
from tickwright.research.statistics import (
    ReturnShape,
    deflated_sharpe,
    expected_sharpe_max,
    probabilistic_sharpe,
    return_shape,
    track_record_min,
)
from tickwright.research.sweep import SweepProgress, SweepResult, SweepSummary, sweep
from tickwright.research.trial import Evaluator, Outcome, Recipe, Task, Trial
from tickwright.research.walkforward import (
    WalkForwardProgress,
    WalkForwardResult,
    WalkWindow,
    make_windows,
    walk_forward,
)
from tickwright.research.walkforward_summary import WalkForwardSummary

__all__ = [
    "Dimension",
    "Evaluator",
    "Judgement",
    "Outcome",
    "Overfitting",
    "Recipe",
    "ReturnShape",
    "Space",
    "SweepProgress",
    "SweepResult",
    "SweepSummary",
    "Task",
    "Trial",
    "WalkForwardProgress",
    "WalkForwardResult",
    "WalkForwardSummary",
    "WalkWindow",
    "deflated_sharpe",
    "expected_sharpe_max",
    "judge",
    "keep_in_lake",
    "make_windows",
    "overfitting",
    "parse_dimension",
    "probabilistic_sharpe",
    "return_shape",
    "returns_matrix",
    "sweep",
    "track_record_min",
    "walk_forward",
    "write_trials",
]
