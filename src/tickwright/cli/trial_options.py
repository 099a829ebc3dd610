"""Owns what `sweep` and `walkforward` share: how trials are chosen, run, kept and shown."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.app.backtest import MarketChoice
    from tickwright.app.bar import Bar
    from tickwright.research.trial import Recipe

__all__ = ["Json", "Params", "TrialOptions", "make_recipe", "show_trials"]

Params = Annotated[
    list[str],
    typer.Option(
        "--param",
        help="What to try: ID.name=1,2,3 or =LOW:HIGH[:STEP] or =LOW:HIGH:log; repeat for more.",
        metavar="ID.NAME=VALUES",
    ),
]
Json = Annotated[Path | None, typer.Option(help="Write the figures here as JSON.", metavar="PATH")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOptions:
    """How trials are chosen, run and kept; the fields are named as `research` names them."""

    sampler: Annotated[
        str, typer.Option(help="grid (all), random, or tpe (learns, by optuna).", metavar="NAME")
    ] = "grid"
    trials: Annotated[
        int | None, typer.Option(help="How many at most; random and tpe need it.", metavar="N")
    ] = None
    jobs: Annotated[
        int, typer.Option(min=0, help="Processes; 0: one a processor.", metavar="N")
    ] = 0
    objective: Annotated[
        str,
        typer.Option(help="The figure to be best by: sharpe, net, sortino, ...", metavar="FIGURE"),
    ] = "sharpe"
    minimises: Annotated[bool, typer.Option("--minimise", help="The least is best.")] = False
    ray: Annotated[
        str,
        typer.Option(
            "--ray",
            help="Run on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT, local.",
            metavar="ADDRESS",
        ),
    ] = ""
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of the trials; beside CONFIG by default.", metavar="DIR"
        ),
    ] = None
    resumes: Annotated[
        bool, typer.Option("--resume", help="Go on with the trials that are there.")
    ] = False
    seed: Annotated[
        int, typer.Option(help="Of the sampler; the run's own is run.seed.", metavar="N")
    ] = 1

    def arguments(self, folder: Path) -> dict[str, Any]:
        """Return what both searches of `research` are called with; trials are kept in `folder`."""
        from tickwright.research.workers import default_jobs

        typed = {field.name: getattr(self, field.name) for field in fields(self)}
        jobs = self.jobs or (1 if self.ray else default_jobs())
        return {**typed, "jobs": jobs, "folder": folder}


def make_recipe(config: Path, market: "MarketChoice", console: "Console") -> "Recipe":
    """Return how workers evaluate; the tape is decoded here, once."""
    from tickwright.app.bar import Bar
    from tickwright.app.trials import trials_recipe

    with Bar(console, "trials", figure="") as bar:
        return trials_recipe(config, market, on_tape=bar.show_tape)


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


def show_trials(bar: "Bar", far: _Far, words: str) -> None:
    """Say how far trials are."""
    failed = f", {far.failed} failed" if far.failed else ""
    figures = f"{far.done}/{far.total} {far.rate:.2f}/s{failed}{words}"
    bar.show(far.done, total=far.total, name="trials", words=figures)
