from libc.stdint cimport int64_t

from tickwright.matching.levels cimport LevelSource
from tickwright.matching.orders cimport BookOrder, OrderIds, int128
from tickwright.matching.queues cimport OwnSide
from tickwright.matching.triggers cimport TriggerBook


cdef class Holding:
    cdef int128 held
    cdef bint has_moved
    # Resting reduce-only orders and armed stops: what must follow the position. None: never any.
    cdef list reducing
    cdef list stops


cdef class LiveOrders:
    cdef LevelSource levels
    cdef object new_id
    cdef OrderIds ids
    cdef int64_t lot_units
    cdef int64_t tick_units
    cdef OwnSide bids
    cdef OwnSide asks
    cdef TriggerBook triggers
    cdef dict live
    cdef dict holdings
    cdef int64_t arrivals
    cdef bint is_busy
    cdef public int64_t last_price_units
    cdef readonly list events

    cdef int begin(self) except -1
    cdef int64_t next_id(self) except? -1
    cdef OwnSide side_of(self, int side)
    cdef Holding holding(self, int64_t position)
    cdef int admit_new(self, BookOrder order) except -1
    cdef int64_t bound_of(self, int side, int128 slippage) except -1
    cdef int rest(self, BookOrder order, int64_t now_ns) except -1
    cdef int arm(self, BookOrder order, int64_t now_ns) except -1
    cdef int pull(self, BookOrder order) except -1
    cdef int unqueue(self, BookOrder order) except -1
    cdef int forget(self, BookOrder order) except -1
    cdef int end(self, BookOrder order, int reason, int64_t now_ns) except -1
    cdef int fill_maker(
        self, BookOrder order, int64_t size, int cause, int64_t counter, int64_t match_id,
        int64_t now_ns,
    ) except -1
    cdef int fill(
        self, BookOrder order, int64_t price, int64_t size, bint is_maker, int cause,
        int64_t counter, int64_t match_id, int64_t now_ns,
    ) except -1
    cdef int follow(
        self, BookOrder order, Holding holding, int128 before, int64_t now_ns
    ) except -1
    cdef bint fit(self, BookOrder order, int64_t now_ns) except -1
    cdef bint drop_stop(self, BookOrder order) except -1
    cdef int change_stops(
        self, int64_t account, int64_t position, int64_t take_profit, int64_t stop_loss,
        int take_profit_by, int stop_loss_by, int64_t now_ns,
    ) except -1
    cdef int replace_stop(
        self, int64_t account, int64_t position, Holding holding, int kind, int64_t trigger,
        int by, int64_t now_ns,
    ) except -1
    cdef int tell_stops(self, int64_t account, int64_t position, int64_t now_ns) except -1
