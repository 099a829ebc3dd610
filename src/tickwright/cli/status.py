"""The verb `status`: how a trader stands, by its state folder alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.db import spool_lines
from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.orders import order_words
from tickwright.cli.outcome import verb

if TYPE_CHECKING:
    from tickwright.app.status import StatusReport
    from tickwright.app.works import WorkLine

__all__ = ["status"]


@verb("status")
def status(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    *,
    last: Annotated[
        int, typer.Option(min=0, max=1_000, help="Show the newest so many orders.", metavar="N")
    ] = 5,
    json: Annotated[
        Path | None, typer.Option(help="Write it here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Say how CONFIG's trader stands.

    Whether it runs, what stops it, what it promised; no venue is asked.

    Exit code 0: it runs and shows life; 3: it doesn't run; 4: it shows no life; 5: it was killed.
    """
    check_json_path(json)
    from tickwright.app.status import look_at_status

    report = look_at_status(config, last=last)
    if json is not None:
        write_json(json, report)
    if json != STDOUT:
        for name, text in _rows(report):
            typer.echo(f"{name:<11} {text}")
    return report.exit_code


def _rows(report: "StatusReport") -> list[tuple[str, str]]:
    from tickwright.app.notice_log import utc

    trader = report.trader
    since = "" if trader.since_ns is None else f" since {utc(trader.since_ns)}"
    epoch = "" if trader.epoch is None else f", epoch {trader.epoch}"
    silence = (
        "" if trader.silence_s is None else f", last sign of life {trader.silence_s:.1f} s ago"
    )
    shown = silence if trader.state in ("running", "silent", "gone") else ""
    rows = [("trader", f"{trader.state}: {trader.words}{since}{epoch}{shown} ({report.mode})")]
    if trader.held_by:
        rows.append(("held by", trader.held_by))
    kill = report.kill
    if kill is not None:
        when = "" if kill.asked_ns is None else f", {utc(kill.asked_ns)}, scope {kill.scope}"
        rows.append(("kill", f"{kill.words}{when}"))
    dog = report.watchdog
    words = "nobody watches: `tickwright watchdog CONFIG`"
    if dog.is_watching and dog.since_ns is not None:
        words = (
            f"process {dog.pid} since {utc(dog.since_ns)}, kills after {dog.heartbeat_s_max:g} s"
        )
    rows.append(("watchdog", words))
    for one in report.protections:
        until = "a person lifts it" if one.until_ns is None else utc(one.until_ns)
        rows.append(("protection", f"{one.state} {one.name} until {until}: {one.reason}"))
    if not report.protections:
        rows.append(("protection", "nothing is restricted"))
    rows += [("work", _work_words(work)) for work in report.works]
    session = report.session
    if session is not None:
        end = "closed" if session.is_closed else "no end yet" if _runs(report) else "NO END: cut"
        tail = f"; {session.last_words}" if session.last_words else ""
        rows.append(("session", f"{session.folder} ({session.mode}, {end}{tail})"))
    if report.history is not None:
        rows += [("history", line) for line in spool_lines(report.history)]
    for journal in report.journals:
        text = f"{journal.account}: {journal.orders} orders, {journal.open} without an end"
        rows.append(("journal", text))
    rows += [("order", order_words(line)) for line in report.last_orders]
    if report.disk_free_bytes is not None:
        low = " LOW" if report.disk_is_low else ""
        rows.append(("disk", f"{report.disk_free_bytes / 1024**3:.1f} GiB free{low}"))
    return rows + [("fault", fault) for fault in report.faults]


def _work_words(work: "WorkLine") -> str:
    from tickwright.app.notice_log import utc

    order = "" if work.order is None else f", the last of them {work.order}"
    reason = f": {work.reason}" if work.reason else ""
    return (
        f"{work.work_id} {work.strategy_id} {work.algorithm} {work.side} {work.size} "
        f"{work.instrument}, {work.state} since {utc(work.started_ns)}, {work.filled} filled, "
        f"{work.orders} orders{order}{reason}"
    )


def _runs(report: "StatusReport") -> bool:
    session = report.session
    is_its = session is not None and session.epoch == report.trader.epoch
    return is_its and report.trader.state in ("running", "silent")
