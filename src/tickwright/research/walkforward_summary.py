"""Owns what a walk-forward says: the stitched curve, its windows, how steady the choices are.

Efficiency is Pardo's: what a window earned out of sample over what it earned in sample, both per
time. It refuses ratios of too few returns: they are None.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.research.judgement import Judgement
from tickwright.research.space import Parameters, Value
from tickwright.research.statistics import deflated_sharpe, probabilistic_sharpe, return_shape
from tickwright.research.sweep import SweepResult
from tickwright.research.trial import Trial

if TYPE_CHECKING:
    from tickwright.research.walkforward import WalkWindow

__all__ = [
    "OutOfSample",
    "Stability",
    "WalkForwardSummary",
    "WindowSummary",
    "judge_curve",
    "summarise",
]

Floats = npt.NDArray[np.float64]

YEAR_NS = 365 * 86_400 * 10**9


class OutOfSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the stitched curve is worth."""

    observations: int
    interval_s: float
    total_return: float | None
    sharpe: float | None
    """Yearly: per return x sqrt(returns a year)."""
    drawdown: float | None
    probabilistic_sharpe: float | None
    """That the true ratio is above 0; nothing was chosen by these returns, so it isn't deflated."""
    deflated_sharpe: float | None
    """The same against the best to expect of as many trials as a window had: the stricter word."""


class WindowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One window. Values are of the objective; None is unknown."""

    number: int
    in_from_ns: int
    in_until_ns: int
    out_until_ns: int
    parameters: Parameters
    in_sample: float | None
    out_of_sample: float | None
    in_sample_return: float | None
    out_of_sample_return: float | None
    trials: int
    deflated_sharpe: float | None
    overfitting: float | None
    error: str


class Stability(msgspec.Struct, frozen=True, kw_only=True):
    """How steady the choice of one parameter was; mean and deviation of numbers alone."""

    name: str
    values: list[Value]
    """By window."""
    distinct: int
    changes: int
    """Windows that chose another value than the one before."""
    mean: float | None
    deviation: float | None


class WalkForwardSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A walk-forward, for JSON."""

    objective: str
    is_anchored: bool
    is_interrupted: bool
    trials: int
    failed: int
    windows: list[WindowSummary]
    out_of_sample: OutOfSample
    windows_won: float | None
    """Share of windows with a positive return out of sample."""
    efficiency: float | None
    """Return out of sample over return in sample, both per time and over all windows."""
    overfitting: float | None
    """Mean probability over the windows that know it."""
    deflated_sharpe: float | None
    """Mean in-sample probability over the windows that know it."""
    stability: list[Stability]


def judge_curve(returns: Floats, interval_ns: int, sweeps: Sequence[SweepResult]) -> OutOfSample:
    """Say what a stitched curve is worth after these sweeps chose for it."""
    equity = np.cumprod(1.0 + returns)
    shape = return_shape(returns) if len(returns) > 1 else None
    plain = deflated = yearly = None
    if shape is not None and shape.sharpe is not None:
        yearly = shape.sharpe * math.sqrt(YEAR_NS / interval_ns) if interval_ns else None
        form: dict[str, Any] = {
            "count": shape.count,
            "skewness": shape.skewness,
            "kurtosis": shape.kurtosis,
        }
        trials, variance = _tried(sweeps, interval_ns)
        try:
            plain = probabilistic_sharpe(shape.sharpe, **form)
            if trials:
                deflated = deflated_sharpe(
                    shape.sharpe, trials=trials, sharpe_variance=variance, **form
                )
        except ValueError:
            # So few and so skewed that the ratio's own deviation has no meaning.
            plain = deflated = None
    peaks = np.maximum.accumulate(np.concatenate([[1.0], equity]))[1:]
    return OutOfSample(
        observations=len(returns),
        interval_s=interval_ns / 1e9,
        total_return=float(equity[-1] - 1.0) if len(equity) else None,
        sharpe=yearly,
        drawdown=float((1.0 - equity / peaks).max()) if len(equity) else None,
        probabilistic_sharpe=plain,
        deflated_sharpe=deflated,
    )


def _tried(sweeps: Sequence[SweepResult], interval_ns: int) -> tuple[int, float]:
    """Return how many trials a window had, and the variance of their ratios per `interval_ns`."""
    variances, counts = [], []
    for found in sweeps:
        ratios = []
        for one in found.done:
            if len(one.returns) > 1 and one.interval_ns:
                # A ratio grows with the root of the time of its returns.
                scale = math.sqrt(interval_ns / one.interval_ns)
                ratios.append((return_shape(one.returns).sharpe or 0.0) * scale)
        if len(ratios) > 1:
            variances.append(float(np.var(ratios, ddof=1)))
            counts.append(len(ratios))
    return (max(counts), float(np.mean(variances))) if counts else (0, 0.0)


def summarise(
    *,
    objective: str,
    is_anchored: bool,
    is_interrupted: bool,
    windows: "Sequence[tuple[WalkWindow, SweepResult, Judgement, Trial | None]]",
    out_of_sample: OutOfSample,
) -> WalkForwardSummary:
    """Return a walk's figures."""
    rows = [_row(objective, *one) for one in windows]
    outs = [row.out_of_sample_return for row in rows if row.out_of_sample_return is not None]
    return WalkForwardSummary(
        objective=objective,
        is_anchored=is_anchored,
        is_interrupted=is_interrupted,
        trials=sum(len(found.trials) for _, found, _, _ in windows),
        failed=sum(len(found.failed) for _, found, _, _ in windows),
        windows=rows,
        out_of_sample=out_of_sample,
        windows_won=sum(one > 0 for one in outs) / len(outs) if outs else None,
        efficiency=_efficiency(rows),
        overfitting=_mean([row.overfitting for row in rows]),
        deflated_sharpe=_mean([row.deflated_sharpe for row in rows]),
        stability=_stability(rows),
    )


def _row(
    objective: str, window: "WalkWindow", found: SweepResult, judged: Judgement, out: Trial | None
) -> WindowSummary:
    best = found.best
    return WindowSummary(
        number=window.number,
        in_from_ns=window.in_from_ns,
        in_until_ns=window.in_until_ns,
        out_until_ns=window.out_until_ns,
        parameters={} if best is None else best.parameters,
        in_sample=None if best is None else best.value(objective),
        out_of_sample=None if out is None else out.value(objective),
        in_sample_return=_total(best),
        out_of_sample_return=_total(out),
        trials=len(found.trials),
        deflated_sharpe=judged.deflated_sharpe,
        overfitting=judged.overfitting,
        error="no trial could be chosen" if best is None else "" if out is None else out.error,
    )


def _total(trial: Trial | None) -> float | None:
    if trial is None or trial.is_failed or not len(trial.returns):
        return None
    return float(np.prod(1.0 + trial.returns) - 1.0)


def _efficiency(rows: Sequence[WindowSummary]) -> float | None:
    inside = outside = inside_ns = outside_ns = 0.0
    for row in rows:
        if row.in_sample_return is None or row.out_of_sample_return is None:
            continue
        inside += math.log1p(row.in_sample_return)
        outside += math.log1p(row.out_of_sample_return)
        inside_ns += row.in_until_ns - row.in_from_ns
        outside_ns += row.out_until_ns - row.in_until_ns
    # Where nothing was earned in sample, there is nothing to keep of it.
    return (outside / outside_ns) / (inside / inside_ns) if inside > 0.0 else None


def _deviation(numbers: Sequence[float]) -> float | None:
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _stability(rows: Sequence[WindowSummary]) -> list[Stability]:
    chosen = [row.parameters for row in rows if row.parameters]
    found = []
    for name in dict.fromkeys(name for one in chosen for name in one):
        values = [one[name] for one in chosen if name in one]
        numbers = [
            float(value)
            for value in values
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        ]
        is_number = len(numbers) == len(values)
        found.append(
            Stability(
                name=name,
                values=values,
                distinct=len(set(values)),
                changes=sum(a != b for a, b in pairwise(values)),
                mean=float(np.mean(numbers)) if is_number else None,
                deviation=_deviation(numbers) if is_number else None,
            )
        )
    return found
