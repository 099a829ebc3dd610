"""The order as the plain engine holds it; the words that sort orders are the package's own."""

from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.core.units import INT64_MAX
from tickwright.matching.kinds import OrderPhase, SelfTrade, StopKind

__all__ = ["BookOrder"]


class BookOrder:
    """One order in the engine; changed by `MatchingBook` alone.

    `account` decides self-trades, `position` is the key of the position the order moves (an account
    has one per leg). `price_units` 0 on a market order means: bound it when it enters.
    `quote_units_max` above 0 ends a buy by money: the sum of price_units x size_units it may spend.
    `ahead_units` is the external size still before it at its price.
    """

    __slots__ = (
        "account",
        "ahead_units",
        "arrival",
        "closes_position",
        "filled_units",
        "is_market",
        "order_id",
        "phase",
        "position",
        "post_only",
        "price_units",
        "quote_spent",
        "quote_units_max",
        "reduce_only",
        "remaining_units",
        "self_trade",
        "side",
        "size_units",
        "stop_kind",
        "stop_loss_by",
        "stop_loss_units",
        "take_profit_by",
        "take_profit_units",
        "time_in_force",
        "trigger_by",
        "trigger_price_units",
        "trigger_rises",
    )

    def __init__(
        self,
        order_id: int,
        account: int,
        side: Side,
        size_units: int,
        price_units: int,
        *,
        position: int | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        is_market: bool = False,
        post_only: bool = False,
        reduce_only: bool = False,
        closes_position: bool = False,
        self_trade: SelfTrade = SelfTrade.NONE,
        quote_units_max: int = 0,
        trigger_price_units: int = 0,
        trigger_by: TriggerBy = TriggerBy.LAST,
        trigger_rises: bool = False,
        stop_kind: StopKind = StopKind.NONE,
        take_profit_units: int = 0,
        take_profit_by: TriggerBy = TriggerBy.LAST,
        stop_loss_units: int = 0,
        stop_loss_by: TriggerBy = TriggerBy.LAST,
    ) -> None:
        assert 0 < size_units <= INT64_MAX, f"size {size_units}"
        assert price_units > 0 or is_market, f"price {price_units}"
        self.order_id = order_id
        self.account = account
        self.position = account if position is None else position
        self.side = side
        self.size_units = size_units
        self.remaining_units = size_units
        self.filled_units = 0
        self.price_units = price_units
        self.time_in_force = TimeInForce.IOC if is_market else time_in_force
        self.is_market = is_market
        self.post_only = post_only
        self.reduce_only = reduce_only or closes_position
        self.closes_position = closes_position
        self.self_trade = self_trade
        self.quote_units_max = quote_units_max
        self.quote_spent = 0
        self.trigger_price_units = trigger_price_units
        self.trigger_by = trigger_by
        self.trigger_rises = trigger_rises
        self.stop_kind = stop_kind
        self.take_profit_units = take_profit_units
        self.take_profit_by = take_profit_by
        self.stop_loss_units = stop_loss_units
        self.stop_loss_by = stop_loss_by
        self.ahead_units = 0
        self.arrival = 0
        self.phase = OrderPhase.NEW

    @property
    def is_done(self) -> bool:
        """Whether the order has ended."""
        return self.phase is OrderPhase.DONE

    def __repr__(self) -> str:
        return (
            f"BookOrder({self.order_id} {self.side.name} {self.remaining_units}/{self.size_units}"
            f"@{self.price_units} {self.phase.name})"
        )
