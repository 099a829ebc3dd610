"""Owns starting and stopping a whole simulator; refuses to parse a command line.

`serve` is for tests and other processes' loops, `main` blocks and prints one JSON line when ready.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.net.loop import make_loop_factory
from tickwright.simulator.connection import SEND_BUFFER_BYTES_MAX, ConnectionLimits
from tickwright.simulator.faults import FaultBoard, FaultSpec, load_fault_plan
from tickwright.simulator.http_lines import REST_CONNECTIONS_MAX, REST_REQUEST_S_MAX
from tickwright.simulator.instruments import VenueInstrument, instrument_for, symbols_of_count
from tickwright.simulator.private import PrivateOptions
from tickwright.simulator.private.half import mount_private
from tickwright.simulator.server import SimulatorServer
from tickwright.simulator.sources.agents import AgentsSource, AgentsStyle
from tickwright.simulator.sources.opening import DEMO_FILES, open_recording, sample_path
from tickwright.simulator.sources.operations import MarketSource
from tickwright.simulator.sources.recording import AfterEnd, Recording
from tickwright.simulator.sources.synthetic import SyntheticSource, SyntheticStyle
from tickwright.simulator.throwaway_tls import ThrowawayTls, make_throwaway_tls
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue

__all__ = ["RunningSimulator", "SimulatorOptions", "build_venue", "build_whole", "main", "serve"]

SPEED_MAX = 10_000.0
RATE_MAX = 1_000_000
IDLE_S_MAX = 60.0
"""Seconds after which a public socket without subscription and without requests is cut."""


DEMO_SOURCE = "demo"
SYNTHETIC_SOURCE = "synthetic"
AGENTS_SOURCE = "agents"
SYMBOLS_DEFAULT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """What to simulate.

    `port` is REST's and the WebSocket's is the next one; 0 takes any two. `symbols` is a count or
    names; without it 50, or only the recordings' own when no source is synthetic. `sources` are
    "synthetic", "agents", "demo" (the packaged recordings of BTCUSDT and XRPUSDT, the rest
    synthetic, all linear) or paths of recordings; with "synthetic", "demo" or a wish for more
    symbols those that no recording holds are synthetic, and with "agents" they are traded by
    agents, who see users' orders. `agents` is how those behave, by symbol and place unless given.
    `rate` over 0 makes that many frames a second from the
    synthetic symbols beyond the push intervals: a stress setting, not the venue's behaviour.
    `request_s_max` is how long a REST request may take to arrive.
    """

    host: str = "127.0.0.1"
    port: int = 0
    symbols: int | Sequence[str] | None = None
    categories: tuple[Category, ...] = (Category.LINEAR, Category.SPOT)
    sources: Sequence[str | Path] = (SYNTHETIC_SOURCE,)
    speed: float = 1.0
    loop: bool = False
    rate: float = 0.0
    seed: int = 1
    faults: Path | None = None
    fault_specs: Sequence[FaultSpec] = ()
    tls: bool = False
    style: SyntheticStyle = field(default_factory=SyntheticStyle)
    agents: AgentsStyle | None = None
    send_buffer_bytes_max: int = SEND_BUFFER_BYTES_MAX
    idle_s_max: float = IDLE_S_MAX
    request_s_max: float = REST_REQUEST_S_MAX
    rest_connections_max: int = REST_CONNECTIONS_MAX


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that answers. URLs are prefixes as the clients want them."""

    server: SimulatorServer
    rest: str
    public: str
    private: str
    trade: str
    tls: ThrowawayTls | None = None

    @property
    def whole(self) -> WholeVenue:
        """The venue behind the sockets, both halves of it."""
        return self.server.whole

    @property
    def venue(self) -> SimulatedVenue:
        """Its public half."""
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
        if self.tls is not None:
            urls["ca"] = str(self.tls.ca_path)
        return json.dumps(urls)

    async def stop(self) -> None:
        """Stop everything."""
        await self.server.stop()
        if self.tls is not None:
            self.tls.remove()


def _recordings(options: SimulatorOptions, rng: Random) -> list[Recording]:
    after_end = AfterEnd.LOOP if options.loop else AfterEnd.CONTINUE
    opened: list[Recording] = []
    for source in options.sources:
        if source in (SYNTHETIC_SOURCE, AGENTS_SOURCE):
            continue
        paths = (
            [sample_path(name) for name in DEMO_FILES] if source == DEMO_SOURCE else [Path(source)]
        )
        for path in paths:
            recording = open_recording(path, Random(rng.getrandbits(64)), after_end=after_end)
            if recording.category not in options.categories:
                name = recording.category.value
                raise ConfigError(f"recording {path} is {name}, which is not simulated here")
            for other in opened:
                common = set(other.instruments) & set(recording.instruments)
                if common and other.category is recording.category:
                    raise ConfigError(f"{min(common)} is in {other.path} and in {path}")
            opened.append(recording)
    return opened


def _symbols(options: SimulatorOptions, recordings: Sequence[Recording]) -> list[str]:
    """Names to list in every category: the recordings' first, then the asked ones."""
    recorded = [symbol for recording in recordings for symbol in recording.instruments]
    wanted = options.symbols
    if wanted is None:
        made = {SYNTHETIC_SOURCE, AGENTS_SOURCE, DEMO_SOURCE}
        wanted = SYMBOLS_DEFAULT if made.intersection(options.sources) else 0
    if not isinstance(wanted, int):
        return list(dict.fromkeys([*recorded, *wanted]))
    names = dict.fromkeys(
        [*recorded, *(symbols_of_count(wanted) if wanted or options.symbols == 0 else ())]
    )
    return list(names)[: max(wanted, len(set(recorded)))]


def build_venue(options: SimulatorOptions, *, start_ns: int) -> tuple[SimulatedVenue, FaultBoard]:
    """Make the venue and its faults without any socket.

    Raises:
        ConfigError: options that can't be, a source that can't be read, a wrong fault plan.
    """
    if not 0 < options.speed <= SPEED_MAX:
        raise ConfigError(f"speed must be above 0 and at most {SPEED_MAX:g}, not {options.speed}")
    if not 0 <= options.rate <= RATE_MAX:
        raise ConfigError(f"rate must be 0 to {RATE_MAX} frames a second, not {options.rate}")
    if not options.sources:
        raise ConfigError("at least one source is needed")
    if options.rate and AGENTS_SOURCE in options.sources:
        raise ConfigError("rate is for synthetic symbols: agents trade at their own pace")
    if AGENTS_SOURCE in options.sources and SYNTHETIC_SOURCE in options.sources:
        raise ConfigError("sources synthetic and agents both make every symbol: choose one")
    rng = Random(options.seed)
    if DEMO_SOURCE in options.sources:
        options = replace(options, categories=(Category.LINEAR,))
    recordings = _recordings(options, rng)
    names = _symbols(options, recordings)
    # Only recordings were asked for: then a category without one stays empty.
    has_synthetic = options.symbols is not None or len(names) > sum(
        len(recording.instruments) for recording in recordings
    )
    instruments: list[VenueInstrument] = []
    sources: list[MarketSource] = list(recordings)
    for category in options.categories:
        recorded = {
            symbol: instrument
            for recording in recordings
            if recording.category is category
            for symbol, instrument in recording.instruments.items()
        }
        listed = []
        for number, name in enumerate(names, start=1):
            if name in recorded:
                recorded[name].symbol_id = number
                instruments.append(recorded[name])
            elif has_synthetic:
                listed.append(instrument_for(category, name, symbol_id=number))
        instruments += listed
        if listed:
            own = Random(rng.getrandbits(64))
            if AGENTS_SOURCE in options.sources:
                sources.append(AgentsSource(listed, own, options.agents))
            else:
                sources.append(SyntheticSource(listed, own, options.style))
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


def build_whole(
    options: SimulatorOptions, private: PrivateOptions | None = None, *, start_ns: int
) -> WholeVenue:
    """Make the whole venue without any socket: its clock begins at `start_ns`, UTC.

    Raises:
        ConfigError: options that can't be, a source that can't be read, a wrong fault plan.
    """
    venue, faults = build_venue(options, start_ns=start_ns)
    return WholeVenue(venue, faults, private)


async def serve(
    options: SimulatorOptions,
    private: PrivateOptions | None = None,
    *,
    clock_ns: Callable[[], int] | None = None,
) -> RunningSimulator:
    """Start a simulator in the running loop and return when it answers.

    `private` names accounts and limits; without it there is the demo account. `clock_ns` moves
    venue time instead of the machine's clock.

    Raises:
        ConfigError: wrong options.
        OSError: a port is taken.
    """
    whole = build_whole(options, private, start_ns=(clock_ns or time.time_ns)())
    limits = ConnectionLimits(
        options.send_buffer_bytes_max,
        int(options.idle_s_max * 1e9),
        options.request_s_max,
        options.rest_connections_max,
    )
    server = SimulatorServer(whole, limits, clock_ns=clock_ns)
    mount_private(server)
    tls = make_throwaway_tls(options.host, now_ns=whole.now_ns) if options.tls else None
    try:
        rest, websocket = await server.start(
            options.host,
            options.port,
            options.port + 1 if options.port else 0,
            None if tls is None else tls.context,
        )
    except OSError:
        await server.stop()
        if tls is not None:
            tls.remove()
        raise
    secure = "" if tls is None else "s"
    websockets = f"ws{secure}://{options.host}:{websocket}/v5"
    return RunningSimulator(
        server,
        f"http{secure}://{options.host}:{rest}",
        f"{websockets}/public",
        f"{websockets}/private",
        f"{websockets}/trade",
        tls,
    )


async def _run(options: SimulatorOptions, private: PrivateOptions) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    running = await serve(options, private)
    try:
        sys.stdout.write(running.ready_line() + "\n")
        sys.stdout.flush()
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


def main(options: SimulatorOptions, private: PrivateOptions | None = None) -> int:
    """Serve both halves until SIGINT or SIGTERM; returns the exit code.

    `private` names accounts and limits; without it there is the demo account. Prints one JSON line
    when ready, and one sentence on stderr for options that can't be.
    """
    try:
        with asyncio.Runner(loop_factory=make_loop_factory()) as runner:
            runner.run(_run(options, private or PrivateOptions()))
    except ConfigError as error:
        sys.stderr.write(f"tickwright simulate: {error}\n")
        return 2
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else error
        place = f"{options.host}, port {options.port}"
        sys.stderr.write(f"tickwright simulate: can't listen on {place}: {words}\n")
        return 1
    return 0
