"""Owns the order of a benchmark session: which sections run, what is printed, what is written.

Exit codes: 0 when every section was measured, whether or not its targets were met (a report is not
a test); 1 when a run failed or two stacks' books differed; 2 for an unknown section.
"""

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rich.console import Console

from tickwright.bench.core import measure_core
from tickwright.bench.feed import measure_feed
from tickwright.bench.gate import measure_gate
from tickwright.bench.lake import measure_lake
from tickwright.bench.latency import measure_latency
from tickwright.bench.machine import load_warning, read_machine
from tickwright.bench.matching import measure_matching
from tickwright.bench.memory import measure_memory
from tickwright.bench.mirror import measure_mirror
from tickwright.bench.order_path import measure_order_path
from tickwright.bench.reconnect import measure_reconnect
from tickwright.bench.record import measure_record
from tickwright.bench.report import Section, print_section, write_json
from tickwright.bench.runs import RunFailed, Session, opened_session

__all__ = ["SECTIONS", "run_bench"]

_WIDTH_PIPED: Final = 150


def _measure_backtest(session: Session) -> Section | list[Section]:
    if find_spec("numpy") is None:
        raise RunFailed("backtests need numpy: pip install 'tickwright[backtest]'")
    from tickwright.bench.backtest import measure_backtest

    return measure_backtest(session)


def _measure_history(session: Session) -> Section | list[Section]:
    if find_spec("asyncpg") is None:
        raise RunFailed("the history needs asyncpg: pip install 'tickwright[history]'")
    from tickwright.bench.history import measure_history

    return measure_history(session)


_MEASURES: Final[dict[str, Callable[[Session], Section | list[Section]]]] = {
    "backtest": _measure_backtest,
    "core": measure_core,
    "feed": measure_feed,
    "gate": measure_gate,
    "latency": measure_latency,
    "matching": measure_matching,
    "memory": measure_memory,
    "order_path": measure_order_path,
    "reconnect": measure_reconnect,
    "record": measure_record,
    "lake": measure_lake,
    "history": _measure_history,
    "mirror": measure_mirror,
}
#: What can be asked for, in the order it is measured.
SECTIONS: Final = tuple(_MEASURES)


def run_bench(which: Sequence[str], *, quick: bool, json_path: Path | None) -> int:
    """Measure the named sections, or all when none is named; print tables and write JSON.

    ``quick`` takes one or a few short runs: enough to see that everything works, too few to quote.
    Returns the exit code.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_PIPED)
    unknown = [name for name in which if name not in _MEASURES]
    if unknown:
        console.print(
            f"unknown section {', '.join(unknown)}: there are {', '.join(SECTIONS)}", style="red"
        )
        return 2
    machine = read_machine()
    console.print(machine.line(), highlight=False)
    _warn(console)
    if quick:
        console.print("Quick runs: enough to see that it works, too few to quote.", style="yellow")
    sections: list[Section] = []
    problems: list[str] = []
    with (
        console.status("starting") as status,
        opened_session(quick=quick, say=status.update) as session,
    ):
        for name in which or SECTIONS:
            try:
                measured = _MEASURES[name](session)
            except RunFailed as error:
                problems.append(f"{name}: {error}")
                console.print(f"{name}: {error}", style="red", markup=False)
                continue
            for section in measured if isinstance(measured, list) else [measured]:
                sections.append(section)
                print_section(console, section)
    _warn(console)
    if json_path is not None:
        write_json(json_path, machine, sections, problems)
    return 1 if problems else 0


def _warn(console: Console) -> None:
    warning = load_warning(os.getloadavg()[0])
    if warning is not None:
        console.print(f"Warning: {warning}.", style="yellow")
