"""Owns the arithmetic of a report: percentiles of one run, medians and spread over runs, ratios.

Percentiles are nearest-rank on all samples, never interpolated and never from buckets. A spread is
always shown with its median; a single run says so by its count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

__all__ = ["LATENCY_FRACTIONS", "Spread", "latency_us", "percentile", "ratio"]

#: The percentiles a latency report carries, by the name they have in JSON.
LATENCY_FRACTIONS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def percentile(ordered: Sequence[int], fraction: float) -> int:
    """Return the nearest-rank percentile of samples in ascending order.

    Raises ValueError for no samples or a fraction outside 0 to 1.
    """
    if not ordered:
        raise ValueError("a percentile of no samples")
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"a fraction is 0 to 1, not {fraction}")
    return ordered[max(0, ceil(fraction * len(ordered)) - 1)]


def latency_us(samples_ns: Iterable[int]) -> dict[str, float]:
    """Return the percentiles of nanosecond samples, and max, in microseconds; and their count."""
    ordered = sorted(samples_ns)
    figures = {name: percentile(ordered, part) / 1e3 for name, part in LATENCY_FRACTIONS.items()}
    return figures | {"max": ordered[-1] / 1e3, "count": float(len(ordered))}


@dataclass(frozen=True, slots=True)
class Spread:
    """Hold one figure over several runs: median, least, most and how many runs there were."""

    median: float
    least: float
    most: float
    runs: int

    @staticmethod
    def of(values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value; raises ValueError for none."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError("a spread of no runs")
        return Spread(median(ordered), ordered[0], ordered[-1], len(ordered))

    def text(self, digits: int = 0, scale: float = 1.0) -> str:
        """Return ``median (least-most)``, or the value alone when there was one run."""
        middle = f"{self.median * scale:,.{digits}f}"
        if self.runs == 1:
            return middle
        return f"{middle} ({self.least * scale:,.{digits}f}-{self.most * scale:,.{digits}f})"


def ratio(figure: Spread, base: Spread) -> float:
    """Return the ratio of two medians; raises ZeroDivisionError when the base is zero."""
    return figure.median / base.median
