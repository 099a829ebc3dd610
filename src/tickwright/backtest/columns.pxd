"""Owns a tape's columns as compiled code reads them, for whoever walks along one.

`tape.py` says what they hold.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uintptr_t

from tickwright.book.order_book cimport Level
from tickwright.matching.levels cimport ExternalLevels

cdef enum:
    DELTA = 0
    SNAPSHOT = 1
    TRADE = 2
    MARK = 3
    INDEX = 4
    FUNDING = 5
    STALE = 6

cdef struct Message:
    int64_t first
    int64_t second
    int64_t sequence
    int32_t bids
    int32_t asks
    uint16_t slot
    uint8_t kind
    uint8_t flags
    uint32_t spare


cdef inline bint is_about_book(const Message* message) noexcept:
    """Whether a message changes a book, or says that it can't be believed."""
    return message.kind <= SNAPSHOT or message.kind == STALE


cdef inline int change_levels(
    ExternalLevels levels, const Message* message, const Level* level
) except -1:
    """Set levels as a message about the book says; `level` is its first."""
    cdef int i
    if message.kind != DELTA:
        levels.forget()
        if message.kind == STALE:
            return 0
        levels.is_seen = True
    elif not levels.is_seen:
        return 0
    for i in range(message.bids):
        levels.put(1, level[i].price, level[i].size)
    level += message.bids
    for i in range(message.asks):
        levels.put(-1, level[i].price, level[i].size)
    levels.see_depth()
    return 0


cdef inline uintptr_t address(array, int item_size) except? 0:
    """Return where a column begins; whoever walks it keeps the array."""
    assert array.flags.c_contiguous and array.itemsize == item_size, array.dtype
    return array.ctypes.data
