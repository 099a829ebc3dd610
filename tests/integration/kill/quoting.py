"""A strategy for tests: rests far from the touch, holds a position, and hangs when told to."""

from pathlib import Path

from tickwright.book.order_book import OrderBook
from tickwright.core.orders import (
    Order,
    OrderIntent,
    OrderType,
    Purpose,
    Side,
    TimeInForce,
    TriggerBy,
)
from tickwright.core.signals import Decision
from tickwright.strategy.base import Strategy

RESTING_MAX = 6
POSITION_UPDATES_MAX = 200


class Quoting(Strategy):
    """Places orders without end: rested ones up to a bound, and one position with its stop."""

    def on_start(self) -> Decision:
        self.count = 0
        self.has_stop = False
        self.has_position = False
        return None

    def on_order(self, order: Order) -> Decision:
        # By its order: executions of an earlier run may be told too.
        if order.filled_units and order.price_units is None:
            self.has_position = True
        return None

    def on_book(self, book: OrderBook) -> Decision:
        self.count += 1
        if Path(__file__).with_name("hang").exists():
            while True:
                pass
        twice = book.mid_twice_units
        if self.count % 5 or twice is None:
            return None
        instrument = self.context.instrument(book.instrument_id)
        tick = instrument.tick_units
        far = int(twice * 0.49) // tick * tick
        size = max(instrument.size_min_units, instrument.lot_units) * 4
        if not self.has_position and self.count < POSITION_UPDATES_MAX:
            # Refused at first, while the account is being read: then it wants it again.
            return OrderIntent(
                instrument_id=book.instrument_id,
                side=Side.BUY,
                size_units=size,
                order_type=OrderType.MARKET,
                time_in_force=TimeInForce.IOC,
                stop_loss_price_units=far,
                reason="a position",
            )
        if not self.has_stop:
            self.has_stop = True
            return OrderIntent(
                instrument_id=book.instrument_id,
                side=Side.BUY,
                size_units=size,
                order_type=OrderType.MARKET,
                time_in_force=TimeInForce.IOC,
                trigger_price_units=int(twice * 0.51) // tick * tick,
                trigger_by=TriggerBy.LAST,
                purpose=Purpose.OPEN,
                reason="a stop that would open",
            )
        if len(list(self.context.orders())) >= RESTING_MAX:
            return None
        return OrderIntent(
            instrument_id=book.instrument_id, side=Side.BUY, size_units=size, price_units=far
        )
