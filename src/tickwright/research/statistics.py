"""Owns what a Sharpe ratio is worth: by its length, its shape and how many were tried.

Ratios here are per observation, never annualised, and kurtosis is the plain one (3 for a normal
distribution). It refuses ratios of returns that don't vary: they are None, never infinite.

Sources: D. Bailey and M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15
(2012), 3-44, for the probabilistic Sharpe ratio and the minimum track record length; the same, "The
Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting, and Non-Normality",
Journal of Portfolio Management 40 (2014), 94-107.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = [
    "ReturnShape",
    "deflated_sharpe",
    "expected_sharpe_max",
    "probabilistic_sharpe",
    "return_shape",
    "sharpe_deviation",
    "track_record_min",
]

Floats = npt.NDArray[np.float64]

EULER_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()
_NEGLIGIBLE = 1e-14
"""Of the largest return: a deviation below it is rounding."""


class ReturnShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a series of returns looks like; per observation."""

    count: int
    mean: float
    deviation: float
    """With n - 1."""
    sharpe: float | None
    """Mean / deviation; None when the returns don't vary."""
    skewness: float
    kurtosis: float


def return_shape(returns: Sequence[float] | Floats) -> ReturnShape:
    """Return the shape of a series; skewness 0 and kurtosis 3 where nothing varies.

    Raises:
        ValueError: fewer than two returns, or one that is no finite number.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError("at least two returns are needed")
    if not np.isfinite(values).all():
        raise ValueError("a return is not a finite number")
    mean = float(values.mean())
    centred = values - mean
    second = float((centred**2).mean())
    deviation = math.sqrt(second * len(values) / (len(values) - 1))
    if deviation <= _NEGLIGIBLE * float(np.abs(values).max(initial=0.0)):
        return ReturnShape(
            count=len(values), mean=mean, deviation=0.0, sharpe=None, skewness=0.0, kurtosis=3.0
        )
    return ReturnShape(
        count=len(values),
        mean=mean,
        deviation=deviation,
        sharpe=mean / deviation,
        skewness=float((centred**3).mean()) / second**1.5,
        kurtosis=float((centred**4).mean()) / second**2,
    )


def sharpe_deviation(sharpe: float, *, count: int, skewness: float, kurtosis: float) -> float:
    """Return the standard deviation of an estimated Sharpe ratio.

    sqrt((1 - skewness x s + (kurtosis - 1) / 4 x s^2) / (count - 1)).

    Raises:
        ValueError: fewer than two observations, or a shape no distribution has.
    """
    if count < 2:
        raise ValueError(f"a Sharpe ratio needs two observations, not {count}")
    square = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if square <= 0.0:
        raise ValueError(
            f"skewness {skewness:g} and kurtosis {kurtosis:g} do not fit a ratio of {sharpe:g}"
        )
    return math.sqrt(square / (count - 1))


def probabilistic_sharpe(
    sharpe: float,
    *,
    count: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark`."""
    deviation = sharpe_deviation(sharpe, count=count, skewness=skewness, kurtosis=kurtosis)
    return _NORMAL.cdf((sharpe - benchmark) / deviation)


def track_record_min(
    sharpe: float,
    *,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
    confidence: float = 0.95,
) -> float | None:
    """Return how many observations it takes to be `confidence` sure; None: no number would do."""
    if sharpe <= benchmark:
        return None
    deviation = sharpe_deviation(sharpe, count=2, skewness=skewness, kurtosis=kurtosis)
    return 1.0 + (deviation * _NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def expected_sharpe_max(trials: int, sharpe_variance: float) -> float:
    """Return the best Sharpe ratio to expect of `trials` independent ones whose truth is zero.

    sqrt(variance) x ((1 - g) x Z(1 - 1/n) + g x Z(1 - 1/(n e))), g the Euler-Mascheroni constant
    and Z the normal quantile. One trial was no choice: 0.

    Raises:
        ValueError: no trial, or a negative variance.
    """
    if trials < 1 or sharpe_variance < 0.0:
        raise ValueError(f"{trials} trials with a variance of {sharpe_variance:g}")
    if trials == 1:
        return 0.0
    first = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(sharpe_variance) * ((1.0 - EULER_GAMMA) * first + EULER_GAMMA * second)


def deflated_sharpe(
    sharpe: float,
    *,
    trials: int,
    sharpe_variance: float,
    count: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """Return the probability that the best of `trials` ratios isn't what chance makes of none.

    `sharpe_variance` is that of the ratios over the trials. Trials that are much alike are fewer
    independent ones: then the true probability is higher than this.
    """
    return probabilistic_sharpe(
        sharpe,
        count=count,
        skewness=skewness,
        kurtosis=kurtosis,
        benchmark=expected_sharpe_max(trials, sharpe_variance),
    )
