"""Owns what an account may set on its positions: leverage, mode, stops; refuses orders."""

from decimal import Decimal

from tickwright.core.errors import UnitsError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import units_from_text
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.margin import worth
from tickwright.simulator.private.refusals import VenueRefusal, parameter
from tickwright.simulator.private.requests import (
    LeverageRequest,
    ModeRequest,
    TradingStopRequest,
)
from tickwright.simulator.private.settlement import position_key
from tickwright.simulator.private.terms import TRIGGERS, position_index, stop_price, trigger_word

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
        account.leverages[request.symbol] = wanted
        live = self._desk.stores[account.uid].live.values()
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
        """Set or remove a position's take profit and stop loss, for the whole position."""
        market = self._desk.market(request.category, request.symbol)
        _only_linear(market)
        index = position_index(request.position_idx)
        if index not in account.indexes(request.symbol):
            raise parameter("position idx not match position mode")
        if request.tpsl_mode not in ("", "Full") or request.tp_size or request.sl_size:
            raise parameter("params error: tpslMode Partial is not offered by this venue")
        if request.trailing_stop not in ("", "0") or request.active_price not in ("", "0"):
            raise parameter("params error: trailingStop is not offered by this venue")
        held = self._desk.held(account, market, index)
        if not held:
            raise parameter("can not set tp/sl/ts for zero position")
        side = Side.BUY if held > 0 else Side.SELL
        base = market.last_or_mid_units()
        profit, loss = (
            None if text == "" else stop_price(market, side, text, is_profit=up, base_units=base)
            for text, up in ((request.take_profit, True), (request.stop_loss, False))
        )
        desk = self._desk.desk_of(market)
        key = position_key(account.uid, index)
        before = desk.matching.stops(key)
        if profit in (None, before[0]) and loss in (None, before[1]):
            raise VenueRefusal(34040, "not modified")
        desk.matching.set_stops(
            account.uid,
            key,
            self._desk.venue.now_ns,
            take_profit_units=profit,
            stop_loss_units=loss,
            take_profit_by=TRIGGERS[trigger_word(request.tp_trigger_by)],
            stop_loss_by=TRIGGERS[trigger_word(request.sl_trigger_by)],
        )
        self._settlement.settle(desk)


def _only_linear(market: SymbolMarket) -> None:
    if market.instrument.category is not Category.LINEAR:
        raise parameter("params error: category invalid")
