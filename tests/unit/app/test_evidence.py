"""Lines of evidence say what the input said, in exact numbers where the instrument is known."""

import pytest

from tests.unit.storage.test_journal import ACCOUNT, place
from tickwright.app.evidence import EvidenceWords, Subject
from tickwright.app.explain_session import _about, _counter_of, _Repeats
from tickwright.core.events import (
    Input,
    OrderAbsent,
    OrderReport,
    Outcome,
    Reconciliation,
    Reply,
    SendOutcome,
    SyncReport,
)
from tickwright.core.identity import ClientId, StrategyId, VenueOrderId
from tickwright.core.orders import OrderState, OrderType, RequestKind, Side
from tickwright.execution.client_ids import ClientIds

NAME = ClientId("tw1")


def report(state: OrderState, filled: int = 0, *, client_id: str = NAME) -> OrderReport:
    return OrderReport(
        account_id=ACCOUNT,
        instrument_id=place(1).instrument_id,
        client_id=ClientId(client_id),
        venue_id=VenueOrderId("v-" + client_id),
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        state=state,
        price_units=100,
        size_units=10,
        filled_units=filled,
        reason="",
        venue_ns=7,
        received_ns=8,
        is_from_query=True,
    )


def read(*orders: OrderReport) -> Reconciliation:
    return Reconciliation(
        SyncReport(
            account_id=ACCOUNT, orders=orders, positions=(), balances=(), fills=(), venue_ns=9
        )
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            SendOutcome(
                account_id=ACCOUNT,
                client_id=NAME,
                request=RequestKind.CREATE,
                is_sent=False,
                reason="the kill switch was thrown",
            ),
            ("unsent", "create: never left: the kill switch was thrown", None),
        ),
        (
            Reply(
                account_id=ACCOUNT,
                client_id=NAME,
                request=RequestKind.CANCEL,
                outcome=Outcome.UNKNOWN,
                code=0,
                text="no answer",
            ),
            ("reply", "cancel: unknown (code 0: no answer)", None),
        ),
        (
            OrderAbsent(
                account_id=ACCOUNT,
                instrument_id=place(1).instrument_id,
                client_id=NAME,
                asked_ns=3,
            ),
            ("absent", "neither in open orders nor in history nor in executions", None),
        ),
        (
            report(OrderState.WORKING, 4),
            ("report", "query says working, 4 units of 10 units filled", 7),
        ),
    ],
)
def test_words_when_an_input_came_then_say_what_it_said(
    event: Input, told: tuple[str, str, int | None]
):
    assert told == EvidenceWords(None).event(event)


def test_account_when_read_again_and_again_then_only_news_are_told():
    subject, repeats = Subject(NAME), _Repeats()
    other = report(OrderState.WORKING, client_id="tw2")
    seen = [
        [one.state.value for one in _about(event, subject, repeats)]
        for event in (
            read(report(OrderState.WORKING), other),
            read(report(OrderState.WORKING), other),
            report(OrderState.PARTLY_FILLED, 4),
            read(report(OrderState.PARTLY_FILLED, 4)),
            read(report(OrderState.PARTLY_FILLED, 6)),
        )
    ]
    assert [["working"], [], ["partly_filled"], [], ["partly_filled"]] == seen


def test_counter_when_a_name_is_of_another_run_then_there_is_none():
    ids = ClientIds(77)
    ids.register(StrategyId("s"))
    first, second = ids.next(StrategyId("s")), ids.next(StrategyId("s"))
    assert [1, 2, 0, 0] == [
        _counter_of(first, 77),
        _counter_of(second, 77),
        _counter_of(second, 78),
        _counter_of("mine", 77),
    ]
