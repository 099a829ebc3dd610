"""Owns setting runs beside each other; refuses to say which strategy is better.

The best value of a row is marked where more or less is better by itself; that runs differ by more
than chance is not said here (the standard errors stand beside the figures).
"""

from collections.abc import Callable, Sequence

import msgspec

from tickwright import __version__
from tickwright.backtest.quality_marks import HORIZONS_S
from tickwright.backtest.report import BacktestReport
from tickwright.core.errors import ConfigError

__all__ = [
    "RUNS_MAX",
    "ComparedParameter",
    "ComparedRow",
    "ComparedRun",
    "Comparison",
    "compare",
]

RUNS_MAX = 20
_KIND = "tickwright.comparison"
_ABSENT = "-"


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One of the runs."""

    name: str
    """Made unique by a number behind it."""
    started: str
    ended: str
    equity_asset: str
    seed: int
    plan_digest: str
    digest: str
    is_same_as: str
    """The first run with the same digest of decisions, else empty."""


class ComparedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of every run."""

    section: str
    figure: str
    unit: str
    """`money`, `fraction`, `bp`, `seconds`, `count` or `ratio`."""
    values: tuple[float | None, ...]
    """In the order of the runs."""
    best: int | None
    """Index of the best run; None without one, or when neither more nor less is better."""


class ComparedParameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter that isn't equal in all the runs."""

    strategy: str
    name: str
    values: tuple[str, ...]
    """As text, in the order of the runs; `-` where there is none."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Several runs, figure by figure."""

    kind: str
    """`tickwright.comparison`."""
    format: int
    version: str
    """Of tickwright."""
    runs: tuple[ComparedRun, ...]
    rows: tuple[ComparedRow, ...]
    parameters: tuple[ComparedParameter, ...]
    notes: tuple[str, ...]
    """What makes them hard to compare."""


_Get = Callable[[BacktestReport], float | None]


def _markout(liquidity: str, horizon_s: int) -> _Get:
    def get(report: BacktestReport) -> float | None:
        for row in report.quality.markouts:
            if (row.liquidity, row.horizon_s) == (liquidity, horizon_s):
                return row.markout.mean_bp
        return None

    return get


def _liquidity(liquidity: str, pick: Callable[..., float | None]) -> _Get:
    def get(report: BacktestReport) -> float | None:
        return next(
            (pick(row) for row in report.quality.liquidity if row.liquidity == liquidity), None
        )

    return get


def _net(report: BacktestReport) -> float | None:
    net = report.metrics.money.net
    return None if net is None else float(net)


def _stale(report: BacktestReport) -> float | None:
    return sum(row.stale_s for row in report.books) if report.books else None


_ROWS: tuple[tuple[str, str, str, int, _Get], ...] = (
    ("result", "net", "money", 1, _net),
    ("result", "total return", "fraction", 1, lambda r: r.metrics.returns.total_return),
    ("result", "growth a year (CAGR)", "fraction", 1, lambda r: r.metrics.returns.cagr),
    ("result", "fees", "money", 0, lambda r: r.metrics.costs.fees_paid),
    ("result", "funding", "money", 0, lambda r: r.metrics.costs.funding_received),
    ("result", "turnover", "money", 0, lambda r: r.metrics.costs.turnover),
    ("result", "net of turnover", "bp", 1, lambda r: r.metrics.costs.net_bp),
    ("risk", "volatility a year", "fraction", 0, lambda r: r.metrics.returns.volatility),
    ("risk", "Sharpe", "ratio", 1, lambda r: r.metrics.returns.sharpe),
    ("risk", "its standard error", "ratio", 0, lambda r: r.metrics.returns.sharpe_error),
    ("risk", "Sortino", "ratio", 1, lambda r: r.metrics.returns.sortino),
    ("risk", "Omega", "ratio", 1, lambda r: r.metrics.returns.omega),
    ("risk", "Calmar", "ratio", 1, lambda r: r.metrics.returns.calmar),
    ("risk", "return / drawdown", "ratio", 1, lambda r: r.metrics.returns.return_over_drawdown),
    ("risk", "greatest drawdown", "fraction", -1, lambda r: r.metrics.drawdown.depth),
    ("risk", "longest below a peak", "seconds", -1, lambda r: r.metrics.drawdown.longest_seconds),
    ("risk", "time in the market", "fraction", 0, lambda r: r.metrics.exposure.time_share),
    ("risk", "leverage, max", "ratio", 0, lambda r: r.metrics.exposure.leverage_max),
    ("round trips", "number", "count", 0, lambda r: r.metrics.trips.count),
    ("round trips", "win rate", "fraction", 1, lambda r: r.metrics.trips.win_rate),
    ("round trips", "profit factor", "ratio", 1, lambda r: r.metrics.trips.profit_factor),
    ("round trips", "expectancy", "money", 1, lambda r: r.metrics.trips.expectancy),
    ("round trips", "expectancy of the entry", "bp", 1, lambda r: r.metrics.trips.expectancy_bp),
    ("round trips", "SQN", "ratio", 1, lambda r: r.metrics.trips.sqn),
    ("round trips", "held, p50", "seconds", 0, lambda r: r.metrics.trips.holding_seconds_p50),
    ("execution", "orders", "count", 0, lambda r: r.quality.orders.orders),
    ("execution", "fills", "count", 0, lambda r: r.metrics.fills),
    (
        "execution",
        "fill ratio, orders",
        "fraction",
        0,
        lambda r: r.quality.orders.fill_ratio_orders,
    ),
    ("execution", "fill ratio, size", "fraction", 0, lambda r: r.quality.orders.fill_ratio_size),
    ("execution", "maker share", "fraction", 0, _liquidity("maker", lambda row: row.share)),
    *(
        ("execution", f"{liquidity} markout, {horizon} s", "bp", 1, _markout(liquidity, horizon))
        for liquidity in ("maker", "taker")
        for horizon in HORIZONS_S
    ),
    ("execution", "slippage", "bp", -1, _liquidity("all", lambda row: row.slippage.mean_bp)),
    ("execution", "own impact", "bp", 0, _liquidity("all", lambda row: row.impact.mean_bp)),
    (
        "execution",
        "effective spread",
        "bp",
        -1,
        _liquidity("all", lambda row: row.effective_spread.mean_bp),
    ),
    ("execution", "cancel to fill", "ratio", 0, lambda r: r.quality.orders.cancel_to_fill),
    ("execution", "races lost", "fraction", -1, lambda r: r.quality.orders.race_share),
    (
        "execution",
        "refused",
        "count",
        -1,
        lambda r: sum(row.count for row in r.quality.refusals),
    ),
    ("tape", "stale books", "seconds", 0, _stale),
    ("tape", "level rows a second", "count", 0, lambda r: r.facts.rows_per_s),
)


def compare(reports: Sequence[BacktestReport]) -> Comparison:
    """Set runs beside each other, in their order.

    Raises:
        ConfigError: fewer than two, or more than `RUNS_MAX`.
    """
    if not 2 <= len(reports) <= RUNS_MAX:
        raise ConfigError(f"2 to {RUNS_MAX} runs can be compared, not {len(reports)}")
    names = _names(reports)
    digests: dict[str, str] = {}
    runs = []
    for name, report in zip(names, reports, strict=True):
        facts = report.facts
        first = digests.setdefault(facts.digest, name) if facts.digest else name
        runs.append(
            ComparedRun(
                name=name,
                started=facts.started,
                ended=facts.ended,
                equity_asset=facts.equity_asset,
                seed=facts.seed,
                plan_digest=facts.plan_digest,
                digest=facts.digest,
                is_same_as="" if first == name else first,
            )
        )
    rows = []
    for section, figure, unit, better, get in _ROWS:
        values = tuple(get(report) for report in reports)
        rows.append(
            ComparedRow(
                section=section,
                figure=figure,
                unit=unit,
                values=values,
                best=_best(values, better),
            )
        )
    return Comparison(
        kind=_KIND,
        format=1,
        version=__version__,
        runs=tuple(runs),
        rows=tuple(rows),
        parameters=_parameters(reports),
        notes=_notes(reports, runs),
    )


def _names(reports: Sequence[BacktestReport]) -> tuple[str, ...]:
    names: list[str] = []
    for report in reports:
        name, number = report.facts.name, 1
        while name in names:
            number += 1
            name = f"{report.facts.name} ({number})"
        names.append(name)
    return tuple(names)


def _best(values: Sequence[float | None], better: int) -> int | None:
    known = [(value * better, index) for index, value in enumerate(values) if value is not None]
    if not better or len(known) < 2 or len({value for value, _ in known}) < 2:
        return None
    top = max(value for value, _ in known)
    return next(index for value, index in known if value == top)


def _parameters(reports: Sequence[BacktestReport]) -> tuple[ComparedParameter, ...]:
    keys = {
        (strategy, name)
        for report in reports
        for strategy, held in report.facts.parameters.items()
        for name in held
    }
    found = []
    for strategy, name in sorted(keys):
        values = tuple(
            _text(report.facts.parameters.get(strategy, {}).get(name, _ABSENT))
            for report in reports
        )
        if len(set(values)) > 1:
            found.append(ComparedParameter(strategy=strategy, name=name, values=values))
    return tuple(found)


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _notes(reports: Sequence[BacktestReport], runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    found = []
    if len({run.equity_asset for run in runs}) > 1:
        found.append("Equity assets differ: money can't be compared.")
    if len({(run.started, run.ended) for run in runs}) > 1:
        found.append("The runs cover different times.")
    if len({report.metrics.returns.sample_seconds for report in reports}) > 1:
        found.append("Ratios are of returns over different intervals.")
    if len({report.metrics.money.starting_equity for report in reports}) > 1:
        found.append("They started with different equity.")
    if len({report.facts.impact for report in reports}) > 1:
        found.append("Their models of our own impact on prices differ.")
    found += [
        f"{run.name} decided exactly as {run.is_same_as} did." for run in runs if run.is_same_as
    ]
    return tuple(found)
