"""Owns folding trades into one-minute candles, for databases that can't do it themselves."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["minute_candles"]

MINUTE_US = 60_000_000

Column = NDArray[np.int64]


def minute_candles(
    instruments: NDArray[np.int32], at_us: Column, place: Column, price: Column, size: Column
) -> tuple[list[int], ...]:
    """Return ids, minutes, open, high, low, close, volume, count, first and last place.

    `at_us` and the minutes count from the same moment. Volumes are summed in int64.
    """
    minute = at_us // MINUTE_US
    order = np.lexsort((place, minute, instruments))
    ids, minutes, prices = instruments[order], minute[order], price[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ids[1:] != ids[:-1]) | (minutes[1:] != minutes[:-1])
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order)) - 1
    places = place[order]
    columns = (
        ids[starts],
        minutes[starts],
        prices[starts],
        np.maximum.reduceat(prices, starts),
        np.minimum.reduceat(prices, starts),
        prices[ends],
        np.add.reduceat(size[order], starts),
        ends - starts + 1,
        places[starts],
        places[ends],
    )
    return tuple(column.tolist() for column in columns)
