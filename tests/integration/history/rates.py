"""Measures how fast batches are written: `python -m tests.integration.history.rates`.

Prints the median and the range of several rounds, each into a fresh database on this machine.
"""

import asyncio
import os
import statistics
import sys
import time

import numpy as np

from tickwright.app.config_model import HistoryConfig
from tickwright.app.history import migrate_history
from tickwright.bench.postgres import Postgres, fresh_database, postgres
from tickwright.storage.history.batch import LAYOUTS, HistoryBatch
from tickwright.storage.history.rows import ExecutionRow, InstrumentRef, OrderRow
from tickwright.storage.history.writer import HistoryWriter

ROUNDS = 5
MARKET_ROWS = 1_000_000
NAMED_ROWS = 200_000
T0 = 1_733_011_200_000_000_000
BTC = InstrumentRef("bybit", "linear", "BTCUSDT", 1, 3)


def trades(first: int, count: int) -> HistoryBatch:
    rows = np.zeros(count, dtype=LAYOUTS["trade_rows"])
    rows["offset"] = np.arange(first + 1, first + count + 1)
    rows["at_ns"] = T0 + rows["offset"] * 20_000
    rows["price_units"] = 600_000 + rows["offset"] % 1_000
    rows["size_units"], rows["side"], rows["sequence"] = 5, 1, rows["offset"]
    rows["trade_id"] = b"b1a0e3c4-0000-0000-0000-000000000000"
    return HistoryBatch("trades", first, first + count, (BTC,), {"trade_rows": rows})


def tops(first: int, count: int) -> HistoryBatch:
    rows = np.zeros(count, dtype=LAYOUTS["top_rows"])
    rows["offset"] = np.arange(first + 1, first + count + 1)
    rows["at_ns"] = T0 + rows["offset"] * 1_000_000
    rows["bid_units"], rows["ask_units"] = 600_000, 600_001
    return HistoryBatch("tops", first, first + count, (BTC,), {"top_rows": rows})


def execution(n: int) -> ExecutionRow:
    return ExecutionRow(
        "bybit:main", f"e0f1-{n:032d}", BTC, T0 + n * 1_000, "trade", 1, 600_000, 5,
        "123456789", "USDT", "0", True, f"lean0001{n:08d}", f"v-{n:034d}",
    )  # fmt: skip


def order(n: int) -> OrderRow:
    return OrderRow(
        "bybit:main", f"lean0001{n:08d}", BTC, "lean", 1, "limit", 600_000, 5, 5, "filled", "",
        T0, T0 + n * 1_000, f"v-{n:034d}",
    )  # fmt: skip


def named(kind: str) -> list[HistoryBatch]:
    make = execution if kind == "executions" else order
    return [
        HistoryBatch(
            kind, k, k + 20_000, records=tuple((n + 1, make(n)) for n in range(k, k + 20_000))
        )
        for k in range(0, NAMED_ROWS, 20_000)
    ]


async def one_round(server: Postgres, number: int) -> dict[str, float]:
    dsn = await fresh_database(server, f"rates{number}")
    await asyncio.to_thread(migrate_history, dsn, HistoryConfig())
    work = {
        "trades": [trades(k, 100_000) for k in range(0, MARKET_ROWS, 100_000)],
        "tops": [tops(k, 100_000) for k in range(0, MARKET_ROWS, 100_000)],
        "executions": named("executions"),
        "orders": named("orders"),
    }
    found = {}
    writer = await HistoryWriter.open(dsn)
    for name, batches in work.items():
        began_s = time.perf_counter()
        for batch in batches:
            await writer.write(batch)
        found[name] = sum(b.row_count for b in batches) / (time.perf_counter() - began_s)
    await writer.close()
    return found


def main() -> None:
    with postgres() as server:
        rounds = [asyncio.run(one_round(server, n)) for n in range(ROUNDS)]
    for name in rounds[0]:
        rates = sorted(one[name] for one in rounds)
        sys.stdout.write(
            f"{name:<11} {statistics.median(rates):>10,.0f} rows/s"
            f" ({rates[0]:,.0f} - {rates[-1]:,.0f}, {ROUNDS} rounds)\n"
        )
    sys.stdout.write(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")


if __name__ == "__main__":
    main()
