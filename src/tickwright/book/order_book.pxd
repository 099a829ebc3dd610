from libc.stdint cimport int64_t, uint32_t

# The verdicts of book/verdict.py and the states of core/events.py; a test holds them equal.
cdef enum:
    APPLIED = 0
    SNAPSHOT = 1
    REPEAT = 2
    DUPLICATE = 3
    OLDER = 4
    KEEP_ALIVE = 5
    BUFFERED = 6
    IGNORED = 7
    GAP = 8
    RESTART = 9
    CROSSED = 10
    WINDOW = 11
    BACKWARD = 12
    REFUSED = 13

cdef enum:
    STATE_EMPTY = 0
    STATE_BUFFERING = 1
    STATE_SYNCED = 2
    STATE_STALE = 3
    STATE_RESYNCING = 4

cdef struct Level:
    int64_t price
    int64_t size


cdef class LatencyHistogram:
    cdef uint32_t[640] buckets
    cdef readonly int64_t count
    cdef readonly int64_t max_ns
    cdef int64_t decay_at

    cdef void add(self, int64_t value_ns) noexcept nogil


cdef class OrderBook:
    cdef int64_t* keys[2]
    cdef int64_t* sizes[2]
    cdef int64_t[2] horizon
    cdef int[2] counts
    cdef int[2] rooms
    cdef readonly int capacity
    cdef int window
    cdef int base
    cdef int continuity
    cdef bint has_keep_alive
    cdef bint can_reset
    cdef int64_t restart_id
    cdef int buffer_messages_max
    cdef int state_code
    cdef bint is_base_fresh
    cdef public int slot
    cdef readonly int64_t update_id
    cdef readonly int64_t sequence
    cdef readonly int64_t venue_ns
    cdef readonly int64_t received_ns
    cdef readonly int64_t proof_ns
    cdef readonly int64_t update_count
    cdef readonly int64_t snapshot_count
    cdef readonly int64_t gap_count
    cdef readonly int64_t duplicate_count
    cdef readonly int64_t fault_count
    cdef readonly int64_t ignored_count
    cdef readonly int64_t unknown_delete_count
    cdef readonly int64_t overflow_count
    cdef int64_t price_one
    cdef readonly int price_decimals
    cdef readonly int size_decimals
    cdef readonly object instrument
    cdef readonly object policy
    cdef str stale_text
    cdef list pending
    cdef readonly LatencyHistogram feed_latency
    cdef readonly LatencyHistogram update_gap

    cdef int apply(
        self, bint is_snapshot, int64_t first_id, int64_t last_id, int64_t previous_id,
        int64_t sequence, int64_t venue_ns, int64_t received_ns,
        const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1
    cdef int order_of(self, int64_t first_id, int64_t last_id, int64_t previous_id) noexcept
    cdef int replace(
        self, const Level* bids, int bid_count, const Level* asks, int ask_count
    ) except -1
    cdef int load_side(self, int side, const Level* levels, int count) except -1
    cdef int change_side(self, int side, const Level* levels, int count) except -1
    cdef int make_room(self, int side, int wanted) except -1
    cdef int set_level(self, int side, int64_t key, int64_t size) noexcept
    cdef int find(self, int side, int64_t key) noexcept
    cdef void trim(self, int side) noexcept
    cdef int fault(self, int verdict) noexcept
    cdef int join(self) except -1
    cdef bint is_crossed(self) noexcept
    cdef double side_vwap(self, int side, int levels) noexcept
    cdef double fill_vwap(self, int side, int64_t size_units, int64_t* worst_key) noexcept
    cdef list side_levels(self, int side, int levels)
    cdef bint top_is(self, int64_t bid, int64_t bid_size, int64_t ask, int64_t ask_size) noexcept
