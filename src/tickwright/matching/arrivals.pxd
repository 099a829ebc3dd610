from libc.stdint cimport int64_t

from tickwright.matching.live_orders cimport LiveOrders
from tickwright.matching.orders cimport BookOrder, int128


cdef class Arrivals(LiveOrders):
    # Prices traded at since triggers last ran.
    cdef int64_t* printed
    cdef int printed_count
    cdef int printed_room

    cdef int enter(self, BookOrder order, int64_t now_ns) except -1
    cdef int take(self, BookOrder order, int64_t now_ns) except -1
    cdef int meet(self, BookOrder order, int64_t price, int64_t now_ns) except -1
    cdef int64_t take_external(
        self, BookOrder order, int64_t limit, int64_t size_max, int64_t now_ns
    ) except -1
    cdef bint would_take(self, BookOrder order) except -1
    cdef bint can_fill_whole(self, BookOrder order) except -1
    cdef int64_t quote_lots(self, BookOrder order, int64_t price) noexcept
    cdef int print_price(self, int64_t price) except -1
