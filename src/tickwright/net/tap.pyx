"""Owns the buffer between the engine's door and the session log; refuses to wait for a disk.

Records are appended in the order the engine sees its inputs, raw frames by a plain memory copy.
Another thread writes what `take` hands out. The buffer is bounded: a writer that falls behind by
`bytes_max` makes the tap full; until it takes again records are counted and dropped, and the log
says where how many are missing. Trading goes on.

A record: u32 payload size, u8 kind, u8 flags, u16 source, i64 number, i64 now_ns, payload; little-
endian.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

__all__ = ["HEADER_SIZE", "InputTap"]

cdef enum:
    HEADER = 24

HEADER_SIZE = HEADER


cdef class InputTap:
    """Collects records for the session log.

    Args:
        bytes_max: how far the writer may fall behind.
    """

    def __cinit__(self, *, Py_ssize_t bytes_max=256 * 1024 * 1024):
        self.bytes_max = bytes_max

    def __dealloc__(self):
        free(self.buffer)

    cdef int add(
        self, int kind, int flags, int source, int64_t number, int64_t now_ns,
        const uint8_t* data, Py_ssize_t size,
    ) except -1:
        cdef Py_ssize_t wanted = self.used + HEADER + size
        cdef Py_ssize_t room
        cdef uint8_t* place
        cdef uint32_t size_written = <uint32_t> size
        cdef uint16_t source_written = <uint16_t> source
        # One hole a block: nothing enters behind what was dropped until the writer has taken.
        if self.is_full or wanted > self.bytes_max:
            self.is_full = True
            self.dropped_count += 1
            return 0
        if wanted > self.room:
            room = min(max(2 * self.room, wanted, 65536), self.bytes_max)
            place = <uint8_t*> realloc(self.buffer, room)
            if place == NULL:
                raise MemoryError
            self.buffer = place
            self.room = room
        place = self.buffer + self.used
        # Copied, not stored through wider pointers: records lie at any address.
        memcpy(place, &size_written, 4)
        place[4] = <uint8_t> kind
        place[5] = <uint8_t> flags
        memcpy(place + 6, &source_written, 2)
        memcpy(place + 8, &number, 8)
        memcpy(place + 16, &now_ns, 8)
        if size:
            memcpy(place + HEADER, data, size)
        self.used = wanted
        self.record_count += 1
        return 0

    def append(
        self, int kind, int flags, int source, int64_t number, int64_t now_ns, bytes payload
    ):
        """Add one record."""
        cdef const char* data = payload
        self.add(kind, flags, source, number, now_ns, <const uint8_t*> data, len(payload))

    @property
    def pending_bytes(self):
        """How much waits for the writer."""
        return self.used

    def take(self):
        """Return all waiting records as one block and start over."""
        return self.take_counted()[0]

    def take_counted(self):
        """Return all waiting records as one block and how many were dropped after them."""
        cdef bytes block = (<const char*> self.buffer)[: self.used] if self.used else b""
        cdef int64_t dropped = self.dropped_count - self.dropped_told
        self.dropped_told = self.dropped_count
        self.is_full = False
        self.used = 0
        if self.room > 8 * 1024 * 1024:
            # A burst is over: give the memory back.
            free(self.buffer)
            self.buffer = NULL
            self.room = 0
        return block, dropped
