"""Owns conditional orders waiting for a price, by price, then time; refuses to activate them.

A rise reaches the lowest trigger first, a fall the highest. Each of the six lists (three prices,
two directions) holds the order to be reached first at its end.
"""

cimport cython
from libc.stdint cimport int64_t

from tickwright.matching.orders cimport BookOrder

__all__ = ["TriggerBook"]


cdef int _list_of(BookOrder order) noexcept:
    return 2 * order.trigger_by_code + (1 if order.trigger_rises else 0)


cdef bint _is_reached_later(BookOrder order, BookOrder other) noexcept:
    """Whether a move meets `order` after `other`."""
    if order.trigger_price_units != other.trigger_price_units:
        return (order.trigger_price_units > other.trigger_price_units) == order.trigger_rises
    return order.arrival > other.arrival


@cython.final
cdef class TriggerBook:
    """Waiting orders; `count` is how many."""

    def __cinit__(self):
        self.waiting = [[], [], [], [], [], []]

    cdef bint has(self, int by) noexcept:
        """Whether any order waits for this kind of price."""
        return len(<list> self.waiting[2 * by]) > 0 or len(<list> self.waiting[2 * by + 1]) > 0

    cdef int add(self, BookOrder order) except -1:
        """Let an order wait."""
        cdef list orders = <list> self.waiting[_list_of(order)]
        orders.insert(self.place(orders, order), order)
        self.count += 1
        return 0

    cdef int remove(self, BookOrder order) except -1:
        """Take a waiting order out; it must be in."""
        cdef list orders = <list> self.waiting[_list_of(order)]
        cdef int place = self.place(orders, order)
        assert place < len(orders) and orders[place] is order
        del orders[place]
        self.count -= 1
        return 0

    cdef BookOrder pop_due(self, int by, int64_t price_units):
        """Take out the first order that this price triggers, or None."""
        cdef list rising = <list> self.waiting[2 * by + 1]
        cdef list falling = <list> self.waiting[2 * by]
        if rising and (<BookOrder> rising[len(rising) - 1]).trigger_price_units <= price_units:
            self.count -= 1
            return <BookOrder> rising.pop()
        if falling and (<BookOrder> falling[len(falling) - 1]).trigger_price_units >= price_units:
            self.count -= 1
            return <BookOrder> falling.pop()
        return None

    cdef int place(self, list orders, BookOrder order) noexcept:
        """Return where an order is, or belongs."""
        cdef int low = 0, high = <int> len(orders), middle
        while low < high:
            middle = (low + high) >> 1
            if _is_reached_later(<BookOrder> orders[middle], order):
                low = middle + 1
            else:
                high = middle
        return low
