from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

from tickwright.matching.orders cimport BookOrder

cdef enum:
    BACK = 0
    POWER = 1
    LOG = 2

cdef struct PriceQueue:
    int64_t key
    PyObject* head
    PyObject* tail
    int64_t seen       # external size when it was last looked at; -1: it couldn't be seen
    int64_t traded     # of it since then


cdef class OwnSide:
    cdef int sign
    cdef int count
    cdef int room
    cdef PriceQueue* queues

    cdef int at(self, int64_t key) noexcept
    cdef int add(self, BookOrder order) except -1
    cdef int remove(self, BookOrder order) except -1
    cdef void advance(self, int place, int64_t traded) noexcept
    cdef void estimate(self, int place, int64_t external, int model, double exponent) noexcept
    cdef void cap(self, int place, int64_t external) noexcept
    cdef list orders(self)
