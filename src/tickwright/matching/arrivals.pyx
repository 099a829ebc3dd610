"""Owns what an order does when it arrives: takes, rests or ends; refuses to say when it arrives.

It takes external levels and users' orders at better prices first, and at one price in the order of
time: the external size before a user's order, then that order.
"""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport free, realloc

from tickwright.matching.events cimport (
    HIT_BY_ORDER,
    NO_LIQUIDITY,
    NOT_ENOUGH_FOR_FULL,
    POST_ONLY_WOULD_TAKE,
    QUOTE_SPENT,
    REDUCE_ONLY,
    REMAINDER,
    SELF_TRADED,
    TOOK,
)
from tickwright.matching.live_orders cimport Holding, LiveOrders
from tickwright.matching.orders cimport (
    CANCEL_MAKER,
    CANCEL_TAKER,
    DONE,
    FOK,
    GTC,
    SELF_TRADE_NONE,
    BookOrder,
    int128,
)
from tickwright.matching.queues cimport OwnSide

__all__ = ["Arrivals"]


cdef class Arrivals(LiveOrders):
    """The live orders, and how one more of them meets what rests."""

    def __dealloc__(self):
        free(self.printed)

    cdef int enter(self, BookOrder order, int64_t now_ns) except -1:
        """Match an order that arrives at the book, then rest or end it."""
        self.levels.look(now_ns)
        if order.reduce_only and not self.fit(order, now_ns):
            return self.end(order, REDUCE_ONLY, now_ns)
        if order.is_market and order.price_units == 0:
            order.price_units = self.bound_of(order.side_code, -1)
        if order.post_only and self.would_take(order):
            return self.end(order, POST_ONLY_WOULD_TAKE, now_ns)
        if order.tif_code == FOK and not self.can_fill_whole(order):
            return self.end(order, NOT_ENOUGH_FOR_FULL, now_ns)
        self.take(order, now_ns)
        if order.phase_code == DONE:
            return 0
        if order.quote_max and self.quote_lots(order, order.price_units) == 0:
            return self.end(order, QUOTE_SPENT, now_ns)
        if order.tif_code != GTC:
            return self.end(order, REMAINDER if order.filled_units else NO_LIQUIDITY, now_ns)
        # An impact of ours must not turn a taker into a maker, who pays less.
        order.was_kept_off = self.levels.is_moved(order.side_code) and self.would_take(order)
        return self.rest(order, now_ns)

    cdef int take(self, BookOrder order, int64_t now_ns) except -1:
        """Take everything within the limit, price by price, as far as the order goes."""
        cdef OwnSide makers = self.side_of(-order.side_code)
        cdef int64_t limit = -order.side_code * order.price_units, price
        while order.phase_code != DONE:
            if makers.count == 0 or makers.queues[makers.count - 1].key < limit:
                self.take_external(order, order.price_units, INT64_MAX, now_ns)
                return 0
            price = -order.side_code * makers.queues[makers.count - 1].key
            self.take_external(order, price - order.side_code, INT64_MAX, now_ns)
            if order.phase_code == DONE or not self.meet(order, price, now_ns):
                return 0
        return 0

    cdef int meet(self, BookOrder order, int64_t price, int64_t now_ns) except -1:
        """Take one step at the price of users' best orders; 0 when the order can't go on."""
        cdef OwnSide makers = self.side_of(-order.side_code)
        cdef int64_t key = -order.side_code * price, passed, size, match_id, maker_id
        cdef int place = makers.at(key)
        cdef BookOrder head
        if place < 0:
            return 1  # what the order took at better prices ended those that rested here
        head = <BookOrder> makers.queues[place].head
        if head.ahead_units and self.levels.is_moved(order.side_code):
            # What is before that order isn't at its price for this one; what is there comes first.
            self.take_external(order, price, INT64_MAX, now_ns)
            place = makers.at(key)
            if order.phase_code == DONE or place < 0:
                return 1
            head = <BookOrder> makers.queues[place].head
        elif head.ahead_units:
            passed = self.take_external(order, price, head.ahead_units, now_ns)
            place = makers.at(key)
            if place >= 0:
                makers.advance(place, passed)
                if not passed and order.phase_code != DONE:
                    if self.levels.external_at(-order.side_code, price):
                        return 0  # an order by quote amount that can't afford one more lot
                    makers.cap(place, 0)
            return 1
        if head.account == order.account and order.self_trade_code != SELF_TRADE_NONE:
            if order.self_trade_code != CANCEL_TAKER:
                self.end(head, SELF_TRADED, now_ns)
            if order.self_trade_code != CANCEL_MAKER:
                self.end(order, SELF_TRADED, now_ns)
                return 0
            return 1
        size = self.quote_lots(order, price)
        if size > head.remaining_units:
            size = head.remaining_units
        if size == 0:
            return 0
        match_id = self.next_id()
        maker_id = head.order_id
        self.print_price(price)
        self.fill_maker(head, size, HIT_BY_ORDER, order.order_id, match_id, now_ns)
        self.fill(order, price, size, False, TOOK, maker_id, match_id, now_ns)
        return 1

    cdef int64_t take_external(
        self, BookOrder order, int64_t limit, int64_t size_max, int64_t now_ns
    ) except -1:
        """Take external levels up to a price; return the size taken."""
        cdef int64_t total = 0, wanted, lots, bound
        cdef int i
        while order.phase_code != DONE:
            wanted = order.remaining_units
            if wanted > size_max - total:
                wanted = size_max - total
            bound = limit
            if order.quote_max:
                # One level at a time: each price affords a different size.
                bound = self.levels.best_price(-order.side_code)
                if bound == 0 or order.side_code * bound > order.side_code * limit:
                    break
                lots = self.quote_lots(order, bound)
                if wanted > lots:
                    wanted = lots
            if wanted <= 0:
                break
            self.levels.take_within(order.side_code, wanted, bound)
            for i in range(self.levels.found_count):
                self.print_price(self.levels.found[i].price)
                total += self.levels.found[i].size
                self.fill(
                    order, self.levels.found[i].price, self.levels.found[i].size, False, TOOK, 0,
                    self.next_id(), now_ns,
                )
            self.levels.took(order.side_code)
            if self.levels.found_count == 0 or order.quote_max == 0:
                break
        return total

    cdef bint would_take(self, BookOrder order) except -1:
        cdef int64_t best = self.levels.shown_best(-order.side_code)
        return best != 0 and order.side_code * best <= order.side_code * order.price_units

    cdef bint can_fill_whole(self, BookOrder order) except -1:
        """Say whether everything within the limit, as it would really be matched, is enough."""
        cdef OwnSide makers = self.side_of(-order.side_code)
        cdef bint prevents = order.self_trade_code != SELF_TRADE_NONE
        cdef int128 available = 0, before, size, room
        cdef int64_t external
        cdef BookOrder maker
        cdef PyObject* pointer
        cdef int i, place
        cdef dict reduced = {}
        self.levels.see_within(order.side_code, order.price_units)
        for i in range(self.levels.found_count):
            if available >= order.remaining_units:
                break
            external = self.levels.found[i].size
            before = 0
            place = makers.at(-order.side_code * self.levels.found[i].price)
            pointer = makers.queues[place].head if place >= 0 else NULL
            while pointer != NULL:
                maker = <BookOrder> pointer
                pointer = maker.behind
                if prevents and maker.account == order.account:
                    if order.self_trade_code != CANCEL_MAKER:
                        room = maker.ahead_units if maker.ahead_units < external else external
                        available += room + before
                        return available >= order.remaining_units
                    continue
                size = maker.remaining_units
                done = reduced.get(maker.position, 0)
                if maker.reduce_only:
                    room = -maker.side_code * (<Holding> maker.holding).held - <int128> done
                    if room < 0:
                        room = 0
                    if size > room:
                        size = room
                reduced[maker.position] = done + size
                before += size
            available += external + before
        return available >= order.remaining_units

    cdef int64_t quote_lots(self, BookOrder order, int64_t price) noexcept:
        """Return the size an order by quote amount can afford; for others its remaining size."""
        cdef int128 afford
        if order.quote_max == 0:
            return order.remaining_units
        afford = (order.quote_max - order.spent) // price
        afford = afford // self.lot_units * self.lot_units
        return order.remaining_units if afford > order.remaining_units else <int64_t> afford

    cdef int print_price(self, int64_t price) except -1:
        """Note a trade price; what waits for it is triggered when the present match is done."""
        cdef int room
        cdef int64_t* moved
        self.last_price_units = price
        if self.triggers.count == 0:
            return 0
        if self.printed_count and self.printed[self.printed_count - 1] == price:
            return 0
        if self.printed_count == self.printed_room:
            room = 2 * self.printed_room if self.printed_room else 16
            moved = <int64_t*> realloc(self.printed, room * sizeof(int64_t))
            if moved == NULL:
                raise MemoryError
            self.printed = moved
            self.printed_room = room
        self.printed[self.printed_count] = price
        self.printed_count += 1
        return 0
