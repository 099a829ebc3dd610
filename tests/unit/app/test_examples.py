"""The example strategy is found by its configuration and trades on a book made by hand."""

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.engine.bench import BTC, CONFIG, Bench
from tickwright.app.config import load_config
from tickwright.app.strategy_source import load_strategy
from tickwright.core.commands import PlaceOrder, SignalNotice
from tickwright.core.orders import Side

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "lean.toml"


def lean_on(bench: Bench, *, bid_size: int, ask_size: int, updates: int) -> list[PlaceOrder]:
    """Show the engine a book that leans to one side; return the orders it sends."""
    book = bench.books[BTC]
    orders: list[PlaceOrder] = []
    for _ in range(updates):
        bench.now_ns += 10_000_000
        bench._update_id += 1
        book.apply_snapshot(
            [(600_000 - level, bid_size) for level in range(20)],
            [(600_001 + level, ask_size) for level in range(20)],
            update_id=bench._update_id,
            received_ns=bench.now_ns,
        )
        commands = bench.take(bench.engine.on_book(book.slot, bench.now_ns))
        orders += [command for command in commands if isinstance(command, PlaceOrder)]
    return orders


def test_example_when_checked_then_is_good_and_names_its_strategy():
    config = load_config(EXAMPLE)

    assert ["Lean"] == [strategy.kind.__name__ for strategy in config.strategies]
    assert {"levels": 5, "window": 30, "entry": 0.3} == msgspec.to_builtins(
        config.strategies[0].parameters
    )


def test_example_when_bids_outweigh_asks_for_a_window_then_buys_once():
    kind = load_config(EXAMPLE).strategies[0].kind
    bench = Bench(CONFIG, strategies={"lean": kind()})

    assert [] == lean_on(bench, bid_size=9_000, ask_size=1_000, updates=48)
    (order,) = lean_on(bench, bid_size=9_000, ask_size=1_000, updates=3)
    assert Side.BUY is order.side


def test_example_when_asks_outweigh_bids_then_sells_and_its_reason_is_told():
    kind = load_config(EXAMPLE).strategies[0].kind
    bench = Bench(CONFIG, strategies={"lean": kind()})

    (order,) = lean_on(bench, bid_size=1_000, ask_size=9_000, updates=60)
    assert Side.SELL is order.side
    (signal,) = [n for n in bench.notices if isinstance(n, SignalNotice)]
    assert "average imbalance -" in signal.signal.reason


def test_example_of_a_target_when_below_then_bought_in_slices():
    strategy = load_config(EXAMPLE.with_name("hold_target.toml")).strategies[0]
    assert {"target": "0.02", "minutes": 0.5, "slices": 5} == msgspec.to_builtins(
        strategy.parameters
    )
    bench = Bench(CONFIG, strategies={"hold": strategy.kind()})
    # The default: 0.02 are 20 units, in six slices over a minute.
    sizes = []
    for _ in range(400):
        for order in bench.places(bench.book(600_000, after_ms=1) + bench.pass_time(199)):
            sizes.append(order.size_units)
            bench.execute(order)
    assert (6, 20, 20) == (len(sizes), sum(sizes), bench.share("hold"))
    assert {} == bench.engine.state.works


def test_strategy_of_the_readme_when_bids_outweigh_asks_then_buys(tmp_path: Path):
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "lean.py").write_text(code[0])
    kind = load_strategy("lean.py:Lean", folder=tmp_path)
    bench = Bench(CONFIG, strategies={"lean": kind()})

    (order,) = lean_on(bench, bid_size=9_000, ask_size=1_000, updates=60)
    assert Side.BUY is order.side


def test_test_of_the_strategies_page_when_run_then_passes(monkeypatch: pytest.MonkeyPatch):
    page = (ROOT / "docs" / "strategies.md").read_text("utf-8")
    code = [c for c in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def test_" in c]
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.delitem(sys.modules, "lean", raising=False)
    names: dict[str, Any] = {}

    exec(code[0], names)
    names["test_lean_when_bids_outweigh_asks_then_wants_to_be_long"]()
    monkeypatch.delitem(sys.modules, "lean")
