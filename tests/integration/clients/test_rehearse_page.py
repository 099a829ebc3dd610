"""The examples of docs/rehearse.md, run as they are written but for the two ports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.clients.venue import Venue, running

PAGE = Path(__file__).resolve().parents[3] / "docs" / "rehearse.md"


def example(title: str) -> str:
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None, title
    return found[1]


def run(code: str, venue: Venue) -> str:
    sockets = venue.private.removeprefix("ws://").partition("/")[0]
    code = code.replace("127.0.0.1:9000", venue.rest.removeprefix("http://"))
    code = code.replace("127.0.0.1:9001", sockets)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("title", "expected"),
    [("pybit", ["order Filled", "fill", "accepted"]), ("ccxt", ["best", "accepted", "long 0.01"])],
)
def test_example_of_the_page_when_run_then_trades(title, expected):
    with running() as venue:
        printed = run(example(title), venue)
        assert [word for word in expected if word not in printed] == []
        trades = venue.account()["executions"]
        assert {trade["side"] for trade in trades} == {"Buy", "Sell"}
