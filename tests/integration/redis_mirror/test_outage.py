"""Redis taken away under load: the campaign's judgement, at the size of a test."""

import pytest

from tests.campaigns.redis_outage import run_scenario
from tickwright.bench.tape import COMPOSED_SHAPE, Tape, make_tape


@pytest.fixture(scope="module")
def tape() -> Tape:
    return make_tape(COMPOSED_SHAPE, frames=4_000, symbols=8, category="linear", seed=2)


@pytest.mark.parametrize("name", ["stopped", "full"])
async def test_redis_when_away_under_load_then_nothing_is_lost_or_doubled_and_it_is_counted(
    name: str, tape: Tape
):
    verdict = await run_scenario(name, tape, seconds=1.5, rate=5_000, around_s=0.2)

    assert [] == verdict.faults
    assert verdict.trades > 500
