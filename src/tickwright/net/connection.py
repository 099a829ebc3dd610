"""Owns one WebSocket that is dialled again for ever; refuses to think: its session does.

Reconnect path: abort, never a closing handshake (a dead peer would eat ten seconds), wait as
`DialGate` says, dial, tell the session. One prober per address: while an address is down, one
connection dials and the others follow its success, so that many shards stay within the venue's
limit of dials.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from random import Random
from urllib.parse import urlsplit

import msgspec
from picows import WSError, WSParsedURL, ws_connect

from tickwright.net.backoff import Backoff, DialBudget
from tickwright.net.listener import FrameListener, utc_now_ns
from tickwright.net.session import Abort, Action, Send, Session

__all__ = ["Connection", "ConnectionCounts", "DialGate", "bounded_socket"]

POLL_S = 0.05
CALM_POLL_S = 0.1
"""How often a session is asked once its connection has settled; it may ask for more by `wake`."""
SETTLED_NS = 3_000_000_000
"""A connection that dies younger than this counts as a failed dial: the next one waits."""
HANDSHAKE_S = 3.0
RECEIVE_BUFFER_BYTES = 256 * 1024
"""Bounds what one socket read can carry, and so how long one read holds the loop."""


class ConnectionCounts(msgspec.Struct):
    """What one connection went through; counts only ever rise."""

    dials: int = 0
    connects: int = 0
    drops: int = 0
    last_reason: str = ""


class DialGate:
    """Decides when connections to one address may dial.

    A budget, a backoff, and one prober at a time.
    """

    def __init__(self, random: Random, *, budget: DialBudget | None = None) -> None:
        self.budget = budget if budget is not None else DialBudget()
        self._backoff = Backoff(random)
        self._prober: Connection | None = None
        self._is_down = False
        self._back = asyncio.Event()

    async def wait(self, connection: "Connection") -> None:
        """Return when this connection may dial."""
        while self._is_down and self._prober is not None and self._prober is not connection:
            self._back.clear()
            await self._back.wait()
        if self._is_down:
            self._prober = connection
            await asyncio.sleep(self._backoff.next_wait_ns(utc_now_ns()) / 1e9)
        await asyncio.sleep(self.budget.wait_ns(utc_now_ns()) / 1e9)
        self.budget.spend(utc_now_ns())

    def failed(self, connection: "Connection") -> None:
        """A dial failed, or a connection died before it proved itself."""
        self._is_down = True

    def succeeded(self, connection: "Connection") -> None:
        """A connection proved itself: everybody may dial."""
        self._is_down = False
        self._prober = None
        self._back.set()

    def settled(self, connection: "Connection") -> None:
        """A connection lived long enough: the next failure starts with short waits again."""
        self._backoff.reset()

    def left(self, connection: "Connection") -> None:
        """A connection gives up for good; another one may probe."""
        if self._prober is connection:
            self._prober = None
            self._back.set()


class _Alarm:
    """Wakes the connection's task: at a time, when nudged, or for good once the socket is gone.

    A future and a timer: waiting for an event with a time-out costs a task each time, 20 times a
    second.
    """

    __slots__ = ("_is_nudged", "_waiter", "is_down")

    def __init__(self) -> None:
        self.is_down = False
        self._is_nudged = False
        self._waiter: asyncio.Future[None] | None = None

    def down(self) -> None:
        """The socket is gone."""
        self.is_down = True
        self.nudge()

    def nudge(self) -> None:
        """Wake up now."""
        waiter = self._waiter
        if waiter is None:
            self._is_nudged = True
        elif not waiter.done():
            waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Sleep so long at most."""
        if self.is_down:
            return
        if self._is_nudged:
            # Nudged while nobody waited; others get their turn all the same.
            self._is_nudged = False
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self.nudge)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None


class Connection:
    """Keeps one socket up and lets its session think.

    Args:
        url: ws:// or wss:// address.
        session: see `net.session`.
        gate: shared by all connections to one address.
        on_change: called as `on_change(is_up, reason)`.
        after_poll: called as `after_poll(now_ns)` when the session was asked.
        ssl_context: for wss; None takes the system's certificates.
    """

    def __init__(
        self,
        url: str,
        session: Session,
        gate: DialGate,
        *,
        name: str = "",
        on_change: Callable[[bool, str], None] | None = None,
        after_poll: Callable[[int], None] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    ) -> None:
        self.url = url
        self.name = name or url
        self.session = session
        self.counts = ConnectionCounts()
        self.listener: FrameListener | None = None
        self._gate = gate
        self._on_change = on_change
        self._after_poll = after_poll
        self._ssl_context = ssl_context
        self._receive_buffer_bytes = receive_buffer_bytes
        self._alarm = _Alarm()
        self._is_up = False
        self._is_stopping = False
        self._frames_seen = 0

    @property
    def is_up(self) -> bool:
        """Whether the handshake is done and the socket wasn't lost since."""
        return self._is_up

    @property
    def frame_count(self) -> int:
        """Messages received over all sockets this connection had, data and control."""
        current = self.listener.frame_count if self.listener is not None else 0
        return self._frames_seen + current

    def wake(self) -> None:
        """Poll the session as soon as the loop is free."""
        if self._is_up:
            self._alarm.nudge()

    def send(self, message: bytes) -> bool:
        """Hand a text message to the socket at once; False when there is none."""
        return self.listener is not None and self._is_up and self.listener.send_text(message)

    def drop(self, reason: str) -> None:
        """Lose the connection on purpose; it is dialled again."""
        if self._is_up and self.listener is not None:
            self.counts.last_reason = reason
            self.listener.abort()

    async def stop(self) -> None:
        """End for good."""
        self._is_stopping = True
        self._gate.left(self)
        if self.listener is not None:
            self.listener.abort()
        self._alarm.down()

    async def run(self) -> None:
        """Stay connected until `stop`; raises only what the program itself did wrong."""
        try:
            await self._stay_connected()
        finally:
            if self.listener is not None:
                self.listener.abort()

    async def _stay_connected(self) -> None:
        while not self._is_stopping:
            await self._gate.wait(self)
            if self._is_stopping:
                return
            try:
                await self._dial()
            except (OSError, WSError, TimeoutError) as error:
                self.counts.last_reason = f"dial failed: {str(error) or type(error).__name__}"
                self._gate.failed(self)
                continue
            await self._stay()

    async def _dial(self) -> None:
        self.counts.dials += 1
        # A new one each time: the end of an earlier socket may be told late.
        self._alarm = alarm = _Alarm()
        if self.listener is not None:
            self._frames_seen += self.listener.frame_count
        listener = FrameListener(self.session.sink, when_disconnected=alarm.down)
        self.listener = listener
        # Not `wait_for`: on Python 3.11 it forgets a cancellation that comes with the result.
        async with asyncio.timeout(HANDSHAKE_S + 1.0):
            await ws_connect(
                lambda: listener,
                self.url,
                ssl_context=self._ssl_context,
                websocket_handshake_timeout=HANDSHAKE_S,
                max_frame_size=16 * 1024 * 1024,
                socket_factory=self._connected_socket,
            )
        if listener.transport is None:
            # picows returns as if all was well, and never tells the listener.
            raise ConnectionResetError("the peer closed during the handshake")
        self._is_up = True
        self.counts.connects += 1
        self.session.on_connected(utc_now_ns())
        if self._on_change is not None:
            self._on_change(True, "")

    async def _connected_socket(self, parsed: WSParsedURL) -> socket.socket | None:
        """Return a connected socket; none is left open when the dial fails or ends meanwhile."""
        made = bounded_socket(self.url, self._receive_buffer_bytes)
        if made is None:
            return None
        try:
            await asyncio.get_running_loop().sock_connect(made, (parsed.host, parsed.port))
        except BaseException:
            # picows would forget it: its descriptor would stay until somebody collects garbage.
            made.close()
            raise
        return made

    async def _stay(self) -> None:
        born_ns = utc_now_ns()
        has_succeeded = is_settled = False
        while not self._alarm.is_down and not self._is_stopping:
            self._poll()
            if not has_succeeded and self.session.is_proven:
                has_succeeded = True
                self._gate.succeeded(self)
            if not is_settled and utc_now_ns() - born_ns > SETTLED_NS:
                is_settled = True
                self._gate.settled(self)
            await self._alarm.wait(CALM_POLL_S if is_settled else POLL_S)
        self._is_up = False
        listener = self.listener
        assert listener is not None
        if listener.failure is not None:
            # A bug of ours, not the network's fault: dialling again would only repeat it.
            raise listener.failure
        if self._is_stopping:
            # Ended on purpose: nobody needs to hear of a loss.
            return
        reason = self.counts.last_reason or listener.close_reason or "connection reset"
        self.counts.last_reason = ""
        self.counts.drops += 1
        if not is_settled:
            self._gate.failed(self)
        self.session.on_disconnected(reason, utc_now_ns())
        if self._on_change is not None:
            self._on_change(False, reason)

    def _poll(self) -> None:
        now_ns = utc_now_ns()
        for action in self.session.poll(now_ns):
            self._obey(action)
        if self._after_poll is not None:
            self._after_poll(now_ns)

    def _obey(self, action: Action) -> None:
        if isinstance(action, Send):
            self.send(action.message)
        elif isinstance(action, Abort):
            self.drop(action.reason)


def bounded_socket(url: str, receive_buffer_bytes: int) -> socket.socket | None:
    """Return an unconnected TCP socket with a bounded receive buffer, or None for a name.

    The size must be set before connecting to bind the TCP window. A host name is left to the event
    loop's resolver, which doesn't block; its socket gets the system's default.
    """
    host = urlsplit(url).hostname or ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return None
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
