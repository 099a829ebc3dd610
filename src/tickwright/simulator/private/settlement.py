"""Owns what follows from the matching engine's events: order states, ledger, rows for the streams.

Refuses requests. One call settles everything one cause did, then tells each account once per topic:
orders, executions, positions, wallet, in that order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from uuid import UUID

import msgspec

from tickwright.core.identity import Category
from tickwright.core.orders import Side, TriggerBy
from tickwright.core.units import MONEY_DECIMALS, decimal_from_units
from tickwright.matching import (
    Amended,
    Armed,
    BookOrder,
    Cancelled,
    CancelReason,
    Execution,
    FillCause,
    MatchEvent,
    MatchingBook,
    StopKind,
    Triggered,
    Trimmed,
    Working,
)
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.holdings import Holdings
from tickwright.simulator.private.ledger import (
    Booked,
    Ledger,
    Position,
    PositionKey,
    money_of,
    share_of,
)
from tickwright.simulator.private.margin import (
    SETTLE_ASSET,
    Claims,
    liquidation_at,
)
from tickwright.simulator.private.past import Past
from tickwright.simulator.private.records import (
    FINAL_STATUSES,
    ExecutionRecord,
    LogRecord,
    VenueOrder,
)
from tickwright.simulator.private.shapes import (
    Row,
    execution_row,
    order_row,
    position_row,
    wallet_row,
)
from tickwright.simulator.private.store import OrderStore
from tickwright.simulator.private.told import (
    Announcement,
    Listener,
    PositionFacts,
    WalletFacts,
    frozen,
)
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["TRIGGER_WORDS", "Publish", "Settlement", "SymbolDesk", "account_of", "position_key"]

_MS = 1_000_000
_LINEAR, _SPOT = Category.LINEAR, Category.SPOT
_USD_PRICES = {"USDT": Decimal(1), "USDC": Decimal(1)}

Publish = Callable[[Account, str, list[Row]], None]
"""(account, topic, rows): tell the account's streams."""

TRIGGER_WORDS = {
    TriggerBy.LAST: "LastPrice",
    TriggerBy.MARK: "MarkPrice",
    TriggerBy.INDEX: "IndexPrice",
}
_ENDS: dict[CancelReason, tuple[str, str]] = {
    CancelReason.BY_USER: ("CancelByUser", "EC_PerCancelRequest"),
    CancelReason.POST_ONLY_WOULD_TAKE: ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    CancelReason.NO_LIQUIDITY: ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    CancelReason.NOT_ENOUGH_FOR_FULL: ("UNKNOWN", "EC_CancelForNoFullFill"),
    CancelReason.REMAINDER: ("UNKNOWN", "EC_NoEnoughQtyToFill"),
    CancelReason.QUOTE_SPENT: ("UNKNOWN", "EC_NoError"),
    CancelReason.SELF_TRADE: ("CancelBySmp", "EC_BySelfMatch"),
    CancelReason.REDUCE_ONLY: ("CancelByReduceOnly", "EC_NoError"),
    CancelReason.STOPS_CLEARED: ("CancelByTpSlTsClear", "EC_NoError"),
    CancelReason.MARGIN: ("UNKNOWN", "EC_Others"),
}


def position_key(uid: int, index: int) -> int:
    """Return the matching engine's key of an account's leg."""
    return uid * 4 + index


def account_of(key: int) -> int:
    """Return whose leg a key of the matching engine is."""
    return key // 4


@dataclass(slots=True, eq=False)
class SymbolDesk:
    """One instrument with its matching engine and the orders by number that live in it.

    `bracket_fills` sums what orders with partial stops have filled since someone last looked.
    `reducing` holds the plain reduce-only orders that rest or will: together they may not be more
    than their position.
    """

    market: SymbolMarket
    matching: MatchingBook
    orders: dict[int, VenueOrder] = field(default_factory=dict)
    bracket_fills: dict[VenueOrder, int] = field(default_factory=dict)
    reducing: dict[int, VenueOrder] = field(default_factory=dict)


def _always_heard(account: Account) -> bool:
    return True


def _no_trailing(desk: SymbolDesk, key: int) -> tuple[int, int]:
    return 0, 0


class _News(msgspec.Struct):
    """What one cause changed for one account; `latest` is the order that changed last."""

    latest: VenueOrder | None = None
    orders: dict[int, VenueOrder] = {}
    passing: list[VenueOrder] = []
    executions: list[ExecutionRecord] = []
    positions: dict[tuple[str, int], SymbolDesk] = {}
    is_wallet_changed: bool = False


class Settlement:
    """Turns matching events into the venue's truth; `publish` is called once a cause is done."""

    def __init__(
        self,
        venue: SimulatedVenue,
        ledger: Ledger,
        accounts: dict[int, Account],
        rng: Random,
        new_id: Callable[[], int],
        publish: Publish,
    ) -> None:
        self._venue = venue
        self._ledger = ledger
        self._accounts = accounts
        self._rng = rng
        self._new_id = new_id
        self._publish = publish
        self._news: dict[Account, _News] = {}
        # What was told of a leg last; its holdings say whether it still is so.
        self._told: dict[tuple[Account, PositionKey], PositionFacts] = {}
        self.stores: dict[int, OrderStore] = {uid: OrderStore() for uid in accounts}
        self.past = Past()
        self.is_heard: Callable[[Account], bool] = _always_heard
        self.listeners: dict[int, Listener] = {}
        """By account: who is told what changed as it is, and not in rows."""
        self.on_event: Callable[[SymbolDesk, MatchEvent], None] | None = None
        """Called with every event of the matching engines before it is carried out."""
        self.trailing_of: Callable[[SymbolDesk, int], tuple[int, int]] = _no_trailing
        for account in accounts.values():
            for asset, amount in account.ledger.deposits.items():
                self.log(account, "TRANSFER_IN", asset, amount, cash_flow=amount)

    @property
    def now_ms(self) -> int:
        """Venue time in milliseconds."""
        return self._venue.now_ns // _MS

    # identities -------------------------------------------------------------------------------

    def new_order_id(self, category: Category) -> str:
        """Return an order id as the venue writes it: digits on spot, a UUID elsewhere."""
        if category is Category.SPOT:
            return str(1_900_000_000_000_000_000 + self._rng.getrandbits(56))
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    # causes -----------------------------------------------------------------------------------

    def settle(self, desk: SymbolDesk) -> None:
        """Carry out everything the engine did since the last call and tell the accounts."""
        self.apply_events(desk)
        self.announce()

    def apply_events(self, desk: SymbolDesk) -> None:
        """Carry out everything the engine did since the last call, and tell nobody yet."""
        while desk.matching.events:
            for event in desk.matching.drain():
                self._apply(desk, event)

    def end_unentered(
        self, desk: SymbolDesk, order: VenueOrder, cancel_type: str, reason: str
    ) -> None:
        """End an order that was accepted and will not reach the book."""
        order.status = "Cancelled"
        order.cancel_type, order.reject_reason = cancel_type, reason
        desk.orders[order.number] = order
        self._changed(desk, order)

    def touch(self, desk: SymbolDesk, order: VenueOrder) -> None:
        """Show an order again at the end of the present cause."""
        self._changed(desk, order)

    def touch_position(self, desk: SymbolDesk, account: Account, index: int) -> None:
        """Show a position again at the end of the present cause."""
        news = self._of(account)
        news.positions[desk.market.instrument.symbol, index] = desk
        news.is_wallet_changed = True

    def announce(self) -> None:
        """Tell each account what changed for it, once per topic."""
        news, self._news = self._news, {}
        for account, changed in news.items():
            listener = self.listeners.get(account.uid)
            has_rows = self.past.is_kept or self.is_heard(account)
            if listener is None and not has_rows:
                continue
            held = account.holdings(self.linear_market)
            positions = []
            for (_, index), desk in changed.positions.items():
                positions.append(self._position(account, desk, index, held))
            wallet = self._wallet(account, held) if changed.is_wallet_changed else None
            orders = list(changed.orders.values())
            if changed.passing:
                orders = changed.passing + orders
            told = Announcement(account, orders, changed.executions, positions, wallet)
            if listener is not None:
                listener(told)
            if has_rows:
                self._tell_rows(told)

    def _tell_rows(self, told: Announcement) -> None:
        account = told.account
        if told.orders:
            self._tell(account, "order", [order_row(order) for order in told.orders])
        if told.executions:
            self._tell(account, "execution", [execution_row(e) for e in told.executions])
        if told.positions:
            rows = [position_row(account, facts, is_stream=True) for facts in told.positions]
            self._tell(account, "position", rows)
        if told.wallet is not None:
            self._tell(account, "wallet", [wallet_row(account, told.wallet)])

    def _tell(self, account: Account, topic: str, rows: list[Row]) -> None:
        self.past.keep(account.uid, topic, rows, self._venue.now_ns)
        self._publish(account, topic, rows)

    # rows -------------------------------------------------------------------------------------

    def position_row(
        self, account: Account, desk: SymbolDesk, index: int, *, is_stream: bool
    ) -> Row:
        """Return a position row as it is now."""
        held = account.holdings(self.linear_market)
        facts = self._position(account, desk, index, held)
        return position_row(account, facts, is_stream=is_stream)

    def wallet_row(self, account: Account) -> Row:
        """Return the wallet row as it is now."""
        return wallet_row(account, self._wallet(account, account.holdings(self.linear_market)))

    def _position(
        self, account: Account, desk: SymbolDesk, index: int, held: Holdings
    ) -> PositionFacts:
        """Return what there is to say of a position now: the same record while it is the same."""
        market, number = desk.market, position_key(account.uid, index)
        stops, trailing = desk.matching.stops(number), self.trailing_of(desk, number)
        key = market.instrument.symbol, index
        leg, ledger = held.legs.get(key), account.ledger
        if leg is None:
            flat, mark = ledger.positions.get(key) or Position(), market.mark_units
            return PositionFacts(market, index, flat, mark, 0, 0, 0, stops, trailing, 0)
        known = self._told.get((account, key))
        if (
            known is not None
            and known.leg is leg
            and known.stops == stops
            and known.trailing == trailing
        ):
            return known
        position = ledger.positions[key]
        equity = ledger.wallet.get(SETTLE_ASSET, 0) + held.profit
        free = equity - (held.maintenance - leg.maintenance)
        made = self._told[account, key] = PositionFacts(
            market,
            index,
            position,
            leg.mark_units,
            abs(leg.value),
            leg.margin,
            leg.maintenance,
            stops,
            trailing,
            liquidation_at(market, leg.mark_units, position.size_units, free),
            leg,
        )
        return made

    def _wallet(self, account: Account, held: Holdings) -> WalletFacts:
        """Return what there is to say of an account's money now."""
        claims = Claims(self.stores[account.uid].live.values())
        prices = _USD_PRICES
        for asset in account.ledger.wallet:
            if asset == SETTLE_ASSET:
                continue
            market = self._venue.markets.get((_SPOT, f"{asset}USDT"))
            if market is not None:
                decimals = market.instrument.price_decimals
                price = decimal_from_units(market.last_or_mid_units(), decimals)
                prices = {**prices, asset: price}
        return WalletFacts(claims.worth(account, held), claims.locks, prices)

    def linear_market(self, symbol: str) -> SymbolMarket:
        """Return the linear market of a symbol that is known to exist."""
        return self._venue.markets[_LINEAR, symbol]

    # events -----------------------------------------------------------------------------------

    def _apply(self, desk: SymbolDesk, event: MatchEvent) -> None:
        if self.on_event is not None:
            self.on_event(desk, event)
        if isinstance(event, Working):
            order = desk.orders[event.order.order_id]
            order.status = "PartiallyFilled" if order.filled_units else "New"
            if order.reduce_only:
                desk.reducing[order.number] = order
            self._changed(desk, order)
        elif isinstance(event, (Amended, Trimmed)):
            order = desk.orders[event.order.order_id]
            order.size_units = event.size_units
            if isinstance(event, Amended):
                order.price_units = event.price_units or order.price_units
                order.trigger_price_units = event.order.trigger_price_units
            self._changed(desk, order)
        elif isinstance(event, Execution):
            self._execution(desk, event)
        elif isinstance(event, Armed):
            order = desk.orders.get(event.order.order_id) or self._adopt(desk, event.order)
            order.status = "Untriggered"
            self._changed(desk, order)
        elif isinstance(event, Triggered):
            order = desk.orders[event.order.order_id]
            order.status = "Triggered"
            order.size_units = event.order.size_units
            self._changed(desk, order)
            # A passing state: clients see it once, before what became of the order.
            self._of(order.account).passing.append(frozen(order))
        elif isinstance(event, Cancelled):
            self._cancelled(desk, event)
        else:
            self.touch_position(desk, self._accounts[event.account], event.position % 4)

    def _adopt(self, desk: SymbolDesk, made: BookOrder) -> VenueOrder:
        """Give a position's stop, which the engine made, its place among the account's orders."""
        is_profit = made.stop_kind is StopKind.TAKE_PROFIT
        now_ms = self._venue.now_ns // _MS
        account = self._accounts[made.account]
        order = VenueOrder(
            number=made.order_id,
            order_id=self.new_order_id(desk.market.instrument.category),
            link_id="",
            account=account,
            instrument=desk.market.instrument,
            side=made.side,
            order_type="Market",
            size_units=made.size_units,
            price_units=0,
            time_in_force="IOC",
            created_ms=now_ms,
            updated_ms=now_ms,
            position_index=made.position % 4,
            reduce_only=True,
            close_on_trigger=True,
            trigger_price_units=made.trigger_price_units,
            trigger_direction=1 if made.trigger_rises else 2,
            trigger_by=TRIGGER_WORDS[made.trigger_by],
            stop_order_type="TakeProfit" if is_profit else "StopLoss",
            tpsl_mode="Full",
            create_type="CreateByTakeProfit" if is_profit else "CreateByStopLoss",
            last_price_on_created=desk.market.last_or_mid_units(),
            book_order=made,
        )
        desk.orders[order.number] = order
        self.stores[account.uid].add(order)
        return order

    def _execution(self, desk: SymbolDesk, event: Execution) -> None:
        instrument = desk.market.instrument
        order = desk.orders[event.order.order_id]
        account = order.account
        price, size = event.price_units, event.size_units
        now_ms = self._venue.now_ns // _MS
        maker_ppm, taker_ppm = account.fees_ppm[instrument.category]
        fee_ppm = maker_ppm if event.is_maker else taker_ppm
        if order.is_spot:
            booked = account.ledger.book_spot(instrument, order.side, price, size, fee_ppm)
        else:
            booked = account.ledger.book_linear(
                instrument, order.position_index, order.side, price, size, fee_ppm, now_ms
            )
            self._count_interest(desk, account, order, size)
        self._book_house(desk, event, order.side, now_ms)
        order.filled_units += size
        order.filled_value += price * size
        order.price_units = event.order.price_units
        order.fees[booked.fee_asset] = order.fees.get(booked.fee_asset, 0) + booked.fee
        order.closed_pnl += booked.gross
        order.status = "PartiallyFilled" if event.remaining_units else "Filled"
        remaining = 0 if order.quote_amount is not None else event.remaining_units
        execution = self._record(
            desk,
            order,
            booked,
            price,
            size,
            kind="Trade",
            fee_ppm=fee_ppm,
            is_maker=event.is_maker,
            leaves_units=remaining,
            cause=event.cause.value,
            match_id=event.match_id if event.counter_order_id else 0,
        )
        self._log_trade(account, execution, "TRADE")
        if order.bracket is not None:
            desk.bracket_fills[order] = desk.bracket_fills.get(order, 0) + size
        self._print(desk, event, order.side)
        self._changed(desk, order)

    def take_over(self, desk: SymbolDesk, order: VenueOrder, price: int) -> None:
        """Let the house take a whole position over at a price: a liquidation's only fill."""
        instrument, account = desk.market.instrument, order.account
        size, now_ms = order.size_units, self._venue.now_ns // _MS
        fee_ppm = account.fees_ppm[Category.LINEAR][1]
        index = order.position_index
        booked = account.ledger.book_linear(
            instrument, index, order.side, price, size, fee_ppm, now_ms
        )
        self._count_interest(desk, account, order, size)
        self._ledger.house.book_linear(instrument, 0, order.side.opposite, price, size, 0, now_ms)
        order.filled_units, order.filled_value = size, price * size
        order.fees[booked.fee_asset] = booked.fee
        order.closed_pnl = booked.gross
        order.status = "Filled"
        execution = self._record(
            desk, order, booked, price, size, kind="BustTrade", fee_ppm=fee_ppm, cause="took_over"
        )
        self._log_trade(account, execution, "LIQUIDATION")
        self._changed(desk, order)

    def _count_interest(
        self, desk: SymbolDesk, account: Account, order: VenueOrder, size: int
    ) -> None:
        """Count a booked fill into the contract's open interest."""
        key = desk.market.instrument.symbol, order.position_index
        after = account.ledger.positions[key].size_units
        desk.market.past.moved(after - order.side * size, after)

    def insure(self, account: Account, asset: str, amount: int) -> None:
        """Let the insurance fund, which is the house, pay an account's debt."""
        account.ledger.insure(asset, amount)
        self._ledger.house.insure(asset, -amount)
        self.log(account, "BANKRUPTCY_COVER", asset, amount, cash_flow=amount)
        self._of(account).is_wallet_changed = True

    def transfer(self, source: Account, target: Account, asset: str, amount: int) -> None:
        """Move money between two accounts and tell both."""
        source.ledger.transfer(asset, -amount)
        target.ledger.transfer(asset, amount)
        self.log(source, "TRANSFER_OUT", asset, -amount, cash_flow=-amount)
        self.log(target, "TRANSFER_IN", asset, amount, cash_flow=amount)
        for account in (source, target):
            self._of(account).is_wallet_changed = True
        self.announce()

    def log(
        self,
        account: Account,
        kind: str,
        asset: str,
        change: int,
        *,
        cash_flow: int = 0,
        funding: int = 0,
        fee: int = 0,
        execution: ExecutionRecord | None = None,
        balance: int | None = None,
    ) -> None:
        """Write a row of the account's transaction log: the wallet has moved already."""
        held = 0
        if execution is not None and execution.instrument.category is not Category.SPOT:
            index = execution.position_index
            held = account.ledger.position((execution.instrument.symbol, index)).size_units
        self.stores[account.uid].log.append(
            LogRecord(
                number=self._new_id(),
                at_ms=self._venue.now_ns // _MS,
                kind=kind,
                asset=asset,
                change=change,
                balance=account.ledger.wallet.get(asset, 0) if balance is None else balance,
                cash_flow=cash_flow,
                funding=funding,
                fee=fee,
                execution=execution,
                position_units=held,
            )
        )

    def _log_trade(self, account: Account, execution: ExecutionRecord, kind: str) -> None:
        instrument, fee = execution.instrument, execution.fee
        if instrument.category is not Category.SPOT:
            flow, asset = execution.gross, execution.fee_asset
            self.log(account, kind, asset, flow - fee, cash_flow=flow, fee=fee, execution=execution)
            return
        # A spot trade moves two assets, and the fee is in the one received.
        quantity = execution.size_units * 10 ** (MONEY_DECIMALS - instrument.size_decimals)
        flows = {
            instrument.base: execution.side * quantity,
            instrument.quote: -execution.side * execution.value,
        }
        for asset, flow in flows.items():
            paid = fee if asset == execution.fee_asset else 0
            self.log(
                account, kind, asset, flow - paid, cash_flow=flow, fee=paid, execution=execution
            )

    def _record(
        self,
        desk: SymbolDesk,
        order: VenueOrder,
        booked: Booked,
        price: int,
        size: int,
        *,
        kind: str,
        fee_ppm: int,
        is_maker: bool = False,
        leaves_units: int = 0,
        cause: str,
        match_id: int = 0,
    ) -> ExecutionRecord:
        """Remember an execution of an order and show it at the end of the cause."""
        market, instrument = desk.market, desk.market.instrument
        execution = ExecutionRecord(
            number=self._new_id(),
            execution_id=str(UUID(int=self._rng.getrandbits(128), version=4)),
            order=order,
            instrument=instrument,
            kind=kind,
            side=order.side,
            price_units=price,
            size_units=size,
            value=money_of(instrument, price, size),
            fee=booked.fee,
            fee_asset=booked.fee_asset,
            fee_rate_e8=fee_ppm * 100,
            is_maker=is_maker,
            leaves_units=leaves_units,
            order_size_units=order.size_units,
            order_price_units=order.price_units,
            closed_units=booked.closed_units,
            gross=booked.gross,
            mark_units=market.mark_units,
            index_units=market.index_units,
            at_ms=self._venue.now_ns // _MS,
            seq=market.book.seq,
            position_index=order.position_index,
            cause=cause,
            match_id=match_id,
        )
        self.stores[order.account.uid].add_execution(execution)
        self._of(order.account).executions.append(execution)
        return execution

    def _book_house(self, desk: SymbolDesk, event: Execution, side: Side, now_ms: int) -> None:
        if event.counter_order_id:
            return  # the other side is a user, whose own execution books it
        instrument, house = desk.market.instrument, self._ledger.house
        price, size = event.price_units, event.size_units
        if instrument.category is Category.SPOT:
            house.book_spot(instrument, side.opposite, price, size, 0)
        else:
            house.book_linear(instrument, 0, side.opposite, price, size, 0, now_ms)

    def _print(self, desk: SymbolDesk, event: Execution, side: Side) -> None:
        """Put a match on the public tape, once; an external trade is on it already."""
        if event.cause is FillCause.TOOK:
            aggressor = side
        elif event.cause is FillCause.BOOK_CROSSED:
            aggressor = side.opposite
        else:
            return
        self._venue.print_trade(desk.market.book, aggressor, event.price_units, event.size_units)

    def _cancelled(self, desk: SymbolDesk, event: Cancelled) -> None:
        order = desk.orders[event.order.order_id]
        order.cancel_type, order.reject_reason = _ENDS[event.reason]
        if order.cancel_as:
            order.cancel_type = order.cancel_as
        if event.reason is CancelReason.MARGIN:
            order.status = "Rejected"
        elif event.reason is CancelReason.QUOTE_SPENT and order.filled_units:
            order.status = "Filled"
        elif event.was_armed:
            order.status = "Deactivated"
        elif order.is_spot and order.filled_units:
            order.status = "PartiallyFilledCanceled"
        else:
            order.status = "Cancelled"
        self._changed(desk, order)

    def _changed(self, desk: SymbolDesk, order: VenueOrder) -> None:
        order.updated_ms = self._venue.now_ns // _MS
        account, number = order.account, order.number
        news = self._news.get(account) or self._of(account)
        if news.latest is not order:
            news.latest, instrument = order, order.instrument
            news.orders.pop(number, None)
            news.orders[number] = order
            news.is_wallet_changed = True
            if instrument.category is not _SPOT:
                # The venue shows the position after every order request, changed or not.
                news.positions[instrument.symbol, order.position_index] = desk
        if order.status in FINAL_STATUSES and desk.orders.pop(number, None) is not None:
            desk.reducing.pop(number, None)
            self.stores[order.account.uid].finish(order)

    def _of(self, account: Account) -> _News:
        news = self._news.get(account)
        if news is None:
            news = self._news[account] = _News()
        return news

    # funding ----------------------------------------------------------------------------------

    def pay_funding(self, desk: SymbolDesk, rate_e8: int) -> None:
        """Let every open position of a contract pay or receive the funding rate at the mark."""
        market, instrument = desk.market, desk.market.instrument
        now_ms = self._venue.now_ns // _MS
        paid_sum = 0
        for account in self._accounts.values():
            for (symbol, index), position in list(account.ledger.positions.items()):
                if symbol != instrument.symbol or not position.size_units:
                    continue
                value = money_of(instrument, market.mark_units, position.size_units)
                paid = share_of(value, rate_e8, 10**8)
                account.ledger.book_funding(instrument, index, paid, now_ms)
                paid_sum += paid
                execution = ExecutionRecord(
                    number=self._new_id(),
                    execution_id=str(UUID(int=self._rng.getrandbits(128), version=4)),
                    order=None,
                    instrument=instrument,
                    kind="Funding",
                    side=Side.BUY if position.size_units > 0 else Side.SELL,
                    price_units=market.mark_units,
                    size_units=abs(position.size_units),
                    value=abs(value),
                    fee=paid,
                    fee_asset=instrument.quote,
                    fee_rate_e8=rate_e8,
                    is_maker=False,
                    leaves_units=0,
                    order_size_units=0,
                    order_price_units=0,
                    closed_units=0,
                    gross=0,
                    mark_units=market.mark_units,
                    index_units=market.index_units,
                    at_ms=now_ms,
                    seq=market.book.seq,
                    position_index=index,
                )
                self.stores[account.uid].add_execution(execution)
                self._of(account).executions.append(execution)
                self.log(
                    account,
                    "SETTLEMENT",
                    instrument.quote,
                    -paid,
                    funding=-paid,
                    execution=execution,
                )
                self.touch_position(desk, account, index)
        if paid_sum:
            self._ledger.house.book_funding(instrument, 0, -paid_sum, now_ms)
        self.announce()
