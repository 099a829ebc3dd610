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
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

__all__ = ["FieldCoder"]

cdef enum:
    HEADER = 24
    DIGITS_MAX = 18
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
    PAIR_CHARS_MAX = 64
    UUID_CHARS = 36
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
    # how the numbers of a place are written
    FIXED = 0
    TRIMMED = 1
    # added to a form whose number gave its place more decimals
    ROSE = 64

cdef uint32_t SEED = 2166136261u
cdef uint32_t PRICE_SALT = 0x9E3779B9u
cdef uint32_t SIZE_SALT = 0x7F4A7C15u
cdef uint64_t[19] POWERS
cdef int _power
POWERS[0] = 1
for _power in range(1, 19):
    POWERS[_power] = POWERS[_power - 1] * 10


cdef struct Column:
    uint8_t* data
    Py_ssize_t used
    Py_ssize_t room
    Py_ssize_t read


cdef struct Slot:
    int64_t last
    int8_t decimals
    int8_t style


cdef struct Shape:
    # Kind, flags and source as they stand in a record's head; where its bones lie.
    uint32_t head
    uint32_t start
    uint32_t size


cdef struct Text:
    # A number as it stands: its digits without the point, and how many are behind it.
    uint64_t value
    int digits
    int fraction
    Py_ssize_t size


cdef inline bint _is_digit(uint8_t byte) noexcept nogil:
    return 48 <= byte <= 57


cdef bint _number_at(const uint8_t* at, const uint8_t* end, Text* text) noexcept nogil:
    """Read a plain number: no leading zeros, at most 18 digits, a point between digits or none."""
    cdef const uint8_t* start = at
    cdef uint64_t value = 0
    cdef int digits = 0, fraction = 0
    while at < end and _is_digit(at[0]):
        if digits == DIGITS_MAX:
            return False
        value = value * 10 + (at[0] - 48)
        digits += 1
        at += 1
    if digits == 0 or (digits > 1 and start[0] == 48):
        return False
    if at < end and at[0] == 46:
        at += 1
        while at < end and _is_digit(at[0]):
            if digits == DIGITS_MAX:
                return False
            value = value * 10 + (at[0] - 48)
            digits += 1
            fraction += 1
            at += 1
        if fraction == 0:
            return False
    text.value = value
    text.digits = digits
    text.fraction = fraction
    text.size = at - start
    return True


cdef inline int _hex_of(uint8_t byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    return -1


cdef bint _uuid_at(const uint8_t* at, const uint8_t* end, uint8_t* out) noexcept nogil:
    """Read 8-4-4-4-12 small hexadecimal digits into 16 bytes."""
    cdef int i, place = 0, high, low
    if end - at < UUID_CHARS:
        return False
    i = 0
    while i < UUID_CHARS:
        if i == 8 or i == 13 or i == 18 or i == 23:
            if at[i] != 45:
                return False
            i += 1
            continue
        high = _hex_of(at[i])
        low = _hex_of(at[i + 1])
        if high < 0 or low < 0:
            return False
        out[place] = <uint8_t> (high << 4 | low)
        place += 1
        i += 2
    return True


cdef void _write_uuid(uint8_t* out, const uint8_t* raw) noexcept nogil:
    cdef const char* digits = b"0123456789abcdef"
    cdef int i, at = 0
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            out[at] = 45
            at += 1
        out[at] = <uint8_t> digits[raw[i] >> 4]
        out[at + 1] = <uint8_t> digits[raw[i] & 15]
        at += 2


cdef int _write_number(uint8_t* out, uint64_t value, int fraction) noexcept nogil:
    """Write a value with so many decimals; returns its length, at most 20."""
    cdef uint8_t[24] held
    cdef int count = 0, i, at = 0
    while value or count <= fraction:
        if count == fraction and fraction:
            held[at] = 46
            at += 1
        held[at] = <uint8_t> (48 + value % 10)
        value //= 10
        at += 1
        count += 1
    for i in range(at):
        out[i] = held[at - 1 - i]
    return at


cdef inline uint64_t _zigzag(uint64_t value) noexcept nogil:
    # In unsigned arithmetic: a step between any two values wraps, and wraps back when read.
    return (value << 1) ^ (0 - (value >> 63))


cdef inline uint64_t _unzigzag(uint64_t value) noexcept nogil:
    return (value >> 1) ^ (0 - (value & 1))


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

    # --- columns ----------------------------------------------------------------------------------

    cdef bint _room(self, int number, Py_ssize_t wanted) noexcept nogil:
        cdef Column* column = &self.columns[number]
        cdef Py_ssize_t room
        cdef void* grown
        if column.used + wanted <= column.room:
            return True
        room = max(2 * column.room, column.used + wanted, 4096)
        grown = realloc(column.data, room)
        if grown == NULL:
            return False
        column.data = <uint8_t*> grown
        column.room = room
        return True

    cdef bint _put(self, int number, uint64_t value) noexcept nogil:
        cdef Column* column = &self.columns[number]
        if not self._room(number, 10):
            return False
        while value >= 128:
            column.data[column.used] = <uint8_t> (value & 127) | 128
            column.used += 1
            value >>= 7
        column.data[column.used] = <uint8_t> value
        column.used += 1
        return True

    cdef bint _put_byte(self, int number, uint8_t value) noexcept nogil:
        cdef Column* column = &self.columns[number]
        if not self._room(number, 1):
            return False
        column.data[column.used] = value
        column.used += 1
        return True

    cdef bint _put_bytes(self, int number, const uint8_t* data, Py_ssize_t size) noexcept nogil:
        cdef Column* column = &self.columns[number]
        if not self._room(number, size):
            return False
        memcpy(column.data + column.used, data, size)
        column.used += size
        return True

    cdef bint _take(self, int number, uint64_t* value) noexcept nogil:
        cdef Column* column = &self.reading[number]
        cdef uint64_t found = 0
        cdef int shift = 0
        cdef uint8_t byte
        while column.read < column.used and shift < 64:
            byte = column.data[column.read]
            column.read += 1
            found |= (<uint64_t> (byte & 127)) << shift
            if byte < 128:
                value[0] = found
                return True
            shift += 7
        return False

    cdef bint _take_byte(self, int number, uint8_t* value) noexcept nogil:
        cdef Column* column = &self.reading[number]
        if column.read == column.used:
            return False
        value[0] = column.data[column.read]
        column.read += 1
        return True

    cdef bint _put_size(self, uint64_t value) noexcept nogil:
        """Write a size as it is: its bytes have little in common but with those of their place."""
        cdef int number = SIZES
        while value >= 128:
            if not self._put_byte(number, <uint8_t> (value & 127) | 128):
                return False
            value >>= 7
            if number < SIZES + 2:
                number += 1
        return self._put_byte(number, <uint8_t> value)

    cdef bint _take_size(self, uint64_t* value) noexcept nogil:
        cdef uint64_t found = 0
        cdef int shift = 0, number = SIZES
        cdef uint8_t byte = 0
        while shift < 64:
            if not self._take_byte(number, &byte):
                return False
            found |= (<uint64_t> (byte & 127)) << shift
            if byte < 128:
                value[0] = found
                return True
            shift += 7
            if number < SIZES + 2:
                number += 1
        return False

    # --- numbers of a place -----------------------------------------------------------------------

    cdef bint _put_form(self, Slot* slot, const Text* text) noexcept nogil:
        """Say how a number that fits is written, and let its place learn from it."""
        cdef bint ends_in_zero = text.fraction > 0 and text.value % 10 == 0
        cdef bint is_usual
        if text.value == 0:
            is_usual = text.fraction == 0
        elif slot.style == TRIMMED:
            is_usual = text.fraction <= slot.decimals and not ends_in_zero
        else:
            is_usual = text.fraction == slot.decimals
        if is_usual:
            return self._put_byte(FORMS, 0)
        if text.fraction > slot.decimals:
            _rescale(slot, text.fraction)
            if ends_in_zero:
                slot.style = FIXED
        else:
            slot.style = FIXED if ends_in_zero else TRIMMED
        return self._put_byte(FORMS, <uint8_t> (1 + text.fraction))

    cdef bint _take_form(self, Slot* slot, int* form) noexcept nogil:
        """Read how the next number of a place is written, and let it have the decimals.

        Its style is settled once the number is known: see `_write`.
        """
        cdef uint8_t byte = 0
        if not self._take_byte(FORMS, &byte) or byte > DIGITS_MAX + 1:
            return False
        form[0] = byte
        if byte and byte - 1 > slot.decimals:
            _rescale(slot, byte - 1)
            form[0] = byte + ROSE
        return True

    cdef int _write(self, Slot* slot, int form, uint64_t units, uint8_t* out) noexcept nogil:
        """Write a number as it was; returns its length, 0 when there is none such."""
        cdef int fraction
        cdef bint ends_in_zero, rose = form > ROSE
        if units >= POWERS[DIGITS_MAX]:
            return 0
        if form:
            fraction = form - 1 - (ROSE if rose else 0)
            if units % POWERS[slot.decimals - fraction]:
                return 0
            units //= POWERS[slot.decimals - fraction]
            ends_in_zero = fraction > 0 and units % 10 == 0
            if ends_in_zero:
                slot.style = FIXED
            elif not rose:
                slot.style = TRIMMED
            return _write_number(out, units, fraction)
        if units == 0:
            out[0] = 48
            return 1
        fraction = slot.decimals
        if slot.style == TRIMMED:
            while fraction and units % 10 == 0:
                units //= 10
                fraction -= 1
        return _write_number(out, units, fraction)

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
        if not self._put(NUMBERS, _zigzag(value - self.last_number)):
            return False
        self.last_number = value
        memcpy(&value, record + 16, 8)
        if not self._put(TIMES, _zigzag(value - self.last_ns)):
            return False
        self.last_ns = value
        if not _is_text(record + HEADER, size):
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
                if _is_digit(byte):
                    used = self._put_number(at, end, _where(topic, near), near, &token)
                if used == 0 and (at - 1)[0] == 34 and _hex_of(byte) >= 0:
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
        if not _number_at(at, end, &text) or at + text.size == end:
            return 0
        if not _closes(at[text.size], is_quoted):
            return 0
        if not is_quoted and text.fraction == 0:
            token[0] = INTEGER
            if text.digits == CLOCK_DIGITS:
                if not self._put(CLOCKS, _zigzag(text.value - self.last_clock)):
                    return -1
                self.last_clock = text.value
                token[0] = CLOCK
            else:
                if not self._put(
                    INTEGERS + _class(near), _zigzag(text.value - <uint64_t> slot.last)
                ):
                    return -1
                slot.last = <int64_t> text.value
            return text.size
        if not _fits(slot, &text):
            return 0
        token[0] = DECIMAL
        if not self._put_form(slot, &text):
            return -1
        units = text.value * POWERS[slot.decimals - text.fraction]
        if not self._put(DECIMALS, _zigzag(units - <uint64_t> slot.last)):
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
            next_ = _pair_at(at, end, &price, &size)
            if next_ == NULL or not _fits(prices, &price) or not _fits(sizes, &size):
                break
            decimals = prices.decimals
            if not self._put_form(prices, &price):
                return -1
            units = price.value * POWERS[prices.decimals - price.fraction]
            if count == 0 or decimals != prices.decimals:
                last = <uint64_t> prices.last
            if not self._put(
                NEXT_PRICES if count else FIRST_PRICES, _zigzag(units - last)
            ):
                return -1
            last = units
            if count == 0:
                prices.last = <int64_t> units
            if not self._put_form(sizes, &size):
                return -1
            if not self._put_size(size.value * POWERS[sizes.decimals - size.fraction]):
                return -1
            count += 1
            at = next_
            if end - at < 2 or at[0] != 44 or at[1] != 91:
                break
            # The comma is part of the run only if another pair follows.
            if _pair_at(at + 1, end, &price, &size) == NULL:
                break
            if not _fits(prices, &price) or not _fits(sizes, &size):
                break
            at += 1
        if count and not self._put(COUNTS, count):
            return -1
        return at - start

    cdef Py_ssize_t _put_uuid(self, const uint8_t* at, const uint8_t* end) noexcept nogil:
        cdef uint8_t[16] raw
        if end - at <= UUID_CHARS or at[UUID_CHARS] != 34 or not _uuid_at(at, end, raw):
            return 0
        return UUID_CHARS if self._put_bytes(RAW, raw, 16) else -1

    # --- shapes -----------------------------------------------------------------------------------

    cdef bint _tell(self, int code) noexcept nogil:
        return (
            self._put_byte(SHAPES_LOW, <uint8_t> (code & 255))
            and self._put_byte(SHAPES_HIGH, <uint8_t> (code >> 8))
        )

    cdef bint _tell_text(
        self, uint8_t mode, const uint8_t* record, const uint8_t* text, Py_ssize_t size
    ) noexcept nogil:
        return (
            self._put_byte(TEXTS, mode)
            and self._put_bytes(TEXTS, record + 4, 4)
            and self._put(TEXTS, size)
            and self._put_bytes(TEXTS, text, size)
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
        at = <uint8_t*> _varint(at, end, &count)
        for i in range(COLUMNS):
            at = <uint8_t*> _varint(at, end, &length)
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
        if not self._take(NUMBERS, &step):
            return NULL
        self.last_number += _unzigzag(step)
        if not self._take(TIMES, &step):
            return NULL
        self.last_ns += _unzigzag(step)
        if not self._take_byte(SHAPES_LOW, &low) or not self._take_byte(SHAPES_HIGH, &high):
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
        if not self._take_byte(TEXTS, mode) or mode[0] > PLAIN or column.used - column.read < 4:
            return NULL
        memcpy(&shape.head, column.data + column.read, 4)
        column.read += 4
        if not self._take(TEXTS, &size) or size > <uint64_t> (column.used - column.read):
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
            if not self._take(CLOCKS, &step):
                return NULL
            self.last_clock += _unzigzag(step)
            if self.last_clock >= POWERS[DIGITS_MAX]:
                return NULL
            return out + _write_number(out, self.last_clock, 0)
        if token == INTEGER:
            if not self._take(INTEGERS + _class(near), &step):
                return NULL
            step = <uint64_t> slot.last + _unzigzag(step)
            if step >= POWERS[DIGITS_MAX]:
                return NULL
            slot.last = <int64_t> step
            return out + _write_number(out, step, 0)
        if token == DECIMAL:
            if not self._take_form(slot, &form) or not self._take(DECIMALS, &step):
                return NULL
            step = <uint64_t> slot.last + _unzigzag(step)
            size = self._write(slot, form, step, out)
            slot.last = <int64_t> step
            return out + size if size else NULL
        if token == UUID:
            if self.reading[RAW].used - self.reading[RAW].read < 16:
                return NULL
            _write_uuid(out, self.reading[RAW].data + self.reading[RAW].read)
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
        if not self._take(COUNTS, &count) or count == 0:
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
            if not self._take_form(prices, &form):
                return NULL
            if i == 0 or decimals != prices.decimals:
                last = <uint64_t> prices.last
            if not self._take(NEXT_PRICES if i else FIRST_PRICES, &step):
                return NULL
            last += _unzigzag(step)
            size = self._write(prices, form, last, at)
            if size == 0:
                return NULL
            if i == 0:
                prices.last = <int64_t> last
            at += size
            memcpy(at, b'","', 3)
            at += 3
            if not self._take_form(sizes, &form) or not self._take_size(&step):
                return NULL
            size = self._write(sizes, form, step, at)
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


cdef inline bint _fits(const Slot* slot, const Text* text) noexcept nogil:
    return text.digits + max(<int> slot.decimals, text.fraction) - text.fraction <= DIGITS_MAX


cdef bint _is_text(const uint8_t* payload, uint32_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        if payload[i] >= 0x80:
            return False
    return True


cdef const uint8_t* _pair_at(
    const uint8_t* at, const uint8_t* end, Text* price, Text* size
) noexcept nogil:
    """Read `["price","size"]`; returns the place behind it, or NULL."""
    if end - at < 9 or at[0] != 91 or at[1] != 34 or not _number_at(at + 2, end, price):
        return NULL
    at += 2 + price.size
    if end - at < 5 or at[0] != 34 or at[1] != 44 or at[2] != 34:
        return NULL
    if not _number_at(at + 3, end, size):
        return NULL
    at += 3 + size.size
    if end - at < 2 or at[0] != 34 or at[1] != 93:
        return NULL
    return at + 2


cdef const uint8_t* _varint(const uint8_t* at, const uint8_t* end, uint64_t* value) noexcept nogil:
    cdef uint64_t found = 0
    cdef int shift = 0
    while at != NULL and at < end and shift < 64:
        found |= (<uint64_t> (at[0] & 127)) << shift
        if at[0] < 128:
            value[0] = found
            return at + 1
        at += 1
        shift += 7
    return NULL


cdef void _rescale(Slot* slot, int decimals) noexcept nogil:
    """Let a place have more decimals; what it held last is brought to them, if it fits."""
    cdef uint64_t power = POWERS[decimals - slot.decimals]
    if slot.last < 0 or <uint64_t> slot.last >= POWERS[18] // power:
        slot.last = 0
    else:
        slot.last *= <int64_t> power
    slot.decimals = <int8_t> decimals
