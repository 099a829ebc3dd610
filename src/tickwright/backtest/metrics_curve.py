"""Owns what an equity curve says: returns, their ratios, drawdowns; refuses a number of too little.

Ratios are of simple returns between samples on a grid of one interval from the run's start: the
widest of a day, an hour, a minute and a second that gives `RETURNS_MIN` of them and isn't finer
than the curve itself; the interval stands beside the ratios. They are annualised on 365 days
(crypto never closes), without a risk-free rate. What can't be known is None: fewer returns, an
equity that was not positive, no deviation at all. Growth per year needs `GROWTH_NS_MIN`.

Sources: Sharpe, "The Sharpe Ratio" (Journal of Portfolio Management, 1994); its standard error, Lo,
"The Statistics of Sharpe Ratios" (Financial Analysts Journal, 2002), for independent returns;
Sortino and Price, "Performance Measurement in a Downside Risk Framework" (Journal of Investing,
1994); Keating and Shadwick, "A Universal Performance Measure" (2002) for Omega; Young, "Calmar
Ratio: A Smoother Tool" (Futures, 1991); Martin, "The Investor's Guide to Fidelity Funds" (1989) for
the ulcer index.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import DAY_NS, HOUR_NS, SECOND_NS
from tickwright.backtest.record import CURVE_DECIMALS, RunRecord

__all__ = [
    "GROWTH_NS_MIN",
    "RETURNS_MIN",
    "YEAR_NS",
    "DrawdownFigures",
    "EquityCurve",
    "ReturnFigures",
    "equity_curve",
    "known",
    "make_drawdown",
    "make_returns",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

YEAR_NS = 365 * DAY_NS
RETURNS_MIN = 30
"""Ratios of fewer returns are unknown."""
GROWTH_NS_MIN = 30 * DAY_NS
"""A shorter run says nothing about a year's growth."""
_INTERVALS_NS = (DAY_NS, HOUR_NS, 60 * SECOND_NS, SECOND_NS)
_NEGLIGIBLE = 1e-12
"""Of the mean return: a deviation below it is rounding, and a ratio with it a made-up number."""


class ReturnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the equity returned. Fractions, not per cent; None is unknown."""

    total_return: float | None
    """Last equity / first - 1."""
    sample_seconds: float | None
    """Interval of the returns below."""
    samples: int
    annual_return: float | None
    """Mean return x samples a year; like CAGR of runs long enough."""
    cagr: float | None
    """(1 + total return) ^ (365 days / the run's time) - 1."""
    volatility: float | None
    """Standard deviation (n - 1) of the returns x sqrt(samples a year)."""
    sharpe: float | None
    """Mean / standard deviation x sqrt(samples a year)."""
    sharpe_error: float | None
    """Its standard error: sqrt((1 + s^2 / 2) / n) x sqrt(samples a year), s the ratio a sample."""
    sortino: float | None
    """Mean / sqrt(mean of min(return, 0)^2) x sqrt(samples a year)."""
    omega: float | None
    """Sum of gains / sum of losses."""
    calmar: float | None
    """CAGR / greatest drawdown."""
    return_over_drawdown: float | None
    """Total return / greatest drawdown: not annualised, so known for short runs too."""
    best_sample: float | None
    worst_sample: float | None


class DrawdownFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How far equity fell from its highest point so far, of every sample of the curve.

    Fractions are positive: (peak - equity) / peak.
    """

    depth: float | None
    """The greatest."""
    money: float | None
    """The greatest in money of the equity asset; maybe not at the same time."""
    peak_ns: int | None
    trough_ns: int | None
    recovered_ns: int | None
    """First sample back at the peak; None while it isn't."""
    seconds: float | None
    """Of the greatest: peak to recovery, or to the run's end."""
    longest_seconds: float | None
    """The longest time below a peak, that one or another."""
    underwater_share: float | None
    """Share of the time below a peak."""
    average: float | None
    """Mean depth over time."""
    ulcer: float | None
    """Root of the mean squared depth over time."""


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """Equity in whole money of its asset, from the run's start on."""

    time_ns: Ints
    equity: Floats
    end_ns: int

    @property
    def drawdown(self) -> Floats:
        """Depth at each sample; NaN where the peak wasn't positive."""
        peak = np.maximum.accumulate(self.equity)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(peak > 0, (peak - self.equity) / peak, np.nan)

    @property
    def seconds(self) -> Floats:
        """How long each sample's equity held."""
        return np.diff(self.time_ns, append=max(self.end_ns, int(self.time_ns[-1]))) / SECOND_NS


def known(value: float) -> float | None:
    """Return a number, or None for what is no number."""
    return float(value) if math.isfinite(value) else None


def equity_curve(record: RunRecord) -> EquityCurve:
    """Return a run's curve with its starting equity as the first sample."""
    time_ns, equity = record.curve.time_ns, record.curve.equity / 10.0**CURVE_DECIMALS
    start = float(record.starting_equity) / 1e18
    if not len(time_ns) or time_ns[0] > record.started_ns or equity[0] != start:
        time_ns = np.concatenate([np.array([record.started_ns], np.int64), time_ns])
        equity = np.concatenate([np.array([start]), equity])
    return EquityCurve(time_ns=time_ns, equity=equity, end_ns=record.ended_ns)


def sampled_returns(curve: EquityCurve) -> tuple[int, Floats] | None:
    """Return the interval and the returns between its samples, or None for too few of them.

    A sample is the curve's last value at or before it; what is left after the last whole interval
    is in no return.
    """
    start, end = int(curve.time_ns[0]), max(curve.end_ns, int(curve.time_ns[-1]))
    if len(curve.time_ns) < 2 or curve.equity.min() <= 0:
        return None
    step = float(np.median(np.diff(curve.time_ns)))
    for interval in _INTERVALS_NS:
        count = (end - start) // interval
        if count >= RETURNS_MIN and step <= interval:
            # arange with these bounds would count its steps in floats, and lose one.
            grid = start + interval * np.arange(count + 1, dtype=np.int64)
            at = np.searchsorted(curve.time_ns, grid, side="right") - 1
            sampled = curve.equity[at]
            return interval, sampled[1:] / sampled[:-1] - 1.0
    return None


def make_returns(curve: EquityCurve) -> ReturnFigures:
    """Say what a curve returned, a year and per unit of risk."""
    first, last = float(curve.equity[0]), float(curve.equity[-1])
    total = known(last / first - 1.0) if first > 0 else None
    depth = make_drawdown(curve).depth
    elapsed = curve.end_ns - int(curve.time_ns[0])
    growth = None
    is_long = elapsed >= GROWTH_NS_MIN
    if total is not None and is_long and last > 0:
        growth = known((last / first) ** (YEAR_NS / elapsed) - 1.0)
    sampled = sampled_returns(curve)
    if sampled is None:
        interval, returns = None, np.empty(0)
    else:
        interval, returns = sampled
    scale = math.sqrt(YEAR_NS / interval) if interval else math.nan
    ratio = _ratio(returns, lambda found: float(np.std(found, ddof=1)))
    downside = _ratio(returns, lambda found: math.sqrt(float(np.mean(np.minimum(found, 0) ** 2))))
    gains, losses = float(returns[returns > 0].sum()), -float(returns[returns < 0].sum())
    is_sampled = len(returns) > 0
    return ReturnFigures(
        total_return=total,
        sample_seconds=interval / SECOND_NS if interval else None,
        samples=len(returns),
        annual_return=known(float(np.mean(returns)) * scale**2) if is_sampled and is_long else None,
        cagr=growth,
        volatility=known(float(np.std(returns, ddof=1)) * scale) if is_sampled else None,
        sharpe=known(ratio * scale),
        sharpe_error=known(math.sqrt((1 + ratio**2 / 2) / len(returns)) * scale)
        if is_sampled
        else None,
        sortino=known(downside * scale),
        omega=known(gains / losses) if losses > 0 else None,
        calmar=growth / depth if growth is not None and depth else None,
        return_over_drawdown=total / depth if total is not None and depth else None,
        best_sample=float(returns.max()) if is_sampled else None,
        worst_sample=float(returns.min()) if is_sampled else None,
    )


def _ratio(returns: Floats, risk: Callable[[Floats], float]) -> float:
    """Return mean / risk of returns; NaN without a risk."""
    if not len(returns):
        return math.nan
    mean, spread = float(np.mean(returns)), risk(returns)
    return mean / spread if spread > _NEGLIGIBLE * max(abs(mean), _NEGLIGIBLE) else math.nan


def make_drawdown(curve: EquityCurve) -> DrawdownFigures:
    """Say how deep and how long a curve was below its highest point."""
    depth = curve.drawdown
    if len(depth) < 2 or np.isnan(depth).any():
        return DrawdownFigures(**dict.fromkeys(DrawdownFigures.__struct_fields__))
    equity, time_ns = curve.equity, curve.time_ns
    peak = np.maximum.accumulate(equity)
    trough = int(np.argmax(depth))
    seconds = curve.seconds
    lasted = float(seconds.sum())
    weights = seconds if lasted else np.ones(len(depth))
    top = int(np.flatnonzero(equity[: trough + 1] == peak[trough])[-1])
    back = np.flatnonzero(equity[trough:] >= peak[trough])
    recovered = int(time_ns[trough + back[0]]) if len(back) else None
    until = curve.end_ns if recovered is None else recovered
    has_fallen = bool(depth[trough])
    return DrawdownFigures(
        depth=float(depth[trough]),
        money=float((peak - equity).max()),
        peak_ns=int(time_ns[top]) if has_fallen else None,
        trough_ns=int(time_ns[trough]) if has_fallen else None,
        recovered_ns=recovered if has_fallen else None,
        seconds=(until - int(time_ns[top])) / SECOND_NS if has_fallen else None,
        longest_seconds=_longest(curve, depth > 0),
        underwater_share=float(seconds[depth > 0].sum()) / lasted if lasted else None,
        average=float(np.average(depth, weights=weights)),
        ulcer=math.sqrt(float(np.average(depth**2, weights=weights))),
    )


def _longest(curve: EquityCurve, is_below: npt.NDArray[np.bool_]) -> float:
    """Return the longest time below a peak: from the last sample at it to the next one."""
    edges = np.diff(np.concatenate([[False], is_below, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return 0.0
    until = np.append(curve.time_ns, max(curve.end_ns, int(curve.time_ns[-1])))[ends]
    return float((until - curve.time_ns[np.maximum(starts - 1, 0)]).max()) / SECOND_NS
