from libc.stdint cimport int64_t

from tickwright.matching.arrivals cimport Arrivals
from tickwright.matching.orders cimport BookOrder


cdef class MatchingBook(Arrivals):
    cdef object admit
    cdef int queue_model
    cdef double queue_exponent

    # The same as the methods for Python, for compiled callers.
    cdef int submit_order(self, BookOrder order, int64_t now_ns) except -1
    cdef int cancel_order(self, BookOrder order, int64_t now_ns, int reason) except -1
    cdef int amend_order(
        self, BookOrder order, int64_t price, int64_t size, int64_t trigger, int64_t now_ns
    ) except -1
    cdef int external_trade(
        self, int aggressor, int64_t price, int64_t size, int64_t now_ns
    ) except -1
    cdef int levels_changed(self, int64_t now_ns) except -1
    cdef int price_seen(self, int by, int64_t price, int64_t now_ns) except -1

    cdef int cross(self, int side, int64_t now_ns) except -1
    cdef int run_triggers(self, int64_t now_ns) except -1
    cdef int trigger_due(self, int by, int64_t price, int64_t now_ns) except -1
    cdef int activate(self, BookOrder order, int64_t seen_price, int64_t now_ns) except -1
