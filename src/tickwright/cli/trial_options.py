"""Owns what `sweep` and `walkforward` share: their options, their bar, their last words.

The options that name a market are those of `backtest` too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from tickwright.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.research.trial import Recipe

__all__ = [
    "Config",
    "Jobs",
    "Json",
    "Lake",
    "Minimise",
    "Objective",
    "Out",
    "Params",
    "Ray",
    "Resume",
    "Sampler",
    "Seed",
    "Session",
    "Since",
    "Tape",
    "TrialBar",
    "Trials",
    "Until",
    "jobs_of",
    "make_recipe",
    "parameters_text",
    "research_or_fault",
]

Config = Annotated[
    Path, typer.Argument(help="Configuration; its [backtest] names the market.", metavar="CONFIG")
]
Params = Annotated[
    list[str],
    typer.Option(
        "--param",
        help="What to try: ID.name=1,2,3 or =LOW:HIGH[:STEP] or =LOW:HIGH:log; repeat for more.",
        metavar="ID.NAME=VALUES",
    ),
]
Sampler = Annotated[
    str, typer.Option(help="grid (all), random, or tpe (learns, by optuna).", metavar="NAME")
]
Trials = Annotated[
    int | None, typer.Option(help="How many at most; random and tpe need it.", metavar="N")
]
Jobs = Annotated[int, typer.Option(min=0, help="Processes; 0: one a processor.", metavar="N")]
Objective = Annotated[
    str, typer.Option(help="The figure to be best by: sharpe, net, sortino, ...", metavar="FIGURE")
]
Minimise = Annotated[bool, typer.Option("--minimise", help="The least is best.")]
Ray = Annotated[
    str,
    typer.Option(
        "--ray",
        help="Run on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT, local.",
        metavar="ADDRESS",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the trials; beside CONFIG by default.", metavar="DIR"),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the trials that are there.")]
Seed = Annotated[int, typer.Option(help="Of the sampler; the run's own is run.seed.", metavar="N")]
Tape = Annotated[
    Path | None, typer.Option(help="A tape's folder, in place of [backtest].", metavar="DIR")
]
Lake = Annotated[str | None, typer.Option(help="A lake, in place of [backtest].", metavar="PLACE")]
Session = Annotated[
    list[Path] | None,
    typer.Option(help="A recorded session; repeat for more hours.", metavar="DIR"),
]
Since = Annotated[
    str, typer.Option("--from", help="The first moment, UTC: 2024-12-01.", metavar="TIME")
]
Until = Annotated[str, typer.Option("--to", help="The moment to stop before.", metavar="TIME")]
Json = Annotated[Path | None, typer.Option(help="Write the figures here as JSON.", metavar="PATH")]

_NEEDED = frozenset({"numpy", "optuna", "plotly", "polars", "pyarrow", "ray"})


class research_or_fault:  # noqa: N801 - a with statement reads as a sentence
    """Turns a missing package of the extra into a sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ModuleNotFoundError) and error.name in _NEEDED:
            raise ConfigError(
                f"{error.name} is not installed: research comes with "
                "`pip install 'tickwright[research]'`"
            ) from None


def jobs_of(wanted: int) -> int:
    """Return how many processes are meant."""
    from tickwright.research.workers import default_jobs

    return wanted or default_jobs()


def make_recipe(
    config: Path,
    console: "Console",
    *,
    tape: Path | None,
    lake: str | None,
    sessions: Sequence[Path],
    from_ns: int,
    until_ns: int,
) -> "Recipe":
    """Return how workers evaluate; the tape is decoded here, once."""
    from tickwright.app.trials import trials_recipe

    with TrialBar(console) as bar:
        return trials_recipe(
            config,
            tape=tape,
            lake=lake,
            sessions=sessions,
            from_ns=from_ns,
            until_ns=until_ns,
            on_tape=bar.show_tape,
        )


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Write a set of parameters in one line."""
    return ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in parameters.items()
    )


class _Far(Protocol):
    """How far trials are."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def rate(self) -> float: ...


class TrialBar:
    """A bar of trials with rate and time left; nothing where nobody looks."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("trials", total=None, words="")

    def __enter__(self) -> "TrialBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show_tape(self, messages: int) -> None:
        """Say how many messages of the tape were written."""
        self._bar.update(self._task, description=f"making the tape: {messages:,} messages")

    def show(self, far: _Far, *, words: str = "") -> None:
        """Say how far it is."""
        failed = f", {far.failed} failed" if far.failed else ""
        self._bar.update(
            self._task,
            description="trials",
            total=far.total,
            completed=far.done,
            words=f"{far.rate:.2f}/s{failed}{words}",
        )
