"""Render the JSON of `tickwright bench --json` as the tables of the README.

`python tools/bench_table.py BENCH.json` prints them; with `--into README.md` they replace what
stands between the marks `<!-- bench:begin -->` and `<!-- bench:end -->`; everything else stays.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["BEGIN", "END", "main", "put_between_marks", "rendered"]

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


def rendered(document: Mapping[str, Any], command: str = "tickwright bench") -> str:
    """Return markdown for a whole document: where, then a table and targets for each section."""
    parts = [f"Command: `{command}`  \nMachine: {_machine(document['machine'])}"]
    for section in document["sections"].values():
        parts.append(_section(section))
    for problem in document.get("problems", ()):
        parts.append(f"Not measured: {_cell(problem)}")
    return "\n\n".join(parts) + "\n"


def put_between_marks(page: str, block: str) -> str:
    """Return the page with the block between its marks.

    Raises:
        ValueError: the marks aren't there once each, in order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs one {BEGIN} and, after it, one {END}")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{block}{END}{tail}"


def _machine(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"CPython {machine['python']}; {packages}; commit {machine['commit']}; "
        f"load {machine['load']:.2f}"
    )


def _section(section: Mapping[str, Any]) -> str:
    columns = section["columns"]
    lines = [
        f"**{_cell(section['title'])}**",
        "",
        _row(["", *(column["heading"] for column in columns)]),
        _row(["---", *("---:" for _ in columns)]),
    ]
    for row in section["rows"]:
        figures = row["figures"]
        lines.append(
            _row(
                [row["label"], *(_figure(figures.get(c["key"], ""), c["digits"]) for c in columns)]
            )
        )
    if section["targets"]:
        lines += ["", _row(["target", "reached", ""]), _row(["---", "---:", "---"])]
        for target in section["targets"]:
            verdict = "met" if target["is_met"] else "**missed**"
            lines.append(_row([target["text"], target["reached"], verdict]))
    if section["notes"]:
        lines += ["", *(f"- {_cell(note)}" for note in section["notes"])]
    return "\n".join(lines)


def _figure(figure: Any, digits: int) -> str:
    """Return ``median (least-most)``, as the terminal shows it; a text stands for itself."""
    if isinstance(figure, str):
        return figure
    median = f"{figure['median']:,.{digits}f}"
    if figure["runs"] == 1:
        return median
    return f"{median} ({figure['least']:,.{digits}f}-{figure['most']:,.{digits}f})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or put the tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("figures", type=Path, help="what `tickwright bench --json` wrote")
    parser.add_argument("--into", type=Path, help="the page whose block is replaced")
    parser.add_argument("--command", default="make bench", help="the command to name")
    wanted = parser.parse_args(arguments)
    try:
        block = rendered(json.loads(wanted.figures.read_text(encoding="utf-8")), wanted.command)
        if wanted.into is None:
            print(block, end="")
        else:
            page = wanted.into.read_text(encoding="utf-8")
            wanted.into.write_text(put_between_marks(page, block), encoding="utf-8")
    except (OSError, ValueError, KeyError) as error:
        print(f"bench_table: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
