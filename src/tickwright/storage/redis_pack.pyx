"""Owns writing books as Redis commands, fast enough for the trading loop, and sending them.

A book of ten levels a side takes about a microsecond: its levels are read where they lie, and text
is written digit by digit into one buffer that is kept. The form is `storage.redis_layout`'s. It
refuses to know keys, slots and times: they are its caller's. `exchange` sends buffers and reads the
replies without the interpreter's lock, so that the trading thread never waits for a slow Redis.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy, strerror

from tickwright.book.order_book cimport OrderBook

__all__ = ["CommandBuffer", "Inbox", "exchange"]

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout_ms)
    short POLLIN
    short POLLOUT

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void* data, size_t size, int flags)
    ssize_t recv(int fd, void* data, size_t size, int flags)

cdef extern from *:
    """
    #include <sys/socket.h>
    #ifdef MSG_NOSIGNAL
    static const int tw_send_flags = MSG_NOSIGNAL;
    #else
    static const int tw_send_flags = 0;
    #endif
    """
    const int tw_send_flags

cdef enum:
    BID = 0
    ASK = 1
    ROOM_FIRST = 65536
    ROOM_KEPT_MAX = 4 * 1024 * 1024
    HEAD_SIZE = 56
    LEVEL_SIZE = 16
    NUMBER_MAX = 24           # a sign, 19 digits, a point, and its zeros are asked for apart
    HASH_WORDS = 22           # HSET, key, ten fields
    READ_BYTES = 65536
    SENT = 0
    TIMED_OUT = -1
    CLOSED = -2
    FAILED = -3
    FOREIGN = -4
    ENDLESS = -5

cdef tuple _STATES = (b"empty", b"buffering", b"synced", b"stale", b"resyncing")


cdef inline int _digits(char* out, uint64_t value) noexcept nogil:
    """Write a whole number; returns its length."""
    cdef char[20] held
    cdef int count = 0, i
    while True:
        held[count] = <char> (48 + value % 10)
        value //= 10
        count += 1
        if value == 0:
            break
    for i in range(count):
        out[i] = held[count - 1 - i]
    return count


cdef inline int _signed(char* out, int64_t value) noexcept nogil:
    if value < 0:
        out[0] = 45
        return 1 + _digits(out + 1, 0 - <uint64_t> value)
    return _digits(out, <uint64_t> value)


cdef inline int _decimal(char* out, int64_t units, int decimals) noexcept nogil:
    """Write units as decimal text, as `core.units.units_to_text` does; returns its length."""
    cdef char[20] held
    cdef int count, at = 0, i
    cdef uint64_t value = <uint64_t> units
    if units < 0:
        out[0] = 45
        at = 1
        value = 0 - value
    count = _digits(held, value)
    if decimals == 0:
        memcpy(out + at, held, count)
        return at + count
    if count > decimals:
        memcpy(out + at, held, count - decimals)
        at += count - decimals
        out[at] = 46
        memcpy(out + at + 1, held + count - decimals, decimals)
        return at + 1 + decimals
    out[at] = 48
    out[at + 1] = 46
    at += 2
    for i in range(decimals - count):
        out[at + i] = 48
    memcpy(out + at + decimals - count, held, count)
    return at + decimals


cdef inline int64_t _key(OrderBook book, int side, int place) noexcept:
    """Return a level's price, the best level being place 0."""
    cdef int64_t key = book.keys[side][book.counts[side] - 1 - place]
    return key if side == BID else -key


cdef inline int64_t _size(OrderBook book, int side, int place) noexcept:
    return book.sizes[side][book.counts[side] - 1 - place]


cdef class CommandBuffer:
    """Commands for one server, one after the other, as Redis reads them.

    While `exchange` has it nothing may be added.
    """

    def __dealloc__(self):
        free(self.data)
        free(self.scratch)

    def __len__(self):
        return self.used

    def __bytes__(self):
        return self.data[: self.used] if self.used else b""

    def clear(self):
        """Hold nothing; room that a burst took is given back."""
        self.used = 0
        self.count = 0
        if self.room > ROOM_KEPT_MAX and not self.is_lent:
            free(self.data)
            self.data = NULL
            self.room = 0

    cdef char* _more(self, Py_ssize_t wanted) except NULL:
        """Return the place for so many bytes more."""
        cdef Py_ssize_t room
        cdef void* grown
        if self.is_lent:
            raise RuntimeError("these commands are under way")
        if self.used + wanted > self.room:
            room = max(2 * self.room, self.used + wanted, <Py_ssize_t> ROOM_FIRST)
            grown = realloc(self.data, room)
            if grown == NULL:
                raise MemoryError
            self.data = <char*> grown
            self.room = room
        return self.data + self.used

    cdef int _word(self, const char* word, Py_ssize_t size) except -1:
        """Add one word of a command."""
        cdef char* at = self._more(size + 32)
        cdef char* start = at
        at[0] = 36
        at += 1 + _digits(at + 1, size)
        at[0] = 13
        at[1] = 10
        memcpy(at + 2, word, size)
        at += 2 + size
        at[0] = 13
        at[1] = 10
        self.used += at + 2 - start
        return 0

    cdef int _bytes(self, bytes word) except -1:
        return self._word(<const char*> word, len(word))

    cdef int _number(self, int64_t value) except -1:
        cdef char[NUMBER_MAX] text
        return self._word(text, _signed(text, value))

    cdef int _units(self, int64_t units, int decimals) except -1:
        cdef char[64] text
        return self._word(text, _decimal(text, units, decimals))

    cdef int _begin(self, int words) except -1:
        """Begin a command of so many words."""
        cdef char* at = self._more(32)
        cdef char* start = at
        at[0] = 42
        at += 1 + _digits(at + 1, words)
        at[0] = 13
        at[1] = 10
        self.used += at + 2 - start
        self.count += 1
        return 0

    def add(self, *words):
        """Add a command of texts, bytes and whole numbers."""
        self._begin(len(words))
        for word in words:
            if isinstance(word, bytes):
                self._bytes(word)
            elif isinstance(word, str):
                self._bytes((<str> word).encode())
            else:
                self._number(word)

    def add_book(
        self, OrderBook book, bytes packed_key, bytes readable_key, *, int levels, int64_t now_ns,
        int expire_ms, int64_t deadline_ms,
    ):
        """Add the three commands that write a book: packed, readable, and the latter's end."""
        cdef int bids = min(levels, book.counts[BID]), asks = min(levels, book.counts[ASK])
        if book.price_decimals > 18 or book.size_decimals > 18 or max(bids, asks) > 65535:
            raise ValueError("a book beyond what is written")
        self._begin(5)
        self._word(b"SET", 3)
        self._bytes(packed_key)
        self._packed(book, bids, asks, now_ns, expire_ms)
        self._word(b"PXAT", 4)
        self._number(deadline_ms)
        self._begin(HASH_WORDS)
        self._word(b"HSET", 4)
        self._bytes(readable_key)
        self._readable(book, bids, asks, now_ns)
        self._begin(3)
        self._word(b"PEXPIREAT", 9)
        self._bytes(readable_key)
        self._number(deadline_ms)

    cdef int _packed(
        self, OrderBook book, int bids, int asks, int64_t now_ns, int expire_ms
    ) except -1:
        cdef Py_ssize_t size = HEAD_SIZE + LEVEL_SIZE * (bids + asks)
        cdef char* at = self._more(size + 32)
        cdef char* start = at
        cdef int64_t[5] numbers
        cdef int64_t[2] level
        cdef uint32_t lives_ms = <uint32_t> expire_ms
        cdef uint16_t[2] counts
        cdef int side, i
        at[0] = 36
        at += 1 + _digits(at + 1, size)
        at[0] = 13
        at[1] = 10
        at += 2
        memcpy(at, b"TWB1", 4)
        at[4] = <char> book.state_code
        at[5] = <char> book.price_decimals
        at[6] = <char> book.size_decimals
        at[7] = 0
        counts[0] = <uint16_t> bids
        counts[1] = <uint16_t> asks
        memcpy(at + 8, counts, 4)
        memcpy(at + 12, &lives_ms, 4)
        numbers[0] = book.update_id
        numbers[1] = book.sequence
        numbers[2] = book.venue_ns
        numbers[3] = book.received_ns
        numbers[4] = now_ns - book.proof_ns if book.proof_ns else -1
        memcpy(at + 16, numbers, 40)
        at += HEAD_SIZE
        for side in range(2):
            for i in range(asks if side else bids):
                level[0] = _key(book, side, i)
                level[1] = _size(book, side, i)
                memcpy(at, level, LEVEL_SIZE)
                at += LEVEL_SIZE
        at[0] = 13
        at[1] = 10
        self.used += at + 2 - start
        return 0

    cdef int _readable(self, OrderBook book, int bids, int asks, int64_t now_ns) except -1:
        cdef int64_t age_ms
        self._word(b"state", 5)
        self._bytes(<bytes> _STATES[book.state_code])
        self._best(b"bid", b"bid_size", book, BID, bids)
        self._best(b"ask", b"ask_size", book, ASK, asks)
        self._word(b"bids", 4)
        self._rows(book, BID, bids)
        self._word(b"asks", 4)
        self._rows(book, ASK, asks)
        self._word(b"update_id", 9)
        self._number(book.update_id)
        self._word(b"age_ms", 6)
        if book.proof_ns:
            age_ms = (now_ns - book.proof_ns) // 1_000_000
            if now_ns < book.proof_ns:
                # C rounds towards zero.
                age_ms = -((book.proof_ns - now_ns + 999_999) // 1_000_000)
            self._number(age_ms)
        else:
            self._word(b"", 0)
        self._word(b"written_ns", 10)
        self._number(now_ns)
        return 0

    cdef int _best(
        self, bytes price_name, bytes size_name, OrderBook book, int side, int count
    ) except -1:
        self._bytes(price_name)
        if count:
            self._units(_key(book, side, 0), book.price_decimals)
        else:
            self._word(b"", 0)
        self._bytes(size_name)
        if count:
            self._units(_size(book, side, 0), book.size_decimals)
        else:
            self._word(b"", 0)
        return 0

    cdef int _rows(self, OrderBook book, int side, int count) except -1:
        """Add levels as JSON."""
        cdef Py_ssize_t wanted = 2 + <Py_ssize_t> count * 64
        cdef void* grown
        cdef char* at
        cdef int i
        if wanted > self.scratch_room:
            grown = realloc(self.scratch, wanted)
            if grown == NULL:
                raise MemoryError
            self.scratch = <char*> grown
            self.scratch_room = wanted
        at = self.scratch
        at[0] = 91
        at += 1
        for i in range(count):
            if i:
                at[0] = 44
                at += 1
            at[0] = 91
            at[1] = 34
            at += 2
            at += _decimal(at, _key(book, side, i), book.price_decimals)
            memcpy(at, b'","', 3)
            at += 3
            at += _decimal(at, _size(book, side, i), book.size_decimals)
            at[0] = 34
            at[1] = 93
            at += 2
        at[0] = 93
        return self._word(self.scratch, at + 1 - self.scratch)

    cdef int entry_id(self, int64_t received_ns, int64_t number) except -1:
        """Add a stream entry's id; `number` makes it rise within a millisecond."""
        cdef char[2 * NUMBER_MAX] text
        cdef int size = _signed(text, received_ns // 1_000_000)
        text[size] = 45
        return self._word(text, size + 1 + _signed(text + size + 1, number))


# --- sending without the interpreter's lock -------------------------------------------------------


cdef class Inbox:
    """What one server answered; counts whole replies as they come, a transaction's as one."""

    cdef char* data
    cdef Py_ssize_t used
    cdef Py_ssize_t room
    cdef Py_ssize_t read
    cdef readonly int64_t replies

    def __dealloc__(self):
        free(self.data)

    def __bytes__(self):
        return self.data[: self.used] if self.used else b""

    def __len__(self):
        return self.used

    @property
    def is_whole(self):
        """Whether no reply has only begun."""
        return self.read == self.used

    def feed(self, bytes part):
        """Take some bytes more; raises ConnectionError when they are none of Redis's."""
        cdef Py_ssize_t at = 0, size
        while at < len(part):
            if not self.make_room():
                raise MemoryError
            size = min(len(part) - at, <Py_ssize_t> READ_BYTES)
            memcpy(self.data + self.used, <const char*> part + at, size)
            self.used += size
            at += size
        _judge(self.count(), 0)

    cdef bint make_room(self) noexcept nogil:
        cdef Py_ssize_t room = self.room
        cdef void* grown
        if self.room - self.used >= READ_BYTES:
            return True
        room = max(2 * room, self.used + <Py_ssize_t> READ_BYTES)
        grown = realloc(self.data, room)
        if grown == NULL:
            return False
        self.data = <char*> grown
        self.room = room
        return True

    cdef int count(self) noexcept nogil:
        """Count the whole replies; FOREIGN for what is none of a flat command."""
        cdef char* line
        cdef char* end
        cdef Py_ssize_t size
        while self.read < self.used:
            line = self.data + self.read
            end = <char*> memchr(line, 13, self.used - self.read)
            if end == NULL or end + 1 >= self.data + self.used:
                return SENT
            if line[0] == 36:
                size = _length(line + 1, end)
                if size < -1:
                    return FOREIGN
                if size >= 0:
                    if self.used - (end + 2 - self.data) < size + 2:
                        return SENT
                    end += 2 + size
            elif line[0] == 42:
                # Its parts follow and count by themselves.
                size = _length(line + 1, end)
                if size < -1:
                    return FOREIGN
                self.replies -= max(size, 0)
            elif line[0] != 43 and line[0] != 45 and line[0] != 58:
                return FOREIGN
            self.replies += 1
            self.read = end + 2 - self.data
        return SENT


cdef Py_ssize_t _length(const char* at, const char* end) noexcept nogil:
    """Read a bulk reply's length, -1 for none there; -2 for no number."""
    cdef Py_ssize_t value = 0
    if end - at == 2 and at[0] == 45 and at[1] == 49:
        return -1
    if at == end or end - at > 9:
        return -2
    while at < end:
        if at[0] < 48 or at[0] > 57:
            return -2
        value = 10 * value + (at[0] - 48)
        at += 1
    return value


cdef int _wait(int fd, short events, int timeout_ms) noexcept nogil:
    cdef pollfd asked
    cdef int found
    asked.fd = fd
    asked.events = events
    while True:
        found = poll(&asked, 1, timeout_ms)
        if found > 0:
            return SENT
        if found == 0:
            return TIMED_OUT
        if errno != EINTR:
            return FAILED


cdef int _send(int fd, const char* data, Py_ssize_t size, int timeout_ms) noexcept nogil:
    cdef ssize_t sent
    cdef int waited
    while size > 0:
        sent = send(fd, data, size, tw_send_flags)
        if sent >= 0:
            data += sent
            size -= sent
        elif errno == EAGAIN:
            waited = _wait(fd, POLLOUT, timeout_ms)
            if waited != SENT:
                return waited
        elif errno != EINTR:
            return FAILED
    return SENT


cdef int _receive(
    int fd, Inbox inbox, int64_t count, Py_ssize_t bytes_max, int timeout_ms
) noexcept nogil:
    cdef ssize_t got
    cdef int found
    while inbox.replies < count:
        if inbox.used > bytes_max or not inbox.make_room():
            return ENDLESS
        got = recv(fd, inbox.data + inbox.used, READ_BYTES, 0)
        if got > 0:
            inbox.used += got
            found = inbox.count()
        elif got == 0:
            return CLOSED
        elif errno == EAGAIN:
            found = _wait(fd, POLLIN, timeout_ms)
        else:
            found = SENT if errno == EINTR else FAILED
        if found != SENT:
            return found
    return SENT


def exchange(list places, list buffers, *, int timeout_ms, Py_ssize_t reply_bytes_max):
    """Send each socket (by number, not blocking) its buffer, and return what each answered.

    The interpreter's lock is free meanwhile; nothing of a buffer may be touched until it returns.

    Raises:
        TimeoutError: a server neither takes nor answers for so long.
        ConnectionError: it closed, or answers without end, or not as Redis does.
        OSError: the socket failed.
    """
    cdef CommandBuffer buffer
    cdef Inbox inbox
    cdef list answers = []
    cdef int fd, found = SENT, number = 0
    if len(places) != len(buffers):
        raise ValueError("each server has its buffer")
    for buffer in buffers:
        buffer.is_lent = True
    try:
        for fd, buffer in zip(places, buffers):
            with nogil:
                found = _send(fd, buffer.data, buffer.used, timeout_ms)
                number = errno
            _judge(found, number)
        for fd, buffer in zip(places, buffers):
            inbox = Inbox()
            with nogil:
                found = _receive(fd, inbox, buffer.count, reply_bytes_max, timeout_ms)
                number = errno
            _judge(found, number)
            if inbox.replies != buffer.count or inbox.read != inbox.used:
                raise ConnectionError("the server answers more than it was asked")
            answers.append(bytes(inbox))
    finally:
        for buffer in buffers:
            buffer.is_lent = False
    return answers


cdef int _judge(int found, int number) except -1:
    if found == TIMED_OUT:
        raise TimeoutError
    if found == CLOSED:
        raise ConnectionError("the server closed the connection")
    if found == FOREIGN:
        raise ConnectionError("the answer isn't Redis's")
    if found == ENDLESS:
        raise ConnectionError("the server answers without end")
    if found == FAILED:
        raise OSError(number, strerror(number).decode("ascii", "replace"))
    return 0
