"""The checks of the house bite: each is shown a planted violation, Python and compiled."""

import shutil
from pathlib import Path

import pytest

from tools import check_imports, check_venue_names

ROOT = Path(__file__).resolve().parents[2]

PURE = "Pure rooms: no I/O, no clock, no tasks, no logs BROKEN"
LAYERS = "The house: imports point down BROKEN"
VENUES = "Venues do not know each other BROKEN"
STRATEGIES = "Strategies do not know each other BROKEN"
CONTROL = "the control API alone BROKEN"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the sources that a test may spoil."""
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info")
    )
    return tmp_path / "src"


def check(tree: Path) -> int:
    return check_imports.main(["--source", str(tree), "--copy", str(tree.parent / "reduced")])


def test_contracts_when_nothing_is_planted_then_all_hold(tree: Path):
    assert 0 == check(tree)


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/planted.py", "import tickwright.engine\n", LAYERS),
        ("core/planted.pyx", "from tickwright.book cimport order_book\n", LAYERS),
        ("book/planted.pxd", "from tickwright.net cimport listener\n", LAYERS),
        ("risk/planted.py", "from tickwright.execution import planted\n", LAYERS),
        ("attic/planted.py", "", LAYERS),
        ("engine/planted.py", "def now():\n    import time\n    return time.time_ns()\n", PURE),
        ("book/planted.pyx", "def now():\n    import time\n    return time.time_ns()\n", PURE),
        ("book/planted.pyx", "from libc.time cimport time\n", PURE),
        ("matching/planted.pyx", 'cdef extern from "<time.h>" nogil:\n    long clock()\n', PURE),
        ("strategy/planted.py", "import logging\n", PURE),
        ("venues/okx/planted.py", "import tickwright.venues.bybit\n", VENUES),
        ("strategy/library/planted.py", "import tickwright.strategy.library.other\n", STRATEGIES),
        ("advisor/planted.py", "import tickwright.venues\n", CONTROL),
    ],
)
def test_contract_when_a_violation_is_planted_then_breaks(
    tree: Path, module: str, line: str, broken: str, capsys: pytest.CaptureFixture[str]
):
    planted = tree / "tickwright" / module
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(line)
    if "library" in module:
        (planted.parent / "other.py").touch()

    assert 0 != check(tree)
    assert broken in capsys.readouterr().out


def test_reduced_imports_when_source_is_cython_then_keeps_only_what_is_imported():
    source = (
        '"""Says what it owns."""\n'
        "# cython: language_level=3\n"
        "cimport cython\n"
        "from libc.stdint cimport int64_t\n"
        "from tickwright.book.order_book cimport (\n    OrderBook,\n    Side,\n)\n"
        "import numpy as np, heapq\n"
        "cdef class Sink(FrameSink):\n"
        "    cdef int on_frame(self) except -1:\n"
        "        from tickwright.core import errors  # late\n"
    )

    assert (
        "from tickwright.book.order_book import (\n    OrderBook,\n    Side,\n)\n"
        "import numpy as np\n"
        "import heapq\n"
        "from tickwright.core import errors  \n"
    ) == check_imports.reduced_imports(source)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("engine/planted.py", 'if venue == "bybit":\n    pass\n'),
        ("book/planted.pyx", "# OKX does it otherwise\n"),
        ("venues/ports.py", "BINANCE = 1\n"),
        ("venues/okx/planted.py", "# as on KuCoin\n"),
    ],
)
def test_venue_name_when_outside_its_rooms_then_is_found(tree: Path, module: str, line: str):
    planted = tree / "tickwright" / module
    planted.parent.mkdir(parents=True, exist_ok=True)
    before = set(check_venue_names.misplaced_names(tree / "tickwright"))
    planted.write_text(line)

    found = set(check_venue_names.misplaced_names(tree / "tickwright")) - before
    assert [f"{planted}:1: {line.splitlines()[0]}"] == sorted(found)


@pytest.mark.parametrize("module", ["venues/okx/planted.py", "cli/planted.py", "app/planted.py"])
def test_venue_name_when_in_a_room_that_may_know_it_then_passes(tmp_path: Path, module: str):
    planted = tmp_path / module
    planted.parent.mkdir(parents=True)
    planted.write_text('NAME = "okx"\n')

    assert [] == list(check_venue_names.misplaced_names(tmp_path))


def test_venue_names_when_the_tree_is_read_then_none_is_misplaced():
    assert [] == list(check_venue_names.misplaced_names(ROOT / "src" / "tickwright"))


def test_exceptions_to_venue_names_when_listed_then_are_still_needed():
    for path in check_venue_names.ALLOWED:
        assert check_venue_names.NAMES.search((ROOT / "src" / "tickwright" / path).read_text())
