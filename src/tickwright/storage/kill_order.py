"""Owns the record that the kill switch was thrown; refuses to be forgotten by a restart.

While it is in the state folder no trader starts there. A person lifts it.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

from tickwright.core.errors import StorageError
from tickwright.storage.fence import revoke

__all__ = ["KillOrder", "KillScope", "kill_order_path", "lift", "read_kill_order", "throw"]

KillScope = Literal["account", "own"]


class KillOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Why trading was stopped, by which entry, when, and how far it went.

    `by` is cli, api, signal, file, rule or watchdog. `done_ns` is 0 until the venue showed it.
    """

    reason: str
    by: str
    scope: KillScope
    flatten: bool
    asked_ns: int
    done_ns: int = 0

    def words(self) -> str:
        """Say it in one sentence."""
        state = "" if self.done_ns else ", and is not done"
        return f"the kill switch was thrown by {self.by}: {self.reason}{state}"


def kill_order_path(folder: Path) -> Path:
    """Return where the record of a state folder is."""
    return folder / "kill.json"


def throw(folder: Path, order: KillOrder) -> None:
    """Fence the trader first, then make the record outlive everything.

    Raises:
        StorageError: the record can't be kept; the fence holds even then, if it could be written.
    """
    path = kill_order_path(folder)
    draft = path.with_suffix(".draft")
    revoke(folder)
    try:
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(order))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror}") from None


def read_kill_order(folder: Path) -> KillOrder | None:
    """Return the record; None when trading is not stopped.

    Raises:
        StorageError: there is one, and it can't be read: trading stays stopped.
    """
    path = kill_order_path(folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=KillOrder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise StorageError(f"{path} is damaged ({error}): `tickwright kill --lift`") from None


def lift(folder: Path) -> None:
    """Let traders start again.

    Raises:
        StorageError: the record can't be removed.
    """
    try:
        kill_order_path(folder).unlink(missing_ok=True)
    except OSError as error:
        path = kill_order_path(folder)
        raise StorageError(f"{path} can't be removed: {error.strerror}") from None
    revoke(folder, 0)
