"""Owns the trials on disk: one line each, appended and flushed; refuses to believe a torn line.

A line is the CRC-32 of its JSON in eight hex digits, a blank, the JSON. Whatever was cut off while
it was written is told, removed and tried again; everything before it stands.
"""

import os
from pathlib import Path
from types import TracebackType
from zlib import crc32

import msgspec

from tickwright.core.errors import ConfigError, StorageError
from tickwright.research.trial import Trial

__all__ = ["TrialFile"]

FILE_NAME = "trials.jsonl"
_CRC_LENGTH = 8


class TrialFile:
    """The trials of one folder, by key; opened for appending by one process at a time.

    Args:
        folder: made when it isn't there.
        resumes: take up what is there; otherwise it must be empty.

    Raises:
        ConfigError: there are trials and it is not to resume, or another process writes there.
        StorageError: the folder can't be written.
    """

    def __init__(self, folder: Path, *, resumes: bool) -> None:
        self.path = folder / FILE_NAME
        self.known: dict[str, Trial] = {}
        self.damaged = 0
        """Lines that didn't hold what they promise; they are tried again."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
        except OSError as error:
            raise StorageError(
                f"trials can't be written to {folder}: {error.strerror or error}"
            ) from None
        try:
            self._lock()
            self._read()
            if self.known and not resumes:
                raise ConfigError(
                    f"{folder} holds {len(self.known)} trials already: --resume goes on with them, "
                    "--out names another folder"
                )
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "TrialFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others write there."""
        self._file.close()

    def add(self, trial: Trial) -> None:
        """Append a trial; it is on disk when this returns."""
        raw = msgspec.json.encode(trial)
        self._file.write(b"%08x %s\n" % (crc32(raw), raw))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.known[trial.key] = trial

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another sweep writes to {self.path} now") from None

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            is_whole = line.endswith(b"\n")
            trial = _trial(line) if is_whole else None
            if trial is None:
                self.damaged += 1
            else:
                self.known[trial.key] = trial
            whole += len(line) if is_whole else 0
        # A line without its end would swallow the next one.
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)


def _trial(line: bytes) -> Trial | None:
    digits, raw = line[:_CRC_LENGTH], line[_CRC_LENGTH + 1 :].rstrip(b"\n")
    try:
        if int(digits, 16) != crc32(raw):
            return None
        return msgspec.json.decode(raw, type=Trial)
    except (ValueError, msgspec.MsgspecError):
        return None
