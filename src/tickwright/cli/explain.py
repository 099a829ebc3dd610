"""The verb `explain`: every piece of evidence about one order, by its time."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.orders import order_words
from tickwright.cli.outcome import verb
from tickwright.core.errors import ConfigError

if TYPE_CHECKING:
    from tickwright.app.explain import Explanation

__all__ = ["explain"]


@verb("explain")
def explain(
    client_id: Annotated[
        str, typer.Argument(help="The order's id, or its beginning.", metavar="CLIENT_ID")
    ],
    config: Annotated[
        Path | None, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ] = None,
    *,
    session: Annotated[
        Path | None,
        typer.Option(help="Read this recorded session instead.", metavar="SESSION"),
    ] = None,
    no_replay: Annotated[
        bool,
        typer.Option("--no-replay", help="Don't repeat the session: the log tells decisions."),
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write it here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Tell all that is known of an order.

    Signal, gate, promise, bytes, answers, fills, ledger.
    """
    check_json_path(json)
    if (config is None) == (session is None):
        raise ConfigError("give a configuration, or a session by --session SESSION")
    from tickwright.app.explain import explain_from_config, explain_from_session

    with _Bar() as bar:
        if session is not None:
            found = explain_from_session(
                client_id, session, replays=not no_replay, on_progress=bar.show
            )
        else:
            assert config is not None, "one of them is given"
            found = explain_from_config(
                client_id, config, replays=not no_replay, on_progress=bar.show
            )
    if json is not None:
        write_json(json, found)
    if json != STDOUT:
        _show(found)
    return 0


class _Bar:
    """One line on a terminal while a long session is read."""

    def __init__(self) -> None:
        self._shown = ""

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r" + " " * len(self._shown) + "\r")

    def show(self, done: int, size: int) -> None:
        """Say how far it is."""
        text = f"reading the session: {100 * done // size} %"
        if sys.stderr.isatty() and text != self._shown:
            self._shown = text
            sys.stderr.write("\r" + text)
            sys.stderr.flush()


def _show(found: "Explanation") -> None:
    from tickwright.app.notice_log import utc

    typer.echo(found.client_id if found.order is None else order_words(found.order))
    day = ""
    for line in found.lines:
        moment = utc(line.time_ns)
        if moment[:10] != day:
            day = moment[:10]
            typer.echo(day)
        number = "" if line.event_id is None else f"#{line.event_id}"
        clock = f"{moment[11:19]}.{line.time_ns // 1_000 % 1_000_000:06d}"
        delay = ""
        if line.venue_ns is not None:
            delay = f"  (venue {(line.venue_ns - line.time_ns) / 1e6:+.1f} ms)"
        typer.echo(f"{clock} {number:>8} {line.source:<8} {line.kind:<10} {line.text}{delay}")
    if found.checks:
        typer.echo("the gate's checks when it was approved:")
    for check in found.checks:
        against = f" against {check.bound}" if check.bound else ""
        typer.echo(f"  {check.outcome:<8} {check.reason:<20} {check.value}{against}")
    for note in found.notes:
        typer.echo(f"note: {note}")
