"""Owns looking at a spool from outside: its files, never what is in them."""

from dataclasses import dataclass
from pathlib import Path

from tickwright.core.errors import StorageError

__all__ = ["ASIDE", "BATCH", "SpoolLook", "look_at_spool", "on_disk"]

BATCH = ".batch"
ASIDE = (".damaged", ".refused")
"""Endings of files: one that waits, and those that a person may look at."""
_BLOCK = 4_096
"""What the smallest file takes on disk."""


@dataclass(frozen=True, slots=True)
class SpoolLook:
    """What a spool holds, for people: files, bytes on disk, since when; and what was set aside."""

    batches: int
    bytes: int
    oldest_ns: int | None
    damaged: int
    refused: int


def look_at_spool(folder: Path) -> SpoolLook:
    """Look at a spool that somebody else may hold; one that isn't there is empty.

    Raises:
        StorageError: it can't be looked at.
    """
    size, times, endings = 0, [], []
    try:
        for path in folder.iterdir():
            if path.suffix == BATCH:
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                size += on_disk(found.st_size)
                times.append(found.st_mtime_ns)
            elif path.suffix in ASIDE:
                endings.append(path.suffix)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError(f"the spool {folder} can't be looked at: {error.strerror}") from None
    return SpoolLook(
        len(times),
        size,
        min(times, default=None),
        endings.count(".damaged"),
        endings.count(".refused"),
    )


def on_disk(size: int) -> int:
    """Return what a file of this size takes."""
    return -(-size // _BLOCK) * _BLOCK
