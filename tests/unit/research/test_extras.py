"""What the extra brings, when it isn't there: one sentence with the remedy."""

import sys

import pytest
import typer

from tests.unit.research.formula import Parabola, recipe
from tickwright.cli.outcome import verb
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


def test_verb_when_a_package_is_missing_then_named_and_other_faults_pass(
    capsys: pytest.CaptureFixture[str],
):
    @verb("sweep")
    def lacks(name: str) -> int:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    with pytest.raises(typer.Exit) as ended:
        lacks("polars")
    assert 2 == ended.value.exit_code
    assert "polars is not installed" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        lacks("mine")
