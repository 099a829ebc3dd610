from libc.stdint cimport int64_t


cdef class Moment:
    cdef public int64_t now_ns
    cdef public int64_t event_id
