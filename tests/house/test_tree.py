"""The tracked files: complete, and silent about the machine they were written on."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = {".gz", ".zip", ".png", ".parquet", ".tws", ".zst"}
# Absolute paths of a person's or a build machine. Written in pieces: this file is tracked too.
MACHINE_PATHS = re.compile(
    "|".join(["/" + "root/", "/" + r"home/\w", "/" + "Users/", "/" + "work/"])
)


def tracked_files() -> list[Path]:
    """Return the files that git tracks, or all but what .gitignore names outside a clone."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
        return [p for name in listed.stdout.split("\0") if name and (p := ROOT / name).is_file()]
    hidden = {
        ".venv",
        "build",
        "dist",
        ".hypothesis",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
    }
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and path.suffix not in {".so", ".pyc"}
        and hidden.isdisjoint(path.relative_to(ROOT).parts)
    ]


TRACKED = tracked_files()


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        ".pre-commit-config.yaml",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "constraints.txt",
        "docs/decisions/template.md",
        "pyproject.toml",
        "src/tickwright/py.typed",
    ],
)
def test_repository_when_cloned_then_holds(name: str):
    assert (ROOT / name).is_file()


def test_license_when_read_then_is_the_whole_apache_license():
    text = (ROOT / "LICENSE").read_text()

    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_when_run_then_is_executable():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_tracked_text_when_read_then_names_no_path_of_a_machine():
    told = []
    for path in TRACKED:
        if path.suffix in BINARY:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if MACHINE_PATHS.search(line):
                told.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")

    assert [] == told


def test_tracked_files_when_listed_then_nothing_compiled_is_among_them():
    compiled = [path.name for path in TRACKED if path.suffix in {".so", ".c", ".pyc", ".html"}]

    assert [] == compiled


def test_markdown_when_it_links_to_a_file_then_the_file_exists():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in TRACKED
        if page.suffix == ".md" and page.name != "template.md"
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert [] == broken
