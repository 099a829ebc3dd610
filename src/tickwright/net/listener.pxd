from libc.stdint cimport int64_t, uint8_t
from picows.picows cimport WSFrame, WSListener, WSTransport

from tickwright.book.order_book cimport LatencyHistogram

cdef int64_t utc_ns() noexcept nogil


cdef class FrameSink:
    cdef int on_frame(
        self, const uint8_t* data, Py_ssize_t size, int64_t received_ns, bint last
    ) except -1
    cdef int on_read_end(self, int64_t received_ns) except -1


cdef class FrameListener(WSListener):
    cdef readonly FrameSink sink
    cdef object when_connected
    cdef object when_disconnected
    cdef readonly object transport
    cdef readonly int64_t frame_count
    cdef readonly int64_t byte_count
    cdef readonly int64_t turn_count
    cdef readonly int64_t fragment_count
    cdef readonly int64_t turn_frames_max
    cdef readonly int64_t last_frame_ns
    cdef readonly LatencyHistogram turn_time
    cdef readonly bint is_shut
    cdef readonly object failure
    cdef readonly str close_reason
    cdef int64_t turn_ns
    cdef int64_t turn_frames
    cdef bytearray fragments
    cdef bint in_fragments
    cdef bint is_read_open
    cdef Py_ssize_t message_bytes_max

    cdef int deliver(self, const uint8_t* data, Py_ssize_t size, bint last) except -1
    cdef int take_fragment(self, WSTransport transport, WSFrame frame) except -1
    cdef int give_up(self, WSTransport transport, str reason) except -1
    cdef void shut(self, object failure)
