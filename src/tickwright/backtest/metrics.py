"""Owns the usual figures of a run: trades, costs, exposure and their splits; refuses to draw them.

Curve figures are `metrics_curve`'s, round trips `metrics_trips`'s. Totals of money are exact
Decimals; figures of trips, turnover and averages are floats of the equity asset. None is unknown.

Sources: Tharp, "Trade Your Way to Financial Freedom" (2nd edition, 2007) for expectancy and the
system quality number; Kelly, "A New Interpretation of Information Rate" (Bell System Technical
Journal, 1956).
"""

import math
from decimal import Decimal
from operator import attrgetter

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import DAY_NS, RunColumns, make_columns
from tickwright.backtest.metrics_curve import (
    DrawdownFigures,
    EquityCurve,
    ReturnFigures,
    equity_curve,
    known,
    make_drawdown,
    make_returns,
)
from tickwright.backtest.metrics_splits import DayRow, SplitRow, make_days, make_splits
from tickwright.backtest.metrics_trips import TripColumns, make_trips
from tickwright.backtest.record import CURVE_DECIMALS, RunRecord
from tickwright.core.orders import ExecutionKind
from tickwright.core.units import decimal_from_units, money_to_decimal

__all__ = [
    "TRIPS_MIN",
    "CostFigures",
    "ExposureFigures",
    "Metrics",
    "MoneyFigures",
    "TripFigures",
    "make_metrics",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TRIPS_MIN = 30
"""Quality number and Kelly's fraction of fewer round trips are unknown."""
_PAYMENTS = frozenset({ExecutionKind.FUNDING.value, ExecutionKind.SETTLE.value})


class MoneyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the account made, exactly, in the equity asset."""

    starting_equity: Decimal
    ending_equity: Decimal | None
    net: Decimal | None
    """Ending - starting: everything is in it."""
    gross: float
    """Of closed lots, before fees."""
    open_result: float | None
    """net - gross + fees - funding: what is left open, at its mark."""


class TripFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Closed round trips, net of their fees; money of the equity asset."""

    count: int
    unknown: int
    """Trips whose result has no rate to the equity asset: in none of the figures."""
    wins: int
    losses: int
    win_rate: float | None
    """Wins / trips; one that made nothing is neither."""
    gross: float
    fees: float
    net: float
    expectancy: float | None
    """Net / trips."""
    expectancy_bp: float | None
    """Net / entry notional, in basis points."""
    average_win: float | None
    average_loss: float | None
    """Negative."""
    payoff: float | None
    """Average win / average loss."""
    best: float | None
    worst: float | None
    win_streak: int
    loss_streak: int
    profit_factor: float | None
    """Sum of wins / sum of losses."""
    sqn: float | None
    """sqrt(trips) x mean / standard deviation (n - 1) of the net results."""
    kelly: float | None
    """w - (1 - w) / payoff, w the win rate; the fraction of Kelly for two outcomes."""
    holding_seconds_p50: float | None
    holding_seconds_mean: float | None


class ExposureFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How much was in the market, of the curve's samples weighted by time."""

    time_share: float | None
    """Share of the run with any position."""
    gross_mean: float | None
    gross_max: float | None
    leverage_mean: float | None
    """Gross exposure / equity."""
    leverage_max: float | None


class CostFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What trading cost. Fees are positive when paid, funding when received."""

    fees: dict[str, Decimal]
    """By asset, exact; all of them."""
    funding: dict[str, Decimal]
    """By asset, exact."""
    fees_paid: float
    """In the equity asset, of those with a rate to it."""
    maker_fees: float
    taker_fees: float
    rebates: float
    """What negative fees brought, as a positive number; also in the fees."""
    fee_bp: float | None
    """Fees / turnover."""
    funding_received: float
    turnover: float
    """Notional of all fills."""
    turnover_per_day: float | None
    turnover_of_equity: float | None
    """Turnover / mean equity over time."""
    net_bp: float | None
    """Net / turnover."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """All the usual figures of one run."""

    equity_asset: str
    seconds: float
    money: MoneyFigures
    returns: ReturnFigures
    drawdown: DrawdownFigures
    trips: TripFigures
    long: TripFigures
    short: TripFigures
    exposure: ExposureFigures
    costs: CostFigures
    fills: int
    days: tuple[DayRow, ...]
    by_strategy: tuple[SplitRow, ...]
    by_symbol: tuple[SplitRow, ...]
    by_hour: tuple[SplitRow, ...]


def make_metrics(
    record: RunRecord, columns: RunColumns | None = None, trips: TripColumns | None = None
) -> Metrics:
    """Work out a run's figures; `columns` and `trips` when they are there already.

    Raises:
        ValueError: a fill or order is of an instrument that the record doesn't hold.
    """
    columns = columns or make_columns(record)
    trips = trips or make_trips(columns)
    curve = equity_curve(record)
    is_long = trips.direction > 0
    costs = _costs(record, columns, curve)
    return Metrics(
        equity_asset=record.equity_asset,
        seconds=(record.ended_ns - record.started_ns) / 1e9,
        money=_money(record, trips, costs),
        returns=make_returns(curve),
        drawdown=make_drawdown(curve),
        trips=trip_figures(trips, np.ones(len(is_long), np.bool_)),
        long=trip_figures(trips, is_long),
        short=trip_figures(trips, ~is_long),
        exposure=_exposure(record, curve),
        costs=costs,
        fills=int((columns.fills.size > 0).sum()),
        days=make_days(curve, columns, trips),
        by_strategy=make_splits("strategy", columns, trips),
        by_symbol=make_splits("symbol", columns, trips),
        by_hour=make_splits("hour", columns, trips),
    )


def trip_figures(trips: TripColumns, wanted: Flags) -> TripFigures:
    """Work out the figures of some round trips."""
    net = trips.net
    counted = wanted & np.isfinite(net)
    net = net[counted]
    wins, losses = net[net > 0], net[net < 0]
    notional = float(trips.notional[counted].sum())
    held = (trips.closed_ns - trips.opened_ns)[counted] / 1e9
    average_win = _mean(wins)
    average_loss = _mean(losses)
    payoff = -average_win / average_loss if average_win and average_loss else None
    rate = len(wins) / len(net) if len(net) else None
    is_enough = len(net) >= TRIPS_MIN
    spread = float(np.std(net, ddof=1)) if is_enough else 0.0
    mean = _mean(net)
    return TripFigures(
        count=len(net),
        unknown=int(wanted.sum()) - len(net),
        wins=len(wins),
        losses=len(losses),
        win_rate=rate,
        gross=float(trips.gross[counted].sum()),
        fees=float(trips.fees[counted].sum()),
        net=float(net.sum()),
        expectancy=mean,
        expectancy_bp=float(net.sum()) / notional * 1e4 if notional > 0 else None,
        average_win=average_win,
        average_loss=average_loss,
        payoff=payoff,
        best=float(net.max()) if len(net) else None,
        worst=float(net.min()) if len(net) else None,
        win_streak=_streak(net > 0),
        loss_streak=_streak(net < 0),
        profit_factor=float(wins.sum()) / -float(losses.sum()) if len(losses) else None,
        sqn=math.sqrt(len(net)) * mean / spread if mean is not None and spread > 0 else None,
        kelly=rate - (1 - rate) / payoff if is_enough and payoff and rate is not None else None,
        holding_seconds_p50=float(np.median(held)) if len(held) else None,
        holding_seconds_mean=_mean(held),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _streak(flags: Flags) -> int:
    """Return the longest run of True."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max(initial=0))


def _money(record: RunRecord, trips: TripColumns, costs: CostFigures) -> MoneyFigures:
    start = money_to_decimal(record.starting_equity)
    ending = net = left = None
    gross = float(np.nansum(trips.gross))
    if len(record.curve.equity):
        ending = decimal_from_units(int(record.curve.equity[-1]), CURVE_DECIMALS)
        net = ending - start
        left = float(net) - gross + costs.fees_paid - costs.funding_received
    return MoneyFigures(
        starting_equity=start, ending_equity=ending, net=net, gross=gross, open_result=left
    )


def _exposure(record: RunRecord, curve: EquityCurve) -> ExposureFigures:
    lasted = record.ended_ns - record.started_ns
    gross = record.curve.exposure / 10.0**CURVE_DECIMALS
    if not len(gross):
        return ExposureFigures(
            time_share=_held_ns(record) / lasted if lasted > 0 else None,
            gross_mean=None,
            gross_max=None,
            leverage_mean=None,
            leverage_max=None,
        )
    # The curve may begin with the starting equity, which no sample of exposure belongs to.
    equity, seconds = curve.equity[-len(gross) :], curve.seconds[-len(gross) :]
    weights = seconds if seconds.sum() > 0 else np.ones(len(gross))
    is_positive = bool((equity > 0).all())
    leverage = gross / equity if is_positive else gross
    return ExposureFigures(
        time_share=_held_ns(record) / lasted if lasted > 0 else None,
        gross_mean=float(np.average(gross, weights=weights)),
        gross_max=float(gross.max()),
        leverage_mean=float(np.average(leverage, weights=weights)) if is_positive else None,
        leverage_max=float(leverage.max()) if is_positive else None,
    )


def _held_ns(record: RunRecord) -> int:
    """Return how long any instrument's position wasn't flat, within the run."""
    times = [np.array([record.started_ns, record.ended_ns], np.int64)]
    steps = [np.zeros(2, np.int64)]
    for time_ns, size in record.positions.values():
        is_held = (size != 0).astype(np.int64)
        times.append(np.clip(time_ns, record.started_ns, record.ended_ns))
        steps.append(np.diff(is_held, prepend=0))
    time_ns = np.concatenate(times)
    rank = np.argsort(time_ns, kind="stable")
    held = np.cumsum(np.concatenate(steps)[rank])[:-1] > 0
    return int(np.diff(time_ns[rank])[held].sum())


def _costs(record: RunRecord, columns: RunColumns, curve: EquityCurve) -> CostFigures:
    fees: dict[str, int] = {}
    funding: dict[str, int] = {}
    for asset in set(map(attrgetter("fee_asset"), record.fills)):
        paid_units = sum(row.fee for row in record.fills if row.fee_asset == asset)
        if paid_units:
            fees[asset] = paid_units
    for row in record.fills:
        if row.kind in _PAYMENTS and row.cash:
            asset = record.instruments[row.instrument_id].settle_asset
            funding[asset] = funding.get(asset, 0) + row.cash
    fills = columns.fills
    fee = np.nan_to_num(fills.fee)
    turnover = float(np.nansum(fills.notional))
    paid = float(fee.sum())
    days = (record.ended_ns - record.started_ns) / DAY_NS
    seconds = curve.seconds
    weights = seconds if seconds.sum() > 0 else None
    mean = known(float(np.average(curve.equity, weights=weights)))
    net = float(curve.equity[-1] - curve.equity[0])
    return CostFigures(
        fees={asset: money_to_decimal(units) for asset, units in sorted(fees.items())},
        funding={asset: money_to_decimal(units) for asset, units in sorted(funding.items())},
        fees_paid=paid,
        maker_fees=float(fee[fills.is_maker].sum()),
        taker_fees=float(fee[~fills.is_maker].sum()),
        rebates=-float(fee[fee < 0].sum()),
        fee_bp=paid / turnover * 1e4 if turnover > 0 else None,
        funding_received=float(np.nansum(fills.funding)),
        turnover=turnover,
        turnover_per_day=turnover / days if days > 0 else None,
        turnover_of_equity=turnover / mean if mean and mean > 0 else None,
        net_bp=net / turnover * 1e4 if turnover > 0 else None,
    )
