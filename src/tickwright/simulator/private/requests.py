"""Owns the bodies of private requests as typed records; refuses to judge what they ask for.

Field names on the wire are camelCase; unknown fields are ignored, a wrong type is 10001.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tickwright.simulator.private.refusals import parameter

__all__ = [
    "AmendRequest",
    "BatchRequest",
    "CancelAllRequest",
    "CancelRequest",
    "CreateRequest",
    "DcpRequest",
    "LeverageRequest",
    "LimitPriceRequest",
    "MarginModeRequest",
    "ModeRequest",
    "OrderRequest",
    "TradingStopRequest",
    "TransferRequest",
    "UnitsAmend",
    "read_request",
]


class CreateRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of an order's creation."""

    category: str = ""
    symbol: str = ""
    side: str = ""
    order_type: str = ""
    qty: str = ""
    price: str = ""
    time_in_force: str = ""
    order_link_id: str = ""
    position_idx: int | str = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    market_unit: str = ""
    is_leverage: int = 0
    slippage_tolerance_type: str = ""
    slippage_tolerance: str = ""
    trigger_price: str = ""
    trigger_direction: int = 0
    trigger_by: str = ""
    order_filter: str = ""
    take_profit: str = ""
    stop_loss: str = ""
    tp_trigger_by: str = ""
    sl_trigger_by: str = ""
    tpsl_mode: str = ""
    tp_order_type: str = ""
    sl_order_type: str = ""
    tp_limit_price: str = ""
    sl_limit_price: str = ""
    bbo_side_type: str = ""
    bbo_level: str = ""
    smp_type: str = ""


class AmendRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of an order's change; an absent field stays as it is."""

    category: str = ""
    symbol: str = ""
    order_id: str = ""
    order_link_id: str = ""
    qty: str = ""
    price: str = ""
    trigger_price: str = ""
    take_profit: str = ""
    stop_loss: str = ""


class UnitsAmend(AmendRequest):
    """The same from the same process: sizes and prices come in units and were never text."""

    size_units: int | None = None
    price_units: int | None = None


class CancelRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of an order's cancel."""

    category: str = ""
    symbol: str = ""
    order_id: str = ""
    order_link_id: str = ""
    order_filter: str = ""


class CancelAllRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a cancel of many orders."""

    category: str = ""
    symbol: str = ""
    base_coin: str = ""
    settle_coin: str = ""
    order_filter: str = ""
    stop_order_type: str = ""


class LeverageRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a leverage setting."""

    category: str = ""
    symbol: str = ""
    buy_leverage: str = ""
    sell_leverage: str = ""


class ModeRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a position mode switch."""

    category: str = ""
    symbol: str = ""
    coin: str = ""
    mode: int = -1


class TradingStopRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a position's take profit and stop loss."""

    category: str = ""
    symbol: str = ""
    tpsl_mode: str = ""
    position_idx: int | str = 0
    take_profit: str = ""
    stop_loss: str = ""
    trailing_stop: str = ""
    active_price: str = ""
    tp_trigger_by: str = ""
    sl_trigger_by: str = ""
    tp_size: str = ""
    sl_size: str = ""
    tp_order_type: str = ""
    sl_order_type: str = ""
    tp_limit_price: str = ""
    sl_limit_price: str = ""


class DcpRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of arming the disconnection protection."""

    product: str = "OPTIONS"
    time_window: int | str = 0


class TransferRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a transfer between a master and its sub-accounts."""

    transfer_id: str = ""
    coin: str = ""
    amount: str = ""
    from_member_id: int | str = ""
    to_member_id: int | str = ""
    from_account_type: str = "UNIFIED"
    to_account_type: str = "UNIFIED"


class MarginModeRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a margin mode setting."""

    set_margin_mode: str = ""


class LimitPriceRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of choosing what happens to a price beyond the limits."""

    category: str = ""
    modify_enable: bool | None = None


class BatchRequest(msgspec.Struct, rename="camel", gc=False):
    """Body of a batch: its orders are read one by one, because each may fail alone."""

    category: str = ""
    request: list[Any] = []


OrderRequest = CreateRequest | AmendRequest | CancelRequest
"""What is asked about one order."""

_Body = TypeVar("_Body")


def read_request(body: Any, kind: type[_Body]) -> _Body:
    """Turn decoded JSON into a typed request; refuses with 10001. A typed one is as it is."""
    if isinstance(body, kind):
        return body
    if not isinstance(body, Mapping):
        raise parameter("params error: body is not an object")
    try:
        return msgspec.convert(body, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        # Half a surrogate pair is text to Python and nothing to the decoder.
        raise parameter(f"params error: {error}") from None
