"""Owns what an account may set on its positions: leverage, mode, stops; refuses orders."""

from decimal import Decimal

from tickwright.core.errors import UnitsError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE, units_from_text
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.margin import exposure_of, worth
from tickwright.simulator.private.refusals import VenueRefusal, parameter
from tickwright.simulator.private.requests import (
    LeverageRequest,
    ModeRequest,
    TradingStopRequest,
)
from tickwright.simulator.private.settlement import SymbolDesk, position_key
from tickwright.simulator.private.stops import PARTIAL_STOPS_MAX, PartialStop
from tickwright.simulator.private.terms import (
    TRIGGERS,
    limit_of,
    position_index,
    price_of,
    size_of,
    stop_price,
    trigger_word,
)
from tickwright.simulator.tiers import value_limit

__all__ = ["PositionSettings"]


class PositionSettings:
    """Carries out requests about positions at a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._settlement = desk.settlement

    def set_leverage(self, account: Account, request: LeverageRequest) -> None:
        """Set a contract's leverage; refuses one out of range or beyond what margin allows."""
        market = self._desk.market(request.category, request.symbol)
        _only_linear(market)
        leverages = []
        for text in (request.buy_leverage, request.sell_leverage):
            try:
                leverages.append(Decimal(units_from_text(text, 2)).scaleb(-2))
            except UnitsError:
                raise parameter("params error: leverage invalid") from None
        if leverages[0] != leverages[1]:
            raise parameter("buy leverage and sell leverage must be equal in this margin mode")
        wanted = leverages[0]
        if not 1 <= wanted <= market.instrument.leverage_max:
            raise VenueRefusal(110013, "cannot set leverage due to risk limit")
        before = account.leverage(request.symbol)
        if wanted == before:
            raise VenueRefusal(110043, "leverage not modified")
        live = self._desk.stores[account.uid].live.values()
        limit = value_limit(wanted, market.instrument.leverage_max) * MONEY_ONE
        for index in account.indexes(request.symbol):
            key = request.symbol, index
            if exposure_of(account, self._settlement.linear_market, key, live) > limit:
                raise VenueRefusal(110013, "cannot set leverage due to risk limit")
        account.leverages[request.symbol] = wanted
        if wanted < before and worth(account, live, self._settlement.linear_market).available < 0:
            account.leverages[request.symbol] = before
            raise VenueRefusal(110044, "Available margin is insufficient")
        desk = self._desk.desk_of(market)
        for index in account.indexes(request.symbol):
            self._settlement.touch_position(desk, account, index)
        self._settlement.announce()

    def switch_mode(self, account: Account, request: ModeRequest) -> None:
        """Switch symbols between one-way (0) and hedge mode (3)."""
        category = self._desk.category(request.category)
        if category is not Category.LINEAR or request.mode not in (0, 3):
            raise parameter("params error: mode invalid")
        if request.symbol:
            symbols = [self._desk.market(request.category, request.symbol).instrument.symbol]
        elif request.coin:
            symbols = [
                market.instrument.symbol
                for market in self._desk.venue.markets.values()
                if market.instrument.category is category
                and market.instrument.quote == request.coin
            ]
        else:
            raise parameter("params error: symbol or coin is required")
        wanted = [s for s in symbols if (s in account.hedged) is not (request.mode == 3)]
        if not wanted:
            raise VenueRefusal(110025, "Position mode is not modified")
        live = self._desk.stores[account.uid].live.values()
        for symbol in wanted:
            if any(order.instrument.symbol == symbol and not order.is_spot for order in live):
                raise VenueRefusal(110028, "You have existing open orders")
            for (held_symbol, _), position in account.ledger.positions.items():
                if held_symbol == symbol and position.size_units:
                    raise VenueRefusal(110024, "You have an existing position")
        if request.mode == 3:
            account.hedged.update(wanted)
        else:
            account.hedged.difference_update(wanted)

    def set_trading_stop(self, account: Account, request: TradingStopRequest) -> None:
        """Set or remove a position's stops: full, trailing, or one partial pair more."""
        market = self._desk.market(request.category, request.symbol)
        _only_linear(market)
        index = position_index(request.position_idx)
        if index not in account.indexes(request.symbol):
            raise parameter("position idx not match position mode")
        if request.tpsl_mode not in ("", "Full", "Partial"):
            raise parameter("params error: tpslMode invalid")
        held = self._desk.held(account, market, index)
        if not held:
            raise parameter("can not set tp/sl/ts for zero position")
        desk = self._desk.desk_of(market)
        changes = [self._set_trailing(account, desk, index, held, request)]
        if request.tpsl_mode == "Partial":
            changes.append(self._add_partial(account, desk, index, held, request))
        else:
            changes.append(self._set_full(account, desk, index, held, request))
        if not any(changes):
            raise VenueRefusal(34040, "not modified")
        self._desk.settle(desk)

    def _set_full(
        self, account: Account, desk: SymbolDesk, index: int, held: int, request: TradingStopRequest
    ) -> bool:
        if request.tp_size or request.sl_size:
            raise parameter("params error: tpSize and slSize need tpslMode Partial")
        market, side = desk.market, Side.BUY if held > 0 else Side.SELL
        base = market.last_or_mid_units()
        profit, loss = (
            None if text == "" else stop_price(market, side, text, is_profit=up, base_units=base)
            for text, up in ((request.take_profit, True), (request.stop_loss, False))
        )
        key = position_key(account.uid, index)
        before = desk.matching.stops(key)
        if profit in (None, before[0]) and loss in (None, before[1]):
            return False
        desk.matching.set_stops(
            account.uid,
            key,
            self._desk.venue.now_ns,
            take_profit_units=profit,
            stop_loss_units=loss,
            take_profit_by=TRIGGERS[trigger_word(request.tp_trigger_by)],
            stop_loss_by=TRIGGERS[trigger_word(request.sl_trigger_by)],
        )
        return True

    def _set_trailing(
        self, account: Account, desk: SymbolDesk, index: int, held: int, request: TradingStopRequest
    ) -> bool:
        if not request.trailing_stop:
            return False
        instrument = desk.market.instrument
        distance = active = 0
        if request.trailing_stop != "0":
            distance = price_of(instrument, request.trailing_stop, "trailingStop")
            if request.active_price not in ("", "0"):
                active = price_of(instrument, request.active_price, "activePrice")
        last = desk.market.last_or_mid_units()
        if distance >= last:
            raise parameter("params error: trailingStop invalid")
        if active and (active - last) * held <= 0:
            raise parameter("params error: activePrice must be on the winning side of the market")
        key = position_key(account.uid, index)
        if (distance, active) == self._desk.stops.trailing(desk, key):
            return False
        self._desk.stops.set_trailing(desk, account, index, distance, active)
        return True

    def _add_partial(
        self, account: Account, desk: SymbolDesk, index: int, held: int, request: TradingStopRequest
    ) -> bool:
        market, side = desk.market, Side.BUY if held > 0 else Side.SELL
        instrument, base = market.instrument, desk.market.last_or_mid_units()
        texts = [text for text in (request.tp_size, request.sl_size) if text]
        if len(set(texts)) > 1:
            raise parameter("params error: tpSize and slSize must be equal")
        stops = []
        halves = (
            (request.take_profit, request.tp_order_type, request.tp_limit_price, True),
            (request.stop_loss, request.sl_order_type, request.sl_limit_price, False),
        )
        for text, order_type, limit, is_profit in halves:
            if text in ("", "0"):
                continue
            by = request.tp_trigger_by if is_profit else request.sl_trigger_by
            stops.append(
                PartialStop(
                    trigger_units=stop_price(
                        market, side, text, is_profit=is_profit, base_units=base
                    ),
                    limit_units=limit_of(instrument, order_type, limit),
                    by=TRIGGERS[trigger_word(by)],
                    is_profit=is_profit,
                )
            )
        if not stops:
            return False
        size = size_of(instrument, texts[0], is_market=False) if texts else abs(held)
        key = position_key(account.uid, index)
        if self._desk.stops.count(desk, key) + len(stops) > PARTIAL_STOPS_MAX:
            raise VenueRefusal(110061, "The number of TP/SL orders exceeds the limit")
        self._desk.stops.add_partial(desk, account, index, min(size, abs(held)), stops)
        return True


def _only_linear(market: SymbolMarket) -> None:
    if market.instrument.category is not Category.LINEAR:
        raise parameter("params error: category invalid")
