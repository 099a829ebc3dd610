"""Owns the report of a backtest as one document, which JSON keeps and pages are drawn from.

Refuses to draw it. It holds everything that a page needs, so that a page can be made again from the
JSON alone; long series are shortened by their extremes to a stated number of points, long lists cut
to a stated number of rows. Field names are stable: a new version may add some. Exact sums of money
are decimal text, statistics are numbers, what isn't known is null.
"""

from pathlib import Path

import msgspec
import numpy as np

from tickwright import __version__
from tickwright.backtest.charts_book import BOOKS_CHARTED, with_books
from tickwright.backtest.charts_trips import (
    TripChart,
    make_trip_charts,
    pick_results,
    pick_trips,
)
from tickwright.backtest.impact import NO_IMPACT
from tickwright.backtest.metrics import Metrics, make_metrics
from tickwright.backtest.metrics_columns import RunColumns, make_columns
from tickwright.backtest.metrics_trips import make_trips
from tickwright.backtest.quality import Quality, make_quality
from tickwright.backtest.record import RunRecord
from tickwright.backtest.report_rows import (
    CurvePoints,
    FillRow,
    Histogram,
    PositionPoints,
    TripRow,
    iso,
    make_curve,
    make_fill_rows,
    make_positions,
    make_results,
    make_trip_rows,
)
from tickwright.backtest.tape import Tape
from tickwright.core.errors import ConfigError

__all__ = [
    "BacktestReport",
    "BookRow",
    "RunFacts",
    "make_report",
    "read_report",
]

_KIND = "tickwright.backtest"
_FORMAT = 1
_BYTES_MAX = 128 * 2**20


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was run, and what it cost."""

    name: str
    mode: str
    started: str
    """UTC, ISO 8601."""
    ended: str
    seconds: float
    seed: int
    equity_asset: str
    instruments: tuple[str, ...]
    parameters: dict[str, dict[str, object]]
    """By strategy."""
    plan_digest: str
    digest: str
    """Of every decision: equal for equal tape, plan and seed."""
    messages: int
    level_rows: int
    wake_ups: int
    """Calls into strategies."""
    wall_seconds: float
    rows_per_s: float | None
    """Level rows per second of wall time."""
    orders: int
    fills: int
    impact: str = NO_IMPACT
    """The model of our own impact on prices, in words; `none` without one."""


class BookRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape's book was worth."""

    instrument: str
    messages: int
    level_rows: int
    trades: int
    synced_s: float
    stale_s: float
    stale_share: float | None
    """Of the run's time."""
    gaps: int
    reasons: dict[str, int]


class BacktestReport(msgspec.Struct, frozen=True, kw_only=True):
    """One backtest."""

    kind: str
    """`tickwright.backtest`."""
    format: int
    version: str
    """Of tickwright."""
    facts: RunFacts
    metrics: Metrics
    quality: Quality
    books: tuple[BookRow, ...]
    halted: dict[str, str]
    limits_hit: dict[str, int]
    notes: tuple[str, ...]
    """What the figures can't say here, and why."""
    curve: CurvePoints
    positions: tuple[PositionPoints, ...]
    results_bp: Histogram
    """Net results of round trips, in basis points of their entries."""
    trips: tuple[TripRow, ...]
    """Those that have a chart; how many there were is in the metrics."""
    charts: tuple[TripChart, ...]
    fills: tuple[FillRow, ...]
    """The first and the last ones when there are more than are listed."""


def make_report(
    record: RunRecord, *, is_drawn: bool = True, tape: Tape | None = None
) -> BacktestReport:
    """Work out everything that is told of a run; not `is_drawn` leaves out charts and fills.

    With the run's `tape` charts show what rested and traded around them.

    Raises:
        ValueError: a fill or order is of an instrument that the record doesn't hold, or the record
            spans centuries.
    """
    columns = make_columns(record)
    trips = make_trips(columns)
    metrics = make_metrics(record, columns, trips)
    picked = pick_trips(trips) if is_drawn else []
    charts = make_trip_charts(record, columns, trips, picked)
    if tape is not None:
        charts = with_books(charts, pick_results(trips.net[picked], BOOKS_CHARTED), tape)
    return BacktestReport(
        kind=_KIND,
        format=_FORMAT,
        version=__version__,
        facts=_facts(record),
        metrics=metrics,
        quality=make_quality(record, columns),
        books=_books(record),
        halted=dict(record.halted),
        limits_hit=dict(sorted(record.limits_hit.items(), key=lambda item: (-item[1], item[0]))),
        notes=_notes(record, metrics, columns),
        curve=make_curve(record),
        positions=make_positions(record, columns),
        results_bp=make_results(trips),
        trips=make_trip_rows(record, columns, trips, picked),
        charts=charts,
        fills=make_fill_rows(record) if is_drawn else (),
    )


def read_report(path: Path) -> BacktestReport:
    """Read a report that was written as JSON.

    Raises:
        ConfigError: it isn't one, or of a newer format.
        OSError: it can't be read.
    """
    if path.stat().st_size > _BYTES_MAX:
        raise ConfigError(f"{path} is larger than a report of a backtest can be")
    try:
        report = msgspec.json.decode(path.read_bytes(), type=BacktestReport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no report of a backtest: {error}") from None
    if report.kind != _KIND or report.format > _FORMAT:
        raise ConfigError(
            f"{path} is a report {report.kind!r} of format {report.format}; this version reads "
            f"{_KIND!r} up to format {_FORMAT}"
        )
    return report


def _facts(record: RunRecord) -> RunFacts:
    return RunFacts(
        name=record.name,
        mode=record.mode,
        started=iso(record.started_ns),
        ended=iso(record.ended_ns),
        seconds=(record.ended_ns - record.started_ns) / 1e9,
        seed=record.seed,
        equity_asset=record.equity_asset,
        instruments=tuple(record.instruments),
        parameters=msgspec.to_builtins(record.parameters, str_keys=True, enc_hook=str),
        plan_digest=record.plan_digest,
        digest=record.digest,
        messages=record.messages,
        level_rows=record.level_rows,
        wake_ups=record.wake_ups,
        wall_seconds=record.wall_s,
        rows_per_s=record.level_rows / record.wall_s if record.wall_s > 0 else None,
        orders=len(record.orders),
        fills=len(record.fills),
        impact=record.impact,
    )


def _books(record: RunRecord) -> tuple[BookRow, ...]:
    lasted = (record.ended_ns - record.started_ns) / 1e9
    return tuple(
        BookRow(
            instrument=name,
            messages=book.messages,
            level_rows=book.level_rows,
            trades=book.trades,
            synced_s=book.synced_ns / 1e9,
            stale_s=book.stale_ns / 1e9,
            stale_share=book.stale_ns / 1e9 / lasted if lasted > 0 else None,
            gaps=book.gaps,
            reasons=dict(book.reasons),
        )
        for name, book in sorted(record.books.items())
    )


def _notes(record: RunRecord, metrics: Metrics, columns: RunColumns) -> tuple[str, ...]:
    """Say which figures stand on little or on nothing."""
    found = []
    returns = metrics.returns
    if returns.sample_seconds is None:
        found.append(
            "Ratios are unknown: the curve has too few samples, or equity was not positive."
        )
    else:
        found.append(
            f"Ratios are of {returns.samples} returns over {returns.sample_seconds:g} s each, "
            "annualised on 365 days without a risk-free rate."
        )
    if returns.cagr is None:
        found.append("Returns a year are unknown: the run is shorter than 30 days, or went broke.")
    if metrics.trips.unknown:
        found.append(
            f"{metrics.trips.unknown} round trips have a fee or result in an asset without a rate "
            f"to {record.equity_asset}: they are in no figure of round trips."
        )
    if record.impact != NO_IMPACT:
        found.append(
            f"Our own impact was modelled ({record.impact}): prices that our orders met are worse "
            "by it; mids, marks and what strategies saw are the tape's."
        )
    unmarked = int(np.isnan(columns.fills.mid[columns.fills.size > 0]).sum())
    if unmarked:
        found.append(f"{unmarked} fills have no mid of their moment: no spread or adverse move.")
    return tuple(found)
