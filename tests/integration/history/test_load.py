"""A recorded session loaded into a real PostgreSQL by the verbs of the command line."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.integration.app.trading import settings_for, simulator, trading, until
from tickwright.app.config_model import HistoryConfig
from tickwright.app.history import ask_history, load_session, migrate_history
from tickwright.bench.postgres import Postgres, fresh_database, postgres
from tickwright.cli.main import app

SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def asked(dsn: str, query: str) -> list[tuple[str | None, ...]]:
    return list(ask_history(dsn, query, limit=1_000).rows)


async def recorded(folder: Path) -> dict[str, int]:
    async with simulator(SYMBOLS) as running:
        async with trading(settings_for(running, folder, SYMBOLS)) as trader:
            await until(lambda: trader.engine.summary().fills >= 4, "four fills")
            await until(lambda: trader.seconds > 2.5, "two samples")
        summary = trader.engine.summary()
        trades = sum(s.trade_count for feed in trader.feeds for s in feed.sessions)
    return {"fills": summary.fills, "trades": trades, "orders": summary.orders_placed}


async def test_session_when_loaded_cut_and_again_then_all_it_lived_through_is_there_once(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
):
    counts = await recorded(tmp_path)
    dsn = await fresh_database(server, "load")
    session = tmp_path / "session"
    await asyncio.to_thread(_checked, session, dsn, counts, monkeypatch)


def _taken_away(session: Path, rows_min: int) -> None:
    """Load into a database that is killed meanwhile and comes back a second later."""
    # The server ends with the thread that started it: the pool outlives it.
    with ThreadPoolExecutor(1) as pool, postgres() as server:
        dsn = server.dsn()
        migrate_history(dsn, HistoryConfig())
        kills: list[Future[None]] = []

        def come_back() -> None:
            time.sleep(1.0)
            server.start()

        def kill(done: int, size: int) -> None:
            if not kills and done > size // 3:
                server.kill()
                kills.append(pool.submit(come_back))

        loaded = load_session(session, dsn, HistoryConfig(), wait_s=40, on_progress=kill)
        kills[0].result()
        assert loaded.rows == rows_min
        assert [(str(loaded.rows), "0")] == asked(dsn, "SELECT rows, lost FROM sources")
        assert loaded.rows == load_session(session, dsn, HistoryConfig()).skipped


def _checked(
    session: Path,
    dsn: str,
    counts: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = CliRunner()
    monkeypatch.setenv("TICKWRIGHT_HISTORY_DSN", dsn)
    refused = runner.invoke(app, ["db", "load", str(session)])
    assert 1 == refused.exit_code
    assert "tickwright db migrate" in refused.output
    assert 0 == runner.invoke(app, ["db", "migrate"]).exit_code
    assert "nothing was missing" in runner.invoke(app, ["db", "migrate"]).output

    class Cut(Exception):
        pass

    def cut(done: int, size: int) -> None:
        if done > size // 2:
            raise Cut

    monkeypatch.setattr("tickwright.app.history.BATCH_ROWS", 50)
    with pytest.raises(Cut):
        load_session(session, dsn, HistoryConfig(), on_progress=cut)
    monkeypatch.setattr("tickwright.app.history.BATCH_ROWS", 170)
    rest = load_session(session, dsn, HistoryConfig())
    assert rest.skipped > 0
    once = asked(dsn, "SELECT sum(rows), count(*) FROM tickwright.sources")
    _taken_away(session, int(once[0][0] or 0))
    again = runner.invoke(app, ["db", "load", str(session), "--json", "-"])
    assert 0 == again.exit_code, again.output
    assert 0 == json.loads(again.output)["rows"]
    assert once == asked(dsn, "SELECT sum(rows), count(*) FROM tickwright.sources")
    assert [(str(counts["trades"]),)] == asked(dsn, "SELECT count(*) FROM trades")
    assert [(str(counts["trades"]),)] == asked(dsn, "SELECT sum(trades) FROM trade_candles")
    assert [(str(counts["fills"]),)] == asked(
        dsn, "SELECT count(*) FROM executions WHERE kind = 'trade'"
    )
    assert [(str(counts["orders"]),)] == asked(
        dsn, "SELECT count(*) FROM orders WHERE strategy_id IS NOT NULL"
    )
    samples = asked(dsn, "SELECT count(*), count(DISTINCT (symbol, at)) FROM tops")[0]
    assert samples[0] == samples[1]
    assert int(samples[0] or 0) >= 2
    assert [] != asked(dsn, "SELECT 1 FROM signals s JOIN orders o ON o.order_id = s.client_id")
    assert [] == asked(dsn, "SELECT at FROM tops WHERE bid >= ask")
    shown = runner.invoke(app, ["db", "sql", "SELECT symbol, count(*) FROM levels GROUP BY 1"])
    assert shown.output.startswith("symbol\tcount\n")
    refused = runner.invoke(app, ["db", "sql", "DELETE FROM tickwright.trade_rows"])
    assert 1 == refused.exit_code
    assert "read-only" in refused.output
    status = json.loads(runner.invoke(app, ["db", "status", "--json", "-"]).output)
    assert "native" == status["layout"]
    assert [] == status["pending"]
