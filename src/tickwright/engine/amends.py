"""Owns whether a working order may be changed: by its own state, and by the gate.

Refuses to send anything, and to judge an order beside itself: it would count twice.
"""

from msgspec.structs import replace

from tickwright.core.instrument import AmendKind
from tickwright.core.orders import OrderState
from tickwright.core.verdicts import Approved, Check, Reason, Rejected, Verdict
from tickwright.engine.lanes import Lane
from tickwright.engine.state import TradingState
from tickwright.execution.records import Record

__all__ = ["amend_fault", "judge_amend"]

# Looking a member up in its class is a Python call, and every amend asks.
_IN_PLACE = AmendKind.IN_PLACE
_RESTING = frozenset({OrderState.WORKING, OrderState.PARTLY_FILLED})


def judge_amend(
    state: TradingState,
    record: Record,
    lane: Lane,
    price_units: int | None,
    size_units: int | None,
) -> Verdict:
    """Ask the gate about the order as it would be, as if it were not there now.

    The totals may be without it afterwards: the caller publishes them anew, whatever the verdict
    is.
    """
    order, working = record.order, record.working
    size = order.size_units if size_units is None else size_units
    intent = replace(
        order.intent,
        size_units=size - order.filled_units,
        price_units=order.price_units if price_units is None else price_units,
        # Levels that went with the order stay where the venue holds them.
        stop_loss_price_units=None,
        take_profit_price_units=None,
        valid_until_ns=0,
    )
    buy_units, sell_units = working.buy_units, working.sell_units
    if not intent.reduce_only:
        buy_units -= record.counted_buy_units
        sell_units -= record.counted_sell_units
    raises_size = size > order.size_units
    if not raises_size and state.gate.passes_beside(
        intent,
        working=(buy_units, sell_units, working.open_orders - 1),
        strategy_id=order.strategy_id,
        account_id=order.account_id,
        now_ns=state.moment.now_ns,
        book=lane.book,
        instrument=lane.instrument,
        view=state.view,
    ):
        return Approved(intent.size_units)
    state.portfolio.set_working(
        order.account_id,
        order.instrument_id,
        buy_units=buy_units,
        sell_units=sell_units,
        open_orders=working.open_orders - 1,
        unknown_requests=working.unknown_requests,
    )
    return state.gate.check_amend(
        intent,
        raises_size=raises_size,
        strategy_id=order.strategy_id,
        account_id=order.account_id,
        now_ns=state.now_ns,
        book=lane.book,
        instrument=lane.instrument,
        view=state.view,
    )


def amend_fault(
    record: Record,
    lane: Lane,
    price_units: int | None,
    size_units: int | None,
    *,
    is_cancelling: bool,
) -> Rejected | None:
    """Say what makes an amend impossible whatever the market does."""
    order, instrument, amend = record.order, lane.instrument, record.amend
    words = ""
    if instrument.capabilities.amend is not _IN_PLACE:
        words = "the venue does not amend here"
    elif order.state not in _RESTING:
        words = f"the order is {order.state.value}"
    elif is_cancelling:
        words = "a cancel is under way"
    elif amend is not None and not amend.is_confirmed:
        words = "an amend is under way"
    elif order.price_units is None:
        words = "a market order has no price"
    elif price_units in (None, order.price_units) and size_units in (None, order.size_units):
        words = "nothing would change"
    if words:
        return Rejected(Check(Reason.AMEND_IMPOSSIBLE, words, "a working order to change"))
    if size_units is not None:
        fault = ""
        if size_units <= order.filled_units:
            fault = f"{instrument.size_text(order.filled_units)} is filled already"
        elif size_units % instrument.lot_units or not (
            instrument.size_min_units <= size_units <= instrument.size_max_units
        ):
            fault = f"size {size_units} units is no valid size"
        if fault:
            return Rejected(Check(Reason.SIZE_INVALID, fault, "a valid whole size"))
    return None
