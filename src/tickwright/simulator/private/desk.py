"""Owns what the venue does with private requests: checks, answers, then the book; refuses transport.

A request is checked and answered at once; it reaches the book `latency_ns` later in venue time, in
the order of arrival. So an acknowledgement says accepted, never resting or filled, and whatever the
book makes of it is seen on the streams alone. Refusals are `VenueRefusal`.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from random import Random

from tickwright.core.errors import UnitsError
from tickwright.core.identity import Category
from tickwright.core.orders import Side, TriggerBy
from tickwright.core.units import INT64_MAX, units_from_text
from tickwright.matching import BookOrder, CancelReason, MatchingBook, StopKind
from tickwright.simulator.book import VenueBook
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account, Accounts
from tickwright.simulator.private.ledger import PPM, Ledger, Position, money_of, share_of
from tickwright.simulator.private.margin import Claim, locked, worth
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.refusals import (
    VenueRefusal,
    insufficient_balance,
    order_not_found,
    parameter,
)
from tickwright.simulator.private.requests import (
    AmendRequest,
    CancelAllRequest,
    CancelRequest,
    CreateRequest,
    LeverageRequest,
    ModeRequest,
    TradingStopRequest,
)
from tickwright.simulator.private.settlement import (
    FEES_PPM,
    Publish,
    Settlement,
    SymbolDesk,
    position_key,
)
from tickwright.simulator.private.terms import (
    TRIGGERS,
    Terms,
    clamp_price,
    position_index,
    price_of,
    size_of,
    stop_price,
    terms_of,
)
from tickwright.simulator.sources.operations import PublicTrade
from tickwright.simulator.tickers import next_funding_ms
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["ORDERS_PER_SYMBOL_MAX", "STOPS_PER_SYMBOL_MAX", "Desk"]

ORDERS_PER_SYMBOL_MAX = 500
"""Open plain orders an account may have per contract; on spot over all pairs."""
STOPS_PER_SYMBOL_MAX = {Category.LINEAR: 10, Category.SPOT: 30}
"""Waiting conditional orders an account may have per symbol; a position's own stops don't count."""

_MS = 1_000_000
_CATEGORIES = {"linear": Category.LINEAR, "spot": Category.SPOT}


class Desk:
    """The private half in process: accounts trading on a venue's markets, no socket in sight."""

    def __init__(
        self,
        venue: SimulatedVenue,
        accounts: Accounts,
        ledger: Ledger,
        rng: Random,
        publish: Publish,
        *,
        latency_ns: int = 0,
        has_funding: bool = True,
    ) -> None:
        self.venue = venue
        self.accounts = accounts
        self.latency_ns = latency_ns
        self._ids = count(1)
        self._desks: dict[VenueBook, SymbolDesk] = {}
        self._new_id: Callable[[], int] = self._ids.__next__
        self.ledger = ledger
        self.settlement = Settlement(venue, ledger, accounts.by_uid, rng, self._new_id, publish)
        self.stores = self.settlement.stores
        if has_funding:
            self._schedule_fundings()

    # orders -----------------------------------------------------------------------------------------

    def create(self, account: Account, request: CreateRequest) -> VenueOrder:
        """Accept an order; its way through the book follows."""
        market = self.market(request.category, request.symbol)
        terms = terms_of(request, market)
        store = self.stores[account.uid]
        spot = market.instrument.category is Category.SPOT
        if request.order_link_id:
            store.check_link(request.order_link_id, is_spot=spot)
        index = position_index(request.position_idx)
        reduce_only = not spot and (request.reduce_only or request.close_on_trigger)
        if not spot:
            if index not in account.indexes(request.symbol):
                raise parameter("position idx not match position mode")
            # In hedge mode an order against its leg can only close it.
            reduce_only = reduce_only or (index == 1) is (terms.side is Side.SELL) and index > 0
        elif index:
            raise parameter("params error: positionIdx invalid")
        self._check_counts(account, market, is_conditional=terms.trigger_price_units > 0)
        size = terms.size_units
        if reduce_only and not terms.trigger_price_units:
            size = self._reducible(account, market, index, terms, size)
        desk = self._desk(market)
        order = self._new_order(account, market, request, terms, index, size, reduce_only)
        if order.order_type == "Market" and not terms.trigger_price_units:
            order.price_units = desk.matching.market_bound(terms.side, terms.slippage_units)
        self._check_funds(account, order)
        order.book_order = _book_order(order, terms)
        store.add(order)
        self._later(lambda: self._enter(desk, order))
        return order

    def amend(self, account: Account, request: AmendRequest) -> VenueOrder:
        """Accept a change of an open order."""
        market = self.market(request.category, request.symbol)
        order = self._find(account, market, request.order_id, request.order_link_id)
        instrument = market.instrument
        conditional = order.is_conditional and order.status in ("Untriggered", "Created")
        size = price = trigger = None
        if request.qty:
            size = size_of(instrument, request.qty, is_market=False)
            if size <= order.filled_units:
                raise VenueRefusal(
                    170313 if order.is_spot else 110064,
                    "Order quantity must be larger than the executed quantity",
                )
        if request.price and order.order_type == "Limit":
            price = price_of(instrument, request.price)
            if not conditional:
                price = clamp_price(market, order.side, price)
        if request.trigger_price and conditional:
            trigger = price_of(instrument, request.trigger_price, "triggerPrice")
        stops = self._amended_stops(order, request, market, price)
        unchanged = (
            size in (None, order.size_units)
            and price in (None, order.price_units)
            and trigger in (None, order.trigger_price_units)
            and stops == (None, None)
        )
        if unchanged:
            raise parameter(
                "The order remains unchanged as the parameters entered match the existing ones."
            )
        self._check_amended_funds(account, order, size, price)
        desk = self._desk(market)
        self._later(lambda: self._amend(desk, order, size, price, trigger, stops))
        return order

    def cancel(self, account: Account, request: CancelRequest) -> VenueOrder:
        """Accept the cancel of an open order; a fill may still win the race."""
        market = self.market(request.category, request.symbol)
        order = self._find(account, market, request.order_id, request.order_link_id)
        desk = self._desk(market)
        self._later(lambda: self._cancel(desk, order))
        return order

    def cancel_all(self, account: Account, request: CancelAllRequest) -> list[VenueOrder]:
        """Accept the cancel of every order the filters choose; returns them."""
        category = self.category(request.category)
        spot = category is Category.SPOT
        word = request.order_filter or ("Order" if spot else "")
        known = (
            ("Order", "tpslOrder", "StopOrder") if spot else ("", "Order", "StopOrder", "OpenOrder")
        )
        if word not in known:
            raise parameter("params error: orderFilter invalid")
        if not spot and not (request.symbol or request.base_coin or request.settle_coin):
            raise parameter("Missing some parameters that must be filled in, symbol or settleCoin")
        if request.symbol:
            self.market(request.category, request.symbol)
        chosen = []
        for order in list(self.stores[account.uid].live.values()):
            instrument = order.instrument
            if order.category is not category:
                continue
            # The narrowest of symbol, base and settle coin counts.
            if request.symbol:
                fits = instrument.symbol == request.symbol
            elif request.base_coin:
                fits = instrument.base == request.base_coin
            else:
                fits = request.settle_coin in ("", instrument.quote)
            if fits and _is_kind(order, word):
                chosen.append(order)
        for order in chosen:
            self._later(
                lambda order=order: self._cancel(self._desk_of(order), order)  # type: ignore[misc]
            )
        return chosen

    # positions --------------------------------------------------------------------------------------

    def set_leverage(self, account: Account, request: LeverageRequest) -> None:
        """Set a contract's leverage; refuses one that is out of range or that margin doesn't allow."""
        market = self.market(request.category, request.symbol)
        self._only_linear(market)
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
        live = self.stores[account.uid].live.values()
        if wanted < before and worth(account, live, self.settlement.linear_market).available < 0:
            account.leverages[request.symbol] = before
            raise VenueRefusal(110044, "Available margin is insufficient")
        desk = self._desk(market)
        for index in account.indexes(request.symbol):
            self.settlement.touch_position(desk, account, index)
        self.settlement.announce()

    def switch_mode(self, account: Account, request: ModeRequest) -> None:
        """Switch symbols between one-way (0) and hedge mode (3)."""
        category = self.category(request.category)
        if category is not Category.LINEAR or request.mode not in (0, 3):
            raise parameter("params error: mode invalid")
        if request.symbol:
            symbols = [self.market(request.category, request.symbol).instrument.symbol]
        elif request.coin:
            symbols = [
                market.instrument.symbol
                for market in self.venue.markets.values()
                if market.instrument.category is category
                and market.instrument.quote == request.coin
            ]
        else:
            raise parameter("params error: symbol or coin is required")
        wanted = [s for s in symbols if (s in account.hedged) is not (request.mode == 3)]
        if not wanted:
            raise VenueRefusal(110025, "Position mode is not modified")
        live = self.stores[account.uid].live.values()
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
        market = self.market(request.category, request.symbol)
        self._only_linear(market)
        index = position_index(request.position_idx)
        if index not in account.indexes(request.symbol):
            raise parameter("position idx not match position mode")
        if request.tpsl_mode not in ("", "Full") or request.tp_size or request.sl_size:
            raise parameter("params error: tpslMode Partial is not offered by this venue")
        if request.trailing_stop not in ("", "0") or request.active_price not in ("", "0"):
            raise parameter("params error: trailingStop is not offered by this venue")
        held = self._held(account, market, index)
        if not held:
            raise parameter("can not set tp/sl/ts for zero position")
        side = Side.BUY if held > 0 else Side.SELL
        base = market.last_or_mid_units()
        profit, loss = (
            None if text == "" else stop_price(market, side, text, is_profit=up, base_units=base)
            for text, up in ((request.take_profit, True), (request.stop_loss, False))
        )
        desk = self._desk(market)
        key = position_key(account.uid, index)
        before = desk.matching.stops(key)
        if profit in (None, before[0]) and loss in (None, before[1]):
            raise VenueRefusal(34040, "not modified")
        desk.matching.set_stops(
            account.uid,
            key,
            self.venue.now_ns,
            take_profit_units=profit,
            stop_loss_units=loss,
            take_profit_by=TRIGGERS.get(request.tp_trigger_by, TriggerBy.LAST),
            stop_loss_by=TRIGGERS.get(request.sl_trigger_by, TriggerBy.LAST),
        )
        self.settlement.settle(desk)

    # lookups ----------------------------------------------------------------------------------------

    def category(self, text: str) -> Category:
        """Read a category; refuses those this venue doesn't list."""
        category = _CATEGORIES.get(text)
        if category is None:
            raise parameter("params error: category invalid")
        return category

    def market(self, category: str, symbol: str) -> SymbolMarket:
        """Return a listed market or refuse."""
        kind = self.category(category)
        market = self.venue.markets.get((kind, symbol))
        if market is None:
            if kind is Category.SPOT:
                raise VenueRefusal(170121, "Invalid symbol.")
            raise parameter("params error: symbol invalid")
        return market

    def desk_of(self, market: SymbolMarket) -> SymbolDesk:
        """Return the desk of a market."""
        return self._desk(market)

    def _desk(self, market: SymbolMarket) -> SymbolDesk:
        known = self._desks.get(market.book)
        if known is None:
            matching = MatchingBook(
                market.book,
                new_id=self._new_id,
                lot_units=market.instrument.lot_units,
                admit=self._admit,
            )
            matching.last_price_units = market.last_or_mid_units()
            known = self._desks[market.book] = SymbolDesk(market, matching)
            market.book.on_external_trade(self._on_external_trade)
            market.book.on_book_change(self._on_book_change)
        return known

    def _desk_of(self, order: VenueOrder) -> SymbolDesk:
        return self._desk(self.venue.markets[order.instrument.key])

    def _find(
        self, account: Account, market: SymbolMarket, order_id: str, link_id: str
    ) -> VenueOrder:
        if not order_id and not link_id:
            raise parameter("params error: orderId or orderLinkId is required")
        order = self.stores[account.uid].find(order_id, link_id)
        if order is None or order.instrument is not market.instrument:
            raise order_not_found(is_spot=market.instrument.category is Category.SPOT)
        if order.is_live:
            return order
        if order.is_spot and order.status == "Filled":
            raise VenueRefusal(170139, "Order has been filled.")
        if order.is_spot:
            raise VenueRefusal(170142, "Order has been canceled.")
        raise order_not_found(is_spot=False)

    # the book's side --------------------------------------------------------------------------------

    def _later(self, action: Callable[[], None]) -> None:
        self.venue.schedule(self.venue.now_ns + self.latency_ns, lambda due_ns: action())

    def _enter(self, desk: SymbolDesk, order: VenueOrder) -> None:
        assert order.book_order is not None
        desk.orders[order.number] = order
        desk.matching.submit(order.book_order, self.venue.now_ns)
        self.settlement.settle(desk)

    def _amend(
        self,
        desk: SymbolDesk,
        order: VenueOrder,
        size: int | None,
        price: int | None,
        trigger: int | None,
        stops: tuple[int | None, int | None],
    ) -> None:
        if not order.is_live or (size is not None and size <= order.filled_units):
            return  # the order moved on between the answer and the book
        if stops[0] is not None:
            order.take_profit_units = stops[0]
        if stops[1] is not None:
            order.stop_loss_units = stops[1]
        desk.matching.amend(
            order.number,
            self.venue.now_ns,
            price_units=price,
            size_units=size,
            trigger_price_units=trigger,
            take_profit_units=stops[0],
            stop_loss_units=stops[1],
        )
        self.settlement.settle(desk)

    def _cancel(self, desk: SymbolDesk, order: VenueOrder) -> None:
        if order.is_live:
            desk.matching.cancel(order.number, self.venue.now_ns, CancelReason.BY_USER)
        elif order.status == "Filled":
            # The fill won the race after the cancel was acknowledged: the venue says so once more.
            order.cancel_type = "CancelByUser"
            order.reject_reason = "EC_OrigClOrdIDDoesNotExist"
            self.settlement.touch(desk, order)
        self.settlement.settle(desk)

    def _on_external_trade(self, book: VenueBook, trade: PublicTrade, now_ns: int) -> None:
        desk = self._desks[book]
        desk.matching.on_trade(trade.side, trade.price_units, trade.size_units, now_ns)
        if desk.matching.events:
            self.settlement.settle(desk)

    def _on_book_change(self, book: VenueBook, now_ns: int) -> None:
        desk = self._desks[book]
        matching = desk.matching
        matching.on_book_change(now_ns)
        if matching.waiting_for(TriggerBy.MARK):
            matching.on_price(TriggerBy.MARK, desk.market.mark_units, now_ns)
        if matching.waiting_for(TriggerBy.INDEX):
            matching.on_price(TriggerBy.INDEX, desk.market.index_units, now_ns)
        if matching.events:
            self.settlement.settle(desk)

    def _schedule_fundings(self) -> None:
        for interval in {
            market.instrument.funding_interval_minutes
            for market in self.venue.markets.values()
            if market.instrument.category is Category.LINEAR
        }:
            due_ms = next_funding_ms(self.venue.now_ns, interval)
            self.venue.schedule(
                due_ms * _MS,
                lambda due_ns, interval=interval: self._pay_fundings(interval),  # type: ignore[misc]
            )

    def _pay_fundings(self, interval_minutes: int) -> None:
        for desk in list(self._desks.values()):
            instrument = desk.market.instrument
            if (
                instrument.category is Category.LINEAR
                and instrument.funding_interval_minutes == interval_minutes
            ):
                self.settlement.pay_funding(desk, desk.market.funding_e8)
        due_ms = next_funding_ms(self.venue.now_ns, interval_minutes)
        self.venue.schedule(due_ms * _MS, lambda due_ns: self._pay_fundings(interval_minutes))

    # checks -----------------------------------------------------------------------------------------

    def _only_linear(self, market: SymbolMarket) -> None:
        if market.instrument.category is not Category.LINEAR:
            raise parameter("params error: category invalid")

    def _held(self, account: Account, market: SymbolMarket, index: int) -> int:
        position = account.ledger.positions.get((market.instrument.symbol, index)) or Position()
        return position.size_units

    def _reducible(
        self, account: Account, market: SymbolMarket, index: int, terms: Terms, size: int
    ) -> int:
        held = self._held(account, market, index)
        if not held:
            raise VenueRefusal(110017, "current position is zero, cannot fix reduce-only order qty")
        if held * terms.side > 0:
            raise VenueRefusal(110017, "Reduce-only order has same side with current position")
        return min(size, abs(held)) if size else abs(held)

    def _check_counts(
        self, account: Account, market: SymbolMarket, *, is_conditional: bool
    ) -> None:
        instrument = market.instrument
        spot = instrument.category is Category.SPOT
        plain = waiting = 0
        for order in self.stores[account.uid].live.values():
            if order.category is not instrument.category:
                continue
            same = order.instrument is instrument
            if order.is_conditional and order.status in ("Created", "Untriggered"):
                waiting += same and order.create_type == "CreateByUser"
            else:
                plain += same or spot
        if is_conditional and waiting >= STOPS_PER_SYMBOL_MAX[instrument.category]:
            raise VenueRefusal(
                170810 if spot else 110009, "The number of stop orders exceeds the limit"
            )
        if not is_conditional and plain >= ORDERS_PER_SYMBOL_MAX:
            raise VenueRefusal(
                170810 if spot else 110020, "The number of active orders exceeds the limit"
            )

    def _check_funds(self, account: Account, order: VenueOrder) -> None:
        """Refuse an order the account can't pay for: margin and fee on contracts, the asset on spot."""
        live = self.stores[account.uid].live.values()
        linear = self.settlement.linear_market
        if order.is_spot:
            asset, needed = locked(order)
            if not needed:
                return
            bound = sum(
                amount
                for other in live
                if other.is_spot and other is not order
                for held, amount in [locked(other)]
                if held == asset
            )
            free = account.ledger.wallet.get(asset, 0) - bound
            if asset == "USDT":
                # Margin of contracts and spot locks come out of one pot.
                others = [other for other in live if other is not order]
                free = min(free, worth(account, others, linear).available)
            if needed > free:
                raise insufficient_balance(is_spot=True)
            return
        if order.reduce_only or order.is_conditional and order.status != "Triggered":
            return
        others = [other for other in live if other is not order]
        now = worth(account, others, linear)
        price = order.price_units or order.trigger_price_units
        notional = money_of(order.instrument, price, order.leaves_units)
        claim = Claim((order.instrument.symbol, order.position_index), order.side, notional)
        then = worth(account, others, linear, more=claim)
        added = then.order_margin - now.order_margin
        fee = share_of(notional, FEES_PPM[Category.LINEAR][1], PPM)
        if added > 0 and added + fee > now.available:
            raise insufficient_balance(is_spot=False)

    def _check_amended_funds(
        self, account: Account, order: VenueOrder, size: int | None, price: int | None
    ) -> None:
        before = order.size_units, order.price_units
        order.size_units = size if size is not None else order.size_units
        order.price_units = price if price is not None else order.price_units
        try:
            grows = order.size_units > before[0] or order.price_units != before[1]
            if grows and not (order.is_conditional and order.status == "Untriggered"):
                self._check_funds(account, order)
        finally:
            order.size_units, order.price_units = before

    def _admit(self, made: BookOrder, now_ns: int) -> bool:
        """Answer the engine whether a triggered order's account can pay for it."""
        order = self.stores[made.account].live.get(made.order_id)
        if order is None or made.reduce_only:
            return True
        order.status = "Triggered"
        try:
            self._check_funds(order.account, order)
        except VenueRefusal:
            return False
        return True

    def _amended_stops(
        self, order: VenueOrder, request: AmendRequest, market: SymbolMarket, price: int | None
    ) -> tuple[int | None, int | None]:
        if not (request.take_profit or request.stop_loss):
            return None, None
        if order.reduce_only or order.is_spot:
            raise parameter("Can not set tp/sl on this order")
        base = price or order.price_units or market.last_or_mid_units()
        profit, loss = (
            None
            if text == ""
            else stop_price(market, order.side, text, is_profit=up, base_units=base)
            for text, up in ((request.take_profit, True), (request.stop_loss, False))
        )
        return profit, loss

    def _new_order(
        self,
        account: Account,
        market: SymbolMarket,
        request: CreateRequest,
        terms: Terms,
        index: int,
        size: int,
        reduce_only: bool,  # noqa: FBT001 - one caller, named by its argument
    ) -> VenueOrder:
        now_ms = self.venue.now_ns // _MS
        spot = market.instrument.category is Category.SPOT
        conditional = terms.trigger_price_units > 0
        return VenueOrder(
            number=self._new_id(),
            order_id=self.settlement.new_order_id(market.instrument.category),
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
            tpsl_mode="Full" if terms.take_profit_units or terms.stop_loss_units else "",
            last_price_on_created=market.last_or_mid_units(),
        )


def _stop_type(request: CreateRequest, *, conditional: bool) -> str:
    if not conditional:
        return ""
    return request.order_filter if request.order_filter == "tpslOrder" else "Stop"


def _is_kind(order: VenueOrder, word: str) -> bool:
    waiting = order.is_conditional and order.status in ("Created", "Untriggered")
    if word == "":
        return True
    if word in ("Order", "OpenOrder"):
        return not waiting
    if order.is_spot:
        return waiting and order.order_filter == word
    return waiting


def _book_order(order: VenueOrder, terms: Terms) -> BookOrder:
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
        take_profit_units=terms.take_profit_units,
        take_profit_by=TRIGGERS.get(terms.take_profit_by, TriggerBy.LAST),
        stop_loss_units=terms.stop_loss_units,
        stop_loss_by=TRIGGERS.get(terms.stop_loss_by, TriggerBy.LAST),
    )
