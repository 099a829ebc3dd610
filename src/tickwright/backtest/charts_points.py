"""Owns making a long series short without losing its extremes; refuses averages."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["shortened"]

Ints = npt.NDArray[np.int64]


def shortened(values: npt.NDArray[np.number], points: int, keep: Iterable[int] = ()) -> Ints:
    """Return at most `points` rising indices: the lowest and highest of each stretch.

    The first and the last one and those to `keep` are always among them, and count.

    Raises:
        ValueError: `points` is below 4, or too few for what is to be kept.
    """
    count = len(values)
    if count <= points:
        return np.arange(count, dtype=np.int64)
    kept = {0, count - 1, *(index for index in keep if 0 <= index < count)}
    stretches = (points - len(kept)) // 2
    if points < 4 or stretches < 1:
        raise ValueError(f"{points} points can't hold {len(kept)} and the extremes between them")
    bounds = np.linspace(0, count, stretches + 1).astype(np.int64).tolist()
    for start, end in pairwise(bounds):
        stretch = values[start:end]
        kept.add(start + int(np.argmin(stretch)))
        kept.add(start + int(np.argmax(stretch)))
    return np.array(sorted(kept), np.int64)
