"""A simulator for the verbs that look at public data."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

TICKWRIGHT = (sys.executable, "-m", "tickwright")


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Addresses of a simulator in a process of its own."""
    process = subprocess.Popen(
        [*TICKWRIGHT, "simulate", "--symbols", "12", "--seed", "7"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (0, "") == (process.returncode, errors)
