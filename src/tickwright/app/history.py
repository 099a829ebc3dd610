"""Owns the history for a person: where it is, its schema, a recorded session into it, questions.

The DSN comes from the command line, from TICKWRIGHT_HISTORY_DSN or from `[history]`; its password
is never shown.
"""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.app.account_keys import read_toml
from tickwright.app.config import CONFIG_BYTES_MAX
from tickwright.app.config_faults import config_error, told
from tickwright.app.config_model import HistoryConfig
from tickwright.app.history_rows import EngineRows
from tickwright.app.history_spool import HISTORY_FOLDER, SpoolStatus, spool_status
from tickwright.app.replay import Replay
from tickwright.app.trader_folder import TraderFolder
from tickwright.core.errors import ConfigError, ConnectionLost, StorageError
from tickwright.core.events import Input
from tickwright.storage.history.database import DSN_VARIABLE, connect, place_of, translated
from tickwright.storage.history.rows import source_name
from tickwright.storage.session_log import Record, SessionHeader

if TYPE_CHECKING:
    from tickwright.storage.history.batch import HistoryBatch
    from tickwright.storage.history.writer import HistoryWriter, Written

__all__ = [
    "Answer",
    "HistoryStatus",
    "Loaded",
    "Migrated",
    "SourceStatus",
    "TableStatus",
    "ask_history",
    "history_settings",
    "history_status",
    "load_session",
    "migrate_history",
    "source_of",
    "spool_folder",
]

BATCH_ROWS = 20_000
"""Rows gathered before a batch is written."""
RETRY_S = 0.5
ROWS_SHOWN_MAX = 100_000


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What `db migrate` did; `applied` are the numbers of the files it ran."""

    database: str
    layout: str
    applied: tuple[int, ...]


class TableStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One table: about how many rows, bytes with indexes; `parts` are partitions or chunks."""

    name: str
    rows: int
    bytes: int
    parts: int


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One source: the offset up to which it is written, and its rows."""

    source: str
    committed: int
    rows: int
    lost: int
    written_at: str


class HistoryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `db status` found; `layout` is "" where there is no schema yet.

    `spool` is that of the configuration's trader; `fault` is why the database can't be looked at.
    """

    database: str
    server: str = ""
    layout: str = ""
    applied: tuple[int, ...] = ()
    pending: tuple[int, ...] = ()
    tables: tuple[TableStatus, ...] = ()
    sources: tuple[SourceStatus, ...] = ()
    spool: SpoolStatus | None = None
    fault: str = ""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What `db load` wrote; `skipped` rows were there already."""

    source: str
    rows: int
    skipped: int
    unknown: int
    events: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a query, numbers and times as exact text; `is_cut` when there were more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    is_cut: bool


def history_settings(config: Path | None, dsn: str | None) -> tuple[str, HistoryConfig]:
    """Return the DSN to use, and `[history]`; nothing else of the configuration is looked at.

    Raises:
        ConfigError: there is no DSN, or the table is wrong.
    """
    settings = HistoryConfig()
    if config is not None:
        from pydantic import ValidationError

        table = read_toml(config, CONFIG_BYTES_MAX).get("history", {})
        try:
            settings = HistoryConfig.model_validate(table)
        except ValidationError as error:
            raise config_error(config, told(error.errors(), HistoryConfig)) from None
    chosen = dsn or os.environ.get(DSN_VARIABLE) or settings.dsn
    if not chosen:
        raise ConfigError(
            f"no database: give --dsn, set {DSN_VARIABLE}, or [history] dsn in the configuration"
        )
    place_of(chosen)
    return chosen, settings


def migrate_history(dsn: str, settings: HistoryConfig) -> Migrated:
    """Bring the schema to this version.

    Raises:
        ConfigError, ConnectionLost, StorageError: see `storage.history`.
    """

    async def work() -> Migrated:
        from tickwright.storage.history.migrate import migrate, schema_state

        connection = await connect(dsn, command_s=None)
        try:
            applied = await migrate(
                connection,
                timescale=settings.timescale,
                keep_days=settings.keep_days,
                compress_after_days=settings.compress_after_days,
            )
            state = await schema_state(connection)
        finally:
            await connection.close(timeout=2)
        return Migrated(database=place_of(dsn), layout=state.layout, applied=applied)

    return asyncio.run(work())


_TABLES = """
SELECT c.relname AS name, sum(greatest(p.reltuples, 0))::bigint AS rows,
       sum(pg_total_relation_size(p.oid))::bigint AS bytes, count(*) - 1 AS parts
FROM pg_class c JOIN pg_class p ON p.oid = c.oid
     OR p.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)
WHERE c.relnamespace = 'tickwright'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = c.oid)
GROUP BY 1 ORDER BY 1
"""


def spool_folder(config: Path | None) -> Path | None:
    """Return where the trader of a configuration keeps its spool; None when it names no trader."""
    if config is None:
        return None
    try:
        return TraderFolder(config).state / HISTORY_FOLDER
    except ConfigError:
        return None


def history_status(dsn: str, *, spool: Path | None = None) -> HistoryStatus:
    """Look at the schema, its tables and its sources, and at the spool of a trader.

    Raises:
        ConfigError: the DSN is none. A database that can't be looked at is told in `fault`.
        StorageError: the spool can't be looked at.
    """
    waits = None if spool is None else spool_status(spool)
    try:
        found = _database_status(dsn)
    except (ConfigError, ConnectionLost, StorageError) as error:
        found = HistoryStatus(database=place_of(dsn), fault=str(error))
    return msgspec.structs.replace(found, spool=waits)


def _database_status(dsn: str) -> HistoryStatus:
    async def work() -> HistoryStatus:
        from tickwright.storage.history.migrate import schema_state

        connection = await connect(dsn)
        try:
            state = await schema_state(connection)
            with translated("reading the status"):
                server = await connection.fetchval("SHOW server_version")
                tables, sources = [], []
                if state.layout and 1 in state.applied:
                    tables = await connection.fetch(_TABLES)
                    sources = await connection.fetch(
                        "SELECT source, committed, rows, lost, written_at FROM tickwright.sources"
                        " ORDER BY written_at DESC LIMIT 100"
                    )
        finally:
            await connection.close(timeout=2)
        return HistoryStatus(
            database=place_of(dsn),
            server=server,
            layout=state.layout,
            applied=state.applied,
            pending=state.pending,
            tables=tuple(TableStatus(**dict(row)) for row in tables),
            sources=tuple(
                SourceStatus(**{**dict(row), "written_at": row["written_at"].isoformat()})
                for row in sources
            ),
        )

    return asyncio.run(work())


def ask_history(dsn: str, query: str, *, limit: int) -> Answer:
    """Run one query in a transaction that may only read; at most `limit` rows.

    Raises:
        ConfigError, ConnectionLost, StorageError: the query is refused, too.
    """

    async def work() -> Answer:
        connection = await connect(dsn)
        try:
            with translated("the query"):
                async with connection.transaction(readonly=True):
                    await connection.execute("SET LOCAL search_path = tickwright, public")
                    prepared = await connection.prepare(query)
                    cursor = await prepared.cursor()
                    rows = await cursor.fetch(min(limit, ROWS_SHOWN_MAX) + 1)
                    names = tuple(one.name for one in prepared.get_attributes())
        finally:
            await connection.close(timeout=2)
        shown = tuple(tuple(_text(value) for value in row) for row in rows[:limit])
        return Answer(columns=names, rows=shown, is_cut=len(rows) > limit)

    return asyncio.run(work())


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime) else str(value)


# a recorded session ---------------------------------------------------------------------------


def source_of(header: SessionHeader) -> str:
    """Return the name of a session among the sources; its rows' offsets are its inputs' numbers."""
    return source_name(header.started_ns, header.epoch)


class _HistoryReplay(Replay):
    """A replay that makes rows of what the engine lives through."""

    def __init__(self, folder: Path, settings: HistoryConfig) -> None:
        super().__init__(folder)
        self.rows = EngineRows(
            self.engine,
            self._books.values,
            sample_s=settings.sample_s,
            levels=settings.levels,
        )
        self.on_sealed: Callable[[], None] = _nothing
        """Called after each record: all rows of the inputs so far are there."""

    def _handle(self, event: Input, now_ns: int) -> None:
        super()._handle(event, now_ns)
        self.rows.on_input(event)

    def _take(self, record: Record) -> None:
        super()._take(record)
        for notice in self.engine.take_notices():
            self.rows.on_notice(notice)
        if record.now_ns:
            self.rows.sample(record.now_ns)
        self.on_sealed()


def load_session(
    folder: Path,
    dsn: str,
    settings: HistoryConfig,
    *,
    wait_s: float = 0.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Replay a recorded session and write what it lived through, each row exactly once.

    Loading again, or going on after a kill, begins where the database says it stands. A session
    that is still being written is loaded as far as it is. A database that goes away meanwhile is
    waited for `wait_s`. `on_progress` gets bytes read and all.

    Raises:
        StorageError: no session there, it is damaged, its replay differs, or the database refuses.
        ConfigError, ConnectionLost: see `storage.history`.
    """
    replay = _HistoryReplay(folder, settings)
    with asyncio.Runner() as runner:
        sink = _Sink(dsn, wait_s)
        runner.run(sink.open())
        try:
            return _load(replay, sink, runner, on_progress)
        finally:
            runner.run(sink.close())


class _Sink:
    """Writes batches; a lost connection is dialled again as long as may be waited."""

    def __init__(self, dsn: str, wait_s: float) -> None:
        self._dsn = dsn
        self._wait_s = wait_s
        self._writer: HistoryWriter | None = None

    async def open(self) -> None:
        """Connect, once."""
        from tickwright.storage.history.writer import HistoryWriter

        self._writer = await HistoryWriter.open(self._dsn)

    async def write(self, batch: "HistoryBatch") -> "Written":
        """Write a batch; what became of one that was cut off is found by its offset."""
        deadline_s = time.monotonic() + self._wait_s
        while True:
            try:
                if self._writer is None:
                    await self.open()
                assert self._writer is not None
                return await self._writer.write(batch)
            except ConnectionLost:
                if self._writer is not None:
                    self._writer.abort()
                    self._writer = None
                if time.monotonic() >= deadline_s:
                    raise
                await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Give the connection back."""
        if self._writer is not None:
            await self._writer.close()


def _load(
    replay: _HistoryReplay,
    sink: _Sink,
    runner: asyncio.Runner,
    on_progress: Callable[[int, int], None] | None,
) -> Loaded:
    from tickwright.storage.history.batch import make_batch

    source = source_of(replay.reader.header)
    size = max(1, replay.reader.size)
    first = rows = skipped = 0

    def write() -> None:
        nonlocal first, rows, skipped
        last = replay.engine.event_id
        taken = replay.rows.take()
        if taken:
            batch = make_batch(
                source,
                taken.books + taken.rows,
                first=first,
                last=last,
                instruments=replay.rows.instruments,
                trades=taken.trades,
            )
            written = runner.run(sink.write(batch))
            rows += written.rows
            skipped += written.skipped
        first = last
        if on_progress is not None:
            on_progress(replay.reader.position, size)

    def sealed() -> None:
        if replay.rows.count >= BATCH_ROWS:
            write()

    replay.on_sealed = sealed
    result = replay.run()
    if result.difference:
        raise StorageError(
            f"{replay.reader.folder}: its replay isn't what was recorded ({result.difference}); "
            f"{rows} rows up to there are written"
        )
    write()
    return Loaded(
        source=source,
        rows=rows,
        skipped=skipped,
        unknown=replay.rows.unknown,
        events=result.events,
    )


def _nothing() -> None:
    """Nobody wants to know."""
