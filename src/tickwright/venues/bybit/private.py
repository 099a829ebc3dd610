"""Owns a private Bybit connection's thinking: log in, subscribe, read; refuses sockets and clocks.

The stream sends no initial state: after `on_ready` the owner reads the account by REST and applies
what came meanwhile on top. Whatever can't be read is told, because it may have been a fill.
"""

from collections.abc import Callable, Sequence

import msgspec

from tickwright.core.errors import FrameError
from tickwright.core.events import Input
from tickwright.net.listener import FrameSink
from tickwright.net.session import Action, Send
from tickwright.venues.bybit.control import Classified, FrameKind, classify
from tickwright.venues.bybit.login import ANSWER_DEADLINE_NS, IDLE_PING_NS, Login
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.private_wire import PrivateMessage
from tickwright.venues.bybit.sign import Credentials
from tickwright.venues.bybit.wire import (
    InstrumentMismatch,
    InstrumentUnlisted,
    read_strict,
    shortened,
)
from tickwright.venues.port import AccountHost

__all__ = ["PRIVATE_TOPICS", "BytesSink", "PrivateCounts", "PrivateSession"]

PRIVATE_TOPICS = ("order", "execution", "position", "wallet")
ROWS_MAX = 5_000
"""Most rows of one message that are read; more is a message nobody documents."""

_PING = b'{"req_id":"ping","op":"ping"}'


class BytesSink(FrameSink):
    """Hands frames to a Python callable; private sockets are slow enough for it."""

    def __init__(self, take: Callable[[bytes, int], None]) -> None:
        self._take = take

    def on_bytes(self, frame: bytes, received_ns: int, last: bool) -> None:  # noqa: FBT001
        """Pass one frame on."""
        self._take(frame, received_ns)


class PrivateCounts(msgspec.Struct):
    """What one session has seen; counts only ever rise."""

    frames: int = 0
    rows: int = 0
    unreadable: int = 0
    unlisted: int = 0
    last_refusal: str = ""


class PrivateSession:
    """Thinks for the account's stream; see `net.session` for the contract with the socket.

    Args:
        wake: called when the session wants to be polled at once.
        on_clock_doubt: called when the venue refuses our login: our time may be wrong.
    """

    def __init__(
        self,
        credentials: Credentials,
        rows: RowReader,
        host: AccountHost,
        *,
        wake: Callable[[], None] | None = None,
        topics: Sequence[str] = PRIVATE_TOPICS,
        idle_ping_ns: int = IDLE_PING_NS,
        on_clock_doubt: Callable[[], None] | None = None,
    ) -> None:
        self.on_clock_doubt = on_clock_doubt
        self.counts = PrivateCounts()
        self.wake = wake
        self._rows = rows
        self._host = host
        self._login = Login(credentials, ping=_PING, idle_ping_ns=idle_ping_ns)
        self._subscribe = msgspec.json.encode(
            {"req_id": "subscribe", "op": "subscribe", "args": list(topics)}
        )
        self._subscribed_ns = 0
        self._is_subscribed = False
        self._sink = BytesSink(self.on_frame)

    @property
    def sink(self) -> FrameSink:
        """Where the connection's frames go."""
        return self._sink

    @property
    def is_proven(self) -> bool:
        """Whether this connection is logged in and subscribed."""
        return self._login.is_logged_in and self._is_subscribed

    is_ready = is_proven

    def set_clock_offset(self, offset_ns: int) -> None:
        """Say how far the venue's clock is ahead of ours."""
        self._login.offset_ns = offset_ns

    def on_connected(self, now_ns: int) -> None:
        """Start over on a new socket."""
        self._login.connected(now_ns)
        self._subscribed_ns = 0
        self._is_subscribed = False

    def on_disconnected(self, reason: str, now_ns: int) -> None:
        """Nothing is heard from now on; the owner was told by its connection."""
        self._login.disconnected()
        self._is_subscribed = False

    def poll(self, now_ns: int) -> list[Action]:
        """Return what to send now, or the end of the connection."""
        if self._login.is_logged_in and not self._is_subscribed:
            if not self._subscribed_ns:
                self._subscribed_ns = now_ns
                return [Send(self._subscribe), *self._login.poll(now_ns)]
            if now_ns - self._subscribed_ns > ANSWER_DEADLINE_NS:
                self._login.fail("the subscription got no answer")
        return self._login.poll(now_ns)

    def on_frame(self, frame: bytes, now_ns: int) -> None:
        """Read one frame; nothing it holds can raise."""
        self.counts.frames += 1
        self._login.heard(now_ns)
        try:
            what = classify(frame)
            if what.kind in _READERS:
                self._data(what, frame, now_ns)
            else:
                self._control(what, frame, now_ns)
        except FrameError as error:
            self._unreadable(str(error), now_ns)

    def _control(self, what: Classified, frame: bytes, now_ns: int) -> None:
        if what.kind is FrameKind.AUTH:
            if not self._login.answered(what):
                if self.on_clock_doubt is not None:
                    self.on_clock_doubt()
                self._host.on_login_refused("private", what.code, what.text, now_ns)
            self._wake()
        elif what.kind is FrameKind.SUBSCRIPTION:
            if what.is_success:
                self._is_subscribed = True
                self._host.on_ready("private", now_ns)
            else:
                self._login.fail(f"subscription refused: {what.text[:200]}")
                self._host.on_login_refused("private", what.code, what.text, now_ns)
            self._wake()
        elif what.kind is FrameKind.ERROR:
            self.counts.last_refusal = shortened(frame)
            self._login.fail(f"the venue says: {what.text[:200]}")
            self._wake()

    def _data(self, what: Classified, frame: bytes, now_ns: int) -> None:
        message = read_strict(frame, PrivateMessage)
        if len(message.data) > ROWS_MAX:
            raise FrameError(f"more than {ROWS_MAX} rows: {shortened(frame)}")
        for raw in message.data:
            try:
                events = self._read(what.kind, message, raw, now_ns)
            except InstrumentUnlisted as error:
                # Somebody else's order on a contract we don't hold: no reason to read all again.
                self.counts.unlisted += 1
                self._host.on_instrument_doubt(error.symbol)
                continue
            except InstrumentMismatch as error:
                self._host.on_instrument_doubt(error.symbol)
                self._unreadable(str(error), now_ns)
                continue
            except FrameError as error:
                self._unreadable(str(error), now_ns)
                continue
            self.counts.rows += 1
            for event in events:
                self._host.on_event(event, now_ns)

    def _read(
        self, kind: FrameKind, message: PrivateMessage, raw: dict[str, object], now_ns: int
    ) -> Sequence[Input]:
        rows = self._rows
        if kind is FrameKind.ORDERS:
            return (rows.order(raw, received_ns=now_ns),)
        if kind is FrameKind.EXECUTIONS:
            return (rows.fill(raw, received_ns=now_ns),)
        if kind is FrameKind.POSITIONS:
            return (rows.position(raw, received_ns=now_ns),)
        venue_ns = message.creationTime * 1_000_000
        return rows.wallet(raw, venue_ns=venue_ns, received_ns=now_ns)

    def _unreadable(self, text: str, now_ns: int) -> None:
        self.counts.unreadable += 1
        self.counts.last_refusal = text
        self._host.on_unreadable("private", text, now_ns)

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()


_READERS = frozenset(
    {FrameKind.ORDERS, FrameKind.EXECUTIONS, FrameKind.POSITIONS, FrameKind.WALLET}
)
