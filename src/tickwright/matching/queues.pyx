"""Owns users' resting orders of one side by price, then time; refuses to match them.

Prices are signed keys (bids +price, asks -price) in one ascending array: the best is last, and one
routine serves both sides. The orders of a price are linked, oldest first, by borrowed pointers:
the book that queues an order keeps it alive until it has taken it out.
"""

cimport cython
from cpython.ref cimport PyObject
from libc.math cimport log1p, pow
from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from tickwright.matching.orders cimport BookOrder

__all__ = ["OwnSide"]


@cython.final
cdef class OwnSide:
    """Users' orders of one side, oldest first at each price; `ahead_units` never falls along it."""

    def __cinit__(self, int side):
        self.sign = side

    def __dealloc__(self):
        free(self.queues)

    cdef int at(self, int64_t key) noexcept:
        """Return the place of a price's queue, or -1 when nobody rests there."""
        cdef int low = 0, high = self.count, middle
        # Most questions are about the best price.
        if high and self.queues[high - 1].key == key:
            return high - 1
        while low < high:
            middle = (low + high) >> 1
            if self.queues[middle].key < key:
                low = middle + 1
            else:
                high = middle
        return low if low < self.count and self.queues[low].key == key else -1

    cdef int add(self, BookOrder order) except -1:
        """Queue an order last at its price."""
        cdef int64_t key = self.sign * order.price_units
        cdef int place = self.at(key), room
        cdef PriceQueue* queues
        if place >= 0:
            order.before = self.queues[place].tail
            order.behind = NULL
            (<BookOrder> order.before).behind = <PyObject*> order
            self.queues[place].tail = <PyObject*> order
            return 0
        if self.count == self.room:
            room = 2 * self.room if self.room else 16
            queues = <PriceQueue*> realloc(self.queues, room * sizeof(PriceQueue))
            if queues == NULL:
                raise MemoryError
            self.queues = queues
            self.room = room
        place = self.count
        while place and self.queues[place - 1].key > key:
            place -= 1
        queues = self.queues + place
        memmove(queues + 1, queues, (self.count - place) * sizeof(PriceQueue))
        self.count += 1
        order.before = order.behind = NULL
        queues.key = key
        queues.head = queues.tail = <PyObject*> order
        queues.seen = order.ahead_units
        queues.traded = 0
        return 0

    cdef int remove(self, BookOrder order) except -1:
        """Take an order out; it must be in."""
        cdef int place = self.at(self.sign * order.price_units)
        cdef PriceQueue* queue
        assert place >= 0, f"{order} rests nowhere"
        queue = self.queues + place
        if order.before == NULL:
            queue.head = order.behind
        else:
            (<BookOrder> order.before).behind = order.behind
        if order.behind == NULL:
            queue.tail = order.before
        else:
            (<BookOrder> order.behind).before = order.before
        order.before = order.behind = NULL
        if queue.head == NULL:
            self.count -= 1
            memmove(queue, queue + 1, (self.count - place) * sizeof(PriceQueue))
        return 0

    cdef void advance(self, int place, int64_t traded) noexcept:
        """Count external size before these orders as traded away."""
        cdef PyObject* order = self.queues[place].head
        cdef int64_t ahead
        while order != NULL:
            ahead = (<BookOrder> order).ahead_units - traded
            (<BookOrder> order).ahead_units = ahead if ahead > 0 else 0
            order = (<BookOrder> order).behind

    cdef void estimate(self, int place, int64_t external, int model, double exponent) noexcept:
        """Share what left the price without a trade between those before and behind each order.

        What left stood before an order with the weight f(before) among f(before) + f(behind), f by
        the model: the probabilistic queue models that hftbacktest's documentation describes.
        Rounded down: nobody moves forward by a fraction.
        """
        cdef PriceQueue* queue = self.queues + place
        cdef int64_t gone = queue.seen - external - queue.traded, ahead, behind, least = 0
        cdef bint was_seen = queue.seen >= 0
        cdef double before_weight, behind_weight
        cdef PyObject* order = queue.head
        queue.seen = external
        queue.traded = 0
        if not was_seen or gone <= 0:
            return
        while order != NULL:
            ahead = (<BookOrder> order).ahead_units
            if ahead > 0:
                behind = external + gone - ahead
                if behind < 0:
                    behind = 0
                if model == LOG:
                    before_weight, behind_weight = log1p(ahead), log1p(behind)
                else:
                    before_weight, behind_weight = pow(ahead, exponent), pow(behind, exponent)
                ahead -= <int64_t> (gone * (before_weight / (before_weight + behind_weight)))
                if ahead < least:
                    ahead = least
                (<BookOrder> order).ahead_units = ahead
            least = (<BookOrder> order).ahead_units
            order = (<BookOrder> order).behind

    cdef void cap(self, int place, int64_t external) noexcept:
        """Bound each place by what is left at the price: no more than that can be before it."""
        # The last place is the largest: from there on forward, until one is within the bound.
        cdef PyObject* order = self.queues[place].tail
        while order != NULL and (<BookOrder> order).ahead_units > external:
            (<BookOrder> order).ahead_units = external
            order = (<BookOrder> order).before

    cdef list orders(self):
        """Return the orders in price-time order."""
        cdef list found = []
        cdef int place
        cdef PyObject* order
        for place in range(self.count - 1, -1, -1):
            order = self.queues[place].head
            while order != NULL:
                found.append(<BookOrder> order)
                order = (<BookOrder> order).behind
        return found
