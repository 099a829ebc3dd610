from typing import final

from tickwright.core.orders import Side, TriggerBy
from tickwright.matching.arrivals import Arrivals
from tickwright.matching.kinds import CancelReason, QueueModel
from tickwright.matching.orders import BookOrder

__all__ = ["MatchingBook"]

@final
class MatchingBook(Arrivals):
    def queue_by(self, model: QueueModel, exponent: float = 1.0) -> None: ...
    def submit(self, order: BookOrder, now_ns: int) -> None: ...
    def cancel(self, order_id: int, now_ns: int, reason: CancelReason = ...) -> bool: ...
    def amend(
        self,
        order_id: int,
        now_ns: int,
        *,
        price_units: int | None = None,
        size_units: int | None = None,
        trigger_price_units: int | None = None,
        take_profit_units: int | None = None,
        stop_loss_units: int | None = None,
    ) -> bool: ...
    def on_trade(self, aggressor: Side, price_units: int, size_units: int, now_ns: int) -> None: ...
    def on_book_change(self, now_ns: int) -> None: ...
    def on_price(self, by: TriggerBy, price_units: int, now_ns: int) -> None: ...
