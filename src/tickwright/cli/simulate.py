"""The verb `simulate`: a venue in a box on loopback."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import check_json_path, write_json
from tickwright.cli.outcome import check_sockets, verb
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category

if TYPE_CHECKING:
    from tickwright.simulator.run import SimulatorOptions

__all__ = ["simulate"]

SYMBOLS_MAX = 5_000
CATEGORIES = ("linear", "spot")


@verb("simulate")
def simulate(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on.", metavar="ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_534,
            help="REST's port, the next one is WebSocket's; 0: any.",
            metavar="N",
        ),
    ] = 0,
    symbols: Annotated[
        int | None,
        typer.Option(min=1, max=SYMBOLS_MAX, help="How many symbols to list.", metavar="N"),
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option(help="A symbol to list; may be repeated.", metavar="NAME")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="`synthetic`, `agents` (they react to orders), `demo` (packaged recordings) or a "
            "recording; may be repeated.",
            metavar="synthetic|agents|FILE",
        ),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated; both by default.", metavar="linear|spot"),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            help="An account and what it holds; @MASTERKEY after the secret makes it a "
            "sub-account; may be repeated. Without it there is the demo account.",
            metavar="KEY:SECRET=10000USDT[,2BTC]",
        ),
    ] = None,
    speed: Annotated[float, typer.Option(help="Play recordings X times as fast.", metavar="X")] = 1,
    loop: Annotated[bool, typer.Option("--loop", help="Play recordings again and again.")] = False,
    rate: Annotated[
        float,
        typer.Option(
            help="Synthetic frames a second, beyond the venue's intervals.", metavar="MSGS_PER_S"
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Fixes every random choice.", metavar="N")] = 1,
    faults: Annotated[
        Path | None, typer.Option(help="Faults to make: when, where, how.", metavar="FILE.toml")
    ] = None,
    reply_ms: Annotated[
        float,
        typer.Option(
            min=0,
            max=10_000,
            help="Hold order entry's answers back, as a network does.",
            metavar="MS",
        ),
    ] = 0,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS with a throw-away certificate.")
    ] = False,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics",
            help="Serve nothing: measure the sources in virtual time and set those that are made "
            "beside the recordings; demo and agents without --source.",
        ),
    ] = False,
    in_process: Annotated[
        bool,
        typer.Option(
            "--in-process",
            help="Open no socket: run the venue and a crowd of traders under a virtual clock, and "
            "print the hash of all they said; 5 linear symbols unless told otherwise.",
        ),
    ] = False,
    orders_per_s: Annotated[
        float | None,
        typer.Option(
            help="With --in-process: requests a second of the crowd, 2; 0: nobody trades.",
            metavar="X",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="With --statistics: how much market to measure, 300; with --in-process: how long "
            "to run in venue time, 3600.",
            metavar="N",
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="With --statistics and --in-process: write the figures here as JSON.",
            metavar="PATH",
        ),
    ] = None,
) -> int:
    """Serve a simulated venue until Ctrl-C.

    Prints one JSON line with its addresses when ready.
    """
    if symbols is not None and symbol:
        raise ConfigError("give --symbols N or --symbol NAME, not both")
    for name in category or ():
        if name not in CATEGORIES:
            raise ConfigError(f"--category {name} is not simulated: choose linear or spot")
    if statistics and in_process:
        raise ConfigError("give --statistics or --in-process, not both")
    if orders_per_s is not None and not in_process:
        raise ConfigError("--orders-per-s goes with --in-process")
    if statistics:
        kinds = [Category(name) for name in dict.fromkeys(category or ())]
        return _show_statistics(source or [], symbol or symbols, kinds, seconds, seed, json)
    if not in_process:
        if seconds is not None or json is not None:
            raise ConfigError("--seconds and --json go with --statistics and --in-process")
        check_sockets()
    from tickwright.simulator.private import PrivateOptions, parse_account
    from tickwright.simulator.run import SimulatorOptions, main

    accounts = tuple(parse_account(text) for text in account or ())
    if in_process:
        for flag, given in {
            "account": account,
            "tls": tls,
            "rate": rate,
            "reply-ms": reply_ms,
        }.items():
            if given:
                raise ConfigError(f"--{flag} is for sockets: --in-process brings its own accounts")
    wanted = SimulatorOptions(
        host=host,
        port=port,
        symbols=tuple(symbol) if symbol else symbols,
        sources=tuple(source) if source else SimulatorOptions().sources,
        categories=(
            tuple(Category(name) for name in dict.fromkeys(category))
            if category
            else SimulatorOptions().categories
        ),
        speed=speed,
        loop=loop,
        rate=rate,
        seed=seed,
        faults=faults,
        tls=tls,
    )
    if in_process:
        return _run_in_process(wanted, category, source, seconds, orders_per_s, json)
    private = PrivateOptions(
        accounts=accounts or PrivateOptions().accounts,
        seed=seed,
        reply_delay_s=reply_ms / 1_000,
    )
    return main(wanted, private)


def _run_in_process(
    wanted: "SimulatorOptions",
    category: list[str] | None,
    source: list[str] | None,
    seconds: float | None,
    orders_per_s: float | None,
    json: Path | None,
) -> int:
    from tickwright.cli.in_process import run_in_process
    from tickwright.simulator.run import AGENTS_SOURCE, DEMO_SOURCE, SYNTHETIC_SOURCE
    from tickwright.simulator.virtual import SYMBOLS_DEFAULT, VirtualOptions

    made = {AGENTS_SOURCE, DEMO_SOURCE, SYNTHETIC_SOURCE}
    if wanted.symbols is None and (not source or made & set(source)):
        wanted = replace(wanted, symbols=SYMBOLS_DEFAULT)
    if not category:
        wanted = replace(wanted, categories=(Category.LINEAR,))
    virtual = VirtualOptions(
        seconds=3_600.0 if seconds is None else seconds,
        orders_per_s=2.0 if orders_per_s is None else orders_per_s,
    )
    return run_in_process(wanted, virtual, json)


def _show_statistics(
    sources: list[str],
    symbols: list[str] | int | None,
    categories: list[Category],
    seconds: float | None,
    seed: int,
    json: Path | None,
) -> int:
    from tickwright.cli.screens import console_for
    from tickwright.cli.statistics_table import statistics_view
    from tickwright.simulator.comparison import SECONDS_DEFAULT, compare

    check_json_path(json)
    report = compare(
        sources,
        symbols=symbols,
        categories=categories,
        seconds=SECONDS_DEFAULT if seconds is None else seconds,
        seed=seed,
    )
    console_for(json).print(statistics_view(report))
    if json is not None:
        write_json(json, report)
    return 0
