"""A trader that writes its history while database, writer or the trader itself is killed."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.integration.app.trading import settings_for, simulator, trading, until
from tests.runs import EAGER, written_below
from tickwright.app.config import load_config
from tickwright.app.config_model import HistoryConfig
from tickwright.app.doctor_history import look_at_history
from tickwright.app.doctor_lines import DoctorLine, Findings
from tickwright.app.history import ask_history, load_session, migrate_history
from tickwright.app.history_open import attach_history
from tickwright.app.history_spool import HISTORY_FOLDER, spool_status
from tickwright.app.history_tap import HistoryTap
from tickwright.app.trader import Trader
from tickwright.app.trader_folder import TraderFolder
from tickwright.bench.postgres import fresh_database, postgres
from tickwright.cli.main import app
from tickwright.core.commands import Notice
from tickwright.storage.segments import RecordKind, read_segments

SYMBOLS = ("BTCUSDT", "ETHUSDT")
LONG_S = 60.0
SAME = (
    "SELECT symbol, at, side, price, size, trade_id, received_ns FROM trades ORDER BY 1, 2, 6",
    "SELECT * FROM trade_candles ORDER BY symbol, at",
    "SELECT * FROM signals ORDER BY event_id",
    "SELECT order_id, state, price, size, filled, at FROM orders ORDER BY 1",
    "SELECT * FROM executions ORDER BY execution_id",
    "SELECT * FROM fundings ORDER BY symbol, 1",
    "SELECT * FROM risk_events ORDER BY event_id",
)
"""What a run and a replay of its recording write alike; samples are taken at other instants."""


def public_trades(session: Path) -> list[tuple[str, str, str]]:
    """Return symbol, id and price of every trade in a session's raw frames."""
    found = []
    for record in read_segments(session):
        if getattr(record, "kind", None) is RecordKind.FRAME and b"publicTrade" in record.payload:
            for one in json.loads(record.payload)["data"]:
                found.append((one["s"], one["i"], str(float(one["p"]))))
    return sorted(found)


def numbered(told: list[tuple[str | None, ...]]) -> list[tuple[str, str, str]]:
    """Return what the database tells of trades in the form of `public_trades`."""
    return [(str(symbol), str(name), str(float(price or 0))) for symbol, name, price in told]


async def asked(dsn: str, query: str) -> list[tuple[str | None, ...]]:
    return list((await asyncio.to_thread(ask_history, dsn, query, limit=100_000)).rows)


@contextlib.asynccontextmanager
async def writing(
    folder: Path, dsn: str, notes: list[str]
) -> AsyncIterator[tuple[Trader, HistoryTap]]:
    """Trade with a history; at the end it is brought home."""
    history: HistoryTap | None = None

    def on_notice(notice: Notice) -> None:
        if history is not None:
            history.on_notice(notice)

    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, folder, SYMBOLS)
        async with trading(settings, on_notice=on_notice) as trader:
            history = attach_history(
                trader,
                dsn,
                HistoryConfig(),
                on_note=lambda event, text: notes.append(f"{event} {text}"),
            )
            work = asyncio.create_task(history.run())
            try:
                yield trader, history
            finally:
                trader.stop()
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        await history.aclose()


async def seen(condition: Callable[[], bool], what: str) -> None:
    await until(condition, what, LONG_S)


@pytest.mark.timeout(200)
async def test_run_when_database_and_writer_are_killed_then_every_row_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    notes: list[str] = []
    with postgres() as server:
        dsn = server.dsn()
        await asyncio.to_thread(migrate_history, dsn, HistoryConfig())
        async with writing(tmp_path, dsn, notes) as (trader, history):
            await seen(lambda: history.state.rows > 0, "rows in the database")
            await asyncio.to_thread(server.kill)
            # On a slow machine some may be there from before the first connection.
            await seen(lambda: history.state.outages == 1, "the outage")
            before = history.state.spool_batches
            await seen(lambda: history.state.spool_batches >= before + 2, "batches on the disk")
            pid = history.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await seen(lambda: history.restarts == 1 and history.pid is not None, "a new writer")
            await seen(lambda: trader.engine.summary().fills >= 4, "four fills")
            await asyncio.to_thread(server.start)
            await seen(lambda: history.state.is_up, "the database is back")
            await seen(lambda: not history.state.spool_batches, "the spool is drained")
            monkeypatch.setattr("tickwright.app.history_tap.SILENT_S", 2.0)
            pid = history.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            await seen(lambda: history.restarts == 2, "a writer that hangs is ended")
            monkeypatch.undo()
            await seen(lambda: history.state.is_up, "the third writer")
        report = history.report()
        session = tmp_path / "session"
        again = await fresh_database(server, "again")
        await asyncio.to_thread(migrate_history, again, HistoryConfig())
        await asyncio.to_thread(load_session, session, again, HistoryConfig())
        for query in SAME:
            assert await asked(again, query) == await asked(dsn, query), query
        # Loading what is there already doubles nothing.
        await asyncio.to_thread(load_session, session, dsn, HistoryConfig())
        told = await asked(dsn, "SELECT symbol, trade_id, price::float8::text FROM trades")
        samples = await asked(dsn, "SELECT count(*), count(DISTINCT (symbol, at)) FROM tops")
        executions = await asked(dsn, "SELECT count(*) FROM executions WHERE kind = 'trade'")
        lost = await asked(dsn, "SELECT lost FROM sources")
    assert public_trades(session) == sorted(numbered(told))
    assert [(str(trader.engine.summary().fills),)] == executions
    assert samples[0][0] == samples[0][1]
    assert [("0",)] == lost
    assert (True, True, 0, 2) == (report.is_whole, report.is_up, report.lost, report.restarts)
    assert report.outages >= 1
    words = " ".join(notes)
    assert "history.away" in words
    assert "history.back" in words
    assert "history.ended" in words


PASSWORD = "canary-of-postgres"


async def tickwright(*words: str) -> tuple[int, str]:
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    return done.exit_code, done.output


async def doctored(path: Path) -> str:
    lines: list[DoctorLine] = []
    config = await asyncio.to_thread(load_config, path)
    await look_at_history(Findings("history", lines), config, TraderFolder(path))
    return " ".join(f"{line.name} {line.verdict} {line.text}" for line in lines)


async def started(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tickwright", *words,
        env={**os.environ, "NO_COLOR": "1"}, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.timeout(200)
async def test_run_when_killed_without_a_database_then_drain_and_load_bring_everything_home(
    tmp_path: Path,
):
    path = tmp_path / "my.toml"
    spool = tmp_path / "sessions" / "state" / HISTORY_FOLDER
    with postgres() as server:
        # The schema isn't there yet: a person must look, and trading goes on.
        dsn = server.dsn().replace("postgres@", f"postgres:{PASSWORD}@")
        path.write_text(f'{EAGER}\n[history]\ndsn = "{dsn}"\n')
        running = await started("run", str(path))
        await seen(lambda: spool_status(spool).batches >= 2, "batches on the disk")
        look = spool_status(spool)
        running.kill()
        said = (await running.communicate())[0].decode()
        await seen(lambda: spool_status(spool).writer == "ended", "the writer's end")
        code, shown = await tickwright("db", "status", str(path))
        assert (0, True) == (code, "missing: 0001" in shown), shown
        assert f"spool {spool}: " in shown
        assert "db migrate" in shown
        assert "database warn the schema lacks" in (before := await doctored(path))
        assert "spool warn " in before
        code, shown = await tickwright("db", "drain", str(path))
        assert (1, True) == (code, "tickwright db migrate" in shown), shown
        assert 0 == (await tickwright("db", "migrate", str(path)))[0]
        code, drained = await tickwright("db", "drain", str(path), "--json", "-")
        assert 0 == code, drained
        session = next(one for one in (tmp_path / "sessions").glob("2*"))
        filled = await asyncio.to_thread(load_session, session, dsn, HistoryConfig())
        told = await asked(dsn, "SELECT symbol, trade_id, price::float8::text FROM trades")
        doctor = await doctored(path)
    sick = await doctored(path)
    code, shown = await tickwright("db", "status", str(path))
    assert (1, True, True) == (code, "can't be reached" in shown, "spool " in shown), shown
    result = json.loads(drained)
    assert ("away", True) == (look.writer, "tickwright db migrate" in look.fault)
    assert result["batches"] >= 2
    assert result["rows"] > 0
    assert 0 == spool_status(spool).batches
    # The writer outlived the trader: what the recording lost in its last moment is there as well.
    # A row that the spool held twice was skipped by the drain itself.
    assert result["rows"] + result["skipped"] >= filled.skipped
    assert Counter(public_trades(session)) <= (there := Counter(numbered(told)))
    assert {1} == set(there.values())
    assert "database ok " in doctor
    assert "spool ok 0 batches wait" in doctor
    assert "database warn " in sick
    assert PASSWORD not in said + shown + drained + before + doctor + sick + written_below(tmp_path)
