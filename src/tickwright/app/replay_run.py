"""Owns repeating a session for a person: progress, the verdict, an exit code."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from rich.console import Console

from tickwright.app.bar import Bar
from tickwright.app.replay import Replay
from tickwright.app.report import ReplayCheck
from tickwright.storage.session_log import SessionReader

__all__ = ["check_replay", "replay_session", "replay_words"]

DIFFERS = 1
_NO_END = "; the log has no end: it reached its bound, or the run was killed or still goes on"


def check_replay(folder: Path, *, on_progress: Callable[[int], None] | None = None) -> ReplayCheck:
    """Repeat a session and say whether every decision was the recorded one.

    `on_progress` is called now and then with the bytes of the log that were read.

    Raises:
        StorageError: no session there, or it is damaged.
        ConfigError: the recorded configuration no longer fits this version.
    """
    began_s = time.monotonic()
    replay = Replay(folder)
    reader = replay.reader

    def tell(_now_ns: int) -> None:
        if on_progress is not None:
            on_progress(reader.position)

    result = replay.run(tell)
    p99 = replay.frame_time.percentile_ns(0.99)
    return ReplayCheck(
        is_identical=not result.difference,
        is_complete=result.is_complete,
        decisions=result.decisions_checked,
        events=result.events,
        frames=result.frames,
        seconds=round(time.monotonic() - began_s, 3),
        difference=result.difference,
        frame_us_average=round(result.frames_ns / result.frames / 1e3, 3)
        if result.frames
        else None,
        frame_us_p99=None if p99 is None else p99 / 1e3,
    )


def replay_words(check: ReplayCheck) -> str:
    """Say in one sentence what a replay found."""
    if not check.is_identical:
        return f"replayed: DIFFERENT: {check.difference}"
    end = (
        ""
        if check.is_complete
        else "; the log has no end: cut at its bound, or the run was killed or still goes on"
    )
    return (
        f"replayed: {check.events:,} inputs, {check.decisions:,} digests of decisions compared, "
        f"identical ({check.seconds:.1f} s){end}"
    )


def replay_session(folder: Path, *, file: TextIO | None = None) -> tuple[int, ReplayCheck]:
    """Repeat a session with a progress bar and print the verdict; returns the exit code too.

    Raises:
        StorageError: no session there, or it is damaged.
        ConfigError: the recorded configuration no longer fits this version.
    """
    size = max(1, SessionReader(folder).size)
    with Bar(Console(stderr=True), "replaying", total=size) as bar:
        check = check_replay(folder, on_progress=bar.show)
    (file or sys.stdout).write(f"{folder}\n{replay_words(check)}\n")
    return (0 if check.is_identical else DIFFERS), check
