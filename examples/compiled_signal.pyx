"""A strategy that is compiled when it is first used: strategy = "compiled_signal.pyx:RareSignal".

It reads the book's arrays as C does. The rules, and therefore the orders, are those of
`RareSignal` in tickwright/bench/backtest_strategies.py; a test holds the two equal.
"""

from libc.stdint cimport int64_t

from tickwright.book.order_book cimport OrderBook
from tickwright.book.rolling cimport RollingZScore

import tickwright as tw

cdef enum:
    LOOKBACK = 200
    PAUSE_MESSAGES = 5_000

cdef double ENTRY_Z = 2.0
cdef double LEAST_IMBALANCE = 0.2
LOT = 10


cdef class Signal:
    """The z-score of the mid and the imbalance at the touch; `update` says -1, 0 or 1."""

    cdef RollingZScore score
    cdef int since

    def __cinit__(self):
        self.score = RollingZScore(LOOKBACK, floor=1.0)

    cdef int update(self, OrderBook book) except -2:
        cdef int bids = book.counts[0], asks = book.counts[1]
        cdef double bid_size, ask_size, z, imbalance
        cdef int64_t twice
        if not (bids and asks):
            return 0
        # Best level last; asks are stored negated.
        twice = book.keys[0][bids - 1] - book.keys[1][asks - 1]
        self.score.push(twice)
        self.since += 1
        if self.score.count != self.score.window or self.since < PAUSE_MESSAGES:
            return 0
        bid_size, ask_size = book.sizes[0][bids - 1], book.sizes[1][asks - 1]
        imbalance = (bid_size - ask_size) / (bid_size + ask_size)
        z = self.score.z(twice)
        if z < -ENTRY_Z and imbalance > LEAST_IMBALANCE:
            self.since = 0
            return 1
        if z > ENTRY_Z and imbalance < -LEAST_IMBALANCE:
            self.since = 0
            return -1
        return 0


class RareSignal(tw.Strategy):
    """Takes a lot where both agree, and no more often than every some thousand messages."""

    def on_start(self):
        self.signal = Signal()

    def on_book(self, OrderBook book not None):
        cdef int side = (<Signal> self.signal).update(book)
        if side == 0:
            return None
        return tw.OrderIntent(
            instrument_id=book.instrument_id,
            side=tw.Side.BUY if side > 0 else tw.Side.SELL,
            price_units=book.best_ask if side > 0 else book.best_bid,
            size_units=LOT,
            time_in_force=tw.TimeInForce.IOC,
        )
