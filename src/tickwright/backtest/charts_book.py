"""Owns what rested and traded around a chart, read from the tape after the run.

Refuses more than a page holds: some charts, a grid of columns of time and rows of price each, the
largest trades. The run itself keeps nothing of it. What is shown is the tape's: none of our orders,
and what we took is there until the tape itself takes it away.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.book_walk import BookWalk
from tickwright.backtest.tape import MessageKind, Tape
from tickwright.core.instrument import Instrument

if TYPE_CHECKING:
    from tickwright.backtest.charts_trips import TripChart

__all__ = [
    "BOOKS_CHARTED",
    "BOOK_COLUMNS",
    "BOOK_ROWS",
    "BOOK_SHARES",
    "TRADES_CHARTED",
    "ChartBook",
    "ChartTrade",
    "with_books",
]

Ints = npt.NDArray[np.int64]

BOOKS_CHARTED = 40
"""Charts with levels; the others show mids alone."""
BOOK_COLUMNS = 96
"""Moments of a chart at which its book is looked at."""
BOOK_ROWS = 40
"""Steps of price at most; where there are more ticks, several share one."""
BOOK_SHARES = 1_000
"""A size is told as so many parts of the largest of its chart."""
TRADES_CHARTED = 120
_TICKS_MIN = 10
"""Prices shown on either side where nothing moved."""
_RECEIVED_LATER_NS = 60 * 10**9
"""How much later than at the venue a trade may have been received to be found."""
_SELLS = 1
_MESSAGES_LOOKED_AT = 1 << 20
"""At once, on the way back to a snapshot: a tape may be larger than memory."""


class ChartTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the market."""

    at_ms: float
    """After the chart's start."""
    price: float
    size: float
    side: int
    """1 a buyer took, -1 a seller did."""


class ChartBook(msgspec.Struct, frozen=True, kw_only=True):
    """What rested around a chart's prices: a column for each of some moments, evenly apart.

    A column holds from its moment to the next one, and a row from `price_first` up, a step each.
    """

    step_ms: float
    """Between two columns; the first is the chart's start."""
    price_first: float
    """The middle of the lowest row."""
    price_step: float
    size_max: float
    """The largest of all."""
    sizes: tuple[tuple[int, ...], ...]
    """By column, then row: thousandths of `size_max`, bids above 0 and asks below; not 0 where
    something rested."""
    trades: tuple[ChartTrade, ...]
    """The largest ones."""
    trades_left_out: int


def with_books(
    charts: Sequence["TripChart"], picked: Sequence[int], tape: Tape
) -> tuple["TripChart", ...]:
    """Return the charts, those at the picked places with the book that lay around them."""
    instruments = {str(one.id): slot for slot, one in enumerate(tape.instruments)}
    made = list(charts)
    by_slot: dict[int, list[int]] = {}
    for place in picked[:BOOKS_CHARTED]:
        slot = instruments.get(charts[place].instrument)
        if slot is not None:
            by_slot.setdefault(slot, []).append(place)
    for slot, places in by_slot.items():
        found = _books([charts[place] for place in places], tape, slot)
        for place, book in zip(places, found, strict=True):
            made[place] = msgspec.structs.replace(charts[place], book=book)
    return tuple(made)


class _Grid:
    """Which moments and prices of one chart are looked at."""

    __slots__ = ("end_ns", "low", "rows", "sizes", "start_ns", "step", "times")

    def __init__(self, chart: "TripChart", instrument: Instrument) -> None:
        self.start_ns = round(chart.start_ms * 1e6)
        self.end_ns = self.start_ns + round(chart.end_ms * 1e6)
        self.times = np.linspace(
            self.start_ns, self.end_ns, BOOK_COLUMNS, endpoint=False, dtype=np.int64
        )
        prices = [price for price in chart.mid if price is not None]
        prices += [fill.price for fill in chart.fills]
        tick, unit = instrument.tick_units, 10.0**-instrument.price_decimals
        low, high = min(prices, default=0.0), max(prices, default=0.0)
        margin = max((high - low) / 4, _TICKS_MIN * tick * unit)
        # Rounded first: a division's last digits must not move a grid by a tick.
        bottom = max(1, floor(round((low - margin) / unit, 3) / tick))
        top = max(bottom + 1, ceil(round((high + margin) / unit, 3) / tick))
        # One row is kept for what rounding the lowest one down adds.
        self.step = -(-(top - bottom) // (BOOK_ROWS - 1)) * tick
        self.low = bottom * tick // self.step * self.step
        self.rows = min(BOOK_ROWS, -(-(top * tick - self.low) // self.step) + 1)
        self.sizes = np.zeros((BOOK_COLUMNS, self.rows), dtype=np.int64)


def _books(charts: Sequence["TripChart"], tape: Tape, slot: int) -> list[ChartBook]:
    instrument = tape.instruments[slot]
    grids = [_Grid(chart, instrument) for chart in charts]
    looks = sorted(
        (int(time_ns), place, column)
        for place, grid in enumerate(grids)
        for column, time_ns in enumerate(grid.times)
    )
    walk = BookWalk(tape, slot, first=_snapshot_before(tape, slot, looks[0][0]))
    for time_ns, place, column in looks:
        walk.until(time_ns)
        grid = grids[place]
        walk.read(grid.low, grid.step, grid.sizes[column])
    return [_book(grid, instrument, _trades(grid, tape, slot)) for grid in grids]


def _snapshot_before(tape: Tape, slot: int, time_ns: int) -> int:
    """Return where the last snapshot of a book by a time is: what was before it no longer counts.

    What is received by a time was told by then.
    """
    last = int(np.searchsorted(tape.received_ns, time_ns, side="right"))
    while last:
        first = max(0, last - _MESSAGES_LOOKED_AT)
        rows = tape.messages[first:last]
        at = np.flatnonzero((rows["kind"] == MessageKind.SNAPSHOT) & (rows["slot"] == slot))
        if len(at):
            return first + int(at[-1])
        last = first
    return 0


def _trades(grid: _Grid, tape: Tape, slot: int) -> Ints:
    """Return the trades of a grid's time as columns: time, price, size, side."""
    first, last = np.searchsorted(
        tape.received_ns, [grid.start_ns, grid.end_ns + _RECEIVED_LATER_NS]
    ).tolist()
    rows, venue_ns = tape.messages[first:last], tape.venue_ns[first:last]
    at = np.flatnonzero(
        (rows["kind"] == MessageKind.TRADE)
        & (rows["slot"] == slot)
        & (venue_ns >= grid.start_ns)
        & (venue_ns <= grid.end_ns)
    )
    side = np.where(rows["flags"][at] & _SELLS, -1, 1)
    return np.stack([venue_ns[at], rows["first"][at], rows["second"][at], side])


def _book(grid: _Grid, instrument: Instrument, trades: Ints) -> ChartBook:
    unit, lot = 10.0**-instrument.price_decimals, 10.0**-instrument.size_decimals
    largest = int(np.abs(grid.sizes).max())
    # Rounded away from zero: what rests is never told as nothing.
    shares = -(-np.abs(grid.sizes) * BOOK_SHARES // max(largest, 1)) * np.sign(grid.sizes)
    rank = np.sort(np.argsort(-trades[2], kind="stable")[:TRADES_CHARTED])
    middle = (grid.step - instrument.tick_units) / 2
    return ChartBook(
        step_ms=(grid.end_ns - grid.start_ns) / BOOK_COLUMNS / 1e6,
        price_first=round((grid.low + middle) * unit, instrument.price_decimals + 1),
        price_step=round(grid.step * unit, instrument.price_decimals),
        size_max=round(largest * lot, instrument.size_decimals),
        sizes=tuple(tuple(column) for column in shares.tolist()),
        trades=tuple(
            ChartTrade(
                at_ms=round((time_ns - grid.start_ns) / 1e6, 3),
                price=round(price * unit, instrument.price_decimals),
                size=round(size * lot, instrument.size_decimals),
                side=side,
            )
            for time_ns, price, size, side in trades[:, rank].T.tolist()
        ),
        trades_left_out=trades.shape[1] - len(rank),
    )
