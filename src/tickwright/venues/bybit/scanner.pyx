"""Owns the fast way from Bybit's public bytes to books and trades.

Refuses every frame it isn't sure of.

It accepts exactly the canonical text that Bybit sends (Bybit V5 documentation, Orderbook and Trade
pages; key order by category) and hands everything else, as bytes, to the typed decoder by
`on_other`: an odd frame is slower, never wrong. What both accept is equal, and the scanner accepts
nothing that the decoder refuses: the differential fuzzing in the tests holds it to that.

A frame is read whole into scratch levels before a book is touched. Numbers are bounded while they
are read: 18 digits after scaling, so that no int64 can overflow; longer ones go the slow way.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp

from tickwright.book.messages cimport MessageSink
from tickwright.book.order_book cimport (
    REPEAT, STATE_SYNCED, LatencyHistogram, Level, OrderBook,
)
from tickwright.net.listener cimport FrameSink, utc_ns
from tickwright.net.tap cimport InputTap

from tickwright.core.events import Trade
from tickwright.core.orders import Side

__all__ = ["PublicScanner", "Topic"]

cdef enum:
    BOOK = 0
    COMPANION = 1
    TRADES = 2
    LEVELS_MAX = 10_000    # this and the next are the decoder's bounds, too
    TRADES_MAX = 1_024
    TOPIC_LENGTH_MAX = 64
    DIGITS_MAX = 18
    MS = 1_000_000
    TIME_MS_MAX = 9_000_000_000_000
    KIND_FRAME = 1         # the tap's record kind for a raw frame; named in storage/session_log.py
    FLAG_LAST = 1

cdef object _BUY = Side.BUY
cdef object _SELL = Side.SELL

cdef int64_t[19] POWERS
cdef int _power
POWERS[0] = 1
for _power in range(1, 19):
    POWERS[_power] = POWERS[_power - 1] * 10


# --- the grammar: every reader returns the place after what it read, or NULL ----------------------

cdef inline const uint8_t* _text(
    const uint8_t* at, const uint8_t* end, const char* wanted, int size
) noexcept:
    if at == NULL or end - at < size or memcmp(at, wanted, size) != 0:
        return NULL
    return at + size


cdef inline const uint8_t* _whole(const uint8_t* at, const uint8_t* end, int64_t* value) noexcept:
    """Read a JSON integer of 1 to 18 digits without sign or leading zero."""
    cdef const uint8_t* start = at
    cdef int64_t number = 0
    cdef uint32_t digit
    if at == NULL:
        return NULL
    while at < end:
        digit = <uint32_t> at[0] - 48
        if digit > 9:
            break
        if at - start >= DIGITS_MAX:
            return NULL
        number = number * 10 + digit
        at += 1
    if at == start or (start[0] == 48 and at - start > 1):
        return NULL
    value[0] = number
    return at


cdef inline const uint8_t* _units(
    const uint8_t* at, const uint8_t* end, int decimals, int64_t* value
) noexcept:
    """Read quoted decimal text into units; the closing quote is read too."""
    cdef const uint8_t* start
    cdef int64_t number = 0
    cdef uint32_t digit
    cdef int whole_digits, used = 0
    if at == NULL or at >= end or at[0] != 34:
        return NULL
    at += 1
    start = at
    while at < end:
        digit = <uint32_t> at[0] - 48
        if digit > 9:
            break
        if at - start >= DIGITS_MAX:
            return NULL
        number = number * 10 + digit
        at += 1
    whole_digits = <int> (at - start)
    if whole_digits == 0 or (start[0] == 48 and whole_digits > 1):
        return NULL
    if whole_digits + decimals > DIGITS_MAX:
        return NULL
    if at < end and at[0] == 46:
        at += 1
        start = at
        while at < end:
            digit = <uint32_t> at[0] - 48
            if digit > 9:
                break
            if used < decimals:
                number = number * 10 + digit
                used += 1
            elif digit != 0:
                return NULL
            at += 1
        if at == start or at - start > 40:
            return NULL
    if at >= end or at[0] != 34:
        return NULL
    value[0] = number * POWERS[decimals - used]
    return at + 1


cdef inline const uint8_t* _name(
    const uint8_t* at, const uint8_t* end, const uint8_t** start, Py_ssize_t* size
) noexcept:
    """Read the rest of a quoted word of letters, digits, '-', '_' and '.', with its quote."""
    cdef const uint8_t* begin = at
    cdef uint8_t c
    if at == NULL:
        return NULL
    while at < end:
        c = at[0]
        if not (
            (c >= 48 and c <= 57) or (c >= 65 and c <= 90) or (c >= 97 and c <= 122)
            or c == 45 or c == 95 or c == 46
        ):
            break
        at += 1
    if at == begin or at >= end or at[0] != 34 or at - begin > TOPIC_LENGTH_MAX:
        return NULL
    start[0] = begin
    size[0] = at - begin
    return at + 1


cdef inline const uint8_t* _boolean(const uint8_t* at, const uint8_t* end, bint* value) noexcept:
    cdef const uint8_t* after = _text(at, end, b"false", 5)
    if after != NULL:
        value[0] = False
        return after
    value[0] = True
    return _text(at, end, b"true", 4)


cdef uint32_t _hash(const uint8_t* name, Py_ssize_t size) noexcept:
    cdef uint32_t value = 2166136261
    cdef Py_ssize_t i
    for i in range(size):
        value = (value ^ name[i]) * 16777619
    return value


cdef class Topic:
    """One subscribed topic: its name, what its frames change, and when the last one came."""

    def __init__(self, bytes name, *, instrument, OrderBook book=None, int role, int slot):
        self.name = name
        self.role = role
        self.book = book
        self.slot = slot
        self.hash = _hash(<const uint8_t*> <const char*> name, len(name))
        self.change_instrument(instrument)

    def change_instrument(self, instrument):
        """Take a new version of the instrument: its decimals decide how numbers are read."""
        self.instrument = instrument
        self.instrument_id = instrument.id
        self.symbol = instrument.id.symbol.encode("ascii")
        self.price_decimals = instrument.price_decimals
        self.size_decimals = instrument.size_decimals


cdef class PublicScanner(FrameSink):
    """Turns the frames of one public connection into book updates and trades.

    Args:
        on_book: called as `on_book(slot, received_ns)` after a book changed; what it returns goes
            to `on_commands` when it is not empty.
        on_state: called as `on_state(slot, previous_state)` when a frame changed what a book is
            worth.
        on_trades: called with a list of `core.events.Trade`, in order, never conflated; None skips
            them.
        on_other: called as `on_other(frame, received_ns)` with every frame that isn't canonical.
        on_commands: see `on_book`.
        messages: is told every message of a book topic that its book took.
        tap: gets a copy of every frame before it is read.
        conflate_after: how many frames of one socket read are delivered one by one; the books of
            the later ones are delivered once, in their newest state, at the end of the read. 0:
            always one by one.
    """

    def __init__(
        self, *, on_book, on_other, on_state=None, on_trades=None, on_commands=None,
        InputTap tap=None, MessageSink messages=None,
        int conflate_after=0, int source=0,
    ):
        self.on_book = on_book
        self.on_state = on_state
        self.on_trades = on_trades
        self.on_other = on_other
        self.on_commands = on_commands
        self.tap = tap
        self.messages = messages
        self.conflate_after = conflate_after
        self.source = source
        self.callback_time = LatencyHistogram()
        self.by_name = {}
        self.dirty = []
        self.now_object = 0
        self.rebuild()
        self.make_room(256)

    def __dealloc__(self):
        free(self.bids)
        free(self.asks)

    # --- topics -----------------------------------------------------------------------------------

    def add_book(self, str topic, OrderBook book, int slot):
        """Let the frames of an order book topic change this book."""
        self._add_book(topic, book, slot, BOOK)

    def add_companion(self, str topic, OrderBook book, int slot):
        """Let the frames of a level-1 topic prove this book where the tops agree."""
        self._add_book(topic, book, slot, COMPANION)

    def _add_book(self, str topic, OrderBook book, int slot, int role):
        name = topic.encode("ascii")
        self._add(Topic(name, instrument=book.instrument, book=book, role=role, slot=slot))

    def add_trades(self, str topic, instrument, int slot):
        """Read the trades of an instrument."""
        self._add(Topic(topic.encode("ascii"), instrument=instrument, role=TRADES, slot=slot))

    def remove(self, str topic):
        """Take no more frames of this topic; they count as unlisted."""
        self.by_name.pop(topic.encode("ascii"), None)
        self.rebuild()

    def topic(self, str name):
        """Return the listed topic of this name, or None."""
        return self.by_name.get(name.encode("ascii"))

    def _add(self, Topic topic):
        if len(topic.name) > TOPIC_LENGTH_MAX:
            raise ValueError(f"topic {topic.name!r} is longer than {TOPIC_LENGTH_MAX} characters")
        self.by_name[topic.name] = topic
        self.rebuild()

    cdef void rebuild(self):
        """Lay the topics out in an open-addressed table at most a quarter full."""
        cdef int size = 16, place
        cdef Topic topic
        while size < 4 * len(self.by_name):
            size *= 2
        self.topics = [None] * size
        self.mask = size - 1
        for topic in self.by_name.values():
            place = topic.hash & self.mask
            while self.topics[place] is not None:
                place = (place + 1) & self.mask
            self.topics[place] = topic

    cdef Topic lookup(self, const uint8_t* name, Py_ssize_t size, uint32_t hash):
        cdef int place = hash & self.mask
        cdef object item
        cdef Topic topic
        while True:
            item = self.topics[place]
            if item is None:
                return None
            topic = <Topic> item
            if (
                topic.hash == hash
                and len(topic.name) == size
                and memcmp(<const char*> topic.name, name, size) == 0
            ):
                return topic
            place = (place + 1) & self.mask

    cdef int make_room(self, int wanted) except -1:
        cdef void* grown
        cdef int room = max(wanted, 2 * self.room)
        grown = realloc(self.bids, room * sizeof(Level))
        if grown == NULL:
            raise MemoryError
        self.bids = <Level*> grown
        grown = realloc(self.asks, room * sizeof(Level))
        if grown == NULL:
            raise MemoryError
        self.asks = <Level*> grown
        self.room = room
        return 0

    # --- frames -----------------------------------------------------------------------------------

    cdef int on_frame(
        self, const uint8_t* data, Py_ssize_t size, int64_t received_ns, bint last
    ) except -1:
        if received_ns != self.now_ns:
            self.now_ns = received_ns
            self.now_object = received_ns
        self.last_frame_ns = received_ns
        # An empty frame says nothing: it only ends a read (see `on_read_end`).
        if size:
            self.turn_frames += 1
        if self.tap is not None:
            self.tap.add(
                KIND_FRAME, FLAG_LAST if last else 0, self.source, 0, received_ns, data, size
            )
        if size and not self.scan(data, size):
            self.other_count += 1
            self.on_other((<const char*> data)[:size], received_ns)
        if last:
            if self.dirty:
                self.flush()
            self.turn_frames = 0
        return 0

    cdef int on_read_end(self, int64_t received_ns) except -1:
        # Recorded as an empty frame, so that a replay conflates the same books.
        return self.on_frame(NULL, 0, received_ns, True)

    cdef int scan(self, const uint8_t* data, Py_ssize_t size) except -1:
        """Read a frame if it is canonical; returns whether it was."""
        cdef const uint8_t* end = data + size
        cdef const uint8_t* at = _text(data, end, b'{"topic":"', 10)
        cdef const uint8_t* start = at
        cdef uint32_t hash = 2166136261
        cdef Topic topic
        if at == NULL:
            return 0
        while at < end and at[0] != 34:
            if at - start > TOPIC_LENGTH_MAX:
                return 0
            hash = (hash ^ at[0]) * 16777619
            at += 1
        if at >= end:
            return 0
        topic = self.lookup(start, at - start, hash)
        if topic is None:
            return 0
        if topic.role == TRADES:
            return self.scan_trades(topic, at + 1, end)
        return self.scan_book(topic, at + 1, end)

    cdef int scan_book(self, Topic topic, const uint8_t* at, const uint8_t* end) except -1:
        cdef const uint8_t* next_
        cdef int64_t ts = 0, cts = 0, update_id = 0, sequence = 0
        cdef bint is_snapshot, has_time
        cdef int bid_count = 0, ask_count = 0
        cdef Py_ssize_t size
        # Spot and level 1 put the time before the type, the other futures depths after it.
        next_ = _text(at, end, b',"ts":', 6)
        has_time = next_ != NULL
        if has_time:
            at = _text(_whole(next_, end, &ts), end, b',"type":"', 9)
        else:
            at = _text(at, end, b',"type":"', 9)
        if at == NULL:
            return 0
        next_ = _text(at, end, b'delta"', 6)
        is_snapshot = next_ == NULL
        at = _text(at, end, b'snapshot"', 9) if is_snapshot else next_
        if not has_time:
            at = _whole(_text(at, end, b',"ts":', 6), end, &ts)
        at = _text(at, end, b',"data":{"s":"', 14)
        if at == NULL:
            return 0
        size = len(topic.symbol)
        if end - at < size or memcmp(at, <const char*> topic.symbol, size) != 0:
            return 0
        at = _text(at + size, end, b'","b":', 6)
        if at == NULL:
            return 0
        at = self.levels(at, end, topic, True, &bid_count)
        at = _text(at, end, b',"a":', 5)
        if at == NULL:
            return 0
        at = self.levels(at, end, topic, False, &ask_count)
        at = _whole(_text(at, end, b',"u":', 5), end, &update_id)
        at = _whole(_text(at, end, b',"seq":', 7), end, &sequence)
        at = _whole(_text(at, end, b'},"cts":', 8), end, &cts)
        at = _text(at, end, b'}', 1)
        # Times in ms become ns: 13 digits are the next 270 years, more would overflow.
        if at != end or at == NULL or update_id == 0:
            return 0
        if ts == 0 or ts > <int64_t> TIME_MS_MAX or cts > <int64_t> TIME_MS_MAX:
            return 0
        topic.frame_count += 1
        topic.last_frame_ns = self.now_ns
        if topic.role == COMPANION:
            self.companion(topic, self.bids, bid_count, self.asks, ask_count)
        else:
            self.take(
                topic, is_snapshot, update_id, sequence, ts * MS, cts * MS,
                self.bids, bid_count, self.asks, ask_count,
            )
        return 1

    cdef const uint8_t* levels(
        self, const uint8_t* at, const uint8_t* end, Topic topic, bint is_bid, int* count
    ) except? NULL:
        """Read `[["price","size"],...]` into the scratch levels of a side."""
        cdef int n = 0
        cdef Level* level
        at = _text(at, end, b'[', 1)
        if at == NULL:
            return NULL
        if at < end and at[0] == 93:
            count[0] = 0
            return at + 1
        while True:
            if n >= LEVELS_MAX:
                return NULL
            if n >= self.room:
                self.make_room(n + 1)
            level = (self.bids if is_bid else self.asks) + n
            at = _units(_text(at, end, b'[', 1), end, topic.price_decimals, &level.price)
            at = _units(_text(at, end, b',', 1), end, topic.size_decimals, &level.size)
            at = _text(at, end, b']', 1)
            if at == NULL or at >= end or level.price == 0:
                return NULL
            n += 1
            if at[0] == 44:
                at += 1
            elif at[0] == 93:
                count[0] = n
                return at + 1
            else:
                return NULL

    cdef int take(
        self, Topic topic, bint is_snapshot, int64_t update_id, int64_t sequence, int64_t venue_ns,
        int64_t matched_ns, const Level* bids, int bid_count, const Level* asks, int ask_count,
    ) except -1:
        cdef OrderBook book = topic.book
        cdef int previous = book.state_code
        cdef int64_t taken = book.update_count + book.snapshot_count
        cdef int verdict = book.apply(
            is_snapshot, 0, update_id, -1, sequence, venue_ns, self.now_ns,
            bids, bid_count, asks, ask_count,
        )
        self.book_frame_count += 1
        if book.state_code != previous:
            self.state_changed(topic, previous)
        if self.messages is not None and book.update_count + book.snapshot_count != taken:
            self.messages.on_message(
                book, is_snapshot, update_id, sequence, venue_ns, matched_ns, self.now_ns,
                bids, bid_count, asks, ask_count,
            )
        if verdict <= REPEAT:
            if self.conflate_after and self.turn_frames > self.conflate_after:
                if topic.is_dirty:
                    self.conflated_count += 1
                else:
                    topic.is_dirty = True
                    self.dirty.append(topic)
            else:
                self.deliver(topic)
        return verdict

    cdef int state_changed(self, Topic topic, int previous) except -1:
        if self.on_state is not None:
            self.on_state(topic.slot, previous)
        return 0

    cdef int companion(
        self, Topic topic, const Level* bids, int bid_count, const Level* asks, int ask_count
    ) except -1:
        """Compare a level-1 frame with the top of the deeper book: agreement is a proof of life."""
        cdef OrderBook book = topic.book
        if bid_count <= 1 and ask_count <= 1 and book.top_is(
            bids[0].price if bid_count else 0, bids[0].size if bid_count else 0,
            asks[0].price if ask_count else 0, asks[0].size if ask_count else 0,
        ):
            topic.disagreed_ns = 0
            if book.state_code == STATE_SYNCED:
                book.proof_ns = self.now_ns
        elif topic.disagreed_ns <= book.received_ns:
            # An older disagreement is over when the book's own feed has moved since.
            topic.disagreed_ns = self.now_ns
        return 0

    cdef int deliver(self, Topic topic) except -1:
        if self.measures_callbacks:
            self.callback_time.add(utc_ns() - self.now_ns)
        commands = self.on_book(topic.slot, self.now_object)
        if commands:
            self.on_commands(commands)
        return 0

    cdef int flush(self) except -1:
        cdef list dirty = self.dirty
        cdef Topic topic
        self.dirty = []
        for topic in dirty:
            topic.is_dirty = False
            self.deliver(topic)
        return 0

    cdef int scan_trades(self, Topic topic, const uint8_t* at, const uint8_t* end) except -1:
        cdef const uint8_t* next_
        cdef const uint8_t* word
        cdef Py_ssize_t size
        cdef int64_t ts = 0, time_ms = 0, price = 0, units = 0, sequence = 0
        cdef bint is_block = False, is_rpi = False, is_buy, is_contract
        cdef list trades
        next_ = _text(at, end, b',"ts":', 6)
        if next_ != NULL:
            at = _text(_whole(next_, end, &ts), end, b',"type":"snapshot","data":[', 27)
        else:
            at = _text(at, end, b',"type":"snapshot","ts":', 24)
            at = _text(_whole(at, end, &ts), end, b',"data":[', 9)
        if at == NULL:
            return 0
        trades = []
        while True:
            sequence = 0
            next_ = _text(at, end, b'{"T":', 5)
            is_contract = next_ != NULL
            if is_contract:
                at = _whole(next_, end, &time_ms)
                at = _name(_text(at, end, b',"s":"', 6), end, &word, &size)
                if at == NULL or not _is_symbol(topic, word, size):
                    return 0
                at = _side(_text(at, end, b',"S":"', 6), end, &is_buy)
                at = _units(_text(at, end, b',"v":', 5), end, topic.size_decimals, &units)
                at = _units(_text(at, end, b',"p":', 5), end, topic.price_decimals, &price)
                at = _name(_text(at, end, b',"L":"', 6), end, &word, &size)
                at = _name(_text(at, end, b',"i":"', 6), end, &word, &size)
                at = _boolean(_text(at, end, b',"BT":', 6), end, &is_block)
                at = _boolean(_text(at, end, b',"RPI":', 7), end, &is_rpi)
                at = _whole(_text(at, end, b',"seq":', 7), end, &sequence)
                if at == NULL:
                    return 0
                trade_id = (<const char*> word)[:size].decode("ascii")
            else:
                at = _name(_text(at, end, b'{"i":"', 6), end, &word, &size)
                if at == NULL:
                    return 0
                trade_id = (<const char*> word)[:size].decode("ascii")
                at = _whole(_text(at, end, b',"T":', 5), end, &time_ms)
                at = _units(_text(at, end, b',"p":', 5), end, topic.price_decimals, &price)
                at = _units(_text(at, end, b',"v":', 5), end, topic.size_decimals, &units)
                at = _side(_text(at, end, b',"S":"', 6), end, &is_buy)
                at = _whole(_text(at, end, b',"seq":', 7), end, &sequence)
                at = _name(_text(at, end, b',"s":"', 6), end, &word, &size)
                if at == NULL or not _is_symbol(topic, word, size):
                    return 0
                at = _boolean(_text(at, end, b',"BT":', 6), end, &is_block)
                at = _boolean(_text(at, end, b',"RPI":', 7), end, &is_rpi)
            at = _text(at, end, b'}', 1)
            if at == NULL or at >= end or price == 0 or units == 0:
                return 0
            if time_ms == 0 or time_ms > <int64_t> TIME_MS_MAX or len(trades) >= TRADES_MAX:
                return 0
            trades.append(
                Trade(
                    topic.instrument_id, _BUY if is_buy else _SELL, price, units, trade_id,
                    time_ms * MS, self.now_object, sequence, is_block,
                )
            )
            if at[0] == 44:
                at += 1
                continue
            break
        at = _text(at, end, b']}', 2)
        if at != end or at == NULL or ts == 0 or ts > <int64_t> TIME_MS_MAX:
            return 0
        topic.frame_count += 1
        topic.last_frame_ns = self.now_ns
        self.trade_frame_count += 1
        self.trade_count += len(trades)
        if self.on_trades is not None:
            commands = self.on_trades(trades)
            if commands:
                self.on_commands(commands)
        return 1

    # --- the slow way in --------------------------------------------------------------------------

    def take_decoded(
        self, str topic_name, *, bint is_snapshot, int64_t update_id, int64_t sequence,
        int64_t venue_ns, list bids, list asks, int64_t matched_ns=0,
    ):
        """Take a book frame that the typed decoder read.

        Returns its verdict as an int, or None if unlisted.

        The time of receipt is the current frame's.
        """
        cdef Topic topic = self.by_name.get(topic_name.encode("ascii"))
        cdef int bid_count = len(bids), ask_count = len(asks), i
        if topic is None or topic.role == TRADES:
            self.unlisted_count += 1
            return None
        if max(bid_count, ask_count) > self.room:
            self.make_room(max(bid_count, ask_count))
        for i in range(bid_count):
            self.bids[i].price, self.bids[i].size = bids[i]
        for i in range(ask_count):
            self.asks[i].price, self.asks[i].size = asks[i]
        topic.frame_count += 1
        topic.last_frame_ns = self.now_ns
        if topic.role == COMPANION:
            self.companion(topic, self.bids, bid_count, self.asks, ask_count)
            return None
        return self.take(
            topic, is_snapshot, update_id, sequence, venue_ns, matched_ns,
            self.bids, bid_count, self.asks, ask_count,
        )

    def take_trades(self, str topic_name, list trades):
        """Take trades that the typed decoder read."""
        cdef Topic topic = self.by_name.get(topic_name.encode("ascii"))
        if topic is None or topic.role != TRADES:
            self.unlisted_count += 1
            return
        topic.frame_count += 1
        topic.last_frame_ns = self.now_ns
        self.trade_frame_count += 1
        self.trade_count += len(trades)
        if self.on_trades is not None:
            commands = self.on_trades(trades)
            if commands:
                self.on_commands(commands)


cdef inline bint _is_symbol(Topic topic, const uint8_t* word, Py_ssize_t size) noexcept:
    return len(topic.symbol) == size and memcmp(<const char*> topic.symbol, word, size) == 0


cdef inline const uint8_t* _side(const uint8_t* at, const uint8_t* end, bint* is_buy) noexcept:
    cdef const uint8_t* after = _text(at, end, b'Buy"', 4)
    if after != NULL:
        is_buy[0] = True
        return after
    is_buy[0] = False
    return _text(at, end, b'Sell"', 5)
