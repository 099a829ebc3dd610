"""Owns `simulate --in-process`: the progress bar, the figures in words; refuses to compute them."""

from pathlib import Path

from rich.console import Console

from tickwright.app.bar import Bar
from tickwright.cli.json_file import check_json_path, write_json
from tickwright.cli.outcome import FAILURE
from tickwright.cli.screens import console_for
from tickwright.simulator.run import SimulatorOptions
from tickwright.simulator.virtual import VirtualOptions, VirtualReport, VirtualRun

__all__ = ["run_in_process"]


def run_in_process(options: SimulatorOptions, virtual: VirtualOptions, json: Path | None) -> int:
    """Run a venue under a virtual clock and print what it made; 1 if the ledger doesn't balance.

    Raises:
        ConfigError: options that can't be.
    """
    check_json_path(json)
    run = VirtualRun(options, virtual)
    console = console_for(json)
    figure = "{task.completed:,.0f} of {task.total:,.0f} s"
    with Bar(Console(stderr=True), "virtual clock", total=virtual.seconds, figure=figure) as bar:
        report = run.run(bar.show)
    for line in _words(report):
        console.print(line, soft_wrap=True)
    if json is not None:
        write_json(json, report)
    return 0 if report.is_balanced else FAILURE


def _words(report: VirtualReport) -> list[str]:
    verdict = "yes" if report.is_balanced else "NO: " + "; ".join(report.ledger_faults)
    lines = [
        f"virtual time    {report.virtual_s:,.0f} s in {report.wall_s:,.1f} s, "
        f"{report.times_real:,.0f} x faster than real time",
        f"public frames   {report.frames:,} of {report.symbols} symbols",
        f"private         {report.messages:,} messages, {report.answers:,} answers",
        f"bytes           {report.output_bytes:,}",
        f"orders          {report.orders:,} in {report.requests:,} requests, "
        f"{report.refused:,} refused",
        f"executions      {report.executions:,}, liquidations {report.liquidations:,}",
        f"ledger balanced {verdict}",
    ]
    lines += [
        f"fault           {fault.kind} on {fault.topic}: armed {fault.armed:,}, hit {fault.hit:,}"
        for fault in report.faults
    ]
    return [*lines, f"seed            {report.seed}", f"hash            {report.hash}"]
