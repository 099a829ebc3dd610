"""Owns the two strategies that backtests are measured with; they are for nothing else.

The rival's are `rivals/hftbacktest_run.py`: the same rules, figure for figure.
"""

from tickwright.book.order_book import OrderBook
from tickwright.book.rolling import RollingZScore
from tickwright.core.orders import OrderIntent, Side, TimeInForce
from tickwright.core.signals import Action, AmendIntent, Decision
from tickwright.strategy.base import Strategy

__all__ = ["GRID_TICKS", "LOOKBACK", "PAUSE_MESSAGES", "Quoter", "RareSignal"]

LOOKBACK = 200
ENTRY_Z = 2.0
LEAST_IMBALANCE = 0.2
PAUSE_MESSAGES = 5_000
"""Messages between two trades, so that the signal and not its orders is what is measured."""
LOT = 10
QUOTE_EVERY_NS = 100_000_000
HALF_SPREAD_TICKS = 4
GRID_TICKS = 8
"""Quotes stand on a grid and move only when the mid has moved across it."""
POSITION_MAX = 200


class RareSignal(Strategy):
    """A z-score of the mid over 200 messages and the touch imbalance, asked every message."""

    def on_start(self) -> Decision:
        """Begin with an empty window."""
        self._step = RollingZScore(LOOKBACK, floor=1.0).step
        self._since = 0
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Take a lot where both agree, and no more often than every some thousand messages."""
        twice = book.mid_twice_units
        if twice is None:
            return None
        score = self._step(twice)
        imbalance = book.imbalance(1)
        self._since += 1
        if score is None or imbalance is None or self._since < PAUSE_MESSAGES:
            return None
        if score < -ENTRY_Z and imbalance > LEAST_IMBALANCE:
            return self._take(book, Side.BUY, book.best_ask)
        if score > ENTRY_Z and imbalance < -LEAST_IMBALANCE:
            return self._take(book, Side.SELL, book.best_bid)
        return None

    def _take(self, book: OrderBook, side: Side, price: int | None) -> Decision:
        self._since = 0
        return OrderIntent(
            instrument_id=book.instrument_id,
            side=side,
            price_units=price,
            size_units=LOT,
            time_in_force=TimeInForce.IOC,
        )


class Quoter(Strategy):
    """Both sides every 100 ms, on a grid around the mid, up to a position."""

    def on_start(self) -> Decision:
        """Ask for the first moment."""
        self._due = self.context.now_ns + QUOTE_EVERY_NS
        self.context.set_timer("quote", self._due)
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Nothing: quotes follow the clock."""
        return None

    def on_timer(self, name: str) -> Decision:
        """Move what isn't where it should be, and put what is missing."""
        context = self.context
        self._due += QUOTE_EVERY_NS
        context.set_timer(name, self._due)
        instrument_id = context.instruments[0]
        twice = context.book(instrument_id).mid_twice_units
        if twice is None:
            return None
        held = context.position(instrument_id).size_units
        half, grid = HALF_SPREAD_TICKS, GRID_TICKS
        wanted = {}
        if held < POSITION_MAX:
            wanted[Side.BUY] = (twice // 2 - half) // grid * grid
        if held > -POSITION_MAX:
            wanted[Side.SELL] = -((-(twice // 2) - half) // grid * grid)
        answers: list[Action] = []
        for order in context.orders():
            price = wanted.pop(order.side, None)
            if price is not None and price != order.price_units:
                answers.append(AmendIntent(client_id=order.client_id, price_units=price))
        for side, price in wanted.items():
            answers.append(
                OrderIntent(
                    instrument_id=instrument_id,
                    side=side,
                    price_units=price,
                    size_units=LOT,
                    post_only=True,
                )
            )
        return answers or None
