"""Rows and batches for tests of the history; instrument 0 is BTC."""

from collections.abc import Sequence

import numpy as np

from tickwright.storage.history.batch import LAYOUTS, HistoryBatch, make_batch
from tickwright.storage.history.rows import (
    TRADE,
    ExecutionRow,
    HistoryRow,
    InstrumentRef,
    OrderRow,
)

BTC = InstrumentRef("bybit", "linear", "BTCUSDT", 1, 3)
T0 = 1_733_011_200_000_000_000
"""2024-12-01 00:00 UTC."""
SECOND = 1_000_000_000


def packed(
    offset: int,
    *,
    at_ns: int | None = None,
    price: int = 600_000,
    size: int = 5,
    side: int = 1,
    name: str | None = None,
) -> bytes:
    """Return a packed trade, by itself at second `offset`."""
    at_ns = T0 + offset * SECOND if at_ns is None else at_ns
    trade_id = (f"t{offset}" if name is None else name).encode()
    return TRADE.pack(offset, 0, at_ns, at_ns + 7, price, size, side, offset, False, trade_id)


def batch(
    source: str, rows: Sequence[tuple[int, HistoryRow | bytes]], *, first: int, last: int
) -> HistoryBatch:
    """Return a batch of packed trades and other rows."""
    return make_batch(
        source,
        [(offset, row) for offset, row in rows if not isinstance(row, bytes)],
        first=first,
        last=last,
        instruments=[BTC],
        trades=b"".join(row for _, row in rows if isinstance(row, bytes)),
    )


def trades(source: str, first: int, count: int) -> HistoryBatch:
    """Return many trades, a millisecond apart."""
    rows = np.zeros(count, dtype=LAYOUTS["trade_rows"])
    rows["offset"] = np.arange(first + 1, first + count + 1)
    rows["at_ns"] = T0 + rows["offset"] * 1_000_000
    rows["price_units"], rows["size_units"], rows["side"] = 600_000, 1, 1
    rows["trade_id"] = b"t"
    return HistoryBatch(source, first, first + count, (BTC,), {"trade_rows": rows})


def execution(number: int) -> ExecutionRow:
    """Return an execution with a fee that doesn't fit 64 bits."""
    return ExecutionRow(
        "bybit:main", f"é-{number}", BTC, T0 + number, "trade", -1, 600_000, 5,
        str(-1_234_567_890_123_456_789_012), "USDT", str(10**18), True, None, f"v{number}",
    )  # fmt: skip


def order(state: str, at_ns: int, *, filled: int = 0, name: str = "o1") -> OrderRow:
    """Return an order as it stood at a moment."""
    return OrderRow(
        "bybit:main", name, BTC, "lean", 1, "market", None, 5, filled, state, "", T0, at_ns, None
    )
