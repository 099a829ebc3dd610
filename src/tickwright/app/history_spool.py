"""Owns the history's spool for a person: what waits, how its writer stands, bringing it home.

Refuses to look into it while a run writes: its process drains it, in order.
"""

import asyncio
import contextlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.core.errors import ConnectionLost, StorageError
from tickwright.net.listener import utc_now_ns
from tickwright.storage.history.wire import WriterState

if TYPE_CHECKING:
    from tickwright.storage.history.pump import HistoryPump

__all__ = [
    "HISTORY_FOLDER",
    "STATE_FILE",
    "Drained",
    "SpoolStatus",
    "drain_spool",
    "read_state",
    "spool_status",
]

HISTORY_FOLDER = "history"
"""Below the state folder: the spool, and what the writing process said last."""
STATE_FILE = "state.json"
SILENT_S = 5.0
"""A writer tells how it stands twice a second."""
LOOK_S = 0.05
_STATE_BYTES_MAX = 16_384


class SpoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What waits on disk, and how the last writer of this state folder stood.

    `writer` is `writing`, `away` (it runs, the database doesn't take its rows), `ended`, `silent`
    (it died), or `none`.
    """

    folder: str
    writer: str
    fault: str
    batches: int
    bytes: int
    bytes_max: int
    oldest: str
    behind_s: float
    lost: int
    refused: int
    damaged_files: int
    refused_files: int


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """What `db drain` wrote; `skipped` rows were there already, `refused` ones stay on disk."""

    batches: int
    rows: int
    skipped: int
    refused: int


def read_state(folder: Path) -> WriterState | None:
    """Return what the last writer said of itself; None when there is none that can be read."""
    try:
        with (folder / STATE_FILE).open("rb") as file:
            return msgspec.json.decode(file.read(_STATE_BYTES_MAX), type=WriterState)
    except (OSError, msgspec.MsgspecError):
        return None


def spool_status(folder: Path) -> SpoolStatus:
    """Look at a spool that a run may be using this moment.

    Raises:
        StorageError: the folder can't be looked at.
    """
    from tickwright.storage.history.spool_look import look_at_spool

    look = look_at_spool(folder)
    state = read_state(folder) or WriterState()
    behind_s = 0.0
    oldest = ""
    if look.oldest_ns is not None:
        behind_s = max(0.0, (utc_now_ns() - look.oldest_ns) / 1e9)
        oldest = datetime.fromtimestamp(look.oldest_ns // 1_000_000_000, UTC).isoformat()
    return SpoolStatus(
        folder=str(folder),
        writer=_writer_word(state),
        fault=state.fault,
        batches=look.batches,
        bytes=look.bytes,
        bytes_max=state.spool_bytes_max,
        oldest=oldest,
        behind_s=round(behind_s, 3),
        lost=state.lost + state.lost_before,
        refused=state.refused,
        damaged_files=look.damaged,
        refused_files=look.refused,
    )


def _writer_word(state: WriterState) -> str:
    if not state.told_ns:
        return "none"
    if state.is_ended:
        return "ended"
    if utc_now_ns() - state.told_ns > SILENT_S * 1e9 or not _is_alive(state.pid):
        return "silent"
    return "writing" if state.is_up else "away"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def drain_spool(dsn: str, folder: Path, *, bytes_max: int, wait_s: float = 0.0) -> Drained:
    """Bring everything that waits to the database, in order; a database that is away is waited for.

    Raises:
        StorageError: a run uses the spool and drains it by itself, or the database refuses.
        ConfigError, ConnectionLost: see `connect`.
    """
    if not folder.is_dir():
        return Drained(batches=0, rows=0, skipped=0, refused=0)
    return asyncio.run(_drain(dsn, folder, bytes_max, wait_s))


async def _drain(dsn: str, folder: Path, bytes_max: int, wait_s: float) -> Drained:
    from tickwright.storage.history.pump import HistoryPump
    from tickwright.storage.history.spool import Spool
    from tickwright.storage.history.writer import HistoryWriter

    spool = Spool(folder, bytes_max=bytes_max)
    try:
        if wait_s <= 0:
            await (await HistoryWriter.open(dsn)).close()
        pump = HistoryPump(dsn, spool)
        batches = len(spool)
        pumping = asyncio.create_task(pump.run())
        try:
            await _wait_drained(pump, pumping, wait_s)
        finally:
            pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pumping
        return Drained(batches=batches, rows=pump.rows, skipped=pump.skipped, refused=pump.refused)
    finally:
        spool.close()


async def _wait_drained(pump: "HistoryPump", pumping: "asyncio.Task[None]", wait_s: float) -> None:
    away_s: float | None = None
    while not pump.is_idle and not pumping.done():
        await asyncio.sleep(LOOK_S)
        if pump.is_up or not pump.outages:
            away_s = None
            continue
        away_s = away_s or time.monotonic()
        if pump.has_to_be_looked_at:
            raise StorageError(pump.fault)
        if time.monotonic() - away_s > wait_s:
            raise ConnectionLost(f"{pump.fault}; {len(pump.spool)} batches still wait")
