"""Orders over the real sockets and REST of a simulated venue: each ends in one known state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from functools import partial
from itertools import count
from random import Random
from typing import TypeVar

import msgspec
import pytest

from tests.integration.bybit_private.conftest import caller_of
from tickwright.core.commands import AmendOrder, CancelAll, CancelOrder, PlaceOrder, QueryOrder
from tickwright.core.errors import VenueError
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    Input,
    OrderAbsent,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
)
from tickwright.core.identity import (
    AccountId,
    Category,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
)
from tickwright.core.instrument import Instrument
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    OrderState,
    OrderType,
    RequestKind,
    Side,
    TimeInForce,
    TriggerBy,
)
from tickwright.net.connection import Connection, DialGate
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.faults import FaultKind, FaultSpec
from tickwright.simulator.private.accounts import DEMO_KEY, DEMO_SECRET
from tickwright.simulator.run import RunningSimulator
from tickwright.venues.bybit.account_rest import BybitAccountClient
from tickwright.venues.bybit.instruments import Instruments
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.bybit.private import PrivateSession
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.rest import BybitMarketClient
from tickwright.venues.bybit.sign import Credentials, Secret
from tickwright.venues.bybit.trade import TradeSession
from tickwright.venues.port import AccountClient, Encoded, MarketClient, OrderRequest, PricedRequest

ACCOUNT = AccountId("bybit", "demo")
T = TypeVar("T")


class Desk:
    """One account's clients and sockets, and everything they reported."""

    def __init__(self, venue: RunningSimulator, *, secret: str = DEMO_SECRET) -> None:
        self.venue = venue
        self.events: list[Input] = []
        self.told: list[tuple[str, ...]] = []
        self._news = asyncio.Event()
        self._numbers = count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self.held = {category: Instruments(category) for category in Category}
        caller = caller_of(venue.rest, key=DEMO_KEY, secret=secret)
        self.caller = caller
        self.market = BybitMarketClient(caller)
        self.client = BybitAccountClient(ACCOUNT, caller, self.instrument_of)
        credentials = Credentials(DEMO_KEY, Secret(secret))
        self.private = PrivateSession(credentials, RowReader(ACCOUNT, self.instrument_of), self)
        encoder = OrderEncoder(lambda i: self.instrument_of(i.category, i.symbol))
        self.trade = TradeSession(ACCOUNT, credentials, encoder, self, recv_window_ms=1_500)
        self.connections = {
            "private": Connection(venue.private, self.private, DialGate(Random(1))),
            "trade": Connection(venue.trade, self.trade, DialGate(Random(2))),
        }

    def instrument_of(self, category: Category, symbol: str) -> Instrument:
        return self.held[category].get(symbol)

    # the host of both sessions

    def on_event(self, event: Input, now_ns: int) -> None:
        self.events.append(event)
        self._news.set()

    def on_ready(self, channel: str, now_ns: int) -> None:
        self.told.append(("ready", channel))
        self._news.set()

    def on_unreadable(self, channel: str, text: str, now_ns: int) -> None:
        self.told.append(("unreadable", channel, text))

    def on_instrument_doubt(self, symbol: str) -> None:
        self.told.append(("doubt", symbol))

    def on_login_refused(self, channel: str, code: int, text: str, now_ns: int) -> None:
        self.told.append(("refused", channel, str(code), text))
        self._news.set()

    # helpers

    async def load(self) -> None:
        for category in (Category.LINEAR, Category.SPOT):
            listed = await self.market.instruments(category)
            self.held[category].update(listed, now_ns=utc_now_ns())
        await self.market.server_clock()

    async def connect(self) -> None:
        for name, connection in self.connections.items():
            self._tasks.append(asyncio.create_task(connection.run(), name=name))
        await self.until(lambda: self.private.is_ready and self.trade.is_ready)

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_event(
        self, kind: type[T], matches: Callable[[T], bool], seconds: float = 30.0
    ) -> T:
        def found() -> Iterable[T]:
            return (e for e in self.events if isinstance(e, kind) and matches(e))

        await self.until(lambda: any(True for _ in found()), seconds)
        return next(iter(found()))

    async def evidence(
        self, request: PlaceOrder, state: OrderState = OrderState.WORKING
    ) -> OrderReport:
        """Ask until the venue shows the order: it may answer before the book has it."""
        async with asyncio.timeout(30.0):
            while True:
                (found,) = await self.client.query_order(query_of(request))
                if isinstance(found, OrderReport) and found.state is state:
                    return found
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for connection in self.connections.values():
            await connection.stop()
        await asyncio.gather(*self._tasks)
        await self.caller.http.aclose()

    def name(self) -> ClientId:
        return ClientId(f"twdesk{next(self._numbers):07d}")

    def send(self, request: OrderRequest) -> Encoded:
        encoded = self.trade.encode(request, utc_now_ns())
        assert isinstance(encoded, Encoded), encoded
        assert self.connections["trade"].send(encoded.message)
        return encoded

    async def far_bid(self, client_id: ClientId, **changes: object) -> PlaceOrder:
        """Return a post-only buy 3 % below the market."""
        btc = self.held[Category.LINEAR].get("BTCUSDT")
        top = await self.market.top_of_book(btc)
        price = btc.price_units_floor(btc.price(top.bid_price_units) * Decimal("0.97"))
        fields: dict[str, object] = {"price_units": price, "post_only": True} | changes
        return order(btc.id, client_id, **fields)


def order(instrument_id: InstrumentId, client_id: ClientId, **changes: object) -> PlaceOrder:
    fields: dict[str, object] = {
        "account_id": ACCOUNT,
        "client_id": client_id,
        "instrument_id": instrument_id,
        "strategy_id": StrategyId("desk"),
        "side": Side.BUY,
        "size_units": 10,
        "order_type": OrderType.LIMIT,
        "price_units": None,
        "time_in_force": TimeInForce.GTC,
        "post_only": False,
        "reduce_only": False,
        "leg": Leg.NET,
        "stop_loss_price_units": None,
        "take_profit_price_units": None,
        "trigger_price_units": None,
        "trigger_by": TriggerBy.LAST,
        "valid_until_ns": 0,
        "event_id": 1,
    }
    return PlaceOrder(**(fields | changes))  # type: ignore[arg-type]


def amend_of(request: PlaceOrder, price_units: int) -> AmendOrder:
    return AmendOrder(
        account_id=ACCOUNT,
        client_id=request.client_id,
        venue_id=None,
        instrument_id=request.instrument_id,
        price_units=price_units,
        size_units=None,
        event_id=2,
    )


def cancel_of(request: PlaceOrder) -> CancelOrder:
    return CancelOrder(
        account_id=ACCOUNT,
        client_id=request.client_id,
        venue_id=None,
        instrument_id=request.instrument_id,
        event_id=2,
    )


def query_of(request: PlaceOrder) -> QueryOrder:
    return QueryOrder(
        account_id=ACCOUNT,
        client_id=request.client_id,
        instrument_id=request.instrument_id,
        event_id=3,
    )


@pytest.fixture
async def desk(venue: RunningSimulator) -> AsyncIterator[Desk]:
    made = Desk(venue)
    await made.load()
    yield made
    await made.close()


@pytest.fixture
async def live(desk: Desk) -> Desk:
    await desk.connect()
    return desk


def test_clients_when_typed_then_fit_the_ports(desk: Desk):
    market: MarketClient = desk.market
    account: AccountClient = desk.client
    assert (desk.market, desk.client) == (market, account)


async def test_market_when_asked_then_books_and_clock(desk: Desk):
    for category in (Category.LINEAR, Category.SPOT):
        instrument = desk.held[category].get("BTCUSDT")
        book = await desk.market.book(instrument, limit=50)
        assert 50 == len(book.bids) == len(book.asks)
        assert book.bids == sorted(book.bids, reverse=True)
        assert book.asks == sorted(book.asks)
        assert book.bids[0][0] < book.asks[0][0]
    assert abs(desk.caller.clock.offset_ns) < 1_000_000_000


async def test_candles_when_something_traded_then_the_open_one_is_not_final(live: Desk):
    btc = live.held[Category.LINEAR].get("BTCUSDT")
    live.send(order(btc.id, live.name(), order_type=OrderType.MARKET, size_units=5))
    await live.until_event(Fill, lambda e: True)
    candles = await live.market.candles(btc, "D", limit=5)
    starts = [candle.start_ns for candle in candles]
    assert starts == sorted(starts)
    assert not candles[-1].is_final
    assert candles[-1].volume_units >= 5


async def test_key_when_demo_then_rights_are_read(desk: Desk):
    rights = await desk.client.key_rights()
    assert (False, False) == (rights.can_withdraw, rights.is_read_only)


async def test_order_when_placed_amended_and_cancelled_then_each_step_is_reported(live: Desk):
    request = await live.far_bid(live.name())
    live.send(request)
    reply = await live.until_event(Reply, lambda e: e.request is RequestKind.CREATE)
    assert (Outcome.ACCEPTED, request.client_id) == (reply.outcome, reply.client_id)
    working = await live.until_event(OrderReport, lambda e: e.state is OrderState.WORKING)
    assert (request.client_id, request.price_units, 10, 0, reply.venue_id) == (
        working.client_id,
        working.price_units,
        working.size_units,
        working.filled_units,
        working.venue_id,
    )
    assert request.price_units is not None
    lower = request.price_units - 100
    live.send(
        AmendOrder(
            account_id=ACCOUNT,
            client_id=request.client_id,
            venue_id=None,
            instrument_id=request.instrument_id,
            price_units=lower,
            size_units=20,
            event_id=2,
        )
    )
    amended = await live.until_event(OrderReport, lambda e: e.price_units == lower)
    assert (OrderState.WORKING, 20) == (amended.state, amended.size_units)
    (shown,) = await live.client.open_orders(Category.LINEAR)
    assert (request.client_id, lower, True) == (
        shown.client_id,
        shown.price_units,
        shown.is_from_query,
    )
    live.send(cancel_of(request))
    gone = await live.until_event(OrderReport, lambda e: e.state is OrderState.CANCELLED)
    assert 0 == gone.filled_units
    assert () == await live.client.open_orders(Category.LINEAR)
    assert [told for told in live.told if told[0] != "ready"] == []


async def test_order_when_it_takes_then_fill_position_and_wallet_agree_with_rest(live: Desk):
    btc = live.held[Category.LINEAR].get("BTCUSDT")
    request = order(btc.id, live.name(), order_type=OrderType.MARKET, size_units=5)
    live.send(request)
    await live.until_event(OrderReport, lambda e: e.state is OrderState.FILLED)
    await live.until_event(PositionReport, lambda e: e.size_units == 5)
    await live.until_event(AccountState, lambda e: True)
    await live.until(lambda: sum(e.size_units for e in live.events if isinstance(e, Fill)) == 5)
    streamed = {e.execution_id: e for e in live.events if isinstance(e, Fill)}
    assert 5 == sum(fill.size_units for fill in streamed.values())
    for fill in streamed.values():
        assert (request.client_id, ExecutionKind.TRADE, "USDT", False) == (
            fill.client_id,
            fill.kind,
            fill.fee_asset,
            fill.is_maker,
        )
        assert fill.fee > 0
    queried = await live.client.fills(Category.LINEAR, since_ns=0)
    assert {i: (f.price_units, f.size_units, f.fee, f.side) for i, f in streamed.items()} == {
        f.execution_id: (f.price_units, f.size_units, f.fee, f.side) for f in queried
    }
    (position,) = await live.client.positions(Category.LINEAR)
    assert (btc.id, 5, True) == (
        position.instrument_id,
        position.size_units,
        position.is_from_query,
    )
    balances = [e for e in await live.client.wallet() if isinstance(e, BalanceReport)]
    assert ["USDT"] == [balance.asset for balance in balances]
    assert 10_000 * 10**18 - sum(f.fee for f in queried) == balances[0].wallet_balance


async def test_sync_when_read_then_the_whole_state(live: Desk):
    btc = live.held[Category.LINEAR].get("BTCUSDT")
    resting = await live.far_bid(live.name())
    live.send(resting)
    live.send(order(btc.id, live.name(), order_type=OrderType.MARKET, size_units=3))
    await live.until_event(OrderReport, lambda e: e.state is OrderState.FILLED)
    await live.until_event(OrderReport, lambda e: e.client_id == resting.client_id)
    report = await live.client.sync((Category.LINEAR, Category.SPOT), since_ns=0)
    assert [resting.client_id] == [o.client_id for o in report.orders]
    assert [3] == [p.size_units for p in report.positions]
    assert 3 == sum(f.size_units for f in report.fills)
    assert abs(report.venue_ns - utc_now_ns()) < 5_000_000_000


async def test_stop_when_everything_is_cancelled_then_it_stays(live: Desk):
    btc = live.held[Category.LINEAR].get("BTCUSDT")
    live.send(order(btc.id, live.name(), order_type=OrderType.MARKET, size_units=5))
    await live.until_event(PositionReport, lambda e: e.size_units == 5)
    top = await live.market.top_of_book(btc)
    trigger = btc.price_units_floor(btc.price(top.bid_price_units) * Decimal("0.95"))
    stop = order(
        btc.id,
        live.name(),
        side=Side.SELL,
        order_type=OrderType.MARKET,
        size_units=5,
        reduce_only=True,
        trigger_price_units=trigger,
    )
    plain = await live.far_bid(live.name())
    live.send(stop)
    live.send(plain)
    shown = await live.until_event(OrderReport, lambda e: e.client_id == stop.client_id)
    assert (True, trigger, OrderState.WORKING, True) == (
        shown.is_conditional,
        shown.trigger_price_units,
        shown.state,
        shown.reduce_only,
    )
    await live.until_event(OrderReport, lambda e: e.client_id == plain.client_id)
    command = CancelAll(account_id=ACCOUNT, instrument_id=None, event_id=9)
    assert 1 == await live.client.cancel_all(command, category=Category.LINEAR)
    await live.until_event(
        OrderReport,
        lambda e: e.client_id == plain.client_id and e.state is OrderState.CANCELLED,
    )
    (left,) = await live.client.open_orders(Category.LINEAR)
    assert stop.client_id == left.client_id
    live.send(cancel_of(stop))
    await live.until_event(
        OrderReport,
        lambda e: e.client_id == stop.client_id and e.state is OrderState.CANCELLED,
    )


async def test_query_when_order_is_unknown_then_absent_else_found(live: Desk):
    request = await live.far_bid(live.name())
    before = utc_now_ns()
    (absent,) = await live.client.query_order(query_of(request))
    assert isinstance(absent, OrderAbsent)
    assert before <= absent.asked_ns <= utc_now_ns()
    live.send(request)
    await live.until_event(OrderReport, lambda e: e.client_id == request.client_id)
    (found,) = await live.client.query_order(query_of(request))
    assert isinstance(found, OrderReport)
    assert (OrderState.WORKING, True) == (found.state, found.is_from_query)


@pytest.mark.parametrize(
    "kind", [FaultKind.REPLY_DROPPED, FaultKind.REPLY_ERROR, FaultKind.CUT_AFTER_BOOKING]
)
async def test_create_when_its_answer_is_lost_then_unknown_and_the_query_finds_it(
    live: Desk, kind: FaultKind
):
    spec = FaultSpec(kind=kind, topic="trade.order.create", count=1)
    live.venue.faults.add(spec, live.venue.venue.now_ns)
    request = await live.far_bid(live.name())
    live.send(request)
    reply = await live.until_event(Reply, lambda e: e.client_id == request.client_id)
    assert Outcome.UNKNOWN is reply.outcome
    assert request.client_id == (await live.evidence(request)).client_id
    assert 1 == len(await live.client.open_orders(Category.LINEAR))


async def test_create_when_the_socket_dies_before_booking_then_unknown_and_absent(live: Desk):
    spec = FaultSpec(kind=FaultKind.CUT_BEFORE_BOOKING, topic="trade.order.create", count=1)
    live.venue.faults.add(spec, live.venue.venue.now_ns)
    request = await live.far_bid(live.name())
    live.send(request)
    reply = await live.until_event(Reply, lambda e: e.client_id == request.client_id)
    assert Outcome.UNKNOWN is reply.outcome
    (found,) = await live.client.query_order(query_of(request))
    assert isinstance(found, OrderAbsent)
    await live.until(lambda: live.trade.is_ready)


async def test_create_when_sent_twice_then_the_second_is_unknown_and_one_order_lives(live: Desk):
    request = await live.far_bid(live.name())
    live.send(request)
    await live.until_event(OrderReport, lambda e: e.client_id == request.client_id)
    live.send(request)
    await live.until(lambda: len([e for e in live.events if isinstance(e, Reply)]) == 2)
    outcomes = [(e.outcome, e.code) for e in live.events if isinstance(e, Reply)]
    assert [(Outcome.ACCEPTED, 0), (Outcome.UNKNOWN, 110072)] == outcomes
    assert 1 == len(await live.client.open_orders(Category.LINEAR))


async def test_cancel_when_order_is_gone_then_nobody_is_told_it_failed(live: Desk):
    request = await live.far_bid(live.name())
    live.send(request)
    await live.until_event(OrderReport, lambda e: e.client_id == request.client_id)
    live.send(cancel_of(request))
    await live.until_event(OrderReport, lambda e: e.state is OrderState.CANCELLED)
    live.send(cancel_of(request))
    await live.until(lambda: len([e for e in live.events if isinstance(e, Reply)]) == 3)
    last = [e for e in live.events if isinstance(e, Reply)][-1]
    assert last.outcome in (Outcome.ALREADY_DONE, Outcome.UNKNOWN)


async def test_rest_when_no_socket_serves_then_orders_go_by_it(desk: Desk):
    request = await desk.far_bid(desk.name())
    sent, reply = await desk.client.send(request)
    assert reply is not None
    assert (True, Outcome.ACCEPTED) == (sent.is_sent, reply.outcome)
    await desk.evidence(request)
    (shown,) = await desk.client.open_orders(Category.LINEAR)
    assert (request.client_id, reply.venue_id) == (shown.client_id, shown.venue_id)
    sent, reply = await desk.client.send(cancel_of(request))
    assert reply is not None
    assert Outcome.ACCEPTED is reply.outcome
    gone = await desk.evidence(request, OrderState.CANCELLED)
    assert ((), 0) == (await desk.client.open_orders(Category.LINEAR), gone.filled_units)


@pytest.mark.parametrize(
    ("kind", "is_booked"),
    [
        (FaultKind.REPLY_HTML, True),
        (FaultKind.REPLY_ERROR, True),
        (FaultKind.CUT_AFTER_BOOKING, True),
        (FaultKind.CUT_BEFORE_BOOKING, False),
    ],
)
async def test_rest_when_the_answer_is_broken_then_unknown_and_evidence_decides(
    desk: Desk, kind: FaultKind, is_booked: bool
):
    spec = FaultSpec(kind=kind, topic="rest.order.create", count=1)
    desk.venue.faults.add(spec, desk.venue.venue.now_ns)
    request = await desk.far_bid(desk.name())
    sent, reply = await desk.client.send(request)
    assert reply is not None
    assert (True, Outcome.UNKNOWN) == (sent.is_sent, reply.outcome)
    if is_booked:
        assert request.client_id == (await desk.evidence(request)).client_id
    else:
        await asyncio.sleep(0.1)
        (found,) = await desk.client.query_order(query_of(request))
        assert isinstance(found, OrderAbsent)


async def test_rest_when_order_can_not_be_sent_then_proof_that_it_never_left(desk: Desk):
    request = await desk.far_bid(desk.name(), valid_until_ns=1)
    sent, reply = await desk.client.send(request)
    assert (False, None) == (sent.is_sent, reply)
    assert "expired" in sent.reason


async def test_leverage_when_set_twice_then_success(desk: Desk):
    btc = desk.held[Category.LINEAR].get("BTCUSDT")
    await desk.client.set_leverage(btc.id, Decimal(5))
    await desk.client.set_leverage(btc.id, Decimal(5))
    with pytest.raises(VenueError):
        await desk.client.set_leverage(btc.id, Decimal(5000))


async def test_fees_when_read_then_fractions_of_every_symbol(desk: Desk):
    fees = await desk.client.fees(Category.LINEAR, symbols=("BTCUSDT",))
    (changed,) = fees
    assert ("BTCUSDT", True) == (
        changed.instrument_id.symbol,
        Decimal(0) < changed.rates.maker < changed.rates.taker < Decimal("0.01"),
    )


async def test_login_when_secret_is_wrong_then_told_on_both_sockets(venue: RunningSimulator):
    desk = Desk(venue, secret="not-the-secret")
    for connection in desk.connections.values():
        desk._tasks.append(asyncio.create_task(connection.run()))
    await desk.until(lambda: {t[1] for t in desk.told if t[0] == "refused"} == {"private", "trade"})
    assert not desk.private.is_ready
    assert not desk.trade.is_ready
    with pytest.raises(VenueError) as caught:
        await desk.client.wallet()
    assert 10004 == caught.value.code
    await desk.close()


async def test_spot_when_bought_at_market_then_base_size_and_base_fee(live: Desk):
    btc = live.held[Category.SPOT].get("BTCUSDT")
    request = order(btc.id, live.name(), order_type=OrderType.MARKET, size_units=1_000)
    live.send(request)
    done = await live.until_event(OrderReport, lambda e: e.state is OrderState.FILLED)
    assert (1_000, 1_000, btc.id) == (done.size_units, done.filled_units, done.instrument_id)
    fill = await live.until_event(Fill, lambda e: e.instrument_id == btc.id)
    assert "BTC" == fill.fee_asset


def _is_about(client_id: str, reply: Reply) -> bool:
    return reply.client_id == client_id


# batches ------------------------------------------------------------------------------------------


async def test_batch_when_one_item_is_bad_then_the_others_rest_and_cancel_together(live: Desk):
    good, bad, also = [await live.far_bid(live.name()) for _ in range(3)]
    bad = msgspec.structs.replace(bad, size_units=10**12)
    batch = live.trade.encode_batch([(one, None) for one in (good, bad, also)], utc_now_ns())
    assert live.connections["trade"].send(batch.message)
    replies = {}
    for one in (good, bad, also):
        wanted = one.client_id
        replies[wanted] = await live.until_event(Reply, partial(_is_about, wanted))
    outcomes = [replies[one.client_id].outcome for one in (good, bad, also)]
    assert [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.ACCEPTED] == outcomes
    for one in (good, also):
        report = await live.evidence(one)
        assert report.venue_id == replies[one.client_id].venue_id
    assert good.price_units is not None
    price = good.price_units - live.held[Category.LINEAR].get("BTCUSDT").tick_units
    amends: list[PricedRequest] = [(amend_of(one, price), None) for one in (good, bad, also)]
    batch = live.trade.encode_batch(amends, utc_now_ns())
    assert live.connections["trade"].send(batch.message)
    for one in (good, also):
        await live.until_event(
            OrderReport,
            lambda e, one=one: (e.client_id, e.price_units) == (one.client_id, price),  # type: ignore[misc]
        )
    await live.until(lambda: len([e for e in live.events if isinstance(e, Reply)]) == 6)
    live.events = [e for e in live.events if not isinstance(e, Reply)]
    cancels = [(cancel_of(one), None) for one in (good, bad, also)]
    batch = live.trade.encode_batch(cancels, utc_now_ns())
    assert live.connections["trade"].send(batch.message)
    for one in (good, also):
        await live.until_event(
            OrderReport,
            lambda e, one=one: (e.client_id, e.state) == (one.client_id, OrderState.CANCELLED),  # type: ignore[misc]
        )
    outcomes = [e.outcome for e in live.events if isinstance(e, Reply)]
    assert [Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.ACCEPTED] == outcomes


async def test_rest_batch_when_items_differ_then_each_has_its_own_outcome_and_verdict(desk: Desk):
    good, bad, late = [await desk.far_bid(desk.name()) for _ in range(3)]
    bad = msgspec.structs.replace(bad, size_units=10**12)
    late = msgspec.structs.replace(late, valid_until_ns=1)
    found = await desk.client.send_batch([(one, None) for one in (late, good, bad)])
    assert [
        (late.client_id, False, None),
        (good.client_id, True, Outcome.ACCEPTED),
        (bad.client_id, True, Outcome.REFUSED),
    ] == [
        (sent.client_id, sent.is_sent, None if reply is None else reply.outcome)
        for sent, reply in found
    ]
    await desk.evidence(good)
    ((_, reply),) = await desk.client.send_batch([(cancel_of(good), None)])
    assert reply is not None
    assert Outcome.ACCEPTED is reply.outcome
    await desk.evidence(good, OrderState.CANCELLED)


@pytest.mark.parametrize(
    ("kind", "is_booked"),
    [(FaultKind.REPLY_HTML, True), (FaultKind.CUT_BEFORE_BOOKING, False)],
)
async def test_rest_batch_when_the_answer_is_broken_then_all_of_it_is_unknown(
    desk: Desk, kind: FaultKind, is_booked: bool
):
    spec = FaultSpec(kind=kind, topic="rest.order.create-batch", count=1)
    desk.venue.faults.add(spec, desk.venue.venue.now_ns)
    requests = [await desk.far_bid(desk.name()) for _ in range(3)]
    found = await desk.client.send_batch([(one, None) for one in requests])
    assert [(True, Outcome.UNKNOWN)] * 3 == [
        (sent.is_sent, reply.outcome) for sent, reply in found if reply is not None
    ]
    if is_booked:
        for one in requests:
            await desk.evidence(one)
    assert 3 * is_booked == len(await desk.client.open_orders(Category.LINEAR))
