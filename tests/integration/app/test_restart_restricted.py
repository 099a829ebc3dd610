"""A trader killed with its limits reached starts again with them reached."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.integration.app.losing_trader import losing_settings
from tests.integration.app.trading import ACCOUNT, simulator, trading, until
from tickwright.app.replay import Replay, ReplayResult
from tickwright.app.trader import Trader
from tickwright.core.errors import StorageError
from tickwright.simulator.run import RunningSimulator
from tickwright.storage.kept_state import KEPT_STATE_FILE, read_kept_state

SYMBOLS = ("BTCUSDT", "ETHUSDT")
ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def losing_process(
    running: RunningSimulator, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.app.losing_trader",
        str(folder),
        running.rest,
        running.public,
        running.private,
        running.trade,
        *SYMBOLS,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def replayed(session: Path) -> ReplayResult:
    return await asyncio.to_thread(Replay(session).run)


def kinds_kept(folder: Path) -> set[str]:
    state = read_kept_state(folder / "state")
    return set() if state is None else {row.kind.value for row in state.risk.restrictions}


async def test_trader_when_killed_with_limits_reached_then_starts_restricted_and_replays(
    tmp_path: Path,
) -> None:
    reached = {"loss_streak", "daily_loss", "drawdown"}
    async with simulator(SYMBOLS) as running:
        async with losing_process(running, tmp_path) as process:
            await until(lambda: reached <= kinds_kept(tmp_path), "all limits reached", 60.0)
            # One trader at a time: the second is told whom to stop.
            second = Trader(losing_settings(running, tmp_path, SYMBOLS, session="session-second"))
            with pytest.raises(StorageError, match=f"in use by process {process.pid} "):
                await second.start()
            await second.close()
            # The recording lags behind the kept state by what its thread hasn't written yet.
            while not (await replayed(tmp_path / "session-killed")).decisions_checked:
                assert process.returncode is None
            process.kill()
            await process.wait()
        kept = read_kept_state(tmp_path / "state")
        assert kept is not None
        settings = losing_settings(running, tmp_path, SYMBOLS, session="session-again")
        async with trading(settings) as trader:
            state = trader.engine.state
            await until(lambda: ACCOUNT in state.view.ready_accounts, "the account was read")
            refused = "daily_loss"
            await until(
                lambda: all(
                    one.refusals.get(refused) or one.refusals.get("protection")
                    for one in trader.engine.summary().strategies
                ),
                "each strategy was refused",
            )
            summary = trader.engine.summary()
            rows = {row.name: row for row in summary.protections}
            # What the killed one lost in its last second may have tripped one more.
            assert {row.name for row in kept.risk.restrictions} <= set(rows)
            assert [(row.reason, row.since_ns) for row in kept.risk.restrictions] == [
                (rows[row.name].reason, rows[row.name].since_ns) for row in kept.risk.restrictions
            ]
            assert [0] * 4 == [one.orders for one in summary.strategies]
            # Nothing the killed one had counted was counted twice.
            assert {} == {
                kind: count
                for kind, count in summary.protections_entered.items()
                if kind not in reached
            }
            day = next(day for day in kept.risk.days if day.account_id == ACCOUNT)
            assert day.day_start_equity == state.portfolio.account(ACCOUNT).day_base
        digest = trader.engine.digest
    again = await replayed(tmp_path / "session-again")
    assert "" == again.difference
    assert again.is_complete
    assert digest == again.digest
    killed = await replayed(tmp_path / "session-killed")
    assert "" == killed.difference
    assert killed.decisions_checked > 0


async def test_trader_when_the_kept_state_is_damaged_then_refuses_to_start(tmp_path: Path) -> None:
    async with simulator(SYMBOLS) as running:
        settings = losing_settings(running, tmp_path, SYMBOLS, session="session-1")
        async with trading(settings) as trader:
            await until(lambda: trader.engine.summary().fills >= 2, "two fills")
        path = tmp_path / "state" / KEPT_STATE_FILE
        raw = path.read_bytes()
        path.write_bytes(raw[: len(raw) // 2])
        again = msgspec.structs.replace(settings, session_folder=tmp_path / "session-2")
        refused = Trader(again)
        with pytest.raises(StorageError, match="move it away"):
            await refused.start()
        await refused.close()
        # Whoever looked and moved it away begins anew.
        path.rename(path.with_suffix(".damaged"))
        async with trading(again) as trader:
            await until(lambda: ACCOUNT in trader.engine.state.view.ready_accounts, "ready")


async def test_trader_when_accounts_are_fresh_then_nothing_of_an_earlier_run_counts(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS) as running:
        settings = losing_settings(running, tmp_path, SYMBOLS, session="session-1")
        async with trading(settings) as trader:
            await until(
                lambda: "loss_streak" in trader.engine.summary().protections_entered, "loss"
            )
        assert "loss_streak" in kinds_kept(tmp_path)
    async with simulator(SYMBOLS) as running:
        settings = losing_settings(running, tmp_path, SYMBOLS, session="session-2")
        fresh = msgspec.structs.replace(settings, has_fresh_accounts=True)
        async with trading(fresh) as trader:
            await until(lambda: ACCOUNT in trader.engine.state.view.ready_accounts, "ready")
            assert {} == trader.engine.summary().protections_entered
