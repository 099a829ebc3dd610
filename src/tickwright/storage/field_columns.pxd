"""Owns columns of bytes: they grow while they are written and are read once, from the start.

Whole numbers stand in 7 bits a byte, least first. Writing fails without memory, reading at the end.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy


cdef struct Column:
    uint8_t* data
    Py_ssize_t used
    Py_ssize_t room
    Py_ssize_t read


cdef inline bint make_room(Column* column, Py_ssize_t wanted) noexcept nogil:
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


cdef inline bint put(Column* column, uint64_t value) noexcept nogil:
    if not make_room(column, 10):
        return False
    while value >= 128:
        column.data[column.used] = <uint8_t> (value & 127) | 128
        column.used += 1
        value >>= 7
    column.data[column.used] = <uint8_t> value
    column.used += 1
    return True


cdef inline bint put_byte(Column* column, uint8_t value) noexcept nogil:
    if not make_room(column, 1):
        return False
    column.data[column.used] = value
    column.used += 1
    return True


cdef inline bint put_bytes(Column* column, const uint8_t* data, Py_ssize_t size) noexcept nogil:
    if not make_room(column, size):
        return False
    memcpy(column.data + column.used, data, size)
    column.used += size
    return True


cdef inline bint take(Column* column, uint64_t* value) noexcept nogil:
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


cdef inline bint take_byte(Column* column, uint8_t* value) noexcept nogil:
    if column.read == column.used:
        return False
    value[0] = column.data[column.read]
    column.read += 1
    return True


cdef inline bint put_spread(Column* columns, uint64_t value) noexcept nogil:
    """Write a value as it is over three columns: its first byte, its second, and the rest."""
    cdef int number = 0
    while value >= 128:
        if not put_byte(columns + number, <uint8_t> (value & 127) | 128):
            return False
        value >>= 7
        if number < 2:
            number += 1
    return put_byte(columns + number, <uint8_t> value)


cdef inline bint take_spread(Column* columns, uint64_t* value) noexcept nogil:
    cdef uint64_t found = 0
    cdef int shift = 0, number = 0
    cdef uint8_t byte = 0
    while shift < 64:
        if not take_byte(columns + number, &byte):
            return False
        found |= (<uint64_t> (byte & 127)) << shift
        if byte < 128:
            value[0] = found
            return True
        shift += 7
        if number < 2:
            number += 1
    return False


cdef inline const uint8_t* varint(
    const uint8_t* at, const uint8_t* end, uint64_t* value
) noexcept nogil:
    """Read a number that stands alone; returns the place behind it, or NULL."""
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


cdef inline uint64_t zigzag(uint64_t value) noexcept nogil:
    # In unsigned arithmetic: a step between any two values wraps, and wraps back when read.
    return (value << 1) ^ (0 - (value >> 63))


cdef inline uint64_t unzigzag(uint64_t value) noexcept nogil:
    return (value >> 1) ^ (0 - (value & 1))
