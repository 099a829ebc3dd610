from libc.stdint cimport int64_t

from tickwright.book.order_book cimport Level, OrderBook


cdef class MessageSink:
    cdef int on_message(
        self, OrderBook book, bint is_snapshot, int64_t update_id, int64_t sequence,
        int64_t venue_ns, int64_t matched_ns, int64_t received_ns,
        const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1
