"""Owns the picture of a trader from its state folder; refuses to ask a venue or change a file.

Whether it runs, what stops it, what it promised and how the last run ended. The exit code says the
most important of it.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tickwright import __version__
from tickwright.app.history_spool import HISTORY_FOLDER, SpoolStatus, spool_status
from tickwright.app.kill_entries import KILL_FILE
from tickwright.app.orders import JournalLine, OrderLine, read_orders
from tickwright.app.protections import protections_in
from tickwright.app.session_facts import last_words, sessions_of
from tickwright.app.trader_folder import TraderFolder
from tickwright.app.trader_state import (
    KillLine,
    TraderLine,
    WatchdogLine,
    kill_line,
    trader_line,
    watchdog_line,
)
from tickwright.app.works import WorkLine, works_in
from tickwright.core.errors import StorageError
from tickwright.engine.summary import ProtectionSummary
from tickwright.net.listener import utc_now_ns
from tickwright.storage.journal import open_promises

__all__ = ["DISK_BYTES_LOW", "SessionLine", "StatusReport", "look_at_status"]

NOT_RUNNING = 3
SILENT = 4
KILLED = 5
DISK_BYTES_LOW = 1024**3
"""Below it a run may not have the room to finish its day."""
_CODES = {
    "running": 0,
    "killed": KILLED,
    "silent": SILENT,
}


class SessionLine(msgspec.Struct, frozen=True, kw_only=True):
    """The newest recorded session of this kind of run.

    `is_closed` says that the run wrote its end; a crash doesn't, and one under way hasn't yet.
    """

    folder: str
    mode: str
    epoch: int
    started_ns: int
    is_closed: bool
    last_words: str


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a trader stands. `faults` is what couldn't be read or believed, each in words."""

    version: str
    time: str
    config: str
    state_folder: str
    mode: str
    exit_code: int
    trader: TraderLine
    kill: KillLine | None
    watchdog: WatchdogLine
    protections: tuple[ProtectionSummary, ...]
    works: tuple[WorkLine, ...]
    session: SessionLine | None
    history: SpoolStatus | None
    journals: tuple[JournalLine, ...]
    last_orders: tuple[OrderLine, ...]
    disk_free_bytes: int | None
    disk_is_low: bool
    faults: tuple[str, ...]


def look_at_status(path: Path, *, last: int = 5) -> StatusReport:
    """Read everything and say how it stands; what can't be read is told, not raised.

    Raises:
        ConfigError: the configuration's own tables are wrong.
    """
    where = TraderFolder(path)
    faults: list[str] = []
    heartbeat_s_max = where.file.kill.heartbeat_s_max
    try:
        trader = trader_line(where.state, heartbeat_s_max=heartbeat_s_max)
    except StorageError as error:
        trader = TraderLine(state="unknown", words=str(error))
        faults.append(str(error))
    kill = kill_line(where.state)
    if kill is not None and trader.state != "killed":
        trader = msgspec.structs.replace(trader, state="killed", words=kill.words)
    if (where.state / KILL_FILE).exists() and kill is None:
        faults.append(f"{where.state / KILL_FILE} was made, and nobody has acted on it")
    protections: tuple[ProtectionSummary, ...] = ()
    works: tuple[WorkLine, ...] = ()
    try:
        protections = protections_in(where.state).protections
        works = works_in(where.state)
    except StorageError as error:
        faults.append(str(error))
    orders = read_orders(where, last=last)
    faults += orders.faults
    for account, journal in where.journals().items():
        # The index doesn't look again at what it has read; a start does.
        try:
            open_promises(journal, account=account)
        except StorageError as error:
            if str(error) not in faults:
                faults.append(str(error))
    free = _free_bytes(where.state)
    return StatusReport(
        version=__version__,
        time=datetime.fromtimestamp(utc_now_ns() // 1_000_000_000, UTC).isoformat(),
        config=str(path),
        state_folder=str(where.state),
        mode="paper" if where.file.is_paper else "live",
        exit_code=_CODES.get(trader.state, NOT_RUNNING),
        trader=trader,
        kill=kill,
        watchdog=watchdog_line(where.state, heartbeat_s_max=heartbeat_s_max),
        protections=protections,
        works=works,
        session=_session(where),
        history=_history(where, faults),
        journals=orders.journals,
        last_orders=orders.orders,
        disk_free_bytes=free,
        disk_is_low=free is not None and free < DISK_BYTES_LOW,
        faults=tuple(faults),
    )


def _session(where: TraderFolder) -> SessionLine | None:
    for found in sessions_of(where.sessions, is_paper=where.file.is_paper):
        header = found.header
        return SessionLine(
            folder=str(found.folder),
            mode=header.mode,
            epoch=header.epoch,
            started_ns=header.started_ns,
            is_closed=found.has_end(),
            last_words=last_words(found.folder),
        )
    return None


def _history(where: TraderFolder, faults: list[str]) -> SpoolStatus | None:
    folder = where.state / HISTORY_FOLDER
    try:
        return spool_status(folder) if folder.is_dir() else None
    except StorageError as error:
        faults.append(str(error))
        return None


def _free_bytes(folder: Path) -> int | None:
    """Return the room on the disk of a folder that need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
