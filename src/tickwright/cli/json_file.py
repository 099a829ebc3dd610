"""Owns writing a verb's JSON; refuses to leave half a file."""

import os
import sys
from pathlib import Path

import msgspec

from tickwright.core.errors import ConfigError

__all__ = ["STDOUT", "check_json_path", "write_json"]

STDOUT = Path("-")


def check_json_path(path: Path | None, *, option: str = "--json") -> None:
    """Refuse a path that can't be written, before any work is done; `option` gave it.

    Raises:
        ConfigError: its folder doesn't exist or can't be written, or it is a folder itself.
    """
    if path is None or path == STDOUT:
        return
    folder = path.parent
    if path.is_dir():
        raise ConfigError(f"{option} {path} is a folder")
    if not folder.is_dir():
        raise ConfigError(f"{option} {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{option} {path}: folder {folder} can't be written")


def write_json(path: Path, record: object) -> None:
    """Write a record whole, as indented JSON; the path `-` is stdout."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    if path == STDOUT:
        sys.stdout.write(text.decode())
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
