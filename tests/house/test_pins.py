"""What pyproject.toml asks for and what constraints.txt pins agree, and no address slips in."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import check_toolchain

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PINS_TEXT = (ROOT / "constraints.txt").read_text()
PINS = [Requirement(line) for line in PINS_TEXT.splitlines()]

BUILD = [Requirement(line) for line in PYPROJECT["build-system"]["requires"]]
RUN = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines]
    for name, lines in PROJECT["optional-dependencies"].items()
}
ASKED = [*BUILD, *RUN, *(requirement for lines in EXTRAS.values() for requirement in lines)]


# What the process that trades may import at its top; anything else comes with an extra, so the
# room that uses it imports it where it is needed, or is a room that only the extra's users open.
ROOMS_OF_EXTRAS = {
    "backtest": "backtest",
    "bench": "bench",
    "cache": "redis",
    "research": "research",
    "storage/lake": "lake",
    "storage/history": "history",
}
OWNERS = packages_distributions()


def pinned_versions(name: str) -> list[str]:
    """Return the pinned versions of a package: one, or one for each range of Pythons."""
    wanted = canonicalize_name(name)
    specifiers = [pin.specifier for pin in PINS if canonicalize_name(pin.name) == wanted]
    return [specifier.version for pinned in specifiers for specifier in pinned]


@pytest.mark.parametrize("mark", ["://", "--index", "--extra", "--find-links", "file:", "@", "\\"])
def test_constraints_when_read_then_name_no_address(mark: str):
    assert mark not in PINS_TEXT


def test_constraints_when_read_then_every_line_is_one_exact_version():
    for pin in PINS:
        assert ["=="] == [specifier.operator for specifier in pin.specifier], str(pin)


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_requirement_when_asked_then_is_pinned_inside_its_range(asked: Requirement):
    versions = pinned_versions(asked.name)

    assert versions
    assert versions == [v for v in versions if asked.specifier.contains(v, prereleases=True)]


def test_picows_when_built_against_then_is_the_range_that_runs():
    ranges = {str(r.specifier) for r in [*BUILD, *RUN] if r.name == "picows"}

    assert 1 == len(ranges)


def test_build_tools_when_isolation_is_off_then_come_from_the_dev_extra():
    dev = {canonicalize_name(r.name) for r in [*EXTRAS["dev"], *RUN]}

    assert set() == {canonicalize_name(r.name) for r in BUILD} - dev


def test_python_range_when_stated_then_is_the_one_the_toolchain_check_names():
    oldest, newest = check_toolchain.OLDEST, check_toolchain.NEWEST
    stated = f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"

    assert stated == PROJECT["requires-python"].replace(" ", "")
    classifiers = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if " :: Python :: 3." in c]
    assert [f"3.{minor}" for minor in range(oldest[1], newest[1] + 1)] == classifiers
    assert f"{newest[0]}.{newest[1]}" in re.findall(
        r"python(3\.\d+)", (ROOT / "Makefile").read_text()
    )


def third_party_imports(path: Path, *, nested: bool) -> set[str]:
    """Return the distributions that a module imports, at its top or anywhere."""
    tree = ast.parse(path.read_text("utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    outside = names - set(sys.stdlib_module_names) - {"tickwright"}
    return {canonicalize_name(OWNERS.get(name, [name])[0]) for name in outside}


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "src" / "tickwright").rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT / "src").as_posix(),
)
def test_module_when_it_imports_a_package_then_pyproject_declares_it(path: Path):
    core = {canonicalize_name(r.name) for r in RUN}
    extras = {canonicalize_name(r.name) for lines in EXTRAS.values() for r in lines}
    inside = path.relative_to(ROOT / "src" / "tickwright").as_posix()
    extra = [of for room, of in ROOMS_OF_EXTRAS.items() if inside.startswith(f"{room}/")]
    at_top = core | {canonicalize_name(r.name) for name in extra for r in EXTRAS[name]}

    assert set() == third_party_imports(path, nested=False) - at_top
    assert set() == third_party_imports(path, nested=True) - core - extras
