"""Owns turning private rows into the engine's inputs; refuses what contradicts itself.

A row that can't be read raises and must lead to a fresh read of the account: an event that was
missed is never ignored. Trades and block trades must fit the instrument's units exactly; prices
of other kinds (delivery, liquidation, funding) are computed figures and are rounded half-even.
"""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, TypeVar

import msgspec

from tickwright.core.errors import FrameError, InstrumentUnknown
from tickwright.core.events import AccountState, BalanceReport, OrderReport, PositionReport
from tickwright.core.identity import AccountId, Category, ClientId, Leg, VenueOrderId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind, Fill, OrderState, OrderType, Side
from tickwright.core.units import INT64_MAX, MONEY_DECIMALS
from tickwright.venues.bybit.decode import MILLISECONDS_MAX, side_of, units_of
from tickwright.venues.bybit.private_wire import (
    ExecutionRow,
    OrderRow,
    PositionRow,
    WalletRow,
)
from tickwright.venues.bybit.wire import InstrumentUnlisted, shortened

__all__ = [
    "EXECUTION_KINDS",
    "LEGS",
    "ORDER_STATES",
    "ORDER_TYPES",
    "POSITION_STOPS",
    "InstrumentOf",
    "RowReader",
    "is_said",
    "leg_index",
    "money_from_text",
    "reason_of",
]

InstrumentOf = Callable[[Category, str], Instrument]
"""Looks an instrument up; raises InstrumentUnknown when we don't hold it."""

T = TypeVar("T")

_SIGNED = re.compile(r"-?([0-9]{1,40})(?:\.([0-9]{1,40}))?")
_EXACT = Context(prec=100)
_COINS_MAX = 2_000
_CATEGORIES = {category.value: category for category in Category}
LEGS = {0: Leg.NET, 1: Leg.LONG, 2: Leg.SHORT}
"""Legs by `positionIdx`."""
_LEG_INDEX = {leg: index for index, leg in LEGS.items()}
ORDER_STATES = {
    "New": OrderState.WORKING,
    "PartiallyFilled": OrderState.PARTLY_FILLED,
    # A conditional order that rests at the venue until its price comes.
    "Untriggered": OrderState.WORKING,
    "Triggered": OrderState.TRIGGERED,
    "Filled": OrderState.FILLED,
    # On contracts a partly filled order ends so too: never read it as unfilled.
    "Cancelled": OrderState.CANCELLED,
    "PartiallyFilledCanceled": OrderState.CANCELLED,
    "Deactivated": OrderState.CANCELLED,
    "Rejected": OrderState.REJECTED,
}
EXECUTION_KINDS = {
    "Trade": ExecutionKind.TRADE,
    "BlockTrade": ExecutionKind.BLOCK_TRADE,
    "AdlTrade": ExecutionKind.ADL,
    "BustTrade": ExecutionKind.LIQUIDATION,
    "MovePosition": ExecutionKind.MOVE_POSITION,
    "FutureSpread": ExecutionKind.FUTURE_SPREAD,
    "Delivery": ExecutionKind.DELIVERY,
    "Funding": ExecutionKind.FUNDING,
    "Settle": ExecutionKind.SETTLE,
}
POSITION_STOPS = frozenset(
    {"StopLoss", "TakeProfit", "TrailingStop", "PartialStopLoss", "PartialTakeProfit"}
)
_NO_REASON = ("", "EC_NoError", "UNKNOWN")
ORDER_TYPES = {"Limit": OrderType.LIMIT, "Market": OrderType.MARKET}


class RowReader:
    """Reads the rows of one account.

    `category` is what the row says, or what the caller asked for where REST leaves it out.
    """

    def __init__(self, account_id: AccountId, instrument_of: InstrumentOf) -> None:
        self.account_id = account_id
        self._instrument_of = instrument_of

    def order(
        self,
        raw: dict[str, Any],
        *,
        received_ns: int,
        category: Category | None = None,
        is_from_query: bool = False,
    ) -> OrderReport:
        """Read an order row.

        A spot market order may count its size in quote money; ours never do. Of a foreign one
        only what it filled is told, as its size.

        Raises:
            InstrumentMismatch: its instrument is unknown, or its numbers don't fit.
            FrameError: a vital field is missing, or the row contradicts itself.
        """
        row = _convert(raw, OrderRow)
        text = str(raw).encode()
        instrument = self._instrument(row.category, category, row.symbol, text)
        state = ORDER_STATES.get(row.orderStatus)
        order_type = ORDER_TYPES.get(row.orderType)
        if state is None or order_type is None or not row.orderId:
            raise FrameError(
                f"order of type {shortened(row.orderType)} in state "
                f"{shortened(row.orderStatus)}: {shortened(text)}"
            )
        side = side_of(row.side, text)
        filled = _size(row.cumExecQty, instrument, text)
        is_quote = (
            instrument.is_spot
            and order_type is OrderType.MARKET
            and (row.marketUnit == "quoteCoin" or (not row.marketUnit and side is Side.BUY))
        )
        size = filled if is_quote else _size(row.qty, instrument, text)
        has_fill = state in (OrderState.FILLED, OrderState.PARTLY_FILLED)
        if (has_fill and filled == 0) or (0 < size < filled):
            raise FrameError(f"an order whose sizes contradict each other: {shortened(text)}")
        price = None
        if order_type is OrderType.LIMIT and row.price:
            price = units_of(row.price, instrument.price_decimals, instrument, text) or None
        trigger = None
        if row.triggerPrice:
            trigger = units_of(row.triggerPrice, instrument.price_decimals, instrument, text)
        return OrderReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            client_id=ClientId(row.orderLinkId) if row.orderLinkId else None,
            venue_id=VenueOrderId(row.orderId),
            side=side,
            order_type=order_type,
            state=state,
            price_units=price,
            size_units=size,
            filled_units=filled,
            reason=reason_of(row.orderStatus, row.stopOrderType, row.rejectReason, row.cancelType),
            venue_ns=_time_ns(row.updatedTime, text),
            received_ns=received_ns,
            reduce_only=row.reduceOnly,
            is_conditional=bool(trigger) or is_said(row.stopOrderType),
            leg=_leg(row.positionIdx, text),
            is_from_query=is_from_query,
            trigger_price_units=trigger or None,
            parent_id=ClientId(row.parentOrderLinkId) if row.parentOrderLinkId else None,
        )

    def fill(
        self, raw: dict[str, Any], *, received_ns: int, category: Category | None = None
    ) -> Fill:
        """Read an execution row; an unknown kind becomes `OTHER`, which must halt the instrument.

        The row names no leg: on a hedged account the order's own leg counts, and `leg` stays NET.
        Funding moves `cash` (received is positive) and has no fee.

        Raises:
            InstrumentMismatch: its instrument is unknown, or its numbers don't fit.
            FrameError: a vital field is missing, or the row contradicts itself.
        """
        row = _convert(raw, ExecutionRow)
        text = str(raw).encode()
        instrument = self._instrument(row.category, category, row.symbol, text)
        kind = EXECUTION_KINDS.get(row.execType, ExecutionKind.OTHER)
        if not row.execId:
            raise FrameError(f"an execution without an id: {shortened(text)}")
        price, size = _price_and_size(row, kind, instrument, text)
        fee, cash = money_from_text(row.execFee or "0", text), 0
        if kind is ExecutionKind.FUNDING:
            fee, cash = 0, -fee
        elif kind is ExecutionKind.SETTLE:
            if not row.execPnl:
                raise FrameError(f"a settlement without its profit: {shortened(text)}")
            cash = money_from_text(row.execPnl, text)
        side = Side.BUY if not row.side and not kind.moves_position else side_of(row.side, text)
        return Fill(
            account_id=self.account_id,
            instrument_id=instrument.id,
            execution_id=row.execId,
            kind=kind,
            side=side,
            price_units=price,
            size_units=size,
            fee=fee,
            fee_asset=row.feeCurrency or _fee_asset(instrument, side, fee),
            is_maker=row.isMaker,
            venue_ns=_time_ns(row.execTime, text),
            received_ns=received_ns,
            client_id=ClientId(row.orderLinkId) if row.orderLinkId else None,
            venue_id=VenueOrderId(row.orderId) if row.orderId else None,
            cash=cash,
            is_of_stop=row.stopOrderType in POSITION_STOPS,
        )

    def position(
        self,
        raw: dict[str, Any],
        *,
        received_ns: int,
        category: Category | None = None,
        is_from_query: bool = False,
    ) -> PositionReport:
        """Read a position row into a signed size.

        Raises:
            InstrumentMismatch: its instrument is unknown or its size doesn't fit.
            FrameError: a vital field is missing, or side, size and leg contradict each other.
        """
        row = _convert(raw, PositionRow)
        text = str(raw).encode()
        instrument = self._instrument(row.category, category, row.symbol, text)
        leg = _leg(row.positionIdx, text)
        size = _size(row.size, instrument, text)
        if size:
            side = side_of(row.side, text)
            if (leg is Leg.LONG and side is Side.SELL) or (leg is Leg.SHORT and side is Side.BUY):
                raise FrameError(f"a position on the wrong leg: {shortened(text)}")
            size *= side
        # A leg that was never used has no time.
        has_time = row.updatedTime not in ("", "0")
        entry = row.entryPrice or row.avgPrice or "0"
        money_from_text(entry, text)
        return PositionReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            leg=leg,
            size_units=size,
            entry_price=entry,
            venue_ns=_time_ns(row.updatedTime, text) if has_time else 0,
            received_ns=received_ns,
            is_from_query=is_from_query,
            stop_units=_held(row.stopLoss, instrument, text),
            take_units=_held(row.takeProfit, instrument, text),
            trailing_distance_units=_held(row.trailingStop, instrument, text),
            leverage=row.leverage,
            initial_margin=_margin(row.positionIM, text),
            maintenance_margin=_margin(row.positionMM, text),
            liquidation_price_units=_computed_price(row.liqPrice, instrument, text) or None,
        )

    def wallet(
        self, raw: dict[str, Any], *, venue_ns: int, received_ns: int
    ) -> list[BalanceReport | AccountState]:
        """Read a wallet row: one report per asset, and the totals where the margin mode has them.

        Raises:
            FrameError: a vital field is missing or no number.
        """
        row = _convert(raw, WalletRow)
        text = str(raw).encode()
        if len(row.coin) > _COINS_MAX:
            raise FrameError(f"a wallet of more than {_COINS_MAX} assets: {shortened(text)}")
        reports: list[BalanceReport | AccountState] = [
            BalanceReport(
                account_id=self.account_id,
                asset=coin.coin,
                wallet_balance=money_from_text(coin.walletBalance, text),
                locked=money_from_text(coin.locked or "0", text),
                venue_ns=venue_ns,
                received_ns=received_ns,
            )
            for coin in row.coin
        ]
        totals = (
            row.totalEquity,
            row.totalAvailableBalance,
            row.totalInitialMargin,
            row.totalMaintenanceMargin,
        )
        if all(totals):
            equity, available, initial, maintenance = (money_from_text(t, text) for t in totals)
            reports.append(
                AccountState(
                    account_id=self.account_id,
                    equity=equity,
                    available=available,
                    initial_margin=initial,
                    maintenance_margin=maintenance,
                    venue_ns=venue_ns,
                    received_ns=received_ns,
                )
            )
        return reports

    def _instrument(
        self, category_text: str, asked: Category | None, symbol: str, text: bytes
    ) -> Instrument:
        category = _CATEGORIES.get(category_text) if category_text else asked
        if category is None:
            raise FrameError(f"category {shortened(category_text)}: {shortened(text)}")
        try:
            return self._instrument_of(category, symbol)
        except InstrumentUnknown as error:
            raise InstrumentUnlisted(symbol, f"{error}; load the instruments again") from None


def leg_index(leg: Leg) -> int:
    """Return the venue's `positionIdx` of a leg."""
    return _LEG_INDEX[leg]


def money_from_text(text: str, frame: bytes) -> int:
    """Return exact money units of decimal text, which may be negative; rounds beyond 18 decimals.

    Raises:
        FrameError: not such text.
    """
    match = _SIGNED.fullmatch(text)
    if match is None:
        raise FrameError(f"{shortened(text)} is no amount: {shortened(frame)}")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > MONEY_DECIMALS:
        scaled = _EXACT.scaleb(Decimal(text), MONEY_DECIMALS)
        return int(scaled.to_integral_value(ROUND_HALF_EVEN, _EXACT))
    units = int(whole + fraction.ljust(MONEY_DECIMALS, "0"))
    return -units if text.startswith("-") else units


def _convert(raw: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise FrameError(f"{kind.__name__}: {error}: {shortened(str(raw))}") from None


def _price_and_size(
    row: ExecutionRow, kind: ExecutionKind, instrument: Instrument, text: bytes
) -> tuple[int, int]:
    size = _size(row.execQty, instrument, text)
    if kind in (ExecutionKind.TRADE, ExecutionKind.BLOCK_TRADE):
        price = units_of(row.execPrice, instrument.price_decimals, instrument, text)
    else:
        price = _computed_price(row.execPrice, instrument, text)
    if not 0 <= price <= INT64_MAX or (kind.moves_position and (price == 0 or size == 0)):
        raise FrameError(f"an execution without price or size: {shortened(text)}")
    return price, size


def _computed_price(price_text: str, instrument: Instrument, text: bytes) -> int:
    """Return a figure the venue computed as price units, rounded half-even; 0 when it is empty."""
    scaled = _EXACT.multiply(
        money_from_text(price_text or "0", text),
        Decimal(1).scaleb(instrument.price_decimals - MONEY_DECIMALS),
    )
    return int(scaled.to_integral_value(ROUND_HALF_EVEN, _EXACT))


def _held(price_text: str | None, instrument: Instrument, text: bytes) -> int | None:
    """Return a stop the venue holds, 0 for none; None when the row has no such field."""
    return None if price_text is None else _computed_price(price_text, instrument, text)


def _margin(margin_text: str, text: bytes) -> int | None:
    return money_from_text(margin_text, text) if margin_text else None


def _fee_asset(instrument: Instrument, side: Side, fee: int) -> str:
    # On spot a fee is taken from what is received; a rebate comes in the other asset.
    if instrument.is_spot:
        pays_base = (side is Side.BUY) == (fee >= 0)
        return instrument.base_asset if pays_base else instrument.quote_asset
    return instrument.settle_asset


def _size(size_text: str, instrument: Instrument, text: bytes) -> int:
    return units_of(size_text, instrument.size_decimals, instrument, text) if size_text else 0


def _leg(index: int, text: bytes) -> Leg:
    leg = LEGS.get(index)
    if leg is None:
        raise FrameError(f"position index {index}: {shortened(text)}")
    return leg


def _time_ns(milliseconds: str, text: bytes) -> int:
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= 16):
        raise FrameError(f"time {shortened(milliseconds)}: {shortened(text)}")
    if not 0 < int(milliseconds) <= MILLISECONDS_MAX:
        raise FrameError(f"time {milliseconds} out of range: {shortened(text)}")
    return int(milliseconds) * 1_000_000


def is_said(word: str) -> bool:
    """Whether a reason or a kind of stop says anything."""
    return word not in _NO_REASON


def reason_of(status: str, stop_order_type: str, reject_reason: str, cancel_type: str) -> str:
    """Return why an order is as it is, in the venue's words.

    What kind of stop it is stands first: it is why a triggered order exists at all.
    """
    reasons = [word for word in (stop_order_type, reject_reason, cancel_type) if is_said(word)]
    if status == "Deactivated":
        reasons.append("Deactivated")
    return " ".join(reasons)[:120]
