"""The same rows, writers and queries in a true TimescaleDB and in plain PostgreSQL."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.integration.history.batches import T0, batch, execution, order, packed
from tests.integration.history.timescale import package_folder, timescale
from tickwright.app.config_model import HistoryConfig
from tickwright.app.history import Migrated, ask_history, migrate_history
from tickwright.bench.postgres import postgres
from tickwright.storage.history.rows import HistoryRow
from tickwright.storage.history.writer import HistoryWriter, Written

QUERIES = (
    "SELECT count(*), md5(string_agg((at, symbol, side, price, size, trade_id, sequence)::text, ''"
    " ORDER BY place)) FROM trades",
    "SELECT at, symbol, open, high, low, close, volume, trades FROM trade_candles ORDER BY at",
    "SELECT at, open, high, low, close, volume, trades FROM candles_of('5 minutes') ORDER BY at",
    "SELECT order_id, state, price, size, filled FROM orders ORDER BY order_id",
    "SELECT execution_id, fee, cash FROM executions ORDER BY execution_id",
)
DAY_S = 86_400
HYPERTABLES = """
SELECT h.hypertable_name, h.compression_enabled,
       string_agg(j.proc_name, ' ' ORDER BY j.proc_name)
FROM timescaledb_information.hypertables h
JOIN timescaledb_information.jobs j USING (hypertable_schema, hypertable_name)
WHERE h.hypertable_schema = 'tickwright' GROUP BY 1, 2 ORDER BY 1
"""
CHUNKS = (
    "SELECT count(*)::int, (count(*) FILTER (WHERE is_compressed))::int"
    " FROM timescaledb_information.chunks WHERE hypertable_name = 'trade_rows'"
)
JOB = (
    "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = $1 AND hypertable_name = $2"
)


@pytest.fixture
def package() -> Path:
    found = package_folder()
    if isinstance(found, str):
        pytest.skip(f"TimescaleDB isn't exercised: {found}")
    return found


async def write(dsn: str) -> list[Written]:
    """Write trades over two days in small batches, one again, and named rows that change."""
    rows = [
        (
            n,
            packed(
                n,
                at_ns=T0 + (n // 3 + (n > 600) * DAY_S) * 1_000_000_000,
                price=600_000 + n * 37 % 101,
                size=n,
                side=1 - n % 2 * 2,
            ),
        )
        for n in range(1, 900)
    ]
    writer = await HistoryWriter.open(dsn)
    told = []
    for first in range(0, 899, 70):
        part = rows[first : first + 70]
        made = batch("s", part, first=first, last=part[-1][0])
        told += [await writer.write(made), await writer.write(made)]
    for number, state in enumerate(("working", "filled"), start=1):
        named: list[tuple[int, HistoryRow | bytes]] = [
            (number, order(state, T0 + number)),
            (number, execution(1)),
            (number, execution(number + 1)),
        ]
        told.append(await writer.write(batch("o", named, first=number - 1, last=number)))
    await writer.close()
    return told


async def looked_after(dsn: str) -> dict[str, object]:
    """Let the policies run, as the server's workers would, and tell what they did."""
    connection = await asyncpg.connect(dsn)
    found: dict[str, object] = {
        "hypertables": [tuple(row) for row in await connection.fetch(HYPERTABLES)],
        "aggregates": await connection.fetchval(
            "SELECT string_agg(view_name, ' ') FROM timescaledb_information.continuous_aggregates"
        ),
        "before": tuple(await connection.fetchrow(CHUNKS)),
    }
    await connection.execute(
        "CALL refresh_continuous_aggregate('tickwright.minute_rows', NULL, NULL)"
    )
    compress = await connection.fetchval(JOB, "policy_compression", "trade_rows")
    await connection.execute(f"CALL run_job({compress})")
    found["compressed"] = tuple(await connection.fetchrow(CHUNKS))
    await connection.close()
    return found


async def days_dropped(dsn: str) -> tuple[int, int, int]:
    """Drop the first day by hand; returns partitions or chunks, trades and candles' trades."""
    connection = await asyncpg.connect(dsn)
    dropped = await connection.fetchval("SELECT tickwright.drop_days('2024-12-02')")
    left = await connection.fetchval("SELECT count(*)::int FROM tickwright.trades")
    kept = await connection.fetchval("SELECT sum(trades)::int FROM tickwright.trade_candles")
    await connection.close()
    return dropped, left, kept


async def retained(dsn: str) -> tuple[int, int]:
    """Let the retention policy run; returns the trades that are left, and those in candles."""
    connection = await asyncpg.connect(dsn)
    retention = await connection.fetchval(JOB, "policy_retention", "trade_rows")
    await connection.execute(f"CALL run_job({retention})")
    left = await connection.fetchval("SELECT count(*)::int FROM tickwright.trades")
    kept = await connection.fetchval("SELECT sum(trades)::int FROM tickwright.trade_candles")
    await connection.close()
    return left, kept


@pytest.mark.timeout(240)
def test_history_when_in_timescaledb_then_answers_as_plain_postgresql_and_is_looked_after(
    package: Path,
):
    with postgres() as server, timescale(package) as dsn:
        plain = server.dsn()
        made = migrate_history(dsn, HistoryConfig(keep_days=90, compress_after_days=7))
        assert Migrated(database=made.database, layout="timescaledb", applied=made.applied) == made
        assert (
            () == migrate_history(dsn, HistoryConfig(keep_days=30, compress_after_days=3)).applied
        )
        assert "native" == migrate_history(plain, HistoryConfig()).layout
        assert asyncio.run(write(plain)) == asyncio.run(write(dsn))
        found = asyncio.run(looked_after(dsn))
        for query in QUERIES:
            native = ask_history(plain, query, limit=1_000)
            assert native.rows == ask_history(dsn, query, limit=1_000).rows, query
        dropped = asyncio.run(days_dropped(plain)), asyncio.run(days_dropped(dsn))
        left = asyncio.run(retained(dsn))
    policies = "policy_compression policy_retention"
    assert [(name, True, policies) for name in ("level_rows", "top_rows", "trade_rows")] == found[
        "hypertables"
    ]
    assert "minute_rows" == found["aggregates"]
    assert ((2, 0), (2, 2)) == (found["before"], found["compressed"])
    assert ((1, 299, 899), (1, 299, 899)) == dropped
    # Days of 2024 are older than 30 days: all trades go, their candles stay.
    assert (0, 899) == left
