"""Every pair of state and news is either in its table, as written here, or refused."""

import itertools

import pytest

from tickwright.core.orders import FINAL_STATES, OrderState, RequestState
from tickwright.execution.life_cycle import (
    EVIDENCE_OF_REPORT,
    ORDER_MOVES,
    REQUEST_MOVES,
    Evidence,
    IllegalMove,
    RequestEvent,
    next_order_state,
    next_request_state,
)

S = OrderState
# Columns: what each state becomes by each piece of evidence; a dot is an illegal move.
COLUMNS = (
    "not_sent acknowledged refused absent seen_accepted seen_working seen_partly_filled "
    "seen_triggered seen_filled seen_cancelled seen_rejected seen_expired filled_part filled_whole"
).split()
TABLE = {
    "intended": "rej acc rej rej acc wor par tri fil can rej exp par fil",
    "accepted": "... acc ... rej acc wor par tri fil can rej exp par fil",
    "working": "... wor ... can wor wor par tri fil can rej exp par fil",
    "partly_filled": "... par ... can par par par ... fil can ... exp par fil",
    "triggered": "... tri ... can tri wor par tri fil can rej exp par fil",
    "filled": "... fil ... ... ... ... ... ... fil fil ... ... fil fil",
    "cancelled": "... can ... ... ... ... ... ... fil can ... ... can fil",
    "expired": "... exp ... ... ... ... ... ... fil exp ... exp exp fil",
    "rejected": "... rej ... ... ... wor par tri fil can rej exp par fil",
}
SHORT = {state.value[:3]: state for state in OrderState}


@pytest.mark.parametrize(("state", "evidence"), list(itertools.product(OrderState, Evidence)))
def test_order_table_when_any_state_meets_any_evidence_then_as_written(state, evidence):
    word = TABLE[state.value].split()[COLUMNS.index(evidence.value)]
    if word == "...":
        assert (state, evidence) not in ORDER_MOVES
        with pytest.raises(IllegalMove, match=state.value):
            next_order_state(state, evidence)
    else:
        assert SHORT[word] is next_order_state(state, evidence)


def test_order_table_when_final_then_only_money_or_first_sight_moves_it():
    for (state, evidence), then in ORDER_MOVES.items():
        if state in FINAL_STATES and state is not S.REJECTED and then is not state:
            assert then is S.FILLED, (state, evidence)


def test_reports_when_of_any_state_but_intended_then_known_evidence():
    assert set(OrderState) - {S.INTENDED} == set(EVIDENCE_OF_REPORT)


REQUESTS = {
    "sent": {
        "answer": "answered",
        "lost": "unknown",
        "evidence": "answered",
        "not_sent": "answered",
    },
    "unknown": {
        "answer": "answered",
        "lost": "unknown",
        "evidence": "answered",
        "not_sent": "answered",
    },
    "answered": {"answer": "answered", "lost": "answered", "evidence": "answered"},
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(RequestState, RequestEvent)))
def test_request_table_when_any_state_meets_any_event_then_as_written(state, event):
    word = REQUESTS[state.value].get(event.value)
    if word is None:
        assert (state, event) not in REQUEST_MOVES
        with pytest.raises(IllegalMove):
            next_request_state(state, event)
    else:
        assert RequestState(word) is next_request_state(state, event)
