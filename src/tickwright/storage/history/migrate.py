"""Owns the schema: numbered SQL files, applied once each in their order.

It refuses a schema that is somebody else's, one whose applied files differ from ours, and one that
a newer version made. Two migrations at a time are kept apart by an advisory lock.
"""

from dataclasses import dataclass
from hashlib import blake2b
from importlib import resources
from typing import TYPE_CHECKING

from tickwright.core.errors import StorageError
from tickwright.storage.history.database import translated

if TYPE_CHECKING:
    import asyncpg

__all__ = ["Migration", "SchemaState", "check_schema", "migrate", "migrations", "schema_state"]

LOCK = 0x7469_636B
LOCK_MS = 30_000
_BASE = """
CREATE SCHEMA IF NOT EXISTS tickwright;
CREATE TABLE tickwright.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION tickwright.layout() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '{layout}' $$;
"""
"""What the files build on; the layout is chosen once, when the schema is made."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What tells a changed file."""
        return blake2b(self.text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How far a database is. `layout` is native, timescaledb, or "" where there is no schema."""

    layout: str
    applied: tuple[int, ...]
    pending: tuple[int, ...]


def migrations() -> tuple[Migration, ...]:
    """Return the files of this version in their order."""
    folder = resources.files("tickwright.storage.history") / "migrations"
    found = [
        Migration(int(file.name[:4]), file.name[5:-4], file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda one: one.number))


def base_sql(layout: str) -> str:
    """Return what comes before the first file."""
    return _BASE.format(layout=layout)


async def schema_state(connection: "asyncpg.Connection") -> SchemaState:
    """Read how far the schema is.

    Raises:
        StorageError: it is another program's, was changed, or is of a newer version.
    """
    known = {one.number: one for one in migrations()}
    with translated("reading the schema"):
        if not await connection.fetchval("SELECT to_regnamespace('tickwright') IS NOT NULL"):
            return SchemaState("", (), tuple(known))
        rows = []
        if await connection.fetchval("SELECT to_regclass('tickwright.migrations') IS NOT NULL"):
            rows = await connection.fetch(
                "SELECT number, name, checksum FROM tickwright.migrations ORDER BY number"
            )
        else:
            held = await connection.fetchval(
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'tickwright'::regnamespace"
            )
            if held:
                raise StorageError(
                    "the schema tickwright of this database holds tables that tickwright didn't "
                    "make: use another database"
                )
            return SchemaState("", (), tuple(known))
        layout = await connection.fetchval("SELECT tickwright.layout()")
    for row in rows:
        ours = known.get(row["number"])
        if ours is None:
            raise StorageError(
                f"the schema is of a newer version: it has migration {row['number']} "
                f"({row['name']}), this version knows {max(known)}; update tickwright"
            )
        if ours.checksum != row["checksum"]:
            raise StorageError(
                f"migration {row['number']} ({row['name']}) was applied in another form than this "
                "version's: the schema can't be trusted; use another database"
            )
    applied = tuple(row["number"] for row in rows)
    return SchemaState(layout, applied, tuple(n for n in known if n not in applied))


async def check_schema(connection: "asyncpg.Connection") -> SchemaState:
    """Refuse a schema that isn't exactly this version's.

    Raises:
        StorageError: it is missing, older, newer or foreign; names the remedy.
    """
    state = await schema_state(connection)
    if state.pending:
        raise StorageError(
            f"the schema lacks {len(state.pending)} of {len(state.pending) + len(state.applied)} "
            "migrations: tickwright db migrate"
        )
    return state


async def migrate(
    connection: "asyncpg.Connection",
    *,
    timescale: bool = True,
    keep_days: int = 0,
    compress_after_days: int = 7,
) -> tuple[int, ...]:
    """Bring the schema to this version and set its policies; returns what was applied.

    Each file is a transaction of its own: a migration that is interrupted goes on at the next.

    Raises:
        StorageError: see `schema_state`; rights are missing; another migration takes too long.
        ConnectionLost: the database went away.
    """
    with translated("migrating"):
        await connection.execute(f"SET lock_timeout = {LOCK_MS}")
        await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
    try:
        state = await schema_state(connection)
        if not state.layout:
            layout = "timescaledb" if timescale and await _has_timescale(connection) else "native"
            with translated("making the schema"):
                async with connection.transaction():
                    await connection.execute(base_sql(layout))
        for one in migrations():
            if one.number not in state.pending:
                continue
            with translated(f"migration {one.number:04d} ({one.name})"):
                async with connection.transaction():
                    await connection.execute(one.text)
                    await connection.execute(
                        "INSERT INTO tickwright.migrations (number, name, checksum)"
                        " VALUES ($1, $2, $3)",
                        one.number,
                        one.name,
                        one.checksum,
                    )
        with translated("setting the policies"):
            await connection.execute(
                "SELECT tickwright.set_policy(make_interval(days => NULLIF($1::int, 0)),"
                " make_interval(days => NULLIF($2::int, 0)))",
                keep_days,
                compress_after_days,
            )
    finally:
        if not connection.is_closed():
            with translated("migrating"):
                await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
    return state.pending


async def _has_timescale(connection: "asyncpg.Connection") -> bool:
    """Whether the extension is there; makes it where the server has it and we may."""
    import asyncpg

    with translated("looking for TimescaleDB"):
        if await connection.fetchval("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"):
            return True
        if not await connection.fetchval(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        ):
            return False
        try:
            await connection.execute("CREATE EXTENSION timescaledb")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError):
            return False
    return True
