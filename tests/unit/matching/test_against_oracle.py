"""Whatever order flow comes, the compiled engine is the plain one, event by event."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.matching.flow import (
    FIELDS,
    SCALES,
    STEP_NUMBERS,
    Scale,
    Twins,
    random_step,
)
from tickwright.matching import events

STEPS = st.tuples(*[st.integers(0, 99)] * STEP_NUMBERS)


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=40))
def test_any_flow_when_driven_through_both_engines_then_all_is_equal(scale: Scale, steps):
    twins = Twins(scale)
    for step in steps:
        twins.apply(step)


@pytest.mark.parametrize("seed", range(12))
def test_long_random_flow_when_driven_through_both_engines_then_all_is_equal(seed: int):
    rng = Random(seed)
    twins = Twins(SCALES[seed % len(SCALES)])
    for _ in range(200):
        twins.apply(random_step(rng))
    # A flow in which little happens would prove little.
    assert twins.events > 100


def test_comparison_when_listing_fields_then_knows_every_record_and_field():
    records = [getattr(events, name) for name in events.__all__ if name != "MatchEvent"]
    known = {name: {*fields, "now_ns", "order"} - {None} for name, fields in FIELDS.items()}
    known["StopsChanged"].discard("order")
    assert known == {
        record.__name__: {name for name in vars(record) if not name.startswith("_")}
        for record in records
    }
