"""Owns how likely the best of many trials is a product of chance; refuses too little to tell by.

Source: D. Bailey, J. Borwein, M. Lopez de Prado and Q. Zhu, "The Probability of Backtest
Overfitting", Journal of Computational Finance 20 (2017), 39-69 (first version 2015), by
combinatorially symmetric cross-validation: the time is cut into equal blocks, every half of the
blocks is once the sample to choose the best trial in, and the other half tells how it fares there
among all. The probability is the share of choices that end below the median.
"""

import math
from itertools import combinations, islice
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["BLOCKS_MAX", "Overfitting", "overfitting"]

Floats = npt.NDArray[np.float64]

BLOCKS_MAX = 20
"""184,756 halves; more would take minutes and say the same."""
_CELLS_MAX = 4_000_000
"""Halves times trials looked at together: 32 MB a column of figures."""


class Overfitting(msgspec.Struct, frozen=True, kw_only=True):
    """What cross-validation says of choosing the best trial.

    `logits` holds ln(w / (1 - w)) of each choice, w its relative rank out of sample: below 0 it
    ends in the worse half. Performances are Sharpe ratios per observation, or means.
    """

    probability: float
    """Share of logits at or below 0."""
    loss_probability: float
    """Share of choices that lost out of sample."""
    slope: float
    """Of out-of-sample on in-sample performance of the chosen; below 0: the better, the worse."""
    trials: int
    observations: int
    blocks: int
    choices: int
    logits: tuple[float, ...]


def overfitting(
    returns: Floats,
    *,
    blocks: int = 16,
    statistic: Literal["sharpe", "mean"] = "sharpe",
) -> Overfitting:
    """Return the probability of overfitting of a matrix of returns, time down and trials across.

    What doesn't fill a block is left out at the beginning. A trial that never varied has a ratio
    of 0: it did nothing.

    Raises:
        ValueError: fewer than two trials or two rows a block, an odd number of blocks or one out
            of 2 to `BLOCKS_MAX`, or a value that is no finite number.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError("the choice needs at least two trials")
    if blocks % 2 or not 2 <= blocks <= BLOCKS_MAX:
        raise ValueError(f"blocks must be an even number from 2 to {BLOCKS_MAX}, not {blocks}")
    length = len(values) // blocks
    if length < 1 or (statistic == "sharpe" and length * blocks < 4):
        raise ValueError(f"{len(values)} observations are too few for {blocks} blocks")
    if not np.isfinite(values).all():
        raise ValueError("a return is not a finite number")
    values = values[len(values) - length * blocks :]
    trials = values.shape[1]
    cut = values.reshape(blocks, length, trials)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    half = length * blocks // 2
    logits: list[Floats] = []
    inside: list[Floats] = []
    outside: list[Floats] = []
    halves = combinations(range(blocks), blocks // 2)
    together = max(_CELLS_MAX // trials, 1)
    while chunk := list(islice(halves, together)):
        chosen = np.zeros((len(chunk), blocks))
        np.put_along_axis(chosen, np.array(chunk), 1.0, axis=1)
        ours = _performance(chosen, sums, squares, half, statistic)
        theirs = _performance(1.0 - chosen, sums, squares, half, statistic)
        best = ours.argmax(axis=1)[:, None]
        performance = np.take_along_axis(theirs, best, axis=1)
        below = (theirs < performance).sum(axis=1)
        alike = (theirs == performance).sum(axis=1)
        # Ranks from 1; those of equal performance share theirs.
        relative = (below + (alike + 1) / 2) / (trials + 1)
        logits.append(np.log(relative / (1.0 - relative)))
        inside.append(np.take_along_axis(ours, best, axis=1)[:, 0])
        outside.append(performance[:, 0])
    found = np.concatenate(logits)
    out = np.concatenate(outside)
    return Overfitting(
        probability=float((found <= 0.0).mean()),
        loss_probability=float((out < 0.0).mean()),
        slope=_slope(np.concatenate(inside), out),
        trials=trials,
        observations=length * blocks,
        blocks=blocks,
        choices=len(found),
        logits=tuple(found.tolist()),
    )


def _performance(
    chosen: Floats, sums: Floats, squares: Floats, count: int, statistic: str
) -> Floats:
    mean = chosen @ sums / count
    if statistic == "mean":
        return np.asarray(mean)
    spread = chosen @ squares / count
    variance = (spread - mean**2) * count / (count - 1)
    # What is left of two equal sums is rounding: nothing varied there.
    is_still = variance <= 1e-14 * spread
    ratio = mean / np.sqrt(np.where(is_still, 1.0, variance))
    return np.where(is_still, 0.0, ratio)


def _slope(x: Floats, y: Floats) -> float:
    spread = float(((x - x.mean()) ** 2).sum())
    if spread <= 0.0:
        return math.nan if len(x) < 2 else 0.0
    return float(((x - x.mean()) * (y - y.mean())).sum()) / spread
