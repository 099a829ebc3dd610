"""Owns what lay around a round trip: mids, our orders, our fills; refuses the whole tape.

A chart shows the time from the first entry to the last exit with a margin on both sides. Everything
in it is bounded, so that a page of a hundred charts stays a page.
"""

from operator import attrgetter

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.charts_book import ChartBook
from tickwright.backtest.charts_points import shortened
from tickwright.backtest.metrics_columns import SECOND_NS, RunColumns
from tickwright.backtest.metrics_trips import TripColumns
from tickwright.backtest.record import RunRecord

__all__ = [
    "FILLS_CHARTED",
    "MIDS_CHARTED",
    "MOVES_CHARTED",
    "ORDERS_CHARTED",
    "TRIPS_CHARTED",
    "ChartFill",
    "ChartOrder",
    "TripChart",
    "make_trip_charts",
    "pick_results",
    "pick_trips",
]

Ints = npt.NDArray[np.int64]

TRIPS_CHARTED = 100
"""Round trips with a chart: a quarter of them the best, a quarter the worst, the rest evenly."""
MIDS_CHARTED = 240
ORDERS_CHARTED = 80
FILLS_CHARTED = 120
MOVES_CHARTED = 200
"""Amended limits of all orders of a chart: half next to the trip's ends, the rest evenly."""
_MARGIN_NS_MIN = 5 * SECOND_NS
_MARGIN_NS_MAX = 300 * SECOND_NS


class ChartOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders with a price, from its arrival to its end within the chart.

    `price` is its limit where that begins.
    """

    client_id: str
    strategy: str
    from_ms: float
    """After the chart's start."""
    to_ms: float
    price: float
    size: float
    side: int
    filled: float
    state: str
    moves: tuple[tuple[float, float], ...] = ()
    """Its limits after that price: from when on, after the chart's start, and what."""


class ChartFill(msgspec.Struct, frozen=True, kw_only=True):
    """One of our fills."""

    at_ms: float
    """After the chart's start."""
    price: float
    size: float
    side: int
    is_maker: bool
    client_id: str
    cause: str


class TripChart(msgspec.Struct, frozen=True, kw_only=True):
    """The market around one round trip."""

    trip: int
    """Its number."""
    instrument: str
    start_ms: float
    """UTC, since 1970."""
    entry_ms: float
    """The trip's first entry, after the start."""
    exit_ms: float
    """Its last exit, after the start."""
    mid_ms: tuple[float, ...]
    """After the start."""
    mid: tuple[float | None, ...]
    """None while there was none."""
    orders: tuple[ChartOrder, ...]
    fills: tuple[ChartFill, ...]
    orders_left_out: int
    fills_left_out: int
    moves_left_out: int = 0
    """Amended limits of the orders shown, between those shown."""
    end_ms: float = 0.0
    """Where it ends, after the start."""
    book: ChartBook | None = None
    """What rested and traded there; None when there was no tape to look at."""


def pick_trips(trips: TripColumns, count: int = TRIPS_CHARTED) -> list[int]:
    """Return the round trips to chart, in their order."""
    return pick_results(trips.net, count)


def pick_results(net: npt.NDArray[np.float64], count: int) -> list[int]:
    """Return the places of a quarter the best, a quarter the worst and others evenly, in order."""
    whole = len(net)
    if whole <= count:
        return list(range(whole))
    net = np.nan_to_num(net)
    rank = np.argsort(net, kind="stable")
    quarter = count // 4
    picked = set(rank[:quarter].tolist()) | set(rank[-quarter:].tolist())
    others = [index for index in range(whole) if index not in picked]
    places = np.linspace(0, len(others) - 1, count - len(picked)).astype(np.int64).tolist()
    return sorted(picked | {others[place] for place in places})


def make_trip_charts(
    record: RunRecord, columns: RunColumns, trips: TripColumns, picked: list[int]
) -> tuple[TripChart, ...]:
    """Cut the market around some round trips out of a run."""
    fills = record.fills
    times = np.fromiter(map(attrgetter("venue_ns"), fills), np.int64, len(fills))
    # The columns are in the order of venue time; so must the rows be that they point to.
    rank = np.argsort(times, kind="stable")
    by_instrument: dict[int, tuple[Ints, Ints]] = {}
    charts = []
    for index in picked:
        code = int(trips.instrument[index])
        if code not in by_instrument:
            orders = columns.orders
            of_orders = np.flatnonzero(
                (orders.instrument == code) & (orders.arrived_ns > 0) & np.isfinite(orders.price)
            )
            of_fills = np.flatnonzero((columns.fills.instrument == code) & (columns.fills.size > 0))
            by_instrument[code] = (of_orders, of_fills)
        of_orders, of_fills = by_instrument[code]
        charts.append(_chart(record, columns, trips, index, of_orders, of_fills, rank))
    return tuple(charts)


def _chart(
    record: RunRecord,
    columns: RunColumns,
    trips: TripColumns,
    index: int,
    of_orders: Ints,
    of_fills: Ints,
    rank: Ints,
) -> TripChart:
    opened, closed = int(trips.opened_ns[index]), int(trips.closed_ns[index])
    margin = min(max((closed - opened) // 2, _MARGIN_NS_MIN), _MARGIN_NS_MAX)
    start, end = opened - margin, closed + margin
    code = int(trips.instrument[index])
    name = columns.terms.names[code]
    held = columns.terms.instruments[code]
    price_scale = float(columns.terms.price_scale[code])
    size_scale = 10.0**-held.size_decimals

    def price(units: float) -> float:
        return round(units * price_scale, held.price_decimals + 1)

    def size(units: float) -> float:
        return round(units * size_scale, held.size_decimals)

    def after(time_ns: int) -> float:
        return round((time_ns - start) / 1e6, 3)

    orders = columns.orders
    ended = np.where(orders.ended_ns[of_orders] > 0, orders.ended_ns[of_orders], end)
    near = of_orders[(orders.arrived_ns[of_orders] <= end) & (ended >= start)]
    filled_ns = columns.fills.time_ns[of_fills]
    fill_near = of_fills[
        np.searchsorted(filled_ns, start, side="left") : np.searchsorted(
            filled_ns, end, side="right"
        )
    ]
    shown = _nearest(near, orders.arrived_ns[near], opened, closed, ORDERS_CHARTED)
    fills = _nearest(fill_near, columns.fills.time_ns[fill_near], opened, closed, FILLS_CHARTED)
    times, twice = record.mids.get(name, (np.empty(0, np.int64), np.empty(0, np.int64)))
    first, last = np.searchsorted(times, [start, end], side="left").tolist()
    # One sample before the chart, so that its line begins at the edge.
    first = max(first - 1, 0)
    mids = twice[first:last]
    kept = shortened(mids, MIDS_CHARTED)
    moves = [
        (at, place, units)
        for place in shown.tolist()
        for at, units in record.orders[place].moves or ()
        if start < at <= end
    ]
    moved_ns = np.array([at for at, _, _ in moves], np.int64)
    kept_moves = _thinned(moved_ns, opened, closed, MOVES_CHARTED)
    by_order: dict[int, list[tuple[float, float]]] = {}
    for at, place, units in (moves[one] for one in kept_moves.tolist()):
        by_order.setdefault(place, []).append((after(at), price(units)))
    rows = []
    for place in shown.tolist():
        order = record.orders[place]
        before = [units for at, units in order.moves or () if at <= start]
        rows.append(
            ChartOrder(
                client_id=order.client_id,
                strategy=order.strategy_id,
                from_ms=max(after(order.arrived_ns), 0.0),
                to_ms=min(after(order.ended_ns or end), after(end)),
                price=price(before[-1] if before else float(orders.price[place])),
                moves=tuple(by_order.get(place, ())),
                size=size(order.size_units),
                side=order.side,
                filled=size(order.filled_units),
                state=order.state,
            )
        )
    filled = []
    for place in fills.tolist():
        fill = record.fills[int(rank[place])]
        filled.append(
            ChartFill(
                at_ms=after(fill.venue_ns),
                price=price(fill.price_units),
                size=size(fill.size_units),
                side=fill.side,
                is_maker=fill.is_maker,
                client_id=fill.client_id,
                cause=fill.cause,
            )
        )
    return TripChart(
        trip=index + 1,
        instrument=name,
        start_ms=start / 1e6,
        entry_ms=after(opened),
        exit_ms=after(closed),
        mid_ms=tuple(max(after(int(at)), 0.0) for at in times[first:last][kept]),
        mid=tuple(price(value / 2) if value > 0 else None for value in mids[kept].tolist()),
        orders=tuple(rows),
        fills=tuple(filled),
        orders_left_out=len(near) - len(shown),
        fills_left_out=len(fill_near) - len(fills),
        moves_left_out=len(moves) - len(kept_moves),
        end_ms=after(end),
    )


def _nearest(places: Ints, time_ns: Ints, opened: int, closed: int, count: int) -> Ints:
    """Keep those nearest to the trip's two ends, in their order."""
    if len(places) <= count:
        return places
    away = np.minimum(np.abs(time_ns - opened), np.abs(time_ns - closed))
    return places[np.sort(np.argsort(away, kind="stable")[:count])]


def _thinned(time_ns: Ints, opened: int, closed: int, count: int) -> Ints:
    """Return the places of half the count nearest to the trip's two ends, and of others evenly.

    What lies between would be drawn as standing still if all of those were left out.
    """
    places = np.arange(len(time_ns), dtype=np.int64)
    if len(places) <= count:
        return places
    near = _nearest(places, time_ns, opened, closed, count // 2)
    others = np.setdiff1d(places, near)
    others = others[np.argsort(time_ns[others], kind="stable")]
    evenly = np.linspace(0, len(others) - 1, count - len(near)).astype(np.int64)
    return np.sort(np.concatenate([near, others[evenly]]))
