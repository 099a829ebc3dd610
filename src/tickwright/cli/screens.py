"""Owns which screen a verb gets: a live one on a terminal, lines elsewhere."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tickwright.app.progress import ProgressLines, Screen
from tickwright.cli.json_file import STDOUT

__all__ = ["console_for", "screen_for"]

FILE_WIDTH = 120


def console_for(json: Path | None) -> Console:
    """Return where people read: stdout, or stderr when the JSON takes stdout."""
    console = Console(stderr=json == STDOUT, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A file has no width of its own, and rich would take a narrow one.
        console.width = FILE_WIDTH
    return console


def screen_for(console: Console) -> Callable[[], Screen]:
    """Return what makes the screen of a run on this console."""
    if console.is_terminal and not console.is_dumb_terminal:
        from tickwright.app.screen import LiveScreen

        return lambda: LiveScreen(console)
    file = sys.stderr if console.stderr else sys.stdout
    return lambda: ProgressLines(file)
