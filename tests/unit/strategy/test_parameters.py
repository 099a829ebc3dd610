"""A strategy's parameters are checked as declared, and an error says what would be right."""

from typing import Annotated, Literal

import pytest
from msgspec import Meta

from tickwright.core.errors import ConfigError
from tickwright.strategy.library.mean_reversion import MeanReversionParameters
from tickwright.strategy.parameters import StrategyParameters, bounds_of, parameters_from


class Sample(StrategyParameters, frozen=True, kw_only=True):
    window: Annotated[int, Meta(ge=2, le=100)] = 10
    factor: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5
    edge: Annotated[float, Meta(ge=0.0)] | None = None
    mode: Literal["fast", "slow"] = "fast"
    size: int

    def fault(self) -> str | None:
        return "size must be below window" if self.size >= self.window else None


def test_parameters_from_when_valid_then_instance_with_defaults():
    expected = Sample(window=20, size=3, factor=0.5, edge=2.0)
    assert expected == parameters_from(Sample, {"window": 20, "size": 3, "edge": 2})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"windw": 5, "size": 1}, ["windw", "did you mean 'window'?"]),
        ({"window": 1, "size": 1}, ["p.window = 1", "at least 2", "at most 100"]),
        ({"window": 101, "size": 1}, ["p.window = 101", "at most 100"]),
        ({"window": 2.5, "size": 1}, ["p.window = 2.5", "whole number"]),
        ({"window": True, "size": 1}, ["p.window = True"]),
        ({"factor": 1.0, "size": 1}, ["p.factor = 1.0", "above 0", "below 1"]),
        ({"factor": float("nan"), "size": 1}, ["p.factor = nan", "above 0"]),
        ({"edge": float("inf"), "size": 1}, ["p.edge = inf"]),
        ({"factor": "0.5", "size": 1}, ["p.factor = '0.5'"]),
        ({"mode": "quick", "size": 1}, ["p.mode = 'quick'", "fast, slow"]),
        ({}, ["p", "size"]),
        ({"size": 10}, ["size must be below window"]),
    ],
)
def test_parameters_from_when_wrong_then_error_names_key_and_bound(values, words):
    with pytest.raises(ConfigError) as caught:
        parameters_from(Sample, values, where="p")
    missing = [word for word in words if word not in str(caught.value)]
    assert [] == missing, str(caught.value)


def test_bounds_of_when_asked_then_a_sweep_can_read_them():
    bounds = {bound.name: bound for bound in bounds_of(Sample)}
    assert (2, 100, True, True) == (
        bounds["window"].low,
        bounds["window"].high,
        bounds["window"].is_low_allowed,
        bounds["window"].is_high_allowed,
    )
    assert (False, False) == (bounds["factor"].is_low_allowed, bounds["factor"].is_high_allowed)
    assert bounds["edge"].is_optional
    assert ("fast", "slow") == bounds["mode"].choices


def test_mean_reversion_parameters_when_contradicting_then_refused():
    for values in ({"exit_z": 3.0}, {"z_full": 1.5}):
        with pytest.raises(ConfigError):
            parameters_from(MeanReversionParameters, values)
