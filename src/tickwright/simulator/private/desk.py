"""Owns what the venue does with private requests: checks, answers, the book; refuses transport.

A request is checked and answered at once; it reaches the book `latency_ns` later in venue time, in
the order of arrival. So an acknowledgement says accepted, never resting or filled, and whatever the
book makes of it is seen on the streams alone. Refusals are `VenueRefusal`.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from random import Random

from tickwright.core.identity import Category
from tickwright.core.orders import Side, TriggerBy
from tickwright.core.units import money_from_decimal
from tickwright.matching import CancelReason, MatchingBook
from tickwright.simulator.book import VenueBook
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account, Accounts
from tickwright.simulator.private.funds import Funds
from tickwright.simulator.private.ledger import Ledger, Position, money_of
from tickwright.simulator.private.liquidation import Liquidator
from tickwright.simulator.private.making import book_order, venue_order
from tickwright.simulator.private.margin import Claim, Worth, worth
from tickwright.simulator.private.records import FINAL_STATUSES, VenueOrder
from tickwright.simulator.private.reducing import may_rest, reducible, trim
from tickwright.simulator.private.refusals import (
    VenueRefusal,
    order_not_found,
    parameter,
)
from tickwright.simulator.private.requests import (
    AmendRequest,
    CancelAllRequest,
    CancelRequest,
    CreateRequest,
    TransferRequest,
)
from tickwright.simulator.private.settlement import (
    Publish,
    Settlement,
    SymbolDesk,
    position_key,
)
from tickwright.simulator.private.stops import PositionStops
from tickwright.simulator.private.terms import (
    amended_price,
    amended_size,
    clamp_price,
    is_decimal,
    position_index,
    price_of,
    stop_price,
    terms_of,
)
from tickwright.simulator.sources.operations import PublicTrade
from tickwright.simulator.tickers import next_funding_ms
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["CANCELLED_FOR_COST", "ORDERS_PER_SYMBOL_MAX", "STOPS_PER_SYMBOL_MAX", "Desk"]

ORDERS_PER_SYMBOL_MAX = 500
"""Open plain orders an account may have per contract; on spot over all pairs."""
STOPS_PER_SYMBOL_MAX = {Category.LINEAR: 10, Category.SPOT: 30}
"""Waiting conditional orders an account may have per symbol; a position's own stops don't count."""

CANCELLED_FOR_COST = "CancelByCannotAffordOrderCost"
"""How an order ends whose margin was gone when it reached the book."""

_MS = 1_000_000
_LINEAR = Category.LINEAR
_WAITING = ("Created", "Untriggered")
_NO_STOPS: tuple[int | None, int | None] = (None, None)
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
        self.funds = Funds(self.stores, self.settlement.linear_market)
        self.stops = PositionStops(venue, self.settlement, self._new_id)
        self.settlement.trailing_of = self.stops.trailing
        self.liquidator = Liquidator(venue, self.settlement, self.desk_of, self._new_id)
        if has_funding:
            self._schedule_fundings()

    # orders -----------------------------------------------------------------------------------

    def create(self, account: Account, request: CreateRequest) -> VenueOrder:
        """Accept an order; its way through the book follows."""
        market = self.market(request.category, request.symbol)
        terms = terms_of(request, market, adjusts=account.adjusts[market.instrument.category])
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
            reduce_only = reduce_only or ((index == 1) is (terms.side is Side.SELL) and index > 0)
        elif index:
            raise parameter("params error: positionIdx invalid")
        self._check_counts(account, market, is_conditional=terms.trigger_price_units > 0)
        size = terms.size_units
        desk = self.desk_of(market)
        if reduce_only and not terms.trigger_price_units:
            size = reducible(account, desk, index, self.held(account, market, index), terms)
        order = venue_order(
            self.settlement,
            self._new_id(),
            account,
            market,
            request,
            terms,
            index,
            size,
            reduce_only,
        )
        if order.order_type == "Market" and not terms.trigger_price_units:
            order.price_units = desk.matching.market_bound(terms.side, terms.slippage_units)
        self.funds.check_order(order)
        order.book_order = book_order(order, terms)
        store.add(order)
        if reduce_only and may_rest(terms):
            desk.reducing[order.number] = order
        self._later(lambda _: self._enter(desk, order))
        return order

    def amend(self, account: Account, request: AmendRequest) -> VenueOrder:
        """Accept a change of an open order."""
        market = self.market(request.category, request.symbol)
        order = self._find(account, market, request.order_id, request.order_link_id)
        instrument = market.instrument
        conditional = order.trigger_price_units > 0 and order.status in _WAITING
        price = trigger = None
        size = amended_size(instrument, request)
        if size is not None and size <= order.filled_units:
            raise VenueRefusal(
                170313 if order.is_spot else 110064,
                "Order quantity must be larger than the executed quantity",
            )
        if order.order_type == "Limit":
            price = amended_price(instrument, request)
            if price is not None and not conditional:
                adjusts = account.adjusts[instrument.category]
                price = clamp_price(market, order.side, price, adjusts=adjusts)
        if request.trigger_price and conditional:
            trigger = price_of(instrument, request.trigger_price, "triggerPrice")
        stops = self._amended_stops(order, request, market, price)
        is_changed = (
            (price is not None and price != order.price_units)
            or (size is not None and size != order.size_units)
            or (trigger is not None and trigger != order.trigger_price_units)
            or stops != _NO_STOPS
        )
        if not is_changed:
            raise parameter(
                "The order remains unchanged as the parameters entered match the existing ones."
            )
        self.funds.check_amend(order, size, price)
        desk = self.desk_of(market)
        self._later(lambda _: self._amend(desk, order, size, price, trigger, stops))
        return order

    def cancel(self, account: Account, request: CancelRequest) -> VenueOrder:
        """Accept the cancel of an open order; a fill may still win the race."""
        market = self.market(request.category, request.symbol)
        order = self._find(account, market, request.order_id, request.order_link_id)
        desk = self.desk_of(market)
        self._later(lambda _: self._cancel(desk, order))
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
        if request.stop_order_type not in ("", "Stop") or (
            request.stop_order_type and (spot or word != "StopOrder")
        ):
            raise parameter("params error: stopOrderType invalid")
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
            # With stopOrderType, conditional orders go and stops of positions stay.
            is_meant = request.stop_order_type in ("", order.stop_order_type)
            if fits and is_meant and _is_kind(order, word):
                chosen.append(order)
        for order in chosen:
            self._later(
                lambda _, order=order: self._cancel(self._desk_of(order), order)  # type: ignore[misc]
            )
        return chosen

    def cancel_as(self, account: Account, category: Category, word: str) -> None:
        """Take back every order of a product on the venue's own decision, `word` saying which."""
        for order in [o for o in self.stores[account.uid].live.values() if o.category is category]:
            order.cancel_as = word
            desk = self._desk_of(order)
            if order.number in desk.orders:
                self._cancel(desk, order)

    def transfer(self, account: Account, request: TransferRequest) -> None:
        """Move money between a master and its sub-accounts, or among these."""
        ids = str(request.from_member_id), str(request.to_member_id)
        family = {str(a.uid): a for a in (account, *self.accounts.subs_of(account))}
        if ids[0] not in family or ids[1] not in family or ids[0] == ids[1]:
            raise parameter("params error: fromMemberId or toMemberId invalid")
        if (request.from_account_type, request.to_account_type) != ("UNIFIED", "UNIFIED"):
            raise parameter("params error: accountType invalid")
        if not is_decimal(request.amount):
            raise parameter("params error: amount invalid")
        amount = money_from_decimal(Decimal(request.amount))
        if amount <= 0:
            raise parameter("params error: amount invalid")
        source, target = family[ids[0]], family[ids[1]]
        if amount > self.funds.free(source, request.coin):
            raise VenueRefusal(131212, "Insufficient balance")
        self.settlement.transfer(source, target, request.coin, amount)

    def pre_check(self, account: Account, request: CreateRequest) -> tuple[Worth, Worth]:
        """Return the account's worth without and with an order, which isn't placed."""
        market = self.market(request.category, request.symbol)
        terms = terms_of(request, market, adjusts=account.adjusts[market.instrument.category])
        index = position_index(request.position_idx)
        if market.instrument.category is Category.SPOT:
            raise parameter("params error: category invalid")
        if index not in account.indexes(request.symbol):
            raise parameter("position idx not match position mode")
        live = self.stores[account.uid].live.values()
        market_of = self.settlement.linear_market
        price = terms.price_units or self.desk_of(market).matching.market_bound(terms.side)
        notional = money_of(market.instrument, price, terms.size_units)
        claim = Claim((request.symbol, index), terms.side, notional)
        more = None if request.reduce_only else claim
        return worth(account, live, market_of), worth(account, live, market_of, more=more)

    # lookups ----------------------------------------------------------------------------------

    def category(self, text: str, *, reading: bool = False) -> Category:
        """Read a category; refuses those this venue doesn't list, except to read their nothing."""
        category = _CATEGORIES.get(text)
        if reading and text in ("inverse", "option"):
            return Category(text)
        if category is None:
            raise parameter("params error: category invalid")
        return category

    def market(self, category: str, symbol: str) -> SymbolMarket:
        """Return a listed market or refuse."""
        kind = _CATEGORIES.get(category) or self.category(category)
        market = self.venue.markets.get((kind, symbol))
        if market is None:
            if kind is Category.SPOT:
                raise VenueRefusal(170121, "Invalid symbol.")
            raise parameter("params error: symbol invalid")
        return market

    def desk_of(self, market: SymbolMarket) -> SymbolDesk:
        """Return the desk of a market, opened on first use."""
        known = self._desks.get(market.book)
        if known is None:
            matching = MatchingBook(
                market.book.liquidity,
                new_id=self._new_id,
                lot_units=market.instrument.lot_units,
                tick_units=market.instrument.tick_units,
                admit=lambda made, _: self.funds.admit(made, matching.market_bound(made.side)),
            )
            matching.last_price_units = market.last_or_mid_units()
            known = self._desks[market.book] = SymbolDesk(market, matching)
            market.book.on_external_trade(self._on_external_trade)
            market.book.on_book_change(self._on_book_change)
        return known

    def _desk_of(self, order: VenueOrder) -> SymbolDesk:
        return self.desk_of(self.venue.markets[order.instrument.key])

    def _find(
        self, account: Account, market: SymbolMarket, order_id: str, link_id: str
    ) -> VenueOrder:
        if not order_id and not link_id:
            raise parameter("params error: orderId or orderLinkId is required")
        order = self.stores[account.uid].find(order_id, link_id)
        if order is None or order.instrument is not market.instrument:
            raise order_not_found(is_spot=market.instrument.category is Category.SPOT)
        if order.status not in FINAL_STATUSES:
            return order
        if order.is_spot and order.status == "Filled":
            raise VenueRefusal(170139, "Order has been filled.")
        if order.is_spot:
            raise VenueRefusal(170142, "Order has been canceled.")
        raise order_not_found(is_spot=False)

    def faults(self) -> list[str]:
        """Say where the matching engines and the ledger disagree about positions."""
        found = []
        for desk in self._desks.values():
            if desk.market.instrument.category is not Category.LINEAR:
                continue
            symbol = desk.market.instrument.symbol
            for account in self.accounts.by_uid.values():
                for index in (0, 1, 2):
                    matched = desk.matching.positions.get(position_key(account.uid, index), 0)
                    position = account.ledger.positions.get((symbol, index)) or Position()
                    if matched != position.size_units:
                        found.append(
                            f"account {account.uid}: {symbol} {index}: the book says {matched}, "
                            f"the ledger {position.size_units}"
                        )
        return found

    # the book's side --------------------------------------------------------------------------

    def _later(self, action: Callable[[int], None]) -> None:
        self.venue.schedule(self.venue.now_ns + self.latency_ns, action)

    def settle(self, desk: SymbolDesk) -> None:
        """Carry a cause through: the engine's events, the stops that follow, margins."""
        self.settlement.apply_events(desk)
        while self.stops.follow(desk) or trim(desk, self.venue.now_ns):
            self.settlement.apply_events(desk)
        self.settlement.announce()
        if desk.market.instrument.category is _LINEAR:
            self.liquidator.watch(desk, self.accounts.by_uid, always=True)

    def _enter(self, desk: SymbolDesk, order: VenueOrder) -> None:
        assert order.book_order is not None
        if order.cancel_as:
            # The venue took everything back between the answer and the book.
            self.settlement.end_unentered(desk, order, order.cancel_as, "EC_PerCancelRequest")
            self.settlement.announce()
            return
        try:
            self.funds.check_again(order)
        except VenueRefusal:
            # The market or other fills took the margin between the answer and the book.
            self.settlement.end_unentered(desk, order, CANCELLED_FOR_COST, "EC_Others")
            self.settlement.announce()
            return
        desk.orders[order.number] = order
        desk.matching.submit(order.book_order, self.venue.now_ns)
        self.settle(desk)

    def _amend(
        self,
        desk: SymbolDesk,
        order: VenueOrder,
        size: int | None,
        price: int | None,
        trigger: int | None,
        stops: tuple[int | None, int | None],
    ) -> None:
        if order.status in FINAL_STATUSES or (size is not None and size <= order.filled_units):
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
        self.settle(desk)

    def _cancel(self, desk: SymbolDesk, order: VenueOrder) -> None:
        if order.is_live:
            desk.matching.cancel(order.number, self.venue.now_ns, CancelReason.BY_USER)
        elif order.status == "Filled":
            # The fill won the race after the cancel was acknowledged: the venue says so once more.
            order.cancel_type = "CancelByUser"
            order.reject_reason = "EC_OrigClOrdIDDoesNotExist"
            self.settlement.touch(desk, order)
        self.settle(desk)

    def _on_external_trade(self, book: VenueBook, trade: PublicTrade, now_ns: int) -> None:
        desk = self._desks[book]
        desk.matching.on_trade(trade.side, trade.price_units, trade.size_units, now_ns)
        self.follow(desk)

    def follow(self, desk: SymbolDesk) -> None:
        """Settle what the matching engine did by itself, and let trailing stops follow."""
        if desk.matching.events or self.stops.follow(desk):
            self.settle(desk)

    def _on_book_change(self, book: VenueBook, now_ns: int) -> None:
        desk = self._desks[book]
        desk.matching.on_book_change(now_ns)
        self.look(desk, now_ns)

    def look(self, desk: SymbolDesk, now_ns: int) -> None:
        """Follow what a market has become: prices that trigger, events, margins."""
        matching = desk.matching
        if matching.waiting_for(TriggerBy.MARK):
            matching.on_price(TriggerBy.MARK, desk.market.mark_units, now_ns)
        if matching.waiting_for(TriggerBy.INDEX):
            matching.on_price(TriggerBy.INDEX, desk.market.index_units, now_ns)
        if matching.events:
            self.settle(desk)
        elif desk.market.instrument.category is Category.LINEAR:
            self.liquidator.watch(desk, self.accounts.by_uid, always=False)

    def pay_funding(self, market: SymbolMarket, rate_e8: int | None = None) -> None:
        """Let everyone in a contract pay or receive funding now, by default at its present rate."""
        desk = self.desk_of(market)
        rate_e8 = market.funding_e8 if rate_e8 is None else rate_e8
        market.past.paid(rate_e8, self.venue.now_ns // _MS)
        self.settlement.pay_funding(desk, rate_e8)
        self.liquidator.watch(desk, self.accounts.by_uid, always=True)

    def _schedule_fundings(self) -> None:
        for interval in {
            market.instrument.funding_interval_minutes
            for market in self.venue.markets.values()
            if market.instrument.category is Category.LINEAR
        }:
            self._schedule_funding(interval)

    def _schedule_funding(self, interval_minutes: int) -> None:
        due_ms = next_funding_ms(self.venue.now_ns, interval_minutes)
        self.venue.schedule(due_ms * _MS, lambda due_ns: self._pay_funding(interval_minutes))

    def _pay_funding(self, interval_minutes: int) -> None:
        for market in self.venue.markets.values():
            instrument = market.instrument
            if (
                instrument.category is not Category.LINEAR
                or instrument.funding_interval_minutes != interval_minutes
            ):
                continue
            if market.book in self._desks:
                self.pay_funding(market)
            else:
                # Nobody trades it here, and its rate is a fact all the same.
                market.past.paid(market.funding_e8, self.venue.now_ns // _MS)
        self._schedule_funding(interval_minutes)

    # checks -----------------------------------------------------------------------------------

    def held(self, account: Account, market: SymbolMarket, index: int) -> int:
        """Return the signed size an account holds in a leg."""
        position = account.ledger.positions.get((market.instrument.symbol, index)) or Position()
        return position.size_units

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

    def _amended_stops(
        self, order: VenueOrder, request: AmendRequest, market: SymbolMarket, price: int | None
    ) -> tuple[int | None, int | None]:
        if not (request.take_profit or request.stop_loss):
            return _NO_STOPS
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


def _is_kind(order: VenueOrder, word: str) -> bool:
    waiting = order.is_conditional and order.status in ("Created", "Untriggered")
    if word == "":
        return True
    if word in ("Order", "OpenOrder"):
        return not waiting
    if order.is_spot:
        return waiting and order.order_filter == word
    return waiting
