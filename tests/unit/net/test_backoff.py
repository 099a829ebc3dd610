"""Waits grow, stay jittered and capped, and never end; dials stay within their budget."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.net.backoff import Backoff, DialBudget

MS = 1_000_000
S = 1_000 * MS


def test_waits_when_an_outage_begins_then_double_up_to_the_young_cap():
    backoff = Backoff(Random(1))
    waits = [backoff.next_wait_ns(0) for _ in range(12)]
    steps = [min(900 * MS, 50 * MS << attempt) for attempt in range(12)]
    for wait, step in zip(waits, steps, strict=True):
        assert step // 2 <= wait <= step


def test_waits_when_an_outage_grows_old_then_reach_the_old_cap_for_ever():
    backoff = Backoff(Random(2))
    backoff.next_wait_ns(0)
    now_ns = 0
    for _ in range(2_000):
        now_ns += backoff.next_wait_ns(now_ns)
    late = [backoff.next_wait_ns(now_ns) for _ in range(100)]
    assert now_ns > 120 * S
    assert all(1 * S <= wait <= 2 * S for wait in late)
    # Jitter: a hundred clients that lost the venue together don't come back together.
    assert len(set(late)) > 90


def test_waits_when_it_was_reset_then_start_over():
    backoff = Backoff(Random(3))
    for _ in range(10):
        backoff.next_wait_ns(0)
    backoff.reset()
    assert backoff.next_wait_ns(500 * S) <= 50 * MS
    # The outage is a new one: young again.
    assert all(backoff.next_wait_ns(600 * S) <= 1 * S for _ in range(20))


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_waits_when_drawn_from_one_seed_then_are_the_same(seed: int, count: int):
    one, other = Backoff(Random(seed)), Backoff(Random(seed))
    assert [one.next_wait_ns(n) for n in range(count)] == [
        other.next_wait_ns(n) for n in range(count)
    ]


@given(
    st.lists(st.integers(0, 40 * S), max_size=300),
    st.integers(1, 20),
    st.integers(1, 300 * S),
)
def test_budget_when_obeyed_then_no_window_holds_more_dials(
    pauses_ns: list[int], dials_max: int, window_ns: int
):
    budget = DialBudget(dials_max=dials_max, window_ns=window_ns)
    now_ns, dialled = 0, []
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        wait_ns = budget.wait_ns(now_ns)
        assert wait_ns >= 0
        now_ns += wait_ns
        assert 0 == budget.wait_ns(now_ns)
        budget.spend(now_ns)
        dialled.append(now_ns)
        assert budget.spent <= dials_max
    for first, later in zip(dialled, dialled[dials_max:], strict=False):
        assert later - first >= window_ns


@pytest.mark.parametrize("shards", [1, 50])
def test_waits_when_an_outage_lasts_an_hour_then_fit_the_venues_limit_of_dials(shards: int):
    """One prober at a time: however many shards wait, one address is dialled by these waits."""
    backoff, now_ns, dialled = Backoff(Random(shards)), 0, []
    while now_ns < 3_600 * S:
        now_ns += backoff.next_wait_ns(now_ns)
        dialled.append(now_ns)
    for place, first in enumerate(dialled):
        window = [at for at in dialled[place : place + 600] if at < first + 300 * S]
        assert len(window) <= 400
