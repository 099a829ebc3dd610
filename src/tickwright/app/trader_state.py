"""Owns how a trader is known from its state folder alone; refuses to touch it or to ask a venue.

What the fence page, the lease, the kill order and the watchdog's note say together, in one word and
one sentence.
"""

from pathlib import Path

import msgspec

from tickwright.app.watchdog_record import noted_watchdog
from tickwright.core.errors import StorageError
from tickwright.storage.fence import FenceState, look
from tickwright.storage.kill_order import KillOrder, read_kill_order
from tickwright.storage.lease import LeaseRecord, look_at_lease

__all__ = ["KillLine", "TraderLine", "WatchdogLine", "kill_line", "trader_line", "watchdog_line"]


class TraderLine(msgspec.Struct, frozen=True, kw_only=True):
    """How the trader of a state folder stands.

    `state` is none (no run yet), starting, running, silent, gone, ended, killed or unknown.
    `silence_s` is the age of its last sign of life. `held_by` is who holds the folder now.
    """

    state: str
    words: str
    pid: int | None = None
    epoch: int | None = None
    since_ns: int | None = None
    silence_s: float | None = None
    held_by: str = ""


class KillLine(msgspec.Struct, frozen=True, kw_only=True):
    """Who threw the kill switch, why and when; `done_ns` null: the venue never showed it done."""

    words: str
    reason: str
    by: str
    scope: str
    flatten: bool
    asked_ns: int | None
    done_ns: int | None


class WatchdogLine(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a watchdog looks after the trader."""

    is_watching: bool
    pid: int | None
    since_ns: int | None
    heartbeat_s_max: float


def trader_line(folder: Path, *, heartbeat_s_max: float) -> TraderLine:
    """Say how the trader of a state folder stands.

    Raises:
        StorageError: the page or the lease can't be read, or isn't one.
    """
    page = look(folder)
    record, is_held = look_at_lease(folder)
    holder = str(record) if is_held and record is not None else ""
    trades = record is not None and record.purpose == "trade"
    if is_held and trades and record is not None and (page is None or page.epoch < record.epoch):
        return TraderLine(
            state="starting",
            words=f"process {record.pid} is starting: it asks its venues before it trades",
            pid=record.pid,
            epoch=record.epoch,
            since_ns=record.started_ns,
            held_by=holder,
        )
    if page is None or not page.epoch:
        return TraderLine(state="none", words="no trader has run here yet", held_by=holder)
    silence_s = page.silence_s()
    is_revoked = page.is_revoked or read_kill_order(folder) is not None
    if is_revoked:
        state, words = "killed", "the kill switch was thrown: nothing may be opened"
        if page.lives and not page.has_ended:
            words += f"; process {page.pid} is still there"
    elif page.has_ended:
        state, words = "ended", "the last run ended in order"
    elif not page.lives:
        state, words = "gone", f"process {page.pid} is gone without having ended in order"
    elif silence_s > heartbeat_s_max:
        state, words = "silent", f"process {page.pid} shows no life for {silence_s:.1f} s"
    else:
        state, words = "running", f"process {page.pid} trades"
    has_process = state in ("running", "silent", "gone", "killed")
    return TraderLine(
        state=state,
        words=words,
        pid=page.pid if has_process else None,
        epoch=page.epoch,
        since_ns=_since(page, record),
        silence_s=None if silence_s == float("inf") else round(silence_s, 3),
        held_by=holder,
    )


def _since(page: FenceState, record: LeaseRecord | None) -> int | None:
    """Return when the run of the page began; the lease may be another's by now."""
    if record is not None and record.epoch == page.epoch and record.purpose == "trade":
        return record.started_ns
    return None


def kill_line(folder: Path) -> KillLine | None:
    """Return what the kill switch left; None when it wasn't thrown."""
    try:
        order: KillOrder | None = read_kill_order(folder)
    except StorageError as error:
        # It stands although nobody can read it: that is what it is for.
        return KillLine(
            words=str(error),
            reason="",
            by="",
            scope="",
            flatten=False,
            asked_ns=None,
            done_ns=None,
        )
    if order is None:
        return None
    return KillLine(
        words=order.words(),
        reason=order.reason,
        by=order.by,
        scope=order.scope,
        flatten=order.flatten,
        asked_ns=order.asked_ns,
        done_ns=order.done_ns or None,
    )


def watchdog_line(folder: Path, *, heartbeat_s_max: float) -> WatchdogLine:
    """Say whether a watchdog process is there; one that was killed left a note and isn't."""
    record = noted_watchdog(folder)
    if record is None or not record.lives:
        return WatchdogLine(
            is_watching=False, pid=None, since_ns=None, heartbeat_s_max=heartbeat_s_max
        )
    return WatchdogLine(
        is_watching=True,
        pid=record.pid,
        since_ns=record.started_ns,
        heartbeat_s_max=record.heartbeat_s_max,
    )
