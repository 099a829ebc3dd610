"""From a strategy's answer to an order or a refusal with its reason and cause."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    CONFIG,
    ETH,
    MS,
    RISK,
    Bench,
    Scripted,
    instrument,
    leave,
    long,
    short,
)
from tickwright.core.events import ConnectionChanged, OperatorCommand, OperatorVerb, Trade
from tickwright.core.orders import OrderIntent, OrderState, Purpose, Side, TimeInForce
from tickwright.core.signals import CancelIntent
from tickwright.core.verdicts import Approved, Reason, Rejected
from tickwright.engine import EngineConfig
from tickwright.execution import BudgetLimits, ExecutionConfig


def reason_of(bench: Bench) -> Reason | None:
    verdict = bench.verdicts()[-1].verdict
    return verdict.reason if isinstance(verdict, Rejected) else None


def test_signal_when_everything_is_ready_then_an_order_with_its_cause():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    (notice,) = bench.verdicts()
    assert isinstance(notice.verdict, Approved)
    assert (order.client_id, bench.engine.event_id, bench.engine.event_id) == (
        notice.client_id,
        notice.event_id,
        order.event_id,
    )
    # 10 % of 100,000 USDT at 60,000 is 0.166 BTC.
    assert (Side.BUY, 166, TimeInForce.IOC) == (order.side, order.size_units, order.time_in_force)


def test_signal_when_the_account_was_not_synced_then_refused():
    bench = Bench(is_synced=False)
    assert [] == bench.places(bench.say(long()))
    assert Reason.ACCOUNT_NOT_READY is reason_of(bench)


def test_signal_when_the_private_stream_is_down_then_refused_until_the_next_sync():
    bench = Bench()
    bench.handle(ConnectionChanged("venue", "private", "main", False, "reset"))
    bench.say(long())
    assert Reason.ACCOUNT_NOT_READY is reason_of(bench)
    bench.sync()
    assert 1 == len(bench.places(bench.say(long())))


def test_signal_when_the_book_is_stale_then_refused():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    bench.stale()
    one.answers.append(long())
    assert [] == bench.places(bench.handle(Trade(BTC, Side.BUY, 600_000, 1, "t1", 1, 1)))
    assert Reason.BOOK_NOT_SYNCED is reason_of(bench)


def test_signal_when_the_books_proof_is_too_old_then_refused():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.answers.append(long())
    bench.now_ns += 5_001 * MS
    bench.take(bench.engine.on_book(0, bench.now_ns))  # called, but nothing proved the book since
    assert [] == bench.places()
    assert Reason.BOOK_TOO_OLD is reason_of(bench)


def test_signal_when_a_position_or_entry_stands_then_one_position_a_strategy_and_instrument():
    bench = Bench()
    bench.say(long())
    first = bench.placed()
    assert [] == bench.places(bench.say(long()))
    assert Reason.CONFLICTING_POSITION is reason_of(bench)
    bench.execute(first)
    for signal in (long(), short()):
        assert [] == bench.places(bench.say(signal))
        assert Reason.CONFLICTING_POSITION is reason_of(bench)
    assert {"conflicting_position": 3} == bench.engine.summary().strategies[0].refusals


@pytest.mark.parametrize("confidence", [float("nan"), -0.1, 1.1])
def test_signal_when_its_numbers_are_wrong_then_refused(confidence):
    bench = Bench()
    bench.say(long(confidence=confidence))
    assert Reason.SIGNAL_INVALID is reason_of(bench)


def test_signal_when_of_an_instrument_not_subscribed_then_refused():
    bench = Bench()
    bench.say(long(ETH))
    assert Reason.INSTRUMENT_UNKNOWN is reason_of(bench)


def test_signal_when_the_engine_is_halted_then_refused_and_resumed_on_command():
    bench = Bench()
    bench.handle(OperatorCommand(OperatorVerb.HALT, "all", "a person"))
    bench.say(long())
    assert Reason.ENGINE_HALTED is reason_of(bench)
    bench.handle(OperatorCommand(OperatorVerb.RESUME, "all", "checked"))
    assert 1 == len(bench.places(bench.say(long())))


def test_signal_when_the_request_budget_is_used_up_then_refused_and_exits_still_pass():
    execution = ExecutionConfig(
        brackets="synthetic", budget=BudgetLimits(limit=3, reserve_fraction=0.4)
    )
    config = EngineConfig(risk=RISK, execution=execution)
    items = tuple(instrument(msgspec.structs.replace(BTC, symbol=f"S{n}USDT")) for n in range(4))
    bench = Bench(config, instruments=items)
    signals = [long(item.id) for item in items]
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.answers.append(list(signals))
    bench.book(600_000, instrument_id=items[0].id)
    orders = bench.places()
    assert 2 == len(orders)
    assert Reason.RATE_LIMIT is reason_of(bench)
    bench.ack(orders[0])
    bench.fill(orders[0])
    bench.report(orders[0], OrderState.FILLED, filled=orders[0].size_units)
    one.answers.append(leave(items[0].id))
    bench.book(600_000, instrument_id=items[0].id)
    assert Purpose.CLOSE.value == "close"
    assert 1 == len(bench.places())


def test_exit_when_flat_then_nothing_to_close():
    bench = Bench()
    assert [] == bench.places(bench.say(leave()))
    assert Reason.NOTHING_TO_CLOSE is reason_of(bench)


def test_exit_when_holding_then_reduce_only_for_the_share():
    bench = Bench()
    bench.say(long())
    bench.execute(bench.placed())
    bench.say(leave())
    order = bench.placed()
    assert (Side.SELL, 166, True) == (order.side, order.size_units, order.reduce_only)
    bench.execute(order)
    assert (0, 0) == (bench.share(), bench.net())


def test_exit_when_partly_filled_then_tried_again_until_flat():
    bench = Bench()
    bench.say(long())
    bench.execute(bench.placed())
    bench.say(leave())
    first = bench.placed()
    bench.ack(first)
    bench.fill(first, 100)
    assert [] == bench.places(bench.report(first, OrderState.CANCELLED, filled=100))
    (second,) = bench.places(bench.pass_time(300))
    assert (66, True) == (second.size_units, second.reduce_only)
    bench.execute(second)
    assert 0 == bench.share()
    assert [] == bench.places(bench.pass_time(10_000))


def test_exit_when_the_final_report_comes_before_its_fills_then_no_second_exit():
    bench = Bench()
    bench.say(long())
    bench.execute(bench.placed())
    bench.say(leave())
    order = bench.placed()
    bench.ack(order)
    bench.report(order, OrderState.CANCELLED, filled=100)
    # 100 are filled by the venue's word and not in the position yet: closing again would overshoot.
    assert [] == bench.places(bench.pass_time(500))
    bench.fill(order, 100)
    (second,) = bench.places(bench.pass_time(500))
    assert 66 == second.size_units


def test_exit_when_an_entry_still_works_then_it_is_withdrawn():
    config = EngineConfig(
        risk=RISK, execution=ExecutionConfig(entry="passive", brackets="synthetic")
    )
    bench = Bench(config)
    bench.say(long())
    entry = bench.placed()
    bench.ack(entry)
    bench.report(entry, OrderState.WORKING)
    commands = bench.say(leave())
    assert [entry.client_id] == [cancel.client_id for cancel in bench.cancels(commands)]
    assert Approved(0) == bench.verdicts()[-1].verdict


def test_passive_entry_when_not_filled_in_time_then_cancelled():
    config = EngineConfig(
        risk=RISK,
        execution=ExecutionConfig(entry="passive", entry_timeout_ms=2_000, brackets="synthetic"),
    )
    bench = Bench(config)
    bench.say(long())
    entry = bench.placed()
    assert (600_000, True, TimeInForce.GTC) == (
        entry.price_units,
        entry.post_only,
        entry.time_in_force,
    )
    bench.ack(entry)
    bench.report(entry, OrderState.WORKING)
    assert [] == bench.cancels(bench.pass_time(1_900))
    assert 1 == len(bench.cancels(bench.pass_time(200)))


def test_passive_entry_when_the_book_goes_stale_then_withdrawn():
    config = EngineConfig(
        risk=RISK, execution=ExecutionConfig(entry="passive", brackets="synthetic")
    )
    bench = Bench(config)
    bench.say(long())
    entry = bench.placed()
    bench.report(entry, OrderState.WORKING)
    assert [entry.client_id] == [cancel.client_id for cancel in bench.cancels(bench.stale())]


def test_intent_when_exact_then_sent_as_it_is():
    bench = Bench()
    intent = OrderIntent(
        instrument_id=BTC, side=Side.SELL, size_units=50, price_units=600_500, post_only=True
    )
    bench.say(intent)
    order = bench.placed()
    assert (Side.SELL, 50, 600_500, True) == (
        order.side,
        order.size_units,
        order.price_units,
        order.post_only,
    )


def test_intent_when_reduce_only_then_capped_to_the_strategys_own_share():
    bench = Bench(strategies={"one": Scripted(), "two": Scripted()})
    for name in ("one", "two"):
        bench.say(long(), by=name)
        bench.execute(bench.placed())
    assert 332 == bench.net()
    close = OrderIntent(
        instrument_id=BTC,
        side=Side.SELL,
        size_units=300,
        price_units=600_000,
        reduce_only=True,
        purpose=Purpose.CLOSE,
    )
    bench.say(close)
    assert 166 == bench.placed().size_units
    # Its whole share is being reduced: the rest belongs to the other strategy.
    assert [] == bench.places(bench.say(close))
    assert "nothing_to_close" in bench.order_notices()[-1].reason


def test_intent_when_refused_then_an_order_notice_says_why():
    bench = Bench()
    bench.say(OrderIntent(instrument_id=BTC, side=Side.BUY, size_units=0, price_units=600_000))
    notice = bench.order_notices()[-1]
    assert (OrderState.REJECTED, None, True) == (
        notice.state,
        notice.client_id,
        "size_invalid" in notice.reason,
    )


def test_cancel_wish_when_own_order_then_cancelled_and_others_refused():
    bench = Bench(strategies={"one": Scripted(), "two": Scripted()})
    bench.say(OrderIntent(instrument_id=BTC, side=Side.BUY, size_units=5, price_units=599_000))
    order = bench.placed()
    bench.report(order, OrderState.WORKING)
    assert [] == bench.cancels(bench.say(CancelIntent(client_id=order.client_id), by="two"))
    assert 1 == len(bench.cancels(bench.say(CancelIntent(client_id=order.client_id))))


def test_sizing_when_volatility_is_the_target_then_measured_by_the_engine_itself():
    sizing = msgspec.structs.replace(RISK.sizing, volatility_target_percent=Decimal(1))
    config = msgspec.structs.replace(
        CONFIG, risk=msgspec.structs.replace(RISK, sizing=sizing), volatility_window_s=2
    )
    bench = Bench(config)
    bench.say(long())
    assert Reason.SIGNAL_INVALID is reason_of(bench)  # not measured yet: unknown is not zero
    for index in range(5):
        bench.book(600_000 + 100 * (index % 2), after_ms=900)
        bench.pass_time(200)
    bench.say(long())
    assert reason_of(bench) is None


def test_conflict_when_two_strategies_disagree_then_the_gate_refuses_by_default():
    bench = Bench(strategies={"one": Scripted(), "two": Scripted()})
    bench.say(long())
    bench.execute(bench.placed())
    bench.say(short(), by="two")
    assert Reason.CONFLICTING_POSITION is reason_of(bench)
    assert ACCOUNT in bench.engine.state.view.ready_accounts


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price_units": 599_000.0}, "price_invalid: price_units 599000.0"),
        ({"price_units": float("nan")}, "price_invalid: price_units nan"),
        ({"size_units": 5.0}, "size_invalid: size_units 5.0"),
        ({"size_units": float("inf")}, "size_invalid: size_units inf"),
        ({"stop_loss_price_units": 590_000.0}, "price_invalid: price_units 590000.0"),
    ],
)
def test_intent_when_its_units_are_no_whole_numbers_then_it_is_refused(changes, reason):
    bench = Bench()
    values = {"size_units": 5, "price_units": 599_000} | changes
    commands = bench.say(OrderIntent(instrument_id=BTC, side=Side.BUY, **values))
    assert [] == bench.places(commands)
    assert bench.order_notices()[-1].reason.startswith(reason)
