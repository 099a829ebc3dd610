"""The commands a newcomer types exist and pass on what they are given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# An outer make hands its variables and flags down by the environment: not to these.
CLEAN = {
    **{
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    },
    "NO_COLOR": "1",
}


def run(*command: str) -> str:
    """Run a command in the repository; return what it printed."""
    done = subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.parametrize(
    "target",
    ["demo", "test", "check", "bench", "setup", "build", "fuzz", "pins", "clean", "help"],
)
def test_make_when_alone_then_lists(target: str):
    assert f"  {target} " in run("make", "--silent")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["demo"], "tickwright demo"),
        (
            ["demo", "SECONDS=20", "SYMBOLS=5", "SEED=7"],
            "tickwright demo --seconds 20 --symbols 5 --seed 7",
        ),
        (["bench", "WHAT=core", "JSON=out.json"], "tickwright bench core --json out.json"),
        (["test", "WORKERS=4", "ARGS=-k book"], "python -m pytest -n 4 -k book"),
    ],
)
def test_make_when_given_variables_then_passes_them_on(arguments: list[str], command: str):
    # The line may be continued: compare word by word.
    words = run("make", "--dry-run", *arguments).replace("\\\n", " ").split()

    assert f"/{command}" in " ".join(words)


@pytest.mark.parametrize(
    "command", ["demo", "simulate", "watch", "book", "run", "init", "bench", "protections"]
)
def test_command_line_when_asked_for_help_then_names(command: str):
    assert command in run(sys.executable, "-m", "tickwright", "--help")


def test_entry_point_when_installed_then_is_the_same_command_line():
    script = str(Path(sys.executable).with_name("tickwright"))

    assert "Usage: tickwright" in run(script, "--help").replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    )
