"""Owns the input being handled: its time and its number; refuses to say where they come from.

Compiled, because whoever walks a tape moves it once a message.
"""

cimport cython
from libc.stdint cimport int64_t

__all__ = ["Moment"]


@cython.final
cdef class Moment:
    """Time (UTC ns) and number of the input being handled, shared by all who stamp something."""

    def __cinit__(self, int64_t now_ns=0, int64_t event_id=0):
        self.now_ns = now_ns
        self.event_id = event_id

    def enter(self, int64_t now_ns):
        """Begin the next input. Two sources may be stamped a little out of order: time stays."""
        self.event_id += 1
        if now_ns > self.now_ns:
            self.now_ns = now_ns

    def __repr__(self):
        return f"Moment({self.now_ns}, {self.event_id})"
