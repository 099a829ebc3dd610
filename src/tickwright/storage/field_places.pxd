"""Owns what a place of a shape knows of its numbers: the last one, the decimals, how it is written.

Numbers are whole units of the decimals seen in their place. A number whose text isn't the usual one
of its place says its form, and the place learns from it, when it is read as when it was written.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t

from tickwright.storage.field_columns cimport Column, put_byte, take_byte
from tickwright.storage.field_text cimport DIGITS_MAX, Text, write_number

cdef extern from *:
    """
    static const uint64_t FIELD_POWERS[19] = {
        1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL, 100000000ULL,
        1000000000ULL, 10000000000ULL, 100000000000ULL, 1000000000000ULL, 10000000000000ULL,
        100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL, 100000000000000000ULL,
        1000000000000000000ULL};
    """
    const uint64_t[19] POWERS "FIELD_POWERS"

cdef enum:
    # how the numbers of a place are written
    FIXED = 0
    TRIMMED = 1
    # added to a form whose number gave its place more decimals
    ROSE = 64


cdef struct Slot:
    int64_t last
    int8_t decimals
    int8_t style


cdef inline void rescale(Slot* slot, int decimals) noexcept nogil:
    """Let a place have more decimals; what it held last is brought to them, if it fits."""
    cdef uint64_t power = POWERS[decimals - slot.decimals]
    if slot.last < 0 or <uint64_t> slot.last >= POWERS[18] // power:
        slot.last = 0
    else:
        slot.last *= <int64_t> power
    slot.decimals = <int8_t> decimals


cdef inline bint fits(const Slot* slot, const Text* text) noexcept nogil:
    return text.digits + max(<int> slot.decimals, text.fraction) - text.fraction <= DIGITS_MAX


cdef inline bint put_form(Column* forms, Slot* slot, const Text* text) noexcept nogil:
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
        return put_byte(forms, 0)
    if text.fraction > slot.decimals:
        rescale(slot, text.fraction)
        if ends_in_zero:
            slot.style = FIXED
    else:
        slot.style = FIXED if ends_in_zero else TRIMMED
    return put_byte(forms, <uint8_t> (1 + text.fraction))


cdef inline bint take_form(Column* forms, Slot* slot, int* form) noexcept nogil:
    """Read how the next number of a place is written, and let it have the decimals.

    Its style is settled once the number is known: see `write_as`.
    """
    cdef uint8_t byte = 0
    if not take_byte(forms, &byte) or byte > DIGITS_MAX + 1:
        return False
    form[0] = byte
    if byte and byte - 1 > slot.decimals:
        rescale(slot, byte - 1)
        form[0] = byte + ROSE
    return True


cdef inline int write_as(Slot* slot, int form, uint64_t units, uint8_t* out) noexcept nogil:
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
        return write_number(out, units, fraction)
    if units == 0:
        out[0] = 48
        return 1
    fraction = slot.decimals
    if slot.style == TRIMMED:
        while fraction and units % 10 == 0:
            units //= 10
            fraction -= 1
    return write_number(out, units, fraction)
