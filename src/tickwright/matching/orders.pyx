"""Owns an order as the matching engine holds it, in whole numbers; refuses wire words and money.

Sums that a few large orders could carry past int64 (money, positions) are 128 bits wide.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t

from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.matching.kinds import OrderPhase, SelfTrade, StopKind

__all__ = ["BookOrder", "OrderIds"]

PRICE_UNITS_LIMIT = INT64_MAX // 2      # one step beyond a price must fit, and a bound above it

cdef tuple _PHASES = tuple(OrderPhase)
cdef tuple _SELF_TRADES = tuple(SelfTrade)
cdef tuple _STOP_KINDS = tuple(StopKind)
cdef tuple _TIMES = tuple(TimeInForce)
cdef tuple _TRIGGERS = tuple(TriggerBy)
cdef object _BUY = Side.BUY
cdef object _SELL = Side.SELL
cdef object _GTC = TimeInForce.GTC
cdef object _LAST = TriggerBy.LAST


cdef int trigger_code(object by) except -1:
    """Return the place of a `TriggerBy`."""
    if by is _LAST:
        return BY_LAST
    return _TRIGGERS.index(by)


@cython.final
cdef class OrderIds:
    """Gives the numbers 1, 2, 3 ... when called.

    A book whose `new_id` it is draws from it without the call; several books may share one.
    """

    def __call__(self):
        """Return the next number."""
        return self.draw()

    cdef int64_t draw(self) noexcept:
        self.last += 1
        return self.last


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class BookOrder:
    """One order in the engine; changed by `MatchingBook` alone.

    `account` decides self-trades, `position` is the key of the position the order moves (an account
    has one per leg). `price_units` 0 on a market order means: bound it when it enters.
    `quote_units_max` above 0 ends an immediate order by money: the sum of price_units x size_units
    it may spend.
    `ahead_units` is the external size still before it at its price.
    """

    def __init__(
        self,
        int64_t order_id,
        int64_t account,
        int side,
        int64_t size_units,
        int64_t price_units,
        *,
        position=None,
        time_in_force=_GTC,
        bint is_market=False,
        bint post_only=False,
        bint reduce_only=False,
        bint closes_position=False,
        int self_trade=SELF_TRADE_NONE,
        int128 quote_units_max=0,
        int64_t trigger_price_units=0,
        trigger_by=_LAST,
        bint trigger_rises=False,
        int stop_kind=STOP_NONE,
        int64_t take_profit_units=0,
        take_profit_by=_LAST,
        int64_t stop_loss_units=0,
        stop_loss_by=_LAST,
    ):
        assert self.holding == NULL, "a live order is not made anew"
        assert side == BUY or side == SELL, f"side {side}"
        assert size_units > 0, f"size {size_units}"
        assert 0 <= price_units <= PRICE_UNITS_LIMIT, f"price {price_units}"
        assert price_units > 0 or is_market, f"price {price_units}"
        assert 0 <= trigger_price_units <= PRICE_UNITS_LIMIT, f"trigger {trigger_price_units}"
        assert 0 <= self_trade <= CANCEL_BOTH and 0 <= stop_kind <= TAKE_PROFIT
        self.order_id = order_id
        self.account = account
        self.position = account if position is None else position
        self.side_code = side
        self.size_units = size_units
        self.remaining_units = size_units
        self.filled_units = 0
        self.price_units = price_units
        if is_market:
            self.tif_code = IOC
        else:
            self.tif_code = GTC if time_in_force is _GTC else _TIMES.index(time_in_force)
        assert quote_units_max == 0 or self.tif_code != GTC, "by quote amount only immediately"
        assert quote_units_max >= 0, f"quote amount {quote_units_max}"
        self.is_market = is_market
        self.post_only = post_only
        self.reduce_only = reduce_only or closes_position
        self.closes_position = closes_position
        self.self_trade_code = self_trade
        self.quote_max = quote_units_max
        self.spent = 0
        self.trigger_price_units = trigger_price_units
        self.trigger_by_code = trigger_code(trigger_by)
        self.trigger_rises = trigger_rises
        self.stop_code = stop_kind
        self.take_profit_units = take_profit_units
        self.take_profit_by_code = trigger_code(take_profit_by)
        self.stop_loss_units = stop_loss_units
        self.stop_loss_by_code = trigger_code(stop_loss_by)
        self.ahead_units = 0
        self.arrival = 0
        self.was_kept_off = False
        self.phase_code = NEW

    cdef void resize(self, int64_t size_units) noexcept:
        self.size_units = size_units
        self.remaining_units = size_units - self.filled_units

    @property
    def side(self):
        """Direction of the order."""
        return _BUY if self.side_code > 0 else _SELL

    @property
    def time_in_force(self):
        """How long it lives; a market order is immediate."""
        return _TIMES[self.tif_code]

    @property
    def phase(self):
        """Where it is inside the engine."""
        return _PHASES[self.phase_code]

    @property
    def self_trade(self):
        """What happens when it meets an order of its own account."""
        return _SELF_TRADES[self.self_trade_code]

    @property
    def stop_kind(self):
        """What a conditional order is for."""
        return _STOP_KINDS[self.stop_code]

    @property
    def trigger_by(self):
        """Which price triggers it."""
        return _TRIGGERS[self.trigger_by_code]

    @property
    def take_profit_by(self):
        """Which price triggers its take profit."""
        return _TRIGGERS[self.take_profit_by_code]

    @property
    def stop_loss_by(self):
        """Which price triggers its stop loss."""
        return _TRIGGERS[self.stop_loss_by_code]

    @property
    def quote_units_max(self):
        """The money it may spend as price_units x size_units; 0 is no such end."""
        return self.quote_max

    @property
    def quote_spent(self):
        """The money spent so far; counted for an order with `quote_units_max` alone."""
        return self.spent

    @property
    def is_done(self):
        """Whether the order has ended."""
        return self.phase_code == DONE

    def __repr__(self):
        return (
            f"BookOrder({self.order_id} {self.side.name} {self.remaining_units}/{self.size_units}"
            f"@{self.price_units} {self.phase.name})"
        )
