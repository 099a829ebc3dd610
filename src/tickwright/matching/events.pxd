from libc.stdint cimport int64_t

from tickwright.matching.orders cimport BookOrder

# The words of matching/kinds.py by place; a test holds them equal.
cdef enum:
    BY_USER = 0
    POST_ONLY_WOULD_TAKE = 1
    NO_LIQUIDITY = 2
    NOT_ENOUGH_FOR_FULL = 3
    REMAINDER = 4
    QUOTE_SPENT = 5
    SELF_TRADED = 6
    REDUCE_ONLY = 7
    STOPS_CLEARED = 8
    MARGIN = 9

cdef enum:
    TOOK = 0
    HIT_BY_ORDER = 1
    HIT_BY_TRADE = 2
    TRADED_THROUGH = 3
    BOOK_CROSSED = 4

cdef int reason_code(object reason) except -1


cdef class Working:
    cdef readonly BookOrder order
    cdef readonly int64_t remaining_units
    cdef readonly int64_t ahead_units
    cdef readonly int64_t now_ns


cdef class Armed:
    cdef readonly BookOrder order
    cdef readonly int64_t now_ns


cdef class Triggered:
    cdef readonly BookOrder order
    cdef readonly int64_t seen_price_units
    cdef readonly int64_t now_ns


cdef class Execution:
    cdef readonly BookOrder order
    cdef readonly int64_t match_id
    cdef readonly int64_t price_units
    cdef readonly int64_t size_units
    cdef readonly int64_t remaining_units
    cdef readonly int64_t filled_units
    cdef readonly int64_t counter_order_id
    cdef readonly int64_t now_ns
    cdef int cause_code
    cdef readonly bint is_maker


cdef class Amended:
    cdef readonly BookOrder order
    cdef readonly int64_t price_units
    cdef readonly int64_t size_units
    cdef readonly int64_t now_ns
    cdef readonly bint kept_priority


cdef class Trimmed:
    cdef readonly BookOrder order
    cdef readonly int64_t size_units
    cdef readonly int64_t remaining_units
    cdef readonly int64_t now_ns


cdef class Cancelled:
    cdef readonly BookOrder order
    cdef readonly int64_t remaining_units
    cdef readonly int64_t filled_units
    cdef readonly int64_t now_ns
    cdef int reason_place
    cdef readonly bint was_armed


cdef class StopsChanged:
    cdef readonly int64_t account
    cdef readonly int64_t position
    cdef readonly int64_t take_profit_units
    cdef readonly int64_t stop_loss_units
    cdef readonly int64_t now_ns
