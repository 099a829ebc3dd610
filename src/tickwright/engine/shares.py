"""Owns what of a position a strategy may close by an order: its own share, less what is under way.

Refuses more: reduce-only acts on the account's position, which is everybody's.
"""

from msgspec.structs import replace

from tickwright.core.identity import StrategyId
from tickwright.core.orders import OrderIntent, Side
from tickwright.core.verdicts import Check, Reason, Rejected
from tickwright.engine.state import TradingState
from tickwright.execution.position_plan import PositionPlan

__all__ = ["capped_to_share"]

# Looking a member up in its class is a Python call, and every order asks.
_SELL = Side.SELL


def capped_to_share(
    state: TradingState, strategy_id: StrategyId, plan: PositionPlan, intent: OrderIntent
) -> OrderIntent | Rejected:
    """Cap what can only reduce to the strategy's share, less what it is reducing already."""
    is_sale = intent.side is _SELL
    is_spot_sale = is_sale and state.lanes[intent.instrument_id].instrument.is_spot
    if not (intent.reduce_only or is_spot_sale):
        return intent
    share = plan.size_units if is_sale else -plan.size_units
    for record in state.blotter.live():
        order = record.order
        if (
            order.strategy_id == strategy_id
            and order.instrument_id == intent.instrument_id
            and order.side is intent.side
            and (order.intent.reduce_only or is_spot_sale)
        ):
            share -= record.live_units
    if share <= 0:
        reason = Reason.SHORT_UNAVAILABLE if is_spot_sale else Reason.NOTHING_TO_CLOSE
        return Rejected(Check(reason, "nothing of its own is left", "its own share"))
    return intent if intent.size_units <= share else replace(intent, size_units=share)
