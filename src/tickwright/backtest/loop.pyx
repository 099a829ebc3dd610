"""Owns the walk along a tape: at the venue when it happened, at our side when we knew of it.

Two books per instrument: the venue's, among whose levels our orders rest, and ours, which lags by
the feed's latency. Nothing of a message reaches our side before its local time: looking ahead isn't
forbidden here but impossible. It refuses to decide anything, and to make an object per level.

While nobody has an order or a trace of one in an instrument, the venue's book isn't kept: it is
ours plus what is under way, and is put together from them when somebody needs it (`attend`).

Ties: at one nanosecond the venue's market comes first, then ours, then what the host has due
(requests that arrive, answers, timers) in the order asked for.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint32_t
from libc.stdlib cimport calloc, free

from tickwright.backtest.columns cimport (
    DELTA,
    FUNDING,
    INDEX,
    MARK,
    SNAPSHOT,
    STALE,
    TRADE,
    Message,
    address,
    change_levels,
    is_about_book,
)
from tickwright.book.order_book cimport (
    REPEAT,
    SNAPSHOT as SNAPSHOT_TAKEN,
    STATE_SYNCED,
    Level,
    OrderBook,
)
from tickwright.core.moment cimport Moment
from tickwright.matching.book cimport MatchingBook
from tickwright.matching.levels cimport ExternalLevels

import numpy as np

from tickwright.core.events import BookState, BookStateChanged, Trade
from tickwright.core.orders import Side

__all__ = ["TapeLoop"]

cdef enum:
    IS_SELL = 1
    IS_BLOCK = 2
    PROGRESS_MASK = (1 << 16) - 1

cdef object _BUY = Side.BUY
cdef object _SELL = Side.SELL
cdef tuple _STATES = tuple(BookState)


cdef struct Slot:
    PyObject* book             # OrderBook: what we see
    PyObject* levels           # ExternalLevels: what rests at the venue, while it is kept
    PyObject* matching         # MatchingBook once somebody traded here, else NULL
    PyObject* lane
    PyObject* calls            # the listeners of our book
    int64_t look_ns            # from when on the engine itself must see our book
    bint hears_trades
    bint is_kept               # the venue's levels are kept for themselves
    bint is_seen               # the venue's book is known, kept or not
    bint is_followed           # since its last snapshot ours took whatever the venue's took
    bint[2] was_cut            # a side that isn't kept showed as much as it ever shows
    int64_t venue_books        # messages about the book that passed the venue, and us
    int64_t local_books
    bint has_base              # a snapshot passed the venue
    int64_t sample_at          # the mid to be noted next
    int64_t sample_due
    int64_t last_price
    int64_t venue_sequence
    int64_t venue_ns
    int64_t missed_low         # trades while the venue's book wasn't known
    int64_t missed_high
    bint is_trailed            # a stop follows every trade
    bint is_watched            # a position or a conditional order looks at the mark
    int64_t quiet_low          # twice the mids between which nobody need look
    int64_t quiet_high
    int64_t mark               # the venue's prices; 0 before the first
    int64_t index
    int64_t quiet_mark_low     # the marks between which nobody need look
    int64_t quiet_mark_high
    int64_t messages
    int64_t rows
    int64_t trades
    int64_t gaps
    int64_t stale_since
    int64_t stale_ns


@cython.final
cdef class TapeLoop:
    """Walks a tape for a host.

    `host` is told what needs Python: `on_commands(commands, now_ns)`, `on_event(event, now_ns)`
    with an input that isn't a plain book update, `on_fact(slot, kind, first, second, venue_ns,
    now_ns)` for prices and funding, and before that at the venue `on_funding(slot, rate, due_ns,
    now_ns)`, `on_matched(slot, now_ns)` after the venue's book moved orders of ours,
    `on_mark(slot, now_ns)` when a watched mid or mark moved, `on_due(now_ns)` when `due_ns` has
    come, `on_progress(messages)` now and then. `mids` (int64, slot x sample) takes twice the mid of
    each venue book every `sample_ns` from `sample_first_ns` on, without orders of ours.
    `keeps_order` says that an instrument's book messages come in one order at the venue and here.
    """

    cdef const Message* messages
    cdef const int64_t* venue_ns
    cdef const int64_t* local_ns
    cdef const Level* levels
    cdef const uint32_t* venue_order
    cdef const uint32_t* local_order
    cdef Slot* slots
    cdef int slot_count
    cdef int64_t first
    cdef int64_t count
    cdef int64_t venue_at
    cdef int64_t local_at
    cdef int64_t* mids
    cdef int64_t sample_count
    cdef int64_t sample_due
    cdef bint keeps_order
    cdef int64_t sample_ns
    cdef public int64_t due_ns
    cdef readonly int64_t now_ns
    cdef list held
    cdef object host
    cdef Moment moment
    cdef list calls
    cdef object engine
    cdef object on_book
    cdef int64_t event_count
    cdef tuple reasons

    def __cinit__(
        self, host, tape, local_ns, *, books, sides, lanes, engine, mids,
        int64_t sample_first_ns, int64_t sample_ns,
        venue_order=None, local_order=None, int64_t first=0, last=None, bint keeps_order=False,
    ):
        cdef int i
        count = len(tape.messages)
        assert len(local_ns) == count and local_ns.dtype == np.int64
        assert len(books) == len(sides) == len(lanes) == len(tape.instruments)
        # Whoever walks a buffer keeps it: the arrays live as long as the loop does.
        self.held = [
            tape, local_ns, venue_order, local_order, list(books), list(sides), list(lanes)
        ]
        self.messages = <const Message*> address(tape.messages, 40)
        self.venue_ns = <const int64_t*> address(tape.venue_ns, 8)
        self.local_ns = <const int64_t*> address(local_ns, 8)
        self.levels = <const Level*> address(tape.levels, 8)
        if venue_order is not None:
            assert len(venue_order) == (count if last is None else last) - first
            assert venue_order.dtype == np.uint32
            self.venue_order = <const uint32_t*> address(venue_order, 4)
        if local_order is not None:
            assert len(local_order) == (count if last is None else last) - first
            assert local_order.dtype == np.uint32
            self.local_order = <const uint32_t*> address(local_order, 4)
        self.count = count if last is None else last
        assert 0 <= first <= self.count <= count
        self.first = self.venue_at = self.local_at = first
        self.slot_count = len(tape.instruments)
        self.slots = <Slot*> calloc(self.slot_count, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError
        for i in range(self.slot_count):
            self.slots[i].book = <PyObject*> <OrderBook?> books[i]
            self.slots[i].levels = <PyObject*> <ExternalLevels?> sides[i]
            self.slots[i].lane = <PyObject*> lanes[i]
            self.slots[i].stale_since = -1
            self.slots[i].quiet_mark_high = INT64_MAX
        self.host = host
        self.engine = engine
        self.moment = engine.state.moment
        self.on_book = engine.on_book
        self.reasons = tape.header.reasons
        self.calls = [None] * self.slot_count
        for i in range(self.slot_count):
            lanes[i].on_change = self.on_lane
            self.on_lane(i)
        self.due_ns = INT64_MAX
        assert mids.shape[0] == self.slot_count and mids.dtype == np.int64 and sample_ns > 0
        self.held.append(mids)
        self.mids = <int64_t*> address(mids, 8)
        self.sample_count = mids.shape[1]
        self.sample_ns = sample_ns
        self.sample_due = sample_first_ns if self.sample_count else INT64_MAX
        self.keeps_order = keeps_order
        for i in range(self.slot_count):
            self.slots[i].sample_due = self.sample_due
            self.slots[i].is_kept = self.slots[i].is_seen = True

    def __dealloc__(self):
        free(self.slots)

    # what the host sets and asks ----------------------------------------------------------------

    def on_lane(self, int slot):
        """Take over who listens to a slot, and whether something is held that looks at its book."""
        lane = <object> self.slots[slot].lane
        cdef tuple calls = lane.book_calls
        self.calls[slot] = calls
        self.slots[slot].calls = <PyObject*> calls
        self.slots[slot].hears_trades = bool(lane.trade_calls or lane.watch)
        if lane.touch_calls or lane.watch or lane.works:
            self.slots[slot].look_ns = INT64_MIN
        else:
            self.slots[slot].look_ns = lane.mark_due_ns if lane.marks_from_mid else INT64_MAX

    def trade_at(self, int slot, MatchingBook matching not None):
        """Orders of ours live in this venue book from now on."""
        assert 0 <= slot < self.slot_count
        self.held.append(matching)
        self.slots[slot].matching = <PyObject*> matching

    def attend(self, int slot):
        """Keep the venue's book of a slot for itself from now on: somebody is about to act on it.

        It is given up again by itself once no order and no trace of one is left in it.
        """
        assert 0 <= slot < self.slot_count
        if not self.slots[slot].is_kept:
            self._keep(slot)

    def watch(self, int slot, bint is_watched, int64_t low_twice=1, int64_t high_twice=0):
        """Say whether `on_mark` must be told of this venue book's mid, beyond these bounds."""
        assert 0 <= slot < self.slot_count
        if is_watched:
            self.attend(slot)
        self.slots[slot].is_watched = is_watched
        self.slots[slot].quiet_low = low_twice
        self.slots[slot].quiet_high = high_twice

    def watch_mark(self, int slot, int64_t low=0, int64_t high=INT64_MAX):
        """Say beyond which marks `on_mark` must be told; of each mark and index if low > high."""
        assert 0 <= slot < self.slot_count
        self.slots[slot].quiet_mark_low = low
        self.slots[slot].quiet_mark_high = high

    def trail(self, int slot, bint is_trailed):
        """Say whether every trade here must be told by `on_matched`."""
        assert 0 <= slot < self.slot_count
        if is_trailed:
            self.attend(slot)
        self.slots[slot].is_trailed = is_trailed

    def last_price(self, int slot):
        """The last trade's price at the venue; 0 before the first."""
        return self.slots[slot].last_price

    def mark(self, int slot):
        """The venue's mark; 0 before the first."""
        return self.slots[slot].mark

    def index(self, int slot):
        """The venue's index price; 0 before the first."""
        return self.slots[slot].index

    def counts(self, int slot, int64_t end_ns):
        """Return (messages, level rows, trades, gaps, stale ns) of one of our books so far."""
        cdef Slot* one = self.slots + slot
        cdef int64_t stale = one.stale_ns
        if one.stale_since >= 0 and end_ns > one.stale_since:
            stale += end_ns - one.stale_since
        return one.messages, one.rows, one.trades, one.gaps, stale

    def mid_twice(self, int slot):
        """The venue's mid without orders of ours, twice; None when a side is empty."""
        self.attend(slot)
        cdef ExternalLevels levels = <ExternalLevels> self.slots[slot].levels
        cdef int64_t bid = _best(levels, 0), ask = _best(levels, 1)
        if bid == INT64_MAX or ask == INT64_MAX:
            return None
        return bid - ask

    # walking ------------------------------------------------------------------------------------

    def warm(self):
        """Set both sides' books as the tape before the first message leaves them."""
        cdef const Message* message
        cdef const Level* level
        cdef Slot* slot
        cdef OrderBook book
        cdef int64_t index
        for index in range(self.first):
            message = self.messages + index
            slot = self.slots + message.slot
            book = <OrderBook> slot.book
            if message.kind == TRADE:
                slot.last_price = message.first
                continue
            if message.kind > SNAPSHOT and message.kind != STALE:
                continue
            self._venue_message(index, self.venue_ns[index])
            slot.local_books += 1
            if message.kind == STALE:
                if book.state_code == STATE_SYNCED:
                    book.mark_stale(self.reasons[message.second])
                continue
            level = self.levels + message.first
            self._compare(
                message.slot, slot, book,
                book.apply(
                    message.kind == SNAPSHOT, message.second, message.second, -1,
                    message.sequence, self.venue_ns[index], self.local_ns[index], level,
                    message.bids, level + message.bids, message.asks,
                ),
            )

    def run(self):
        """Walk to the end of the tape, and on until nothing is due at the last moment."""
        cdef int64_t venue_next, local_next, index, end_ns = 0, steps = 0
        if self.count > self.local_at:
            end_ns = self._at(self.local_ns, self.local_order, self.count - 1)
        while True:
            venue_next = local_next = INT64_MAX
            if self.venue_at < self.count:
                venue_next = self._at(self.venue_ns, self.venue_order, self.venue_at)
            if self.local_at < self.count:
                local_next = self._at(self.local_ns, self.local_order, self.local_at)
            if venue_next <= local_next and venue_next <= self.due_ns:
                if venue_next == INT64_MAX:
                    break
                index = self._index(self.venue_order, self.venue_at)
                self.venue_at += 1
                if venue_next > self.sample_due:
                    self._sample(venue_next)
                if venue_next > self.now_ns:
                    self.now_ns = venue_next
                self._venue_message(index, venue_next)
            elif local_next <= self.due_ns:
                index = self._index(self.local_order, self.local_at)
                self.local_at += 1
                if local_next > self.now_ns:
                    self.now_ns = local_next
                self._local_message(index, local_next)
                steps += 1
                if (steps & PROGRESS_MASK) == 0:
                    self.host.on_progress(steps)
            else:
                if self.due_ns > end_ns:
                    break
                if self.due_ns > self.now_ns:
                    self.now_ns = self.due_ns
                self._catch_up()
                self.host.on_due(self.due_ns)
        self._catch_up()
        self._sample_rest()
        return end_ns

    cdef inline int64_t _index(self, const uint32_t* order, int64_t place) noexcept:
        """Return which message stands at a place; an order counts from the first place walked."""
        return place if order == NULL else self.first + <int64_t> order[place - self.first]

    cdef inline int64_t _at(
        self, const int64_t* times, const uint32_t* order, int64_t place
    ) noexcept:
        return times[self._index(order, place)]

    cdef void _sample(self, int64_t now_ns) noexcept:
        """Note what the mids were until now, at every moment that has passed."""
        cdef int slot
        for slot in range(self.slot_count):
            if self.slots[slot].is_kept:
                self._sample_venue(slot, now_ns)
        while self.sample_due < now_ns:
            self.sample_due += self.sample_ns

    cdef void _sample_venue(self, int slot, int64_t now_ns) noexcept:
        cdef Slot* one = self.slots + slot
        cdef ExternalLevels levels = <ExternalLevels> one.levels
        self._note_mids(slot, now_ns, _best(levels, 0), _best(levels, 1))

    cdef void _sample_local(self, int slot, int64_t now_ns) noexcept:
        """The same for a venue's book that isn't kept: ours is what that one was."""
        cdef OrderBook book = <OrderBook> self.slots[slot].book
        cdef int64_t bid = INT64_MAX, ask = INT64_MAX
        if book.state_code == STATE_SYNCED:
            if book.counts[0]:
                bid = book.keys[0][book.counts[0] - 1]
            if book.counts[1]:
                ask = book.keys[1][book.counts[1] - 1]
        self._note_mids(slot, now_ns, bid, ask)

    cdef void _note_mids(self, int slot, int64_t now_ns, int64_t bid, int64_t ask) noexcept:
        cdef Slot* one = self.slots + slot
        cdef int64_t* column = self.mids + slot * self.sample_count
        while one.sample_due < now_ns and one.sample_at < self.sample_count:
            if bid != INT64_MAX and ask != INT64_MAX:
                column[one.sample_at] = bid - ask
            one.sample_at += 1
            one.sample_due += self.sample_ns
        if one.sample_at == self.sample_count:
            one.sample_due = INT64_MAX

    cdef void _sample_rest(self) noexcept:
        """At the end: what our side would have noted with one more message."""
        cdef int slot
        for slot in range(self.slot_count):
            if not self.slots[slot].is_kept:
                self._sample_local(slot, self.sample_due)

    # at the venue -------------------------------------------------------------------------------

    cdef int _venue_message(self, int64_t index, int64_t now_ns) except -1:
        cdef const Message* message = self.messages + index
        cdef Slot* slot = self.slots + message.slot
        if is_about_book(message):
            if message.kind != DELTA:
                slot.is_seen = message.kind == SNAPSHOT
                slot.has_base |= slot.is_seen
            slot.venue_books += 1
            if slot.is_seen:
                slot.venue_sequence = message.sequence
                slot.venue_ns = now_ns
            if slot.is_kept:
                self._change_levels(message, slot)
                if slot.matching != NULL and slot.is_seen:
                    self._venue_book(message.slot, slot, now_ns)
        elif message.kind == TRADE:
            if message.flags & IS_BLOCK:
                # Agreed outside the book: it took nothing of it.
                return 0
            slot.last_price = message.first
            if slot.matching != NULL:
                if slot.is_kept:
                    self._venue_trade(message, slot, now_ns)
                elif slot.is_seen:
                    (<MatchingBook> slot.matching).last_price_units = message.first
        elif message.kind == MARK:
            slot.mark = message.first
            if not slot.quiet_mark_low <= message.first <= slot.quiet_mark_high:
                self.host.on_mark(message.slot, now_ns)
        elif message.kind == INDEX:
            slot.index = message.first
            if slot.quiet_mark_low > slot.quiet_mark_high:
                self.host.on_mark(message.slot, now_ns)
        elif message.kind == FUNDING:
            self.host.on_funding(message.slot, message.first, message.second, now_ns)
        return 0

    cdef int _change_levels(self, const Message* message, Slot* slot) except -1:
        """Set the venue's levels as a message about the book says."""
        return change_levels(
            <ExternalLevels> slot.levels, message, self.levels + message.first
        )

    cdef int _keep(self, int number) except -1:
        """Put the venue's book together: ours and what is under way.

        Ours may have lost its way. Then: all that came since the last snapshot that we know of.
        """
        cdef Slot* slot = self.slots + number
        cdef OrderBook book = <OrderBook> slot.book
        cdef ExternalLevels levels = <ExternalLevels> slot.levels
        cdef int64_t place = self.venue_at, index, under_way = slot.venue_books - slot.local_books
        cdef bint is_base = False
        cdef int side
        slot.is_kept = True
        levels.forget()
        if slot.is_followed and book.state_code == STATE_SYNCED and under_way >= 0:
            levels.is_seen = True
            for side in range(2):
                levels.load(side, book.keys[side], book.sizes[side], book.counts[side])
                levels.is_cut[side] |= slot.was_cut[side]
            is_base = True
        while under_way > 0 or not is_base:
            place -= 1
            index = self._message_at(place)
            if self._is_about(index, number):
                under_way -= 1
                is_base |= under_way < 0 and self.messages[index].kind != DELTA
        while place < self.venue_at:
            index = self._message_at(place)
            if self._is_about(index, number):
                self._sample_venue(number, self.venue_ns[index])
                self._change_levels(self.messages + index, slot)
            place += 1
        self._sample_venue(number, self.sample_due)
        return 0

    cdef inline int64_t _message_at(self, int64_t place) noexcept:
        """Return which message stood at a place of the venue's way; warming up had no order."""
        return place if place < self.first else self._index(self.venue_order, place)

    cdef inline bint _is_about(self, int64_t index, int slot) noexcept:
        """Whether a message is about a slot's book."""
        cdef const Message* message = self.messages + index
        return message.slot == slot and is_about_book(message)

    cdef int _give_up(self, Slot* slot) except -1:
        """Keep the venue's book no longer, if nobody has changed it and nobody watches it."""
        cdef ExternalLevels levels = <ExternalLevels> slot.levels
        cdef int side
        if (
            not levels.is_untouched() or not slot.is_seen or not slot.has_base
            or slot.is_watched or slot.is_trailed
            or slot.matching != NULL and (<MatchingBook> slot.matching).live
        ):
            return 0
        slot.is_kept = False
        for side in range(2):
            slot.was_cut[side] = levels.is_cut[side]
        return 0

    cdef int _venue_book(self, int number, Slot* slot, int64_t now_ns) except -1:
        cdef MatchingBook matching = <MatchingBook> slot.matching
        cdef int64_t low, high
        if slot.missed_low:
            # What was traded while nothing could be seen filled nobody, and triggers all the same.
            low, high = slot.missed_low, slot.missed_high
            slot.missed_low = slot.missed_high = 0
            matching.on_trade(1, low, 0, now_ns)
            matching.on_trade(1, high, 0, now_ns)
            matching.on_trade(1, slot.last_price, 0, now_ns)
        if matching.bids.count or matching.asks.count:
            matching.on_book_change(now_ns)
        if matching.events:
            self.host.on_matched(number, now_ns)
        elif slot.is_watched and not _is_quiet(slot):
            self.host.on_mark(number, now_ns)
        return 0

    cdef int _venue_trade(self, const Message* message, Slot* slot, int64_t now_ns) except -1:
        cdef MatchingBook matching = <MatchingBook> slot.matching
        cdef bint is_late
        if not (<ExternalLevels> slot.levels).is_seen:
            if not slot.missed_low or message.first < slot.missed_low:
                slot.missed_low = message.first
            if message.first > slot.missed_high:
                slot.missed_high = message.first
            return 0
        # One that the book has shown already takes nothing: its effect is in the levels.
        if message.sequence:
            is_late = message.sequence <= slot.venue_sequence
        else:
            is_late = now_ns < slot.venue_ns
        matching.on_trade(
            -1 if message.flags & IS_SELL else 1, message.first,
            0 if is_late else message.second, now_ns,
        )
        if matching.events or slot.is_trailed:
            self.host.on_matched(message.slot, now_ns)
        return 0

    # at our side --------------------------------------------------------------------------------

    cdef int _local_message(self, int64_t index, int64_t now_ns) except -1:
        cdef const Message* message = self.messages + index
        cdef Slot* slot = self.slots + message.slot
        cdef OrderBook book
        cdef const Level* level
        cdef int before, verdict
        slot.messages += 1
        if is_about_book(message):
            if not slot.is_kept and self.venue_ns[index] > slot.sample_due:
                self._sample_local(message.slot, self.venue_ns[index])
            slot.local_books += 1
        if message.kind <= SNAPSHOT:
            book = <OrderBook> slot.book
            before = book.state_code
            level = self.levels + message.first
            slot.rows += message.bids + message.asks
            verdict = book.apply(
                message.kind == SNAPSHOT, message.second, message.second, -1, message.sequence,
                self.venue_ns[index], now_ns, level, message.bids, level + message.bids,
                message.asks,
            )
            self._compare(message.slot, slot, book, verdict)
            if book.state_code != before:
                self._state_changed(slot, book, before, now_ns)
            self._local_book(message.slot, slot, book, now_ns)
        elif message.kind == TRADE:
            slot.trades += 1
            self._local_trade(index, message, slot, now_ns)
        elif message.kind == STALE:
            book = <OrderBook> slot.book
            before = book.state_code
            if before == STATE_SYNCED:
                book.mark_stale(self.reasons[message.second])
                self._state_changed(slot, book, before, now_ns)
        else:
            self._catch_up()
            self.host.on_fact(
                message.slot, message.kind, message.first, message.second, self.venue_ns[index],
                now_ns,
            )
        return 0

    cdef int _compare(self, int number, Slot* slot, OrderBook book, int verdict) except -1:
        """Say after a message whether our book still stands for the venue's."""
        cdef int depth = (<ExternalLevels> slot.levels).depth, side
        cdef bint is_same = (
            verdict <= REPEAT and book.horizon[0] == INT64_MIN and book.horizon[1] == INT64_MIN
        )
        if not self.keeps_order:
            return 0
        if verdict == SNAPSHOT_TAKEN:
            slot.is_followed = is_same
            slot.was_cut[0] = slot.was_cut[1] = False
        elif not is_same:
            slot.is_followed = False
        if depth:
            for side in range(2):
                slot.was_cut[side] |= book.counts[side] >= depth
        if slot.is_kept:
            if slot.is_followed:
                self._give_up(slot)
        elif not slot.is_followed:
            self._keep(number)
        return 0

    cdef int _local_book(
        self, int number, Slot* slot, OrderBook book, int64_t now_ns
    ) except -1:
        """Do what `Engine.on_book` does; most books are nobody's, and most answers are nothing."""
        cdef tuple calls, call
        cdef bint is_answered = False
        if now_ns >= slot.look_ns:
            # Something is held here that looks at this very book.
            self._catch_up()
            commands = self.on_book(number, now_ns)
            if INT64_MIN < slot.look_ns < INT64_MAX:
                # A mark was taken from the mid; all else the lane has told by itself.
                slot.look_ns = (<object> slot.lane).mark_due_ns
        else:
            calls = <tuple> slot.calls
            self.event_count += 1
            if not calls:
                return 0
            self._tell_moment(now_ns)
            for call in calls:
                try:
                    decision = call[1](book)
                except Exception as error:
                    # Only handed on, to the engine's one guard.
                    is_answered = True
                    self.engine.take_answer(call[0], _Raises(error))
                    continue
                if decision is not None:
                    is_answered = True
                    self.engine.take_answer(call[0], _Says(decision))
            if not is_answered:
                return 0
            commands = self.engine.end_book()
        if commands:
            self.host.on_commands(commands, now_ns)
        return 0

    cdef int _tell_moment(self, int64_t now_ns) except -1:
        """Move the engine's number and time to this input."""
        self.moment.event_id += self.event_count
        self.event_count = 0
        if now_ns > self.moment.now_ns:
            self.moment.now_ns = now_ns
        return 0

    cdef int _catch_up(self) except -1:
        """Count inputs that nobody heard of, before the engine counts the next one itself."""
        self.moment.event_id += self.event_count
        self.event_count = 0
        return 0

    cdef int _local_trade(
        self, int64_t index, const Message* message, Slot* slot, int64_t now_ns
    ) except -1:
        if not slot.hears_trades:
            # Nobody listens: the input counts, and no record of it is made.
            self.event_count += 1
            return 0
        self._catch_up()
        lane = <object> slot.lane
        trade = Trade(
            lane.instrument_id, _SELL if message.flags & IS_SELL else _BUY, message.first,
            message.second, str(index), self.venue_ns[index], now_ns, message.sequence,
            bool(message.flags & IS_BLOCK),
        )
        self.host.on_event(trade, now_ns)
        return 0

    cdef int _state_changed(
        self, Slot* slot, OrderBook book, int before, int64_t now_ns
    ) except -1:
        if before == STATE_SYNCED:
            slot.gaps += 1
            slot.stale_since = now_ns
        elif book.state_code == STATE_SYNCED and slot.stale_since >= 0:
            slot.stale_ns += now_ns - slot.stale_since
            slot.stale_since = -1
        self._catch_up()
        event = BookStateChanged(
            book.instrument_id, _STATES[book.state_code], _STATES[before], book.stale_reason
        )
        self.host.on_event(event, now_ns)
        return 0


@cython.final
cdef class _Says:
    """A listener that was asked already, and answered."""

    cdef object decision

    def __init__(self, decision):
        self.decision = decision

    def __call__(self, _):
        return self.decision


@cython.final
cdef class _Raises:
    """A listener that was asked already, and raised."""

    cdef object error

    def __init__(self, error):
        self.error = error

    def __call__(self, _):
        raise self.error


cdef bint _is_quiet(Slot* slot) noexcept:
    cdef ExternalLevels levels = <ExternalLevels> slot.levels
    cdef int64_t bid = _best(levels, 0), ask = _best(levels, 1)
    if bid == INT64_MAX or ask == INT64_MAX:
        return True
    return slot.quiet_low <= bid - ask <= slot.quiet_high


cdef int64_t _best(ExternalLevels levels, int place) noexcept:
    """Return a side's best external price as a key; INT64_MAX for none."""
    cdef int i
    for i in range(levels.counts[place] - 1, -1, -1):
        if levels.cells[place][i].external:
            return levels.cells[place][i].key
    return INT64_MAX
