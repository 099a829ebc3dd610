"""Owns the file that keeps paper accounts over restarts: whole or not at all, newest last.

Refuses to know what an account is.
"""

import contextlib
import os
import threading
from pathlib import Path

from tickwright.core.errors import StorageError

__all__ = ["LEDGER_BYTES_MAX", "PaperFile"]

LEDGER_BYTES_MAX = 64 * 1024**2
"""A longer file is none of ours."""


class PaperFile:
    """One file of text. `write` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._newest = 0

    def read(self) -> bytes | None:
        """Return the text; None when there is none yet.

        Raises:
            StorageError: the file is there and can't be read.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(LEDGER_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from None
        if len(text) > LEDGER_BYTES_MAX:
            raise StorageError(f"{self.path} is longer than {LEDGER_BYTES_MAX} bytes")
        return text

    def write(self, number: int, text: bytes) -> None:
        """Replace the file, unless a text of a higher number stands there already.

        Raises:
            StorageError: it can't be written; the old one stays.
        """
        fresh = self.path.with_suffix(".new")
        with self._lock:
            # A write that was given up goes on in its thread: it must not come after a newer one.
            if number <= self._newest:
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with fresh.open("wb") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self.path)
            except OSError as error:
                with contextlib.suppress(OSError):
                    fresh.unlink()
                raise StorageError(f"{self.path}: {error.strerror or error}") from None
            self._newest = number
