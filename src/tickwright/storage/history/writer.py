"""Owns writing batches: each row exactly once, whatever is killed in between.

A batch is one transaction, and the offset up to which its source is written is committed with it:
what is sent again is cut there. All rows go by binary COPY. Rows with names of their own (orders,
executions, candles, fundings) are one each by that name, whichever source brings them: they go
straight into their table as long as all are new, else through a staging table.
"""

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickwright.storage.history.batch import SAMPLED, HistoryBatch, RecordRow
from tickwright.storage.history.copy_image import copy_images, timestamps
from tickwright.storage.history.copy_rows import copy_rows
from tickwright.storage.history.database import HistoryRefused, connect, translated
from tickwright.storage.history.migrate import check_schema
from tickwright.storage.history.minutes import minute_candles
from tickwright.storage.history.rows import (
    CandleRow,
    EquityRow,
    ExecutionRow,
    FundingRow,
    InstrumentRef,
    OrderRow,
    PositionRow,
    RiskEventRow,
    SignalRow,
)

if TYPE_CHECKING:
    import asyncpg

__all__ = ["HistoryWriter", "Written"]

DAYS_MAX = 400
"""Days that one batch may touch: more is no history but a clock gone wrong."""
DAYS_KNOWN_MAX = 4_000
INSTRUMENTS_KNOWN_MAX = 20_000
PLACES = 1_024
"""Trades of one microsecond that keep their order."""
IDS = 4_096
"""Instruments that are told apart in one number; PostgreSQL's microseconds take the other bits."""
CHUNK_ROWS = 4_096
"""Rows in one piece of a COPY."""
COPY_HEAD_BYTES, COPY_END_BYTES = 19, 2
DOUBTED_BATCHES = 64
"""How many batches go through staging after one whose rows weren't all new."""
_ATTRIBUTES = {"instrument_name": "instrument", "instrument": "instrument_id"}
_KEYS: dict[type, tuple[str, str]] = {
    OrderRow: ("order_rows", "account, order_id"),
    ExecutionRow: ("execution_rows", "account, execution_id"),
    CandleRow: ("candle_rows", "instrument_id, interval_s, at"),
    FundingRow: ("funding_rows", "instrument_id, funding_at"),
}
_NAMES: dict[type, Callable[[Any], object]] = {
    OrderRow: attrgetter("account", "order_id"),
    ExecutionRow: attrgetter("account", "execution_id"),
    CandleRow: attrgetter("instrument", "interval_s", "at_ns"),
    FundingRow: attrgetter("instrument", "funding_ns"),
}
_PLAIN: dict[type, str] = {
    SignalRow: "signal_rows",
    PositionRow: "position_rows",
    EquityRow: "equity_rows",
    RiskEventRow: "risk_rows",
}
_LETTERS: dict[object, str] = {
    int: "q", int | None: "q", bool: "b", float: "d", str: "t", str | None: "t",
    InstrumentRef: "r",
}  # fmt: skip
_NAMED_LETTERS = {"side": "h", "interval_s": "i", "fee": "m", "cash": "m"} | dict.fromkeys(
    "size entry_price realised unrealised funding equity exposure day_loss".split(), "n"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: rows written, and rows left out as written before."""

    rows: int
    skipped: int


class HistoryWriter:
    """Writes batches over one connection; make one with `open`."""

    def __init__(self, connection: "asyncpg.Connection", layout: str) -> None:
        self._connection = connection
        self._layout = layout
        self._ids: dict[InstrumentRef, int] = {}
        self._days: set[tuple[str, int]] = set()
        self._new_days: set[tuple[str, int]] = set()
        self._staged: set[type] = set()
        self._doubted: dict[type, int] = {}

    @classmethod
    async def open(cls, dsn: str) -> "HistoryWriter":
        """Connect and look at the schema.

        Raises:
            ConfigError, ConnectionLost: see `connect`.
            StorageError: the schema isn't this version's.
        """
        connection = await connect(dsn)
        try:
            state = await check_schema(connection)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, state.layout)

    @property
    def server_pid(self) -> int:
        """The server's process of this connection."""
        return int(self._connection.get_server_pid())

    async def close(self) -> None:
        """Give the connection back."""
        await self._connection.close(timeout=2)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._connection.terminate()

    async def committed(self, source: str) -> int:
        """Return the offset up to which a source is written; 0 for a new one."""
        with translated("asking for the committed offset"):
            found = await self._connection.fetchval(
                "SELECT committed FROM tickwright.sources WHERE source = $1", source
            )
        return found or 0

    async def write(self, batch: HistoryBatch) -> Written:
        """Write what of a batch isn't written yet, and its offset, in one transaction.

        Raises:
            ConnectionLost: nothing is known of it: write it again.
            HistoryRefused: the database takes these rows never.
            StorageError: a person must look.
        """
        self._new_days.clear()
        with translated("naming instruments"):
            # Before the transaction: names stay, whatever becomes of the rows.
            await self._learn([*batch.instruments, *_named(batch.records)])
            await self._stage({type(record) for _, record in batch.records})
        try:
            with translated("writing history"):
                async with self._connection.transaction():
                    written = await self._write(batch)
        except HistoryRefused:
            # Somebody may have dropped a day that was there: the next try makes it again.
            self._days.clear()
            raise
        if len(self._days) > DAYS_KNOWN_MAX:
            self._days.clear()
        self._days |= self._new_days
        return written

    async def _write(self, batch: HistoryBatch) -> Written:
        connection = self._connection
        await connection.execute(
            "INSERT INTO tickwright.sources (source) VALUES ($1) ON CONFLICT DO NOTHING",
            batch.source,
        )
        row = await connection.fetchrow(
            "SELECT committed, sampled_ns FROM tickwright.sources WHERE source = $1 FOR UPDATE",
            batch.source,
        )
        assert row is not None
        committed, sampled_ns = row["committed"], row["sampled_ns"]
        written = 0
        sampled = sampled_ns
        ids = self._ids
        numbers = np.array([ids[one] for one in batch.instruments], dtype=np.int32)
        for table, rows in batch.market.items():
            if table in SAMPLED:
                kept = rows[rows["at_ns"] > sampled_ns]
                sampled = max(sampled, int(kept["at_ns"].max(initial=0)))
            else:
                kept = rows[rows["offset"] > committed]
            if len(kept):
                await self._copy(table, kept, numbers)
                written += len(kept)
        groups: dict[type, list[RecordRow]] = {}
        for offset, record in batch.records:
            if isinstance(record, (PositionRow, EquityRow)):
                if record.at_ns <= sampled_ns:
                    continue
                sampled = max(sampled, record.at_ns)
            elif offset <= committed:
                continue
            groups.setdefault(type(record), []).append(record)
        for kind, records in groups.items():
            if kind in _KEYS:
                await self._merge(kind, records)
            else:
                await self._copy_records(kind, _PLAIN[kind], "tickwright", records)
            written += len(records)
        await connection.execute(
            "UPDATE tickwright.sources SET committed = greatest(committed, $2), sampled_ns = $3,"
            " rows = rows + $4, lost = lost + $5, written_at = now() WHERE source = $1",
            batch.source,
            batch.last,
            sampled,
            written,
            batch.lost if batch.last > committed else 0,
        )
        return Written(written, batch.row_count - written)

    # market rows --------------------------------------------------------------------------------

    async def _copy(self, table: str, rows: NDArray[np.void], numbers: NDArray[np.int32]) -> None:
        at = timestamps(rows["at_ns"])
        await self._ensure_days(table, at)
        ids = numbers[rows["instrument"]]
        columns: list[NDArray[Any]] = [ids, at]
        names = ["instrument_id", "at"]
        for name in rows.dtype.names or ():
            if name not in ("offset", "instrument", "at_ns"):
                columns.append(rows[name])
                names.append(name)
        if table == "trade_rows":
            place = _places(ids, at)
            columns.append(place)
            names.append("place")
            if self._layout == "native":
                await self._add_minutes(ids, at, place, rows)
        await self._connection.copy_to_table(
            table,
            schema_name="tickwright",
            columns=names,
            format="binary",
            source=_pieces(columns),
        )

    async def _ensure_days(self, table: str, at: NDArray[np.int64]) -> None:
        if self._layout != "native":
            return
        days = [int(day) for day in np.unique(at // 86_400_000_000)]
        wanted = [day for day in days if (table, day) not in self._days]
        if len(days) > DAYS_MAX:
            raise HistoryRefused(f"a batch of history spans {len(days)} days: a clock went wrong")
        if wanted:
            first = datetime(2000, 1, 1, tzinfo=UTC).date()
            await self._connection.execute(
                "SELECT tickwright.ensure_days($1, $2::date[])",
                table,
                [first + timedelta(days=day) for day in wanted],
            )
            self._new_days |= {(table, day) for day in wanted}

    async def _add_minutes(
        self,
        instruments: NDArray[np.int32],
        at: NDArray[np.int64],
        place: NDArray[np.int64],
        rows: NDArray[np.void],
    ) -> None:
        """Keep the candle table: these trades are new, so what they add is added once."""
        candles = minute_candles(instruments, at, place, rows["price_units"], rows["size_units"])
        await self._connection.execute(
            """
            INSERT INTO tickwright.minute_rows AS m
            SELECT i, timestamptz '2000-01-01 00:00:00+00' + t * interval '1 minute',
                   o, h, l, c, v, n, op, cp
            FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                        $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
                 AS x(i, t, o, h, l, c, v, n, op, cp)
            ON CONFLICT (instrument_id, at) DO UPDATE SET
                open_units = CASE WHEN excluded.open_place < m.open_place
                                  THEN excluded.open_units ELSE m.open_units END,
                close_units = CASE WHEN excluded.close_place >= m.close_place
                                   THEN excluded.close_units ELSE m.close_units END,
                open_place = least(excluded.open_place, m.open_place),
                close_place = greatest(excluded.close_place, m.close_place),
                high_units = greatest(excluded.high_units, m.high_units),
                low_units = least(excluded.low_units, m.low_units),
                volume_units = m.volume_units + excluded.volume_units,
                trades = m.trades + excluded.trades
            """,
            *candles,
        )

    # rows with names ----------------------------------------------------------------------------

    async def _merge(self, kind: type, records: list[RecordRow]) -> None:
        table, key = _KEYS[kind]
        # Of one batch the last of a name stands: rows come in the order of what happened.
        newest = dict(zip(map(_NAMES[kind], records), records, strict=True))
        named = list(newest.values())
        if self._doubted.get(kind, 0):
            self._doubted[kind] -= 1
        else:
            import asyncpg

            # A new row is written in half the time when nothing has to be looked up first.
            with contextlib.suppress(asyncpg.UniqueViolationError):
                async with self._connection.transaction():
                    await self._copy_records(kind, table, "tickwright", named)
                return
            self._doubted[kind] = DOUBTED_BATCHES
        await self._copy_records(kind, f"stage_{table}", None, named)
        names = _columns_of(kind)[0]
        does = "NOTHING"
        if kind is not ExecutionRow:
            changes = ", ".join(f"{name} = excluded.{name}" for name in names)
            does = f"UPDATE SET {changes} WHERE excluded.at >= m.at"
        columns = ", ".join(names)
        await self._connection.execute(
            f"INSERT INTO tickwright.{table} AS m ({columns})"
            f" SELECT {columns} FROM stage_{table} ON CONFLICT ({key}) DO {does}"
        )

    async def _copy_records(
        self, kind: type, table: str, schema: str | None, records: Sequence[RecordRow]
    ) -> None:
        names, letters = _columns_of(kind)
        await self._connection.copy_to_table(
            table,
            schema_name=schema,
            columns=names,
            format="binary",
            source=self._images(letters, records),
        )

    async def _images(
        self, letters: str, records: Sequence[RecordRow]
    ) -> AsyncIterator[memoryview]:
        """Yield the COPY image in pieces, so that the server works while the next is made."""
        last = len(records) - 1
        for start in range(0, len(records), CHUNK_ROWS):
            part = list(map(msgspec.structs.astuple, records[start : start + CHUNK_ROWS]))
            image = memoryview(copy_rows(part, letters, self._ids))
            begin = 0 if not start else COPY_HEAD_BYTES
            end = len(image) if start + CHUNK_ROWS > last else -COPY_END_BYTES
            yield image[begin:end]

    async def _stage(self, kinds: set[type]) -> None:
        """Make the staging tables of this connection that rows of these kinds need."""
        for kind in kinds & _KEYS.keys() - self._staged:
            table = _KEYS[kind][0]
            await self._connection.execute(
                f"CREATE TEMP TABLE IF NOT EXISTS stage_{table}"
                f" (LIKE tickwright.{table}) ON COMMIT DELETE ROWS"
            )
            self._staged.add(kind)

    async def _learn(self, wanted: Sequence[InstrumentRef]) -> None:
        """Know the ids of instruments; new ones get theirs."""
        if len(self._ids) > INSTRUMENTS_KNOWN_MAX:
            self._ids.clear()
        for one in dict.fromkeys(wanted):
            if one in self._ids:
                continue
            key = (one.venue, one.category, one.symbol, one.price_decimals, one.size_decimals)
            await self._connection.execute(
                "INSERT INTO tickwright.instruments"
                " (venue, category, symbol, price_decimals, size_decimals)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                *key,
            )
            self._ids[one] = await self._connection.fetchval(
                "SELECT id FROM tickwright.instruments WHERE venue = $1 AND category = $2"
                " AND symbol = $3 AND price_decimals = $4 AND size_decimals = $5",
                *key,
            )


def _named(records: Sequence[tuple[int, RecordRow]]) -> list[InstrumentRef]:
    return [
        record.instrument
        for _, record in records
        if not isinstance(record, (PositionRow, EquityRow, RiskEventRow))
    ]


@functools.cache
def _columns_of(kind: type) -> tuple[list[str], str]:
    """Return the columns of rows of a kind, and the letter that `copy_rows` has for each."""
    names, letters = [], []
    for field in msgspec.structs.fields(kind):
        names.append(_column_name(field.name))
        letter = _NAMED_LETTERS.get(field.name) or _LETTERS[field.type]
        letters.append("z" if field.name.endswith("_ns") else letter)
    return names, "".join(letters)


def _column_name(name: str) -> str:
    if name.endswith("_ns"):
        return "at" if name == "at_ns" else f"{name[:-3]}_at"
    return _ATTRIBUTES.get(name, name)


def _places(instruments: NDArray[np.int32], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an order of the trades of each instrument: their time, then how they came."""
    # One number for both; those of one moment and instrument are neighbours once they are sorted.
    key = at * IDS + instruments % IDS
    order = np.argsort(key, kind="stable")
    in_order = key[order]
    is_same = in_order[1:] == in_order[:-1]
    place = at * PLACES
    if is_same.any():
        index = np.arange(len(at))
        begins = np.concatenate(([True], ~is_same))
        rank = index - np.maximum.accumulate(np.where(begins, index, 0))
        place[order] += np.minimum(rank, PLACES - 1)
    return place


async def _pieces(columns: list[NDArray[Any]]) -> AsyncIterator[bytes]:
    """Give the driver piece by piece: the server works while the next is made."""
    for piece in copy_images(columns, CHUNK_ROWS):
        yield piece
