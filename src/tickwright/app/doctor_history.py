"""Owns the doctor's look at the history: database, schema, rights, what waits; writes nothing."""

from tickwright.app.config import Config
from tickwright.app.doctor_lines import Findings
from tickwright.app.history_open import history_dsn
from tickwright.app.history_spool import HISTORY_FOLDER, spool_status
from tickwright.app.trader_folder import TraderFolder
from tickwright.core.errors import ConfigError, ConnectionLost, StorageError
from tickwright.storage.history.database import connect, place_of, translated

__all__ = ["look_at_history"]

_RIGHTS = """
SELECT bool_and(has_table_privilege(c.oid, 'INSERT, UPDATE'))
FROM pg_class c WHERE c.relnamespace = 'tickwright'::regnamespace
  AND c.relname IN ('sources', 'trade_rows', 'order_rows', 'execution_rows')
"""


async def look_at_history(found: Findings, config: Config, where: TraderFolder) -> None:
    """Ask the database whether it would take a run's rows, and look at what it has not got yet.

    Nothing of it keeps anybody from trading: rows wait on disk.
    """
    dsn = history_dsn(config)
    if dsn is None:
        found.skip("database", "no history is written: [history] names none")
    else:
        try:
            words = await _asked(dsn)
        except ConnectionLost as error:
            remedy = "start it; rows wait on disk meanwhile"
            found.warn("database", str(error), remedy)
        except ConfigError as error:
            found.fail("database", str(error), "correct history.dsn")
        except StorageError as error:
            remedy = f"`tickwright db migrate {where.path}`, or the rights it names"
            found.warn("database", str(error), remedy)
        else:
            found.ok("database", f"{place_of(dsn)}: {words}")
    folder = where.state / HISTORY_FOLDER
    try:
        spool = spool_status(folder)
    except StorageError as error:
        found.warn("spool", str(error), "give the folder to this user")
        return
    if spool.refused_files or spool.damaged_files:
        found.warn(
            "spool",
            f"{spool.refused_files} batches were refused, {spool.damaged_files} are damaged",
            f"look into {folder}; `tickwright db load SESSION` has what isn't written",
        )
    elif spool.batches and spool.writer not in ("writing", "away"):
        text = f"{spool.batches} batches, {spool.bytes / 1e6:.1f} MB, since {spool.oldest}"
        found.warn("spool", text, f"`tickwright db drain {where.path}`, or start the trader")
    elif spool.lost:
        found.warn("spool", f"{spool.lost} rows were lost", "more room: history.spool_mb_max")
    else:
        found.ok("spool", f"{spool.batches} batches wait")


async def _asked(dsn: str) -> str:
    from tickwright.storage.history.migrate import check_schema

    connection = await connect(dsn)
    try:
        state = await check_schema(connection)
        with translated("looking at the rights"):
            may_write = await connection.fetchval(_RIGHTS)
            version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close(timeout=2)
    if not may_write:
        raise StorageError("this user may not write there: rights on the schema tickwright")
    return f"PostgreSQL {version}, {state.layout}"
