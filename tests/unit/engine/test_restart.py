"""What the journal of an earlier run left open is unknown until the venue says more."""

import pytest

from tests.unit.engine.bench import ACCOUNT, BTC, ETH, Bench, instrument, long
from tickwright.core.commands import PlaceOrder
from tickwright.core.events import OrderAbsent, OrderReport, PromisedOrder, PromisesRestored
from tickwright.core.identity import ClientId, InstrumentId, Leg, StrategyId, VenueOrderId
from tickwright.core.orders import OrderState, OrderType, Side
from tickwright.execution.client_ids import ClientIds


def promised(
    strategy: str = "one", number: int = 1, instrument_id: InstrumentId = BTC
) -> PromisedOrder:
    earlier = ClientIds(3)
    earlier.register(StrategyId(strategy))
    client_id = [earlier.next(StrategyId(strategy)) for _ in range(number)][-1]
    return PromisedOrder(
        client_id=client_id,
        instrument_id=instrument_id,
        side=Side.BUY,
        size_units=500,
        order_type=OrderType.LIMIT,
        price_units=599_000,
        reduce_only=False,
        leg=Leg.NET,
        trigger_price_units=None,
    )


def restored(bench: Bench, *orders: PromisedOrder) -> list[ClientId]:
    commands = bench.handle(PromisesRestored(account_id=ACCOUNT, orders=orders))
    return [query.client_id for query in bench.queries(commands)]


def report(bench: Bench, order: PromisedOrder, state: OrderState, filled: int = 0) -> OrderReport:
    return OrderReport(
        account_id=ACCOUNT,
        instrument_id=order.instrument_id,
        client_id=order.client_id,
        venue_id=VenueOrderId("v-1"),
        side=order.side,
        order_type=order.order_type,
        state=state,
        price_units=order.price_units,
        size_units=order.size_units,
        filled_units=filled,
        reason="",
        venue_ns=bench.now_ns,
        received_ns=bench.now_ns,
        is_from_query=True,
    )


def absent(bench: Bench, order: PromisedOrder) -> None:
    bench.handle(
        OrderAbsent(
            account_id=ACCOUNT,
            instrument_id=order.instrument_id,
            client_id=order.client_id,
            asked_ns=bench.now_ns,
        )
    )


def test_promise_when_restored_then_asked_about_and_counted_as_live():
    bench = Bench(is_synced=False)
    order = promised()
    assert [order.client_id] == restored(bench, order)
    bench.sync()
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    assert 1 == holding.unknown_requests
    assert 500 == holding.working_buy_units


def test_promise_when_restored_then_never_sent_again():
    bench = Bench(is_synced=False)
    order = promised()
    restored(bench, order)
    bench.sync()
    bench.pass_time(60_000)
    assert [] == [one for one in bench.log if type(one) is PlaceOrder]


def test_promise_when_absent_twice_late_enough_then_gone_and_trading_goes_on():
    bench = Bench(is_synced=False)
    order = promised()
    restored(bench, order)
    bench.sync()
    absent(bench, order)
    assert 1 == bench.engine.summary().unknown_requests, "asked too early to be evidence"
    for _ in range(2):
        bench.pass_time(20_000)
        absent(bench, order)
    assert 0 == bench.engine.summary().unknown_requests
    bench.book(600_000)
    bench.say(long())
    assert BTC == bench.placed().instrument_id


def test_promise_when_it_rests_at_the_sync_then_cancelled():
    bench = Bench(is_synced=False)
    order = promised()
    restored(bench, order)
    bench.sync(orders=(report(bench, order, OrderState.WORKING),))
    assert [order.client_id] == [cancel.client_id for cancel in bench.cancels()]


def test_promise_when_booked_only_after_the_sync_then_cancelled_as_soon_as_seen():
    bench = Bench(is_synced=False)
    order = promised()
    restored(bench, order)
    bench.sync()
    assert [] == bench.cancels()
    bench.handle(report(bench, order, OrderState.WORKING))
    assert [order.client_id] == [cancel.client_id for cancel in bench.cancels()]


def test_promise_when_known_already_then_taken_up_once():
    bench = Bench(is_synced=False)
    order = promised()
    assert [order.client_id] == restored(bench, order)
    assert [] == restored(bench, order)
    assert 1 == bench.engine.summary().orders_live


@pytest.mark.parametrize(
    "order", [promised("stranger"), promised(instrument_id=ETH)], ids=["strategy", "instrument"]
)
def test_promise_when_of_nobody_here_then_told_and_nothing_is_asked(order: PromisedOrder):
    bench = Bench(instruments=(instrument(BTC),), is_synced=False)
    assert [] == restored(bench, order)
    assert f"{order.client_id} was promised by an earlier run and is of nobody" in {
        halt.reason for halt in bench.halts()
    }
