"""`python -m tests.campaigns.chaos [ROW ...] [--nightly] [--seed N] [--json PATH]`."""

import argparse
import asyncio
import importlib
import json
import pkgutil
import statistics
import sys
import time
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

import tests.campaigns.chaos as package
from tests.campaigns.chaos.rows import ROWS, Result, Size


def load() -> None:
    """Import every module of the campaign: each one registers its rows."""
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package.__name__}.{module.name}")


def times(result: Result) -> str:
    """Say how long it took: p50, p99, max."""
    found = sorted(result.seconds)
    if not found:
        return "-"
    p99 = found[min(len(found) - 1, int(len(found) * 0.99))]
    return f"{statistics.median(found):.3f} / {p99:.3f} / {found[-1]:.3f} s {result.timed}".strip()


def main() -> int:
    """Play the rows; 1 when one was violated or its fault never struck."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.chaos", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="such as R1; all without one")
    parser.add_argument("--nightly", action="store_true", help="the whole size: hours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH")
    chosen = parser.parse_args()
    load()
    unknown = [name for name in chosen.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]}; there are: {', '.join(sorted(ROWS, key=order))}")
    size: Size = "nightly" if chosen.nightly else "ci"
    table = Table(
        "row", "incident", "runs", "armed", "hit", "violations", "p50 / p99 / max", "took"
    )
    console = Console(width=None if sys.stdout.isatty() else 150)
    report = {}
    is_good = True
    for name in chosen.rows or sorted(ROWS, key=order):
        began = time.monotonic()
        result = asyncio.run(ROWS[name].play(size, Random(f"{chosen.seed} {name}")))
        took = time.monotonic() - began
        is_good &= result.is_good
        cells = (result.runs, result.armed, result.hit, len(result.violations))
        table.add_row(
            name,
            ROWS[name].title,
            *map(str, cells),
            times(result),
            f"{took:.0f} s",
            style="" if result.is_good else "red",
        )
        console.print(f"{name} {'good' if result.is_good else 'BAD'} in {took:.1f} s")
        for violation in result.violations[:10]:
            console.print(f"  {violation}", markup=False)
        report[name] = {
            "runs": result.runs,
            "armed": result.armed,
            "hit": result.hit,
            "violations": result.violations,
            "notes": result.notes,
            "seconds": result.seconds,
            "took_s": took,
        }
    console.print(table)
    if chosen.json:
        chosen.json.write_text(json.dumps({"size": size, "seed": chosen.seed, "rows": report}))
    return 0 if is_good else 1


def order(name: str) -> tuple[int, str]:
    """Sort R2 before R10."""
    digits = "".join(filter(str.isdigit, name))
    return int(digits or 0), name


if __name__ == "__main__":
    sys.exit(main())
