"""Lifting in a kept state does what lifting in a running engine does."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.engine.bench import Bench, long
from tests.unit.engine.test_protections import (
    lose,
    operator,
    restarted,
    stop_out,
    through_bytes,
    two,
)
from tickwright.app.protections import edit
from tickwright.core.errors import ConfigError
from tickwright.core.events import OperatorVerb
from tickwright.core.risk_state import RiskState


def troubled() -> Bench:
    """Return an engine in which much is restricted."""
    bench = two(daily_loss_percent_max=Decimal(5), drawdown_percent_max=Decimal(5))
    stop_out(bench)
    for _ in range(3):
        bench.say(long(), by="two")
        bench.reply_refused(bench.placed(), "no money")
    lose(bench, 5_100)
    operator(bench, OperatorVerb.HALT, "two")
    return bench


def test_edit_when_each_is_lifted_then_equal_to_lifting_in_the_engine():
    kept = through_bytes(troubled().engine.kept_state().risk)
    names = [row.name for row in kept.restrictions]
    assert {"cooldown@one/venue:linear:BTCUSDT", "drawdown@venue:main", "equal_rejects@two"} < set(
        names
    )
    for name in names:
        if name.startswith("daily_loss"):
            continue
        bench = troubled()
        operator(bench, OperatorVerb.LIFT, name)
        edited = edit(kept, name, kept.saved_ns)
        expected = [row.name for row in bench.engine.kept_state().risk.restrictions]
        assert expected == [row.name for row in edited.restrictions], name
        assert name not in expected
        assert counts(bench.engine.kept_state().risk) == counts(edited), name


def counts(state: RiskState) -> object:
    """Return what is counted; the days differ, since a running account knows its equity."""
    breaches = [one.has_drawdown_breach for one in state.gate.accounts]
    return breaches, [msgspec.structs.replace(one, returns=()) for one in state.strategies]


def test_edit_when_drawdown_is_lifted_then_the_next_start_has_a_new_peak():
    bench = troubled()
    kept = edit(bench.engine.kept_state().risk, "drawdown@venue:main", bench.now_ns)
    assert [None] == [day.peak_equity for day in kept.days]
    assert all(day.day_start_equity for day in kept.days)
    again = restarted(bench, state=kept)
    again.pass_time(1_100)
    assert "drawdown@venue:main" not in [row.name for row in again.engine.summary().protections]
    assert "daily_loss@venue:main" in [row.name for row in again.engine.summary().protections]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("daily_loss@venue:main", "it ends with the day"),
        ("drawdwn@venue:main", "did you mean 'drawdown@venue:main'?"),
        ("drawdown@venue:other", "it is not in force; did you mean 'drawdown@venue:main'?"),
        ("everything", "must be written KIND@SCOPE"),
    ],
)
def test_edit_when_the_name_will_not_do_then_refused_with_the_nearest(name, words):
    kept = troubled().engine.kept_state().risk
    with pytest.raises(ConfigError) as refused:
        edit(kept, name, kept.saved_ns)
    assert words in str(refused.value)


def test_edit_when_its_time_has_passed_then_there_is_nothing_to_lift():
    kept = troubled().engine.kept_state().risk
    (row,) = [row for row in kept.restrictions if row.kind.value == "cooldown"]
    assert row.until_ns is not None
    with pytest.raises(ConfigError, match="not in force"):
        edit(kept, row.name, row.until_ns)
