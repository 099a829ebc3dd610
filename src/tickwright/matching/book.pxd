from libc.stdint cimport int64_t

from tickwright.matching.live_orders cimport LiveOrders
from tickwright.matching.orders cimport BookOrder, int128


cdef class MatchingBook(LiveOrders):
    cdef object admit
    cdef int64_t* printed
    cdef int printed_count
    cdef int printed_room

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

    cdef int enter(self, BookOrder order, int64_t now_ns) except -1
    cdef int take(self, BookOrder order, int64_t now_ns) except -1
    cdef int meet(self, BookOrder order, int64_t price, int64_t now_ns) except -1
    cdef int64_t take_external(
        self, BookOrder order, int64_t limit, int64_t size_max, int64_t now_ns
    ) except -1
    cdef int cross(self, int side, int64_t now_ns) except -1
    cdef bint would_take(self, BookOrder order) except -1
    cdef bint can_fill_whole(self, BookOrder order) except -1
    cdef int64_t quote_lots(self, BookOrder order, int64_t price) noexcept
    cdef int print_price(self, int64_t price) except -1
    cdef int run_triggers(self, int64_t now_ns) except -1
    cdef int trigger_due(self, int by, int64_t price, int64_t now_ns) except -1
    cdef int activate(self, BookOrder order, int64_t seen_price, int64_t now_ns) except -1
