from libc.stdint cimport int64_t, uint8_t


cdef class InputTap:
    cdef uint8_t* buffer
    cdef Py_ssize_t used
    cdef Py_ssize_t room
    cdef readonly Py_ssize_t bytes_max
    cdef readonly int64_t record_count
    cdef readonly bint is_full
    cdef readonly int64_t dropped_count
    cdef int64_t dropped_told

    cdef int add(
        self, int kind, int flags, int source, int64_t number, int64_t now_ns,
        const uint8_t* data, Py_ssize_t size,
    ) except -1
