"""Owns the rule that reduce-only orders share their position; refuses to match or to end any other.

Those that rest, or will, are together never more than the position. One more is cut to what is left
of it; when the position shrinks, the newest give way first.
"""

from tickwright.core.orders import TimeInForce
from tickwright.matching import CancelReason
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.private.settlement import SymbolDesk, position_key
from tickwright.simulator.private.terms import Terms

__all__ = ["may_rest", "reducible", "trim"]


def may_rest(terms: Terms) -> bool:
    """Whether an order may stay in the book from its arrival on."""
    return terms.time_in_force is TimeInForce.GTC and not (
        terms.is_market or terms.trigger_price_units
    )


def reducible(account: Account, desk: SymbolDesk, index: int, held: int, terms: Terms) -> int:
    """Return what of a reduce-only order's size its position, `held`, leaves room for.

    One that is done at once comes first: it is measured against the position alone, and the
    resting ones shrink after it.
    """
    size = terms.size_units
    if not held:
        raise VenueRefusal(110017, "current position is zero, cannot fix reduce-only order qty")
    if held * terms.side > 0:
        raise VenueRefusal(110017, "Reduce-only order has same side with current position")
    room = abs(held)
    if may_rest(terms):
        room -= sum(
            order.leaves_units
            for order in desk.reducing.values()
            if order.account is account and order.position_index == index
        )
        if room <= 0:
            raise VenueRefusal(110017, "orderQty will be truncated to zero.")
    return min(size, room) if size else room


def trim(desk: SymbolDesk, now_ns: int) -> bool:
    """Shrink resting reduce-only orders to what their positions hold, the newest first.

    True when that made events of its own.
    """
    if not desk.reducing:
        return False
    excess: dict[int, int] = {}
    orders = [order for order in desk.reducing.values() if order.number in desk.orders]
    for order in orders:
        key = position_key(order.account.uid, order.position_index)
        if key not in excess:
            excess[key] = -abs(desk.matching.position(key))
        excess[key] += order.leaves_units
    for order in reversed(orders):
        key = position_key(order.account.uid, order.position_index)
        over = min(excess[key], order.leaves_units)
        if over <= 0:
            continue
        excess[key] -= over
        if over == order.leaves_units:
            desk.matching.cancel(order.number, now_ns, CancelReason.REDUCE_ONLY)
        else:
            desk.matching.amend(order.number, now_ns, size_units=order.size_units - over)
    return bool(desk.matching.events)
