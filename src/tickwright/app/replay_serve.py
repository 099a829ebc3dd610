"""Owns serving recordings as the venue they came from: the sockets, the pace, the report.

A client connects as to the venue: public topics in the recorded frames, REST, and accounts whose
orders are matched against the recorded books. Time stands still until a client has subscribed.
Then frames leave at the spacing they were received with, or faster or slower; or as fast as the
slowest client reads (`speed` None): then time also stands still while clients that were cut come
back. It never skips: a client too slow for a chosen speed is cut, as the venue does.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import msgspec
from picows import WSListener, WSUpgradeRequest

from tickwright.app.replay_market import RecordedShelf
from tickwright.app.replay_source import find_spans, time_text
from tickwright.app.replay_tape import Tape, TapeCounts
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.connection import PUBLIC_REQUEST_BYTES_MAX, SessionSocket
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.private import PrivateOptions
from tickwright.simulator.private.half import mount_private
from tickwright.simulator.public_session import PublicSession
from tickwright.simulator.recorded_rest import RecordedRest
from tickwright.simulator.server import CONNECTIONS_MAX, ListenerFactory, SimulatorServer
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue

__all__ = ["Addresses", "DamagedPlace", "ReplayServer", "ServeOptions", "ServeReport"]

SPEED_MAX = 10_000.0
SETTLE_S = 0.3
"""Time begins when nobody has subscribed anything more for so long."""
REJOIN_S_MAX = 5.0
"""As fast as clients read: how long those that were cut are waited for."""
STALL_S_MAX = 10.0
"""As fast as clients read: one that takes nothing for so long is cut."""
SEAM_NS_MAX = 5_000_000_000
"""A pause between two recordings is played as at most this much of recorded time."""
BATCH = 256
"""Records played between two looks at the clients."""
WAITING_BYTES_MAX = 1 << 20
"""As fast as clients read: bytes that may wait for one before all wait."""
END_S_MAX = 2.0
"""How long clients may take to read the rest when all is over."""
LOOK_S = 0.25
_TICK_S = 0.01
_EARLY_S = 0.0002
_HOST = "127.0.0.1"


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve, and how.

    `port` is REST's and the WebSocket's is the next one; 0 takes any two. `speed` multiplies the
    recorded pace; None is as fast as the clients read. `as_of_ns` begins there, with the books as
    they were; None at the beginning. `is_looped` plays again and again.
    """

    paths: tuple[Path, ...]
    port: int = 0
    speed: float | None = 1.0
    as_of_ns: int | None = None
    is_looped: bool = False


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where a served recording answers, and what it holds: the line printed when it is ready."""

    rest: str
    public: str
    private: str
    trade: str
    first: str
    last: str


class DamagedPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place of a recording that couldn't be read.

    `records` is how many are missing; None where nothing readable came after it.
    """

    path: str
    position: int
    reason: str
    records: int | None


class ServeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was served; this is the JSON of `replay --serve`.

    `seconds` counts from the first record played, standing still included; `speed` is recorded time
    over that. `frames` were played; `frames_sent` counts each for every client that got it.
    """

    recordings: list[str]
    first: str
    last: str
    is_complete: bool
    is_cut_short: bool
    laps: int
    seconds: float
    recorded_seconds: float
    speed: float | None
    frames: int
    frames_per_s: float | None
    raw_bytes: int
    frames_sent: int
    frames_unread: int
    snapshots: int
    topics: dict[str, int]
    clients: int
    cuts: int
    lost_connections: int
    holes: int
    damage: list[DamagedPlace]
    cut_slow: int


class ReplayServer:
    """A venue that plays recordings. First `prime`, then `serve`.

    Raises:
        ConfigError: wrong options; nothing to serve; a time outside what was recorded.
        StorageError: a recording of a newer version, or without any frame.
    """

    def __init__(self, options: ServeOptions) -> None:
        if options.speed is not None and not 0 < options.speed <= SPEED_MAX:
            raise ConfigError(f"speed must be above 0 and at most {SPEED_MAX:g}, or max")
        self.options = options
        self.spans = find_spans(options.paths)
        first_ns = self.spans[0].first_ns
        self.end_ns = max(span.last_ns for span in self.spans)
        as_of_ns = options.as_of_ns
        if as_of_ns is not None:
            if not first_ns <= as_of_ns <= self.end_ns:
                raise ConfigError(
                    f"{time_text(as_of_ns)} is outside of what was recorded: "
                    f"{time_text(first_ns)} to {time_text(self.end_ns)}"
                )
            self.spans = [span for span in self.spans if span.last_ns >= as_of_ns]
        self.begin_ns = max(self.spans[0].first_ns, as_of_ns or 0)
        self.size = sum(span.size for span in self.spans)
        self._rng = Random(1)
        venue = SimulatedVenue([], [], rng=Random(2), start_ns=utc_now_ns())
        self.whole = WholeVenue(
            venue, FaultBoard(Random(3)), PrivateOptions(seed=4, has_funding=False)
        )
        self.shelf = RecordedShelf(venue, self.whole.desk.pay_funding)
        self._list()
        self.server = SimulatorServer(
            self.whole, make_rest=lambda *given: RecordedRest(self.shelf.topics, *given)
        )
        self.limits = self.server.limits
        mount_private(self.server)
        for category in Category:
            self.server.websocket_paths[f"/v5/public/{category.value}"] = self._factory(category)
        self.tape = Tape(self.spans, self.shelf, self._cut)
        self._laps = 0
        self._played = TapeCounts()
        """Of the laps before."""
        self._sockets: dict[SessionSocket, None] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._clients = 0
        self._cuts = 0
        self._cut_slow = 0
        self._missed = 0
        self._began_s = self._ended_s = 0.0
        self._at_ns = self.begin_ns
        self._recorded_ns = 0
        self._is_complete = False

    def _list(self) -> None:
        """List what the beginnings of the recordings hold, so that clients find it from the start.

        More is listed when it is met; a topic that nobody recorded is refused as unknown.
        """
        for span in self.spans:
            for added in span.books:
                instrument = added.instrument
                self.shelf.enlist(instrument)
                self.shelf.topics.add(
                    instrument.id.category, f"orderbook.{added.depth}.{instrument.symbol}"
                )
            for seen in span.topics:
                self.shelf.topics.add(seen.category, seen.name)
                kind = seen.name.rpartition(".")[0]
                if not kind.startswith("orderbook"):
                    # What was asked for one symbol was asked for all, and some are quiet.
                    for added in span.books:
                        if added.instrument.id.category is seen.category:
                            name = f"{kind}.{added.instrument.symbol}"
                            self.shelf.topics.add(seen.category, name)

    # life -----------------------------------------------------------------------------------------

    def prime(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Read up to where playing begins; `on_progress` is given the bytes read."""
        for _ in self.tape.prime(self.begin_ns):
            if on_progress is not None:
                on_progress(self.tape.read_bytes)

    async def start(self) -> Addresses:
        """Listen; returns where.

        Raises:
            ConfigError: a port is taken.
        """
        port = self.options.port
        try:
            rest, websocket = await self.server.start(_HOST, port, port + 1 if port else 0, None)
        except OSError as error:
            words = os.strerror(error.errno) if error.errno else error
            raise ConfigError(f"can't listen on {_HOST}, port {port}: {words}") from None
        sockets = f"ws://{_HOST}:{websocket}/v5"
        return Addresses(
            rest=f"http://{_HOST}:{rest}",
            public=f"{sockets}/public",
            private=f"{sockets}/private",
            trade=f"{sockets}/trade",
            first=time_text(self.begin_ns),
            last=time_text(self.end_ns),
        )

    async def serve(
        self,
        on_ready: Callable[[Addresses], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> ServeReport:
        """Listen and play to the end, or until a signal comes; `is_complete` says which.

        Raises:
            ConfigError: a port is taken.
        """
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        try:
            on_ready(await self.start())
            ends = [
                asyncio.create_task(self.play(on_progress)),
                asyncio.create_task(stopped.wait()),
                asyncio.create_task(self.server.wait_failed()),
            ]
            done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for task in done:
                task.result()
        finally:
            await self.stop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return self.report()

    async def stop(self) -> None:
        """End every socket in order, then listen no more. Safe to call twice."""
        for client in tuple(self._sockets):
            client.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S_MAX):
                await self._is_empty.wait()
        await self.server.stop()

    # clients --------------------------------------------------------------------------------------

    def opened(self, connection: SessionSocket) -> None:
        """Count a connection in."""
        self._clients += 1
        self._sockets[connection] = None
        self._is_empty.clear()
        self.server.opened(connection)

    def closed(self, connection: SessionSocket) -> None:
        """Count a connection out."""
        self._sockets.pop(connection, None)
        if not self._sockets:
            self._is_empty.set()
        self._cut_slow += connection.was_cut_for_slowness
        self.server.closed(connection)

    def _factory(self, category: Category) -> ListenerFactory:
        def make(request: WSUpgradeRequest) -> WSListener | None:
            if len(self._sockets) >= CONNECTIONS_MAX:
                return None
            conn_id = str(UUID(int=self._rng.getrandbits(128)))
            return SessionSocket(
                self,
                lambda line: PublicSession(
                    line, conn_id, self.shelf.topics, self.whole.faults, category
                ),
                PUBLIC_REQUEST_BYTES_MAX,
            )

        return make

    def _cut(self, sessions: list[PublicSession]) -> None:
        self._missed = max(self._missed, self.shelf.topics.listener_count)
        self._cuts += 1
        for session in sessions:
            if isinstance(session.line, SessionSocket):
                session.line.finish()

    # playing --------------------------------------------------------------------------------------

    async def play(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Wait for clients, then play everything; with `is_looped` for ever."""
        while True:
            await self._wait_clients(0)
            self._began_s = self._began_s or time.monotonic()
            await self._play_tape(on_progress)
            self._laps += 1
            if not self.options.is_looped:
                break
            self._played += self.tape.counts()
            self.tape.end()
            self.tape = Tape(self.spans, self.shelf, self._cut)
            for _ in self.tape.prime(self.begin_ns):
                await asyncio.sleep(0)
        self._is_complete = True
        self._ended_s = time.monotonic()
        await self._wait_readers(0)

    async def _play_tape(self, on_progress: Callable[[int], None] | None) -> None:
        tape, speed = self.tape, self.options.speed
        self._at_ns = self.begin_ns
        due_s = looked_s = time.monotonic()
        count = 0
        while (next_ns := tape.next_ns) is not None:
            passed_ns = max(0, next_ns - self._at_ns)
            if tape.is_at_seam:
                passed_ns = min(passed_ns, SEAM_NS_MAX)
            self._recorded_ns += passed_ns
            self._at_ns = max(self._at_ns, next_ns)
            if speed is not None:
                due_s += passed_ns / 1e9 / speed
                wait_s = due_s - time.monotonic()
                if wait_s > _EARLY_S:
                    self._flush()
                    await asyncio.sleep(wait_s)
            tape.step()
            count += 1
            if count < BATCH and not self._missed:
                continue
            count = 0
            self._flush()
            if on_progress is not None and time.monotonic() - looked_s >= LOOK_S:
                looked_s = time.monotonic()
                on_progress(tape.read_bytes)
            missed, self._missed = self._missed, 0
            if speed is not None:
                await asyncio.sleep(0)
                continue
            await self._wait_readers(WAITING_BYTES_MAX)
            is_alone = not self.shelf.topics.listener_count
            if (missed or is_alone) and tape.next_ns is not None:
                await self._wait_clients(missed)
        self._flush()

    def _flush(self) -> None:
        for client in tuple(self._sockets):
            client.flush()

    async def _wait_clients(self, count: int) -> None:
        """Wait until somebody has subscribed all he wants; of those cut, for `count` of topics.

        At a pace a question to REST for a book is enough: some clients never subscribe.
        """
        topics = self.shelf.topics
        seen, quiet_s = topics.change_count, time.monotonic()
        until_s = quiet_s + REJOIN_S_MAX
        while True:
            await asyncio.sleep(_TICK_S)
            now_s = time.monotonic()
            if topics.change_count != seen:
                seen, quiet_s = topics.change_count, now_s
            held = topics.listener_count
            if self.options.speed is not None and topics.ask_count:
                return
            is_enough = held >= count or now_s >= until_s
            if held and is_enough and now_s - quiet_s >= SETTLE_S:
                return

    async def _wait_readers(self, bytes_max: int) -> None:
        """Wait until every client has taken what it was sent, but for `bytes_max`."""
        await asyncio.sleep(0)
        stalled: dict[SessionSocket, tuple[int, float]] = {}
        while slow := [one for one in self._sockets if one.waiting_bytes > bytes_max]:
            now_s = time.monotonic()
            for client in slow:
                waiting, since_s = stalled.get(client, (-1, now_s))
                if client.waiting_bytes != waiting:
                    stalled[client] = (client.waiting_bytes, now_s)
                elif now_s - since_s > STALL_S_MAX:
                    client.was_cut_for_slowness = True
                    client.cut()
            await asyncio.sleep(_EARLY_S)

    # report ---------------------------------------------------------------------------------------

    def report(self) -> ServeReport:
        """Return everything so far."""
        counts = self._played + self.tape.counts()
        topics = self.shelf.topics.streams()
        seconds = (self._ended_s or time.monotonic()) - self._began_s if self._began_s else 0.0
        recorded_s = self._recorded_ns / 1e9
        return ServeReport(
            recordings=[str(span.folder) for span in self.spans],
            first=time_text(self.begin_ns),
            last=time_text(self._at_ns),
            is_complete=self._is_complete,
            is_cut_short=self.tape.is_cut_short,
            laps=self._laps,
            seconds=round(seconds, 3),
            recorded_seconds=round(recorded_s, 3),
            speed=round(recorded_s / seconds, 3) if seconds else None,
            frames=counts.frames,
            frames_per_s=round(counts.frames / seconds, 1) if seconds else None,
            raw_bytes=counts.frame_bytes,
            frames_sent=sum(topic.sent for topic in topics.values()),
            frames_unread=counts.unread_frames,
            snapshots=sum(topic.snapshots for topic in topics.values()),
            topics={
                f"{category.value} {name}": topic.frames
                for (category, name), topic in topics.items()
                if topic.frames
            },
            clients=self._clients,
            cuts=self._cuts,
            lost_connections=counts.lost_connections,
            holes=counts.holes,
            damage=[
                DamagedPlace(
                    path=str(skip.path),
                    position=skip.position,
                    reason=skip.reason,
                    records=skip.records,
                )
                for skip in self.tape.skips
            ],
            cut_slow=self._cut_slow,
        )
