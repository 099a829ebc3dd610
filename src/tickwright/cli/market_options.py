"""Owns the options that name a recorded market, for whatever runs strategies over one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.moments import moment_ns

if TYPE_CHECKING:
    from tickwright.app.backtest import MarketChoice

__all__ = ["Config", "MarketOptions"]

Config = Annotated[
    Path,
    typer.Argument(help="Configuration; its [backtest] names the market.", metavar="CONFIG.toml"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOptions:
    """What was typed in place of [backtest]."""

    tape: Annotated[
        Path | None, typer.Option(help="A tape's folder, in place of [backtest].", metavar="DIR")
    ] = None
    lake: Annotated[
        str | None, typer.Option(help="A lake, in place of [backtest].", metavar="PLACE")
    ] = None
    session: Annotated[
        list[Path] | None,
        typer.Option(help="A recorded session; repeat for more hours.", metavar="DIR"),
    ] = None
    simulated: Annotated[
        int,
        typer.Option(
            min=0, max=86_400, help="Seconds of CONFIG's own simulated market.", metavar="S"
        ),
    ] = 0
    since: Annotated[
        str, typer.Option("--from", help="The first moment, UTC: 2024-12-01.", metavar="TIME")
    ] = ""
    until: Annotated[
        str, typer.Option("--to", help="The moment to stop before.", metavar="TIME")
    ] = ""

    def choice(self) -> "MarketChoice":
        """Return the market that is meant. Raises ConfigError where a time is none."""
        from tickwright.app.backtest import MarketChoice

        return MarketChoice(
            tape=self.tape,
            lake=self.lake,
            sessions=tuple(self.session or ()),
            simulated_seconds=self.simulated,
            from_ns=moment_ns(self.since, option="--from"),
            until_ns=moment_ns(self.until, option="--to"),
        )
