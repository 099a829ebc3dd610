"""Owns one benchmark session's surroundings: tapes on disk, cores, loops, and clients as processes.

Every measured client is a process of its own on its own core, started fresh for each run; a failed
client is a fault of the session and never a missing figure.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tickwright.bench.figures import Spread
from tickwright.bench.machine import pinned_cpus
from tickwright.bench.senders import make_certificate, started_sender
from tickwright.bench.tape import TapeInstrument, TapeShape, make_tape, save_tape

__all__ = ["Contestant", "RunFailed", "Runs", "Session", "books_agree", "opened_session"]

_CLIENT_TIMEOUT_S: Final = 180
_ARTICLE_NEEDS: Final = ("websockets", "sortedcontainers", "numpy")


class RunFailed(RuntimeError):
    """A client or sender did not finish its run; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """Name one row: which client, on which loop, with what extra arguments, at what path."""

    client: str
    loop: str
    label: str
    path: str
    extra: tuple[str, ...] = ()
    module: str = "tickwright.bench.client"


@dataclass(frozen=True, slots=True)
class Runs:
    """Hold the reports of one contestant, one a round."""

    contestant: Contestant
    reports: tuple[dict[str, Any], ...]

    def spread(self, *keys: str) -> Spread:
        """Return the spread of one figure, found by its keys in each report."""

        def pick(report: dict[str, Any]) -> float:
            value: Any = report
            for key in keys:
                value = value[key]
            return float(value)

        return Spread.of(map(pick, self.reports))


@dataclass(frozen=True, slots=True)
class Session:
    """Hold what all sections of one benchmark session share."""

    folder: Path
    quick: bool
    client_cpu: int | None
    sender_cpu: int | None
    say: Callable[[str], None]

    @property
    def loop(self) -> str:
        """Return the event loop that the compared stacks run on: uvloop where it is installed."""
        return "uvloop" if find_spec("uvloop") else "asyncio"

    def missing_for_article(self) -> list[str]:
        """Return the packages that the article's stack lacks here."""
        return [name for name in _ARTICLE_NEEDS if find_spec(name) is None]

    def tape(
        self,
        shape: TapeShape,
        *,
        frames: int,
        category: str = "spot",
        listed: Sequence[TapeInstrument] = (),
    ) -> Path:
        """Return the folder of a tape, written at the first call; `listed` as in `make_tape`."""
        folder = self.folder / f"tape-{shape.name}-{category}-{frames}-{len(listed)}"
        if not folder.exists():
            tape = make_tape(shape, frames=frames, category=category, listed=listed)
            save_tape(tape, folder)
            self.say(f"tape {shape.name}: {tape.describe()}")
        return folder

    @contextlib.contextmanager
    def sender(self, tape: Path, *, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
        """Start a sender on its own core; yield its URL."""
        with started_sender(tape, cpu=self.sender_cpu, certificate=tls) as url:
            yield url

    def certificate(self) -> tuple[Path, Path] | str:
        """Return a throw-away certificate, or why there is none."""
        return make_certificate(self.folder / "tls")

    def call(self, module: str, arguments: Sequence[str]) -> dict[str, Any]:
        """Run a module of the bench as a process and return its JSON report. Raises RunFailed."""
        command = [sys.executable, "-m", module, *arguments]
        if self.client_cpu is not None:
            command += ["--cpu", str(self.client_cpu)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_CLIENT_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise RunFailed(
                f"{' '.join(command[2:])}: no end after {_CLIENT_TIMEOUT_S} s"
            ) from error
        if done.returncode:
            raise RunFailed(f"{' '.join(command[2:])}: {done.stderr.strip()[-2000:]}")
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report

    def alternate(
        self, contestants: Sequence[Contestant], *, url: str, tape: Path, rounds: int
    ) -> list[Runs]:
        """Run every contestant once a round, so that a slow minute hits all alike."""
        reports: list[list[dict[str, Any]]] = [[] for _ in contestants]
        for number in range(rounds):
            for contestant, filed in zip(contestants, reports, strict=True):
                self.say(f"round {number + 1} of {rounds}: {contestant.label}")
                arguments = [contestant.client, "--url", url + contestant.path, "--tape", str(tape)]
                arguments += ["--loop", contestant.loop, *contestant.extra]
                filed.append(self.call(contestant.module, arguments))
        return [Runs(c, tuple(r)) for c, r in zip(contestants, reports, strict=True)]


@contextlib.contextmanager
def opened_session(*, quick: bool, say: Callable[[str], None]) -> Iterator[Session]:
    """Make a session's folder and choose its cores; remove the folder at the end."""
    client_cpu, sender_cpu = pinned_cpus()
    with tempfile.TemporaryDirectory(prefix="tickwright-bench-") as folder:
        yield Session(Path(folder), quick, client_cpu, sender_cpu, say)


def books_agree(runs: Sequence[Runs]) -> bool:
    """Tell whether every stack that keeps books ended with the same touch of every symbol."""
    tops = [json.dumps(r["tops"], sort_keys=True) for run in runs for r in run.reports if r["tops"]]
    return len(set(tops)) <= 1
