"""Owns the columns of fields that recorded frames are laid out in before they are compressed.

A frame is a shape and its numbers. The shape (kind, flags, source, and the text with a token for
each number) is told once a chunk and named by its number afterwards; runs of `["price","size"]` are
one token and a count. Numbers are whole units of the decimals seen in their place, as steps from
what stood there before, each kind in a column of its own, so that an entropy coder sees like beside
like. Reading restores every byte: a number whose text isn't the usual one of its place says how it
was written, and what is no plain text stands as it is. It refuses damaged columns, and knows
nothing of venues.

A coder has a memory: what it wrote is read by a coder that saw the same blocks since `reset`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from tickwright.storage.field_columns cimport (
    Column,
    put,
    put_byte,
    put_bytes,
    put_spread,
    take,
    take_byte,
    take_spread,
    unzigzag,
    varint,
    zigzag,
)
from tickwright.storage.field_places cimport POWERS, Slot, fits, put_form, take_form, write_as
from tickwright.storage.field_text cimport (
    DIGITS_MAX,
    PAIR_CHARS_MAX,
    UUID_CHARS,
    Text,
    hex_of,
    is_ascii,
    is_digit,
    number_at,
    pair_at,
    uuid_at,
    write_number,
    write_uuid,
)

__all__ = ["FieldCoder"]

cdef enum:
    HEADER = 24
    SLOTS = 16384
    SHAPES_MAX = 4096
    SHAPE_BYTES_MAX = 2048
    # How much of a shape tells one topic from another.
    TOPIC_BYTES = 48
    ARENA_BYTES_MAX = 2 * 1024 * 1024
    TABLE = 16384
    CLOCK_DIGITS = 13
    KINDS_MAX = 128
    # tokens of a shape
    INTEGER = 0x81
    DECIMAL = 0x82
    PAIRS = 0x83
    UUID = 0x84
    CLOCK = 0x85
    # how a shape is told
    ONCE = 0
    NEW = 1
    KNOWN = 2
    # what a text told once is
    TOKENS = 0
    PLAIN = 1
    # columns
    TEXTS = 0
    SHAPES_LOW = 1
    SHAPES_HIGH = 2
    NUMBERS = 3
    TIMES = 4
    CLOCKS = 5
    INTEGERS = 6            # four of them
    COUNTS = 10
    FIRST_PRICES = 11
    NEXT_PRICES = 12
    SIZES = 13              # three of them: a number's first byte, second, and the rest
    FORMS = 16
    DECIMALS = 17
    RAW = 18
    COLUMNS = 19

cdef uint32_t SEED = 2166136261u
cdef uint32_t PRICE_SALT = 0x9E3779B9u
cdef uint32_t SIZE_SALT = 0x7F4A7C15u


cdef struct Shape:
    # Kind, flags and source as they stand in a record's head; where its bones lie.
    uint32_t head
    uint32_t start
    uint32_t size


cdef inline uint32_t _mix(uint32_t hash, uint8_t byte) noexcept nogil:
    return (hash ^ byte) * 16777619u


cdef inline uint32_t _where(uint32_t topic, uint32_t near) noexcept nogil:
    """Name a place: the beginning of its frame and the four bytes before it."""
    return (topic ^ near * 2654435761u) * 2246822519u


cdef inline int _place(uint32_t hash) noexcept nogil:
    return <int> ((hash ^ (hash >> 15)) & (SLOTS - 1))


cdef class FieldCoder:
    """Turns blocks of records into columns of fields and back, exactly.

    One instance writes or reads one row of blocks; `reset` starts a new one.
    """

    cdef Column[COLUMNS] columns
    cdef Column[COLUMNS] reading
    cdef Slot* slots
    cdef Shape* shapes
    cdef uint16_t* table
    cdef uint8_t* arena
    cdef uint8_t* bones
    cdef Py_ssize_t bones_room
    cdef uint32_t arena_used
    cdef int shape_count
    cdef uint64_t last_number
    cdef uint64_t last_ns
    cdef uint64_t last_clock

    def __cinit__(self):
        self.slots = <Slot*> malloc(SLOTS * sizeof(Slot))
        self.shapes = <Shape*> malloc(SHAPES_MAX * sizeof(Shape))
        self.table = <uint16_t*> malloc(TABLE * sizeof(uint16_t))
        self.arena = <uint8_t*> malloc(ARENA_BYTES_MAX)
        if self.slots == NULL or self.shapes == NULL or self.table == NULL or self.arena == NULL:
            raise MemoryError
        self._forget()

    def __dealloc__(self):
        cdef int i
        for i in range(COLUMNS):
            free(self.columns[i].data)
        free(self.slots)
        free(self.shapes)
        free(self.table)
        free(self.arena)
        free(self.bones)

    cdef void _forget(self) noexcept:
        memset(self.slots, 0, SLOTS * sizeof(Slot))
        memset(self.table, 0, TABLE * sizeof(uint16_t))
        self.arena_used = 0
        self.shape_count = 0
        self.last_number = 0
        self.last_ns = 0
        self.last_clock = 0

    def reset(self):
        """Forget everything seen."""
        self._forget()

    # --- writing ----------------------------------------------------------------------------------

    def encode(self, bytes block):
        """Return a block's columns: the first tells how long the others are.

        Raises:
            ValueError: half a record, or a kind of 128 and above.
        """
        cdef const uint8_t* data = <const uint8_t*> PyBytes_AS_STRING(block)
        cdef Py_ssize_t end = len(block), at = 0
        cdef uint32_t size
        cdef uint64_t count = 0
        cdef int i
        cdef bint is_good = True
        cdef list found
        while at < end:
            if end - at < HEADER:
                raise ValueError("half a record")
            memcpy(&size, data + at, 4)
            if end - at - HEADER < <Py_ssize_t> size:
                raise ValueError("half a record")
            if data[at + 4] >= KINDS_MAX:
                raise ValueError(f"record kind {data[at + 4]} is beyond {KINDS_MAX - 1}")
            at += HEADER + <Py_ssize_t> size
            count += 1
        for i in range(COLUMNS):
            self.columns[i].used = 0
        with nogil:
            at = 0
            while at < end and is_good:
                memcpy(&size, data + at, 4)
                is_good = self._encode_one(data + at, size)
                at += HEADER + <Py_ssize_t> size
        if not is_good:
            raise MemoryError
        found = [self._directory(count)]
        for i in range(COLUMNS):
            found.append(
                (<const char*> self.columns[i].data)[: self.columns[i].used]
                if self.columns[i].used else b""
            )
        return found

    cdef bytes _directory(self, uint64_t count):
        cdef bytearray out = bytearray()
        cdef int i
        cdef object value
        for value in [count, *[self.columns[i].used for i in range(COLUMNS)]]:
            while value >= 128:
                out.append(value & 127 | 128)
                value >>= 7
            out.append(value)
        return bytes(out)

    cdef bint _encode_one(self, const uint8_t* record, uint32_t size) noexcept nogil:
        cdef uint64_t value
        cdef Py_ssize_t bones
        cdef uint32_t hash = 0
        memcpy(&value, record + 8, 8)
        if not put(&self.columns[NUMBERS], zigzag(value - self.last_number)):
            return False
        self.last_number = value
        memcpy(&value, record + 16, 8)
        if not put(&self.columns[TIMES], zigzag(value - self.last_ns)):
            return False
        self.last_ns = value
        if not is_ascii(record + HEADER, size):
            return self._tell(ONCE) and self._tell_text(PLAIN, record, record + HEADER, size)
        if not self._room_for_bones(size):
            return False
        bones = self._lay_out(record + HEADER, record + HEADER + size, &hash)
        return bones >= 0 and self._tell_shape(record, bones, hash)

    cdef bint _room_for_bones(self, Py_ssize_t wanted) noexcept nogil:
        cdef void* grown
        if wanted <= self.bones_room:
            return True
        wanted = max(wanted, 2 * self.bones_room)
        grown = realloc(self.bones, wanted)
        if grown == NULL:
            return False
        self.bones = <uint8_t*> grown
        self.bones_room = wanted
        return True

    cdef Py_ssize_t _lay_out(
        self, const uint8_t* at, const uint8_t* end, uint32_t* hash_at
    ) noexcept nogil:
        """Write a payload's bones and numbers; returns the bones' length, -1 without memory."""
        cdef const uint8_t* start = at
        cdef uint8_t* bone = self.bones
        cdef uint32_t full = SEED, topic = SEED, near = 0
        cdef uint8_t byte, token
        cdef Py_ssize_t used
        while at < end:
            byte = at[0]
            token = 0
            used = 0
            if byte == 91 and end - at > 8 and at[1] == 34:
                used = self._put_pairs(at, end, _where(topic, near))
                token = PAIRS
            elif at > start and _opens((at - 1)[0]):
                if is_digit(byte):
                    used = self._put_number(at, end, _where(topic, near), near, &token)
                if used == 0 and (at - 1)[0] == 34 and hex_of(byte) >= 0:
                    used = self._put_uuid(at, end)
                    token = UUID
            if used < 0:
                return -1
            if used == 0:
                token = byte
                used = 1
            bone[0] = token
            bone += 1
            full = _mix(full, token)
            if bone - self.bones <= TOPIC_BYTES:
                topic = full
            near = near << 8 | token
            at += used
        hash_at[0] = full
        return bone - self.bones

    cdef Py_ssize_t _put_number(
        self, const uint8_t* at, const uint8_t* end, uint32_t hash, uint32_t near, uint8_t* token
    ) noexcept nogil:
        """Write a number that stands alone; returns its length, 0 for none, -1 without memory."""
        cdef Text text
        cdef Slot* slot = self.slots + _place(hash)
        cdef uint64_t units
        cdef bint is_quoted = (at - 1)[0] == 34
        if not number_at(at, end, &text) or at + text.size == end:
            return 0
        if not _closes(at[text.size], is_quoted):
            return 0
        if not is_quoted and text.fraction == 0:
            token[0] = INTEGER
            if text.digits == CLOCK_DIGITS:
                if not put(&self.columns[CLOCKS], zigzag(text.value - self.last_clock)):
                    return -1
                self.last_clock = text.value
                token[0] = CLOCK
            else:
                if not put(
                    &self.columns[INTEGERS + _class(near)],
                    zigzag(text.value - <uint64_t> slot.last),
                ):
                    return -1
                slot.last = <int64_t> text.value
            return text.size
        if not fits(slot, &text):
            return 0
        token[0] = DECIMAL
        if not put_form(&self.columns[FORMS], slot, &text):
            return -1
        units = text.value * POWERS[slot.decimals - text.fraction]
        if not put(&self.columns[DECIMALS], zigzag(units - <uint64_t> slot.last)):
            return -1
        slot.last = <int64_t> units
        return text.size

    cdef Py_ssize_t _put_pairs(
        self, const uint8_t* at, const uint8_t* end, uint32_t hash
    ) noexcept nogil:
        """Write a run of `["price","size"]`; returns its length, 0 for none, -1 without memory."""
        cdef const uint8_t* start = at
        cdef const uint8_t* next_
        cdef Slot* prices = self.slots + _place(hash ^ PRICE_SALT)
        cdef Slot* sizes = self.slots + _place(hash ^ SIZE_SALT)
        cdef Text price, size
        cdef uint64_t units, last = 0, count = 0
        cdef int decimals
        while True:
            next_ = pair_at(at, end, &price, &size)
            if next_ == NULL or not fits(prices, &price) or not fits(sizes, &size):
                break
            decimals = prices.decimals
            if not put_form(&self.columns[FORMS], prices, &price):
                return -1
            units = price.value * POWERS[prices.decimals - price.fraction]
            if count == 0 or decimals != prices.decimals:
                last = <uint64_t> prices.last
            if not put(
                &self.columns[NEXT_PRICES if count else FIRST_PRICES], zigzag(units - last)
            ):
                return -1
            last = units
            if count == 0:
                prices.last = <int64_t> units
            if not put_form(&self.columns[FORMS], sizes, &size):
                return -1
            units = size.value * POWERS[sizes.decimals - size.fraction]
            if not put_spread(&self.columns[SIZES], units):
                return -1
            count += 1
            at = next_
            if end - at < 2 or at[0] != 44 or at[1] != 91:
                break
            # The comma is part of the run only if another pair follows.
            if pair_at(at + 1, end, &price, &size) == NULL:
                break
            if not fits(prices, &price) or not fits(sizes, &size):
                break
            at += 1
        if count and not put(&self.columns[COUNTS], count):
            return -1
        return at - start

    cdef Py_ssize_t _put_uuid(self, const uint8_t* at, const uint8_t* end) noexcept nogil:
        cdef uint8_t[16] raw
        if end - at <= UUID_CHARS or at[UUID_CHARS] != 34 or not uuid_at(at, end, raw):
            return 0
        return UUID_CHARS if put_bytes(&self.columns[RAW], raw, 16) else -1

    # --- shapes -----------------------------------------------------------------------------------

    cdef bint _tell(self, int code) noexcept nogil:
        return (
            put_byte(&self.columns[SHAPES_LOW], <uint8_t> (code & 255))
            and put_byte(&self.columns[SHAPES_HIGH], <uint8_t> (code >> 8))
        )

    cdef bint _tell_text(
        self, uint8_t mode, const uint8_t* record, const uint8_t* text, Py_ssize_t size
    ) noexcept nogil:
        return (
            put_byte(&self.columns[TEXTS], mode)
            and put_bytes(&self.columns[TEXTS], record + 4, 4)
            and put(&self.columns[TEXTS], size)
            and put_bytes(&self.columns[TEXTS], text, size)
        )

    cdef bint _tell_shape(
        self, const uint8_t* record, Py_ssize_t bones, uint32_t hash
    ) noexcept nogil:
        cdef int place, number
        cdef Shape* shape
        cdef uint32_t head
        memcpy(&head, record + 4, 4)
        hash = (hash ^ head) * 2654435761u
        place = <int> ((hash ^ (hash >> 15)) & (TABLE - 1))
        while self.table[place]:
            number = self.table[place] - 1
            shape = self.shapes + number
            if (
                shape.head == head and shape.size == bones
                and memcmp(self.arena + shape.start, self.bones, bones) == 0
            ):
                return self._tell(KNOWN + number)
            place = (place + 1) & (TABLE - 1)
        if self._remember(head, self.bones, bones):
            self.table[place] = <uint16_t> self.shape_count
            return self._tell(NEW) and self._tell_text(TOKENS, record, self.bones, bones)
        return self._tell(ONCE) and self._tell_text(TOKENS, record, self.bones, bones)

    cdef bint _remember(self, uint32_t head, const uint8_t* bones, Py_ssize_t size) noexcept nogil:
        """Keep a shape, if there is room for it."""
        cdef Shape* shape
        if (
            self.shape_count == SHAPES_MAX or size > SHAPE_BYTES_MAX
            or self.arena_used + size > ARENA_BYTES_MAX
        ):
            return False
        shape = self.shapes + self.shape_count
        shape.start = self.arena_used
        shape.size = <uint32_t> size
        shape.head = head
        memcpy(self.arena + self.arena_used, bones, size)
        self.arena_used += <uint32_t> size
        self.shape_count += 1
        return True

    # --- reading ----------------------------------------------------------------------------------

    def decode(self, bytes columns, *, Py_ssize_t size):
        """Return the block of `size` bytes that these columns were made of.

        Raises:
            ValueError: the columns are damaged.
        """
        cdef uint8_t* at = <uint8_t*> PyBytes_AS_STRING(columns)
        cdef uint8_t* end = at + len(columns)
        cdef uint64_t count = 0, length = 0, _i
        cdef uint64_t[COLUMNS] lengths
        cdef uint8_t* out
        cdef uint8_t* out_end
        cdef int i
        cdef bint is_good = True
        cdef bytes block
        at = <uint8_t*> varint(at, end, &count)
        for i in range(COLUMNS):
            at = <uint8_t*> varint(at, end, &length)
            lengths[i] = length
        if at == NULL or size < 0:
            raise ValueError("columns of other sizes than they say")
        for i in range(COLUMNS):
            if lengths[i] > <uint64_t> (end - at):
                raise ValueError("columns of other sizes than they say")
            self.reading[i].data = at
            self.reading[i].used = <Py_ssize_t> lengths[i]
            self.reading[i].read = 0
            at += <Py_ssize_t> lengths[i]
        block = PyBytes_FromStringAndSize(NULL, size)
        out = <uint8_t*> PyBytes_AS_STRING(block)
        out_end = out + size
        with nogil:
            for _i in range(count):
                out = self._decode_one(out, out_end)
                if out == NULL:
                    is_good = False
                    break
        for i in range(COLUMNS):
            is_good = is_good and self.reading[i].read == self.reading[i].used
            self.reading[i].data = NULL
        if not is_good or out != out_end or at != end:
            raise ValueError("columns that don't fit together")
        return block

    cdef uint8_t* _decode_one(self, uint8_t* record, uint8_t* end) noexcept nogil:
        """Write the next record; returns the place behind it, NULL when it can't be."""
        cdef uint64_t step = 0
        cdef uint8_t low = 0, high = 0, mode = 0
        cdef int code
        cdef Shape shape
        cdef const uint8_t* bones
        cdef uint8_t* out = record + HEADER
        cdef uint32_t size
        if end - record < HEADER:
            return NULL
        if not take(&self.reading[NUMBERS], &step):
            return NULL
        self.last_number += unzigzag(step)
        if not take(&self.reading[TIMES], &step):
            return NULL
        self.last_ns += unzigzag(step)
        if not take_byte(&self.reading[SHAPES_LOW], &low):
            return NULL
        if not take_byte(&self.reading[SHAPES_HIGH], &high):
            return NULL
        code = low | high << 8
        if code < KNOWN:
            bones = self._take_text(&mode, &shape)
            if bones == NULL:
                return NULL
            if code == NEW:
                if mode != TOKENS or not self._remember(shape.head, bones, shape.size):
                    return NULL
        else:
            if code - KNOWN >= self.shape_count:
                return NULL
            shape = self.shapes[code - KNOWN]
            bones = self.arena + shape.start
        if mode == PLAIN:
            if <Py_ssize_t> shape.size > end - out:
                return NULL
            memcpy(out, bones, shape.size)
            out += shape.size
        else:
            out = self._fill_in(bones, bones + shape.size, out, end)
            if out == NULL:
                return NULL
        size = <uint32_t> (out - record - HEADER)
        memcpy(record, &size, 4)
        memcpy(record + 4, &shape.head, 4)
        memcpy(record + 8, &self.last_number, 8)
        memcpy(record + 16, &self.last_ns, 8)
        return out

    cdef const uint8_t* _take_text(self, uint8_t* mode, Shape* shape) noexcept nogil:
        cdef Column* column = &self.reading[TEXTS]
        cdef uint64_t size = 0
        cdef const uint8_t* text
        if not take_byte(column, mode) or mode[0] > PLAIN or column.used - column.read < 4:
            return NULL
        memcpy(&shape.head, column.data + column.read, 4)
        column.read += 4
        if not take(column, &size) or size > <uint64_t> (column.used - column.read):
            return NULL
        shape.size = <uint32_t> size
        text = column.data + column.read
        column.read += <Py_ssize_t> size
        return text

    cdef uint8_t* _fill_in(
        self, const uint8_t* bone, const uint8_t* bones_end, uint8_t* out, uint8_t* end
    ) noexcept nogil:
        """Write a payload by its bones and the next numbers; NULL when it can't be."""
        cdef uint32_t topic = SEED, near = 0, where
        cdef uint8_t token
        cdef const uint8_t* topic_end = bone + TOPIC_BYTES
        while bone < bones_end:
            token = bone[0]
            if token < 0x80:
                if out == end:
                    return NULL
                out[0] = token
                out += 1
            else:
                where = _where(topic, near)
                # The longest number, or identifier, must fit.
                if token == PAIRS:
                    out = self._take_pairs(out, end, where)
                elif end - out < UUID_CHARS:
                    out = self._take_near_end(token, out, end, where, near)
                else:
                    out = self._take_one(token, out, where, near)
                if out == NULL:
                    return NULL
            if bone < topic_end:
                topic = _mix(topic, token)
            near = near << 8 | token
            bone += 1
        return out

    cdef uint8_t* _take_near_end(
        self, uint8_t token, uint8_t* out, uint8_t* end, uint32_t hash, uint32_t near
    ) noexcept nogil:
        """Write a number where there may be no room for the longest."""
        cdef uint8_t[64] held
        cdef uint8_t* behind = self._take_one(token, held, hash, near)
        if behind == NULL or behind - held > end - out:
            return NULL
        memcpy(out, held, behind - held)
        return out + (behind - held)

    cdef uint8_t* _take_one(
        self, uint8_t token, uint8_t* out, uint32_t hash, uint32_t near
    ) noexcept nogil:
        cdef Slot* slot = self.slots + _place(hash)
        cdef uint64_t step = 0
        cdef int form = 0, size
        if token == CLOCK:
            if not take(&self.reading[CLOCKS], &step):
                return NULL
            self.last_clock += unzigzag(step)
            if self.last_clock >= POWERS[DIGITS_MAX]:
                return NULL
            return out + write_number(out, self.last_clock, 0)
        if token == INTEGER:
            if not take(&self.reading[INTEGERS + _class(near)], &step):
                return NULL
            step = <uint64_t> slot.last + unzigzag(step)
            if step >= POWERS[DIGITS_MAX]:
                return NULL
            slot.last = <int64_t> step
            return out + write_number(out, step, 0)
        if token == DECIMAL:
            if not take_form(&self.reading[FORMS], slot, &form):
                return NULL
            if not take(&self.reading[DECIMALS], &step):
                return NULL
            step = <uint64_t> slot.last + unzigzag(step)
            size = write_as(slot, form, step, out)
            slot.last = <int64_t> step
            return out + size if size else NULL
        if token == UUID:
            if self.reading[RAW].used - self.reading[RAW].read < 16:
                return NULL
            write_uuid(out, self.reading[RAW].data + self.reading[RAW].read)
            self.reading[RAW].read += 16
            return out + UUID_CHARS
        return NULL

    cdef uint8_t* _take_pairs(self, uint8_t* out, uint8_t* end, uint32_t hash) noexcept nogil:
        cdef Slot* prices = self.slots + _place(hash ^ PRICE_SALT)
        cdef Slot* sizes = self.slots + _place(hash ^ SIZE_SALT)
        cdef uint64_t count = 0, step = 0, last = 0, i
        cdef int form = 0, decimals, size
        cdef uint8_t[PAIR_CHARS_MAX] held
        cdef uint8_t* at
        if not take(&self.reading[COUNTS], &count) or count == 0:
            return NULL
        for i in range(count):
            at = held
            if i:
                at[0] = 44
                at += 1
            at[0] = 91
            at[1] = 34
            at += 2
            decimals = prices.decimals
            if not take_form(&self.reading[FORMS], prices, &form):
                return NULL
            if i == 0 or decimals != prices.decimals:
                last = <uint64_t> prices.last
            if not take(&self.reading[NEXT_PRICES if i else FIRST_PRICES], &step):
                return NULL
            last += unzigzag(step)
            size = write_as(prices, form, last, at)
            if size == 0:
                return NULL
            if i == 0:
                prices.last = <int64_t> last
            at += size
            memcpy(at, b'","', 3)
            at += 3
            if not take_form(&self.reading[FORMS], sizes, &form):
                return NULL
            if not take_spread(&self.reading[SIZES], &step):
                return NULL
            size = write_as(sizes, form, step, at)
            if size == 0:
                return NULL
            at += size
            at[0] = 34
            at[1] = 93
            at += 2
            if at - held > end - out:
                return NULL
            memcpy(out, held, at - held)
            out += at - held
        return out


cdef inline bint _opens(uint8_t byte) noexcept nogil:
    # : " [ , -
    return byte == 58 or byte == 34 or byte == 91 or byte == 44 or byte == 45


cdef inline bint _closes(uint8_t byte, bint is_quoted) noexcept nogil:
    if is_quoted:
        return byte == 34
    return byte == 44 or byte == 125 or byte == 93


cdef inline int _class(uint32_t near) noexcept nogil:
    """Return which column integers go to, by the last letter of their name: ids rise alike."""
    cdef uint32_t letter = near >> 16 & 0xFF
    return <int> ((letter >> 2 ^ letter >> 5) & 3)
