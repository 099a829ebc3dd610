"""The verb `kill`: fence a trader, cancel until the venue shows nothing open, flatten if asked."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tickwright.cli.json_file import check_json_path, write_json
from tickwright.cli.outcome import FAILURE, tell, verb
from tickwright.core.errors import TickwrightError

__all__ = ["kill"]


@verb("kill")
def kill(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    *,
    scope: Annotated[
        Literal["account", "own"] | None,
        typer.Option(help="All plain orders of the account, or those of this trader alone."),
    ] = None,
    flatten: Annotated[
        bool | None,
        typer.Option(
            "--flatten/--keep-positions", help="Then close every position and drop its stops."
        ),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(help="Only this account; repeat for more.", metavar="NAME"),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why; it is written down.", metavar="TEXT")
    ] = "asked for",
    by: Annotated[
        Literal["cli", "api", "signal", "file", "rule", "watchdog"],
        typer.Option(help="Which entry throws it.", hidden=True),
    ] = "cli",
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, help="Give up after so long; without it, never.", metavar="S"),
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Let the trader start again.")] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write what was done here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Throw the kill switch.

    Nothing new is sent from then on, and what is open is cancelled. It uses a key and a process of
    its own, and survives a restart: `--lift` ends it.
    """
    check_json_path(json)
    is_fenced = not lift and _fence_at_once(config)
    import asyncio

    from tickwright.app.kill_run import kill as carry_out
    from tickwright.app.kill_run import lift_kill
    from tickwright.app.kill_target import read_kill_target

    try:
        target = read_kill_target(config, accounts=tuple(account or ()))
    except TickwrightError:
        if is_fenced:
            tell("kill", "the fence is down all the same: the trader opens nothing more")
        raise
    if lift:
        lifted = lift_kill(target.folder)
        tell("kill", f"lifted ({lifted.words()})" if lifted.reason else "lifted")
        return 0
    report = asyncio.run(
        carry_out(
            target,
            by=by,
            reason=reason,
            scope=scope,
            flatten=flatten,
            timeout_s=timeout,
            say=lambda text: tell("kill", text),
        )
    )
    if json is not None:
        write_json(json, report)
    if not report.is_done:
        tell("kill", "NOT done: look at the venue yourself")
        return FAILURE
    tell("kill", f"done in {report.seconds:.2f} s; trader: {report.trader.replace('_', ' ')}")
    return 0


def _fence_at_once(config: Path) -> bool:
    """Let the fence fall before anything slow is imported; whatever is wrong is told later."""
    import tomllib

    from tickwright.app.paper_settings import state_folder
    from tickwright.storage.fence import fence_path, revoke

    try:
        table = tomllib.loads(config.read_text())
        sessions = config.parent / table.get("session", {}).get("dir", "sessions")
        is_paper = table.get("run", {}).get("mode") == "paper"
        state = state_folder(sessions, is_paper=is_paper)
        if not fence_path(state).exists():
            return False
        revoke(state)
    except (OSError, ValueError, AttributeError, TypeError, TickwrightError):
        return False
    return True
