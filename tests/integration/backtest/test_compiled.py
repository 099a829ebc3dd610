"""A strategy compiled on first use: the same orders as its plain form, and clear words when not."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tickwright.app.compiled_strategy import CACHE
from tickwright.app.strategy_source import load_strategy
from tickwright.backtest.run import run_backtest
from tickwright.backtest.synthetic import SyntheticTape, write_synthetic
from tickwright.bench.backtest import settings_for
from tickwright.core.errors import ConfigError

EXAMPLES = Path(__file__).parents[3] / "examples"
PLAIN_PAUSE = "PAUSE_MESSAGES = 5_000"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The example with a shorter pause, so that a short tape holds some orders."""
    text = (EXAMPLES / "compiled_signal.pyx").read_text()
    assert PLAIN_PAUSE in text
    path = tmp_path / "compiled_signal.pyx"
    path.write_text(text.replace(PLAIN_PAUSE, "PAUSE_MESSAGES = 300"))
    return path


def test_strategy_when_compiled_then_decides_as_its_plain_form_and_is_compiled_once(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tickwright.bench.backtest_strategies.PAUSE_MESSAGES", 300)
    tape = write_synthetic(tmp_path / "tape", SyntheticTape(messages=8_000))
    plain = settings_for(tape, "signal")
    compiled = replace(
        plain, classes={"signal": load_strategy(f"{source.name}:RareSignal", folder=tmp_path)}
    )
    first, second = run_backtest(plain), run_backtest(compiled)
    assert {} == first.halted == second.halted
    assert len(first.orders) > 5
    assert [msgspec.structs.asdict(one) for one in first.orders] == [
        msgspec.structs.asdict(one) for one in second.orders
    ]
    assert first.digest == second.digest
    built = list((tmp_path / CACHE).iterdir())
    assert 1 == len(built)
    stamp = built[0].stat().st_mtime_ns
    again = load_strategy(f"{source.name}:RareSignal", folder=tmp_path)
    assert compiled.classes["signal"] is again
    assert stamp == built[0].stat().st_mtime_ns


def test_strategy_when_it_does_not_compile_then_names_file_and_line(tmp_path: Path):
    (tmp_path / "broken.pyx").write_text("import tickwright as tw\n\ncdef int x = = 1\n")
    with pytest.raises(ConfigError, match=r"broken\.pyx doesn't compile: .*broken\.pyx:3"):
        load_strategy("broken.pyx:Broken", folder=tmp_path)
    assert [] == list((tmp_path / CACHE).iterdir())
