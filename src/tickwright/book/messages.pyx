"""Owns the compiled way of book messages to whoever keeps them; refuses to know what a frame is.

`MessageSink` is the port: a venue's scanner tells it every message that a book took, with the
levels as they were read, before anything is made of them. What overrides it copies what it wants.
"""

from libc.stdint cimport int64_t

from tickwright.book.order_book cimport Level, OrderBook

__all__ = ["MessageSink"]


cdef class MessageSink:
    """Takes the messages that books took, in order; override it in compiled code."""

    cdef int on_message(
        self, OrderBook book, bint is_snapshot, int64_t update_id, int64_t sequence,
        int64_t venue_ns, int64_t matched_ns, int64_t received_ns,
        const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1:
        """Learn that this book has just taken a message; the levels are valid in the call alone."""
        return 0
