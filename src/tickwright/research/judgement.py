"""Owns what a set of trials is worth together: shape of the best, deflation, overfitting.

It refuses to tell more than the trials hold: what needs two of them, or more returns, is None.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.research.overfitting import overfitting
from tickwright.research.statistics import (
    ReturnShape,
    deflated_sharpe,
    probabilistic_sharpe,
    return_shape,
    track_record_min,
)
from tickwright.research.trial import Trial

__all__ = ["Judgement", "judge", "returns_matrix"]

Floats = npt.NDArray[np.float64]

BLOCKS = 16
ROWS_A_BLOCK_MIN = 2


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the best trial's Sharpe ratio is worth; ratios per return, probabilities 0 to 1."""

    trials: int
    """Trials that count: done, with returns."""
    observations: int
    """Returns of the best."""
    sharpe: float | None
    sharpe_deviation_of_trials: float | None
    """Standard deviation of the ratios over the trials."""
    skewness: float | None
    kurtosis: float | None
    probabilistic_sharpe: float | None
    """That the true ratio is above 0, had it been the only trial."""
    deflated_sharpe: float | None
    """The same, given how many were tried."""
    track_record_min: float | None
    """Returns needed to be 95 % sure of a ratio above 0, had it been the only trial."""
    overfitting: float | None
    """Probability that the best of one half of the time is in the worse half of the other."""
    overfitting_slope: float | None
    loss_probability: float | None


def returns_matrix(trials: Sequence[Trial]) -> Floats:
    """Return the returns of trials on one grid, time down and trials across.

    A grid that differs in length or place is cut to what all of them have.
    """
    usable = [one for one in trials if not one.is_failed and len(one.returns) > 1]
    if not usable:
        return np.zeros((0, 0))
    interval = usable[0].interval_ns
    usable = [one for one in usable if one.interval_ns == interval]
    first = max(one.started_ns for one in usable)
    last = min(one.started_ns + interval * len(one.returns) for one in usable)
    count = max((last - first) // interval, 0) if interval else min(len(u.returns) for u in usable)
    columns = []
    for one in usable:
        skipped = (first - one.started_ns) // interval if interval else 0
        columns.append(one.returns[skipped : skipped + count])
    return np.stack(columns, axis=1) if count else np.zeros((0, len(usable)))


def judge(trials: Sequence[Trial], best: Trial | None) -> Judgement:
    """Judge the best of some trials by all of them."""
    matrix = returns_matrix(trials)
    count = matrix.shape[1]
    shapes = [return_shape(matrix[:, i]) for i in range(count)] if len(matrix) > 1 else []
    # One that never traded is a trial too: its ratio is 0.
    ratios = np.array([shape.sharpe or 0.0 for shape in shapes])
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    shape = return_shape(best.returns) if best is not None and len(best.returns) > 1 else None
    worth = _worth(shape, count, variance)
    blocks = min(BLOCKS, len(matrix) // ROWS_A_BLOCK_MIN // 2 * 2)
    found = overfitting(matrix, blocks=blocks) if count > 1 and blocks >= 4 else None
    return Judgement(
        trials=count,
        observations=0 if shape is None else shape.count,
        sharpe=None if shape is None else shape.sharpe,
        sharpe_deviation_of_trials=variance**0.5 if len(ratios) > 1 else None,
        skewness=None if shape is None else shape.skewness,
        kurtosis=None if shape is None else shape.kurtosis,
        probabilistic_sharpe=worth[0],
        deflated_sharpe=worth[1],
        track_record_min=worth[2],
        overfitting=None if found is None else found.probability,
        overfitting_slope=None if found is None else found.slope,
        loss_probability=None if found is None else found.loss_probability,
    )


def _worth(
    shape: ReturnShape | None, trials: int, variance: float
) -> tuple[float | None, float | None, float | None]:
    if shape is None or shape.sharpe is None or not trials:
        return None, None, None
    try:
        plain = probabilistic_sharpe(
            shape.sharpe, count=shape.count, skewness=shape.skewness, kurtosis=shape.kurtosis
        )
        deflated = deflated_sharpe(
            shape.sharpe,
            trials=trials,
            sharpe_variance=variance,
            count=shape.count,
            skewness=shape.skewness,
            kurtosis=shape.kurtosis,
        )
        needed = track_record_min(shape.sharpe, skewness=shape.skewness, kurtosis=shape.kurtosis)
    except ValueError:
        # So few and so skewed that the ratio's own deviation has no meaning.
        return None, None, None
    return plain, deflated, needed
