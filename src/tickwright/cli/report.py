"""The verb `report`: a backtest's JSON as tables and as a page, or several side by side."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import verb
from tickwright.core.errors import ConfigError

__all__ = ["report"]


@verb("report")
def report(
    files: Annotated[
        list[Path], typer.Argument(help="What `backtest --json` wrote.", metavar="RUN.json")
    ],
    *,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with everything inside.", metavar="PATH")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="Write the run, or the comparison of several, as JSON.", metavar="PATH"),
    ] = None,
) -> int:
    """Show a backtest again, or compare several.

    They are read from their JSON; 2 to 20 are compared.
    """
    check_json_path(json)
    check_json_path(html, option="--html")
    if html == STDOUT:
        raise ConfigError("--html needs a file: a page is no text for a terminal")
    from tickwright.backtest.compare import compare
    from tickwright.backtest.report import read_report
    from tickwright.backtest.report_view import print_comparison, print_summary

    reports = [read_report(path) for path in files]
    from tickwright.cli.screens import console_for

    console = console_for(json)
    if len(reports) == 1:
        if json != STDOUT:
            print_summary(reports[0], console)
        if json is not None:
            write_json(json, reports[0])
    else:
        comparison = compare(reports)
        if json != STDOUT:
            print_comparison(comparison, console)
        if json is not None:
            write_json(json, comparison)
    if html is not None:
        from tickwright.backtest.report_frame import write_page

        if len(reports) == 1:
            from tickwright.backtest.report_page import make_page

            write_page(html, make_page(reports[0]))
        else:
            from tickwright.backtest.compare_page import make_comparison_page

            write_page(html, make_comparison_page(comparison, reports))
    return 0
