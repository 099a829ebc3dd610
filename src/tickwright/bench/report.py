"""Owns how a benchmark is shown: tables for people, one JSON document for machines.

A section states its figures with median and spread, the conditions they were taken under, and each
target with what was reached, met or not. It never hides a target that was missed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tickwright.bench.figures import Spread
from tickwright.bench.machine import Machine

__all__ = ["Column", "Row", "Section", "Target", "print_section", "write_json"]


@dataclass(frozen=True, slots=True)
class Column:
    """Name one column: its key in rows, its heading with the unit, and the digits shown."""

    key: str
    heading: str
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one stack's figures by column key; a text stands for a figure that is not there."""

    label: str
    figures: dict[str, Spread | str]


@dataclass(frozen=True, slots=True)
class Target:
    """Set a target beside what was reached."""

    text: str
    reached: str
    is_met: bool


@dataclass(slots=True)
class Section:
    """Hold one table with its conditions, targets and notes."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, label: str, **figures: Spread | str) -> None:
        """Add one row."""
        self.rows.append(Row(label, figures))

    def aim(
        self, text: str, reached: float, *, least: float | None = None, most: float | None = None
    ) -> None:
        """Add a target with a least or a most, and whether it was met."""
        is_met = (least is None or reached >= least) and (most is None or reached <= most)
        self.targets.append(Target(text, f"{reached:,.2f}", is_met))


def print_section(console: Console, section: Section) -> None:
    """Print a section: table, targets, notes."""
    table = Table(title=section.title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in section.columns:
        table.add_column(column.heading, justify="right")
    for row in section.rows:
        cells = []
        for column in section.columns:
            figure = row.figures.get(column.key, "")
            cells.append(figure if isinstance(figure, str) else figure.text(column.digits))
        table.add_row(row.label, *cells)
    console.print(table)
    for target in section.targets:
        mark = "[green]met[/green]" if target.is_met else "[red]missed[/red]"
        console.print(f"  {mark}  {target.text}: {target.reached}")
    for note in section.notes:
        console.print(f"  {note}", style="dim", highlight=False)
    console.print()


def write_json(
    path: Path, machine: Machine, sections: Sequence[Section], problems: Sequence[str]
) -> None:
    """Write everything as one JSON document."""
    document: dict[str, Any] = {
        "machine": asdict(machine),
        "sections": {section.name: asdict(section) for section in sections},
        "problems": list(problems),
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
