"""Owns the trades that wait for Redis: a bounded queue of plain bytes, oldest first.

A minute of 6,000 trades a second is about 30 MB here and would be ten times that as objects. What
was packed for a write stays until the write is known to be carried out, and is packed again when it
failed, under the same ids. Beyond `bytes_max` the oldest go and are counted. It refuses to know
instruments: a trade comes with the number of its stream.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from tickwright.core.orders import Side

from tickwright.storage.redis_pack cimport CommandBuffer

__all__ = ["TradeQueue"]

cdef enum:
    CHUNK_BYTES = 256 * 1024
    ID_SIZE_MAX = 1024
    WORDS = 18

cdef object _BUY = Side.BUY


cdef struct Head:
    int64_t received_ns
    int64_t venue_ns
    int64_t price
    int64_t size
    uint32_t stream
    uint16_t id_size
    uint8_t price_decimals
    uint8_t size_decimals
    uint8_t is_buy


cdef class _Chunk:
    cdef char* data
    cdef int used
    cdef int64_t count
    cdef int read
    """Where the next trade to pack lies."""
    cdef int64_t packed

    def __cinit__(self):
        self.data = <char*> malloc(CHUNK_BYTES)
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)


cdef class TradeQueue:
    """Trades on their way into their streams.

    Args:
        bytes_max: how much may wait; at least two chunks of 256 KiB are kept.
        entries_max: how many entries a stream is to keep, about.

    A write is `begin`, `pack` until it returns 0, then `commit` or `roll_back`.
    """

    cdef readonly int64_t lost
    """Trades that went without ever having been written."""
    cdef readonly int64_t waiting
    """Trades not known to be written, those under way included."""
    cdef int64_t chunks_max
    cdef int64_t entries_max
    cdef int64_t number
    cdef int64_t under_way
    cdef int64_t dropped_under_way
    cdef int64_t first_number
    cdef list chunks
    cdef list streams
    cdef int place
    cdef set touched

    def __init__(self, *, int64_t bytes_max, int64_t entries_max):
        self.chunks_max = max(bytes_max // CHUNK_BYTES, 2)
        self.entries_max = entries_max
        self.chunks = []
        self.streams = []
        self.touched = set()
        self.first_number = 1

    def add_stream(self, bytes key):
        """Return the number of a new stream."""
        self.streams.append(key)
        return len(self.streams) - 1

    def key_of(self, int stream):
        """Return a stream's key."""
        return self.streams[stream]

    def push(self, int stream, trade, *, int price_decimals, int size_decimals):
        """Let one more trade wait; the oldest go when there is no room."""
        cdef Head head
        cdef Py_ssize_t id_size = 0
        cdef const char* trade_id = PyUnicode_AsUTF8AndSize(trade.trade_id, &id_size)
        cdef _Chunk chunk = None
        if not 0 <= stream < len(self.streams):
            raise ValueError(f"there is no stream {stream}")
        # An id longer than any venue's is cut: the stream needs no more of it.
        id_size = min(id_size, <Py_ssize_t> ID_SIZE_MAX)
        head.received_ns = trade.received_ns
        head.venue_ns = trade.venue_ns
        head.price = trade.price_units
        head.size = trade.size_units
        head.stream = stream
        head.id_size = <uint16_t> id_size
        head.price_decimals = <uint8_t> price_decimals
        head.size_decimals = <uint8_t> size_decimals
        head.is_buy = trade.side is _BUY
        if self.chunks:
            chunk = <_Chunk> self.chunks[len(self.chunks) - 1]
        if chunk is None or chunk.used + <int> sizeof(Head) + id_size > CHUNK_BYTES:
            if len(self.chunks) >= self.chunks_max:
                self._drop_oldest()
            chunk = _Chunk()
            self.chunks.append(chunk)
        memcpy(chunk.data + chunk.used, &head, sizeof(Head))
        memcpy(chunk.data + chunk.used + sizeof(Head), trade_id, id_size)
        chunk.used += <int> sizeof(Head) + <int> id_size
        chunk.count += 1
        self.number += 1
        self.waiting += 1

    cdef void _drop_oldest(self):
        cdef _Chunk chunk = <_Chunk> self.chunks.pop(0)
        # Those under way may yet arrive: what becomes of their write decides.
        self.dropped_under_way += chunk.packed
        self.lost += chunk.count - chunk.packed
        self.waiting -= chunk.count
        self.under_way -= chunk.packed
        self.first_number += chunk.count
        self.place = max(self.place - 1, 0)

    def begin(self):
        """Start to pack a write, from the oldest trade on."""
        cdef _Chunk chunk
        self.touched = set()
        self.place = 0
        self.under_way = 0
        self.dropped_under_way = 0
        for chunk in self.chunks:
            chunk.read = 0
            chunk.packed = 0

    def pack(self, list buffers, list nodes, int most):
        """Add the commands of the next trades, at most so many; returns how many there were.

        `nodes` tells by a stream's number whose buffer it goes to.
        """
        cdef _Chunk chunk
        cdef CommandBuffer buffer
        cdef Head head
        cdef int done = 0
        cdef int64_t number = self.first_number + self.under_way
        while done < most and self.place < len(self.chunks):
            chunk = <_Chunk> self.chunks[self.place]
            if chunk.read == chunk.used:
                if self.place == len(self.chunks) - 1:
                    break
                self.place += 1
                continue
            memcpy(&head, chunk.data + chunk.read, sizeof(Head))
            buffer = <CommandBuffer?> buffers[nodes[head.stream]]
            _write(
                buffer, <bytes> self.streams[head.stream], &head,
                chunk.data + chunk.read + sizeof(Head), number + done, self.entries_max,
            )
            self.touched.add(head.stream)
            chunk.read += <int> sizeof(Head) + head.id_size
            chunk.packed += 1
            done += 1
        self.under_way += done
        return done

    def touched_streams(self):
        """Return the streams that this write adds to."""
        return sorted(self.touched)

    def commit(self):
        """Forget what was packed: it is written. Returns how many trades that were."""
        cdef int64_t done = self.under_way + self.dropped_under_way
        cdef int64_t left = self.under_way
        cdef _Chunk chunk
        while left:
            chunk = <_Chunk> self.chunks[0]
            if chunk.packed == chunk.count:
                left -= chunk.packed
                self.chunks.pop(0)
            else:
                _forget(chunk)
                left = 0
        self.first_number += self.under_way
        self.waiting -= self.under_way
        self.begin()
        return done

    def roll_back(self):
        """Keep what was packed for the next write; what was pushed out meanwhile is lost."""
        self.lost += self.dropped_under_way
        self.begin()

    def clear(self):
        """Give everything up; returns how many trades waited."""
        cdef int64_t waited = self.waiting
        self.lost += waited + self.dropped_under_way
        self.first_number += waited
        self.chunks = []
        self.waiting = 0
        self.begin()
        return waited


cdef void _forget(_Chunk chunk) noexcept:
    """Take the packed trades from the front of a chunk."""
    chunk.used -= chunk.read
    memmove(chunk.data, chunk.data + chunk.read, chunk.used)
    chunk.count -= chunk.packed
    chunk.read = 0
    chunk.packed = 0


cdef int _write(
    CommandBuffer buffer, bytes key, const Head* head, const char* trade_id, int64_t number,
    int64_t entries_max,
) except -1:
    """Add the command that appends a trade."""
    buffer._begin(WORDS)
    buffer._word(b"XADD", 4)
    buffer._bytes(key)
    buffer._word(b"MAXLEN", 6)
    buffer._word(b"~", 1)
    buffer._number(entries_max)
    buffer.entry_id(head.received_ns, number)
    buffer._word(b"side", 4)
    if head.is_buy:
        buffer._word(b"buy", 3)
    else:
        buffer._word(b"sell", 4)
    buffer._word(b"price", 5)
    buffer._units(head.price, head.price_decimals)
    buffer._word(b"size", 4)
    buffer._units(head.size, head.size_decimals)
    buffer._word(b"trade_id", 8)
    buffer._word(trade_id, head.id_size)
    buffer._word(b"venue_ns", 8)
    buffer._number(head.venue_ns)
    buffer._word(b"received_ns", 11)
    return buffer._number(head.received_ns)
