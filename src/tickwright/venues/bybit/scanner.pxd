from libc.stdint cimport int64_t, uint8_t, uint32_t

from tickwright.book.messages cimport MessageSink
from tickwright.book.order_book cimport LatencyHistogram, Level, OrderBook
from tickwright.net.listener cimport FrameSink
from tickwright.net.tap cimport InputTap


cdef class Topic:
    cdef readonly bytes name
    cdef readonly bytes symbol
    cdef readonly OrderBook book
    cdef readonly object instrument
    cdef readonly object instrument_id
    cdef readonly object slot
    cdef readonly int role
    cdef readonly int price_decimals
    cdef readonly int size_decimals
    cdef readonly int64_t frame_count
    cdef readonly int64_t last_frame_ns
    cdef readonly int64_t disagreed_ns
    cdef bint is_dirty
    cdef uint32_t hash


cdef class PublicScanner(FrameSink):
    cdef list topics
    cdef dict by_name
    cdef int mask
    cdef Level* bids
    cdef Level* asks
    cdef int room
    cdef object on_book
    cdef object on_state
    cdef object on_trades
    cdef object on_other
    cdef object on_commands
    cdef InputTap tap
    cdef MessageSink messages
    cdef public int source
    cdef public int conflate_after
    cdef public bint measures_callbacks
    cdef readonly LatencyHistogram callback_time
    cdef readonly int64_t book_frame_count
    cdef readonly int64_t trade_count
    cdef readonly int64_t trade_frame_count
    cdef readonly int64_t other_count
    cdef readonly int64_t conflated_count
    cdef readonly int64_t unlisted_count
    cdef readonly int64_t last_frame_ns
    cdef list dirty
    cdef int64_t turn_frames
    cdef int64_t now_ns
    cdef object now_object
    cdef bint in_flush

    cdef Topic lookup(self, const uint8_t* name, Py_ssize_t size, uint32_t hash)
    cdef void rebuild(self)
    cdef int scan(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int scan_book(self, Topic topic, const uint8_t* at, const uint8_t* end) except -1
    cdef int scan_trades(self, Topic topic, const uint8_t* at, const uint8_t* end) except -1
    cdef const uint8_t* levels(
        self, const uint8_t* at, const uint8_t* end, Topic topic, bint is_bid, int* count
    ) except? NULL
    cdef int make_room(self, int wanted) except -1
    cdef int take(
        self, Topic topic, bint is_snapshot, int64_t update_id, int64_t sequence, int64_t venue_ns,
        int64_t matched_ns, const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1
    cdef int companion(
        self, Topic topic, const Level* bids, int bid_count, const Level* asks, int ask_count
    ) except -1
    cdef int deliver(self, Topic topic) except -1
    cdef int flush(self) except -1
    cdef int state_changed(self, Topic topic, int previous) except -1
