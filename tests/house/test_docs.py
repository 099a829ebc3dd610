"""What the pages say is what the program does: links, commands, configurations, fields, tests."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.house.documented import fields_of, shown, words_of
from tickwright.app.config import load_config
from tickwright.cli.main import app
from tickwright.simulator.faults import load_fault_plan

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
GUIDES = [page for page in PAGES if page.name != "template.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MARK = re.compile(r"<!-- (fields|words): ([\w.]+)(?: but ([\w, ]+))? -->\n\n((?:\|.*\n)+)")
CONFIGURATION = ROOT / "docs" / "configuration.md"
JSON_PAGE = ROOT / "docs" / "json.md"
BASE: dict[str, Any] = {
    "venues": {"box": {}},
    "accounts": {"paper": {"venue": "box"}},
    "strategies": [
        {"id": "lean", "strategy": "lean.py:Lean", "account": "paper", "symbols": ["BTCUSDT"]}
    ],
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, kind: str) -> list[str]:
    return [body for label, body in FENCE.findall(page.read_text("utf-8")) if label == kind]


def tables(page: Path) -> Iterator[tuple[str, str, frozenset[str], list[list[str]]]]:
    """Give each marked table: kind of mark, path, what it leaves out, its rows of cells."""
    for kind, path, hidden, table in MARK.findall(page.read_text("utf-8")):
        rows = [
            [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            for line in table.splitlines()[2:]
        ]
        yield kind, path, frozenset(hidden.split(", ")) - {""}, rows


# links --------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page make."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_links_when_relative_then_lead_somewhere(page: Path):
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert [] == broken


# commands -----------------------------------------------------------------------------------------


def commands() -> list[Any]:
    found = []
    for page in GUIDES:
        lines = [line for body in blocks(page, "sh") for line in body.splitlines()]
        lines += [line for b in blocks(page, "") for line in b.splitlines() if line[:5] == "make "]
        rows = re.findall(r"^\|.*\|$", page.read_text("utf-8"), re.MULTILINE)
        lines += [code for row in rows for code in re.findall(r"`(tickwright [^`]+)`", row)]
        for line in lines:
            words = re.split(r"\s[|>&#]|#", line.strip())[0]
            if words.startswith(("tickwright ", "make ")):
                found.append(pytest.param(words, id=f"{name_of(page)}: {words}"))
    return found


@pytest.mark.parametrize("line", commands())
def test_command_when_written_in_a_page_then_is_understood(line: str):
    program, *words = shlex.split(line)
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert [word for word in words if "=" not in word and word not in targets] == []
        return
    group: Any = get_command(app)
    if words[0].startswith("-"):
        with pytest.raises(typer.Exit):
            group.make_context("tickwright", words)
        return
    verb, *arguments = words
    # Reads every flag and value as the verb would, and runs nothing.
    context = group.commands[verb].make_context(verb, arguments)
    assert verb == context.info_name


# configurations -----------------------------------------------------------------------------------


def snippets() -> list[Any]:
    return [
        pytest.param(body, id=f"{name_of(page)}-{number}")
        for page in GUIDES
        for number, body in enumerate(blocks(page, "toml"), start=1)
    ]


def text_of(table: dict[str, Any]) -> str:
    """Write a table as TOML; enough for what configurations hold."""
    lines: list[str] = []

    def value(held: Any) -> str:
        if isinstance(held, bool):
            return str(held).lower()
        if isinstance(held, list):
            return "[" + ", ".join(value(one) for one in held) + "]"
        if isinstance(held, dict):
            return "{" + ", ".join(f'"{key}" = {value(one)}' for key, one in held.items()) + "}"
        return f'"{held}"' if isinstance(held, str) else str(held)

    for key, held in table.items():
        lines.append(f'"{key}" = {value(held)}')
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("body", snippets())
def test_snippet_when_read_as_configuration_then_is_good(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "snippet.toml"
    read = tomllib.loads(body)
    if "faults" in read:
        path.write_text(body)
        assert load_fault_plan(path)
        return
    strategy = (ROOT / "examples" / "lean.py").read_text("utf-8")
    for name in ("lean.py", "my_strategy.py"):
        (tmp_path / name).write_text(strategy.replace("class Lean(", "class Lean(", 1))
    whole = {**BASE, **read}
    for name in whole["accounts"]:
        monkeypatch.setenv(f"TICKWRIGHT_{name.upper()}_API_KEY", "k" * 18)
        monkeypatch.setenv(f"TICKWRIGHT_{name.upper()}_API_SECRET", "s" * 36)
    for venue in whole["venues"].values():
        # Files that a snippet only stands for.
        faults = venue.get("simulator", {}).get("faults")
        if faults is not None:
            (tmp_path / faults).write_text("")
    if "venues" in read and "accounts" not in read:
        whole["accounts"] = {"paper": {"venue": next(iter(read["venues"]))}}
    if "accounts" in read and "strategies" not in read:
        whole["strategies"] = [{**BASE["strategies"][0], "account": next(iter(read["accounts"]))}]
    path.write_text(text_of(whole))
    assert load_config(path).summary()


def test_keys_when_documented_then_are_those_of_the_code_with_their_defaults():
    seen = []
    for kind, path, hidden, rows in tables(CONFIGURATION):
        assert "fields" == kind
        seen.append(path)
        expected = [
            [f"`{name}`", shown(default)]
            for name, default in fields_of(path).items()
            if name not in hidden
        ]
        assert expected == [row[:2] for row in rows], path
    models = [
        "tickwright.app.config_model." + name
        for name in (
            "VenueConfig",
            "SimulatorConfig",
            "AccountConfig",
            "StrategyConfig",
            "FeedConfig",
            "SessionConfig",
            "JournalConfig",
            "RunConfig",
            "PaperConfig",
            "PaperAccountConfig",
        )
    ]
    assert set(models) <= set(seen)
    for table in fields_of("tickwright.app.config_model.ConfigFile"):
        assert f"[{table}" in CONFIGURATION.read_text("utf-8"), table


# JSON and words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [p for p in GUIDES if p != CONFIGURATION], ids=name_of)
def test_table_when_it_names_fields_or_words_then_they_are_those_of_the_code(page: Path):
    for kind, path, hidden, rows in tables(page):
        wanted = list(fields_of(path)) if kind == "fields" else words_of(path)
        documented = [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]
        assert {name for name in wanted if name not in hidden} == set(documented), path
        defaults = fields_of(path) if kind == "fields" else {}
        if page.name == "simulator.md":
            assert [shown(defaults[row[0].strip("`")]) for row in rows if defaults] == [
                row[1] for row in rows if defaults
            ]
        assert len(documented) == len(set(documented)), path


def test_reports_when_written_as_json_then_all_their_parts_are_documented():
    documented = {path for _, path, _, _ in tables(JSON_PAGE)}
    needed = {
        f"tickwright.app.report.{name}"
        for name in (
            "RunReport Latency BookReport Pnl SymbolReport StrategyReport Brackets CutReport "
            "ReplayCheck ArticleRow"
        ).split()
    } | {
        "tickwright.app.ledger_check.LedgerCheck",
        "tickwright.app.watch.WatchReport",
        "tickwright.app.watch.BookRow",
        "tickwright.app.replay_book.BookLine",
        "tickwright.bench.machine.Machine",
        "tickwright.bench.report.Section",
        "tickwright.bench.report.Target",
        "tickwright.bench.figures.Spread",
    }
    assert set() == needed - documented


# tests and code -----------------------------------------------------------------------------------


def test_test_when_named_in_a_page_then_exists():
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"def (test_\w+)\(", sources))
    named = {
        name
        for page in GUIDES
        if page.name != "CONTRIBUTING.md"
        for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))
    }
    assert set() == named - known


def test_code_when_in_a_page_then_compiles():
    for page in GUIDES:
        for number, body in enumerate(blocks(page, "python"), start=1):
            # A page may show the inside of a class, or answers and awaits by themselves.
            compile(body, f"{name_of(page)}-{number}", "exec", flags=0x2000)
