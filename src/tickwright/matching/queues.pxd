from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

from tickwright.matching.orders cimport BookOrder

cdef struct PriceQueue:
    int64_t key
    PyObject* head
    PyObject* tail


cdef class OwnSide:
    cdef int sign
    cdef int count
    cdef int room
    cdef PriceQueue* queues

    cdef int at(self, int64_t key) noexcept
    cdef int add(self, BookOrder order) except -1
    cdef int remove(self, BookOrder order) except -1
    cdef void advance(self, int place, int64_t traded) noexcept
    cdef void cap(self, int place, int64_t external) noexcept
    cdef list orders(self)
