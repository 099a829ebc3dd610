"""Owns a walk along one book of a tape, to look at its levels at some moments; refuses to trade.

It goes by the venue's time and never back. Nothing of a run depends on it.
"""

cimport cython
from libc.stdint cimport int64_t

from tickwright.backtest.columns cimport Message, address, change_levels, is_about_book
from tickwright.book.order_book cimport Level
from tickwright.matching.levels cimport Cell, ExternalLevels

import numpy as np

__all__ = ["BookWalk"]


@cython.final
cdef class BookWalk:
    """The book of one slot of a tape, from message `first` on; empty until its first snapshot."""

    cdef object held
    cdef const Message* messages
    cdef const int64_t* venue_ns
    cdef const Level* levels
    cdef ExternalLevels book
    cdef int slot
    cdef int64_t at
    cdef int64_t count

    def __init__(self, tape, int slot, *, int64_t first=0):
        assert 0 <= slot < len(tape.instruments) and 0 <= first <= len(tape)
        # Whoever walks a buffer keeps it.
        self.held = tape
        self.messages = <const Message*> address(tape.messages, 40)
        self.venue_ns = <const int64_t*> address(tape.venue_ns, 8)
        self.levels = <const Level*> address(tape.levels, 8)
        self.book = ExternalLevels()
        self.book.forget()
        self.slot = slot
        self.at = first
        self.count = len(tape)

    def until(self, int64_t time_ns):
        """Apply what the venue had told of this book by a time, that moment included."""
        cdef const Message* message
        while self.at < self.count:
            message = self.messages + self.at
            if message.slot == self.slot:
                if self.venue_ns[self.at] > time_ns:
                    return
                if is_about_book(message):
                    change_levels(self.book, message, self.levels + message.first)
            self.at += 1

    def read(self, int64_t low_units, int64_t step_units, sizes):
        """Add up what rests in each step of prices from `low_units` on: bids above 0, asks below.

        `sizes` is a row of int64, one for each step; what is outside of it is left out.
        """
        cdef int64_t* row = <int64_t*> address(sizes, 8)
        cdef int64_t place, steps = len(sizes), price
        cdef int side, i
        cdef Cell* cells
        assert sizes.dtype == np.int64 and step_units > 0
        for i in range(steps):
            row[i] = 0
        for side in range(2):
            cells = self.book.cells[side]
            for i in range(self.book.counts[side] - 1, -1, -1):
                price = cells[i].key if side == 0 else -cells[i].key
                if price < low_units:
                    if side == 0:
                        break
                    continue
                place = (price - low_units) // step_units
                if place >= steps:
                    if side == 1:
                        break
                    continue
                row[place] += cells[i].external if side == 0 else -cells[i].external
