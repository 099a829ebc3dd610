#!/usr/bin/env python3
"""Refuses the name of a venue outside the rooms that may know one.

How venues differ is data on the instrument or a method of a port; a name in any other room is the
first line of a special case. Comments and docstrings count too: what is only true of one venue
belongs where that venue lives.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["main", "misplaced_names"]

ROOT = Path(__file__).resolve().parent.parent
NAMES = re.compile("binance|bybit|kucoin|okx", re.IGNORECASE)
SUFFIXES = {".py", ".pyx", ".pxd", ".pyi"}

# Rooms that choose a venue (app, cli), imitate one (simulator) or feed one to rivals (bench).
ROOMS = {"app", "bench", "cli", "simulator"}
# A file outside those rooms that must name a venue, and why. Empty is best.
ALLOWED: dict[str, str] = {}


def _may_name(path: Path, name: str) -> bool:
    """Tell whether the file at `path` inside the package may speak of the venue `name`."""
    if path.parts[0] in ROOMS or path.as_posix() in ALLOWED:
        return True
    return path.parts[0] == "venues" and len(path.parts) > 2 and path.parts[1] == name


def misplaced_names(package: Path) -> Iterator[str]:
    """Yield `path:line: text` for each line below `package` that names a venue it may not."""
    for path in sorted(package.rglob("*")):
        if path.suffix not in SUFFIXES:
            continue
        inside = path.relative_to(package)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for found in NAMES.finditer(line):
                if not _may_name(inside, found[0].lower()):
                    yield f"{path}:{number}: {line.strip()}"
                    break


def main(arguments: list[str] | None = None) -> int:
    """Print every misplaced name; return 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, default=ROOT / "src" / "tickwright")
    found = list(misplaced_names(parser.parse_args(arguments).package))
    for line in found:
        print(line)
    if found:
        print("A venue's name belongs in venues/<name>/ only: tools/check_venue_names.py says why.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
