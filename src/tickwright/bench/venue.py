"""Owns the simulated venue of a benchmark: its process, its addresses, its list of instruments.

A quiet one answers REST and the account's stream and hardly moves: it stands behind a trader whose
market data comes from a tape, and must not take the core that is measured.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tickwright.bench.tape import TapeInstrument
from tickwright.core.identity import Category
from tickwright.net.http import HttpClient
from tickwright.net.listener import utc_now_ns
from tickwright.venues.bybit.rest import BybitMarketClient
from tickwright.venues.bybit.rest_call import RestCaller

__all__ = ["Venue", "listed_instruments", "main", "started_venue"]

_QUIET_EVENTS_PER_S: Final = 1.0
_STOP_TIMEOUT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Venue:
    """Hold the addresses of a running simulator: REST, and prefixes of its sockets."""

    rest: str
    public: str
    private: str
    trade: str


@contextlib.contextmanager
def started_venue(symbols: int, *, is_quiet: bool = False) -> Iterator[Venue]:
    """Start a simulator with linear symbols; yield its addresses; stop it at the end.

    Raises RuntimeError when it does not start.
    """
    command = [sys.executable, "-m", "tickwright.bench.venue", "--symbols", str(symbols)]
    if is_quiet:
        command.append("--quiet")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the simulator did not start")
            yield Venue(**json.loads(line))
        finally:
            process.terminate()
            process.wait(_STOP_TIMEOUT_S)


def listed_instruments(venue: Venue, count: int) -> list[TapeInstrument]:
    """Return the first linear instruments that the venue lists, with their decimals."""

    async def ask() -> list[TapeInstrument]:
        async with HttpClient(venue.rest) as http:
            market = BybitMarketClient(RestCaller(http, now=utc_now_ns, random=Random(1)))
            listed = await market.instruments(Category.LINEAR)
        return [TapeInstrument(i.symbol, i.price_decimals, i.size_decimals) for i in listed[:count]]

    return asyncio.run(ask())


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a simulated venue until it is told to stop; print one JSON line when ready."""
    from tickwright.simulator.run import SimulatorOptions
    from tickwright.simulator.run import main as serve
    from tickwright.simulator.sources.synthetic import SyntheticStyle

    parser = argparse.ArgumentParser(prog="tickwright.bench.venue")
    parser.add_argument("--symbols", type=int, required=True)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    style = SyntheticStyle(events_per_s=_QUIET_EVENTS_PER_S) if options.quiet else SyntheticStyle()
    return serve(
        SimulatorOptions(symbols=options.symbols, categories=(Category.LINEAR,), style=style)
    )


if __name__ == "__main__":
    sys.exit(main())
