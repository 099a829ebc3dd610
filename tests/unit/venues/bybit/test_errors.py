"""Every documented code has its reaction, and none proves more than it can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.core.events import Outcome
from tickwright.core.orders import RequestKind
from tickwright.venues.bybit.errors import Reaction, http_reaction, outcome_of, reaction_of

CREATE, AMEND, CANCEL = RequestKind.CREATE, RequestKind.AMEND, RequestKind.CANCEL


@pytest.mark.parametrize(
    ("code", "reaction"),
    [
        (0, Reaction.OK),
        (110043, Reaction.OK),
        (10006, Reaction.RETRY),
        (10002, Reaction.RETRY),
        (10016, Reaction.UNKNOWN),
        (110072, Reaction.UNKNOWN),
        (110001, Reaction.RESYNC),
        (110007, Reaction.REJECT),
        (110103, Reaction.REJECT),
        (110102, Reaction.PAUSE),
        (10004, Reaction.STOP),
        (987654, Reaction.UNKNOWN),
    ],
)
def test_reaction_when_code_then_as_documented(code: int, reaction: Reaction):
    assert reaction is reaction_of(code)


@pytest.mark.parametrize(
    ("code", "request_kind", "outcome"),
    [
        (0, CREATE, Outcome.ACCEPTED),
        (110007, CREATE, Outcome.REFUSED),
        (10002, CREATE, Outcome.REFUSED),
        (10006, CREATE, Outcome.UNKNOWN),
        (10006, AMEND, Outcome.UNKNOWN),
        (10006, CANCEL, Outcome.REFUSED),
        (10000, CREATE, Outcome.UNKNOWN),
        (10019, CANCEL, Outcome.UNKNOWN),
        (20006, CREATE, Outcome.UNKNOWN),
        (110072, CREATE, Outcome.UNKNOWN),
        (110001, CANCEL, Outcome.UNKNOWN),
        (110001, AMEND, Outcome.UNKNOWN),
        (110010, CANCEL, Outcome.ALREADY_DONE),
        (110008, AMEND, Outcome.ALREADY_DONE),
        (110079, CANCEL, Outcome.REFUSED),
        (110079, CREATE, Outcome.UNKNOWN),
        (170313, AMEND, Outcome.REFUSED),
        (34040, AMEND, Outcome.ACCEPTED),
        (10004, CREATE, Outcome.REFUSED),
    ],
)
def test_outcome_when_code_then_what_it_proves(
    code: int, request_kind: RequestKind, outcome: Outcome
):
    assert outcome is outcome_of(code, request_kind)


@given(code=st.integers(-(2**40), 2**40), request_kind=st.sampled_from(RequestKind))
def test_outcome_when_code_is_not_in_the_table_then_unknown(code: int, request_kind: RequestKind):
    if reaction_of(code) is Reaction.UNKNOWN:
        assert Outcome.UNKNOWN is outcome_of(code, request_kind)


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (200, Reaction.OK),
        (403, Reaction.SILENCE),
        (429, Reaction.UNKNOWN),
        (500, Reaction.UNKNOWN),
        (502, Reaction.UNKNOWN),
        (401, Reaction.STOP),
        (404, Reaction.STOP),
        (302, Reaction.UNKNOWN),
    ],
)
def test_http_reaction_when_status_then_as_documented(status: int, reaction: Reaction):
    assert reaction is http_reaction(status)
