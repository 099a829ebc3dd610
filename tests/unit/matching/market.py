"""A small market for matching tests: external levels, one book, orders by short calls."""

from itertools import count

from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.matching import (
    BookOrder,
    Cancelled,
    CancelReason,
    Execution,
    ExternalLevels,
    MatchingBook,
    SelfTrade,
)

__all__ = ["Market"]

BUY, SELL = Side.BUY, Side.SELL


class Market:
    """External levels with one matching book; `now` rises by one at every action."""

    def __init__(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.levels = ExternalLevels()
        for side, prices in ((BUY, bids), (SELL, asks)):
            for price, size in prices.items():
                self.levels.set_level(side, price, size)
        self._ids = count(1)
        self.book = MatchingBook(self.levels, new_id=lambda: next(self._ids))
        self.now = 0

    def order(
        self,
        side: Side,
        size: int,
        price: int = 0,
        *,
        account: int = 1,
        tif: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
        self_trade: SelfTrade = SelfTrade.NONE,
        quote_max: int = 0,
        trigger: int = 0,
        rises: bool = False,
        by: TriggerBy = TriggerBy.LAST,
        take_profit: int = 0,
        stop_loss: int = 0,
    ) -> BookOrder:
        """Submit an order; price 0 is a market order."""
        order = BookOrder(
            next(self._ids),
            account,
            side,
            size,
            price,
            is_market=price == 0,
            time_in_force=tif,
            post_only=post_only,
            reduce_only=reduce_only,
            self_trade=self_trade,
            quote_units_max=quote_max,
            trigger_price_units=trigger,
            trigger_rises=rises,
            trigger_by=by,
            take_profit_units=take_profit,
            stop_loss_units=stop_loss,
        )
        self.now += 1
        self.book.submit(order, self.now)
        return order

    def trade(self, aggressor: Side, price: int, size: int) -> None:
        """Print an external trade."""
        self.now += 1
        self.book.on_trade(aggressor, price, size, self.now)

    def set(self, side: Side, price: int, size: int) -> None:
        """Change an external level and tell the book."""
        self.now += 1
        self.levels.set_level(side, price, size)
        self.book.on_book_change(self.now)

    def executions(self, order: BookOrder | None = None) -> list[tuple[int, int]]:
        """Return (price, size) of the fills so far, of one order or of all."""
        return [
            (event.price_units, event.size_units)
            for event in self.book.events
            if isinstance(event, Execution) and (order is None or event.order is order)
        ]

    def reason(self, order: BookOrder) -> CancelReason | None:
        """Return why an order ended, or None while it lives or when it was filled."""
        for event in self.book.events:
            if isinstance(event, Cancelled) and event.order is order:
                return event.reason
        return None
