"""Owns the long parts of a report: curves, positions, trips, fills; refuses to let them grow.

A series is shortened by its extremes to a stated number of points, a list cut to a stated number of
rows.
"""

from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.charts_points import shortened
from tickwright.backtest.metrics_columns import RunColumns
from tickwright.backtest.metrics_curve import equity_curve, known
from tickwright.backtest.metrics_trips import TripColumns
from tickwright.backtest.record import CURVE_DECIMALS, FillRecord, RunRecord
from tickwright.core.units import money_to_decimal

__all__ = [
    "CURVE_POINTS",
    "FILLS_LISTED",
    "POSITIONS_CHARTED",
    "POSITION_POINTS",
    "CurvePoints",
    "FillRow",
    "Histogram",
    "PositionPoints",
    "TripRow",
    "iso",
    "make_curve",
    "make_fill_rows",
    "make_positions",
    "make_results",
    "make_trip_rows",
]

Ints = npt.NDArray[np.int64]

CURVE_POINTS = 2_000
POSITION_POINTS = 1_000
POSITIONS_CHARTED = 12
"""Instruments with a line of their own: those with most turnover."""
FILLS_LISTED = 500
RESULT_BINS = 40


class CurvePoints(msgspec.Struct, frozen=True, kw_only=True):
    """The curve at the points kept; columns of one length, money of the equity asset."""

    samples: int
    """Before shortening."""
    time_ms: tuple[float, ...]
    """UTC, since 1970."""
    equity: tuple[float, ...]
    drawdown: tuple[float | None, ...]
    exposure: tuple[float, ...]
    fees: tuple[float, ...]
    funding: tuple[float, ...]


class PositionPoints(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's position after its changes, at the points kept."""

    instrument: str
    changes: int
    """Before shortening."""
    time_ms: tuple[float, ...]
    size: tuple[float, ...]


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts between bounds, one more of them than counts; empty without a sample."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]


class TripRow(msgspec.Struct, frozen=True, kw_only=True):
    """One closed round trip that has a chart."""

    number: int
    strategy: str
    instrument: str
    leg: str
    direction: str
    """`long` or `short`."""
    opened_ms: float
    closed_ms: float
    seconds: float
    size: float
    entry: float
    """Average price."""
    exit: float
    gross: float | None
    fees: float | None
    net: float | None
    net_bp: float | None
    """Of the entry's notional."""
    equity: float | None
    """When it closed, for the mark on the curve."""


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger."""

    time: str
    strategy: str
    instrument: str
    kind: str
    side: int
    price: str
    size: str
    fee: str
    fee_asset: str
    cash: str
    is_maker: bool
    cause: str
    client_id: str


def iso(time_ns: int) -> str:
    """Write a time as UTC, ISO 8601, to the millisecond."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def make_curve(record: RunRecord) -> CurvePoints:
    """Shorten the curve; its highest point before the greatest drawdown and its trough stay."""
    curve = equity_curve(record)
    depth = np.nan_to_num(curve.drawdown, nan=-1.0)
    trough = int(np.argmax(depth))
    peak = int(np.argmax(curve.equity[: trough + 1]))
    kept = shortened(curve.equity, CURVE_POINTS, keep=(peak, trough))
    # The starting equity may stand before the samples.
    ahead = len(curve.time_ns) - len(record.curve.time_ns)

    def column(values: Ints) -> tuple[float, ...]:
        scaled = np.concatenate([np.zeros(ahead), values / 10.0**CURVE_DECIMALS])
        return tuple(scaled[kept].tolist())

    return CurvePoints(
        samples=len(record.curve.time_ns),
        time_ms=_ms(curve.time_ns[kept]),
        equity=tuple(curve.equity[kept].tolist()),
        drawdown=tuple(known(value) for value in curve.drawdown[kept].tolist()),
        exposure=column(record.curve.exposure),
        fees=column(record.curve.fees),
        funding=column(record.curve.funding),
    )


def _ms(time_ns: Ints) -> tuple[float, ...]:
    return tuple((time_ns / 1e6).round(3).tolist())


def make_positions(record: RunRecord, columns: RunColumns) -> tuple[PositionPoints, ...]:
    """Shorten the positions of the instruments with most turnover."""
    names = columns.terms.names
    turnover = np.bincount(
        columns.fills.instrument,
        weights=np.nan_to_num(columns.fills.notional),
        minlength=len(names),
    )
    of = dict(zip(names, turnover.tolist(), strict=True))
    held = [name for name, (times, _) in record.positions.items() if len(times)]
    ranked = sorted(held, key=lambda name: (-of.get(name, 0.0), name))[:POSITIONS_CHARTED]
    rows = []
    for name in ranked:
        times, size = record.positions[name]
        kept = shortened(size, POSITION_POINTS)
        scale = 10.0 ** -record.instruments[name].size_decimals
        rows.append(
            PositionPoints(
                instrument=name,
                changes=len(times),
                time_ms=_ms(times[kept]),
                size=tuple((size[kept] * scale).tolist()),
            )
        )
    return tuple(rows)


def make_results(trips: TripColumns) -> Histogram:
    """Count the net results of round trips in basis points of their entries."""
    is_known = np.isfinite(trips.net) & (trips.notional > 0)
    results = trips.net[is_known] / trips.notional[is_known] * 1e4
    if not len(results):
        return Histogram(bounds=(), counts=())
    counts, bounds = np.histogram(results, RESULT_BINS)
    return Histogram(bounds=tuple(bounds.tolist()), counts=tuple(counts.tolist()))


def make_trip_rows(
    record: RunRecord, columns: RunColumns, trips: TripColumns, picked: list[int]
) -> tuple[TripRow, ...]:
    """Tell some of the round trips."""
    curve = equity_curve(record)
    fills, terms = columns.fills, columns.terms
    net = trips.net
    rows = []
    for index in picked:
        code = int(trips.instrument[index])
        held = terms.instruments[code]
        scale = float(terms.price_scale[code])
        closed = int(trips.closed_ns[index])
        at = int(np.searchsorted(curve.time_ns, closed, side="right")) - 1
        notional = float(trips.notional[index])
        made = known(float(net[index]))
        rows.append(
            TripRow(
                number=index + 1,
                strategy=fills.strategies[int(trips.strategy[index])],
                instrument=terms.names[code],
                leg=fills.legs[int(trips.leg[index])],
                direction="long" if trips.direction[index] > 0 else "short",
                opened_ms=int(trips.opened_ns[index]) / 1e6,
                closed_ms=closed / 1e6,
                seconds=(closed - int(trips.opened_ns[index])) / 1e9,
                size=int(trips.size[index]) * 10.0**-held.size_decimals,
                entry=float(trips.entry[index]) * scale,
                exit=float(trips.leave[index]) * scale,
                gross=known(float(trips.gross[index])),
                fees=known(float(trips.fees[index])),
                net=made,
                net_bp=made / notional * 1e4 if made is not None and notional > 0 else None,
                equity=float(curve.equity[at]) if at >= 0 else None,
            )
        )
    return tuple(rows)


def make_fill_rows(record: RunRecord) -> tuple[FillRow, ...]:
    """Tell the fills, or the first and the last ones of too many."""
    fills = record.fills
    if len(fills) > FILLS_LISTED:
        half = FILLS_LISTED // 2
        fills = [*fills[:half], *fills[-half:]]
    return tuple(_fill_row(fill, record) for fill in fills)


def _fill_row(fill: FillRecord, record: RunRecord) -> FillRow:
    held = record.instruments[fill.instrument_id]
    return FillRow(
        time=iso(fill.venue_ns),
        strategy=fill.strategy_id,
        instrument=fill.instrument_id,
        kind=fill.kind,
        side=fill.side,
        price=held.price_text(fill.price_units),
        size=held.size_text(fill.size_units),
        fee=f"{money_to_decimal(fill.fee):f}",
        fee_asset=fill.fee_asset,
        cash=f"{money_to_decimal(fill.cash):f}",
        is_maker=fill.is_maker,
        cause=fill.cause,
        client_id=fill.client_id,
    )
