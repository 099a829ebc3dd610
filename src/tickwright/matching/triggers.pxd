from libc.stdint cimport int64_t

from tickwright.matching.orders cimport BookOrder


cdef class TriggerBook:
    cdef list waiting
    cdef readonly int count

    cdef bint has(self, int by) noexcept
    cdef int add(self, BookOrder order) except -1
    cdef int remove(self, BookOrder order) except -1
    cdef BookOrder pop_due(self, int by, int64_t price_units)
    cdef int place(self, list orders, BookOrder order) noexcept
