"""The history on a real PostgreSQL: schema, exactly once over kills, one answer to each mistake."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from decimal import Context, Decimal
from pathlib import Path
from random import Random

import asyncpg
import numpy as np
import pytest

from tests.integration.app.trading import until
from tests.integration.history.batches import (
    BTC,
    SECOND,
    T0,
    batch,
    execution,
    order,
    packed,
    trades,
)
from tickwright.bench.postgres import Postgres, fresh_database, postgres
from tickwright.core.errors import ConfigError, ConnectionLost, StorageError
from tickwright.storage.history.copy_rows import copy_rows
from tickwright.storage.history.database import connect, place_of
from tickwright.storage.history.migrate import migrate, migrations, schema_state
from tickwright.storage.history.pump import HistoryPump
from tickwright.storage.history.rows import (
    BookRow,
    CandleRow,
    EquityRow,
    FundingRow,
    HistoryRow,
    PositionRow,
    RiskEventRow,
    SignalRow,
)
from tickwright.storage.history.spool import Spool
from tickwright.storage.history.spool_look import look_at_spool
from tickwright.storage.history.writer import HistoryWriter, Written


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


async def migrated(server: Postgres, name: str) -> str:
    dsn = await fresh_database(server, name)
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    return dsn


async def ask(dsn: str, query: str, *values: object) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


# schema -------------------------------------------------------------------------------------------


async def test_migrate_when_run_twice_at_once_and_again_then_each_file_is_applied_once(
    server: Postgres,
):
    dsn = await fresh_database(server, "twice")
    one, two = await connect(dsn), await connect(dsn)
    applied = await asyncio.gather(migrate(one), migrate(two))
    everything = tuple(migration.number for migration in migrations())
    assert sorted([(), everything]) == sorted(applied)
    assert () == await migrate(one)
    state = await schema_state(one)
    assert ("native", everything, ()) == (state.layout, state.applied, state.pending)
    await one.close()
    await two.close()


async def test_schema_when_newer_changed_or_foreign_then_is_refused_with_words(server: Postgres):
    dsn = await migrated(server, "newer")
    connection = await connect(dsn)
    await connection.execute(
        "INSERT INTO tickwright.migrations (number, name, checksum) VALUES (9999, 'later', 'x')"
    )
    for work in (migrate(connection), HistoryWriter.open(dsn)):
        with pytest.raises(StorageError, match=r"newer version.*9999 \(later\).*update tickwright"):
            await work
    await connection.execute("DELETE FROM tickwright.migrations WHERE number = 9999")
    await connection.execute("UPDATE tickwright.migrations SET checksum = 'x' WHERE number = 1")
    with pytest.raises(StorageError, match="applied in another form"):
        await migrate(connection)
    await connection.close()
    foreign = await fresh_database(server, "foreign")
    connection = await connect(foreign)
    await connection.execute("CREATE SCHEMA tickwright CREATE TABLE orders (id int)")
    with pytest.raises(StorageError, match="tickwright didn't make"):
        await migrate(connection)
    await connection.close()


async def test_writer_when_the_schema_is_missing_then_names_the_remedy(server: Postgres):
    dsn = await fresh_database(server, "empty")
    with pytest.raises(StorageError, match="tickwright db migrate"):
        await HistoryWriter.open(dsn)


async def test_database_when_wrong_then_one_sentence_without_the_password(server: Postgres):
    with pytest.raises(ConfigError, match='database "nowhere" does not exist'):
        await connect(server.dsn("nowhere"))
    with pytest.raises(ConfigError, match='role "nobody_here" does not exist'):
        await connect(server.dsn(user="nobody_here"))
    with pytest.raises(ConnectionLost, match=r"me@127\.0\.0\.1:1/x can't be reached") as caught:
        await connect("postgresql://me:canary@127.0.0.1:1/x")
    assert "canary" not in str(caught.value)
    for dsn in ("mysql://me:canary@h/x", "postgresql://me:canary@h:port/x", "canary"):
        with pytest.raises(ConfigError, match="postgresql://USER:PASSWORD") as refused:
            place_of(dsn)
        assert "canary" not in str(refused.value)


async def test_rights_when_missing_then_migration_and_writing_say_so(server: Postgres):
    dsn = await migrated(server, "rights")
    admin = await connect(dsn)
    await admin.execute("DROP ROLE IF EXISTS reader")
    await admin.execute("CREATE ROLE reader LOGIN")
    await admin.execute("GRANT USAGE ON SCHEMA tickwright TO reader")
    await admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA tickwright TO reader")
    writer = await HistoryWriter.open(server.dsn("rights", user="reader"))
    with pytest.raises(StorageError, match=r"permission denied.*rights on the schema tickwright"):
        await writer.write(trades("s", 0, 1))
    await writer.close()
    empty = await fresh_database(server, "bare")
    reader = await connect(empty.replace("postgres@", "reader@"))
    with pytest.raises(StorageError, match=r"permission denied.*needs CREATE on the database"):
        await migrate(reader)
    await reader.close()
    await admin.close()


# rows ---------------------------------------------------------------------------------------------


async def test_rows_when_of_every_kind_then_each_reads_back_exactly(server: Postgres):
    dsn = await migrated(server, "kinds")
    writer = await HistoryWriter.open(dsn)
    rows: list[tuple[int, HistoryRow | bytes]] = [
        (1, packed(1, price=600_001, name="")),
        (2, BookRow(BTC, T0 + SECOND, 77, ((600_000, 5), (599_000, 6)), (), 2)),
        (3, CandleRow(BTC, 60, T0, 1, 4, 1, 2, 9)),
        (4, FundingRow(BTC, T0 + 100 * SECOND, -12_345, T0)),
        (5, SignalRow(T0, 5, "lean", BTC, "long", 0.5, "z", "rejected", "drawdown: 1", None)),
        (6, order("working", T0)),
        (7, execution(1)),
        (8, PositionRow(T0 + SECOND, "bybit:main", None, "bybit:linear:BTCUSDT", "-0.005", None,
                        "1.25", None, "0")),
        (9, EquityRow(T0 + SECOND, "bybit:main", "10000.000000000000000001", None, "0")),
        (10, RiskEventRow(T0, 10, "drawdown", "bybit:main", "halted", "15 %", None, "")),
    ]  # fmt: skip
    assert Written(12, 0) == await writer.write(batch("s", rows, first=0, last=10))
    assert [("buy", "60000.1", "0.005")] == await ask(
        dsn, "SELECT side, price::text, size::text FROM tickwright.trades"
    )
    assert [("60000.0", "0.005", None)] == await ask(
        dsn, "SELECT bid::text, bid_size::text, ask FROM tickwright.tops"
    )
    assert [("bid", 1, "60000.0"), ("bid", 2, "59900.0")] == await ask(
        dsn, "SELECT side, level::int, price::text FROM tickwright.levels ORDER BY level"
    )
    assert [("0.1", "0.4", "0.009")] == await ask(
        dsn, "SELECT open::text, high::text, volume::text FROM tickwright.candles"
    )
    assert [(-12_345,)] == await ask(dsn, "SELECT (rate * 1e9)::int FROM tickwright.fundings")
    assert [("long", 0.5, "rejected")] == await ask(
        dsn, "SELECT kind, confidence, verdict FROM tickwright.signals"
    )
    assert [("working", None)] == await ask(dsn, "SELECT state, price FROM tickwright.orders")
    assert [("é-1", "-1234.567890123456789012", "1.000000000000000000", None)] == await ask(
        dsn, "SELECT execution_id, fee::text, cash::text, client_id FROM tickwright.executions"
    )
    assert [("-0.005", None)] == await ask(
        dsn, "SELECT size::text, entry_price FROM tickwright.positions"
    )
    assert [("10000.000000000000000001", None)] == await ask(
        dsn, "SELECT equity::text, exposure FROM tickwright.equity"
    )
    assert [("drawdown", None)] == await ask(
        dsn, "SELECT kind, until_at FROM tickwright.risk_events"
    )
    await writer.close()


async def test_copied_rows_when_numbers_and_texts_are_odd_then_read_back_as_they_were(
    server: Postgres,
):
    rng = Random(7)
    amounts = [
        "0",
        "-0.00",
        "1",
        "-1",
        "0.0001",
        "10000",
        "99999999.9999",
        "0.00000000000000000001",
    ]
    for _ in range(400):
        digits = rng.randint(1, 30)
        scale = rng.randint(0, 20)
        value = Decimal(rng.randint(-(10**digits), 10**digits)).scaleb(-scale)
        amounts.append(format(value, "f"))
    units = [str(rng.randint(-(10**n), 10**n)) for n in range(30) for _ in range(8)]
    texts = ["", "é", "tab\tand\nline", "zero\0byte", "\\N"]
    rows: list[tuple[object, ...]] = [
        (amount, rng.choice([None, *units]), rng.choice(texts), T0 + rng.randint(0, 10**15),
         rng.random(), rng.choice([True, False, None]), rng.randint(-(2**63), 2**63 - 1))
        for amount in amounts
    ]  # fmt: skip
    connection = await connect(server.dsn())
    await connection.execute(
        "CREATE TEMP TABLE odd (n serial, a numeric, m numeric, t text, z timestamptz,"
        " d float8, b bool, q bigint)"
    )

    async def image():
        yield copy_rows(rows, "nmtzdbq", {})

    await connection.copy_to_table("odd", columns=list("amtzdbq"), format="binary", source=image())
    read = await connection.fetch("SELECT a::text, m, t, z, d, b, q FROM odd ORDER BY n")
    await connection.close()
    for row, found in zip(rows, read, strict=True):
        amount, unit, text, at_ns, *rest = row
        assert ("0.00" if amount == "-0.00" else amount) == found["a"]
        money = None if unit is None else Decimal(str(unit)).scaleb(-18, Context(prec=60))
        assert money == found["m"]
        assert str(text).replace("\0", "") == found["t"]
        assert isinstance(at_ns, int)
        assert at_ns // 1_000 == round(found["z"].timestamp() * 1e6)
        assert rest == [found["d"], found["b"], found["q"]]


@pytest.mark.parametrize(
    ("kinds", "value"),
    [("n", "1e5"), ("n", ""), ("n", "1.2.3"), ("n", "9" * 101), ("h", 40_000), ("q", 2**63),
     ("t", "\ud800"), ("r", BTC), ("x", 1), ("tt", "one")],
)  # fmt: skip
def test_copied_rows_when_a_value_is_none_of_its_column_then_are_refused(kinds: str, value: object):
    with pytest.raises((ValueError, OverflowError, KeyError)):
        copy_rows([(value,)], kinds, {})


async def test_rows_when_written_again_in_other_batches_then_each_is_there_once(server: Postgres):
    dsn = await migrated(server, "again")
    writer = await HistoryWriter.open(dsn)
    assert Written(10, 0) == await writer.write(trades("s", 0, 10))
    assert Written(0, 10) == await writer.write(trades("s", 0, 10))
    assert Written(5, 5) == await writer.write(trades("s", 5, 10))
    assert Written(4, 0) == await writer.write(trades("other", 0, 4))
    assert [(19, 19)] == await ask(
        dsn, "SELECT (SELECT count(*) FROM tickwright.trades), sum(trades)::int"
        " FROM tickwright.trade_candles"
    )  # fmt: skip
    assert 15 == await writer.committed("s")
    await writer.close()


async def test_named_rows_when_two_sources_bring_them_then_the_newest_stands_once(server: Postgres):
    dsn = await migrated(server, "named")
    writer = await HistoryWriter.open(dsn)
    first: list[tuple[int, HistoryRow | bytes]] = [
        (1, order("working", T0 + SECOND)),
        (2, order("filled", T0 + 9 * SECOND, filled=5)),
        (3, execution(1)),
    ]
    await writer.write(batch("a", first, first=0, last=3))
    late: list[tuple[int, HistoryRow | bytes]] = [
        (1, order("working", T0 + 2 * SECOND)),
        (2, execution(1)),
        (3, execution(2)),
    ]
    await writer.write(batch("b", late, first=0, last=3))
    assert [("filled", "0.005")] == await ask(
        dsn, "SELECT state, filled::text FROM tickwright.orders"
    )
    assert [(2,)] == await ask(dsn, "SELECT count(*) FROM tickwright.executions")
    await writer.close()


async def test_candles_when_trades_come_in_several_batches_then_equal_those_of_all_trades(
    server: Postgres,
):
    dsn = await migrated(server, "candles")
    writer = await HistoryWriter.open(dsn)
    rows = [
        (n, packed(n, at_ns=T0 + n // 3 * SECOND, price=600_000 + n * 37 % 101, size=n))
        for n in range(1, 900)
    ]
    for first in range(0, 899, 100):
        part = [row for row in rows if first < row[0] <= first + 100]
        await writer.write(batch("s", part, first=first, last=first + 100))
    truth = """
        SELECT date_trunc('minute', at) AS at, (array_agg(price ORDER BY place))[1] AS open,
               max(price) AS high, min(price) AS low,
               (array_agg(price ORDER BY place DESC))[1] AS close, sum(size) AS volume,
               count(*) AS trades FROM tickwright.trades GROUP BY 1 ORDER BY 1"""
    kept = (
        "SELECT at, open, high, low, close, volume, trades FROM tickwright.trade_candles ORDER BY 1"
    )
    assert await ask(dsn, truth) == await ask(dsn, kept)
    named = "SELECT trade_id FROM tickwright.trades ORDER BY length(trade_id), trade_id"
    assert [(f"t{n}",) for n in range(1, 900)] == await ask(dsn, named)
    assert [(1, 899)] == await ask(
        dsn, "SELECT count(*)::int, sum(trades)::int FROM tickwright.candles_of('1 hour')"
    )
    await writer.close()


async def test_days_when_dropped_then_go_whole_and_later_rows_come_in_again(server: Postgres):
    dsn = await migrated(server, "days")
    writer = await HistoryWriter.open(dsn)
    day = 86_400
    await writer.write(batch("s", [(1, packed(1)), (2, packed(day))], first=0, last=2))
    assert [(1,)] == await ask(dsn, "SELECT tickwright.drop_days('2024-12-02')")
    assert [(1,)] == await ask(dsn, "SELECT count(*)::int FROM tickwright.trades")
    late = batch("t", [(1, packed(5))], first=0, last=1)
    with pytest.raises(StorageError, match="refuses the rows"):
        await writer.write(late)
    assert Written(1, 0) == await writer.write(late)
    await writer.close()


# kills --------------------------------------------------------------------------------------------


async def test_database_when_killed_between_and_in_batches_then_each_row_is_there_once():
    with postgres() as server:
        dsn = await migrated(server, "kill")
        batches = [trades("s", n * 20_000, 20_000) for n in range(20)]
        kills = 0

        async def killer() -> None:
            nonlocal kills
            for pause_s in (0.03, 0.05, 0.09, 0.02):
                await asyncio.sleep(pause_s)
                await asyncio.to_thread(server.kill)
                kills += 1
                await asyncio.to_thread(server.start)

        killing = asyncio.create_task(killer())
        writer: HistoryWriter | None = None
        waiting = list(batches)
        while waiting or not killing.done():
            try:
                writer = writer or await HistoryWriter.open(dsn)
                # Whatever was the fate of the last one, it is sent again.
                await writer.write(waiting[0] if waiting else batches[-1])
                del waiting[:1]
            except ConnectionLost:
                if writer is not None:
                    writer.abort()
                writer = None
                await asyncio.sleep(0.01)
        await killing
        assert writer is not None
        await writer.close()
        assert 4 == kills
        assert [(400_000, 400_000)] == await ask(
            dsn, "SELECT count(*)::int, count(DISTINCT at)::int FROM tickwright.trades"
        )
        assert [(400_000,)] == await ask(
            dsn, "SELECT sum(trades)::int FROM tickwright.trade_candles"
        )


async def test_writer_when_cut_in_a_batch_then_another_goes_on_where_it_stood(server: Postgres):
    dsn = await migrated(server, "writer")
    for number in range(12):
        writer = await HistoryWriter.open(dsn)
        first = await writer.committed("s")
        cut = asyncio.create_task(writer.write(trades("s", first, 30_000)))
        await asyncio.sleep(0.004 * number)
        writer.abort()
        with contextlib.suppress(ConnectionLost):
            await cut
    writer = await HistoryWriter.open(dsn)
    committed = await writer.committed("s")
    await writer.write(trades("s", committed, 10))
    await writer.close()
    assert [(committed + 10,) * 2] == await ask(
        dsn, "SELECT count(*)::int, count(DISTINCT at)::int FROM tickwright.trades"
    )


# the pump -----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def pumping(dsn: str, folder: Path) -> AsyncIterator[HistoryPump]:
    spool = Spool(folder, bytes_max=1 << 30)
    pump = HistoryPump(dsn, spool)
    running = asyncio.create_task(pump.run())
    try:
        yield pump
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        spool.close()


async def test_pump_when_the_database_hangs_then_rows_wait_on_disk_and_follow_in_order(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tickwright.storage.history.pump.SLOW_S", 0.1)
    dsn = await migrated(server, "slow")
    holder = await asyncpg.connect(dsn)
    async with pumping(dsn, tmp_path) as pump:
        pump.put(1, trades("s", 0, 10))
        await until(lambda: pump.durable == 1 and pump.is_idle, "the first batch written")
        holding = holder.transaction()
        await holding.start()
        await holder.execute("SELECT 1 FROM tickwright.sources FOR UPDATE")
        for number in range(2, 6):
            pump.put(number, trades("s", (number - 1) * 10, 10))
        await until(lambda: pump.durable == 5, "everything on disk")
        assert (4, 10, True) == (len(pump.spool), pump.rows, pump.is_up)
        await holding.rollback()
        await until(lambda: pump.is_idle, "everything in the database")
        assert (50, 0, 50) == (pump.rows, pump.skipped, pump.committed)
    await holder.close()
    assert [(50, 50)] == await ask(
        dsn, "SELECT count(*)::int, count(DISTINCT at)::int FROM tickwright.trades"
    )


async def test_pump_when_a_batch_is_refused_then_it_is_set_aside_and_the_next_tells_of_it(
    server: Postgres, tmp_path: Path
):
    dsn = await migrated(server, "refused")
    wrong = trades("s", 0, 500)
    wrong.market["trade_rows"]["at_ns"] += np.arange(500) * 86_400 * SECOND
    async with pumping(dsn, tmp_path) as pump:
        pump.put(1, wrong)
        pump.put(2, trades("s", 500, 5))
        await until(lambda: pump.is_idle, "everything written or set aside")
        assert (500, 5, 2) == (pump.refused, pump.rows, pump.durable)
    assert 1 == look_at_spool(tmp_path).refused
    assert [(5, 500)] == await ask(dsn, "SELECT rows::int, lost::int FROM tickwright.sources")


async def test_pump_when_neither_database_nor_disk_take_rows_then_keeps_them_and_says_so(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tickwright.storage.history.pump.WAITING_ROWS_MAX", 20)
    dsn = await fresh_database(server, "unmade")
    async with pumping(dsn, tmp_path) as pump:
        # Nobody, not even root, can write a file where a folder stands.
        (blocker := tmp_path / "000000000001.draft").mkdir()
        for number in range(1, 6):
            pump.put(number, trades("s", (number - 1) * 10, 10))
        await until(lambda: pump.spool_fault != "" and pump.fault != "", "both faults")
        assert (True, 0) == (pump.is_full, pump.durable)
        assert "tickwright db migrate" in pump.fault
        assert "can't be written" in pump.spool_fault
        blocker.rmdir()
        await until(lambda: pump.durable == 5, "the disk takes them")
        assert (False, "", 0) == (pump.is_full, pump.spool_fault, pump.spool.lost)
