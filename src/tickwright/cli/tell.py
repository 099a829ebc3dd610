"""The verb `tell`: halt, resume, cancel, flatten, stop or lift in a trader that runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import FAILURE, tell, verb

__all__ = ["tell_verb"]


@verb("tell")
def tell_verb(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    what: Annotated[
        Literal["halt", "resume", "cancel", "flatten", "stop", "lift"],
        typer.Argument(help="What it shall do.", metavar="VERB"),
    ],
    scope: Annotated[
        str,
        typer.Argument(help="`all`, a strategy's id, or for lift KIND@SCOPE.", metavar="SCOPE"),
    ] = "all",
    *,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.", metavar="TEXT")] = "",
    json: Annotated[
        Path | None, typer.Option(help="Write how it stands here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Tell a running trader to halt, resume, flatten or stop.

    Or to cancel orders, or to lift a protection. It must be alive to listen. When it may not be,
    use `tickwright kill`.
    """
    check_json_path(json)
    import asyncio

    from tickwright.app.config import load_config
    from tickwright.app.control import ControlWish, tell_trader
    from tickwright.app.settings import trader_settings
    from tickwright.core.events import OperatorVerb

    folder = trader_settings(load_config(config), now_ns=0).state_folder
    words = {"cancel": OperatorVerb.CANCEL_ALL}
    wish = ControlWish(verb=words.get(what) or OperatorVerb(what), scope=scope, reason=reason)
    answer = asyncio.run(tell_trader(folder, wish))
    if json is not None:
        write_json(json, answer)
    if answer.fault:
        tell("tell", answer.fault)
        return FAILURE
    if json != STDOUT:
        halted = answer.engine_halt or "; ".join(
            f"{name}: {why}" for name, why in answer.halted_strategies.items()
        )
        typer.echo(f"{what} {scope}: done; {'halted: ' + halted if halted else 'trading'}")
    return 0
