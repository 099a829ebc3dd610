"""Owns results as Parquet, in a folder or in a lake; refuses half a file.

In a lake they lie under `research/`, beside its tables: `research/sweeps/NAME-DIGEST.parquet`, a
row a trial. The same sweep again replaces its file.
"""

from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.core.errors import StorageError
from tickwright.research.sweep import SweepResult
from tickwright.storage.lake.store import open_store, remove_scratch

if TYPE_CHECKING:
    import polars

__all__ = ["keep_in_lake", "lake_name", "write_trials"]


def write_trials(path: Path, frame: "polars.DataFrame") -> None:
    """Write a frame whole, as Parquet.

    Raises:
        StorageError: it can't be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(draft, compression="zstd")
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def lake_name(name: str, found: SweepResult) -> str:
    """Return where a sweep lies in a lake: by name, data, code, and what was tried."""
    tried = sorted({parameter for one in found.trials for parameter in one.parameters})
    words = (found.identity, found.sampler, found.seed, tried)
    digest = blake2b(msgspec.json.encode(words), digest_size=6).hexdigest()
    return f"research/sweeps/{name}-{digest}.parquet"


def keep_in_lake(place: str, name: str, found: SweepResult) -> str:
    """Put a sweep's trials into a lake; returns the name of the file there.

    Raises:
        ConfigError: the lake's address is of no known kind.
        StorageError: it can't be written.
    """
    store = open_store(place)
    where = lake_name(name, found)
    scratch = store.scratch()
    try:
        draft = scratch / "trials.parquet"
        write_trials(draft, found.frame())
        store.put(draft, where)
    finally:
        remove_scratch(scratch)
    return where
