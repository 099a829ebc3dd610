"""The verb `protections` on a state folder without and with a trader."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from tests.runs import SMALLEST
from tickwright.cli.main import app
from tickwright.core.identity import AccountId
from tickwright.core.kept_state import KeptState
from tickwright.core.restrictions import LiftedBy, ProtectionKind, Restriction, Scope, Stage
from tickwright.core.risk_state import RiskState
from tickwright.net.listener import utc_now_ns
from tickwright.storage.kept_state import KEPT_STATE_FILE, read_kept_state, write_kept_state
from tickwright.storage.lease import Lease

DRAWDOWN = Restriction(
    kind=ProtectionKind.DRAWDOWN,
    scope=Scope(account_id=AccountId("bybit", "paper")),
    stage=Stage.HALTED,
    lifted_by=LiftedBy.OPERATOR,
    reason="1500.00 USDT below the peak, 15.1 %; limit 15 % of the peak",
    since_ns=1_700_000_000_000_000_000,
    until_ns=None,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(SMALLEST)
    return path


def folder_of(config: Path) -> Path:
    return config.parent / "sessions" / "state"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["protections", *map(str, arguments)])


def keep(config: Path, *rows: Restriction) -> RiskState:
    state = RiskState(saved_ns=utc_now_ns(), restrictions=rows)
    write_kept_state(folder_of(config), KeptState(risk=state))
    return state


def test_list_when_nothing_was_ever_kept_then_says_so_and_makes_nothing(config: Path):
    result = run(config)
    assert (0, "") == (result.exit_code, result.stderr)
    assert "keeps no state yet" in result.stdout
    assert not folder_of(config).exists()


def test_list_when_restricted_then_each_with_state_name_end_and_reason(config: Path):
    later_ns = utc_now_ns() + 3_600 * 10**9
    timed = msgspec.structs.replace(
        DRAWDOWN,
        kind=ProtectionKind.LOSS_STREAK,
        scope=Scope.parse("reversion"),
        stage=Stage.REDUCING,
        until_ns=later_ns,
    )
    over = msgspec.structs.replace(timed, kind=ProtectionKind.COOLDOWN, until_ns=1)
    keep(config, DRAWDOWN, timed, over)
    lines = run(config).stdout.splitlines()
    assert 2 == len(lines)
    assert lines[0].startswith("halted   drawdown@bybit:paper  until a person lifts it: 1500.00")
    assert lines[1].startswith("reducing loss_streak@reversion  until 20")
    shown = json.loads(run(config, "--json", "-").stdout)
    assert ["drawdown@bybit:paper", "loss_streak@reversion"] == [
        row["name"] for row in shown["protections"]
    ]
    assert later_ns == shown["protections"][1]["until_ns"]


def test_lift_when_it_stands_then_it_alone_goes(config: Path):
    halt = msgspec.structs.replace(DRAWDOWN, kind=ProtectionKind.OPERATOR, scope=Scope())
    keep(config, DRAWDOWN, halt)
    result = run(config, "--lift", "drawdown@bybit:paper")
    assert (0, "") == (result.exit_code, result.stderr)
    assert "lifted drawdown@bybit:paper" in result.stdout
    kept = read_kept_state(folder_of(config))
    assert kept is not None
    assert (halt,) == kept.risk.restrictions
    result = run(config, "--lift", "operator@all")
    assert "nothing is restricted" in result.stdout


def test_lift_when_misspelt_then_refused_with_the_nearest_and_nothing_changed(config: Path):
    keep(config, DRAWDOWN)
    raw = (folder_of(config) / KEPT_STATE_FILE).read_bytes()
    result = run(config, "--lift", "drawdown@bybit:paper", "--lift", "drawdwn@bybit:paper")
    assert 2 == result.exit_code
    assert "drawdwn" in result.stderr
    assert raw == (folder_of(config) / KEPT_STATE_FILE).read_bytes()
    result = run(config, "--lift", "drawdwn@bybit:paper")
    assert "did you mean 'drawdown@bybit:paper'?" in result.stderr


def test_lift_when_a_trader_runs_then_refused_by_its_number(config: Path):
    keep(config, DRAWDOWN)
    lease = Lease.take(folder_of(config), utc_now_ns())
    result = run(config, "--lift", "drawdown@bybit:paper")
    assert 1 == result.exit_code
    assert f"in use by process {lease.record.pid} (trade" in result.stderr
    # Looking is allowed meanwhile.
    assert "drawdown@bybit:paper" in run(config).stdout
    lease.release()
    assert 0 == run(config, "--lift", "drawdown@bybit:paper").exit_code


@pytest.mark.parametrize("arguments", [(), ("--lift", "drawdown@bybit:paper")])
def test_verb_when_the_state_is_damaged_then_refused_with_a_remedy(
    config: Path, arguments: tuple[str, ...]
):
    keep(config, DRAWDOWN)
    path = folder_of(config) / KEPT_STATE_FILE
    path.write_bytes(path.read_bytes()[:-20])
    result = run(config, *arguments)
    assert 1 == result.exit_code
    assert "move it away" in result.stderr


def test_lift_when_nothing_was_kept_then_refused(config: Path):
    result = run(config, "--lift", "drawdown@bybit:paper")
    assert 2 == result.exit_code
    assert "there is nothing to lift" in result.stderr
