"""Every strategy of the library has an example that is good, and a row in the docs."""

from pathlib import Path

import pytest

from tickwright.app.config import load_config
from tickwright.app.strategy_source import library_names, load_strategy

ROOT = Path(__file__).resolve().parents[4]
WITHOUT = {"mean_reversion"}
"""What `init` and the demo show has no file of its own."""


@pytest.mark.parametrize("name", sorted(set(library_names()) - WITHOUT))
def test_example_when_checked_then_good_and_sets_what_its_strategy_needs(name):
    config = load_config(ROOT / "examples" / f"{name}.toml")
    (strategy,) = config.strategies
    assert load_strategy(name, folder=ROOT) is strategy.kind
    page = (ROOT / "docs" / "strategies.md").read_text("utf-8")
    assert f"| `{name}` |" in page
