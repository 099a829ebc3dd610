"""Owns the rows of the book table as they gather: in columns, levels straight from the scanner.

`BookColumns` holds the rows of one partition in plain arrays of the table's types; `BookRows` puts
each message that a book took into the columns of its partition and day, with its place among all
rows of the source. They refuse to know files: who is asked for columns, and told when they are
full, is `storage.lake.writer`.
"""

from libc.stdint cimport INT32_MAX, int8_t, int32_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from tickwright.book.messages cimport MessageSink
from tickwright.book.order_book cimport Level, OrderBook

__all__ = ["BookColumns", "BookRows"]

cdef enum:
    DELTA = 0
    SNAPSHOT = 1
    NUMBERS = 8            # whole columns of int64, in the table's order
    ORDINAL = 0
    RECEIVED = 1
    VENUE = 2
    MATCHED = 3
    UPDATE = 4
    FIRST = 5
    PREVIOUS = 6
    SEQUENCE = 7
    BID = 0
    ASK = 1
    ROOM_FIRST = 64
    ROOM_MAX = 1 << 30


cdef class BookColumns:
    """The rows of one partition, from one moment up to but without another.

    Args:
        file_rows_max: how many rows they may take in all.
        is_counted_only: keep no row, count alone: the partition is written already.
    """

    cdef int64_t from_ns
    cdef int64_t until_ns
    cdef int64_t file_rows_max
    cdef readonly bint is_counted_only
    cdef readonly int64_t row_count
    cdef readonly int64_t level_count
    cdef readonly int64_t first_ns
    cdef readonly int64_t last_ns
    cdef readonly int rows_held
    cdef readonly int64_t levels_held
    cdef int64_t* numbers[NUMBERS]
    cdef int8_t* kinds
    cdef int32_t* depths
    cdef int32_t* ends[2]
    cdef int64_t* prices[2]
    cdef int64_t* sizes[2]
    cdef int room
    cdef int[2] rooms
    cdef int[2] counts
    cdef list reasons

    def __cinit__(
        self, *, int64_t from_ns, int64_t until_ns, int64_t file_rows_max,
        bint is_counted_only=False,
    ):
        self.from_ns = from_ns
        self.until_ns = until_ns
        self.file_rows_max = file_rows_max
        self.is_counted_only = is_counted_only
        self.reasons = []

    def __dealloc__(self):
        self._release()

    cdef void _release(self) noexcept:
        cdef int i
        for i in range(NUMBERS):
            free(self.numbers[i])
            self.numbers[i] = NULL
        free(self.kinds)
        free(self.depths)
        self.kinds = NULL
        self.depths = NULL
        for i in range(2):
            free(self.ends[i])
            free(self.prices[i])
            free(self.sizes[i])
            self.ends[i] = NULL
            self.prices[i] = NULL
            self.sizes[i] = NULL
            self.rooms[i] = 0
        self.room = 0

    def close(self):
        """Take no more rows: whoever still has them must ask for others."""
        self.until_ns = self.from_ns

    cdef int _make_room(self) except -1:
        """Let one more row in; each column has room for one more than there are rows."""
        cdef int i, room
        cdef void* grown
        if self.rows_held < self.room:
            return 0
        if self.room >= ROOM_MAX:
            raise MemoryError
        room = max(2 * self.room, ROOM_FIRST)
        for i in range(NUMBERS):
            grown = realloc(self.numbers[i], room * sizeof(int64_t))
            if grown == NULL:
                raise MemoryError
            self.numbers[i] = <int64_t*> grown
        grown = realloc(self.kinds, room * sizeof(int8_t))
        if grown == NULL:
            raise MemoryError
        self.kinds = <int8_t*> grown
        grown = realloc(self.depths, room * sizeof(int32_t))
        if grown == NULL:
            raise MemoryError
        self.depths = <int32_t*> grown
        for i in range(2):
            grown = realloc(self.ends[i], (room + 1) * sizeof(int32_t))
            if grown == NULL:
                raise MemoryError
            self.ends[i] = <int32_t*> grown
            self.ends[i][0] = 0
        self.room = room
        return 0

    cdef int _make_level_room(self, int side, int wanted) except -1:
        cdef int64_t room = self.rooms[side]
        cdef void* grown
        if self.counts[side] + <int64_t> wanted <= room:
            return 0
        room = max(2 * room, self.counts[side] + <int64_t> wanted, ROOM_FIRST)
        if room > <int64_t> INT32_MAX:
            raise MemoryError
        grown = realloc(self.prices[side], room * sizeof(int64_t))
        if grown == NULL:
            raise MemoryError
        self.prices[side] = <int64_t*> grown
        grown = realloc(self.sizes[side], room * sizeof(int64_t))
        if grown == NULL:
            raise MemoryError
        self.sizes[side] = <int64_t*> grown
        self.rooms[side] = <int> room
        return 0

    cdef void _count(self, int64_t moment_ns, int levels) noexcept:
        if self.row_count == 0 or moment_ns < self.first_ns:
            self.first_ns = moment_ns
        if moment_ns > self.last_ns:
            self.last_ns = moment_ns
        self.row_count += 1
        self.level_count += levels

    cdef int _put(
        self, int64_t ordinal, int64_t received_ns, int64_t venue_ns, int64_t matched_ns,
        int kind, int depth, int64_t update_id, int64_t first_id, int64_t previous_id,
        int64_t sequence,
    ) except -1:
        """Add a row whose levels stand already."""
        cdef int at = self.rows_held
        self._make_room()
        self.numbers[ORDINAL][at] = ordinal
        self.numbers[RECEIVED][at] = received_ns
        self.numbers[VENUE][at] = venue_ns
        self.numbers[MATCHED][at] = matched_ns
        self.numbers[UPDATE][at] = update_id
        self.numbers[FIRST][at] = first_id
        self.numbers[PREVIOUS][at] = previous_id
        self.numbers[SEQUENCE][at] = sequence
        self.kinds[at] = <int8_t> kind
        self.depths[at] = depth
        self.ends[BID][at + 1] = self.counts[BID]
        self.ends[ASK][at + 1] = self.counts[ASK]
        self.rows_held = at + 1
        self.levels_held = <int64_t> self.counts[BID] + self.counts[ASK]
        return 0

    cdef int _put_levels(self, int side, const Level* levels, int count) except -1:
        cdef int i, at = self.counts[side]
        self._make_level_room(side, count)
        for i in range(count):
            self.prices[side][at + i] = levels[i].price
            self.sizes[side][at + i] = levels[i].size
        self.counts[side] = at + count
        return 0

    def append(self, int64_t ordinal, row):
        """Add one `BookRow` as it is."""
        cdef int side, at, i, count, levels
        received_ns, venue_ns, matched_ns, kind, depth, update_id, first_id, previous_id = row[:8]
        cdef tuple lists = (row[9:11], row[11:13])
        levels = len(row[9]) + len(row[11])
        self._count(received_ns or venue_ns, levels)
        if self.is_counted_only:
            return
        for side in range(2):
            prices, sizes = lists[side]
            count = len(prices)
            if len(sizes) != count:
                raise ValueError("a level has a price and a size")
            self._make_level_room(side, count)
            at = self.counts[side]
            for i in range(count):
                self.prices[side][at + i] = prices[i]
                self.sizes[side][at + i] = sizes[i]
        # Both sides are whole before the row counts.
        self.counts[BID] += len(row[9])
        self.counts[ASK] += len(row[11])
        self._put(
            ordinal, received_ns, venue_ns, matched_ns, kind, depth, update_id, first_id,
            previous_id, row[8],
        )
        if row[13]:
            self.reasons.append((self.rows_held - 1, row[13]))

    def take(self):
        """Return the rows held, as the bytes of each column, and hold none.

        Returns (rows, {column: little-endian numbers}, [(row, reason), ...]); `bid_ends` and
        `ask_ends` are int32 places, one more than rows, where a row's levels begin and end.
        """
        cdef int n = self.rows_held, i
        cdef dict columns = {}
        cdef list reasons = self.reasons
        if n == 0:
            return 0, columns, reasons
        for i, name in enumerate(
            ("ordinal", "received_ns", "venue_ns", "matched_ns", "update_id", "first_id",
             "previous_id", "sequence")
        ):
            columns[name] = (<const char*> self.numbers[i])[: n * sizeof(int64_t)]
        columns["kind"] = (<const char*> self.kinds)[: n * sizeof(int8_t)]
        columns["depth"] = (<const char*> self.depths)[: n * sizeof(int32_t)]
        for i, side in enumerate(("bid", "ask")):
            columns[side + "_ends"] = (<const char*> self.ends[i])[: (n + 1) * sizeof(int32_t)]
            columns[side + "_prices"] = _numbers(self.prices[i], self.counts[i])
            columns[side + "_sizes"] = _numbers(self.sizes[i], self.counts[i])
        self._release()
        self.reasons = []
        self.rows_held = 0
        self.levels_held = 0
        memset(self.counts, 0, sizeof(self.counts))
        return n, columns, reasons


cdef bytes _numbers(const int64_t* numbers, int count):
    return (<const char*> numbers)[: count * sizeof(int64_t)] if count else b""


cdef class _Lane:
    cdef BookColumns columns
    cdef object instrument
    cdef int depth


cdef class BookRows(MessageSink):
    """Puts the messages that books took into columns.

    Args:
        columns_for: called as `columns_for(book, received_ns)` when a book's columns don't fit any
            more; returns its `BookColumns` and the depth that its feed shows.
        on_full: called with columns that hold `rows_max` rows or `levels_max` levels.
        on_held: called when all columns together hold `all_rows_max` or `all_levels_max`.
        on_whole: called with columns that took as many rows as theirs may, held or not.
    """

    cdef public int64_t ordinal
    """The place of the next row among all rows of the source, of whatever table."""
    cdef public int64_t rows_held
    cdef public int64_t levels_held
    cdef object columns_for
    cdef object on_full
    cdef object on_held
    cdef object on_whole
    cdef int rows_max
    cdef int64_t levels_max
    cdef int64_t all_rows_max
    cdef int64_t all_levels_max
    cdef list lanes

    def __init__(
        self, *, columns_for, on_full, on_held, on_whole, int rows_max, int64_t levels_max,
        int64_t all_rows_max, int64_t all_levels_max,
    ):
        self.columns_for = columns_for
        self.on_full = on_full
        self.on_held = on_held
        self.on_whole = on_whole
        self.rows_max = rows_max
        self.levels_max = levels_max
        self.all_rows_max = all_rows_max
        self.all_levels_max = all_levels_max
        self.lanes = []

    cdef int on_message(
        self, OrderBook book, bint is_snapshot, int64_t update_id, int64_t sequence,
        int64_t venue_ns, int64_t matched_ns, int64_t received_ns,
        const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1:
        cdef _Lane lane = None
        cdef BookColumns columns
        cdef int slot = book.slot
        cdef int64_t moment_ns = received_ns if received_ns else venue_ns
        if 0 <= slot < len(self.lanes):
            lane = <_Lane?> self.lanes[slot] if self.lanes[slot] is not None else None
        if (
            lane is None or lane.instrument is not book.instrument
            or moment_ns < lane.columns.from_ns or moment_ns >= lane.columns.until_ns
        ):
            lane = self._lane(book, slot, moment_ns)
        columns = lane.columns
        columns._count(moment_ns, bid_count + ask_count)
        if not columns.is_counted_only:
            columns._put_levels(BID, bids, bid_count)
            columns._put_levels(ASK, asks, ask_count)
            columns._put(
                self.ordinal, received_ns, venue_ns, matched_ns,
                SNAPSHOT if is_snapshot else DELTA, lane.depth, update_id, 0, -1, sequence,
            )
        self.ordinal += 1
        return self._hold(columns, bid_count + ask_count)

    def append(self, BookColumns columns, row):
        """Add one `BookRow` to these columns, in its place among all rows."""
        columns.append(self.ordinal, row)
        self.ordinal += 1
        self._hold(columns, len(row[9]) + len(row[11]))

    cdef int _hold(self, BookColumns columns, int levels) except -1:
        if not columns.is_counted_only:
            self.rows_held += 1
            self.levels_held += levels
        if columns.row_count >= columns.file_rows_max:
            # By their own rows alone: whoever reads the source again cuts in the same place.
            self.on_whole(columns)
        elif columns.rows_held >= self.rows_max or columns.levels_held >= self.levels_max:
            self.on_full(columns)
        elif self.rows_held >= self.all_rows_max or self.levels_held >= self.all_levels_max:
            self.on_held()
        return 0

    cdef _Lane _lane(self, OrderBook book, int slot, int64_t moment_ns):
        cdef _Lane lane = _Lane()
        if slot < 0:
            raise ValueError("a book without a slot")
        lane.columns, lane.depth = self.columns_for(book, moment_ns)
        lane.instrument = book.instrument
        while len(self.lanes) <= slot:
            self.lanes.append(None)
        self.lanes[slot] = lane
        return lane
