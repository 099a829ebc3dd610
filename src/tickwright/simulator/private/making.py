"""Owns what an accepted request becomes: the venue's order, and what the engine gets of it.

Refuses to accept or refuse anything.
"""

from tickwright.core.identity import Category
from tickwright.core.orders import TriggerBy
from tickwright.core.units import INT64_MAX
from tickwright.matching import BookOrder, StopKind
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.requests import CreateRequest
from tickwright.simulator.private.settlement import Settlement, position_key
from tickwright.simulator.private.terms import TRIGGERS, Terms

__all__ = ["book_order", "venue_order"]


def venue_order(
    settlement: Settlement,
    number: int,
    account: Account,
    market: SymbolMarket,
    request: CreateRequest,
    terms: Terms,
    index: int,
    size: int,
    reduce_only: bool,  # noqa: FBT001 - one caller, named by its argument
) -> VenueOrder:
    """Return the order of a request, not yet known to anyone; `size` 0 is the largest there is."""
    now_ms = settlement.now_ms
    spot = market.instrument.category is Category.SPOT
    conditional = terms.trigger_price_units > 0
    return VenueOrder(
        number=number,
        order_id=settlement.new_order_id(market.instrument.category),
        link_id=request.order_link_id,
        account=account,
        instrument=market.instrument,
        side=terms.side,
        order_type=request.order_type,
        size_units=size or market.instrument.market_size_max_units,
        price_units=terms.price_units,
        time_in_force=terms.time_in_force_text,
        created_ms=now_ms,
        updated_ms=now_ms,
        position_index=index,
        reduce_only=reduce_only,
        close_on_trigger=request.close_on_trigger and not spot,
        quote_amount=terms.quote_amount,
        quote_units=terms.quote_units,
        market_unit=(request.market_unit or ("quoteCoin" if terms.quote_units else "baseCoin"))
        if spot and terms.is_market
        else "",
        order_filter=request.order_filter or ("StopOrder" if conditional else "Order"),
        smp_type=request.smp_type or "None",
        trigger_price_units=terms.trigger_price_units,
        trigger_direction=terms.trigger_direction,
        trigger_by=terms.trigger_by,
        stop_order_type=_stop_type(request, conditional=conditional),
        take_profit_units=terms.take_profit_units,
        stop_loss_units=terms.stop_loss_units,
        take_profit_by=terms.take_profit_by,
        stop_loss_by=terms.stop_loss_by,
        tpsl_mode=_tpsl_mode(terms),
        bracket=terms.bracket,
        slippage_type=request.slippage_tolerance_type if terms.is_market else "",
        slippage=request.slippage_tolerance if terms.is_market else "",
        last_price_on_created=market.last_or_mid_units(),
    )


def _tpsl_mode(terms: Terms) -> str:
    if terms.bracket is not None:
        return "Partial"
    return "Full" if terms.take_profit_units or terms.stop_loss_units else ""


def _stop_type(request: CreateRequest, *, conditional: bool) -> str:
    if not conditional:
        return ""
    return request.order_filter if request.order_filter == "tpslOrder" else "Stop"


def book_order(order: VenueOrder, terms: Terms) -> BookOrder:
    """Return what the matching engine gets of an order."""
    return BookOrder(
        order.number,
        order.account.uid,
        order.side,
        min(order.size_units, INT64_MAX),
        order.price_units,
        position=position_key(order.account.uid, order.position_index),
        time_in_force=terms.time_in_force,
        is_market=terms.is_market,
        post_only=terms.post_only,
        reduce_only=order.reduce_only,
        self_trade=terms.self_trade,
        quote_units_max=terms.quote_units,
        trigger_price_units=terms.trigger_price_units,
        trigger_by=TRIGGERS.get(terms.trigger_by, TriggerBy.LAST),
        trigger_rises=terms.trigger_direction == 1,
        stop_kind=StopKind.STOP if terms.trigger_price_units else StopKind.NONE,
        # Partial stops are made beside the engine.
        take_profit_units=0 if terms.bracket else terms.take_profit_units,
        take_profit_by=TRIGGERS.get(terms.take_profit_by, TriggerBy.LAST),
        stop_loss_units=0 if terms.bracket else terms.stop_loss_units,
        stop_loss_by=TRIGGERS.get(terms.stop_loss_by, TriggerBy.LAST),
    )
