"""Owns one order book: its levels, its place in the feed's numbering, its features.

Refuses wrong books.

Per side one array of int64 keys and one of int64 sizes, ascending, the best level last, so that a
change near the top moves few bytes. A bid's key is its price, an ask's the negated price: one
routine serves both sides. A frame is applied whole or not at all: the caller has parsed all of it
before it calls `apply`.

Overflow: a side holds at most `capacity` levels. What is worse is dropped and counted, and the best
price ever dropped since the last snapshot becomes the horizon: everything at or beyond it is
unknown and stays ignored, so that the levels kept are always exactly the venue's best ones.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from tickwright.book.policy import BookPolicy
from tickwright.book.verdict import BookVerdict
from tickwright.core.events import BookState
from tickwright.core.units import units_to_text

__all__ = ["LatencyHistogram", "OrderBook"]

cdef extern from *:
    """
    static inline int tw_log2(unsigned long long value) { return 63 - __builtin_clzll(value); }
    """
    int tw_log2(unsigned long long value) noexcept nogil

cdef enum:
    BID = 0
    ASK = 1
    CAPACITY_MAX = 10_000
    LINEAR_STEPS = 12      # how far from the top a plain walk beats a binary search
    BUCKETS = 640
    BUCKET_BITS = 4
    GAP_SAMPLES_MAX = 8192

cdef int64_t PRICE_UNITS_MAX = INT64_MAX // 2      # the sum of two prices must fit, too
cdef int64_t SAMPLES_MAX = 1 << 31                 # what a bucket holds for certain

cdef tuple _STATES = tuple(BookState)
cdef tuple _VERDICTS = tuple(BookVerdict)


cdef int64_t _upper_edge(int bucket) noexcept:
    """Return the longest duration that a bucket counts, in nanoseconds."""
    if bucket < 16:
        return bucket
    return ((<int64_t> (16 + (bucket & 15)) + 1) << ((bucket >> BUCKET_BITS) - 1)) - 1


cdef class LatencyHistogram:
    """Counts durations in 640 log-linear buckets (16 per doubling, up to about 2.4 hours).

    Bounded for ever.

    After 2^31 samples all counts are halved, so that no bucket overflows; a longer duration counts
    as the longest.

    A percentile is the upper edge of its bucket, at most 6.25 % above the true value.
    """

    def __cinit__(self):
        memset(self.buckets, 0, sizeof(self.buckets))
        self.count = 0
        self.max_ns = 0
        self.decay_at = SAMPLES_MAX

    cdef void add(self, int64_t value_ns) noexcept nogil:
        cdef int shift, index, i
        cdef uint64_t value = <uint64_t> value_ns if value_ns > 0 else 0
        if value < 16:
            index = <int> value
        else:
            shift = tw_log2(value) - BUCKET_BITS
            index = ((shift + 1) << BUCKET_BITS) + <int> ((value >> shift) & 15)
            if index >= BUCKETS:
                index = BUCKETS - 1
        self.buckets[index] += 1
        self.count += 1
        if value_ns > self.max_ns:
            self.max_ns = value_ns
        if self.count >= self.decay_at:
            self.count = 0
            for i in range(BUCKETS):
                self.buckets[i] >>= 1
                self.count += self.buckets[i]

    def record(self, int64_t value_ns):
        """Count one duration in nanoseconds; a negative one counts as zero."""
        self.add(value_ns)

    def percentile_ns(self, double fraction):
        """Return the duration that a `fraction` (0 to 1) of samples stay below, or None."""
        cdef int64_t wanted, seen = 0
        cdef int i
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"fraction {fraction} is not between 0 and 1")
        if self.count == 0:
            return None
        wanted = <int64_t> (fraction * self.count)
        if wanted >= self.count:
            wanted = self.count - 1
        for i in range(BUCKETS):
            seen += self.buckets[i]
            if seen > wanted:
                return min(_upper_edge(i), self.max_ns)
        return self.max_ns

    def merge(self, LatencyHistogram other):
        """Add the counts of another histogram."""
        cdef int i
        for i in range(BUCKETS):
            self.buckets[i] += other.buckets[i]
        self.count += other.count
        self.max_ns = max(self.max_ns, other.max_ns)

    def reset(self):
        """Forget everything."""
        memset(self.buckets, 0, sizeof(self.buckets))
        self.count = 0
        self.max_ns = 0

    def counts(self):
        """Return the filled buckets as (upper edge in ns, count), rising."""
        cdef int i
        result = []
        for i in range(BUCKETS):
            if self.buckets[i]:
                result.append((_upper_edge(i), self.buckets[i]))
        return result


cdef object _size_of(const int64_t* sizes, int count, int levels):
    """Sum the best levels, which stand last; more than int64 holds is carried on exactly."""
    cdef object whole = 0
    cdef int64_t part = 0
    cdef int i
    if levels < 1:
        raise ValueError(f"a size needs at least one level, not {levels}")
    for i in range(count - 1, max(count - levels, 0) - 1, -1):
        if part > INT64_MAX - sizes[i]:
            whole += part
            part = 0
        part += sizes[i]
    return whole + part


cdef class OrderBook:
    """Resting bids and asks of one instrument, best first, in whole price and size units.

    Args:
        instrument: whose book it is; its decimals fix the units.
        capacity: most levels kept a side, 1 to 10,000.
        policy: the numbering rules of the feed; contiguous ids from an in-stream snapshot by
            default.

    Every feature answers None when it can't be known (empty side, size beyond the visible depth).
    A book handed to a callback is live and valid inside the call; `copy()` keeps one.
    """

    def __cinit__(self, instrument, *, int capacity=200, policy=None):
        cdef int side
        if not 1 <= capacity <= CAPACITY_MAX:
            raise ValueError(f"book capacity {capacity} is not between 1 and {CAPACITY_MAX}")
        rules = BookPolicy() if policy is None else policy
        self.instrument = instrument
        self.policy = rules
        self.price_decimals = instrument.price_decimals
        self.size_decimals = instrument.size_decimals
        self.price_one = 10 ** <object> self.price_decimals
        self.capacity = capacity
        self.window = rules.window
        self.base = int(rules.base)
        self.continuity = int(rules.continuity)
        self.restart_id = rules.restart_id
        self.has_keep_alive = rules.has_keep_alive
        self.can_reset = rules.can_reset
        self.buffer_messages_max = rules.buffer_messages_max
        self.slot = -1
        self.stale_text = ""
        self.pending = []
        self.feed_latency = LatencyHistogram()
        self.update_gap = LatencyHistogram()
        self.update_gap.decay_at = GAP_SAMPLES_MAX
        self.state_code = STATE_EMPTY
        self.update_id = -1
        for side in range(2):
            self.horizon[side] = INT64_MIN
            self.make_room(side, min(capacity, 64))

    def __dealloc__(self):
        cdef int side
        for side in range(2):
            free(self.keys[side])
            free(self.sizes[side])

    def __repr__(self):
        return (
            f"OrderBook({self.instrument.id} {self.state.name.lower()} u={self.update_id} "
            f"bid={self.best_bid} ask={self.best_ask})"
        )

    # --- what it is -------------------------------------------------------------------------------

    @property
    def instrument_id(self):
        """Whose book it is."""
        return self.instrument.id

    @property
    def symbol(self):
        """The venue's own string."""
        return self.instrument.id.symbol

    @property
    def state(self):
        """What the book is worth now; orders are allowed on SYNCED alone."""
        return _STATES[self.state_code]

    @property
    def is_synced(self):
        """Whether the book is proven to be the venue's, as far as its feed tells."""
        return self.state_code == STATE_SYNCED

    @property
    def stale_reason(self):
        """Why the book isn't synced, for people; empty while it is."""
        return self.stale_text

    def age_ns(self, int64_t now_ns):
        """Return nanoseconds since the last proof that the feed lives; None if there was none."""
        if self.proof_ns == 0:
            return None
        return now_ns - self.proof_ns

    # --- messages ---------------------------------------------------------------------------------

    def apply_snapshot(
        self, bids, asks, *, int64_t update_id, int64_t received_ns, int64_t sequence=0,
        int64_t venue_ns=0,
    ):
        """Replace the book by whole sides of (price_units, size_units); return the verdict.

        With a REST base, the snapshot is joined with the buffered deltas: OLDER means that it is
        older than the buffer and must be fetched again.
        """
        return self._from_python(
            True, bids, asks, 0, update_id, -1, sequence, venue_ns, received_ns
        )

    def apply_delta(
        self, bids, asks, *, int64_t update_id, int64_t received_ns, int64_t first_id=0,
        int64_t previous_id=-1, int64_t sequence=0, int64_t venue_ns=0,
    ):
        """Change levels of (price_units, size_units), size 0 removes one; return the verdict.

        GAP and above leave the book stale. Levels change only by APPLIED, and by CROSSED and
        WINDOW, which are seen on the changed levels.
        """
        return self._from_python(
            False, bids, asks, first_id, update_id, previous_id, sequence, venue_ns, received_ns
        )

    def _from_python(
        self, bint is_snapshot, bids, asks, int64_t first_id, int64_t last_id, int64_t previous_id,
        int64_t sequence, int64_t venue_ns, int64_t received_ns,
    ):
        cdef int bid_count = len(bids), ask_count = len(asks), i
        cdef Level* levels = <Level*> malloc((bid_count + ask_count + 1) * sizeof(Level))
        if levels == NULL:
            raise MemoryError
        try:
            for i in range(bid_count):
                levels[i].price, levels[i].size = bids[i]
            for i in range(ask_count):
                levels[bid_count + i].price, levels[bid_count + i].size = asks[i]
            return _VERDICTS[
                self.apply(
                    is_snapshot, first_id, last_id, previous_id, sequence, venue_ns, received_ns,
                    levels, bid_count, levels + bid_count, ask_count,
                )
            ]
        finally:
            free(levels)

    cdef int apply(
        self, bint is_snapshot, int64_t first_id, int64_t last_id, int64_t previous_id,
        int64_t sequence, int64_t venue_ns, int64_t received_ns,
        const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1:
        cdef int verdict, i
        cdef bint is_too_wide
        # Impossible levels are refused before anything changes.
        for i in range(bid_count):
            if bids[i].price <= 0 or bids[i].price > PRICE_UNITS_MAX or bids[i].size < 0:
                return self.fault(REFUSED)
        for i in range(ask_count):
            if asks[i].price <= 0 or asks[i].price > PRICE_UNITS_MAX or asks[i].size < 0:
                return self.fault(REFUSED)
        if is_snapshot:
            if self.base == 0 and self.state_code == STATE_SYNCED and last_id == self.update_id:
                # A level-1 feed sends its state again while nothing changes: proof of life.
                verdict = self.replace(bids, bid_count, asks, ask_count)
                if verdict != SNAPSHOT:
                    return verdict
                self.snapshot_count -= 1
                self.proof_ns = received_ns
                self.received_ns = received_ns
                return REPEAT
            verdict = self.replace(bids, bid_count, asks, ask_count)
            if verdict != SNAPSHOT:
                return verdict
            if self.received_ns and self.state_code == STATE_SYNCED:
                self.update_gap.add(received_ns - self.received_ns)
            self.update_id = last_id
            self.sequence = sequence
            self.is_base_fresh = True
            self.state_code = STATE_SYNCED
            self.stale_text = ""
            verdict = self.join() if self.pending else SNAPSHOT
            if verdict != SNAPSHOT:
                return verdict
        else:
            if self.state_code != STATE_SYNCED:
                if self.state_code == STATE_BUFFERING:
                    if len(self.pending) >= self.buffer_messages_max:
                        self.pending.clear()
                        self.overflow_count += 1
                    self.pending.append((
                        first_id, last_id, previous_id, sequence, venue_ns, received_ns,
                        (<const char*> bids)[: bid_count * sizeof(Level)], bid_count,
                        (<const char*> asks)[: ask_count * sizeof(Level)], ask_count,
                    ))
                    self.received_ns = received_ns
                    return BUFFERED
                self.ignored_count += 1
                return IGNORED
            verdict = self.order_of(first_id, last_id, previous_id)
            if verdict == KEEP_ALIVE and bid_count + ask_count > 0:
                verdict = APPLIED
            if verdict == KEEP_ALIVE:
                self.proof_ns = received_ns
                self.received_ns = received_ns
                return KEEP_ALIVE
            if verdict == DUPLICATE or verdict == OLDER:
                if sequence > self.sequence > 0:
                    # A number we had, on something newer than all we know: the venue counts anew,
                    # and the snapshot that said so didn't reach us.
                    return self.fault(RESTART)
                self.duplicate_count += 1
                return verdict
            if verdict != APPLIED:
                return self.fault(verdict)
            if sequence and sequence < self.sequence:
                return self.fault(BACKWARD)
            self.change_side(BID, bids, bid_count)
            self.change_side(ASK, asks, ask_count)
            is_too_wide = self.window and (
                self.counts[BID] > self.window or self.counts[ASK] > self.window
            )
            self.trim(BID)
            self.trim(ASK)
            if self.is_crossed():
                return self.fault(CROSSED)
            if is_too_wide:
                return self.fault(WINDOW)
            self.update_gap.add(received_ns - self.received_ns)
            self.update_id = last_id
            if sequence:
                self.sequence = sequence
            self.is_base_fresh = False
            self.update_count += 1
        self.received_ns = received_ns
        self.proof_ns = received_ns
        if venue_ns:
            self.venue_ns = venue_ns
            self.feed_latency.add(received_ns - venue_ns)
        return verdict

    cdef int order_of(self, int64_t first_id, int64_t last_id, int64_t previous_id) noexcept:
        """Say by the feed's rule whether these ids come next."""
        cdef int64_t last = self.update_id
        if last_id == self.restart_id:
            return RESTART
        if self.continuity == 0:
            if last_id == last + 1:
                return APPLIED
            if last_id == last:
                return DUPLICATE
            return OLDER if last_id < last else GAP
        if self.continuity == 1:
            if last_id <= last:
                return DUPLICATE if last_id == last else OLDER
            return APPLIED if first_id <= last + 1 else GAP
        if self.has_keep_alive and last_id == last and previous_id == last:
            return KEEP_ALIVE
        if self.is_base_fresh and self.base == 1:
            # A REST snapshot falls somewhere inside a delta's range: the first one must only cover
            # it.
            if last_id <= last:
                return DUPLICATE if last_id == last else OLDER
            return APPLIED if previous_id <= last or first_id <= last else GAP
        if previous_id == last:
            if last_id > last or self.can_reset:
                return APPLIED
        if last_id <= last:
            return DUPLICATE if last_id == last else OLDER
        return GAP

    cdef int join(self) except -1:
        """Apply the buffered deltas on the fresh REST snapshot.

        OLDER when it doesn't reach them.
        """
        cdef list pending = self.pending
        cdef int verdict
        cdef bytes bids, asks
        self.pending = []
        for position, item in enumerate(pending):
            bids = item[6]
            asks = item[8]
            verdict = self.apply(
                False, item[0], item[1], item[2], item[3], item[4], item[5],
                <const Level*> <const char*> bids, item[7],
                <const Level*> <const char*> asks, item[9],
            )
            if verdict >= GAP:
                if verdict == GAP and self.is_base_fresh:
                    # The snapshot is older than the first buffered delta: keep the buffer, fetch
                    # again.
                    self.gap_count -= 1
                    self.pending = pending[position:]
                    self.state_code = STATE_BUFFERING
                    self.stale_text = "the snapshot is older than the buffered deltas"
                    return OLDER
                return verdict
        return SNAPSHOT

    cdef int fault(self, int verdict) noexcept:
        """Note why the book can't be trusted any more.

        What it held stays readable, marked stale.
        """
        if verdict == GAP:
            self.gap_count += 1
        else:
            self.fault_count += 1
        if self.state_code != STATE_BUFFERING and self.state_code != STATE_RESYNCING:
            self.state_code = STATE_STALE
            self.stale_text = (<str> _VERDICTS[verdict].name).lower()
        return verdict

    cdef bint is_crossed(self) noexcept:
        # keys[BID] is the price, keys[ASK] the negated one: bid >= ask means their sum is not
        # negative.
        return (
            self.counts[BID] > 0
            and self.counts[ASK] > 0
            and self.keys[BID][self.counts[BID] - 1] + self.keys[ASK][self.counts[ASK] - 1] >= 0
        )

    # --- levels -----------------------------------------------------------------------------------

    cdef int replace(
        self, const Level* bids, int bid_count, const Level* asks, int ask_count
    ) except -1:
        cdef int verdict = self.load_side(BID, bids, bid_count)
        if verdict == SNAPSHOT:
            verdict = self.load_side(ASK, asks, ask_count)
        if verdict == SNAPSHOT and self.is_crossed():
            verdict = CROSSED
        if verdict == SNAPSHOT and self.window and max(bid_count, ask_count) > self.window:
            verdict = WINDOW
        if verdict != SNAPSHOT:
            # The old book is gone and the new one is no good: an empty side is better than a wrong
            # one.
            self.counts[BID] = 0
            self.counts[ASK] = 0
            return self.fault(verdict)
        self.trim(BID)
        self.trim(ASK)
        self.snapshot_count += 1
        return SNAPSHOT

    cdef int load_side(self, int side, const Level* levels, int count) except -1:
        cdef int64_t sign = 1 if side == BID else -1
        cdef int64_t key, previous = INT64_MAX
        cdef int i, position
        cdef size_t size
        self.make_room(side, count)
        self.counts[side] = 0
        self.horizon[side] = INT64_MIN
        # The wire sends best first; we keep the best last.
        position = count
        for i in range(count):
            if levels[i].size == 0:
                continue
            key = sign * levels[i].price
            if key >= previous:
                break
            previous = key
            position -= 1
            self.keys[side][position] = key
            self.sizes[side][position] = levels[i].size
        else:
            if position:
                size = (count - position) * sizeof(int64_t)
                memmove(self.keys[side], self.keys[side] + position, size)
                memmove(self.sizes[side], self.sizes[side] + position, size)
            self.counts[side] = count - position
            return SNAPSHOT
        # Not sorted: insert one by one; a price that stands twice is a lie we can't resolve.
        for i in range(count):
            if levels[i].size == 0:
                continue
            key = sign * levels[i].price
            position = self.counts[side]
            self.set_level(side, key, levels[i].size)
            if self.counts[side] == position:
                return REFUSED
        return SNAPSHOT

    cdef int change_side(self, int side, const Level* levels, int count) except -1:
        cdef int64_t sign = 1 if side == BID else -1
        cdef int i
        self.make_room(side, self.counts[side] + count)
        for i in range(count):
            self.set_level(side, sign * levels[i].price, levels[i].size)
        return 0

    cdef int make_room(self, int side, int wanted) except -1:
        cdef int room = self.rooms[side]
        cdef void* grown
        if wanted <= room:
            return 0
        room = max(wanted, min(2 * room, 2 * CAPACITY_MAX), 16)
        grown = realloc(self.keys[side], room * sizeof(int64_t))
        if grown == NULL:
            raise MemoryError
        self.keys[side] = <int64_t*> grown
        grown = realloc(self.sizes[side], room * sizeof(int64_t))
        if grown == NULL:
            raise MemoryError
        self.sizes[side] = <int64_t*> grown
        self.rooms[side] = room
        return 0

    cdef int find(self, int side, int64_t key) noexcept:
        """Return how many levels have a key up to `key`.

        Near the top by walking, else by halving.
        """
        cdef int64_t* keys = self.keys[side]
        cdef int high = self.counts[side]
        cdef int low = high - LINEAR_STEPS if high > LINEAR_STEPS else 0
        cdef int middle
        while high > low and keys[high - 1] > key:
            high -= 1
        if high > low or low == 0:
            return high
        low = 0
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] <= key:
                low = middle + 1
            else:
                high = middle
        return low

    cdef int set_level(self, int side, int64_t key, int64_t size) noexcept:
        cdef int64_t* keys = self.keys[side]
        cdef int64_t* sizes = self.sizes[side]
        cdef int count = self.counts[side]
        cdef int i = self.find(side, key)
        if i > 0 and keys[i - 1] == key:
            if size:
                sizes[i - 1] = size
                return 0
            memmove(keys + i - 1, keys + i, (count - i) * sizeof(int64_t))
            memmove(sizes + i - 1, sizes + i, (count - i) * sizeof(int64_t))
            self.counts[side] = count - 1
            return 0
        if key <= self.horizon[side]:
            return 0
        if size == 0:
            self.unknown_delete_count += 1
            return 0
        memmove(keys + i + 1, keys + i, (count - i) * sizeof(int64_t))
        memmove(sizes + i + 1, sizes + i, (count - i) * sizeof(int64_t))
        keys[i] = key
        sizes[i] = size
        self.counts[side] = count + 1
        return 0

    cdef void trim(self, int side) noexcept:
        cdef int excess = self.counts[side] - self.capacity
        if excess <= 0:
            return
        self.overflow_count += excess
        if self.keys[side][excess - 1] > self.horizon[side]:
            self.horizon[side] = self.keys[side][excess - 1]
        memmove(self.keys[side], self.keys[side] + excess, self.capacity * sizeof(int64_t))
        memmove(self.sizes[side], self.sizes[side] + excess, self.capacity * sizeof(int64_t))
        self.counts[side] = self.capacity

    # --- state, moved by the feed -----------------------------------------------------------------

    def start_buffering(self):
        """Begin to keep deltas for a REST snapshot to come; forgets what was held."""
        self.clear()
        self.state_code = STATE_BUFFERING
        self.stale_text = "waits for a snapshot"

    def mark_stale(self, str reason):
        """Say that the book can't be trusted any more; nothing happens to one that isn't synced."""
        if self.state_code == STATE_SYNCED:
            self.state_code = STATE_STALE
            self.stale_text = reason

    def mark_resyncing(self):
        """Say that a new snapshot was asked for; deltas are dropped until it comes."""
        if self.state_code != STATE_EMPTY:
            self.state_code = STATE_RESYNCING
            if not self.stale_text:
                self.stale_text = "waits for a snapshot"

    def clear(self):
        """Forget all levels and ids: the state is empty."""
        cdef int side
        for side in range(2):
            self.counts[side] = 0
            self.horizon[side] = INT64_MIN
        self.pending = []
        self.update_id = -1
        self.sequence = 0
        self.proof_ns = 0
        self.received_ns = 0
        self.is_base_fresh = False
        self.state_code = STATE_EMPTY
        self.stale_text = ""

    def change_instrument(self, instrument):
        """Take a new version of the instrument; a change of decimals empties the book."""
        if instrument.id != self.instrument.id:
            raise ValueError(f"{instrument.id} is not {self.instrument.id}, whose book this is")
        if (
            instrument.price_decimals != self.price_decimals
            or instrument.size_decimals != self.size_decimals
        ):
            self.clear()
            self.price_decimals = instrument.price_decimals
            self.size_decimals = instrument.size_decimals
            self.price_one = 10 ** <object> self.price_decimals
        self.instrument = instrument

    def prove(self, int64_t now_ns):
        """Note a proof of life from elsewhere (companion topic or REST top that agrees)."""
        if self.state_code == STATE_SYNCED and now_ns > self.proof_ns:
            self.proof_ns = now_ns

    cdef bint top_is(self, int64_t bid, int64_t bid_size, int64_t ask, int64_t ask_size) noexcept:
        cdef int b = self.counts[BID], a = self.counts[ASK]
        if (b == 0) != (bid == 0) or (a == 0) != (ask == 0):
            return False
        if b and (self.keys[BID][b - 1] != bid or self.sizes[BID][b - 1] != bid_size):
            return False
        return not (a and (-self.keys[ASK][a - 1] != ask or self.sizes[ASK][a - 1] != ask_size))

    def top_agrees(
        self, int64_t bid_units, int64_t bid_size_units, int64_t ask_units, int64_t ask_size_units
    ):
        """Say whether our top of book is this one (0 for an empty side)."""
        return self.top_is(bid_units, bid_size_units, ask_units, ask_size_units)

    # --- features ---------------------------------------------------------------------------------

    @property
    def best_bid(self):
        """Highest bid in price units."""
        return self.keys[BID][self.counts[BID] - 1] if self.counts[BID] else None

    @property
    def best_bid_size(self):
        """Size at the highest bid in size units."""
        return self.sizes[BID][self.counts[BID] - 1] if self.counts[BID] else None

    @property
    def best_ask(self):
        """Lowest ask in price units."""
        return -self.keys[ASK][self.counts[ASK] - 1] if self.counts[ASK] else None

    @property
    def best_ask_size(self):
        """Size at the lowest ask in size units."""
        return self.sizes[ASK][self.counts[ASK] - 1] if self.counts[ASK] else None

    @property
    def bid_count(self):
        """How many bid levels are held."""
        return self.counts[BID]

    @property
    def ask_count(self):
        """How many ask levels are held."""
        return self.counts[ASK]

    @property
    def mid_twice_units(self):
        """Best bid + best ask in price units: twice the mid, exact."""
        if not (self.counts[BID] and self.counts[ASK]):
            return None
        return self.keys[BID][self.counts[BID] - 1] - self.keys[ASK][self.counts[ASK] - 1]

    @property
    def mid(self):
        """(best bid + best ask) / 2 as a price in quote asset."""
        cdef int64_t twice
        if not (self.counts[BID] and self.counts[ASK]):
            return None
        twice = self.keys[BID][self.counts[BID] - 1] - self.keys[ASK][self.counts[ASK] - 1]
        return <double> twice / (2.0 * <double> self.price_one)

    @property
    def microprice(self):
        """(bid x ask size + ask x bid size) / (bid size + ask size) at the top, as a price."""
        cdef double bid, ask, bid_size, ask_size
        if not (self.counts[BID] and self.counts[ASK]):
            return None
        bid = <double> self.keys[BID][self.counts[BID] - 1]
        ask = -<double> self.keys[ASK][self.counts[ASK] - 1]
        bid_size = <double> self.sizes[BID][self.counts[BID] - 1]
        ask_size = <double> self.sizes[ASK][self.counts[ASK] - 1]
        return (bid * ask_size + ask * bid_size) / (bid_size + ask_size) / <double> self.price_one

    @property
    def spread_units(self):
        """Best ask - best bid in price units."""
        if not (self.counts[BID] and self.counts[ASK]):
            return None
        return -self.keys[ASK][self.counts[ASK] - 1] - self.keys[BID][self.counts[BID] - 1]

    @property
    def spread(self):
        """Best ask - best bid as a price difference."""
        cdef object units = self.spread_units
        return None if units is None else <double> <int64_t> units / <double> self.price_one

    @property
    def spread_percent(self):
        """Spread as a percentage of the mid."""
        cdef double bid, ask
        if not (self.counts[BID] and self.counts[ASK]):
            return None
        bid = <double> self.keys[BID][self.counts[BID] - 1]
        ask = -<double> self.keys[ASK][self.counts[ASK] - 1]
        return 200.0 * (ask - bid) / (ask + bid)

    def imbalance(self, int levels=10):
        """(bid size - ask size) / (bid size + ask size) over the best `levels`; +1 is all bids."""
        cdef double bid_size = 0.0, ask_size = 0.0
        cdef int i, count
        if levels < 1:
            raise ValueError(f"imbalance needs at least one level, not {levels}")
        count = self.counts[BID]
        for i in range(count - 1, max(count - levels, 0) - 1, -1):
            bid_size += <double> self.sizes[BID][i]
        count = self.counts[ASK]
        for i in range(count - 1, max(count - levels, 0) - 1, -1):
            ask_size += <double> self.sizes[ASK][i]
        if bid_size + ask_size == 0.0:
            return None
        return (bid_size - ask_size) / (bid_size + ask_size)

    def features(self, int levels=10):
        """Return (mid, spread, microprice, imbalance over the best `levels`) in one call.

        Prices in quote asset; None while a side is empty. One call costs a third of four.
        """
        cdef double bid, ask, bid_size, ask_size, one, bids = 0.0, asks = 0.0
        cdef int b = self.counts[BID], a = self.counts[ASK], i
        if levels < 1:
            raise ValueError(f"imbalance needs at least one level, not {levels}")
        if b == 0 or a == 0:
            return None
        one = <double> self.price_one
        bid = <double> self.keys[BID][b - 1]
        ask = -<double> self.keys[ASK][a - 1]
        bid_size = <double> self.sizes[BID][b - 1]
        ask_size = <double> self.sizes[ASK][a - 1]
        for i in range(b - 1, max(b - levels, 0) - 1, -1):
            bids += <double> self.sizes[BID][i]
        for i in range(a - 1, max(a - levels, 0) - 1, -1):
            asks += <double> self.sizes[ASK][i]
        return (
            (bid + ask) / (2.0 * one),
            (ask - bid) / one,
            (bid * ask_size + ask * bid_size) / (bid_size + ask_size) / one,
            (bids - asks) / (bids + asks),
        )

    cdef double side_vwap(self, int side, int levels) noexcept:
        cdef double cost = 0.0, size = 0.0
        cdef int count = self.counts[side], i
        for i in range(count - 1, max(count - levels, 0) - 1, -1):
            cost += <double> self.keys[side][i] * <double> self.sizes[side][i]
            size += <double> self.sizes[side][i]
        if size == 0.0:
            return -1.0
        cost = cost / size / <double> self.price_one
        return cost if side == BID else -cost

    def vwap_bids(self, int levels):
        """Size-weighted average price of the best `levels` bids."""
        cdef double price
        if levels < 1:
            raise ValueError(f"a vwap needs at least one level, not {levels}")
        price = self.side_vwap(BID, levels)
        return None if price < 0.0 else price

    def vwap_asks(self, int levels):
        """Size-weighted average price of the best `levels` asks."""
        cdef double price
        if levels < 1:
            raise ValueError(f"a vwap needs at least one level, not {levels}")
        price = self.side_vwap(ASK, levels)
        return None if price < 0.0 else price

    cdef double fill_vwap(self, int side, int64_t size_units, int64_t* worst_key) noexcept:
        cdef double cost = 0.0
        cdef int64_t left = size_units, taken
        cdef int i = self.counts[side] - 1
        while left > 0 and i >= 0:
            taken = min(left, self.sizes[side][i])
            cost += <double> self.keys[side][i] * <double> taken
            worst_key[0] = self.keys[side][i]
            left -= taken
            i -= 1
        if left > 0:
            return -1.0
        cost = cost / <double> size_units / <double> self.price_one
        return cost if side == BID else -cost

    def vwap_to_buy(self, int64_t size_units):
        """Average price to buy this size at once; None when the visible asks don't hold it."""
        cdef int64_t worst = 0
        cdef double price
        if size_units <= 0:
            raise ValueError(f"size must be above zero, not {size_units}")
        price = self.fill_vwap(ASK, size_units, &worst)
        return None if price < 0.0 else price

    def vwap_to_sell(self, int64_t size_units):
        """Average price to sell this size at once; None when the visible bids don't hold it."""
        cdef int64_t worst = 0
        cdef double price
        if size_units <= 0:
            raise ValueError(f"size must be above zero, not {size_units}")
        price = self.fill_vwap(BID, size_units, &worst)
        return None if price < 0.0 else price

    def worst_price_to_buy(self, int64_t size_units):
        """Highest ask (price units) that buying this size at once reaches.

        None beyond the visible depth.
        """
        cdef int64_t worst = 0
        if size_units <= 0:
            raise ValueError(f"size must be above zero, not {size_units}")
        return None if self.fill_vwap(ASK, size_units, &worst) < 0.0 else -worst

    def worst_price_to_sell(self, int64_t size_units):
        """Lowest bid (price units) that selling this size at once reaches.

        None beyond the visible depth.
        """
        cdef int64_t worst = 0
        if size_units <= 0:
            raise ValueError(f"size must be above zero, not {size_units}")
        return None if self.fill_vwap(BID, size_units, &worst) < 0.0 else worst

    cdef list side_levels(self, int side, int levels):
        cdef int count = self.counts[side], i
        cdef int64_t sign = 1 if side == BID else -1
        cdef int shown = count if levels <= 0 or levels > count else levels
        cdef list result = []
        for i in range(count - 1, count - shown - 1, -1):
            result.append((sign * self.keys[side][i], self.sizes[side][i]))
        return result

    def bids(self, int levels=0):
        """Return the best `levels` bids (0: all) as (price_units, size_units), best first."""
        return self.side_levels(BID, levels)

    def asks(self, int levels=0):
        """Return the best `levels` asks (0: all) as (price_units, size_units), best first."""
        return self.side_levels(ASK, levels)

    def bids_size(self, int levels):
        """Return what the best `levels` bids hold together, in size units."""
        return _size_of(self.sizes[BID], self.counts[BID], levels)

    def asks_size(self, int levels):
        """Return what the best `levels` asks hold together, in size units."""
        return _size_of(self.sizes[ASK], self.counts[ASK], levels)

    def bids_text(self, int levels=0):
        """Return the best `levels` bids (0.

        All) as ["price", "size"] in exact decimal text, best first.
        """
        return self._as_text(self.side_levels(BID, levels))

    def asks_text(self, int levels=0):
        """Return the best `levels` asks (0.

        All) as ["price", "size"] in exact decimal text, best first.
        """
        return self._as_text(self.side_levels(ASK, levels))

    def _as_text(self, list levels):
        return [
            [units_to_text(price, self.price_decimals), units_to_text(size, self.size_decimals)]
            for price, size in levels
        ]

    def bid_size_at(self, int64_t price_units):
        """Size resting at this bid price.

        None when there is none, or it lies beyond the horizon.
        """
        cdef int i = self.find(BID, price_units)
        if i > 0 and self.keys[BID][i - 1] == price_units:
            return self.sizes[BID][i - 1]
        return None

    def ask_size_at(self, int64_t price_units):
        """Size resting at this ask price.

        None when there is none, or it lies beyond the horizon.
        """
        cdef int i = self.find(ASK, -price_units)
        if i > 0 and self.keys[ASK][i - 1] == -price_units:
            return self.sizes[ASK][i - 1]
        return None

    def copy(self):
        """Return a book with the same levels and state that later messages don't change."""
        cdef OrderBook other = OrderBook(
            self.instrument, capacity=self.capacity, policy=self.policy
        )
        cdef int side
        for side in range(2):
            other.make_room(side, self.counts[side])
            memcpy(other.keys[side], self.keys[side], self.counts[side] * sizeof(int64_t))
            memcpy(other.sizes[side], self.sizes[side], self.counts[side] * sizeof(int64_t))
            other.counts[side] = self.counts[side]
            other.horizon[side] = self.horizon[side]
        other.slot = self.slot
        other.update_id = self.update_id
        other.sequence = self.sequence
        other.venue_ns = self.venue_ns
        other.received_ns = self.received_ns
        other.proof_ns = self.proof_ns
        other.state_code = self.state_code
        other.stale_text = self.stale_text
        other.is_base_fresh = self.is_base_fresh
        other.update_count = self.update_count
        other.snapshot_count = self.snapshot_count
        other.gap_count = self.gap_count
        other.duplicate_count = self.duplicate_count
        other.fault_count = self.fault_count
        other.ignored_count = self.ignored_count
        other.unknown_delete_count = self.unknown_delete_count
        other.overflow_count = self.overflow_count
        return other
