"""One socket against peers that misbehave below the venue's protocol, and against our own bugs."""

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from tickwright.net.backoff import DialBudget
from tickwright.net.connection import Connection, DialGate, bounded_socket
from tickwright.net.listener import FrameSink
from tickwright.net.session import Abort, Action, Send

DEADLINE_S = 30.0


class Sink(FrameSink):
    """Keeps frames; raises when told to."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ends: list[bool] = []
        self.error: BaseException | None = None

    def on_bytes(self, frame: bytes, received_ns: int, last: bool) -> None:
        self.frames.append(frame)
        self.ends.append(last)
        if self.error is not None:
            raise self.error


class Session:
    """The least a session can be: says hello, is proven by any frame."""

    def __init__(self) -> None:
        self.sink = Sink()
        self.actions: list[Action] = []
        self.connected_s: list[float] = []
        self.reasons: list[str] = []
        self.polls = 0

    @property
    def is_proven(self) -> bool:
        return bool(self.sink.frames)

    @property
    def connected(self) -> int:
        return len(self.connected_s)

    def on_connected(self, now_ns: int) -> None:
        self.connected_s.append(asyncio.get_running_loop().time())
        self.actions.append(Send(b"hello"))

    def on_disconnected(self, reason: str, now_ns: int) -> None:
        self.reasons.append(reason)

    def poll(self, now_ns: int) -> list[Action]:
        self.polls += 1
        actions, self.actions = self.actions, []
        return actions


class Peer(WSListener):
    """Answers the first message by a script over the raw transport."""

    def __init__(self, script: Callable[[WSTransport], None]) -> None:
        super().__init__()
        self.script = script

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.script(transport)


class Net:
    """A server with a script, one connection to it, and its task."""

    def __init__(self, gate: DialGate | None = None) -> None:
        self.session = Session()
        self.gate = gate or DialGate(Random(1))
        self.changes: list[tuple[bool, str]] = []
        self.connection: Connection
        self.task: asyncio.Task[None]

    async def wait(self, what: str, condition: Callable[[], bool]) -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not condition():
            assert loop.time() - begun < DEADLINE_S, f"never: {what}"
            await asyncio.sleep(0.002)
        return loop.time() - begun


@asynccontextmanager
async def net(
    script: Callable[[WSTransport], None], *, gate: DialGate | None = None
) -> AsyncIterator[Net]:
    def listener_for(request: WSUpgradeRequest) -> WSListener:
        return Peer(script)

    server = await ws_create_server(listener_for, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = Net(gate)
    made.connection = Connection(
        f"ws://127.0.0.1:{port}/x",
        made.session,
        made.gate,
        on_change=lambda is_up, reason: made.changes.append((is_up, reason)),
    )
    made.task = asyncio.create_task(made.connection.run())
    try:
        yield made
    finally:
        await made.connection.stop()
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)
        server.close()


def raw(*frames: tuple[int, bytes]) -> Callable[[WSTransport], None]:
    """Write these (first byte, payload) frames in one piece."""
    data = b"".join(bytes((head, len(payload))) + payload for head, payload in frames)
    return lambda transport: transport.underlying_transport.write(data)


TEXT, CONTINUED, LAST, PING, COMPRESSED = 0x81, 0x00, 0x80, 0x89, 0xC1
FIRST = 0x01


async def test_frames_when_several_come_in_one_read_then_the_last_is_marked():
    async with net(raw((TEXT, b"one"), (TEXT, b"two"), (TEXT, b"three"))) as made:
        await made.wait("frames", lambda: len(made.session.sink.frames) == 3)
        assert [False, False, True] == made.session.sink.ends
        assert (3, 1) == (made.connection.frame_count, made.session.connected)
        listener = made.connection.listener
        assert listener is not None
        assert (1, 3) == (listener.turn_count, listener.turn_frames_max)


async def test_message_when_in_fragments_with_a_ping_between_then_whole():
    frames = raw((FIRST, b"a"), (PING, b""), (CONTINUED, b"b"), (LAST, b"c"), (TEXT, b"next"))
    async with net(frames) as made:
        await made.wait("frames", lambda: len(made.session.sink.frames) == 2)
        assert [b"abc", b"next"] == made.session.sink.frames


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([(FIRST, b"a"), (TEXT, b"b")], "order of message fragments"),
        ([(LAST, b"a")], "order of message fragments"),
        ([(COMPRESSED, b"a")], "compressed"),
        # picows itself ends these; nobody may take them for a bug of ours
        ([(0x83, b"reserved")], ""),
    ],
)
async def test_peer_when_it_breaks_the_protocol_then_dialled_again_and_never_our_bug(
    frames: list[tuple[int, bytes]], reason: str
):
    # The frames after the broken one, in the same read, are not believed either.
    async with net(raw(*frames, (TEXT, b"after"))) as made:
        await made.wait("again", lambda: made.session.connected >= 3)
        assert not made.task.done()
        assert [] == [frame for frame in made.session.sink.frames if frame == b"after"]
        assert all(reason in each for each in made.session.reasons)


async def test_message_when_its_fragments_never_end_then_given_up_at_the_bound():
    part = bytes((FIRST, 127)) + (1 << 20).to_bytes(8, "big") + b"x" * (1 << 20)
    more = bytes((CONTINUED, 127)) + (1 << 20).to_bytes(8, "big") + b"x" * (1 << 20)

    def script(transport: WSTransport) -> None:
        transport.underlying_transport.write(part + more * 9)

    async with net(script) as made:
        await made.wait("given up", lambda: made.session.reasons != [])
        assert "longer than 8388608 bytes" in made.session.reasons[0]
        assert not made.task.done()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("another"), KeyError("x")])
async def test_sink_when_it_raises_then_the_failure_surfaces_and_nothing_is_dialled_again(
    error: BaseException,
):
    async with net(raw((TEXT, b"one"), (TEXT, b"two"), (TEXT, b"three"))) as made:
        made.session.sink.error = error
        with pytest.raises(type(error)) as caught:
            await asyncio.wait_for(made.task, DEADLINE_S)
        assert error is caught.value
        # Latched shut: the frames that shared the read never reached the broken program.
        assert [b"one"] == made.session.sink.frames
        assert 1 == made.connection.counts.dials
        assert not made.connection.is_up


async def test_peer_when_it_closes_politely_then_dialled_again_with_its_code_for_a_reason():
    async with net(raw((0x88, b"\x03\xe9"))) as made:
        await made.wait("again", lambda: made.session.connected >= 2)
        assert "closed by the venue with code 1001" == made.session.reasons[0]
        assert (False, made.session.reasons[0]) in made.changes


async def test_servers_when_they_never_prove_themselves_then_are_dialled_ever_more_slowly():
    async with net(lambda transport: transport.underlying_transport.abort()) as made:
        await made.wait("six dials", lambda: made.session.connected >= 6)
        times = made.session.connected_s[:6]
        waits = [later - earlier for earlier, later in pairwise(times)]
        # 50, 100, 200, 400 ms and so on, each at least half of that.
        for wait, step in zip(waits, (0.05, 0.1, 0.2, 0.4, 0.8), strict=True):
            assert wait >= step / 2
        assert made.connection.counts.drops >= 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 429 Too Many Requests\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>a captive portal</html>",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: wrong\r\n\r\n",
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
        b"HTTP/1.1 abc \xff\xfe\r\n\r\n",
    ],
)
async def test_handshake_when_it_is_refused_or_garbage_then_tried_again_for_ever(answer: bytes):
    dials = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dials
        dials += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = Net()
    made.connection = Connection(f"ws://127.0.0.1:{port}/x", made.session, made.gate)
    made.task = asyncio.create_task(made.connection.run())
    try:
        await made.wait("three dials", lambda: dials >= 3)
        assert not made.task.done()
        assert 0 == made.session.connected
        assert made.connection.counts.last_reason.startswith("dial failed: ")
    finally:
        await made.connection.stop()
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)
        server.close()


async def test_session_when_it_aborts_then_the_reason_is_kept_and_the_socket_dialled_again():
    async with net(raw((TEXT, b"x"))) as made:
        await made.wait("up", lambda: made.session.is_proven)
        made.session.actions.append(Abort("for a reason"))
        await made.wait("again", lambda: made.session.connected == 2)
        assert ["for a reason"] == made.session.reasons
        assert made.connection.send(b"more")


async def test_connection_when_woken_then_polls_at_once_and_once():
    async with net(raw((TEXT, b"x"))) as made:
        await made.wait("up", lambda: made.session.is_proven)
        polls = made.session.polls
        for _ in range(100):
            made.connection.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert polls < made.session.polls <= polls + 2


async def test_connection_when_stopped_then_ends_and_sends_nothing_more():
    async with net(raw((TEXT, b"x"))) as made:
        await made.wait("up", lambda: made.session.is_proven)
        await made.connection.stop()
        await asyncio.wait_for(made.task, DEADLINE_S)
        assert not made.connection.is_up
        assert not made.connection.send(b"more")


# the gate ----------------------------------------------------------------------------------------


async def test_gate_when_an_address_is_down_then_one_probes_and_its_success_frees_all():
    gate = DialGate(Random(1))
    crowd = [Connection("ws://127.0.0.1:1/x", Session(), gate) for _ in range(20)]
    for connection in crowd:
        gate.failed(connection)
    dialled: list[Connection] = []

    async def dial(connection: Connection) -> None:
        await gate.wait(connection)
        dialled.append(connection)

    tasks = [asyncio.create_task(dial(connection)) for connection in crowd]
    async with asyncio.timeout(DEADLINE_S):
        while not dialled:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    await asyncio.wait(tasks, timeout=0.25)
    assert 1 == len(dialled)
    gate.succeeded(dialled[0])
    await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE_S)
    assert set(crowd) == set(dialled)


async def test_gate_when_the_prober_leaves_then_another_takes_over():
    gate = DialGate(Random(1))
    one, two, three = (Connection("ws://127.0.0.1:1/x", Session(), gate) for _ in range(3))
    gate.failed(one)
    await asyncio.wait_for(gate.wait(one), DEADLINE_S)
    waiting = {
        asyncio.create_task(gate.wait(two)): two,
        asyncio.create_task(gate.wait(three)): three,
    }
    done, pending = await asyncio.wait(waiting, timeout=0.05)
    assert set() == done
    gate.left(one)
    done, pending = await asyncio.wait(
        waiting, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED
    )
    assert (1, 1) == (len(done), len(pending))
    gate.succeeded(waiting[done.pop()])
    await asyncio.wait_for(pending.pop(), DEADLINE_S)


async def test_gate_when_its_budget_is_spent_then_waits_for_it():
    gate = DialGate(Random(1), budget=DialBudget(dials_max=2, window_ns=300_000_000))
    connection = Connection("ws://127.0.0.1:1/x", Session(), gate)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        await asyncio.wait_for(gate.wait(connection), DEADLINE_S)
    assert loop.time() - begun >= 0.29


@pytest.mark.parametrize(
    ("url", "is_bound"),
    [("ws://127.0.0.1:1/x", True), ("wss://[::1]:1/x", True), ("wss://example.com/x", False)],
)
def test_socket_when_the_host_is_an_address_then_its_receive_buffer_is_bounded(
    url: str, is_bound: bool
):
    made = bounded_socket(url, 65_536)
    assert is_bound == (made is not None)
    if made is not None:
        with made:
            # Linux doubles what is asked, for its own book-keeping.
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 65_536
            assert not made.getblocking()


async def test_socket_when_its_dial_ends_early_then_it_is_closed():
    """A full backlog lets a dial hang in the middle; a closed port refuses it."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        hanging = Connection(f"ws://127.0.0.1:{address[1]}/x", Session(), DialGate(Random(1)))
        dial = asyncio.create_task(hanging._dial())
        await asyncio.sleep(0.05)
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        for one in waiting:
            one.close()
    refused = Connection(f"ws://127.0.0.1:{address[1]}/x", Session(), DialGate(Random(1)))
    with pytest.raises(ConnectionRefusedError):
        await refused._dial()

    # A socket left open would be told as a ResourceWarning, which is an error here.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del dial, hanging, refused
        gc.collect()
    assert not [one for one in told if issubclass(one.category, ResourceWarning)]
