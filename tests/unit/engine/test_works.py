"""Works and amends in the engine: one child at a time, every race, every way to an end."""

from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
import pytest

from tests.unit.engine.bench import ACCOUNT, BTC, CONFIG, MS, RISK, Bench, Scripted, leave, long
from tests.unit.engine.bench import instrument as the_instrument
from tickwright.core.commands import (
    AmendOrder,
    CancelOrder,
    Command,
    PlaceOrder,
    SetPositionStops,
    WorkNotice,
)
from tickwright.core.events import (
    ConnectionChanged,
    OperatorCommand,
    OperatorVerb,
    OrderAbsent,
    Outcome,
)
from tickwright.core.exits import Exits
from tickwright.core.identity import ClientId, StrategyId
from tickwright.core.instrument import AmendKind, Capabilities
from tickwright.core.orders import OrderIntent, OrderState, RequestKind, Side, TimeInForce
from tickwright.core.signals import AmendIntent, CancelIntent
from tickwright.core.work import (
    Algorithm,
    FollowTouch,
    Iceberg,
    Marketable,
    Twap,
    Work,
    WorkIntent,
    WorkState,
)
from tickwright.engine import EngineConfig
from tickwright.execution import ExecutionConfig
from tickwright.execution.config import IcebergEntry, PassiveEntry, TwapEntry
from tickwright.execution.request_budget import BudgetLimits

BUY, SELL = Side.BUY, Side.SELL
FOLLOW = FollowTouch(amend_ms_min=100, give_up_ms=10_000, chase_bps_max=5.0)
RESTING = OrderIntent(instrument_id=BTC, side=BUY, size_units=50, price_units=599_000)


class Worker(Scripted):
    """Remembers what it hears of its works."""

    def on_work(self, work: Work) -> Any:
        self.heard.append(("work", work))
        return self.answers.pop(0) if self.answers else None


def make(**changes: Any) -> Bench:
    return Bench(**{"strategies": {"one": Worker()}, **changes})


def wish(algorithm: Algorithm, size: int = 100, side: Side = BUY, **changes: Any) -> WorkIntent:
    values = {"instrument_id": BTC, "side": side, "size_units": size, "algorithm": algorithm}
    return WorkIntent(**{**values, "reason": "test", **changes})


def amends(commands: list[Command]) -> list[AmendOrder]:
    return [command for command in commands if type(command) is AmendOrder]


def worker(bench: Bench) -> Worker:
    strategy = bench.strategies["one"]
    assert isinstance(strategy, Worker)
    return strategy


def works(bench: Bench) -> list[Work]:
    """Return what the strategy heard of its works."""
    return [item for kind, item in worker(bench).heard if kind == "work"]


def live(bench: Bench) -> list[Work]:
    return list(bench.strategies["one"].context.works())


def rest(bench: Bench, order: PlaceOrder, **changes: Any) -> list[Command]:
    bench.ack(order)
    return bench.report(order, OrderState.WORKING, **changes)


def moved(bench: Bench, order: PlaceOrder, amend: AmendOrder, *, filled: int = 0) -> list[Command]:
    """Let the venue take an amend and show the order so."""
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
    state = OrderState.PARTLY_FILLED if filled else OrderState.WORKING
    return bench.report(
        order,
        state,
        filled=filled,
        price_units=amend.price_units or order.price_units,
        size_units=amend.size_units or order.size_units,
    )


def begin(bench: Bench, intent: WorkIntent) -> PlaceOrder:
    bench.say(intent)
    return bench.placed()


# beginning and ending -----------------------------------------------------------------------------


def test_work_when_its_child_fills_whole_then_done_with_the_average():
    bench = make()
    order = begin(bench, wish(Marketable(slippage_bps_max=1.0)))
    assert (BUY, 100, 600_061, TimeInForce.IOC) == (
        order.side,
        order.size_units,
        order.price_units,
        order.time_in_force,
    )
    (begun,) = live(bench)
    assert (WorkState.WORKING, (order.client_id,), 100) == (
        begun.state,
        begun.children,
        begun.remaining_units,
    )
    record = bench.engine.state.blotter.find_ours(order.client_id)
    assert record is not None
    assert begun.work_id == record.order.parent_id
    bench.ack(order)
    bench.fill(order, 40, price=600_001)
    bench.fill(order, 60, price=600_011)
    bench.report(order, OrderState.FILLED, filled=100)
    assert [] == live(bench)
    done = works(bench)[-1]
    assert (WorkState.DONE, 100, 600_007.0, "") == (
        done.state,
        done.filled_units,
        done.average_price_units,
        done.reason,
    )
    notices = [notice for notice in bench.notices if isinstance(notice, WorkNotice)]
    assert [WorkState.WORKING, WorkState.DONE] == [notice.work.state for notice in notices]


def test_work_when_ioc_leaves_a_part_then_the_next_child_asks_for_that_part_after_it_settled():
    bench = make()
    first = begin(bench, wish(Marketable(slippage_bps_max=1.0)))
    bench.ack(first)
    # The venue's word comes before the execution: what is left is not known yet.
    bench.report(first, OrderState.CANCELLED, filled=40)
    assert [] == bench.places(bench.book(600_000))
    (second,) = bench.places(bench.fill(first, 40))
    assert 60 == second.size_units
    bench.execute(second)
    assert [] == live(bench)
    assert 100 == bench.share()


def test_work_when_the_first_child_is_refused_then_it_never_begins():
    bench = make()
    bench.stale()
    worker(bench).answers.append(wish(FOLLOW))
    bench.handle(OperatorCommand(OperatorVerb.LIFT, "all", "x"))
    bench.take(bench.engine.on_book(0, bench.now_ns))
    assert [] == live(bench)
    assert "book_not_synced" in bench.order_notices()[-1].reason
    assert 1 == bench.engine.state.runs[StrategyId("one")].refusals["book_not_synced"]


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        (wish(FOLLOW, 0), "size 0 is not above zero"),
        (wish(Twap(duration_ms=0)), "duration_ms 0 is not between"),
        (wish(FOLLOW, reduce_only=True), "nothing of its own is left"),
        (wish(FOLLOW, exits=Exits(activation_fraction=0.1)), "needs a trailing_fraction"),
        (wish(FOLLOW, reduce_only=True, exits=Exits()), "what leaves a position has no exits"),
        (wish(FOLLOW, 10**12), "position"),
    ],
)
def test_work_when_unusable_then_refused_with_the_reason(intent, words):
    bench = make()
    config = bench.engine.state.config
    assert config is CONFIG
    bench.say(intent)
    if words == "position":
        # Too large for any limit: it begins with what fits.
        assert 0 < bench.placed().size_units < 10**12
        return
    assert [] == bench.places()
    assert words in bench.order_notices()[-1].reason


def test_work_when_there_are_too_many_then_no_more_begin(monkeypatch):
    monkeypatch.setattr("tickwright.engine.work_desk.WORKS_MAX", 1)
    bench = make()
    begin(bench, wish(FOLLOW))
    assert [] == bench.places(bench.say(wish(FOLLOW)))
    assert "open_orders_limit" in bench.order_notices()[-1].reason


# following ----------------------------------------------------------------------------------------


def test_follow_when_the_touch_moves_then_one_amend_and_no_second_before_it_is_shown():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    assert (600_000, True) == (order.price_units, order.post_only)
    rest(bench, order)
    assert [] == amends(bench.book(600_010, after_ms=10))
    (amend,) = amends(bench.book(600_010, after_ms=100))
    assert (600_010, None, order.client_id) == (
        amend.price_units,
        amend.size_units,
        amend.client_id,
    )
    # Accepted is not shown: a second one waits for the order itself.
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
    assert [] == amends(bench.book(600_020, after_ms=500))
    (second,) = amends(
        bench.report(order, OrderState.WORKING, price_units=600_010)
        + bench.book(600_020, after_ms=1)
    )
    assert 600_020 == second.price_units
    assert [] == bench.places(bench.log[bench.log.index(order) + 1 :])


def test_follow_when_alone_at_the_touch_then_steps_back_to_the_others():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    book = bench.books[BTC]
    bench.now_ns += 500 * MS
    book.apply_snapshot(
        [(600_000, 100), (599_990, 5_000)],
        [(600_011, 900)],
        update_id=10_000,
        received_ns=bench.now_ns,
    )
    (amend,) = amends(bench.take(bench.engine.on_book(0, bench.now_ns)))
    assert 599_990 == amend.price_units


def test_follow_when_it_gives_up_then_withdrawn_and_failed_with_what_was_filled():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.fill(order, 30)
    commands = bench.pass_time(10_100)
    assert [order.client_id] == [cancel.client_id for cancel in bench.cancels(commands)]
    assert WorkState.STOPPING is live(bench)[0].state
    bench.report(order, OrderState.CANCELLED, filled=30)
    ended = works(bench)[-1]
    assert (WorkState.FAILED, 30, "gave up after 10000 ms") == (
        ended.state,
        ended.filled_units,
        ended.reason,
    )


def test_follow_when_the_amend_races_a_fill_then_the_fill_counts_and_nothing_is_sent_again():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    assert 1 == len(amends(bench.fresh))
    bench.fill(order, 100)
    bench.report(order, OrderState.FILLED, filled=100)
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.UNKNOWN)
    assert WorkState.DONE is works(bench)[-1].state
    assert [order] == bench.places(bench.log)
    assert [] == bench.queries(bench.pass_time(20_000))


def test_follow_when_the_amend_is_too_late_then_the_orders_evidence_decides():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    commands = bench.reply(order.client_id, RequestKind.AMEND, Outcome.ALREADY_DONE)
    assert 1 == len(bench.queries(commands))
    assert [] == amends(bench.book(600_020, after_ms=500))
    (second,) = bench.places(
        bench.fill(order, 60) + bench.report(order, OrderState.CANCELLED, filled=60)
    )
    assert (40, 600_020) == (second.size_units, second.price_units)


def test_follow_when_the_amend_is_refused_then_the_order_stands_as_it_was_and_is_tried_again():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.REFUSED)
    assert [] == amends(bench.book(600_010, after_ms=10))
    (again,) = amends(bench.book(600_010, after_ms=100))
    assert 600_010 == again.price_units


def test_follow_when_the_amend_is_unknown_then_asked_about_and_moved_on_only_after_evidence():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    sent_ns = bench.now_ns
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    commands = bench.pass_time(2_000)
    assert (1, 1) == (len(bench.queries(commands)), holding.unknown_requests)
    assert [] == amends(bench.book(600_020, after_ms=100))
    # Asked too early, the old price proves nothing.
    early = {"price_units": 600_000, "is_from_query": True}
    bench.report(order, OrderState.WORKING, **early)
    assert 1 == holding.unknown_requests
    # Asked after the venue could still have taken it, it does.
    bench.now_ns = sent_ns + 3_100 * MS
    commands = bench.report(order, OrderState.WORKING, **early)
    assert 0 == holding.unknown_requests
    commands += bench.book(600_020, after_ms=10)
    assert [600_020] == [amend.price_units for amend in amends(commands)]


def test_follow_when_the_amend_arrived_unanswered_then_the_stream_resolves_it():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    bench.pass_time(1_100)
    bench.report(order, OrderState.WORKING, price_units=600_010)
    record = bench.engine.state.blotter.find_ours(order.client_id)
    assert record is not None
    assert (0, 600_010) == (record.unknown_requests, record.order.price_units)


def test_follow_when_the_amend_never_left_then_tried_again():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    bench.not_sent(order.client_id, RequestKind.AMEND)
    assert [] == amends(bench.fresh)
    assert 1 == len(amends(bench.book(600_010, after_ms=110)))


def test_follow_when_post_only_would_have_taken_then_a_new_child_after_its_interval():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    bench.ack(order)
    commands = bench.report(order, OrderState.CANCELLED, reason="would take")
    assert [] == bench.places(commands)
    (second,) = bench.places(bench.pass_time(150))
    assert (100, True) == (second.size_units, second.post_only)


def test_follow_when_somebody_else_withdraws_the_order_then_it_is_not_put_back():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    assert [] == bench.places(bench.report(order, OrderState.CANCELLED, reason="by hand"))
    ended = works(bench)[-1]
    assert (WorkState.FAILED, "its order was cancelled from outside: by hand") == (
        ended.state,
        ended.reason,
    )


def test_follow_when_the_venue_refuses_thrice_then_failed_with_its_words():
    bench = make()
    begin(bench, wish(FOLLOW))
    for _ in range(3):
        order = bench.places(bench.log)[-1]
        bench.reply_refused(order, "no balance")
        bench.pass_time(150)
    assert 3 == len(bench.places(bench.log))
    ended = works(bench)[-1]
    assert WorkState.FAILED is ended.state
    assert "no balance" in ended.reason


def test_follow_when_the_budget_is_used_up_then_paused_and_not_faster():
    config = EngineConfig(
        risk=RISK,
        execution=ExecutionConfig(
            brackets="synthetic",
            budgets={"amend.linear": BudgetLimits(limit=2, window_ms=5_000, reserve_fraction=0)},
        ),
    )
    bench = make(config=config)
    order = begin(bench, wish(FollowTouch(amend_ms_min=10, give_up_ms=60_000, chase_bps_max=50)))
    rest(bench, order)
    count, bid = 0, 600_000
    for _ in range(40):
        bid += 10
        for amend in amends(bench.book(bid, after_ms=100)):
            moved(bench, order, amend)
            count += 1
    assert 2 == count
    assert any(work.reason == "rate_limit" for work in works(bench))


def test_follow_when_as_many_amends_left_as_risk_allows_then_paused_until_they_are_old():
    risk = msgspec.structs.replace(RISK, amends_per_second_max=2)
    execution = ExecutionConfig(brackets="synthetic")
    bench = make(config=EngineConfig(risk=risk, execution=execution))
    order = begin(bench, wish(FollowTouch(amend_ms_min=10, give_up_ms=60_000, chase_bps_max=50)))
    rest(bench, order)
    times, bid = [], 600_000
    for _ in range(25):
        bid += 10
        for amend in amends(bench.book(bid, after_ms=100)):
            times.append(bench.now_ns)
            moved(bench, order, amend)
    assert len(times) > 3
    gaps = [later - earlier for earlier, later in zip(times, times[2:], strict=False)]
    assert min(gaps) >= 1_000 * MS
    assert any(work.reason == "amend_rate" for work in works(bench))


def test_work_when_it_closes_then_leaves_the_reserve_of_the_budget_to_exits():
    limits = {"create.linear": BudgetLimits(limit=4, window_ms=60_000, reserve_fraction=0.5)}
    execution = ExecutionConfig(brackets="synthetic", budgets=limits)
    bench = make(config=EngineConfig(risk=RISK, execution=execution))
    bench.say(long(stop_loss_fraction=0.01, take_profit_fraction=None))
    bench.execute(bench.placed())
    iceberg = Iceberg(shown_units=10, price_units=600_010)
    order = begin(bench, wish(iceberg, 100, SELL, reduce_only=True))
    rest(bench, order)
    commands = bench.fill(order, 10) + bench.report(order, OrderState.FILLED, filled=10)
    assert ([], "rate_limit") == (bench.places(commands), live(bench)[0].reason)
    (stop,) = bench.places(bench.book(590_000))
    assert (True, TimeInForce.IOC) == (stop.reduce_only, stop.time_in_force)


@pytest.mark.parametrize("kind", [AmendKind.NONE, AmendKind.REPLACE])
def test_follow_when_the_venue_can_not_amend_then_replaced_with_what_is_left_once_proven(kind):
    item = the_instrument(capabilities=Capabilities(amend=kind))
    bench = make(instruments=(item,))
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    commands = bench.book(600_010, after_ms=200)
    assert ([], [order.client_id]) == (
        amends(commands),
        [cancel.client_id for cancel in bench.cancels(commands)],
    )
    # It fills while its cancel is on the way, and the answer is no proof.
    assert [] == bench.places(bench.fill(order, 70))
    reply = bench.reply(order.client_id, RequestKind.CANCEL, Outcome.ACCEPTED)
    assert [] == bench.places(reply)
    (second,) = bench.places(bench.report(order, OrderState.CANCELLED, filled=70))
    assert (30, 600_010) == (second.size_units, second.price_units)


def test_follow_when_replaced_and_the_cancel_is_lost_then_waits_for_proof():
    item = the_instrument(capabilities=Capabilities(amend=AmendKind.NONE))
    bench = make(instruments=(item,))
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    commands = bench.pass_time(5_000)
    assert (True, []) == (len(bench.cancels(commands)) >= 1, bench.places(commands))
    assert [] == bench.places(bench.report(order, OrderState.CANCELLED))
    # The book is too old by now; with the next proof of it the rest is sent.
    (second,) = bench.places(bench.book(600_010, after_ms=200) + bench.pass_time(200))
    assert 100 == second.size_units


# time weighted and icebergs -----------------------------------------------------------------------


def test_twap_when_every_slice_fills_then_sent_on_schedule_and_done():
    bench = make()
    order = begin(bench, wish(Twap(duration_ms=4_000, slices=4)))
    started_ns = bench.now_ns
    sent: list[tuple[int, int]] = []
    while live(bench):
        sent.append(((bench.now_ns - started_ns) // MS, order.size_units))
        bench.execute(order)
        places: list[PlaceOrder] = []
        for _ in range(12):
            places += bench.places(bench.pass_time(100) + bench.book(600_000, after_ms=1))
        if places:
            (order,) = places
    assert [25, 25, 25, 25] == [size for _, size in sent]
    assert 100 == bench.share()
    assert WorkState.DONE is works(bench)[-1].state


def test_twap_when_its_time_ends_with_a_slice_unanswered_then_waits_for_what_that_filled():
    bench = make()
    first = begin(bench, wish(Twap(duration_ms=4_000, slices=2)))
    bench.execute(first)
    (second,) = bench.places(bench.pass_time(2_000) + bench.book(600_000, after_ms=1))
    # Its answers are lost: it is asked about, not withdrawn, and nothing else is sent.
    commands = bench.pass_time(3_000) + bench.book(600_000, after_ms=1)
    assert ([], []) == (bench.places(commands), bench.cancels(commands))
    assert bench.queries(commands)
    assert (WorkState.WORKING, 50) == (live(bench)[0].state, live(bench)[0].filled_units)
    commands = bench.fill(second, 30) + bench.report(second, OrderState.CANCELLED, filled=30)
    assert [] == bench.places(commands)
    ended = works(bench)[-1]
    assert (WorkState.FAILED, 80, 80) == (ended.state, ended.filled_units, bench.share())
    assert "not to be had within the cap by the end" == ended.reason


def test_iceberg_when_parts_fill_then_never_more_than_one_part_at_the_venue():
    bench = make()
    order = begin(bench, wish(Iceberg(shown_units=40, price_units=599_990)))
    sizes = []
    while True:
        sizes.append(order.size_units)
        rest(bench, order)
        commands = bench.fill(order, order.size_units)
        commands += bench.report(order, OrderState.FILLED, filled=order.size_units)
        holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
        assert holding.working_buy_units <= 40
        places = bench.places(commands)
        if not places:
            break
        (order,) = places
    assert [40, 40, 20] == sizes
    assert WorkState.DONE is works(bench)[-1].state


# pausing and stopping -----------------------------------------------------------------------------


def test_work_when_the_book_goes_stale_then_the_child_is_withdrawn_and_it_goes_on_when_synced():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    assert [order.client_id] == [cancel.client_id for cancel in bench.cancels(bench.stale())]
    assert [] == bench.places(bench.report(order, OrderState.CANCELLED))
    assert WorkState.WORKING is live(bench)[0].state
    assert [] == bench.places(bench.pass_time(1_000))
    (second,) = bench.places(bench.book(600_005))
    assert 600_005 == second.price_units


def test_work_when_the_account_is_blind_then_pauses_with_the_reason_and_goes_on():
    bench = make()
    order = begin(bench, wish(Iceberg(shown_units=40, price_units=599_990)))
    rest(bench, order)
    bench.handle(ConnectionChanged("venue", "private", "main", False, "cut"))
    commands = bench.fill(order, 40) + bench.report(order, OrderState.FILLED, filled=40)
    assert [] == bench.places(commands)
    assert "account_not_ready" == live(bench)[0].reason
    bench.sync(positions=(bench.position_report(40),))
    commands = bench.book(600_000, after_ms=200) + bench.pass_time(300)
    assert [40] == [place.size_units for place in bench.places(commands)]
    assert "" == live(bench)[0].reason


@pytest.mark.parametrize(
    "how", ["cancel", "cancel child", "leave", "halt", "cancel_all", "flatten", "stop", "raise"]
)
def test_work_when_withdrawn_then_its_child_is_cancelled_and_no_other_follows(how):
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.fill(order, 10)
    (work,) = live(bench)
    verbs = {
        "halt": OperatorVerb.HALT,
        "cancel_all": OperatorVerb.CANCEL_ALL,
        "flatten": OperatorVerb.FLATTEN,
        "stop": OperatorVerb.STOP,
    }
    if how in verbs:
        commands = bench.handle(OperatorCommand(verbs[how], "all", "enough"))
    elif how == "leave":
        commands = bench.say(leave())
    elif how == "raise":
        worker(bench).answers.append("nonsense")  # type: ignore[arg-type]
        commands = bench.book(600_000)
    else:
        target = work.work_id if how == "cancel" else order.client_id
        commands = bench.say(CancelIntent(client_id=target, reason="enough"))
    assert [order.client_id] == [cancel.client_id for cancel in bench.cancels(commands)]
    opened = [place for place in bench.places(commands) if not place.reduce_only]
    assert [] == opened
    commands = bench.report(order, OrderState.CANCELLED, filled=10)
    commands += bench.book(600_100, after_ms=500) + bench.pass_time(3_000)
    assert [] == [place for place in bench.places(commands) if not place.reduce_only]
    assert {} == bench.engine.state.works
    notices = [notice.work for notice in bench.notices if isinstance(notice, WorkNotice)]
    assert (WorkState.CANCELLED, 10) == (notices[-1].state, notices[-1].filled_units)


def test_work_when_cancelled_while_an_amend_is_open_then_the_cancel_goes_out_at_once():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.book(600_010, after_ms=200)
    assert 1 == len(amends(bench.fresh))
    (work,) = live(bench)
    bench.say(CancelIntent(client_id=work.work_id), bid=600_010)
    assert 1 == len(bench.cancels())
    # The amend's answer comes after: nothing is moved any more.
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
    bench.report(order, OrderState.WORKING, price_units=600_010)
    assert [] == amends(bench.book(600_030, after_ms=500))
    bench.report(order, OrderState.CANCELLED, price_units=600_010)
    assert WorkState.CANCELLED is works(bench)[-1].state


def test_work_when_a_stop_closes_the_position_then_a_slower_way_out_stops():
    bench = make()
    bench.say(long(stop_loss_fraction=0.01, take_profit_fraction=None))
    bench.execute(bench.placed())
    held = bench.share()
    out = begin(bench, wish(FOLLOW, held, SELL, reduce_only=True))
    assert (SELL, True, held) == (out.side, out.reduce_only, out.size_units)
    rest(bench, out)
    commands = bench.book(590_000)
    assert [out.client_id] == [cancel.client_id for cancel in bench.cancels(commands)]
    commands = bench.report(out, OrderState.CANCELLED) + bench.pass_time(1_000)
    exits = bench.places(commands)
    assert (True, TimeInForce.IOC) == (exits[0].reduce_only, exits[0].time_in_force)
    assert WorkState.CANCELLED is works(bench)[-1].state


def test_work_when_it_closes_then_capped_to_the_own_share_and_passes_its_strategys_halt():
    bench = make()
    bench.say(long(stop_loss_fraction=None, take_profit_fraction=None))
    bench.execute(bench.placed())
    held = bench.share()
    order = begin(
        bench, wish(Iceberg(shown_units=100, price_units=600_010), 10_000, SELL, reduce_only=True)
    )
    rest(bench, order)
    bench.handle(OperatorCommand(OperatorVerb.HALT, "one", "enough"))
    assert [] == bench.cancels()
    commands = bench.fill(order, 100) + bench.report(order, OrderState.FILLED, filled=100)
    (second,) = bench.places(commands)
    assert held - 100 == second.size_units
    bench.execute(second)
    ended = works_of(bench)[-1]
    assert (WorkState.FAILED, held) == (ended.state, ended.filled_units)
    assert "nothing_to_close" in ended.reason
    assert 0 == bench.share()


def works_of(bench: Bench) -> list[Work]:
    return [notice.work for notice in bench.notices if isinstance(notice, WorkNotice)]


# signals ------------------------------------------------------------------------------------------


def signalled(entry: str, **changes: Any) -> Bench:
    execution = ExecutionConfig(entry=entry, brackets="synthetic", **changes)  # type: ignore[arg-type]
    return make(config=EngineConfig(risk=RISK, execution=execution))


def test_signal_when_entries_are_passive_then_followed_and_no_second_until_it_ended():
    bench = signalled("passive", passive=PassiveEntry(amend_ms_min=100))
    bench.say(long())
    order = bench.placed()
    assert order.client_id == bench.verdicts()[-1].client_id
    rest(bench, order)
    assert [] == bench.places(bench.say(long()))
    (amend,) = amends(bench.book(600_010, after_ms=200))
    moved(bench, order, amend)
    bench.fill(order, price=600_010)
    bench.report(order, OrderState.FILLED, filled=order.size_units, price_units=600_010)
    assert order.size_units == bench.share()
    plan = bench.engine.state.plans[StrategyId("one"), BTC]
    # Half a per cent below 600,010 is 597,009.95: rounded toward the market.
    assert (None, 597_010) == (plan.entry_id, plan.bracket.stop_units)


def test_signal_when_the_process_ends_amid_its_work_then_the_child_is_kept_as_the_entry():
    bench = signalled("passive")
    bench.say(long())
    order = bench.placed()
    rest(bench, order)
    (plan,) = bench.engine.kept_state().plans
    record = bench.engine.state.blotter.find_ours(order.client_id)
    assert record is not None
    assert (order.client_id, record.order.created_ns + 5_000 * MS) == (
        plan.entry_id,
        plan.entry_due_ns,
    )


@pytest.mark.parametrize(
    ("entry", "changes", "share"),
    [
        ("twap", {"twap": TwapEntry(duration_ms=2_000, slices=2)}, 83),
        ("iceberg", {"iceberg": IcebergEntry(shown_fraction=0.25)}, 42),
    ],
)
def test_signal_when_worked_in_parts_then_the_exits_guard_the_whole(entry, changes, share):
    bench = signalled(entry, **changes)
    bench.say(long())
    order = bench.placed()
    assert share == order.size_units
    for _ in range(9):
        commands: list[Command] = []
        if order.time_in_force is TimeInForce.IOC:
            bench.execute(order)
        else:
            rest(bench, order)
            commands = bench.fill(order)
            commands += bench.report(order, OrderState.FILLED, filled=order.size_units)
        commands += bench.pass_time(1_100) + bench.book(600_000, after_ms=1)
        places = bench.places(commands)
        if not places:
            break
        (order,) = places
    assert 166 == bench.share()
    plan = bench.engine.state.plans[StrategyId("one"), BTC]
    assert (None, 166) == (plan.entry_id, plan.size_units)
    assert plan.bracket.stop_units is not None


def held(bench: Bench) -> list[SetPositionStops]:
    return [command for command in bench.log if isinstance(command, SetPositionStops)]


def test_signal_when_the_venue_may_hold_stops_then_the_opening_child_carries_them():
    execution = ExecutionConfig(entry="passive", passive=PassiveEntry(chase_bps_max=10.0))
    bench = make(config=EngineConfig(risk=RISK, execution=execution))
    bench.say(long(stop_loss_fraction=0.005, take_profit_fraction=0.015))
    order = bench.placed()
    # Around the worst price it may come to, 600,600: 3,003 ticks below and 9,009 above.
    assert (600_000, 597_597, 609_609) == (
        order.price_units,
        order.stop_loss_price_units,
        order.take_profit_price_units,
    )
    rest(bench, order)
    (amend,) = amends(bench.book(600_100, after_ms=400))
    moved(bench, order, amend)
    bench.fill(order, price=600_100)
    bench.report(order, OrderState.FILLED, filled=order.size_units, price_units=600_100)
    plan = bench.engine.state.plans[StrategyId("one"), BTC]
    assert ([], True) == (held(bench), plan.bracket.is_empty)


def test_signal_when_a_stop_would_lie_inside_the_chase_then_asked_for_after_the_fill():
    execution = ExecutionConfig(entry="passive", passive=PassiveEntry(chase_bps_max=100.0))
    bench = make(config=EngineConfig(risk=RISK, execution=execution))
    bench.say(long(stop_loss_fraction=0.005, take_profit_fraction=0.015))
    order = bench.placed()
    assert (None, None) == (order.stop_loss_price_units, order.take_profit_price_units)
    rest(bench, order)
    bench.fill(order)
    assert [597_000] == [command.stop_units for command in held(bench)]


def test_signal_when_sliced_then_later_slices_add_and_the_stop_follows_closer():
    execution = ExecutionConfig(entry="twap", twap=TwapEntry(duration_ms=2_000, slices=2))
    bench = make(config=EngineConfig(risk=RISK, execution=execution))
    bench.say(long(stop_loss_fraction=0.005, take_profit_fraction=0.015))
    first = bench.placed()
    assert first.stop_loss_price_units is not None
    bench.execute(first)
    commands = bench.pass_time(900) + bench.book(601_000, after_ms=1)
    (second,) = bench.places(commands + bench.book(601_000, after_ms=200))
    assert second.stop_loss_price_units is None
    bench.execute(second, price=601_001)
    plan = bench.engine.state.plans[StrategyId("one"), BTC]
    # The average entry went up by about 350 ticks, and the stop with it, by a request.
    assert plan.levels is not None
    assert plan.levels.static_units is not None
    assert [plan.levels.static_units] == [command.stop_units for command in held(bench)]
    assert plan.levels.static_units > first.stop_loss_price_units


# amends -------------------------------------------------------------------------------------------


def test_amend_when_the_size_grows_then_the_larger_counts_while_it_is_open():
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    rest(bench, order)
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    (amend,) = amends(bench.say(AmendIntent(client_id=order.client_id, size_units=80)))
    assert (None, 80, 80) == (amend.price_units, amend.size_units, holding.working_buy_units)
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.UNKNOWN)
    assert (80, 1) == (holding.working_buy_units, holding.unknown_requests)
    bench.report(order, OrderState.WORKING, size_units=80)
    assert (80, 0) == (holding.working_buy_units, holding.unknown_requests)


def test_amend_when_the_size_shrinks_then_the_old_one_counts_until_it_is_shown():
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    rest(bench, order)
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    bench.say(AmendIntent(client_id=order.client_id, size_units=20, price_units=598_000))
    assert 50 == holding.working_buy_units
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
    assert 50 == holding.working_buy_units
    bench.report(order, OrderState.WORKING, size_units=20, price_units=598_000)
    assert 20 == holding.working_buy_units


def test_amend_when_refused_by_the_venue_then_the_old_size_counts_again():
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    rest(bench, order)
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    bench.say(AmendIntent(client_id=order.client_id, size_units=80))
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.REFUSED)
    assert 50 == holding.working_buy_units


def test_amend_when_the_grown_size_breaks_a_limit_then_refused_and_the_order_counts_once():
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    rest(bench, order)
    holding = bench.engine.state.portfolio.holding(ACCOUNT, BTC)
    # 80 % of 100,000 USDT may be margin: 1.333 BTC at 60,000.
    assert [] == amends(bench.say(AmendIntent(client_id=order.client_id, size_units=1_340)))
    assert "margin_use" in bench.order_notices()[-1].reason
    assert (50, 1) == (holding.working_buy_units, holding.open_orders)
    assert 1 == len(amends(bench.say(AmendIntent(client_id=order.client_id, size_units=1_330))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "nothing would change"),
        ({"price_units": 599_000, "size_units": 50}, "nothing would change"),
        ({"size_units": 10}, "0.010 is filled already"),
        ({"price_units": 900_000}, "price_band"),
        ({"client_id": ClientId("nobody")}, "no order of this strategy"),
    ],
)
def test_amend_when_it_makes_no_sense_then_refused_with_the_reason(changes, words):
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    rest(bench, order)
    bench.fill(order, 10)
    bench.say(AmendIntent(**{"client_id": order.client_id, **changes}))
    assert [] == amends(bench.fresh)
    assert words in bench.order_notices()[-1].reason


def test_amend_when_one_is_under_way_or_a_cancel_is_then_refused():
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    assert [] == amends(bench.say(AmendIntent(client_id=order.client_id, price_units=599_001)))
    rest(bench, order)
    bench.say(AmendIntent(client_id=order.client_id, price_units=599_001))
    assert 1 == len(amends(bench.fresh))
    bench.say(AmendIntent(client_id=order.client_id, price_units=599_002))
    assert [] == amends(bench.fresh)
    assert "an amend is under way" in bench.order_notices()[-1].reason
    bench.say(CancelIntent(client_id=order.client_id))
    assert 1 == len(bench.cancels())
    bench.report(order, OrderState.WORKING, price_units=599_001)
    bench.say(AmendIntent(client_id=order.client_id, price_units=599_003))
    assert [] == amends(bench.fresh)
    assert "a cancel is under way" in bench.order_notices()[-1].reason


def test_amend_when_answered_but_never_shown_then_asked_about():
    bench = make()
    bench.say(RESTING)
    order = bench.placed()
    rest(bench, order)
    bench.say(AmendIntent(client_id=order.client_id, price_units=599_001))
    bench.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
    assert [] == bench.queries(bench.pass_time(1_900))
    assert 1 == len(bench.queries(bench.pass_time(200)))


def test_amend_when_the_order_belongs_to_a_work_then_refused():
    bench = make()
    order = begin(bench, wish(FOLLOW))
    rest(bench, order)
    bench.say(AmendIntent(client_id=order.client_id, price_units=599_001))
    assert [] == amends(bench.fresh)
    assert "belongs to a work" in bench.order_notices()[-1].reason


# whatever happens ---------------------------------------------------------------------------------


@dataclass
class Resting:
    """An order at a venue that loses, repeats, races and refuses."""

    order: PlaceOrder
    price: int
    size: int
    filled: int = 0
    is_open: bool = True


class Market:
    """Carries commands out late or never, fills when it likes, answers what it likes."""

    def __init__(self, bench: Bench, chance: Random) -> None:
        self.bench = bench
        self.chance = chance
        self.orders: dict[ClientId, Resting] = {}
        self.waiting: list[Command] = []

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, (PlaceOrder, AmendOrder, CancelOrder)):
                self.waiting.append(command)

    def step(self) -> None:
        chance = self.chance
        if self.waiting and chance.random() < 0.6:
            command = self.waiting.pop(0)
            if isinstance(command, PlaceOrder):
                self._place(command)
            elif isinstance(command, AmendOrder):
                self._amend(command)
            elif isinstance(command, CancelOrder):
                self._cancel(command)
        elif self.orders:
            resting = chance.choice(list(self.orders.values()))
            if resting.is_open and chance.random() < 0.5:
                self._fill(resting, chance.randint(1, resting.size - resting.filled))

    def show(self, resting: Resting, state: OrderState | None = None, **changes: Any) -> None:
        if state is None:
            state = OrderState.PARTLY_FILLED if resting.filled else OrderState.WORKING
            if resting.filled == resting.size:
                state = OrderState.FILLED
            elif not resting.is_open:
                state = OrderState.CANCELLED
        changes = {"price_units": resting.price, "size_units": resting.size, **changes}
        order = resting.order
        self.take(self.bench.report(order, state, filled=resting.filled, **changes))

    def _place(self, order: PlaceOrder) -> None:
        bench, chance = self.bench, self.chance
        draw = chance.random()
        if draw < 0.1:
            bench.reply_refused(order, f"reason {chance.randrange(99)}")
            self.take(bench.fresh)
            return
        resting = Resting(order, order.price_units or 0, order.size_units)
        self.orders[order.client_id] = resting
        if draw < 0.7:
            bench.ack(order)
            self.take(bench.fresh)
        if order.time_in_force is TimeInForce.IOC:
            if chance.random() < 0.7:
                self._fill(resting, chance.randint(1, resting.size))
            resting.is_open = False
        elif order.post_only and chance.random() < 0.1:
            resting.is_open = False
        self.show(resting)

    def _amend(self, command: AmendOrder) -> None:
        bench, chance = self.bench, self.chance
        resting = self.orders.get(command.client_id)
        if resting is None or not resting.is_open:
            outcome = chance.choice([Outcome.ALREADY_DONE, Outcome.UNKNOWN])
            self.take(bench.reply(command.client_id, RequestKind.AMEND, outcome))
            return
        draw = chance.random()
        if draw < 0.2:
            return
        if draw < 0.3:
            self.take(bench.reply(command.client_id, RequestKind.AMEND, Outcome.REFUSED))
            return
        resting.price = command.price_units or resting.price
        if draw < 0.8:
            self.take(bench.reply(command.client_id, RequestKind.AMEND, Outcome.ACCEPTED))
        if draw < 0.95:
            self.show(resting)

    def _cancel(self, command: CancelOrder) -> None:
        resting = self.orders.get(command.client_id)
        if resting is None or self.chance.random() < 0.2:
            return
        outcome = Outcome.ACCEPTED if resting.is_open else Outcome.ALREADY_DONE
        resting.is_open = False
        self.take(self.bench.reply(command.client_id, RequestKind.CANCEL, outcome))
        self.show(resting)

    def _fill(self, resting: Resting, size: int) -> None:
        resting.filled += size
        if resting.filled == resting.size:
            resting.is_open = False
        name = f"{resting.order.client_id}-{resting.filled}"
        price = resting.price
        for _ in range(self.chance.randint(1, 2)):
            self.take(self.bench.fill(resting.order, size, price=price, execution_id=name))
        if self.chance.random() < 0.8 or not resting.is_open:
            self.show(resting)

    def answer_queries(self, commands: list[Command]) -> None:
        for query in self.bench.queries(commands):
            resting = self.orders.get(query.client_id)
            if resting is not None:
                self.show(resting, is_from_query=True)
            else:
                event = OrderAbsent(
                    account_id=ACCOUNT,
                    instrument_id=BTC,
                    client_id=query.client_id,
                    asked_ns=self.bench.now_ns,
                )
                self.take(self.bench.handle(event))


def play(seed: int) -> Bench:
    """Work one random size in a market that misbehaves, to its end."""
    chance = Random(seed)
    side = chance.choice([BUY, SELL])
    algorithms: list[Algorithm] = [
        FollowTouch(amend_ms_min=50, give_up_ms=6_000, chase_bps_max=2.0),
        Twap(duration_ms=5_000, slices=5, randomise_fraction=0.3),
        Iceberg(shown_units=30, price_units=600_000 - 5 * side, give_up_ms=6_000),
        Marketable(slippage_bps_max=2.0, give_up_ms=3_000),
    ]
    algorithm = chance.choice(algorithms)
    capabilities = Capabilities(amend=chance.choice(list(AmendKind)))
    bench = make(instruments=(the_instrument(capabilities=capabilities),), seed=seed)
    market = Market(bench, chance)
    size = chance.randint(1, 200)
    market.take(bench.say(wish(algorithm, size, side)))
    bid = 600_000
    for _ in range(250):
        bid += chance.randint(-15, 15)
        if chance.random() < 0.02:
            market.take(bench.stale())
        if chance.random() < 0.005:
            market.take(bench.handle(OperatorCommand(OperatorVerb.CANCEL_ALL, "all", "x")))
        market.take(bench.book(bid, after_ms=chance.choice([1, 20, 60])))
        market.step()
        commands = bench.pass_time(chance.choice([1, 10, 40]))
        market.take(commands)
        market.answer_queries(commands)
        open_there = [one for one in market.orders.values() if one.is_open]
        assert len(open_there) <= 1, "one child at a time"
        if isinstance(algorithm, Iceberg):
            assert sum(one.size - one.filled for one in open_there) <= 30
        assert sum(one.filled for one in market.orders.values()) <= size
    for _ in range(60):
        while market.waiting:
            market.step()
        commands = bench.pass_time(500)
        market.take(commands)
        market.answer_queries(commands)
        bench.book(bid, after_ms=1)
        market.take(bench.fresh)
    filled = sum(one.filled for one in market.orders.values())
    assert {} == bench.engine.state.works
    assert filled * side == bench.share()
    last = works_of(bench)[-1]
    assert (filled, last.state.is_final) == (last.filled_units, True)
    assert (filled == size) == (last.state is WorkState.DONE)
    assert [] == [one for one in market.orders.values() if one.is_open]
    assert [] == bench.halts()
    assert len(bench.engine.state.deadlines) < 300
    return bench


@pytest.mark.parametrize("seed", range(60))
def test_work_when_the_venue_misbehaves_then_never_more_than_asked_and_it_ends(seed):
    play(seed)


def test_work_when_repeated_with_the_same_inputs_then_the_same_outputs():
    for seed in range(8):
        assert play(seed).engine.digest == play(seed).engine.digest
