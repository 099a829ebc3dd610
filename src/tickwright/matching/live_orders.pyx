"""Owns the live orders of one instrument and what a change of one entails; refuses to match them.

A fill moves a position, and with it the stops and reduce-only orders that follow the position;
every change is told in `events`. Who trades with whom is decided in `arrivals` and `book`.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, int64_t

from tickwright.matching.events cimport (
    REDUCE_ONLY,
    STOPS_CLEARED,
    Armed,
    Cancelled,
    Execution,
    StopsChanged,
    Trimmed,
    Working,
)
from tickwright.matching.levels cimport level_source
from tickwright.matching.orders cimport (
    ARMED,
    DONE,
    DUE,
    NEW,
    PRICE_UNITS_LIMIT,
    RESTING,
    STOP_LOSS,
    TAKE_PROFIT,
    BookOrder,
    OrderIds,
    int128,
    trigger_code,
)
from tickwright.matching.queues cimport OwnSide
from tickwright.matching.triggers cimport TriggerBook

from types import MappingProxyType

from tickwright.core.orders import Side, TriggerBy
from tickwright.matching.kinds import StopKind

__all__ = ["MARKET_BOUND_PPM", "LiveOrders"]

cdef enum:
    BOUND_PPM = 50_000

MARKET_BOUND_PPM = BOUND_PPM

cdef object _BUY = Side.BUY
cdef object _SELL = Side.SELL
cdef object _LAST = TriggerBy.LAST
cdef tuple _TRIGGERS = tuple(TriggerBy)
cdef tuple _STOP_KINDS = tuple(StopKind)


@cython.final
cdef class Holding:
    """One position: its signed size, and the orders that follow it."""


cdef class LiveOrders:
    """The orders that live, by number, by price and time, by trigger, and by position."""

    def __cinit__(
        self, liquidity, *, new_id, int64_t lot_units=1, int64_t tick_units=1, admit=None
    ):
        assert lot_units > 0 and tick_units > 0
        self.levels = level_source(liquidity)
        self.new_id = new_id
        self.ids = new_id if isinstance(new_id, OrderIds) else None
        self.lot_units = lot_units
        self.tick_units = tick_units
        self.bids = OwnSide(1)
        self.asks = OwnSide(-1)
        self.triggers = TriggerBook()
        self.live = {}
        self.holdings = {}
        self.events = []

    # what others read -----------------------------------------------------------------------------

    @property
    def orders(self):
        """The live orders by number, to read."""
        return MappingProxyType(self.live)

    @property
    def positions(self):
        """The signed sizes by position key, the fold of the executions."""
        cdef Holding holding
        return {key: holding.held for key, holding in self.holdings.items() if holding.has_moved}

    def position(self, int64_t key):
        """Return the signed size of one position; 0 for one that never moved."""
        cdef Holding holding = self.holdings.get(key)
        return 0 if holding is None else holding.held

    def drain(self):
        """Hand over the events since the last call, oldest first."""
        events = self.events
        self.events = []
        return events

    def resting(self, int side):
        """Yield the orders of a side that rest now, in price-time order."""
        return iter(self.side_of(side).orders())

    def stops(self, int64_t position):
        """Return the (take profit, stop loss) prices of a position; 0 is none."""
        cdef Holding holding = self.holdings.get(position)
        cdef BookOrder stop
        cdef int64_t take_profit = 0, stop_loss = 0
        if holding is not None and holding.stops is not None:
            for stop in holding.stops:
                if stop.stop_code == TAKE_PROFIT:
                    take_profit = stop.trigger_price_units
                else:
                    stop_loss = stop.trigger_price_units
        return take_profit, stop_loss

    def waiting_for(self, by):
        """Whether any conditional order waits for this kind of price."""
        return self.triggers.has(trigger_code(by))

    def market_bound(self, int side, slippage_units=None):
        """Return the worst price a market order entering now may trade at.

        `slippage_units` is counted from the best opposite price; None uses `MARKET_BOUND_PPM`.
        """
        return self.bound_of(side, -1 if slippage_units is None else <int64_t> slippage_units)

    cdef int64_t bound_of(self, int side, int128 slippage) except -1:
        cdef int128 bound = self.levels.best_price(-side)
        cdef int128 tick = self.tick_units
        if bound == 0:
            bound = self.last_price_units
        if slippage < 0:
            slippage = bound * BOUND_PPM // 1_000_000
        bound += side * slippage
        if bound < tick:
            bound = tick
        elif bound > PRICE_UNITS_LIMIT:
            bound = PRICE_UNITS_LIMIT
        # On the tick, toward the market: a bound is never looser than asked.
        if side > 0:
            return <int64_t> (bound // tick * tick)
        return <int64_t> ((bound + tick - 1) // tick * tick)

    # orders come, rest, wait and end --------------------------------------------------------------

    cdef int begin(self) except -1:
        """Refuse a call that comes while another is under way: it would see half a change."""
        if self.is_busy:
            raise RuntimeError("the matching book was called from inside a call of its own")
        self.is_busy = True
        return 0

    cdef int64_t next_id(self) except? -1:
        if self.ids is not None:
            return self.ids.draw()
        return self.new_id()

    cdef OwnSide side_of(self, int side):
        return self.bids if side > 0 else self.asks

    cdef Holding holding(self, int64_t position):
        found = self.holdings.get(position)
        if found is None:
            found = self.holdings[position] = Holding()
        return <Holding> found

    cdef int admit_new(self, BookOrder order) except -1:
        """Take an order among the live ones."""
        cdef Holding holding
        assert order.phase_code == NEW and order.holding == NULL, f"{order} was submitted before"
        key = order.order_id
        assert key not in self.live, f"the number of {order} is taken"
        holding = self.holding(order.position)
        order.holding = <PyObject*> holding
        self.live[key] = order
        return 0

    cdef int rest(self, BookOrder order, int64_t now_ns) except -1:
        cdef Working told
        cdef Holding holding
        self.arrivals += 1
        order.arrival = self.arrivals
        order.ahead_units = self.levels.external_at(order.side_code, order.price_units)
        self.side_of(order.side_code).add(order)
        order.phase_code = RESTING
        if order.reduce_only:
            holding = <Holding> order.holding
            if holding.reducing is None:
                holding.reducing = []
            holding.reducing.append(order)
        self.levels.show(order.side_code, order.price_units, order.remaining_units)
        told = Working.__new__(Working)
        told.order = order
        told.remaining_units = order.remaining_units
        told.ahead_units = order.ahead_units
        told.now_ns = now_ns
        self.events.append(told)
        return 0

    cdef int arm(self, BookOrder order, int64_t now_ns) except -1:
        cdef Armed told
        cdef Holding holding
        self.arrivals += 1
        order.arrival = self.arrivals
        order.phase_code = ARMED
        self.triggers.add(order)
        if order.stop_code == STOP_LOSS or order.stop_code == TAKE_PROFIT:
            holding = <Holding> order.holding
            if holding.stops is None:
                holding.stops = []
            holding.stops.append(order)
        told = Armed.__new__(Armed)
        told.order = order
        told.now_ns = now_ns
        self.events.append(told)
        return 0

    cdef int pull(self, BookOrder order) except -1:
        """Take a resting order out of the book without ending it."""
        self.levels.hide(order.side_code, order.price_units, order.remaining_units)
        return self.unqueue(order)

    cdef int unqueue(self, BookOrder order) except -1:
        self.side_of(order.side_code).remove(order)
        order.phase_code = NEW
        if order.reduce_only:
            (<Holding> order.holding).reducing.remove(order)
        return 0

    cdef int forget(self, BookOrder order) except -1:
        if order.phase_code == RESTING:
            self.unqueue(order)
        order.phase_code = DONE
        order.holding = NULL
        del self.live[order.order_id]
        return 0

    cdef int end(self, BookOrder order, int reason, int64_t now_ns) except -1:
        cdef bint was_armed = order.phase_code == ARMED or order.phase_code == DUE
        cdef Cancelled told
        if was_armed:
            if order.phase_code == ARMED:
                self.triggers.remove(order)
            self.drop_stop(order)
        elif order.phase_code == RESTING:
            self.pull(order)
        self.forget(order)
        told = Cancelled.__new__(Cancelled)
        told.order = order
        told.remaining_units = order.remaining_units
        told.filled_units = order.filled_units
        told.reason_place = reason
        told.was_armed = was_armed
        told.now_ns = now_ns
        self.events.append(told)
        return 0

    # fills and what follows a position ------------------------------------------------------------

    cdef int fill_maker(
        self, BookOrder order, int64_t size, int cause, int64_t counter, int64_t match_id,
        int64_t now_ns,
    ) except -1:
        self.levels.hide(order.side_code, order.price_units, size)
        return self.fill(
            order, order.price_units, size, not order.was_kept_off, cause, counter, match_id, now_ns
        )

    cdef int fill(
        self, BookOrder order, int64_t price, int64_t size, bint is_maker, int cause,
        int64_t counter, int64_t match_id, int64_t now_ns,
    ) except -1:
        cdef Holding holding = <Holding> order.holding
        cdef int128 before = holding.held
        cdef Execution told
        assert 0 < size <= order.remaining_units, f"{order} filled with {size}"
        order.remaining_units -= size
        order.filled_units += size
        if order.quote_max:
            order.spent += <int128> price * size
        holding.held = before + order.side_code * <int128> size
        holding.has_moved = True
        told = Execution.__new__(Execution)
        told.order = order
        told.match_id = match_id
        told.price_units = price
        told.size_units = size
        told.remaining_units = order.remaining_units
        told.filled_units = order.filled_units
        told.is_maker = is_maker
        told.cause_code = cause
        told.counter_order_id = counter
        told.now_ns = now_ns
        self.events.append(told)
        if order.remaining_units == 0:
            self.forget(order)
        return self.follow(order, holding, before, now_ns)

    cdef int follow(
        self, BookOrder order, Holding holding, int128 before, int64_t now_ns
    ) except -1:
        """Let stops and reduce-only orders follow a position that an order's fill has moved."""
        cdef BookOrder other
        cdef int64_t take_profit, stop_loss
        cdef int128 held = holding.held
        if holding.stops and before != 0 and (held == 0 or (held > 0) != (before > 0)):
            for other in list(holding.stops):
                self.end(other, STOPS_CLEARED, now_ns)
            self.tell_stops(order.account, order.position, now_ns)
        take_profit, stop_loss = order.take_profit_units, order.stop_loss_units
        if (take_profit or stop_loss) and held * order.side_code > 0 and not order.reduce_only:
            # The bracket belongs to the position from the first fill on, and is set once.
            order.take_profit_units = order.stop_loss_units = 0
            self.change_stops(
                order.account, order.position, take_profit if take_profit else -1,
                stop_loss if stop_loss else -1, order.take_profit_by_code,
                order.stop_loss_by_code, now_ns,
            )
        if holding.reducing:
            for other in list(holding.reducing):
                if not self.fit(other, now_ns):
                    self.end(other, REDUCE_ONLY, now_ns)
        return 0

    cdef bint fit(self, BookOrder order, int64_t now_ns) except -1:
        """Trim a reduce-only order to its position; False when there is nothing to reduce."""
        cdef int128 room = -order.side_code * (<Holding> order.holding).held
        cdef int64_t left
        cdef Trimmed told
        if room <= 0:
            return False
        if order.remaining_units > room:
            left = <int64_t> room
            if order.phase_code == RESTING:
                self.levels.hide(order.side_code, order.price_units, order.remaining_units - left)
            order.resize(order.filled_units + left)
            told = Trimmed.__new__(Trimmed)
            told.order = order
            told.size_units = order.size_units
            told.remaining_units = left
            told.now_ns = now_ns
            self.events.append(told)
        return True

    def take_over(self, int64_t position):
        """Forget the size of a position that its venue took over outside the book.

        Nothing that follows the position may live any more: its orders were cancelled before.
        """
        cdef Holding holding = self.holdings.get(position)
        if holding is not None:
            assert not holding.stops and not holding.reducing, "the position has orders"
            holding.held = 0

    # a position's stops ---------------------------------------------------------------------------

    def set_stops(
        self, int64_t account, int64_t position, int64_t now_ns, *, take_profit_units=None,
        stop_loss_units=None, take_profit_by=_LAST, stop_loss_by=_LAST,
    ):
        """Set the prices that close a whole position at market; 0 removes one, None leaves it.

        The position must be open: its stops end with it.
        """
        cdef int64_t take_profit = -1, stop_loss = -1
        if take_profit_units is not None:
            take_profit = take_profit_units
            assert take_profit >= 0, f"take profit {take_profit}"
        if stop_loss_units is not None:
            stop_loss = stop_loss_units
            assert stop_loss >= 0, f"stop loss {stop_loss}"
        self.begin()
        try:
            self.change_stops(
                account, position, take_profit, stop_loss, trigger_code(take_profit_by),
                trigger_code(stop_loss_by), now_ns,
            )
        finally:
            self.is_busy = False

    cdef int change_stops(
        self, int64_t account, int64_t position, int64_t take_profit, int64_t stop_loss,
        int take_profit_by, int stop_loss_by, int64_t now_ns,
    ) except -1:
        """Set a position's stops; -1 leaves one, 0 removes it."""
        cdef Holding holding = self.holdings.get(position)
        assert holding is not None and holding.held != 0, "a flat position has no stops"
        if take_profit >= 0:
            self.replace_stop(
                account, position, holding, TAKE_PROFIT, take_profit, take_profit_by, now_ns
            )
        if stop_loss >= 0:
            self.replace_stop(
                account, position, holding, STOP_LOSS, stop_loss, stop_loss_by, now_ns
            )
        return self.tell_stops(account, position, now_ns)

    cdef int replace_stop(
        self, int64_t account, int64_t position, Holding holding, int kind, int64_t trigger,
        int by, int64_t now_ns,
    ) except -1:
        cdef BookOrder stop
        cdef bint is_long = holding.held > 0
        cdef int128 size = holding.held if is_long else -holding.held
        if holding.stops:
            for stop in list(holding.stops):
                if stop.stop_code == kind:
                    self.end(stop, STOPS_CLEARED, now_ns)
        if trigger == 0:
            return 0
        stop = BookOrder(
            self.next_id(),
            account,
            -1 if is_long else 1,
            <int64_t> size if size < INT64_MAX else INT64_MAX,
            0,
            position=position,
            is_market=True,
            closes_position=True,
            trigger_price_units=trigger,
            trigger_by=_TRIGGERS[by],
            trigger_rises=is_long == (kind == TAKE_PROFIT),
            stop_kind=_STOP_KINDS[kind],
        )
        self.admit_new(stop)
        return self.arm(stop, now_ns)

    cdef bint drop_stop(self, BookOrder order) except -1:
        """Take an order out of its position's stops; False when it is none of them."""
        cdef list stops = (<Holding> order.holding).stops
        if not stops or order not in stops:
            return False
        stops.remove(order)
        return True

    cdef int tell_stops(self, int64_t account, int64_t position, int64_t now_ns) except -1:
        cdef StopsChanged told = StopsChanged.__new__(StopsChanged)
        told.account = account
        told.position = position
        told.take_profit_units, told.stop_loss_units = self.stops(position)
        told.now_ns = now_ns
        self.events.append(told)
        return 0
