"""What the extra brings, when it isn't there: one sentence with the remedy."""

import sys

import pytest

from tests.unit.research.formula import Parabola, recipe
from tickwright.cli.trial_options import research_or_fault
from tickwright.core.errors import ConfigError
from tickwright.research.sweep import sweep


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("optuna", lambda: sweep(Parabola(), ["one.n=1,2"], sampler="tpe", trials=2)),
        ("ray", lambda: sweep(recipe(), ["one.n=1,2"], objective="value", ray="local")),
        ("polars", lambda: sweep(Parabola(), ["one.n=1,2"], objective="value").frame()),
    ],
)
def test_package_when_missing_then_named_with_the_remedy(
    name: str, act, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"install tickwright\[research\]"):
        act()


def test_verb_when_a_package_is_missing_then_named_and_other_faults_pass():
    with pytest.raises(ConfigError, match="polars is not installed"), research_or_fault():
        raise ModuleNotFoundError("No module named 'polars'", name="polars")
    with pytest.raises(ModuleNotFoundError), research_or_fault():
        raise ModuleNotFoundError("No module named 'mine'", name="mine")
