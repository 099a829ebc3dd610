"""No way to see ahead: what is decided doesn't depend on what follows."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backtest.tapes import WIDE
from tickwright.backtest.probe import probe
from tickwright.backtest.run import BacktestSettings, run_backtest
from tickwright.backtest.synthetic import SyntheticTape, write_synthetic
from tickwright.backtest.tape import Tape
from tickwright.backtest.venue import AccountTerms
from tickwright.core.errors import ConfigError
from tickwright.core.orders import OrderIntent, Side, TimeInForce
from tickwright.core.signals import Decision
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.strategy.base import Strategy


class Honest(Strategy):
    """Takes a lot now and then, by what it has seen."""

    seen = 0

    def on_book(self, book: Any) -> Decision:
        self.seen += 1
        if self.seen % 50:
            return None
        side = Side.BUY if (book.imbalance(3) or 0.0) > 0 else Side.SELL
        price = book.best_ask if side is Side.BUY else book.best_bid
        if price is None:
            return None
        return OrderIntent(
            instrument_id=book.instrument_id,
            side=side,
            price_units=price,
            size_units=10,
            time_in_force=TimeInForce.IOC,
        )


def settings(folder: Path, kind: type[Strategy]) -> BacktestSettings:
    tape = Tape(folder)
    return BacktestSettings(
        tape=folder,
        plan=TradingPlan(
            engine=EngineConfig(risk=WIDE),
            accounts=("sim:main",),
            strategies=(
                StrategyPlan(
                    strategy_id="one",
                    source="one",
                    account="sim:main",
                    instruments=(str(tape.instruments[0].id),),
                ),
            ),
        ),
        classes={"one": kind},
        accounts={"sim:main": AccountTerms(balances=(("USDT", Decimal(100_000)),))},
    )


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tapes") / "one"
    write_synthetic(folder, SyntheticTape(messages=3_000))
    return folder


def test_probe_when_the_strategy_is_honest_then_every_decision_stays(tape: Path):
    wanted = settings(tape, Honest)
    whole = run_backtest(wanted)
    result = probe(wanted, whole, cuts=5)
    assert (5, "") == (result.cuts, result.difference)
    assert result.orders_compared > 20


def test_probe_when_a_strategy_knows_the_end_then_names_the_first_changed_order(tape: Path):
    ends: list[int] = []

    class Cheating(Honest):
        def on_book(self, book: Any) -> Decision:
            answer = super().on_book(book)
            # It learnt how long the whole day is, and leaves the last part alone.
            if answer is None or self.context.now_ns > ends[-1] - 5_000_000_000:
                return None
            return answer

    wanted = settings(tape, Cheating)
    received = Tape(tape).received_ns

    def run(until_ns: int) -> Any:
        ends.append(until_ns)
        return run_backtest(replace(wanted, until_ns=until_ns))

    whole = run(int(received[-1]) + 1)
    cut_ns = int(received[len(received) // 2])
    ends.append(cut_ns)
    result = probe(replace(wanted), whole, cuts=3)
    assert "changed: with the whole tape" in result.difference


def test_probe_when_asked_for_no_cut_then_refuses(tape: Path):
    wanted = settings(tape, Honest)
    with pytest.raises(ConfigError, match="choose from 1 to 1000"):
        probe(wanted, run_backtest(wanted), cuts=0)
