"""A machine that cannot build the package is told why in one sentence, before anything is made."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tools import check_toolchain

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "check_toolchain.py"
NEEDED = ["sh", "make", "uname", "sed", "find", "expand", "dirname", "env", "touch"]


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """Return a folder to use as PATH: what make needs, this Python, and no compiler."""
    for name in NEEDED:
        found = shutil.which(name)
        if found:
            (tmp_path / name).symlink_to(found)
    (tmp_path / "python3").symlink_to(os.path.realpath(sys.executable))
    return tmp_path


def test_toolchain_when_this_python_runs_the_tests_then_nothing_is_missing():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_toolchain_when_there_is_no_compiler_then_says_so_in_one_line(bare_path: Path):
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env={"PATH": str(bare_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert 1 == done.stderr.count("\n")
    assert "no C compiler" in done.stderr


def test_make_when_there_is_no_compiler_then_stops_before_making_an_environment(
    bare_path: Path, tmp_path: Path
):
    done = subprocess.run(
        ["make", "--silent", "core", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        env={"PATH": str(bare_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 != done.returncode
    assert "no C compiler" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "venv").exists()


def test_make_when_the_named_python_does_not_exist_then_says_so(tmp_path: Path):
    done = subprocess.run(
        ["make", "--silent", "core", "PYTHON=python2.99", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 != done.returncode
    assert done.stderr.startswith("tickwright needs Python 3.11 to 3.14 and there is no python2.99")


def test_setup_when_there_is_no_compiler_then_ends_with_the_sentence(
    bare_path: Path, tmp_path: Path
):
    package = tmp_path / "p" / "src" / "tickwright"
    package.mkdir(parents=True)
    (package / "small.pyx").write_text("def one():\n    return 1\n")
    shutil.copytree(ROOT / "tools", tmp_path / "p" / "tools")
    for name in ["pyproject.toml", "setup.py", "LICENSE"]:
        shutil.copy(ROOT / name, tmp_path / "p" / name)
    (tmp_path / "p" / "README.md").touch()
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tmp_path / "p",
        env={"PATH": str(bare_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert "no C compiler" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 4), (3, 15, 0)])
def test_python_when_outside_the_range_then_names_both(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "version_info", version)

    (sentence,) = check_toolchain.problems_of_python()
    assert "needs Python 3.11 to 3.14" in sentence
    assert f"is Python {version[0]}.{version[1]}:" in sentence


def test_headers_when_missing_then_are_named_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})

    (sentence,) = check_toolchain.problems_of_compiler("sh")
    assert str(tmp_path / "Python.h") in sentence
    assert "python3-dev" in sentence


def test_venv_when_missing_then_is_named_with_the_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)

    (sentence,) = check_toolchain.problems_of_environment()
    assert "ensurepip" in sentence
    assert "python3-venv" in sentence
