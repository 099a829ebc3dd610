"""Owns how numbers, identifiers and levels stand in the text of a frame: read and written exactly.

Refuses every form that couldn't be written back as it was.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    DIGITS_MAX = 18
    UUID_CHARS = 36
    PAIR_CHARS_MAX = 64


cdef struct Text:
    # A number as it stands: its digits without the point, and how many are behind it.
    uint64_t value
    int digits
    int fraction
    Py_ssize_t size


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return 48 <= byte <= 57


cdef inline bint number_at(const uint8_t* at, const uint8_t* end, Text* text) noexcept nogil:
    """Read a plain number: no leading zeros, at most 18 digits, a point between digits or none."""
    cdef const uint8_t* start = at
    cdef uint64_t value = 0
    cdef int digits = 0, fraction = 0
    while at < end and is_digit(at[0]):
        if digits == DIGITS_MAX:
            return False
        value = value * 10 + (at[0] - 48)
        digits += 1
        at += 1
    if digits == 0 or (digits > 1 and start[0] == 48):
        return False
    if at < end and at[0] == 46:
        at += 1
        while at < end and is_digit(at[0]):
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


cdef inline int hex_of(uint8_t byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    return -1


cdef inline bint uuid_at(const uint8_t* at, const uint8_t* end, uint8_t* out) noexcept nogil:
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
        high = hex_of(at[i])
        low = hex_of(at[i + 1])
        if high < 0 or low < 0:
            return False
        out[place] = <uint8_t> (high << 4 | low)
        place += 1
        i += 2
    return True


cdef inline void write_uuid(uint8_t* out, const uint8_t* raw) noexcept nogil:
    cdef const char* digits = b"0123456789abcdef"
    cdef int i, at = 0
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            out[at] = 45
            at += 1
        out[at] = <uint8_t> digits[raw[i] >> 4]
        out[at + 1] = <uint8_t> digits[raw[i] & 15]
        at += 2


cdef inline int write_number(uint8_t* out, uint64_t value, int fraction) noexcept nogil:
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


cdef inline bint is_ascii(const uint8_t* payload, uint32_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        if payload[i] >= 0x80:
            return False
    return True


cdef inline const uint8_t* pair_at(
    const uint8_t* at, const uint8_t* end, Text* price, Text* size
) noexcept nogil:
    """Read `["price","size"]`; returns the place behind it, or NULL."""
    if end - at < 9 or at[0] != 91 or at[1] != 34 or not number_at(at + 2, end, price):
        return NULL
    at += 2 + price.size
    if end - at < 5 or at[0] != 34 or at[1] != 44 or at[2] != 34:
        return NULL
    if not number_at(at + 3, end, size):
        return NULL
    at += 3 + size.size
    if end - at < 2 or at[0] != 34 or at[1] != 93:
        return NULL
    return at + 2
