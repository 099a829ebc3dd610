"""Every module says what it owns and what its public face is."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
PYTHON = sorted((SOURCE / "tickwright").rglob("*.py"))
COMPILED = sorted((SOURCE / "tickwright").rglob("*.pyx"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}


def name_of(path: Path) -> str:
    """Return a module's path inside the package, as the name of its test."""
    return path.relative_to(SOURCE / "tickwright").as_posix()


def _assigned_names(tree: ast.Module) -> set[str]:
    targets: list[ast.expr] = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_module_when_read_then_has_docstring_and_public_face(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert ast.get_docstring(tree)
    if path.name == "__main__.py" or (path.name == "__init__.py" and len(tree.body) == 1):
        return  # nothing in it to import
    assert "__all__" in _assigned_names(tree)


@pytest.mark.parametrize("path", [p for p in PYTHON if p.name == "__init__.py"], ids=name_of)
def test_package_when_read_then_has_no_logic(path: Path):
    kinds = {type(statement) for statement in ast.parse(path.read_text(encoding="utf-8")).body}

    assert set() == kinds - {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign}


@pytest.mark.parametrize("path", COMPILED, ids=name_of)
def test_compiled_module_when_read_then_has_docstring_face_and_stub(path: Path):
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"\A(?:\s*#.*\n)*\s*", "", text)

    assert code.startswith(('"""', "'''"))
    assert re.search(r"^__all__\b.*=", text, re.MULTILINE)
    assert path.with_suffix(".pyi").is_file()


@pytest.mark.parametrize("path", [*PYTHON, *COMPILED], ids=name_of)
def test_module_when_named_then_is_no_drawer_for_odds_and_ends(path: Path):
    assert DRAWERS.isdisjoint(path.relative_to(SOURCE).with_suffix("").parts)


def test_packages_when_listed_then_each_folder_with_modules_has_an_init():
    folders = {path.parent for path in [*PYTHON, *COMPILED]}

    assert [] == sorted(
        name_of(folder) for folder in folders if not (folder / "__init__.py").is_file()
    )
