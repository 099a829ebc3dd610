"""Owns feeding the recorded frames of a block to their sinks without an object for each.

It refuses every other kind of record, and frames that nobody takes: those are its caller's.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from tickwright.net.listener cimport FrameSink

__all__ = ["feed_frames"]

cdef enum:
    HEADER = 24
    KIND_FRAME = 1
    FLAG_LAST = 1


def feed_frames(bytes block, Py_ssize_t at, list sinks, /):
    """Feed frames from `at` on, each to the sink of its source, up to the first other record.

    Args:
        block: records as `net.tap` lays them out.
        sinks: by source; None where there is none.

    Returns the place reached (a record that isn't a frame, one without a sink, or the end) and how
    many frames were fed.

    Raises:
        ValueError: half a record.
    """
    cdef const uint8_t* data = <const uint8_t*> <const char*> block
    cdef Py_ssize_t end = len(block), count = len(sinks), fed = 0
    cdef uint32_t size
    cdef uint16_t source
    cdef int64_t now_ns
    cdef object sink
    while at < end:
        if end - at < HEADER:
            raise ValueError("half a record")
        if data[at + 4] != KIND_FRAME:
            break
        memcpy(&size, data + at, 4)
        memcpy(&source, data + at + 6, 2)
        memcpy(&now_ns, data + at + 16, 8)
        if end - at - HEADER < <Py_ssize_t> size:
            raise ValueError("half a record")
        if source >= count:
            break
        sink = sinks[source]
        if sink is None:
            break
        (<FrameSink?> sink).on_frame(
            data + at + HEADER, size, now_ns, (data[at + 5] & FLAG_LAST) != 0
        )
        fed += 1
        at += HEADER + <Py_ssize_t> size
    return at, fed
