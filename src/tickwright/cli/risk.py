"""The verb `risk`: limits with their use and headroom, stress, and a verdict nobody acts on."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import check_sockets, verb

__all__ = ["REFUSED", "risk"]

REFUSED = 3


@verb("risk")
def risk(
    config: Annotated[Path, typer.Argument(help="Configuration.", metavar="CONFIG.toml")],
    *,
    order: Annotated[
        str | None,
        typer.Option(
            help="Judge this order, check by check; nothing is sent.",
            metavar="SIDE:SYMBOL:SIZE[:PRICE]",
        ),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Whose order it would be.", metavar="ID")
    ] = None,
    reduce_only: Annotated[
        bool, typer.Option("--reduce-only", help="The order may only shrink a position.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no venue: limits and what risk kept alone.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the picture here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Show how far CONFIG's limits are used.

    It also shows what shocks would do, and what --order would meet. Exit code 3: the order would be
    refused.
    """
    check_json_path(json)
    from tickwright.app.config import load_config
    from tickwright.app.risk_order import parse_order

    wish = None if order is None else parse_order(order, reduce_only=reduce_only)
    loaded = load_config(config)
    check_sockets()
    import asyncio

    from tickwright.app.risk_table import show_risk
    from tickwright.app.risk_view import look_at_risk
    from tickwright.cli.screens import console_for

    report = asyncio.run(look_at_risk(loaded, wish=wish, strategy_id=strategy, is_offline=offline))
    if json != STDOUT:
        show_risk(report, console_for(json))
    if json is not None:
        write_json(json, report)
    return REFUSED if report.is_refused else 0
