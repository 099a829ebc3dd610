"""Killed under load at random moments, a trader goes on exactly where the venue has it."""

from random import Random

import pytest

from tests.campaigns.chaos import whole_restarts
from tests.campaigns.chaos.rows import Result
from tests.campaigns.chaos.whole_restarts import kill_again_and_again

READY_S_MAX = 20.0


async def test_trader_when_killed_under_load_again_and_again_then_it_stands_where_the_venue_does(
    monkeypatch: pytest.MonkeyPatch,
):
    # The campaign measures how soon; here the machine may be busy.
    monkeypatch.setattr(whole_restarts, "READY_S_MAX", READY_S_MAX)
    result = Result()
    await kill_again_and_again(result, rng=Random(20), kills=4)
    assert [] == result.violations
    assert (4, 4) == (result.runs, result.hit)
    assert max(result.seconds) < READY_S_MAX
