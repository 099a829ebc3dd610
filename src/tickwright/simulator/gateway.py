"""Owns the third way into the simulated venue: the engine's commands in, the engine's inputs out.

It refuses to keep time, and to know better than the two wire fronts: requests become the same forms
and go through the same service, and what streams would say becomes the same inputs, but nothing is
turned into bytes nor into rows. Backtests use it, where an order must not cost a millisecond.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from tickwright.core.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceOrder,
    QueryOrder,
    SetPositionStops,
)
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    FeesChanged,
    Input,
    OrderAbsent,
    Outcome,
    RateLimitReport,
    Reply,
    SendOutcome,
    SyncReport,
)
from tickwright.core.identity import AccountId, Category, ClientId, InstrumentId, VenueOrderId
from tickwright.core.instrument import FeeRates, Instrument
from tickwright.core.orders import RequestKind, SelfTradeRule
from tickwright.simulator.inputs import InputMaker, Told
from tickwright.simulator.private.accounts import ApiKey
from tickwright.simulator.private.margin import SETTLE_ASSET
from tickwright.simulator.private.requests import CancelRequest, CreateRequest, UnitsAmend
from tickwright.simulator.private.requests import OrderRequest as TypedRequest
from tickwright.simulator.private.service import Answer
from tickwright.simulator.private.told import Announcement
from tickwright.simulator.whole import WholeVenue
from tickwright.venues.bybit.errors import outcome_of
from tickwright.venues.bybit.order_encode import (
    OrderEncoder,
    OrderForm,
    change_fault,
    request_kind_of,
)
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.stops_rest import stops_form, stops_outcome
from tickwright.venues.port import OrderRequest, Unsendable

__all__ = ["AccountGateway", "News", "Request", "typed_request"]

News = tuple[Told, ...]
"""What one message of a private stream would carry; nobody has received it yet."""
Request = PlaceOrder | AmendOrder | CancelOrder | CancelAll | QueryOrder | SetPositionStops
"""What an account may ask of the venue."""

_NAMES: dict[type[OrderRequest], str] = {
    PlaceOrder: "order.create",
    AmendOrder: "order.amend",
    CancelOrder: "order.cancel",
}
_CATEGORIES = {category: category.value for category in Category}
_CANCEL = RequestKind.CANCEL
_ACCEPTED = Outcome.ACCEPTED
_WAY = "process"


class AccountGateway:
    """One account's requests and news, without a wire.

    `on_news` is called with what the account's private streams would carry, while the venue is in
    the middle of it: keep it, and call `received` when it is to be known.
    """

    def __init__(
        self,
        whole: WholeVenue,
        account_id: AccountId,
        key: ApiKey,
        instruments: dict[InstrumentId, Instrument],
        on_news: Callable[[News], None],
        *,
        self_trade: SelfTradeRule = SelfTradeRule.NONE,
    ) -> None:
        self.account_id = account_id
        self._whole = whole
        self._key = key
        self._instruments = instruments
        by_symbol = {(one.id.category, one.symbol): one for one in instruments.values()}
        self._rows = RowReader(account_id, lambda category, symbol: by_symbol[category, symbol])
        self._inputs = InputMaker(account_id, by_symbol)
        self._on_news = on_news
        self._encoder = OrderEncoder(instruments.__getitem__, self_trade=self_trade)
        self._markets = {
            one.id: whole.venue.markets[one.id.category, one.symbol] for one in instruments.values()
        }
        for one in instruments.values():
            listing = self._markets[one.id].instrument
            assert listing.price_decimals == one.price_decimals, f"{one.id}: other price units"
            assert listing.size_decimals == one.size_decimals, f"{one.id}: other size units"
        self._limited: set[tuple[str, str]] = set()
        whole.listen(key.account, self._hear)

    # what is asked ------------------------------------------------------------------------------

    def form(self, request: OrderRequest, now_ns: int) -> tuple[TypedRequest | None, SendOutcome]:
        """Return a request as it leaves us now, None when it can't, and what becomes of it."""
        kind, reason = request_kind_of(request), ""
        made: TypedRequest | None = None
        if isinstance(request, AmendOrder):
            reason = change_fault(request)
            made = None if reason else self._amend(request)
        else:
            last = self._markets[request.instrument_id].last_price_units or None
            row = self._encoder.row(request, now_ns, last_price_units=last)
            if isinstance(row, Unsendable):
                reason = row.reason
            else:
                made = typed_request(kind, row)
        is_sent = made is not None
        outcome = SendOutcome(
            account_id=self.account_id,
            client_id=request.client_id,
            request=kind,
            is_sent=is_sent,
            reason=reason,
            sent_ns=now_ns if is_sent else 0,
        )
        return made, outcome

    def _amend(self, request: AmendOrder) -> UnitsAmend:
        listing = self._markets[request.instrument_id].instrument
        return UnitsAmend(
            _CATEGORIES[listing.category],
            listing.symbol,
            order_id="" if request.client_id else (request.venue_id or ""),
            order_link_id=request.client_id,
            size_units=request.size_units,
            price_units=request.price_units,
        )

    def submit(self, request: OrderRequest, form: TypedRequest) -> Sequence[Input]:
        """Let a request reach the venue now; returns what its answer would say."""
        kind, venue = request_kind_of(request), self._whole.venue
        name = _NAMES[type(request)]
        reply = self._whole.service.submit(self._key, name, form, _WAY)
        self._whole.advance(venue.now_ns)
        answer = reply.answer
        if answer is None:
            return ()
        code = answer.code
        told = Reply(
            account_id=self.account_id,
            client_id=request.client_id,
            request=kind,
            outcome=outcome_of(code, kind) if code else _ACCEPTED,
            code=code,
            text=answer.text,
            venue_id=None if code else VenueOrderId(answer.result["orderId"]),
            venue_ns=venue.now_ns,
        )
        limit = self._limit(kind, name, form.category, answer)
        return (told,) if limit is None else (told, limit)

    def carry_out(self, command: CancelAll | QueryOrder | SetPositionStops) -> Sequence[Input]:
        """Carry out what goes by REST in a live run; returns what its answers would say."""
        if isinstance(command, SetPositionStops):
            return (self._set_stops(command),)
        if isinstance(command, QueryOrder):
            return self._query(command)
        return self._cancel_all(command)

    def _limit(
        self, kind: RequestKind, name: str, category: str, answer: Answer
    ) -> RateLimitReport | None:
        """Return what an answer says of a budget: the first time, and when it refuses for it."""
        budget, is_exceeded, known = answer.budget, answer.code == 10006, (name, category)
        if budget is None or (known in self._limited and not is_exceeded):
            return None
        self._limited.add(known)
        reset_ns = budget.reset_ms * 1_000_000
        return RateLimitReport(
            account_id=self.account_id,
            group=f"{kind.value}.{category}",
            limit=budget.limit,
            remaining=0 if is_exceeded else budget.left,
            reset_ns=max(reset_ns, self._whole.now_ns + 1_000_000_000) if is_exceeded else reset_ns,
        )

    def _set_stops(self, command: SetPositionStops) -> Input:
        form = stops_form(command, self._instruments[command.instrument_id])
        answer = self._whole.post(
            self._key, "position.trading-stop", msgspec.to_builtins(form)
        ).answer
        self._whole.advance(self._whole.now_ns)
        if answer is None:
            return stops_outcome(command, None, "no answer", venue_ns=0)
        return stops_outcome(command, answer.code, answer.text, venue_ns=self._whole.now_ns)

    def _cancel_all(self, command: CancelAll) -> Sequence[Input]:
        chosen = command.instrument_id
        for category in dict.fromkeys(one.category for one in self._instruments):
            if chosen is not None and chosen.category is not category:
                continue
            body = {"category": category.value, "orderFilter": "Order"}
            if chosen is not None:
                body["symbol"] = chosen.symbol
            elif category is not Category.SPOT:
                body["settleCoin"] = SETTLE_ASSET
            self._whole.post(self._key, "order.cancel-all", body)
        self._whole.advance(self._whole.now_ns)
        return ()

    def _query(self, command: QueryOrder) -> Sequence[Input]:
        scope = {
            "category": command.instrument_id.category.value,
            "symbol": command.instrument_id.symbol,
            "orderLinkId": command.client_id,
        }
        found: list[Input] = []
        now_ns, category = self._whole.now_ns, command.instrument_id.category
        for name in ("order.realtime", "order.history"):
            answer = self._whole.get(self._key, name, scope)
            if answer.code:
                return ()
            for row in answer.result["list"]:
                found.append(
                    self._rows.order(row, received_ns=now_ns, category=category, is_from_query=True)
                )
            if found:
                break
        answer = self._whole.get(self._key, "execution.list", scope | {"limit": "100"})
        if answer.code:
            return ()
        for row in answer.result["list"]:
            found.append(self._rows.fill(row, received_ns=now_ns, category=category))
        if found:
            return found
        return (
            OrderAbsent(
                account_id=self.account_id,
                instrument_id=command.instrument_id,
                client_id=ClientId(command.client_id),
                asked_ns=now_ns,
            ),
        )

    # what is told -------------------------------------------------------------------------------

    def _hear(self, told: Announcement) -> None:
        for news in self._inputs.messages(told, self._whole.now_ns):
            self._on_news(news)

    def received(self, news: News, received_ns: int) -> Sequence[Input]:
        """Return news as a private session would have it at that time."""
        if len(news) == 1:
            return (msgspec.structs.replace(news[0], received_ns=received_ns),)
        return [msgspec.structs.replace(one, received_ns=received_ns) for one in news]

    def sync(self) -> SyncReport:
        """Return the account as it is read at a start: nothing open, nothing held."""
        now_ns = self._whole.now_ns
        row = self._whole.desk.settlement.wallet_row(self._key.account)
        told = self._rows.wallet(row, venue_ns=now_ns, received_ns=now_ns)
        return SyncReport(
            account_id=self.account_id,
            orders=(),
            positions=(),
            balances=tuple(one for one in told if isinstance(one, BalanceReport)),
            fills=(),
            venue_ns=now_ns,
            totals=next((one for one in told if isinstance(one, AccountState)), None),
        )

    def fees(self) -> list[FeesChanged]:
        """Return what the account pays, as it is read at a start."""
        fees = self._key.account.fees_ppm
        return [
            FeesChanged(
                self.account_id,
                one.id,
                FeeRates(*(Decimal(ppm).scaleb(-6) for ppm in fees[one.id.category])),
            )
            for one in self._instruments.values()
        ]


def typed_request(kind: RequestKind, form: OrderForm) -> TypedRequest:
    """Return a form as the venue's services read it: what it leaves out is at their defaults."""
    if kind is _CANCEL:
        return CancelRequest(form.category, form.symbol, form.orderId, form.orderLinkId)
    return CreateRequest(
        category=form.category,
        symbol=form.symbol,
        side=form.side,
        order_type=form.orderType,
        qty=form.qty,
        price=form.price,
        time_in_force=form.timeInForce,
        order_link_id=form.orderLinkId,
        position_idx=form.positionIdx or 0,
        reduce_only=form.reduceOnly,
        market_unit=form.marketUnit,
        is_leverage=form.isLeverage or 0,
        trigger_price=form.triggerPrice,
        trigger_direction=form.triggerDirection,
        trigger_by=form.triggerBy,
        order_filter=form.orderFilter,
        take_profit=form.takeProfit,
        stop_loss=form.stopLoss,
        tp_trigger_by=form.tpTriggerBy,
        sl_trigger_by=form.slTriggerBy,
        tpsl_mode=form.tpslMode,
        smp_type=form.smpType,
    )
