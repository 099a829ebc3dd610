"""The examples of docs/research.md, run as they are written."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "research.md"


def test_page_when_its_examples_are_run_then_they_hold(
    market: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(market.parent)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert 2 == len(blocks)
    names: dict[str, object] = {}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for body in blocks:
            exec(compile(body, "research.md", "exec"), names)
    assert "shape: (4, 4)" in out.getvalue()
    assert "shape: (2, " in out.getvalue()


def test_page_when_it_lists_figures_then_they_are_those_of_the_code():
    from tickwright.app.trial_figures import METRICS

    table = PAGE.read_text().partition("| figure | meaning |")[2].partition("\n\n")[0]
    listed = {
        name
        for line in table.splitlines()[1:]
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split(" | ")[0])
    }
    assert METRICS.keys() == listed
