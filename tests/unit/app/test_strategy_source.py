"""A strategy is found by name or file, and what is wrong with it is one sentence with its place."""

from pathlib import Path

import pytest

from tickwright.app.strategy_source import library_names, load_strategy, resolved_source
from tickwright.core.errors import ConfigError
from tickwright.strategy.library.mean_reversion import MeanReversion

GOOD = """
from typing import Annotated
import msgspec
import tickwright as tw

class Parameters(tw.StrategyParameters, frozen=True, kw_only=True):
    size: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1

class Mine(tw.Strategy):
    Parameters = Parameters
    def on_book(self, book):
        return None

class Abstract(tw.Strategy):
    pass

class Untyped(tw.Strategy):
    Parameters = dict
    def on_book(self, book):
        return None

number = 3
"""


def test_library_when_listed_then_each_name_loads(tmp_path: Path):
    assert "mean_reversion" in library_names()
    assert MeanReversion is load_strategy("mean_reversion", folder=tmp_path)
    for name in library_names():
        assert load_strategy(name, folder=tmp_path).Parameters() is not None


def test_file_when_good_then_its_class_is_returned(tmp_path: Path):
    (tmp_path / "mine.py").write_text(GOOD)

    kind = load_strategy("mine.py:Mine", folder=tmp_path)

    assert ("Mine", 1) == (kind.__name__, kind.Parameters().size)  # type: ignore[attr-defined]
    source = resolved_source("mine.py:Mine", folder=tmp_path)
    assert f"{tmp_path / 'mine.py'}:Mine" == source
    assert "Mine" == load_strategy(source, folder=Path("elsewhere")).__name__


def test_installed_module_when_named_then_its_class_is_returned(tmp_path: Path):
    name = "tickwright.strategy.library.mean_reversion:MeanReversion"

    assert MeanReversion is load_strategy(name, folder=tmp_path)
    assert name == resolved_source(name, folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("mean_revrsion", "did you mean 'mean_reversion'"),
        ("zzz", "the library has: .*mean_reversion"),
        ("mine.py", "write mine.py:Class"),
        ("absent.py:Mine", "absent.py does not exist"),
        ("mine.py:Miine", "did you mean 'Mine'"),
        ("mine.py:number", "is no strategy: derive it from tickwright.Strategy"),
        ("mine.py:Abstract", "lacks on_book"),
        ("mine.py:Untyped", "must derive from tickwright.StrategyParameters"),
        ("no such module:Mine", "neither a FILE.py nor a module name"),
        ("no_such_module_at_all:Mine", "ModuleNotFoundError"),
        (":Mine", "must be a name, or FILE.py:Class"),
    ],
)
def test_source_when_wrong_then_says_what_to_do(source: str, text: str, tmp_path: Path):
    (tmp_path / "mine.py").write_text(GOOD)

    with pytest.raises(ConfigError, match=text):
        load_strategy(source, folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\nimport tickwright\nx = 1 / 0\n", r"ZeroDivisionError: .*broken\.py:3\)"),
        ("\n\ndef oops(:\n", r"SyntaxError: .*broken\.py:3\)"),
        ("import not_a_module_anywhere\n", r"ModuleNotFoundError: .*broken\.py:1\)"),
        ("class Odd(Exception): ...\nraise Odd('mine')\n", r"Odd: mine .*broken\.py:2\)"),
    ],
)
def test_file_when_it_fails_while_read_then_names_the_line(content: str, text: str, tmp_path: Path):
    (tmp_path / "broken.py").write_text(content)

    with pytest.raises(ConfigError, match=text):
        load_strategy("broken.py:Mine", folder=tmp_path)
