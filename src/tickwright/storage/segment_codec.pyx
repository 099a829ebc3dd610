"""Owns the columns that a segment's records are laid out in before they are compressed.

A block of records, as `net.tap` lays them out, becomes three columns: heads (kind, flags, source,
and the steps of number and time), skeletons (the payload with every run of digits replaced by one
byte that says how long it was), and numbers (each run as its step from the run last seen in that
place). Prices, times and counters of one topic move in small steps, and skeletons hardly change, so
that zstd finds a third more than in the raw frames. Reading restores every byte; a payload that
isn't plain ASCII stands as it is. It refuses a damaged column, and knows nothing of venues: the
place of a number is the beginning of its frame and the few bytes before it.

A coder has a memory: what it wrote is read by a coder that saw the same blocks since `reset`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

__all__ = ["RecordCoder", "Survey", "survey"]

cdef enum:
    HEADER = 24
    DIGITS_MAX = 18
    PLACES = 4096
    # How much of a skeleton tells one topic from another.
    TOPIC_BYTES = 40
    # A venue's milliseconds: one clock for all topics.
    CLOCK_DIGITS = 13
    # Room for one head: kind, flags, source, number, time, size.
    HEAD_BYTES_MAX = 32
    PLAIN = 0x80
    KIND_FRAME = 1
    KINDS_MAX = 128


cdef struct Cursor:
    const uint8_t* head
    const uint8_t* head_end
    const uint8_t* bone
    const uint8_t* bone_end
    const uint8_t* number
    const uint8_t* number_end
    uint8_t* out
    uint8_t* out_end


cdef class Survey:
    """What a block holds.

    `count` records from `first_ns` to `last_ns` (smallest and largest), `frame_count` raw frames of
    `frame_bytes`, and in `kept` the whole records of the kind that was asked for.
    """

    cdef readonly int64_t count
    cdef readonly int64_t first_ns
    cdef readonly int64_t last_ns
    cdef readonly int64_t frame_count
    cdef readonly int64_t frame_bytes
    cdef readonly list kept


cdef int64_t _get64(const uint8_t* at) noexcept nogil:
    cdef int64_t value
    memcpy(&value, at, 8)
    return value


cdef uint32_t _get32(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value


cdef uint16_t _get16(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return value


def survey(bytes block, *, int kept_kind):
    """Return what a block holds, with the whole records of one kind.

    Raises:
        ValueError: half a record.
    """
    cdef const uint8_t* data = <const uint8_t*> PyBytes_AS_STRING(block)
    cdef Py_ssize_t end = len(block), at = 0, size
    cdef int64_t now_ns
    cdef Survey found = Survey()
    found.kept = []
    while at < end:
        if end - at < HEADER:
            raise ValueError("half a record")
        size = _get32(data + at)
        if end - at - HEADER < size:
            raise ValueError("half a record")
        now_ns = _get64(data + at + 16)
        if found.count == 0 or now_ns < found.first_ns:
            found.first_ns = now_ns
        if found.count == 0 or now_ns > found.last_ns:
            found.last_ns = now_ns
        found.count += 1
        if data[at + 4] == KIND_FRAME and size:
            found.frame_count += 1
            found.frame_bytes += size
        elif data[at + 4] == kept_kind:
            found.kept.append(block[at : at + HEADER + size])
        at += HEADER + size
    return found


cdef inline uint8_t* _put(uint8_t* out, uint64_t value) noexcept nogil:
    while value >= 128:
        out[0] = <uint8_t> (value & 127) | 128
        out += 1
        value >>= 7
    out[0] = <uint8_t> value
    return out + 1


cdef inline uint64_t _zigzag(uint64_t value) noexcept nogil:
    # In unsigned arithmetic: a step between any two values wraps, and wraps back when read.
    return (value << 1) ^ (0 - (value >> 63))


cdef inline uint64_t _unzigzag(uint64_t value) noexcept nogil:
    return (value >> 1) ^ (0 - (value & 1))


cdef const uint8_t* _take(
    const uint8_t* at, const uint8_t* end, uint64_t* value
) noexcept nogil:
    """Read one number; NULL where there is none."""
    cdef uint64_t found = 0
    cdef int shift = 0
    while at < end and shift < 64:
        found |= (<uint64_t> (at[0] & 127)) << shift
        if at[0] < 128:
            value[0] = found
            return at + 1
        at += 1
        shift += 7
    return NULL


cdef class RecordCoder:
    """Turns blocks of records into columns and back, exactly.

    One instance writes or reads one row of blocks; `reset` starts a new one.
    """

    cdef uint64_t* last_in_place
    cdef uint64_t last_number
    cdef uint64_t last_ns

    def __cinit__(self):
        self.last_in_place = <uint64_t*> malloc((DIGITS_MAX + 1) * PLACES * sizeof(uint64_t))
        if self.last_in_place == NULL:
            raise MemoryError
        self._forget()

    def __dealloc__(self):
        free(self.last_in_place)

    cdef void _forget(self) noexcept nogil:
        memset(self.last_in_place, 0, (DIGITS_MAX + 1) * PLACES * sizeof(uint64_t))
        self.last_number = 0
        self.last_ns = 0

    def reset(self):
        """Forget everything seen."""
        self._forget()

    def encode(self, bytes block):
        """Return a block's columns.

        Raises:
            ValueError: half a record, or a kind of 128 and above.
        """
        cdef const uint8_t* data = <const uint8_t*> PyBytes_AS_STRING(block)
        cdef Py_ssize_t end = len(block), at = 0, size, count = 0, heads_size, bones_size
        cdef Py_ssize_t numbers_size
        cdef uint8_t* heads = NULL
        cdef uint8_t* head
        cdef uint8_t* bones
        cdef uint8_t* bone
        cdef uint8_t* numbers
        cdef uint8_t* number
        cdef uint8_t[3 * 10] sizes
        cdef uint8_t* sizes_end
        cdef bytes out
        cdef char* place
        while at < end:
            if end - at < HEADER or end - at - HEADER < <Py_ssize_t> _get32(data + at):
                raise ValueError("half a record")
            if data[at + 4] >= KINDS_MAX:
                raise ValueError(f"record kind {data[at + 4]} is beyond {KINDS_MAX - 1}")
            count += 1
            at += HEADER + <Py_ssize_t> _get32(data + at)
        heads = <uint8_t*> malloc(count * HEAD_BYTES_MAX + 2 * end + 1)
        if heads == NULL:
            raise MemoryError
        bones = heads + count * HEAD_BYTES_MAX
        numbers = bones + end
        head = heads
        bone = bones
        number = numbers
        with nogil:
            at = 0
            while at < end:
                size = _get32(data + at)
                self._encode_one(data + at, size, &head, &bone, &number)
                at += HEADER + size
        heads_size = head - heads
        bones_size = bone - bones
        numbers_size = number - numbers
        sizes_end = _put(_put(_put(sizes, count), heads_size), bones_size)
        out = PyBytes_FromStringAndSize(
            NULL, (sizes_end - sizes) + heads_size + bones_size + numbers_size
        )
        place = PyBytes_AS_STRING(out)
        memcpy(place, sizes, sizes_end - sizes)
        place += sizes_end - sizes
        memcpy(place, heads, heads_size)
        memcpy(place + heads_size, bones, bones_size)
        memcpy(place + heads_size + bones_size, numbers, numbers_size)
        free(heads)
        return out

    cdef void _encode_one(
        self, const uint8_t* record, Py_ssize_t size,
        uint8_t** head_at, uint8_t** bone_at, uint8_t** number_at,
    ) noexcept nogil:
        cdef const uint8_t* payload = record + HEADER
        cdef uint8_t* head = head_at[0]
        cdef uint8_t* bone = bone_at[0]
        cdef uint8_t* start = bone
        cdef uint8_t* number = number_at[0]
        cdef uint64_t value, previous
        cdef uint64_t* known
        cdef uint32_t topic = 2166136261u, near = 0
        cdef Py_ssize_t i = 0, digits
        cdef uint8_t byte, mode = 0
        while i < size:
            if payload[i] >= 0x80:
                mode = PLAIN
                break
            i += 1
        if mode == PLAIN:
            memcpy(bone, payload, size)
            bone += size
        else:
            i = 0
            while i < size:
                byte = payload[i]
                if byte < 48 or byte > 57:
                    bone[0] = byte
                    i += 1
                else:
                    digits = 0
                    value = 0
                    while i < size and digits < DIGITS_MAX:
                        byte = payload[i]
                        if byte < 48 or byte > 57:
                            break
                        value = value * 10 + (byte - 48)
                        digits += 1
                        i += 1
                    byte = <uint8_t> (0x80 + digits)
                    bone[0] = byte
                    known = self._known(digits, topic, near)
                    previous = known[0]
                    known[0] = value
                    number = _put(number, _zigzag(value - previous))
                if bone - start < TOPIC_BYTES:
                    topic = (topic ^ byte) * 16777619u
                near = near << 8 | byte
                bone += 1
        head[0] = record[4] | mode
        head[1] = record[5]
        head = _put(head + 2, _get16(record + 6))
        value = <uint64_t> _get64(record + 8)
        head = _put(head, _zigzag(value - self.last_number))
        self.last_number = value
        value = <uint64_t> _get64(record + 16)
        head = _put(head, _zigzag(value - self.last_ns))
        self.last_ns = value
        head_at[0] = _put(head, bone - start)
        bone_at[0] = bone
        number_at[0] = number

    cdef inline uint64_t* _known(
        self, Py_ssize_t digits, uint32_t topic, uint32_t near
    ) noexcept nogil:
        cdef uint32_t place = near * 2654435761u
        if digits != CLOCK_DIGITS:
            place ^= topic
        else:
            place = 0
        return self.last_in_place + digits * PLACES + ((place ^ (place >> 15)) & (PLACES - 1))

    def decode(self, bytes columns, *, Py_ssize_t size):
        """Return the block of `size` bytes that these columns were made of.

        Raises:
            ValueError: the columns are damaged.
        """
        cdef const uint8_t* at = <const uint8_t*> PyBytes_AS_STRING(columns)
        cdef const uint8_t* end = at + len(columns)
        cdef uint64_t count = 0, heads_size = 0, bones_size = 0, _i
        cdef Cursor cursor
        cdef bint is_good = True
        cdef bytes block
        at = _take(at, end, &count)
        if at != NULL:
            at = _take(at, end, &heads_size)
        if at != NULL:
            at = _take(at, end, &bones_size)
        if (
            at == NULL or size < 0 or heads_size > <uint64_t> (end - at)
            or bones_size > <uint64_t> (end - at) - heads_size
        ):
            raise ValueError("columns of other sizes than they say")
        block = PyBytes_FromStringAndSize(NULL, size)
        cursor.head = at
        cursor.bone = cursor.head_end = at + heads_size
        cursor.number = cursor.bone_end = cursor.bone + bones_size
        cursor.number_end = end
        cursor.out = <uint8_t*> PyBytes_AS_STRING(block)
        cursor.out_end = cursor.out + size
        with nogil:
            for _i in range(count):
                if not self._decode_one(&cursor):
                    is_good = False
                    break
        if (
            not is_good or cursor.out != cursor.out_end or cursor.head != cursor.head_end
            or cursor.bone != cursor.bone_end or cursor.number != cursor.number_end
        ):
            raise ValueError("columns that don't fit together")
        return block

    cdef bint _decode_one(self, Cursor* at) noexcept nogil:
        cdef uint8_t* record = at.out
        cdef uint8_t* out
        cdef const uint8_t* start = at.bone
        cdef const uint8_t* end
        cdef uint64_t source = 0, step = 0, bones = 0, value
        cdef uint64_t* known
        cdef uint32_t topic = 2166136261u, near = 0, size
        cdef uint16_t short_source
        cdef Py_ssize_t digits, i
        cdef uint8_t byte, kind, mode
        if at.head_end - at.head < 2 or at.out_end - record < HEADER:
            return False
        kind = at.head[0] & 0x7F
        mode = at.head[0] & 0x80
        record[4] = kind
        record[5] = at.head[1]
        at.head = _take(at.head + 2, at.head_end, &source)
        if at.head == NULL:
            return False
        short_source = <uint16_t> source
        memcpy(record + 6, &short_source, 2)
        at.head = _take(at.head, at.head_end, &step)
        if at.head == NULL:
            return False
        self.last_number += _unzigzag(step)
        memcpy(record + 8, &self.last_number, 8)
        at.head = _take(at.head, at.head_end, &step)
        if at.head == NULL:
            return False
        self.last_ns += _unzigzag(step)
        memcpy(record + 16, &self.last_ns, 8)
        at.head = _take(at.head, at.head_end, &bones)
        if at.head == NULL or bones > <uint64_t> (at.bone_end - start):
            return False
        out = record + HEADER
        end = start + bones
        if mode == PLAIN:
            if <uint64_t> (at.out_end - out) < bones:
                return False
            memcpy(out, start, bones)
            out += bones
        else:
            while start < end:
                byte = start[0]
                if byte < 0x80:
                    if out == at.out_end:
                        return False
                    out[0] = byte
                    out += 1
                else:
                    digits = byte - 0x80
                    if digits < 1 or digits > DIGITS_MAX or at.out_end - out < digits:
                        return False
                    at.number = _take(at.number, at.number_end, &step)
                    if at.number == NULL:
                        return False
                    known = self._known(digits, topic, near)
                    value = known[0] + _unzigzag(step)
                    known[0] = value
                    for i in range(digits - 1, -1, -1):
                        out[i] = <uint8_t> (48 + value % 10)
                        value = value // 10
                    out += digits
                if start - at.bone < TOPIC_BYTES:
                    topic = (topic ^ byte) * 16777619u
                near = near << 8 | byte
                start += 1
        at.bone = end
        size = <uint32_t> (out - record - HEADER)
        memcpy(record, &size, 4)
        at.out = out
        return True
