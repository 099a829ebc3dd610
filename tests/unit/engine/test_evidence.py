"""Unknown requests, syncs, adoption: only the venue's evidence resolves anything."""

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    CONFIG,
    ETH,
    MS,
    Bench,
    Scripted,
    leave,
    long,
    venue_id,
)
from tickwright.core.commands import CancelOrder, QueryOrder
from tickwright.core.events import OperatorCommand, OperatorVerb, OrderAbsent, OrderReport, Outcome
from tickwright.core.identity import ClientId, StrategyId, VenueOrderId
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    OrderIntent,
    OrderState,
    OrderType,
    RequestKind,
    RequestState,
    Side,
)
from tickwright.core.signals import CancelIntent
from tickwright.execution import ClientIds

RESTING = OrderIntent(instrument_id=BTC, side=Side.BUY, size_units=5, price_units=599_000)


def absent(bench: Bench, client_id: ClientId, asked_ns: int):
    return bench.handle(
        OrderAbsent(account_id=ACCOUNT, instrument_id=BTC, client_id=client_id, asked_ns=asked_ns)
    )


def test_create_when_nobody_answers_then_unknown_asked_in_time_and_never_sent_again():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    sent_ns = bench.now_ns
    # Defaults: unknown after 1 s; evidence counts from recv_window 2 s + 1 s on.
    assert [] == bench.queries(bench.pass_time(990))
    assert 1 == len(bench.queries(bench.pass_time(20)))
    record = bench.engine.state.blotter.find_ours(order.client_id)
    assert record is not None
    assert (RequestState.UNKNOWN, OrderState.INTENDED) == (
        record.create.state,
        record.order.state,
    )
    assert "unknown" in bench.order_notices()[-1].reason
    assert [] == bench.queries(bench.pass_time(1_900))
    assert 1 == len(bench.queries(bench.pass_time(150)))
    assert bench.now_ns >= sent_ns + 3_000 * MS
    assert 1 == len(bench.places(bench.log))
    # Asked too early, an empty answer is no evidence; asked late, the second one proves it.
    absent(bench, order.client_id, sent_ns + 1_000 * MS)
    absent(bench, order.client_id, sent_ns + 1_001 * MS)
    absent(bench, order.client_id, sent_ns + 3_000 * MS)
    absent(bench, order.client_id, sent_ns + 3_000 * MS)
    assert OrderState.INTENDED is record.order.state
    absent(bench, order.client_id, sent_ns + 4_000 * MS)
    after: OrderState = record.order.state
    assert OrderState.REJECTED is after
    assert 1 == len(bench.places(bench.say(long())))


def test_create_when_unknown_then_counted_as_live_and_blocks_a_second_entry():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.reply(order.client_id, RequestKind.CREATE, Outcome.UNKNOWN)
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    assert (166, 1) == (holding.working_buy_units, holding.unknown_requests)
    assert [] == bench.places(bench.say(long()))
    bench.fill(order)
    assert (166, 0) == (bench.share(), holding.working_buy_units)


def test_create_when_found_by_a_query_then_resolved_and_asking_ends():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.pass_time(1_100)
    bench.report(order, OrderState.WORKING, is_from_query=True)
    assert [] == bench.queries(bench.pass_time(60_000))


def test_create_when_not_sent_then_rejected_by_proof_and_the_strategy_may_try_again():
    bench = Bench()
    bench.say(long())
    bench.not_sent(bench.placed().client_id, RequestKind.CREATE)
    assert 1 == len(bench.places(bench.say(long())))


def test_create_when_acknowledged_but_never_shown_then_asked_about():
    bench = Bench()
    bench.say(RESTING)
    bench.ack(bench.placed())
    assert [] == bench.queries(bench.pass_time(1_900))
    assert 1 <= len(bench.queries(bench.pass_time(200)))


def test_cancel_when_nobody_answers_then_sent_again_and_asked_about():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.report(order, OrderState.WORKING)
    bench.say(leave())
    assert 1 == len(bench.cancels())
    commands = bench.pass_time(1_100)
    assert (1, True) == (len(bench.cancels(commands)), len(bench.queries(commands)) >= 1)
    bench.report(order, OrderState.CANCELLED)
    assert [] == bench.cancels(bench.pass_time(30_000))


def test_cancel_when_refused_as_unknown_then_the_order_is_asked_about_before_anything_else():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.report(order, OrderState.WORKING)
    bench.say(leave())
    commands = bench.reply(order.client_id, RequestKind.CANCEL, Outcome.REFUSED)
    assert 1 == len(bench.queries(commands))
    bench.fill(order, 5)
    assert 5 == bench.share()


def test_cancel_when_not_sent_then_tried_again():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.report(order, OrderState.WORKING)
    bench.say(leave())
    bench.not_sent(order.client_id, RequestKind.CANCEL)
    assert 1 == len(bench.cancels(bench.pass_time(300)))


def test_report_when_it_contradicts_a_final_one_then_the_instrument_is_halted_and_not_the_process():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.report(order, OrderState.CANCELLED)
    commands = bench.report(order, OrderState.WORKING)
    assert 1 == len(bench.queries(commands))
    assert [str(BTC)] == [halt.scope for halt in bench.halts()]
    assert [] == bench.places(bench.say(long()))


def test_fill_when_repeated_then_position_and_order_count_it_once():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    for _ in range(3):
        bench.fill(order, 100, execution_id="same")
    assert (100, 1) == (bench.share(), bench.engine.summary().fills)


def test_fill_when_in_an_instrument_not_configured_then_told_once_and_survived():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    for _ in range(2):
        bench.fill(order, 1, instrument_id=ETH, client_id=None, venue_id=None)
    assert [str(ACCOUNT)] == [halt.scope for halt in bench.halts()]


def test_fill_when_of_a_kind_nobody_can_book_then_the_instrument_is_halted():
    bench = Bench()
    bench.say(long())
    bench.fill(bench.placed(), 1, kind=ExecutionKind.OTHER)
    assert [] == bench.places(bench.say(long()))
    assert str(BTC) in [halt.scope for halt in bench.halts()]


def test_fill_when_told_again_as_what_it_is_then_booked_once_and_the_halt_can_be_lifted():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.ack(order)
    for _ in range(2):
        bench.fill(order, 100, execution_id="odd", kind=ExecutionKind.OTHER)
    assert (0, 0) == (bench.share(), bench.engine.summary().fills)
    for _ in range(3):
        bench.fill(order, 100, execution_id="odd")
    bench.fill(order, 100, execution_id="odd", kind=ExecutionKind.OTHER)
    assert (100, 1) == (bench.share(), bench.engine.summary().fills)
    bench.report(order, OrderState.FILLED, filled=order.size_units)
    told = [halt.reason for halt in bench.halts() if halt.scope == str(BTC)]
    assert "execution odd is of a kind nobody can book" == told[0]
    assert "execution odd is booked now, as trade" in told[1]
    bench.handle(OperatorCommand(OperatorVerb.RESUME, "all", "looked at"))
    assert {} == bench.engine.summary().halted_instruments


def test_fill_when_still_of_an_unknown_kind_after_the_halt_was_lifted_then_halts_no_more():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.fill(order, 100, execution_id="odd", kind=ExecutionKind.OTHER)
    bench.handle(OperatorCommand(OperatorVerb.RESUME, "all", "looked at"))
    bench.fill(order, 100, execution_id="odd", kind=ExecutionKind.OTHER)
    assert {} == bench.engine.summary().halted_instruments
    assert "" == bench.engine.state.portfolio.holding(ACCOUNT, BTC).halt_reason


def resting_report(bench: Bench, client_id: str | None, name: str = "other") -> OrderReport:
    return OrderReport(
        account_id=ACCOUNT,
        instrument_id=BTC,
        client_id=None if client_id is None else ClientId(client_id),
        venue_id=VenueOrderId(name),
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        state=OrderState.WORKING,
        price_units=599_000,
        size_units=7,
        filled_units=0,
        reason="",
        venue_ns=bench.now_ns,
        received_ns=bench.now_ns,
    )


def test_sync_when_an_earlier_run_left_an_order_then_adopted_and_cancelled():
    earlier = ClientIds(1)
    earlier.register(StrategyId("one"))
    name = earlier.next(StrategyId("one"))
    bench = Bench(is_synced=False)
    commands = bench.sync(orders=(resting_report(bench, name),))
    assert [name] == [cancel.client_id for cancel in bench.cancels(commands)]
    assert 7 == bench.engine.state.portfolio.holding(ACCOUNT, BTC).working_buy_units


def test_sync_when_our_prefix_but_no_such_strategy_then_cancelled_too():
    gone = ClientIds(1)
    gone.register(StrategyId("gone"))
    name = gone.next(StrategyId("gone"))
    bench = Bench(is_synced=False)
    commands = bench.sync(orders=(resting_report(bench, name),))
    assert [name] == [cancel.client_id for cancel in bench.cancels(commands)]


def test_sync_when_our_order_is_in_an_instrument_not_configured_then_cancelled_and_survived():
    earlier = ClientIds(1)
    earlier.register(StrategyId("one"))
    name = earlier.next(StrategyId("one"))
    bench = Bench(is_synced=False)
    report = msgspec.structs.replace(resting_report(bench, name), instrument_id=ETH)
    position = bench.position_report(3, ETH)
    commands = bench.sync(orders=(report,), positions=(position,))
    assert [name] == [cancel.client_id for cancel in bench.cancels(commands)]
    assert 1 == len(bench.places(bench.say(long())))


def test_sync_when_an_order_is_foreign_then_shown_and_never_touched():
    bench = Bench(is_synced=False)
    commands = bench.sync(orders=(resting_report(bench, "somebody-else"),))
    assert [] == bench.cancels(commands)
    notice = bench.order_notices()[-1]
    assert notice.foreign is not None
    assert (None, 1) == (notice.strategy_id, bench.engine.summary().foreign_orders)
    bench.handle(OperatorCommand(OperatorVerb.CANCEL_ALL, "all", "test"))
    assert [] == bench.cancels()


def test_sync_when_it_lacks_an_order_of_ours_then_it_is_asked_about_and_not_guessed():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.report(order, OrderState.WORKING)
    bench.now_ns += 10 * MS
    commands = bench.sync()
    assert [order.client_id] == [query.client_id for query in bench.queries(commands)]
    record = bench.engine.state.blotter.find_ours(order.client_id)
    assert record is not None
    assert OrderState.WORKING is record.order.state


def test_sync_when_fills_were_missed_then_folded_with_their_owner():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.ack(order)
    missed = Fill(
        account_id=ACCOUNT,
        instrument_id=BTC,
        execution_id="missed",
        kind=ExecutionKind.TRADE,
        side=Side.BUY,
        price_units=600_000,
        size_units=166,
        fee=0,
        fee_asset="USDT",
        is_maker=False,
        venue_ns=bench.now_ns,
        received_ns=bench.now_ns,
        client_id=order.client_id,
        venue_id=venue_id(order.client_id),
    )
    bench.now_ns += 5 * MS
    bench.sync(fills=(missed,), positions=(bench.position_report(166),))
    assert (166, 166) == (bench.share(), bench.net())
    (plan,) = bench.engine.state.plans.values()
    assert 597_000 == plan.bracket.stop_units
    bench.handle(missed)
    assert 166 == bench.net()


@pytest.mark.parametrize("scope", ["all", "one"])
def test_flatten_when_commanded_then_closed_and_cancelled(scope):
    bench = Bench(strategies={"one": Scripted(), "two": Scripted()})
    bench.say(long())
    bench.execute(bench.placed())
    bench.say(RESTING, by="two")
    other = bench.placed()
    bench.report(other, OrderState.WORKING)
    commands = bench.handle(OperatorCommand(OperatorVerb.FLATTEN, scope, "a person"))
    (order,) = bench.places(commands)
    assert (166, True) == (order.size_units, order.reduce_only)
    cancelled = [cancel.client_id for cancel in bench.cancels(commands)]
    assert ([other.client_id] if scope == "all" else []) == cancelled


def test_operator_when_the_strategy_is_unknown_then_said_so():
    bench = Bench()
    bench.handle(OperatorCommand(OperatorVerb.HALT, "nobody", "test"))
    assert "no strategy of this name" in bench.halts()[0].reason


def test_cancel_when_its_answers_say_nothing_then_paced_and_absence_is_still_proven():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.reply(order.client_id, RequestKind.CREATE, Outcome.UNKNOWN)
    bench.say(CancelIntent(client_id=order.client_id))
    began_ns = bench.now_ns
    seen = asked = 0
    while bench.now_ns < began_ns + 8_000 * MS:
        fresh, seen = bench.log[seen:], len(bench.log)
        for command in fresh:
            if isinstance(command, CancelOrder):
                # The venue answers at once that it knows of no such order.
                asked += 1
                bench.reply(command.client_id, RequestKind.CANCEL, Outcome.UNKNOWN)
            elif isinstance(command, QueryOrder):
                absent(bench, command.client_id, bench.now_ns)
        bench.pass_time(100)
    assert 2 <= asked <= 10
    assert 0 == bench.engine.summary().orders_live
    assert bench.engine.summary().queries < 12


def test_cancels_when_far_more_wait_than_may_leave_then_one_reminder_serves_them_all():
    risk = msgspec.structs.replace(CONFIG.risk, open_orders_per_instrument_max=100)
    bench = Bench(msgspec.structs.replace(CONFIG, risk=risk))
    # Somebody else's order: then no cancel-all may take everything at once.
    bench.sync(orders=(resting_report(bench, "somebody-else"),))
    for _ in range(40):
        bench.say(RESTING)
        bench.report(bench.placed(), OrderState.WORKING)
        bench.now_ns += 1_000 * MS
    bench.handle(OperatorCommand(OperatorVerb.CANCEL_ALL, "all", "test"))
    before = len(bench.engine.state.deadlines)
    bench.pass_time(10_000)
    assert 40 <= len({cancel.client_id for cancel in bench.cancels(bench.log)})
    assert len(bench.engine.state.deadlines) < before + 100


def test_cancel_when_accepted_then_not_sent_again_until_its_end_is_overdue():
    bench = Bench()
    bench.say(RESTING)
    order = bench.placed()
    bench.ack(order)
    bench.report(order, OrderState.WORKING)
    bench.say(CancelIntent(client_id=order.client_id))
    bench.reply(order.client_id, RequestKind.CANCEL, Outcome.ACCEPTED)
    for _ in range(5):
        assert [] == bench.cancels(bench.say(CancelIntent(client_id=order.client_id)))
    bench.pass_time(1_000)
    assert 1 == len(bench.cancels(bench.say(CancelIntent(client_id=order.client_id))))
