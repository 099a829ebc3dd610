"""The blotter: evidence in any order, fills once, sums ready, everything bounded."""

import contextlib
from random import Random

import msgspec
import pytest

from tests.unit.execution.life import ACCOUNT, ID, Life, blotter_of
from tickwright.core.events import OrderReport, Outcome, SendOutcome
from tickwright.core.identity import ClientId, StrategyId, VenueOrderId
from tickwright.core.orders import (
    FINAL_STATES,
    ExecutionKind,
    OrderState,
    OrderType,
    RequestKind,
    RequestState,
    Side,
)
from tickwright.execution import blotter as module
from tickwright.execution.blotter import Anomaly
from tickwright.execution.client_ids import ClientIds
from tickwright.execution.life_cycle import IllegalMove

S = OrderState


def test_fill_when_before_the_acknowledgement_then_counted_and_the_late_ack_changes_nothing():
    life = Life(size_units=10)
    life.fill("x1", 4)
    assert (S.PARTLY_FILLED, 4, RequestState.ANSWERED) == (
        life.order.state,
        life.order.filled_units,
        life.record.create.state,
    )
    life.ack()
    assert S.PARTLY_FILLED is life.order.state
    life.fill("x2", 6)
    assert (S.FILLED, 10) == (life.order.state, life.order.filled_units)


def test_fill_when_repeated_then_counted_once():
    life = Life(size_units=10)
    for _ in range(3):
        life.fill("x1", 4)
    assert (4, 2) == (life.order.filled_units, life.blotter.duplicate_fill_count)


def test_report_when_filled_comes_twice_with_a_cancel_race_then_filled():
    life = Life(size_units=10)
    life.report(S.WORKING, 0, venue_ns=1)
    life.report(S.FILLED, 10, venue_ns=5)
    life.report(S.FILLED, 10, venue_ns=6, reason="cancelled by user")
    life.report(S.CANCELLED, 10, venue_ns=7)
    assert S.FILLED is life.order.state
    # The executions are still owed: the position may yet change by them.
    assert (10, 10, False) == (
        life.record.owed_units,
        life.record.live_units,
        life.record.is_settled,
    )
    life.fill("x1", 10)
    assert life.record.is_settled


def test_report_when_cancelled_with_fills_then_never_read_as_zero_filled():
    life = Life(size_units=10)
    life.report(S.CANCELLED, 4, venue_ns=9)
    assert (S.CANCELLED, 4, 4) == (life.order.state, life.record.owed_units, life.buys)
    life.fill("x1", 4)
    assert (4, 0, True) == (life.order.filled_units, life.buys, life.record.is_settled)


def test_report_when_older_then_dropped_but_proves_the_create():
    life = Life(size_units=10)
    life.report(S.PARTLY_FILLED, 5, venue_ns=9)
    life.report(S.WORKING, 0, venue_ns=3)
    assert (S.PARTLY_FILLED, 1) == (life.order.state, life.blotter.older_report_count)
    other = Life(size_units=10)
    other.fill("x1", 5)
    other.report(S.WORKING, 0, venue_ns=3)
    assert S.PARTLY_FILLED is other.order.state


def test_report_when_newer_and_contradicting_a_final_then_raises_and_leaves_it_alone():
    life = Life(size_units=10)
    life.report(S.CANCELLED, 0, venue_ns=5)
    with pytest.raises(IllegalMove):
        life.report(S.WORKING, 0, venue_ns=6)
    assert S.CANCELLED is life.order.state


def test_reply_when_lost_then_the_request_is_unknown_and_counts_as_live():
    life = Life(size_units=10)
    life.lose()
    assert (RequestState.UNKNOWN, S.INTENDED, 10, 1) == (
        life.record.create.state,
        life.order.state,
        life.buys,
        life.working.unknown_requests,
    )
    life.report(S.WORKING, 0, venue_ns=5, is_from_query=True)
    assert (RequestState.ANSWERED, S.WORKING, 0) == (
        life.record.create.state,
        life.order.state,
        life.working.unknown_requests,
    )


def test_reply_when_refused_then_rejected_and_nothing_is_live():
    life = Life(size_units=10)
    life.ack(Outcome.REFUSED)
    assert (S.REJECTED, 0, 0) == (life.order.state, life.buys, life.working.open_orders)


def test_reply_when_the_id_is_a_duplicate_then_evidence_that_the_first_arrived():
    life = Life(size_units=10)
    life.lose()
    life.ack(Outcome.ALREADY_DONE)
    assert S.ACCEPTED is life.order.state


def test_refusal_when_the_order_was_seen_then_evidence_wins():
    life = Life(size_units=10)
    life.report(S.WORKING, 0, venue_ns=1)
    life.ack(Outcome.REFUSED)
    assert S.WORKING is life.order.state


def test_send_outcome_when_not_sent_then_rejected_by_proof():
    life = Life(size_units=10)
    life.blotter.on_send_outcome(
        SendOutcome(
            account_id=ACCOUNT,
            client_id=life.order.client_id,
            request=RequestKind.CREATE,
            is_sent=False,
            reason="disk full",
        ),
        1,
    )
    assert (S.REJECTED, "disk full", 0) == (life.order.state, life.order.reason, life.buys)


@pytest.mark.parametrize("request_kind", [RequestKind.CREATE, RequestKind.CANCEL])
def test_send_outcome_when_evidence_was_faster_then_what_the_venue_showed_stands(request_kind):
    life = Life(size_units=10)
    life.report(S.WORKING, 0, venue_ns=1)
    life.blotter.start_cancel(life.record, 2, "test")
    life.report(S.FILLED, 10, venue_ns=3)
    change = life.blotter.on_send_outcome(
        SendOutcome(
            account_id=ACCOUNT,
            client_id=life.order.client_id,
            request=request_kind,
            is_sent=False,
            reason="the socket was full",
        ),
        4,
    )
    assert change is None
    assert S.FILLED is life.order.state


def test_fill_when_the_order_was_taken_for_rejected_then_alive_and_an_anomaly():
    life = Life(size_units=10)
    life.ack(Outcome.REFUSED)
    change = life.fill("x1", 4)
    assert (S.PARTLY_FILLED, Anomaly.REVIVED, 6) == (
        life.order.state,
        change.anomaly,
        life.buys,
    )


def test_fill_when_more_than_the_order_then_counted_and_an_anomaly():
    life = Life(size_units=10)
    life.fill("x1", 10)
    change = life.fill("x2", 3)
    assert (13, Anomaly.OVERFILL, 1) == (
        life.order.filled_units,
        change.anomaly,
        life.blotter.overfill_count,
    )


def test_amend_when_not_confirmed_then_the_larger_size_counts():
    life = Life(size_units=10)
    life.report(S.WORKING, 0, venue_ns=1)
    assert life.blotter.start_amend(life.record, 1, price_units=None, size_units=25)
    assert 25 == life.buys
    life.answer(RequestKind.AMEND, Outcome.ACCEPTED)
    assert 25 == life.buys
    life.fill("x1", 10)
    assert S.PARTLY_FILLED is life.order.state
    life.report(S.PARTLY_FILLED, 10, venue_ns=2, size_units=25)
    assert (25, 15) == (life.order.size_units, life.buys)
    life.blotter.start_amend(life.record, 1, price_units=None, size_units=12)
    assert 15 == life.buys
    life.answer(RequestKind.AMEND, Outcome.REFUSED)
    assert 15 == life.buys


def test_cancel_when_under_way_then_not_started_again():
    life = Life(size_units=10)
    life.report(S.WORKING, 0, venue_ns=1)
    assert life.blotter.start_cancel(life.record, 2, "test")
    assert not life.blotter.start_cancel(life.record, 2, "test")
    assert not life.blotter.start_amend(life.record, 2, price_units=1, size_units=None)
    life.report(S.CANCELLED, 0, venue_ns=3)
    assert (False, True) == (life.record.is_cancelling, life.record.is_settled)


def test_cancel_when_unknown_and_a_late_query_shows_it_working_then_it_never_arrived():
    life = Life(size_units=10)
    life.report(S.WORKING, 0, venue_ns=1)
    life.blotter.start_cancel(life.record, 2, "test")
    life.blotter.lose(life.record, RequestKind.CANCEL, "no answer")
    life.report(S.WORKING, 0, venue_ns=3, is_from_query=True, received_ns=50)
    assert life.record.is_cancelling
    life.report(S.WORKING, 0, venue_ns=4, is_from_query=True, received_ns=5_000)
    assert not life.record.is_cancelling


def test_absent_when_concluded_then_never_arrived_or_gone():
    never, gone = Life(size_units=10), Life(size_units=10)
    never.lose()
    gone.report(S.WORKING, 0, venue_ns=1)
    for life in (never, gone):
        life.blotter.on_absent(life.record, 9)
    assert (S.REJECTED, S.CANCELLED) == (never.order.state, gone.order.state)
    assert (0, 0) == (never.buys, gone.buys)


def foreign_report(**changes) -> OrderReport:
    values = {
        "account_id": ACCOUNT,
        "instrument_id": ID,
        "client_id": None,
        "venue_id": VenueOrderId("other"),
        "side": Side.SELL,
        "order_type": OrderType.LIMIT,
        "state": S.WORKING,
        "price_units": 5,
        "size_units": 7,
        "filled_units": 3,
        "reason": "",
        "venue_ns": 5,
        "received_ns": 6,
    }
    return OrderReport(**{**values, **changes})


def test_foreign_order_when_seen_then_shown_apart_and_forgotten_when_done():
    blotter = blotter_of()
    assert blotter.on_report(foreign_report(), 1) is None
    assert (1, 0) == (len(blotter.foreign), blotter.live_count)
    blotter.on_report(foreign_report(state=S.CANCELLED), 2)
    assert 0 == len(blotter.foreign)


def test_foreign_orders_when_many_then_the_oldest_leave(monkeypatch):
    monkeypatch.setattr(module, "FOREIGN_ORDERS_MAX", 3)
    blotter = blotter_of()
    for index in range(5):
        blotter.on_report(foreign_report(venue_id=VenueOrderId(f"v{index}")), 1)
    assert ["v2", "v3", "v4"] == [key[1] for key in blotter.foreign]


def test_order_of_an_earlier_run_when_seen_then_adopted_with_its_fills_as_baseline():
    earlier = ClientIds(1)
    earlier.register(StrategyId("one"))
    client_id = earlier.next(StrategyId("one"))
    blotter = blotter_of()
    change = blotter.on_report(foreign_report(client_id=client_id), 1)
    assert change is not None
    order = change.record.order
    assert (S.WORKING, 3, "one", True) == (
        order.state,
        order.filled_units,
        order.strategy_id,
        change.record.is_adopted,
    )
    assert 4 == blotter.working(ACCOUNT, ID).sell_units


def test_owner_when_no_client_id_then_by_venue_id_and_by_parent():
    life = Life(size_units=10)
    life.ack()
    by_venue = life.make_fill("x1", 1, client_id=None)
    assert "one" == life.blotter.owner(by_venue)
    stop = foreign_report(
        venue_id=VenueOrderId("stop"), parent_id=life.order.client_id, state=S.FILLED
    )
    life.blotter.on_report(stop, 1)
    by_parent = life.make_fill("x2", 1, client_id=None, venue_id=VenueOrderId("stop"))
    assert "one" == life.blotter.owner(by_parent)
    nobody = life.make_fill("x3", 1, client_id=None, venue_id=VenueOrderId("elsewhere"))
    assert life.blotter.owner(nobody) is None
    other_account = msgspec.structs.replace(
        by_venue, account_id=msgspec.structs.replace(ACCOUNT, name="second")
    )
    assert life.blotter.owner(other_account) is None


def test_fill_when_funding_then_no_order_moves():
    life = Life(size_units=10)
    fill = life.make_fill("f1", 10, kind=ExecutionKind.FUNDING)
    assert life.blotter.on_fill(fill, 1) is None
    assert 0 == life.order.filled_units


def test_finals_when_many_then_the_ring_keeps_the_last_ones(monkeypatch):
    monkeypatch.setattr(module, "FINAL_ORDERS_MAX", 3)
    blotter = blotter_of()
    names = []
    for _ in range(5):
        life = Life(size_units=1, blotter=blotter)
        life.ack()
        life.report(S.CANCELLED, 0, venue_ns=1)
        names.append(life.order.client_id)
    assert names[2:] == [record.client_id for record in blotter.finals()]
    assert blotter.find(ACCOUNT, names[0], VenueOrderId(f"v-{names[0]}")) is None
    assert blotter.find(ACCOUNT, None, VenueOrderId(f"v-{names[4]}")) is not None


def test_execution_ids_when_many_then_the_oldest_is_forgotten(monkeypatch):
    monkeypatch.setattr(module, "EXECUTION_IDS_MAX", 2)
    life = Life(size_units=100)
    news = [life.blotter.is_new_fill(life.make_fill(name, 1)) for name in ("a", "b", "a", "c", "a")]
    assert [True, True, False, True, True] == news


def test_find_when_unknown_then_none():
    assert blotter_of().find(ACCOUNT, ClientId("nothing"), None) is None


@pytest.mark.parametrize("seed", range(20))
def test_sums_when_amends_cancels_and_answers_come_as_they_like_then_what_the_orders_say(seed):
    rng, blotter = Random(seed), blotter_of()
    lives = [Life(size_units=rng.randrange(5, 30), blotter=blotter) for _ in range(4)]
    for step in range(200):
        life = rng.choice(lives)
        record, order = life.record, life.order
        draw = rng.randrange(8)
        if draw == 0:
            size = rng.choice([None, order.filled_units + rng.randrange(1, 30)])
            blotter.start_amend(record, step, price_units=rng.choice([None, 99]), size_units=size)
        elif draw == 1:
            blotter.start_cancel(record, step, "test")
        elif draw in (2, 3):
            life.answer(rng.choice(list(RequestKind)), rng.choice(list(Outcome)))
        elif draw == 4:
            blotter.lose(record, rng.choice(list(RequestKind)), "no answer")
        elif draw == 5 and order.state not in FINAL_STATES:
            amend = record.amend
            size = order.size_units if amend is None else amend.size_units or order.size_units
            life.report(S.WORKING, order.filled_units, venue_ns=step, size_units=size)
        elif draw == 6 and order.filled_units < order.size_units:
            life.fill(f"x{step}", 1)
        elif draw == 7 and rng.random() < 0.1:
            with contextlib.suppress(IllegalMove):
                life.report(S.CANCELLED, order.filled_units, venue_ns=step)
        told = [one.record.standing() for one in lives]
        assert (
            sum(live for live, _, _ in told),
            sum(unknown for _, unknown, _ in told),
            sum(not is_settled for _, _, is_settled in told),
        ) == (life.buys, life.working.unknown_requests, life.working.open_orders)
        for one in lives:
            order, owed = one.order, one.record.owed_units
            left = owed if order.is_final else one.record.size_units_max - order.filled_units
            assert (max(left, owed), one.record.unknown_requests, one.record.is_settled) == (
                one.record.standing()
            )
