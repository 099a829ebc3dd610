"""Owns what an order request means for an instrument and its filters; refuses accounts.

Every refusal here depends on the request, the instrument and the market alone.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tickwright.core.errors import UnitsError
from tickwright.core.identity import Category
from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.core.units import INT64_MAX, money_from_decimal, units_from_text
from tickwright.matching import SelfTrade
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.ledger import money_of
from tickwright.simulator.private.records import Bracket
from tickwright.simulator.private.refusals import VenueRefusal, parameter
from tickwright.simulator.private.requests import AmendRequest, CreateRequest, UnitsAmend
from tickwright.simulator.tickers import price_limits

__all__ = [
    "BBO_LEVELS",
    "SELF_TRADES",
    "SIDES",
    "TRIGGERS",
    "Terms",
    "amended_price",
    "amended_size",
    "best_price",
    "check_link_id",
    "clamp_price",
    "is_decimal",
    "limit_of",
    "position_index",
    "price_of",
    "size_of",
    "stop_price",
    "terms_of",
    "trigger_word",
]

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
TRIGGERS = {
    "LastPrice": TriggerBy.LAST,
    "MarkPrice": TriggerBy.MARK,
    "IndexPrice": TriggerBy.INDEX,
}
SELF_TRADES = {
    "None": SelfTrade.NONE,
    "CancelMaker": SelfTrade.CANCEL_MAKER,
    "CancelTaker": SelfTrade.CANCEL_TAKER,
    "CancelBoth": SelfTrade.CANCEL_BOTH,
}
_TIMES = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "PostOnly": TimeInForce.GTC,
}
_SPOT = Category.SPOT
BBO_LEVELS = ("1", "2", "3", "4", "5")
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


@dataclass(frozen=True, slots=True)
class Terms:
    """An order request in the instrument's units. `size_units` 0: as much as the position holds.

    `quote_units` above 0 is a spot market order by quote amount, in price_units x size_units.
    """

    side: Side
    is_market: bool
    size_units: int
    price_units: int
    time_in_force: TimeInForce
    time_in_force_text: str
    post_only: bool
    quote_units: int
    quote_amount: Decimal | None
    slippage_units: int | None
    trigger_price_units: int
    trigger_direction: int
    trigger_by: str
    take_profit_units: int
    stop_loss_units: int
    take_profit_by: str
    stop_loss_by: str
    self_trade: SelfTrade
    bracket: Bracket | None = None


def check_link_id(link_id: str) -> None:
    """Refuse an orderLinkId with other characters or more than 36 of them."""
    if link_id and _LINK_ID.fullmatch(link_id) is None:
        raise parameter("params error: orderLinkId invalid")


def position_index(value: int | str) -> int:
    """Read positionIdx, which some clients send as text."""
    if str(value) not in ("0", "1", "2"):
        raise parameter("params error: positionIdx invalid")
    return int(value)


def price_of(instrument: VenueInstrument, text: str, name: str = "price") -> int:
    """Read a price and check it against the tick."""
    try:
        units = units_from_text(text, instrument.price_decimals)
    except UnitsError:
        if instrument.category is _SPOT and is_decimal(text):
            raise VenueRefusal(170134, "Order price has too many decimals.") from None
        raise parameter(f"params error: {name} invalid") from None
    return _checked_price(instrument, units, name)


def _checked_price(instrument: VenueInstrument, units: int, name: str) -> int:
    if units <= 0:
        raise parameter(f"params error: {name} invalid")
    if units % instrument.tick_units:
        if instrument.category is _SPOT:
            raise VenueRefusal(170134, "Order price has too many decimals.")
        raise parameter(f"params error: {name} invalid")
    return units


def size_of(instrument: VenueInstrument, text: str, *, is_market: bool) -> int:
    """Read a size and check it against step, minimum and maximum."""
    try:
        units = units_from_text(text, instrument.size_decimals)
    except UnitsError:
        if instrument.category is _SPOT and is_decimal(text):
            raise VenueRefusal(170137, "Order volume decimal too long.") from None
        raise parameter("Qty invalid") from None
    return _checked_size(instrument, units, is_market=is_market)


def _checked_size(instrument: VenueInstrument, units: int, *, is_market: bool) -> int:
    spot = instrument.category is _SPOT
    if units < 0:
        raise parameter("Qty invalid")
    if units % instrument.lot_units:
        raise (
            VenueRefusal(170137, "Order volume decimal too long.")
            if spot
            else parameter("Qty invalid")
        )
    if units < instrument.size_min_units:
        if spot:
            raise VenueRefusal(170136, "Order quantity lower than the minimum.")
        raise parameter("The number of contracts exceeds minimum limit allowed")
    bound = instrument.market_size_max_units if is_market else instrument.size_max_units
    if units > bound:
        if spot:
            raise VenueRefusal(170124, "Order amount too large.")
        raise parameter("The number of contracts exceeds maximum limit allowed: too large")
    return units


def amended_price(instrument: VenueInstrument, request: AmendRequest) -> int | None:
    """Return the price that a request changes an order to; None leaves it."""
    if isinstance(request, UnitsAmend):
        units = request.price_units
        return None if units is None else _checked_price(instrument, units, "price")
    return price_of(instrument, request.price) if request.price else None


def amended_size(instrument: VenueInstrument, request: AmendRequest) -> int | None:
    """Return the size that a request changes an order to; None leaves it."""
    if isinstance(request, UnitsAmend):
        units = request.size_units
        return None if units is None else _checked_size(instrument, units, is_market=False)
    return size_of(instrument, request.qty, is_market=False) if request.qty else None


def stop_price(
    market: SymbolMarket, side: Side, text: str, *, is_profit: bool, base_units: int
) -> int:
    """Read a take profit or stop loss price of a position opened by `side`; "" and "0" are none."""
    if text in ("", "0"):
        return 0
    name = "TakeProfit" if is_profit else "StopLoss"
    units = price_of(market.instrument, text, name)
    if (units - base_units) * side * (1 if is_profit else -1) <= 0:
        relation = "higher" if (side is Side.BUY) is is_profit else "lower"
        price = market.instrument.price_text
        holder = "Buy" if side is Side.BUY else "Sell"
        raise parameter(
            f"{name}:{price[units]} set for {holder} position should be {relation} than "
            f"base_price:{price[base_units]}??LastPrice"
        )
    return units


def clamp_price(market: SymbolMarket, side: Side, price_units: int, *, adjusts: bool) -> int:
    """Bring a price inside the venue's limits, or refuse it unless the account lets it `adjusts`.

    Without a setting, contracts move a price and spot refuses it.
    """
    highest, lowest = price_limits(market)
    nearest = min(price_units, highest) if side is Side.BUY else max(price_units, lowest)
    if nearest == price_units or adjusts:
        return nearest
    if market.instrument.category is not Category.SPOT:
        raise VenueRefusal(110003, "Order price exceeds the allowable range.")
    if side is Side.BUY:
        raise VenueRefusal(170193, "Buy order price cannot be higher than the price limit.")
    raise VenueRefusal(170194, "Sell order price cannot be lower than the price limit.")


def best_price(request: CreateRequest, market: SymbolMarket, side: Side) -> int:
    """Return the price of a best-bid-offer order: its level now, on its own side or the other's."""
    if market.instrument.category is Category.SPOT:
        raise parameter("params error: bboSideType is for contracts")
    if request.order_type != "Limit" or request.trigger_price not in ("", "0"):
        raise parameter("params error: bboSideType is for plain limit orders")
    if request.bbo_side_type not in ("Queue", "Counterparty"):
        raise parameter("params error: bboSideType invalid")
    if request.bbo_level not in BBO_LEVELS:
        raise parameter("params error: bboLevel invalid")
    number = int(request.bbo_level)
    levels = market.book.levels(side if request.bbo_side_type == "Queue" else side.opposite, number)
    if len(levels) < number:
        raise parameter("params error: the book has no such bboLevel")
    return levels[-1][0]


def terms_of(request: CreateRequest, market: SymbolMarket, *, adjusts: bool) -> Terms:
    """Read and check a create request against the instrument and the market.

    `adjusts` says whether a price beyond the venue's limits is moved to them.
    """
    instrument = market.instrument
    spot = instrument.category is Category.SPOT
    side = SIDES.get(request.side)
    if side is None:
        raise parameter("params error: side invalid")
    if request.order_type not in ("Limit", "Market"):
        raise parameter("params error: orderType invalid")
    is_market = request.order_type == "Market"
    time_text = "IOC" if is_market else request.time_in_force or "GTC"
    if time_text not in _TIMES or (request.time_in_force not in ("", *_TIMES)):
        raise parameter("params error: timeInForce invalid")
    check_link_id(request.order_link_id)
    smp = request.smp_type or "None"
    if smp not in SELF_TRADES:
        raise parameter("params error: smpType invalid")
    if request.is_leverage not in (0, 1):
        raise parameter("params error: isLeverage invalid")
    if request.is_leverage and spot:
        raise VenueRefusal(170344, "Symbol is not supported on Margin Trading.")
    if request.bbo_side_type or request.bbo_level:
        price = best_price(request, market, side)
    else:
        price = 0 if is_market else price_of(instrument, request.price)
    trigger, direction = _trigger(request, market)
    if price and not trigger:
        price = clamp_price(market, side, price, adjusts=adjusts)
    quote_units, quote_amount = _quote(request, market, side) if spot and is_market else (0, None)
    closes_all = request.qty == "0" and request.reduce_only and request.close_on_trigger
    if quote_units:
        size = min(INT64_MAX, quote_units)
    elif closes_all and not spot:
        size = 0
    else:
        size = size_of(instrument, request.qty, is_market=is_market)
    reference = trigger or price or market.last_or_mid_units()
    if not request.reduce_only and not quote_units:
        _check_notional(instrument, money_of(instrument, price or reference, size))
    base = trigger or price or market.last_or_mid_units()
    if request.reduce_only and (request.take_profit or request.stop_loss):
        raise parameter("Can not set tp/sl when reduceOnly is true")
    if request.take_profit or request.stop_loss:
        if spot:
            raise parameter("params error: attached takeProfit and stopLoss are for contracts")
        if request.tpsl_mode not in ("", "Full", "Partial"):
            raise parameter("params error: tpslMode invalid")
        if request.tpsl_mode != "Partial" and "Limit" in (
            request.tp_order_type,
            request.sl_order_type,
        ):
            raise parameter("params error: limit take profit needs tpslMode Partial")
    take_profit, stop_loss = (
        stop_price(market, side, text, is_profit=up, base_units=base)
        for text, up in ((request.take_profit, True), (request.stop_loss, False))
    )
    bracket = None
    if request.tpsl_mode == "Partial" and (take_profit or stop_loss):
        bracket = Bracket(
            take_profit,
            limit_of(instrument, request.tp_order_type, request.tp_limit_price),
            TRIGGERS[trigger_word(request.tp_trigger_by)],
            stop_loss,
            limit_of(instrument, request.sl_order_type, request.sl_limit_price),
            TRIGGERS[trigger_word(request.sl_trigger_by)],
        )
    return Terms(
        side=side,
        is_market=is_market,
        size_units=size,
        price_units=price,
        time_in_force=_TIMES[time_text],
        time_in_force_text=time_text,
        post_only=time_text == "PostOnly",
        quote_units=quote_units,
        quote_amount=quote_amount,
        slippage_units=_slippage(request, market, side) if is_market else None,
        trigger_price_units=trigger,
        trigger_direction=direction,
        trigger_by=trigger_word(request.trigger_by) if trigger else "",
        take_profit_units=take_profit,
        stop_loss_units=stop_loss,
        take_profit_by=trigger_word(request.tp_trigger_by) if request.take_profit else "",
        stop_loss_by=trigger_word(request.sl_trigger_by) if request.stop_loss else "",
        self_trade=SELF_TRADES[smp],
        bracket=bracket,
    )


def limit_of(instrument: VenueInstrument, order_type: str, text: str) -> int:
    """Return the limit price of a partial stop; 0 when it closes at market."""
    if order_type not in ("", "Market", "Limit"):
        raise parameter("params error: tpOrderType or slOrderType invalid")
    return price_of(instrument, text, "limitPrice") if order_type == "Limit" else 0


def is_decimal(text: str) -> bool:
    """Whether a text is a plain decimal number without sign and exponent."""
    return _DECIMAL.fullmatch(text) is not None


def trigger_word(text: str) -> str:
    """Read which price triggers; "" is the last price."""
    word = text or "LastPrice"
    if word not in TRIGGERS:
        raise parameter("params error: triggerBy invalid")
    return word


def _trigger(request: CreateRequest, market: SymbolMarket) -> tuple[int, int]:
    """Return (trigger price, direction), (0, 0) for a plain order; refuses the wrong side."""
    if request.trigger_price in ("", "0"):
        if request.order_filter in ("tpslOrder", "StopOrder"):
            raise parameter("params error: triggerPrice missing")
        return 0, 0
    trigger = price_of(market.instrument, request.trigger_price, "triggerPrice")
    word = trigger_word(request.trigger_by)
    current = {
        "LastPrice": market.last_or_mid_units(),
        "MarkPrice": market.mark_units,
        "IndexPrice": market.index_units,
    }[word]
    if market.instrument.category is Category.SPOT:
        if request.order_filter not in ("tpslOrder", "StopOrder"):
            raise parameter("params error: orderFilter must be tpslOrder or StopOrder")
        return trigger, 1 if trigger > current else 2
    if request.trigger_direction not in (1, 2):
        raise parameter("params error: triggerDirection invalid")
    price = market.instrument.price_text
    if request.trigger_direction == 1 and trigger <= current:
        raise VenueRefusal(
            110092,
            f"expect Rising, but trigger_price[{price[trigger]}] <= "
            f"current[{price[current]}]??{word}",
        )
    if request.trigger_direction == 2 and trigger >= current:
        raise VenueRefusal(
            110093,
            f"expect Falling, but trigger_price[{price[trigger]}] >= "
            f"current[{price[current]}]??{word}",
        )
    return trigger, request.trigger_direction


def _quote(request: CreateRequest, market: SymbolMarket, side: Side) -> tuple[int, Decimal | None]:
    """Return the quote amount of a spot market order, by default a buy's quantity is one."""
    unit = request.market_unit or ("quoteCoin" if side is Side.BUY else "baseCoin")
    if unit not in ("baseCoin", "quoteCoin"):
        raise parameter("params error: marketUnit invalid")
    if unit == "baseCoin":
        return 0, None
    if not is_decimal(request.qty):
        raise parameter("Qty invalid")
    amount = Decimal(request.qty)
    if amount.as_tuple().exponent < -8:  # type: ignore[operator]  # finite: digits and a dot
        raise VenueRefusal(170137, "Order volume decimal too long.")
    _check_notional(market.instrument, money_from_decimal(amount))
    decimals = market.instrument.price_decimals + market.instrument.size_decimals
    return int(amount.scaleb(decimals)), amount


def _check_notional(instrument: VenueInstrument, notional: int) -> None:
    if notional < money_from_decimal(instrument.notional_min):
        if instrument.category is Category.SPOT:
            raise VenueRefusal(170140, "Order value exceeded lower limit.")
        minimum = f"{instrument.notional_min}{instrument.quote}"
        raise VenueRefusal(110094, f"Order does not meet minimum order value {minimum}")


def _slippage(request: CreateRequest, market: SymbolMarket, side: Side) -> int | None:
    """Return how far a market order may go from the best opposite price; None: the venue's own."""
    kind, text = request.slippage_tolerance_type, request.slippage_tolerance
    if not kind:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise parameter("params error: slippageTolerance invalid") from None
    if not value.is_finite():
        raise parameter("params error: slippageTolerance invalid")
    if kind == "TickSize" and value == value.to_integral_value() and 1 <= value <= 10_000:
        return int(value) * market.instrument.tick_units
    if kind == "Percent" and Decimal("0.01") <= value <= 10 and value * 100 % 1 == 0:
        best = market.book.best()[1 if side is Side.BUY else 0]
        reference = best[0] if best else market.last_or_mid_units()
        return int(reference * value / 100)
    raise parameter("params error: slippageTolerance invalid")
