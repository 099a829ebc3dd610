from libc.stdint cimport int64_t

cdef extern from *:
    """
    typedef __int128 tw_int128;
    """
    ctypedef long long tw_int128


cdef class RollingStd:
    cdef int64_t* values
    cdef int place
    cdef readonly int window
    cdef readonly int count
    cdef int64_t anchor
    cdef int64_t total
    cdef tw_int128 squares

    cdef int move_anchor(self, int64_t anchor) except -1
    cdef int push(self, int64_t value) except -1
    cdef double spread(self) noexcept


cdef class RollingZScore(RollingStd):
    cdef readonly double floor

    cdef double z(self, int64_t value) noexcept
