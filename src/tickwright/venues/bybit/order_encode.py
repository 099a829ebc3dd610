"""Owns turning our order requests into Bybit's rows; refuses what the venue can't be asked.

Prices and sizes become plain decimal text of the instrument. The same rows serve the order-entry
socket and REST.
"""

from collections.abc import Callable

import msgspec

from tickwright.core.commands import AmendOrder, CancelOrder, PlaceOrder
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.identity import ClientId, InstrumentId, Leg
from tickwright.core.instrument import Instrument
from tickwright.core.orders import (
    OrderType,
    RequestKind,
    SelfTradeRule,
    Side,
    TimeInForce,
    TriggerBy,
)
from tickwright.core.units import units_writer
from tickwright.venues.bybit.private_decode import leg_index
from tickwright.venues.port import OrderRequest, Unsendable

__all__ = ["OrderEncoder", "OrderForm", "PlainRow", "change_fault", "request_kind_of"]

_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
_TIMES = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_TRIGGERS = {
    TriggerBy.LAST: "LastPrice",
    TriggerBy.MARK: "MarkPrice",
    TriggerBy.INDEX: "IndexPrice",
}
_SELF_TRADES = {
    # The venue's own default, which needs no word.
    SelfTradeRule.NONE: "",
    SelfTradeRule.CANCEL_MAKER: "CancelMaker",
    SelfTradeRule.CANCEL_TAKER: "CancelTaker",
    SelfTradeRule.CANCEL_BOTH: "CancelBoth",
}
_KINDS: dict[type[OrderRequest], RequestKind] = {
    PlaceOrder: RequestKind.CREATE,
    AmendOrder: RequestKind.AMEND,
    CancelOrder: RequestKind.CANCEL,
}
_RISES, _FALLS = 1, 2
# Looking a member up in its class is a Python call.
_LIMIT = OrderType.LIMIT
_GTC = TimeInForce.GTC
_CLIENT_ID_LENGTH_MAX = 36


class OrderForm(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One create, amend or cancel in the venue's words; a field at its default isn't sent."""

    category: str = ""
    symbol: str = ""
    orderLinkId: str = ""  # noqa: N815
    orderId: str = ""  # noqa: N815
    side: str = ""
    orderType: str = ""  # noqa: N815
    qty: str = ""
    price: str = ""
    timeInForce: str = ""  # noqa: N815
    positionIdx: int | None = None  # noqa: N815
    reduceOnly: bool = False  # noqa: N815
    triggerPrice: str = ""  # noqa: N815
    triggerDirection: int = 0  # noqa: N815
    triggerBy: str = ""  # noqa: N815
    takeProfit: str = ""  # noqa: N815
    stopLoss: str = ""  # noqa: N815
    tpTriggerBy: str = ""  # noqa: N815
    slTriggerBy: str = ""  # noqa: N815
    tpslMode: str = ""  # noqa: N815
    marketUnit: str = ""  # noqa: N815
    isLeverage: int | None = None  # noqa: N815
    orderFilter: str = ""  # noqa: N815
    smpType: str = ""  # noqa: N815


def request_kind_of(request: OrderRequest) -> RequestKind:
    """Return which kind of request it is."""
    return _KINDS[type(request)]


class PlainRow(msgspec.Struct, frozen=True, gc=False):
    """A row as JSON text, with its product line."""

    category: str
    text: str


class _Fragments:
    """The parts of a plain limit order's row that one version of an instrument fixes.

    `write_price` and `write_size` put its numbers into text.
    """

    __slots__ = ("category", "head", "instrument", "legs", "tail", "write_price", "write_size")

    def __init__(self, instrument: Instrument, self_trade: str) -> None:
        self.instrument = instrument
        self.category = instrument.id.category.value
        head = msgspec.json.encode(OrderForm(self.category, instrument.symbol)).decode()
        self.head = head[:-1] + ',"orderLinkId":"'
        self.legs = {
            leg: "" if instrument.is_spot else f',"positionIdx":{leg_index(leg)}' for leg in Leg
        }
        spot = ',"isLeverage":0,"orderFilter":"Order"' if instrument.is_spot else ""
        rule = f',"smpType":"{self_trade}"' if self_trade else ""
        self.tail = f"{spot}{rule}}}"
        self.write_price = units_writer(instrument.price_decimals)
        self.write_size = units_writer(instrument.size_decimals)


class OrderEncoder:
    """Makes rows for the instruments it can look up.

    Bybit must be told whether a trigger lies above or below the market. With `last_price_units`
    that is a comparison. Without it a stop is assumed: a sell waits for a fall, a buy for a rise.

    Every new order carries the account's rule for meeting an order of its own.
    """

    def __init__(
        self,
        instrument_of: Callable[[InstrumentId], Instrument],
        *,
        self_trade: SelfTradeRule = SelfTradeRule.NONE,
    ) -> None:
        self._instrument_of = instrument_of
        self._self_trade = _SELF_TRADES[self_trade]
        self._fragments: dict[InstrumentId, _Fragments] = {}

    def plain_row(self, order: PlaceOrder, now_ns: int) -> PlainRow | Unsendable | None:
        """Return the JSON text of what `row` makes of a plain limit order; None for another kind.

        Put together from fixed parts, because every order waits for it: a third of the time of a
        form of 22 fields and its encoding. A test holds it to the form's bytes.
        """
        if order.order_type is not _LIMIT or order.trigger_price_units is not None:
            return None
        try:
            instrument = self._instrument_of(order.instrument_id)
        except InstrumentUnknown as error:
            return Unsendable(order.client_id, RequestKind.CREATE, str(error))
        reason = _create_fault(order, instrument, now_ns)
        if reason:
            return Unsendable(order.client_id, RequestKind.CREATE, reason)
        fixed = self._fragments.get(order.instrument_id)
        if fixed is None or fixed.instrument is not instrument:
            fixed = self._fragments[order.instrument_id] = _Fragments(instrument, self._self_trade)
        price_units = order.price_units
        assert price_units is not None, "a limit order without a price is a fault"
        qty, price = fixed.write_size(order.size_units), fixed.write_price(price_units)
        bracket = ""
        if order.stop_loss_price_units is not None or order.take_profit_price_units is not None:
            bracket = _bracket_text(order, fixed.write_price)
        time_in_force = "PostOnly" if order.post_only else _TIMES[order.time_in_force]
        reduce_only = ',"reduceOnly":true' if order.reduce_only else ""
        text = (
            f'{fixed.head}{order.client_id}","side":"{_SIDES[order.side]}","orderType":"Limit",'
            f'"qty":"{qty}","price":"{price}","timeInForce":"{time_in_force}"'
            f"{fixed.legs[order.leg]}{reduce_only}{bracket}{fixed.tail}"
        )
        return PlainRow(fixed.category, text)

    def row(
        self, request: OrderRequest, now_ns: int, *, last_price_units: int | None = None
    ) -> OrderForm | Unsendable:
        """Return the row of a request, or why it can't be sent."""
        try:
            instrument = self._instrument_of(request.instrument_id)
        except InstrumentUnknown as error:
            return Unsendable(request.client_id, request_kind_of(request), str(error))
        if isinstance(request, PlaceOrder):
            reason = _create_fault(request, instrument, now_ns)
            if reason:
                return Unsendable(request.client_id, RequestKind.CREATE, reason)
            return _create(request, instrument, last_price_units, self._self_trade)
        reason = change_fault(request)
        if reason:
            return Unsendable(request.client_id, request_kind_of(request), reason)
        order_id = "" if request.client_id else (request.venue_id or "")
        category = instrument.id.category.value
        if isinstance(request, CancelOrder):
            return OrderForm(category, instrument.symbol, request.client_id, order_id)
        return OrderForm(
            category,
            instrument.symbol,
            request.client_id,
            order_id,
            qty="" if request.size_units is None else instrument.size_text(request.size_units),
            price="" if request.price_units is None else instrument.price_text(request.price_units),
        )


def change_fault(request: AmendOrder | CancelOrder) -> str:
    """Return why a change of an order can't be asked for; "" when it can."""
    if not request.client_id and not request.venue_id:
        return "the order has no id"
    if (
        isinstance(request, AmendOrder)
        and request.price_units is None
        and request.size_units is None
    ):
        return "nothing to amend"
    return ""


def _bracket_text(order: PlaceOrder, write_price: Callable[[int], str]) -> str:
    stop, profit = order.stop_loss_price_units, order.take_profit_price_units
    by = _TRIGGERS[order.trigger_by]
    levels = kinds = ""
    if profit is not None:
        levels = f',"takeProfit":"{write_price(profit)}"'
        kinds = f',"tpTriggerBy":"{by}"'
    if stop is not None:
        levels += f',"stopLoss":"{write_price(stop)}"'
        kinds += f',"slTriggerBy":"{by}"'
    return f'{levels}{kinds},"tpslMode":"Full"'


def _create_fault(order: PlaceOrder, instrument: Instrument, now_ns: int) -> str:
    if 0 < order.valid_until_ns < now_ns:
        return "expired before it was sent"
    if not _is_client_id(order.client_id):
        return "the client id must be 1 to 36 letters, digits, - and _"
    if order.size_units <= 0:
        return "size must be above zero"
    price_units, is_limit = order.price_units, order.order_type is _LIMIT
    if (price_units is not None and price_units > 0) is not is_limit:
        return "a limit order needs a price, a market order has none"
    if order.post_only and not (is_limit and order.time_in_force is _GTC):
        return "post-only is for resting limit orders"
    has_bracket = (
        order.stop_loss_price_units is not None or order.take_profit_price_units is not None
    )
    if not (has_bracket or order.reduce_only or order.trigger_price_units is not None):
        return ""
    can = instrument.capabilities
    if order.reduce_only and has_bracket:
        return "a reduce-only order can't carry a bracket"
    if order.reduce_only and not can.has_reduce_only:
        return f"{instrument.id} has no reduce-only orders"
    if has_bracket and not can.has_attached_brackets:
        return f"{instrument.id} has no attached brackets"
    if order.trigger_price_units is not None and not can.has_native_stop:
        return f"{instrument.id} has no conditional orders"
    return ""


def _create(
    order: PlaceOrder, instrument: Instrument, last_price_units: int | None, self_trade: str
) -> OrderForm:
    is_spot = instrument.is_spot
    is_market = order.order_type is OrderType.MARKET
    time_in_force = "PostOnly" if order.post_only else _TIMES[order.time_in_force]
    price_text = instrument.price_text
    trigger, direction, trigger_by = "", 0, ""
    if order.trigger_price_units is not None:
        trigger = price_text(order.trigger_price_units)
        trigger_by = _TRIGGERS[order.trigger_by]
        direction = _direction(order, order.trigger_price_units, last_price_units)
    stop, profit = order.stop_loss_price_units, order.take_profit_price_units
    has_bracket = stop is not None or profit is not None
    bracket_by = _TRIGGERS[order.trigger_by]
    return OrderForm(
        category=instrument.id.category.value,
        symbol=instrument.symbol,
        orderLinkId=order.client_id,
        side=_SIDES[order.side],
        orderType="Market" if is_market else "Limit",
        qty=instrument.size_text(order.size_units),
        price="" if order.price_units is None else price_text(order.price_units),
        timeInForce="IOC" if is_market else time_in_force,
        positionIdx=None if is_spot else leg_index(order.leg),
        reduceOnly=order.reduce_only,
        triggerPrice=trigger,
        # Spot derives the direction itself and takes the last price alone.
        triggerDirection=0 if is_spot else direction,
        triggerBy="" if is_spot else trigger_by,
        takeProfit="" if profit is None else price_text(profit),
        stopLoss="" if stop is None else price_text(stop),
        tpTriggerBy="" if profit is None else bracket_by,
        slTriggerBy="" if stop is None else bracket_by,
        tpslMode="Full" if has_bracket else "",
        # The default would count a market buy's size in quote money.
        marketUnit="baseCoin" if is_spot and is_market else "",
        isLeverage=0 if is_spot else None,
        orderFilter=("StopOrder" if trigger else "Order") if is_spot else "",
        smpType=self_trade,
    )


def _direction(order: PlaceOrder, trigger_units: int, last_price_units: int | None) -> int:
    if last_price_units is not None and last_price_units != trigger_units:
        return _RISES if trigger_units > last_price_units else _FALLS
    return _RISES if order.side is Side.BUY else _FALLS


def _is_client_id(client_id: ClientId) -> bool:
    if len(client_id) > _CLIENT_ID_LENGTH_MAX or not client_id.isascii():
        return False
    # Our own names are identifiers, which is the quicker question.
    return client_id.isidentifier() or client_id.replace("-", "").replace("_", "").isalnum()
