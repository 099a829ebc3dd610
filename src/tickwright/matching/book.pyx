"""Owns the matching of users' orders at one instrument: who trades with whom, when, at what price.

Refuses money, wire words and a time of its own: `now_ns` comes in, everything is a whole number.

The rules, in one place:
- Price, then time. An order queues behind the external size at its price when it arrives
  (`ahead_units`); external trades at the price and users' takes move it forward; a level that
  shrinks caps its place.
- An external trade fills our orders beyond its price first, then those at its price whose turn has
  come. All of them share the one traded size. A trade that uses up the queue exactly fills nobody.
- External size that appears at or beyond our price meets our order at our price, for no more than
  is shown, and is consumed.
- An incoming order takes external levels and users' orders at better prices first; what it takes
  stays taken until the source sets the level again (`Liquidity`).
- Trades of an instant come before the level changes that show their effect; otherwise a place in
  the queue would be counted forward twice.
- A reduce-only order never fills beyond its position; it is trimmed whenever the position shrinks.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t

from tickwright.matching.arrivals cimport Arrivals
from tickwright.matching.events cimport (
    BOOK_CROSSED,
    BY_USER,
    HIT_BY_TRADE,
    MARGIN,
    TRADED_THROUGH,
    Amended,
    Triggered,
    reason_code,
)
from tickwright.matching.live_orders cimport Holding
from tickwright.matching.orders cimport (
    ARMED,
    BY_LAST,
    DUE,
    NEW,
    PRICE_UNITS_LIMIT,
    BookOrder,
    int128,
    trigger_code,
)
from tickwright.matching.queues cimport OwnSide

from tickwright.matching.kinds import CancelReason
from tickwright.matching.levels import UNSEEN_UNITS

__all__ = ["MatchingBook"]

cdef object _BY_USER = CancelReason.BY_USER
cdef int64_t UNSEEN = UNSEEN_UNITS


@cython.final
cdef class MatchingBook(Arrivals):
    """Users' orders of one instrument against external levels and each other.

    `new_id` gives numbers for the orders and matches made here (a position's stops, executions);
    it must be shared with whoever numbers the orders submitted. `admit` is asked with (order,
    now_ns) before a triggered order enters the book; None admits all. `positions` are the signed
    sizes by position key, the fold of executions.

    Neither of the two, nor the liquidity, may call the book back: that raises RuntimeError. How
    many orders live here is the caller's limit; records are kept until `drain`.
    """

    def __cinit__(
        self, liquidity, *, new_id, int64_t lot_units=1, int64_t tick_units=1, admit=None
    ):
        self.admit = admit

    def queue_by(self, model, double exponent=1.0):
        """Choose how orders move forward when size leaves their price without a trade."""
        assert exponent > 0, f"exponent {exponent}"
        self.queue_model = int(model)
        self.queue_exponent = exponent

    # requests -------------------------------------------------------------------------------------

    def submit(self, BookOrder order not None, int64_t now_ns):
        """Take a new order: arm it when it is conditional, else match it and rest what may rest."""
        self.begin()
        try:
            self.submit_order(order, now_ns)
        finally:
            self.is_busy = False

    def cancel(self, order_id, int64_t now_ns, reason=_BY_USER):
        """End an order; False when there is no such live order."""
        cdef BookOrder order = self.live.get(order_id)
        cdef int place = BY_USER if reason is _BY_USER else reason_code(reason)
        if order is None:
            return False
        self.begin()
        try:
            self.cancel_order(order, now_ns, place)
        finally:
            self.is_busy = False
        return True

    def amend(
        self, order_id, int64_t now_ns, *, price_units=None, size_units=None,
        trigger_price_units=None, take_profit_units=None, stop_loss_units=None,
    ):
        """Change an order's terms; None leaves one. `size_units` counts the filled part too.

        A smaller size keeps the place in the queue; a new price or a larger size loses it, and may
        match at once. The caller has made sure that the new size is above the filled one. False: no
        such live order.
        """
        cdef BookOrder order = self.live.get(order_id)
        cdef int64_t price, size, trigger
        if order is None:
            return False
        price = order.price_units if price_units is None else price_units
        size = order.size_units if size_units is None else size_units
        trigger = order.trigger_price_units if trigger_price_units is None else trigger_price_units
        assert size > order.filled_units, f"{order} amended to {size}"
        assert 0 < price <= PRICE_UNITS_LIMIT or price == order.price_units, f"price {price}"
        assert 0 <= trigger <= PRICE_UNITS_LIMIT, f"trigger {trigger}"
        self.begin()
        try:
            if take_profit_units is not None:
                order.take_profit_units = take_profit_units
            if stop_loss_units is not None:
                order.stop_loss_units = stop_loss_units
            self.amend_order(order, price, size, trigger, now_ns)
        finally:
            self.is_busy = False
        return True

    cdef int submit_order(self, BookOrder order, int64_t now_ns) except -1:
        self.admit_new(order)
        if order.trigger_price_units:
            self.arm(order, now_ns)
        else:
            self.enter(order, now_ns)
        return self.run_triggers(now_ns)

    cdef int cancel_order(self, BookOrder order, int64_t now_ns, int reason) except -1:
        return self.end(order, reason, now_ns)

    cdef int amend_order(
        self, BookOrder order, int64_t price, int64_t size, int64_t trigger, int64_t now_ns
    ) except -1:
        cdef Amended told = Amended.__new__(Amended)
        told.order = order
        told.price_units = price
        told.size_units = size
        told.kept_priority = True
        told.now_ns = now_ns
        if order.phase_code == ARMED:
            self.triggers.remove(order)
            order.trigger_price_units = trigger
            order.resize(size)
            order.price_units = price
            self.triggers.add(order)
            self.events.append(told)
            return 0
        if price == order.price_units and size <= order.size_units:
            self.levels.hide(order.side_code, price, order.size_units - size)
            order.resize(size)
            self.events.append(told)
            return 0
        self.pull(order)
        order.resize(size)
        order.price_units = price
        told.kept_priority = False
        self.events.append(told)
        self.enter(order, now_ns)
        return self.run_triggers(now_ns)

    # the market moves -----------------------------------------------------------------------------

    def on_trade(self, int aggressor, int64_t price_units, int64_t size_units, int64_t now_ns):
        """Let an external trade fill the orders it reached and trigger what waits for it."""
        assert aggressor * aggressor == 1 and 0 < price_units <= PRICE_UNITS_LIMIT
        assert size_units >= 0, f"a trade of {size_units}"
        self.begin()
        try:
            self.external_trade(aggressor, price_units, size_units, now_ns)
        finally:
            self.is_busy = False

    def on_book_change(self, int64_t now_ns):
        """Follow changed external levels: cap places in queues, fill what the market moved onto."""
        self.begin()
        try:
            self.levels_changed(now_ns)
        finally:
            self.is_busy = False

    def on_price(self, by, int64_t price_units, int64_t now_ns):
        """Trigger what waits for a mark or index price."""
        self.begin()
        try:
            self.price_seen(trigger_code(by), price_units, now_ns)
        finally:
            self.is_busy = False

    cdef int external_trade(
        self, int aggressor, int64_t price, int64_t size, int64_t now_ns
    ) except -1:
        cdef OwnSide makers = self.side_of(-aggressor)
        cdef int64_t limit = -aggressor * price, left = size, part, ahead
        cdef int best, cause
        cdef BookOrder head
        while left > 0 and makers.count and makers.queues[makers.count - 1].key >= limit:
            best = makers.count - 1
            head = <BookOrder> makers.queues[best].head
            if makers.queues[best].key > limit:
                makers.cap(best, 0)
                cause = TRADED_THROUGH
            else:
                ahead = head.ahead_units
                if ahead:
                    part = left if left < ahead else ahead
                    makers.advance(best, part)
                    makers.queues[best].traded += part
                    left -= part
                    continue
                cause = HIT_BY_TRADE
            part = left if left < head.remaining_units else head.remaining_units
            left -= part
            self.fill_maker(head, part, cause, 0, self.next_id(), now_ns)
        if left > 0:
            best = makers.at(limit)
            if best >= 0:
                # It met those behind our orders.
                makers.queues[best].traded += left
        self.print_price(price)
        return self.run_triggers(now_ns)

    cdef int levels_changed(self, int64_t now_ns) except -1:
        cdef OwnSide makers
        cdef BookOrder last
        cdef int64_t external
        cdef int place, side
        if self.bids.count == 0 and self.asks.count == 0:
            return 0
        self.levels.look(now_ns)
        for side in (1, -1):
            makers = self.side_of(side)
            for place in range(makers.count):
                last = <BookOrder> makers.queues[place].tail
                if not last.ahead_units:
                    continue
                external = self.levels.external_at(side, last.price_units)
                if self.queue_model:
                    if external >= UNSEEN:
                        makers.queues[place].seen = -1
                    else:
                        makers.estimate(
                            place, external, self.queue_model, self.queue_exponent
                        )
                makers.cap(place, external)
        if not self.levels.is_crossed():
            return 0
        self.cross(1, now_ns)
        self.cross(-1, now_ns)
        return self.run_triggers(now_ns)

    cdef int cross(self, int side, int64_t now_ns) except -1:
        """Fill a side's orders from the external size that the market moved onto them."""
        cdef OwnSide makers = self.side_of(side)
        cdef BookOrder head
        cdef int64_t size
        cdef int i
        while makers.count:
            head = <BookOrder> makers.queues[makers.count - 1].head
            self.levels.take_within(side, head.remaining_units, head.price_units)
            if self.levels.found_count == 0:
                return 0
            size = 0
            for i in range(self.levels.found_count):
                size += self.levels.found[i].size
            makers.cap(makers.count - 1, 0)
            self.print_price(head.price_units)
            self.fill_maker(head, size, BOOK_CROSSED, 0, self.next_id(), now_ns)
        return 0

    cdef int price_seen(self, int by, int64_t price, int64_t now_ns) except -1:
        self.trigger_due(by, price, now_ns)
        return self.run_triggers(now_ns)

    # triggers -------------------------------------------------------------------------------------

    cdef int run_triggers(self, int64_t now_ns) except -1:
        # A triggered order's own fills print prices that may trigger more; each pass takes an order
        # out of the waiting ones, so it ends.
        cdef int i = 0
        while i < self.printed_count:
            self.trigger_due(BY_LAST, self.printed[i], now_ns)
            i += 1
        self.printed_count = 0
        return 0

    cdef int trigger_due(self, int by, int64_t price, int64_t now_ns) except -1:
        cdef BookOrder order = self.triggers.pop_due(by, price)
        cdef list due
        if order is None:
            return 0
        due = []
        while order is not None:
            order.phase_code = DUE
            due.append(order)
            order = self.triggers.pop_due(by, price)
        for order in due:
            if order.phase_code == DUE:
                self.activate(order, price, now_ns)
        return 0

    cdef int activate(self, BookOrder order, int64_t seen_price, int64_t now_ns) except -1:
        cdef bint is_position_stop = self.drop_stop(order)
        cdef int128 size
        cdef Triggered told
        order.phase_code = NEW
        if order.closes_position:
            size = (<Holding> order.holding).held
            size = (size if size > 0 else -size) + order.filled_units
            if size > INT64_MAX:
                size = INT64_MAX
            order.resize(<int64_t> size if size > 1 else 1)
        told = Triggered.__new__(Triggered)
        told.order = order
        told.seen_price_units = seen_price
        told.now_ns = now_ns
        self.events.append(told)
        if is_position_stop:
            self.tell_stops(order.account, order.position, now_ns)
        if self.admit is None or self.admit(order, now_ns):
            return self.enter(order, now_ns)
        return self.end(order, MARGIN, now_ns)
