"""Owns PostgreSQL's binary COPY format for rows of Python values, about half a microsecond a row.

Columns of whole numbers that are NumPy arrays already go another way (`copy_image`). It refuses a
value that doesn't fit its column.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy

__all__ = ["copy_rows"]

cdef enum:
    NUMERIC_NEGATIVE = 0x4000
    # Digits of a number as text; what is longer is no money.
    DIGITS_MAX = 100
    GROUPS_MAX = 40
    MONEY_DECIMALS = 18
    # Room that a value of fixed size, or a number, may need.
    ROOM = 128

# PostgreSQL counts microseconds from 2000-01-01.
cdef int64_t EPOCH_2000_US = 946_684_800_000_000


cdef class _Image:
    """Bytes that grow."""

    cdef uint8_t* at
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        free(self.at)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t wanted
        cdef uint8_t* grown
        if self.size + more <= self.room:
            return 0
        wanted = max(2 * self.room, self.size + more, 65_536)
        grown = <uint8_t*>realloc(self.at, wanted)
        if grown == NULL:
            raise MemoryError
        self.at = grown
        self.room = wanted
        return 0

    cdef void put(self, uint64_t value, int width) noexcept:
        """Append a number, most significant byte first; there must be room."""
        cdef int i
        for i in range(width):
            self.at[self.size + i] = <uint8_t>(value >> (8 * (width - 1 - i)))
        self.size += width

    cdef int text(self, object value) except -1:
        cdef Py_ssize_t size = 0
        cdef const char* found = PyUnicode_AsUTF8AndSize(value, &size)
        if memchr(found, 0, size) != NULL:
            # No text of PostgreSQL holds a zero byte.
            value = value.replace("\0", "")
            found = PyUnicode_AsUTF8AndSize(value, &size)
        self.reserve(size + ROOM)
        self.put(<uint64_t>size, 4)
        memcpy(self.at + self.size, found, size)
        self.size += size
        return 0

    cdef int numeric(self, object value, int shift) except -1:
        """Append an exact number given as plain text, divided by 10^shift."""
        cdef Py_ssize_t size = 0
        cdef const char* found = PyUnicode_AsUTF8AndSize(value, &size)
        cdef uint8_t[DIGITS_MAX] digits
        cdef int16_t[GROUPS_MAX] groups
        cdef int count = 0, scale = 0, i, first, last, place, weight
        cdef bint is_negative = False, has_point = False
        cdef char one
        for i in range(<int>size):
            one = found[i]
            if 48 <= one <= 57:
                if count == DIGITS_MAX:
                    raise ValueError(f"a number of more than {DIGITS_MAX} digits")
                digits[count] = <uint8_t>(one - 48)
                count += 1
                scale += has_point
            elif one == 46 and not has_point:
                has_point = True
            elif one == 45 and i == 0:
                is_negative = True
            else:
                raise ValueError("an amount must be plain digits")
        if not count:
            raise ValueError("an amount must be plain digits")
        scale += shift
        # Groups of four digits, counted from the point; digit i is worth 10^(count-1-i-scale).
        for i in range(GROUPS_MAX):
            groups[i] = 0
        # The weight of the group that the first digit, or the digit before the point, is in.
        place = count - 1 - scale
        weight = place // 4 if place >= 0 else -((3 - place) // 4)
        for i in range(count):
            place = count - 1 - i - scale
            last = place // 4 if place >= 0 else -((3 - place) // 4)
            if weight - last >= GROUPS_MAX:
                raise ValueError("an amount with too many decimals")
            groups[weight - last] += <int16_t>(digits[i] * _power(place - 4 * last))
        last = GROUPS_MAX
        while last and not groups[last - 1]:
            last -= 1
        first = 0
        while first < last and not groups[first]:
            first += 1
        self.reserve(8 + 2 * GROUPS_MAX + 4)
        self.put(8 + 2 * (last - first), 4)
        self.put(last - first, 2)
        self.put(<uint64_t><int64_t>(weight - first if last else 0), 2)
        self.put(NUMERIC_NEGATIVE if is_negative and last else 0, 2)
        self.put(scale, 2)
        for i in range(first, last):
            self.put(groups[i], 2)
        return 0


cdef int _power(int of) noexcept:
    return 1 if of == 0 else 10 if of == 1 else 100 if of == 2 else 1000


def copy_rows(list rows not None, str kinds not None, dict ids not None):
    """Return the COPY image of rows, each a tuple with a value, or None, for every kind.

    `kinds` has a letter a column: `h`, `i`, `q` whole numbers of 16, 32, 64 bits, `b` truth, `d` a
    float, `t` text, `z` a moment in UTC ns, `n` an exact number as text, `m` one in units of
    10^-18, `r` a key of `ids`, which has its 32-bit number.

    Raises:
        ValueError, OverflowError, TypeError, KeyError: a value is none of its column.
    """
    cdef _Image image = _Image()
    cdef bytes letters = kinds.encode("ascii")
    cdef const char* letter = letters
    cdef int width = <int>len(letters)
    cdef int i
    cdef char kind
    cdef int64_t whole
    cdef int32_t middle
    cdef int16_t small
    cdef double real
    cdef uint64_t bits
    cdef tuple row
    cdef object value
    image.reserve(ROOM)
    memcpy(image.at, b"PGCOPY\n\xff\r\n\0", 11)
    image.size = 11
    image.put(0, 8)
    for row in rows:
        if len(row) != width:
            raise ValueError("rows of another width")
        image.reserve(ROOM)
        image.put(width, 2)
        for i in range(width):
            kind = letter[i]
            value = row[i]
            image.reserve(ROOM)
            if value is None:
                image.put(<uint64_t><int64_t>-1, 4)
            elif kind == b"t":
                image.text(value)
            elif kind == b"q" or kind == b"z":
                whole = value
                if kind == b"z":
                    whole = _floor_us(whole) - EPOCH_2000_US
                image.put(8, 4)
                image.put(<uint64_t>whole, 8)
            elif kind == b"i" or kind == b"r":
                middle = ids[value] if kind == b"r" else value
                image.put(4, 4)
                image.put(<uint64_t><int64_t>middle, 4)
            elif kind == b"h":
                small = value
                image.put(2, 4)
                image.put(<uint64_t><int64_t>small, 2)
            elif kind == b"b":
                image.put(1, 4)
                image.put(1 if value else 0, 1)
            elif kind == b"d":
                real = value
                memcpy(&bits, &real, 8)
                image.put(8, 4)
                image.put(bits, 8)
            elif kind == b"n":
                image.numeric(value, 0)
            elif kind == b"m":
                image.numeric(value, MONEY_DECIMALS)
            else:
                raise ValueError(f"no kind of column is called {kinds[i]!r}")
    image.reserve(ROOM)
    image.put(0xFFFF, 2)
    return PyBytes_FromStringAndSize(<char*>image.at, image.size)


cdef int64_t _floor_us(int64_t at_ns) noexcept:
    return at_ns // 1000 if at_ns >= 0 else -((999 - at_ns) // 1000)
