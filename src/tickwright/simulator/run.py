"""Owns starting and stopping a whole simulator: options, instruments, sources, server; refuses to parse a command line.

`serve` is for tests and other processes' loops, `main` blocks and prints one JSON line when ready.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.faults import FaultBoard, FaultSpec, load_fault_plan
from tickwright.simulator.instruments import instrument_for, symbols_of_count
from tickwright.simulator.server import SimulatorServer
from tickwright.simulator.sources.synthetic import SyntheticSource, SyntheticStyle
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["RunningSimulator", "SimulatorOptions", "main", "serve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """What to simulate. `symbols` is a count or names; `port` is REST's, the WebSocket's is the next (0: any)."""

    host: str = "127.0.0.1"
    port: int = 0
    symbols: int | Sequence[str] = 50
    categories: tuple[Category, ...] = (Category.LINEAR, Category.SPOT)
    sources: Sequence[str] = ("synthetic",)
    speed: float = 1.0
    rate: float = 0.0
    seed: int = 1
    faults: Path | None = None
    fault_specs: Sequence[FaultSpec] = ()
    tls: bool = False
    style: SyntheticStyle = field(default_factory=SyntheticStyle)


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that answers. URLs are prefixes as the clients want them."""

    server: SimulatorServer
    rest: str
    public: str
    private: str
    trade: str
    ca: str | None = None

    @property
    def venue(self) -> SimulatedVenue:
        """The venue behind the sockets."""
        return self.server.venue

    @property
    def faults(self) -> FaultBoard:
        """The faults of this run."""
        return self.server.faults

    def ready_line(self) -> str:
        """The one JSON line that says where everything is."""
        urls = {
            "rest": self.rest,
            "public": self.public,
            "private": self.private,
            "trade": self.trade,
        }
        return json.dumps(urls if self.ca is None else urls | {"ca": self.ca})

    async def stop(self) -> None:
        """Stop everything."""
        await self.server.stop()


def build_venue(options: SimulatorOptions, *, start_ns: int) -> tuple[SimulatedVenue, FaultBoard]:
    """Make the venue and its faults without any socket.

    Raises:
        ConfigError: options that can't be, a source that can't be read, a wrong fault plan.
    """
    if not options.speed > 0 or options.rate < 0:
        raise ConfigError("speed must be above 0 and rate not negative")
    rng = Random(options.seed)
    names = (
        symbols_of_count(options.symbols)
        if isinstance(options.symbols, int)
        else list(dict.fromkeys(options.symbols))
    )
    instruments = []
    sources = []
    for category in options.categories:
        listed = [
            instrument_for(category, name, symbol_id=number)
            for number, name in enumerate(names, start=1)
        ]
        instruments += listed
        sources.append(SyntheticSource(listed, Random(rng.getrandbits(64)), options.style))
    faults = FaultBoard(Random(rng.getrandbits(64)))
    plan = list(options.fault_specs)
    if options.faults is not None:
        plan += load_fault_plan(options.faults)
    venue = SimulatedVenue(
        instruments,
        sources,
        rng=rng,
        start_ns=start_ns,
        speed=options.speed,
        frames_per_s=options.rate,
    )
    for spec in plan:
        faults.add(spec, start_ns)
    return venue, faults


async def serve(options: SimulatorOptions) -> RunningSimulator:
    """Start a simulator in the running loop and return when it answers.

    Raises:
        ConfigError: wrong options.
        OSError: a port is taken.
    """
    venue, faults = build_venue(options, start_ns=time.time_ns())
    server = SimulatorServer(venue, faults)
    websocket_port = options.port + 1 if options.port else 0
    try:
        rest, websocket = await server.start(options.host, options.port, websocket_port, None)
    except OSError:
        await server.stop()
        raise
    host = options.host
    return RunningSimulator(
        server,
        f"http://{host}:{rest}",
        f"ws://{host}:{websocket}/v5/public",
        f"ws://{host}:{websocket}/v5/private",
        f"ws://{host}:{websocket}/v5/trade",
    )


async def _run(options: SimulatorOptions) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    running = await serve(options)
    try:
        print(running.ready_line(), flush=True)
        ends = [
            asyncio.create_task(stopped.wait()),
            asyncio.create_task(running.server.wait_failed()),
        ]
        done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()
    finally:
        await running.stop()


def main(options: SimulatorOptions) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code.

    Prints one JSON line when ready, and one sentence on stderr for options that can't be.
    """
    try:
        asyncio.run(_run(options))
    except ConfigError as error:
        print(f"tickwright simulate: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"tickwright simulate: can't listen on {options.host}: {error}", file=sys.stderr)
        return 1
    return 0
