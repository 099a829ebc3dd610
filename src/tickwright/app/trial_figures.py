"""Owns the figures a trial is judged by: a few of a run's metrics by short names, and its returns.

What counts begins at `first_ns`; a warm-up before it has no fills. Refuses an equity that was not
positive: returns of it mean nothing.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from tickwright.core.errors import TickwrightError
from tickwright.core.orders import ExecutionKind
from tickwright.research.trial import RETURNS_MAX

if TYPE_CHECKING:
    from tickwright.backtest.record import RunRecord

__all__ = ["AccountRuined", "METRICS", "trial_metrics", "trial_returns"]

_SECOND_NS = 1_000_000_000
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 43_200, 86_400)

METRICS = {
    "sharpe": "yearly, of returns between samples",
    "sortino": "yearly",
    "omega": "gains over losses of the returns",
    "calmar": "yearly growth over the greatest drawdown",
    "return_over_drawdown": "total return over the greatest drawdown",
    "total_return": "fraction",
    "volatility": "yearly, fraction",
    "net": "money, everything in it",
    "drawdown": "the greatest, fraction",
    "trips": "closed round trips",
    "win_rate": "fraction of the trips",
    "profit_factor": "wins over losses",
    "expectancy_bp": "of entry notional, net",
    "sqn": "system quality number",
    "fills": "fills that moved a position",
    "turnover": "money traded",
    "fees": "money paid",
    "net_bp": "net result over turnover",
    "time_in_market": "fraction of the time with a position",
    "maker_share": "fraction of fills that rested",
    "fill_ratio": "filled size over ordered size",
    "orders": "orders that reached the venue",
    "refused": "refused by risk or venue",
}
"""What an objective may name."""


class AccountRuined(TickwrightError):
    """Equity fell to nothing."""


def trial_metrics(record: "RunRecord", first_ns: int) -> dict[str, float | None]:
    """Return the figures of `METRICS`; None for what can't be known."""
    from tickwright.backtest.metrics import make_metrics

    record = _from(record, first_ns)
    found = make_metrics(record)
    returns, trips, costs = found.returns, found.trips, found.costs
    orders = [one for one in record.orders if one.arrived_ns]
    ordered = sum(one.size_units for one in orders)
    fills = [one for one in record.fills if ExecutionKind(one.kind).moves_position]
    refused = sum(sum(by_reason.values()) for by_reason in record.refusals.values())
    values: dict[str, float | None] = {
        "sharpe": returns.sharpe,
        "sortino": returns.sortino,
        "omega": returns.omega,
        "calmar": returns.calmar,
        "return_over_drawdown": returns.return_over_drawdown,
        "total_return": returns.total_return,
        "volatility": returns.volatility,
        "net": None if found.money.net is None else float(found.money.net),
        "drawdown": found.drawdown.depth,
        "trips": float(trips.count),
        "win_rate": trips.win_rate,
        "profit_factor": trips.profit_factor,
        "expectancy_bp": trips.expectancy_bp,
        "sqn": trips.sqn,
        "fills": float(found.fills),
        "turnover": costs.turnover,
        "fees": costs.fees_paid,
        "net_bp": costs.net_bp,
        "time_in_market": found.exposure.time_share,
        "maker_share": sum(one.is_maker for one in fills) / len(fills) if fills else None,
        "fill_ratio": sum(one.filled_units for one in orders) / ordered if ordered else None,
        "orders": float(len(orders)),
        "refused": float(refused + sum(record.venue_refusals.values())),
    }
    assert values.keys() == METRICS.keys(), "every figure has a word"
    return values


def _from(record: "RunRecord", first_ns: int) -> "RunRecord":
    """Leave a warm-up out: nothing was ordered in it, so only its time must go."""
    if first_ns <= record.started_ns:
        return record
    import numpy as np

    curve = record.curve
    begin = int(np.searchsorted(curve.time_ns, first_ns))
    kept = replace(
        curve,
        time_ns=curve.time_ns[begin:],
        equity=curve.equity[begin:],
        cash=curve.cash[begin:],
        fees=curve.fees[begin:],
        funding=curve.funding[begin:],
        exposure=curve.exposure[begin:],
    )
    return replace(record, started_ns=first_ns, curve=kept)


def trial_returns(record: "RunRecord", first_ns: int, last_ns: int) -> tuple[int, int, list[float]]:
    """Return interval, start and simple returns on a grid that depends on the window alone.

    Raises:
        AccountRuined: equity was not positive.
    """
    import numpy as np

    from tickwright.backtest.metrics_curve import equity_curve

    curve = equity_curve(record)
    if float(curve.equity.min()) <= 0.0:
        raise AccountRuined("equity fell to nothing")
    span_ns = last_ns - first_ns
    interval_ns = next(
        (step * _SECOND_NS for step in _STEPS_S if span_ns // (step * _SECOND_NS) <= RETURNS_MAX),
        -(-span_ns // RETURNS_MAX),
    )
    count = span_ns // interval_ns
    grid = first_ns + interval_ns * np.arange(count + 1, dtype=np.int64)
    at = np.maximum(np.searchsorted(curve.time_ns, grid, side="right") - 1, 0)
    sampled = curve.equity[at]
    return interval_ns, first_ns, (sampled[1:] / sampled[:-1] - 1.0).tolist()
