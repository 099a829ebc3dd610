"""The mixes of the matching measurement do what their counts say."""

from random import Random

import pytest

from tickwright.bench import matching as bench
from tickwright.bench.runner import SECTIONS


def test_sections_when_listed_then_matching_is_one():
    assert "matching" in SECTIONS


@pytest.mark.parametrize("name", list(bench._MIXES))
def test_mix_when_run_then_counts_its_requests_and_leaves_few_orders(name: str):
    desk = bench._Desk()
    requests = bench._MIXES[name](desk, 2_000, Random(1))
    # An order made but never cancelled is a request too: the first ones only fill the book.
    assert requests == pytest.approx(2_000, abs=64)
    assert len(desk.book.orders) <= 64
    assert desk.book.events == []


def test_users_who_meet_then_every_request_is_one_execution():
    desk = bench._Desk()
    assert bench._meet(desk, 1_000, Random(1)) == desk.executions == 1_000


def test_quotes_in_a_moving_market_then_some_are_filled_and_amended():
    desk = bench._Desk()
    bench._make_market(desk, 5_000, Random(1))
    assert desk.executions > 100
