#!/usr/bin/env python3
"""Runs the import contracts of pyproject.toml, compiled modules included.

import-linter reads Python only: it would credit an import made inside a `.pyx` to nobody. So it
is given a copy of the tree in which each `.pyx` and `.pxd` is a `.py` of its import lines. Rooms
that the contracts name and nobody built yet stand empty in the copy, so that a contract holds
from the first line of a new room.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

__all__ = ["main", "reduce_tree", "reduced_imports"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tickwright"

# `from a.b cimport (c,\n d)`, `cimport a.b`, and the same with `import`.
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<origin>[\w.]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n#]+)"
    r"|c?import[ \t]+(?P<modules>[\w., \t]+))",
    re.MULTILINE,
)
# What a compiled module could use behind the contracts' back, as the Python module of its kind.
HEADER = re.compile(
    r'(?:extern from|#include)\s*["<]+(?:sys/)?(?P<name>time|stdio|signal|unistd)\.h'
)
C_HEADERS = {"time": "time", "stdio": "io", "signal": "signal", "unistd": "os"}
C_IMPORTS = {"libc.time": "time", "libc.signal": "signal", "libc.stdio": "io", "posix": "os"}
C_PACKAGES = ("libc", "libcpp", "posix", "cpython", "cython")


def reduced_imports(source: str) -> str:
    """Return the import lines of a Cython source as Python."""
    lines = [f"import {C_HEADERS[found['name']]}" for found in HEADER.finditer(source)]
    for found in IMPORT.finditer(source):
        if found["origin"]:
            lines += _one_import(found["origin"], f"from {found['origin']} import {found['names']}")
        else:
            for module in found["modules"].split(","):
                lines += _one_import(module.split()[0], f"import {module.strip()}")
    return "".join(f"{line}\n" for line in lines)


def _one_import(origin: str, line: str) -> list[str]:
    for c_module, python_module in C_IMPORTS.items():
        if origin == c_module or origin.startswith(f"{c_module}."):
            return [f"import {python_module}"]
    return [] if origin.split(".")[0] in C_PACKAGES else [line]


def reduce_tree(source: Path, target: Path, rooms: list[str]) -> None:
    """Write the package below `source` to `target`, compiled modules reduced, `rooms` present."""
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted((source / PACKAGE).rglob("*.p*")):
        if path.suffix not in {".py", ".pyx", ".pxd"}:
            continue
        copy = (target / path.relative_to(source)).with_suffix(".py")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            shutil.copyfile(path, copy)
        else:
            with copy.open("a") as out:
                out.write(reduced_imports(path.read_text()))
    for room in rooms:
        (target / PACKAGE / room).mkdir(exist_ok=True)
    for folder in [target / PACKAGE, *(target / PACKAGE).rglob("*/")]:
        (folder / "__init__.py").touch()


def _rooms(config: Path) -> list[str]:
    """Return every room that the layers of `config` name."""
    contracts = tomllib.loads(config.read_text())["tool"]["importlinter"]["contracts"]
    house = next(c for c in contracts if c.get("containers") == [PACKAGE])
    return [room for layer in house["layers"] for room in re.findall(r"\w+", layer)]


def main(arguments: list[str] | None = None) -> int:
    """Check the tree; return import-linter's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=ROOT / "src")
    parser.add_argument("--copy", type=Path, default=ROOT / "build" / "imports")
    options = parser.parse_args(arguments)
    config = ROOT / "pyproject.toml"
    reduce_tree(options.source, options.copy, _rooms(config))
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache", "--config", config],
        cwd=options.copy,
        env={**os.environ, "PYTHONPATH": str(options.copy)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
