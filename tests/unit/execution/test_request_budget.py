"""A rolling window never holds more requests than the limit, whatever is asked when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.core.events import RateLimitReport
from tickwright.core.identity import AccountId
from tickwright.execution.request_budget import BudgetLimits, RequestBudget

ACCOUNT = AccountId("venue", "main")
MS = 1_000_000
SECOND = 1_000 * MS


def report(limit: int, remaining: int, reset_ns: int = 0, group: str = "create") -> RateLimitReport:
    return RateLimitReport(
        account_id=ACCOUNT, group=group, limit=limit, remaining=remaining, reset_ns=reset_ns
    )


@given(
    st.integers(1, 12),
    st.floats(0.0, 0.9),
    st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=200),
)
def test_take_when_asked_at_random_then_no_window_exceeds_the_limit(limit, reserve, asked):
    budget = RequestBudget(BudgetLimits(limit=limit, window_ms=1_000, reserve_fraction=reserve))
    now = 10 * SECOND
    plain: list[int] = []
    taken: list[int] = []
    for gap_ms, is_urgent in asked:
        now += gap_ms * MS
        due = budget.next_ns(ACCOUNT, "create", now, is_urgent=is_urgent)
        if budget.take(ACCOUNT, "create", now, is_urgent=is_urgent):
            assert due == now
            taken.append(now)
            plain += [] if is_urgent else [now]
        else:
            assert due > now
            assert budget.next_ns(ACCOUNT, "create", due, is_urgent=is_urgent) == due
    for start in taken:
        assert sum(start <= time < start + SECOND for time in taken) <= limit
    for start in plain:
        assert sum(start <= time < start + SECOND for time in plain) <= max(
            1, limit - min(limit - 1, int(limit * reserve))
        )


def test_take_when_plain_requests_saturate_then_urgent_ones_still_pass():
    budget = RequestBudget(BudgetLimits(limit=10, reserve_fraction=0.3))
    plain = [budget.take(ACCOUNT, "cancel", SECOND, is_urgent=False) for _ in range(10)]
    urgent = [budget.take(ACCOUNT, "cancel", SECOND, is_urgent=True) for _ in range(5)]
    assert (7, 3) == (sum(plain), sum(urgent))


def test_groups_when_apart_then_each_has_its_own_limit():
    budget = RequestBudget(BudgetLimits(limit=1), {"query": BudgetLimits(limit=3)})
    assert budget.take(ACCOUNT, "create", SECOND, is_urgent=False)
    assert not budget.take(ACCOUNT, "create", SECOND, is_urgent=False)
    assert [True, True, True, False] == [
        budget.take(ACCOUNT, "query", SECOND, is_urgent=True) for _ in range(4)
    ]
    other = AccountId("venue", "second")
    assert budget.take(other, "create", SECOND, is_urgent=False)


def test_learn_when_the_venue_halves_the_limit_then_ours_follows_and_never_rises_above_configured():
    budget = RequestBudget(BudgetLimits(limit=10, reserve_fraction=0.0))
    budget.learn(report(limit=5, remaining=5), SECOND)
    assert 5 == sum(budget.take(ACCOUNT, "create", SECOND, is_urgent=True) for _ in range(10))
    budget.learn(report(limit=100, remaining=100), 10 * SECOND)
    assert 10 == sum(budget.take(ACCOUNT, "create", 10 * SECOND, is_urgent=True) for _ in range(20))


def test_learn_when_others_used_the_budget_then_their_share_counts():
    budget = RequestBudget(BudgetLimits(limit=10, reserve_fraction=0.0))
    budget.learn(report(limit=10, remaining=4), SECOND)
    assert 4 == sum(budget.take(ACCOUNT, "create", SECOND, is_urgent=True) for _ in range(10))


def test_learn_when_stopped_then_nothing_passes_until_the_reset():
    budget = RequestBudget(BudgetLimits(limit=10))
    reset = 5 * SECOND
    budget.learn(report(limit=10, remaining=0, reset_ns=reset), SECOND)
    assert not budget.take(ACCOUNT, "create", reset - 1, is_urgent=True)
    assert reset == budget.next_ns(ACCOUNT, "create", 4 * SECOND, is_urgent=True)
    assert budget.take(ACCOUNT, "create", reset, is_urgent=True)
    budget.learn(report(limit=0, remaining=0, reset_ns=9 * SECOND, group=""), 6 * SECOND)
    assert not budget.take(ACCOUNT, "cancel", 8 * SECOND, is_urgent=True)
    assert budget.take(ACCOUNT, "cancel", 9 * SECOND, is_urgent=True)


def test_uses_when_asked_then_shows_each_group():
    budget = RequestBudget(BudgetLimits(limit=1))
    budget.take(ACCOUNT, "create", SECOND, is_urgent=False)
    budget.take(ACCOUNT, "create", SECOND, is_urgent=False)
    (use,) = budget.uses(SECOND)
    assert ("create", 1, 1, 1) == (use.group, use.used, use.limit, use.refused)


def test_limits_when_impossible_then_refused():
    for values in ({"limit": 0}, {"window_ms": 0}, {"reserve_fraction": 1.0}):
        with pytest.raises(ValueError, match="budget"):
            BudgetLimits(**values)
