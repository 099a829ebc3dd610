"""The REST budget stays below the venue's limits, learns them, and keeps silence after a ban."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.bybit.accounts import NOW, SECOND
from tickwright.venues.bybit.limits import SILENCE_NS, AddressUse, RestBudget, VenueClock

MS = 1_000_000


def test_take_when_group_is_used_up_then_waits_for_its_window():
    budget = RestBudget()
    assert [0] * 10 == [budget.take("create.linear", NOW + step) for step in range(10)]
    wait = budget.take("create.linear", NOW + 10)
    assert 1_050 * MS - 10 == wait
    assert 0 == budget.take("create.spot", NOW + 10)
    assert 0 == budget.take("create.linear", NOW + 10 + wait)


def test_take_when_address_is_used_up_then_urgent_still_passes():
    budget = RestBudget(address_requests_max=10, urgent_reserve=4)
    assert [0] * 6 == [budget.take("", NOW) for _ in range(6)]
    assert budget.take("", NOW) > 0
    assert [0] * 4 == [budget.take("", NOW, is_urgent=True) for _ in range(4)]
    assert budget.take("", NOW, is_urgent=True) > 0


def test_silence_when_banned_then_nothing_for_ten_minutes():
    budget = RestBudget()
    budget.silence(NOW)
    assert SILENCE_NS == budget.take("", NOW, is_urgent=True)
    assert AddressUse(0, 500, NOW + SILENCE_NS) == budget.address_use(NOW)
    assert SILENCE_NS - SECOND == budget.silent_for_ns(NOW + SECOND)
    assert 0 == budget.take("", NOW + SILENCE_NS)


def test_learn_when_venue_halves_the_limit_then_obeyed():
    budget = RestBudget()
    budget.learn("cancel.linear", {"x-bapi-limit": "5", "x-bapi-limit-status": "4"}, NOW)
    assert [0] * 5 == [budget.take("cancel.linear", NOW) for _ in range(5)]
    assert budget.take("cancel.linear", NOW) > 0


def test_learn_when_nothing_is_left_then_stops_until_reset_in_our_time():
    budget = RestBudget()
    headers = {
        "x-bapi-limit": "10",
        "x-bapi-limit-status": "0",
        "x-bapi-limit-reset-timestamp": str(NOW // MS + 700),
    }
    budget.learn("create.linear", headers, NOW, offset_ns=200 * MS)
    assert 500 * MS == budget.take("create.linear", NOW)


def test_learn_when_reset_is_absurd_then_bounded():
    budget = RestBudget()
    headers = {
        "x-bapi-limit": "10",
        "x-bapi-limit-status": "0",
        "x-bapi-limit-reset-timestamp": "9999999999999",
    }
    budget.learn("create.linear", headers, NOW)
    assert 0 < budget.take("create.linear", NOW) <= 6 * SECOND


@pytest.mark.parametrize("text", ["", "many", "-5", "9" * 40])
def test_learn_when_header_is_no_number_then_ignored(text: str):
    budget = RestBudget()
    budget.learn("create.linear", {"x-bapi-limit": text, "x-bapi-limit-status": "0"}, NOW)
    assert 0 == budget.take("create.linear", NOW)


def test_exceeded_when_told_then_a_second_of_rest():
    budget = RestBudget()
    budget.exceeded("order/realtime", NOW)
    assert 1_050 * MS == budget.take("order/realtime", NOW)


@given(seed=st.integers(0, 2**32), rate=st.integers(1, 400))
def test_take_when_asked_at_any_rhythm_then_never_above_the_limit_in_a_second(seed: int, rate: int):
    chance, budget, taken, now = Random(seed), RestBudget(), [], NOW
    for _ in range(120):
        now += chance.randrange(2 * SECOND // rate)
        if budget.take("create.linear", now) == 0:
            taken.append(now)
    for index, start in enumerate(taken):
        assert sum(start <= at < start + SECOND for at in taken[index:]) <= 10


def test_clock_when_several_measurements_then_the_tightest_counts():
    clock = VenueClock()
    clock.measure(NOW, NOW + 100 * MS, NOW + 50 * MS + 300 * MS)
    clock.measure(NOW + SECOND, NOW + SECOND + 10 * MS, NOW + SECOND + 5 * MS + 290 * MS)
    clock.measure(NOW + 2 * SECOND, NOW + 2 * SECOND + 900 * MS, NOW + 2 * SECOND)
    assert (290 * MS, 5 * MS) == (clock.offset_ns, clock.uncertainty_ns)
    assert (NOW + 290 * MS) // MS == clock.venue_ms(NOW)


def test_clock_when_distrusted_then_the_next_measurement_counts():
    clock = VenueClock()
    clock.measure(NOW, NOW + 10 * MS, NOW + 5 * MS)
    clock.distrust()
    clock.measure(NOW, NOW + 100 * MS, NOW + 50 * MS + 5 * SECOND)
    assert 5 * SECOND == clock.offset_ns


def test_clock_when_a_measurement_is_old_then_it_no_longer_counts():
    clock = VenueClock()
    clock.measure(NOW, NOW + 2 * MS, NOW + MS)
    later = NOW + 400 * SECOND
    clock.measure(later, later + 100 * MS, later + 50 * MS + SECOND)
    assert SECOND == clock.offset_ns
