from libc.stdint cimport int64_t

from tickwright.book.order_book cimport OrderBook


cdef class CommandBuffer:
    cdef char* data
    cdef Py_ssize_t used
    cdef Py_ssize_t room
    cdef char* scratch
    cdef Py_ssize_t scratch_room
    cdef readonly int64_t count
    cdef bint is_lent

    cdef char* _more(self, Py_ssize_t wanted) except NULL
    cdef int _word(self, const char* word, Py_ssize_t size) except -1
    cdef int _bytes(self, bytes word) except -1
    cdef int _number(self, int64_t value) except -1
    cdef int _units(self, int64_t units, int decimals) except -1
    cdef int _begin(self, int words) except -1
    cdef int _packed(
        self, OrderBook book, int bids, int asks, int64_t now_ns, int expire_ms
    ) except -1
    cdef int _readable(self, OrderBook book, int bids, int asks, int64_t now_ns) except -1
    cdef int _best(
        self, bytes price_name, bytes size_name, OrderBook book, int side, int count
    ) except -1
    cdef int _rows(self, OrderBook book, int side, int count) except -1
    cdef int entry_id(self, int64_t received_ns, int64_t number) except -1
