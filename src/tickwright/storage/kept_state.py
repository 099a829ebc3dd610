"""Owns the file a restart goes on with: written whole, checked whole, never half believed.

`trading-state.json` is an envelope of format, version, checksum (blake2b of the state's own bytes)
and the state, readable by its owner alone. A write goes to a draft, to the disk, then under the
name: a crash leaves the old state or the new one. Refuses to start afresh when the file is damaged,
foreign or of another version: neither a limit that was reached nor a position may be forgotten
because a file broke.
"""

import contextlib
import os
import threading
from hashlib import blake2b
from pathlib import Path

import msgspec

from tickwright.core.errors import StorageError
from tickwright.core.kept_state import KeptState

__all__ = ["KEPT_STATE_FILE", "KeptStateWriter", "read_kept_state", "write_kept_state"]

KEPT_STATE_FILE = "trading-state.json"
FORMAT = "tickwright trading state"
VERSION = 1
BYTES_MAX = 64 * 1024**2
"""A larger file is none of ours."""
_REMEDY = (
    "look at the account, then restore the file from a copy, or move it away to begin with what "
    "the venue shows: a new day, a new peak, no protection in force, positions of no strategy"
)


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int
    checksum: str
    state: msgspec.Raw


def read_kept_state(folder: Path) -> KeptState | None:
    """Return the state kept in a folder; None when none was ever kept there.

    Raises:
        StorageError: it can't be read, is damaged, foreign or of another version; with a remedy.
    """
    path = folder / KEPT_STATE_FILE
    try:
        if path.stat().st_size > BYTES_MAX:
            raise StorageError(f"{path} is larger than {BYTES_MAX} bytes: {_REMEDY}")
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}; {_REMEDY}") from None
    try:
        held = msgspec.json.decode(raw, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise StorageError(f"{path} is no trading state, or half of one: {_REMEDY}") from None
    if held.format != FORMAT:
        raise StorageError(f"{path} is no trading state but {held.format[:80]!r}: {_REMEDY}")
    if held.version != VERSION:
        raise StorageError(
            f"{path} has version {held.version}, this version reads {VERSION}: use the version "
            f"that wrote it; or {_REMEDY}"
        )
    if _checksum(bytes(held.state)) != held.checksum:
        raise StorageError(f"{path} is damaged, its checksum differs: {_REMEDY}")
    try:
        return msgspec.json.decode(held.state, type=KeptState)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise StorageError(f"{path} can't be understood: {error}; {_REMEDY}") from None


def write_kept_state(folder: Path, state: KeptState) -> None:
    """Put a state in the place of the one kept in a folder; on the disk when this returns.

    Raises:
        StorageError: it can't be written; the old one stands.
    """
    path = folder / KEPT_STATE_FILE
    draft = folder / f".{KEPT_STATE_FILE}.draft"
    body = msgspec.json.encode(state)
    held = _Envelope(
        format=FORMAT, version=VERSION, checksum=_checksum(body), state=msgspec.Raw(body)
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(msgspec.json.encode(held) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder_fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StorageError(f"{path} can't be written: {error.strerror}") from None


def _checksum(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


class KeptStateWriter:
    """Writes states in a thread of its own: trading never waits for the disk.

    A state that comes while one is being written replaces the one that waits: the newest counts.
    """

    def __init__(self, folder: Path) -> None:
        self.fault = ""
        """Why the last write failed; empty while the file holds what was last handed over."""
        self.written_count = 0
        self.written_ns = 0
        """Time of the last input in the state that stands in the file."""
        self._folder = folder
        self._ready = threading.Condition()
        self._waiting: KeptState | None = None
        self._is_closed = False
        self._is_writing = False
        self._thread = threading.Thread(target=self._work, name="trading-state", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether everything that was handed over was tried to be written."""
        with self._ready:
            return self._waiting is None and not self._is_writing

    def save(self, state: KeptState) -> None:
        """Hand a state over; it is written at once unless one is being written."""
        with self._ready:
            self._waiting = state
            self._ready.notify()

    def close(self) -> None:
        """Write what waits and end the thread."""
        with self._ready:
            self._is_closed = True
            self._ready.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._ready:
                while self._waiting is None and not self._is_closed:
                    self._ready.wait()
                state, self._waiting = self._waiting, None
                self._is_writing = state is not None
            if state is None:
                return
            try:
                write_kept_state(self._folder, state)
            except StorageError as error:
                self.fault = str(error)
            else:
                self.fault = ""
                self.written_count += 1
                self.written_ns = state.saved_ns
            with self._ready:
                self._is_writing = False
