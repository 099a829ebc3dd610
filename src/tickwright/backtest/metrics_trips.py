"""Owns round trips: what was opened is closed first in, first out; refuses to judge them.

A round trip is what one order closed of one position, with the lots that it closed: an order that
scales out by half and a second one that closes the rest make two. Each fill that no order of ours
made (a liquidation, a delivery) closes by itself; when it names no strategy, it takes from those
that hold the other side, the largest first. Positions are those of (strategy, instrument, leg),
flat at the start; a flip closes and opens. Fees come along in proportion to size; funding belongs
to no trip, as it is paid by a position and not by a lot.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import FillColumns, RunColumns

__all__ = ["UNOWNED", "TripColumns", "make_trips"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
UNOWNED = ""
"""The strategy of what the venue did by itself."""


@dataclass(frozen=True, slots=True)
class TripColumns:
    """Closed round trips in the order of their end; money in the equity asset."""

    strategy: Ints
    instrument: Ints
    leg: Ints
    direction: Ints
    """+1 was long, -1 was short."""
    opened_ns: Ints
    """Its first entry."""
    closed_ns: Ints
    """Its last exit."""
    size: Ints
    """Size units closed."""
    order: Ints
    """Index of the order that closed it; -1 for what the venue did by itself."""
    entry: Floats
    """Average entry price in price units, weighted by size."""
    leave: Floats
    """Average exit price in price units, weighted by size."""
    notional: Floats
    """Of the entries."""
    gross: Floats
    fees: Floats
    """Of entries and exits; NaN when one of them has no rate."""
    is_maker_entry: Floats
    """Share of the size that entered as maker."""
    is_maker_leave: Floats

    @property
    def net(self) -> Floats:
        """What was made after fees; funding isn't in it."""
        return self.gross - self.fees


def make_trips(columns: RunColumns) -> TripColumns:
    """Match every close with what it closed."""
    fills = columns.fills
    parts = _parts(fills)
    opened, closed, matched, direction, strategy = _match(fills, parts)
    instrument = fills.instrument[closed]
    entry, leave = fills.price[opened], fills.price[closed]
    terms = columns.terms
    gross = terms.result(instrument, matched * direction, entry, leave)
    share_in = matched / fills.size[opened]
    share_out = matched / fills.size[closed]
    fees = fills.fee[opened] * share_in + fills.fee[closed] * share_out
    # One trip per position, side and closing order; a fill without an order is one of its own.
    order = fills.order[closed]
    owner = np.where(order >= 0, order, order.max(initial=0) + 1 + closed)
    place = _position(fills, closed, strategy) * 2 + (direction < 0)
    _, trip = np.unique(place * (owner.max(initial=0) + 1) + owner, return_inverse=True)
    order_of_rows = np.argsort(trip, kind="stable")
    starts = np.flatnonzero(np.diff(trip[order_of_rows], prepend=-1))

    def total(values: Floats | Ints) -> Floats:
        # Unlike the other sums this keeps NaN: a result without a rate stays unknown.
        found = values[order_of_rows].astype(np.float64)
        return np.add.reduceat(found, starts) if len(starts) else found

    def first(values: Ints) -> Ints:
        return values[order_of_rows][starts]

    def least(values: Ints) -> Ints:
        return np.minimum.reduceat(values[order_of_rows], starts) if len(starts) else values

    size = np.add.reduceat(matched[order_of_rows], starts) if len(starts) else matched
    weight = np.maximum(size, 1)
    ended = -least(-fills.time_ns[closed])
    rank = np.lexsort((first(closed), ended))
    found = TripColumns(
        strategy=first(strategy),
        instrument=first(instrument),
        leg=first(fills.leg[closed]),
        direction=first(direction),
        opened_ns=least(fills.time_ns[opened]),
        closed_ns=ended,
        size=size,
        order=first(order),
        entry=total(matched * entry.astype(np.float64)) / weight,
        leave=total(matched * leave.astype(np.float64)) / weight,
        notional=total(terms.notional(instrument, matched, entry)),
        gross=total(gross),
        fees=total(fees),
        is_maker_entry=total(matched * fills.is_maker[opened]) / weight,
        is_maker_leave=total(matched * fills.is_maker[closed]) / weight,
    )
    return TripColumns(*(getattr(found, name)[rank] for name in TripColumns.__slots__))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What each position of a strategy took of the fills, in their order."""

    row: Ints
    strategy: Ints
    size: Ints


def _position(fills: FillColumns, row: Ints, strategy: Ints) -> Ints:
    """Return which position each part of a fill moves, as one number."""
    legs, strategies = max(1, len(fills.legs)), max(1, len(fills.strategies))
    return (fills.instrument[row] * strategies + strategy) * legs + fills.leg[row]


def _parts(fills: FillColumns) -> _Parts:
    """Give the fills to the strategies whose they are."""
    moving = np.flatnonzero(fills.size > 0)
    parts = _Parts(row=moving, strategy=fills.strategy[moving], size=fills.size[moving])
    if UNOWNED not in fills.strategies:
        return parts
    unowned = fills.strategies.index(UNOWNED)
    place = fills.instrument[moving] * max(1, len(fills.legs)) + fills.leg[moving]
    shared = np.unique(place[parts.strategy == unowned])
    is_shared = np.isin(place, shared)
    taken = [_dealt(fills, moving[(place == one) & is_shared], unowned) for one in shared.tolist()]
    rows = np.concatenate([moving[~is_shared], *(one.row for one in taken)])
    rank = np.argsort(rows, kind="stable")
    return _Parts(
        row=rows[rank],
        strategy=np.concatenate([parts.strategy[~is_shared], *(one.strategy for one in taken)])[
            rank
        ],
        size=np.concatenate([parts.size[~is_shared], *(one.size for one in taken)])[rank],
    )


def _dealt(fills: FillColumns, rows: Ints, unowned: int) -> _Parts:
    """Deal out what names no strategy, fill by fill: a liquidation is rare."""
    held: dict[int, int] = {}
    found: list[tuple[int, int, int]] = []
    for row in rows.tolist():
        side, left, owner = int(fills.side[row]), int(fills.size[row]), int(fills.strategy[row])
        if owner == unowned:
            others = sorted(held, key=lambda one: (side * held[one], one))
            for other in others:
                size = min(left, max(0, -side * held[other]))
                if size and other != unowned:
                    found.append((row, other, size))
                    held[other] += side * size
                    left -= size
        if left:
            found.append((row, owner, left))
            held[owner] = held.get(owner, 0) + side * left
    table = np.array(found, np.int64).reshape(-1, 3)
    return _Parts(row=table[:, 0], strategy=table[:, 1], size=table[:, 2])


def _match(fills: FillColumns, parts: _Parts) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return the lots closed: opening fill, closing fill, size, direction, strategy."""
    position = _position(fills, parts.row, parts.strategy)
    rank = np.argsort(position, kind="stable")
    _, starts = np.unique(position[rank], return_index=True)
    found: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    for one in np.split(rank, starts[1:]):
        if not len(one):
            continue
        row, size = parts.row[one], parts.size[one]
        side = fills.side[row]
        after = np.cumsum(side * size)
        before = after - side * size
        # What goes against the position closes it, at most to flat; the rest opens.
        is_against = np.sign(before) == -side
        closing = np.where(is_against, np.minimum(np.abs(before), size), 0)
        opening = size - closing
        for direction in (1, -1):
            opens = (side == direction) & (opening > 0)
            closes = (side == -direction) & (closing > 0)
            lots = _first_in_first_out(row[opens], opening[opens], row[closes], closing[closes])
            count = len(lots[0])
            strategy = int(parts.strategy[one[0]])
            found.append((*lots, np.full(count, direction), np.full(count, strategy)))
    if not found:
        empty = np.empty(0, np.int64)
        return empty, empty, empty, empty, empty
    opened, closed, matched, directions, strategies = map(np.concatenate, zip(*found, strict=True))
    return opened, closed, matched, directions, strategies


def _first_in_first_out(
    opens: Ints, opened: Ints, closes: Ints, closed: Ints
) -> tuple[Ints, Ints, Ints]:
    """Lay opened and closed sizes along one line, where equal places belong together."""
    opened_to, closed_to = np.cumsum(opened), np.cumsum(closed)
    end = closed_to[-1] if len(closed_to) else 0
    cuts = np.union1d(opened_to[opened_to < end], closed_to)
    starts = np.concatenate([np.zeros(1, np.int64), cuts[:-1]]) if len(cuts) else cuts
    return (
        opens[np.searchsorted(opened_to, starts, side="right")],
        closes[np.searchsorted(closed_to, starts, side="right")],
        cuts - starts,
    )
