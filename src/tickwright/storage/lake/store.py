"""Owns where a lake's files lie: a local folder, or an object store behind a URL.

Refuses to show a file before it is whole: a local file comes by rename, an object by its upload.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any, Protocol

from tickwright.core.errors import ConfigError, StorageError

__all__ = ["FolderStore", "LakeStore", "ObjectStore", "open_store", "remove_scratch"]

SCRATCH = "_tmp"
_HOST = socket.gethostname().replace("/", "_")


class LakeStore(Protocol):
    """Files by name; names use `/`."""

    place: str

    def scratch(self) -> Path:
        """Return a new empty local folder for drafts; its user removes it."""
        ...

    def put(self, draft: Path, name: str) -> None:
        """Take a local file in, whole or not at all; the draft is gone afterwards."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""
        ...

    def read(self, name: str) -> bytes | None:
        """Read a small file; None when there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Return the names below a folder, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; no fault when it isn't there."""
        ...

    def local(self, name: str) -> Path:
        """Return a local path that holds the file, fetched if need be."""
        ...


class FolderStore:
    """A lake in a local folder.

    Raises:
        StorageError: the folder can't be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = str(root)

    def scratch(self) -> Path:
        """Return a new empty folder on the lake's own disk, so that a rename is enough."""
        folder = self.root / SCRATCH
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_dead(folder)
            return Path(tempfile.mkdtemp(prefix=f"{_HOST}-{os.getpid()}-", dir=folder))
        except OSError as error:
            raise StorageError(
                f"the lake {self.root} can't be written: {error.strerror or error}"
            ) from None

    def put(self, draft: Path, name: str) -> None:
        """Flush the draft to disk and rename it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)

    def write(self, name: str, data: bytes) -> None:
        """Write under another name, flush, rename."""
        folder = self.scratch()
        draft = folder / "note"
        draft.write_bytes(data)
        self.put(draft, name)
        folder.rmdir()

    def read(self, name: str) -> bytes | None:
        """Read a file; None when there is none."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        """Return the names below a folder, sorted."""
        base = self.root / prefix
        return sorted(p.relative_to(self.root).as_posix() for p in base.rglob("*") if p.is_file())

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.root / name).unlink(missing_ok=True)

    def local(self, name: str) -> Path:
        """Return its path."""
        return self.root / name


class ObjectStore:
    """A lake in an object store: `s3://bucket/prefix` and whatever else obstore opens.

    Files that are read come into `cache` once; delete that folder whenever nobody reads.

    Args:
        store: an obstore store.
        place: how a person calls it.
        cache: a local folder, made when needed.
    """

    def __init__(self, store: Any, place: str, cache: Path) -> None:
        self.place = place
        self._store = store
        self._cache = cache

    def scratch(self) -> Path:
        """Return a new empty local folder."""
        return Path(tempfile.mkdtemp(prefix="tickwright-lake-"))

    def put(self, draft: Path, name: str) -> None:
        """Upload; an object shows when its upload is complete."""
        import obstore

        with _told(self.place, name):
            obstore.put(self._store, name, draft)
        draft.unlink()
        (self._cache / name).unlink(missing_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """Upload bytes."""
        import obstore

        with _told(self.place, name):
            obstore.put(self._store, name, data)

    def read(self, name: str) -> bytes | None:
        """Fetch bytes; None when there is none."""
        import obstore

        try:
            with _told(self.place, name):
                return bytes(obstore.get(self._store, name).bytes())
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        """Return the names below a folder, sorted."""
        import obstore

        found: list[str] = []
        with _told(self.place, prefix):
            for chunk in obstore.list(self._store, prefix=prefix):
                found += [str(one["path"]) for one in chunk]
        return sorted(found)

    def remove(self, name: str) -> None:
        """Remove an object."""
        import obstore

        try:
            with _told(self.place, name):
                obstore.delete(self._store, name)
        except FileNotFoundError:
            return

    def local(self, name: str) -> Path:
        """Fetch an object into the cache, unless it is there."""
        import obstore

        path = self._cache / name
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with _told(self.place, name), draft.open("wb") as file:
            for chunk in obstore.get(self._store, name).stream():
                file.write(chunk)
        draft.replace(path)
        return path


class _told:  # noqa: N801 - a with statement reads as a sentence
    """Turns obstore's faults into ours; a missing object stays FileNotFoundError."""

    def __init__(self, place: str, name: str) -> None:
        self._words = f"the lake {place}: {name}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        from obstore.exceptions import BaseError

        if isinstance(error, BaseError) and not isinstance(error, FileNotFoundError):
            first = str(error).strip().partition("\n")[0]
            raise StorageError(f"{self._words}: {first[:300]}") from None


def open_store(place: str, *, cache: Path | None = None) -> LakeStore:
    """Open a lake's place: a folder, or a URL such as `s3://bucket/prefix`.

    Credentials and endpoint of a URL come from the environment (AWS_ACCESS_KEY_ID and so on).

    Raises:
        ConfigError: the URL is of no kind obstore knows, or obstore isn't there.
    """
    if "://" not in place:
        return FolderStore(Path(place))
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise ConfigError(
            f"a lake at {place.partition('://')[0]}:// needs obstore: install tickwright[lake]"
        ) from None
    try:
        store = from_url(place)
    except (BaseError, ValueError) as error:
        raise ConfigError(f"the lake {place} can't be opened: {error}") from None
    folder = cache or Path.home() / ".cache" / "tickwright" / "lake" / place.replace("/", "_")
    return ObjectStore(store, place, folder)


def _remove_dead(folder: Path) -> None:
    """Remove the drafts of processes of this machine that are no more."""
    for one in folder.iterdir():
        host, _, rest = one.name.rpartition("-")[0].rpartition("-")
        if host == _HOST and rest.isdigit() and not _is_alive(int(rest)):
            shutil.rmtree(one, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def remove_scratch(folder: Path) -> None:
    """Remove drafts."""
    shutil.rmtree(folder, ignore_errors=True)
