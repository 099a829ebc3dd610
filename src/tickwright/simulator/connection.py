"""Owns one public WebSocket: its requests, topics and bounded outbox; refuses the market.

Frames collect in an outbox and leave in one write per turn. A client that doesn't read is cut when
`SEND_BUFFER_BYTES_MAX` wait for it; other clients never notice.
"""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tickwright.core.identity import Category
from tickwright.simulator.faults import (
    DAMAGE_KINDS,
    DELTA_KINDS,
    FRAME_KINDS,
    REQUEST_KINDS,
    Fault,
    FaultBoard,
    FaultKind,
    damage,
)
from tickwright.simulator.streams import BookStream
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.wire import Ask, PublicWire, Request

__all__ = [
    "SEND_BUFFER_BYTES_MAX",
    "ConnectionHost",
    "ConnectionLimits",
    "PublicConnection",
    "ServedConnection",
    "frame_header",
]

SEND_BUFFER_BYTES_MAX = 8 << 20
"""Bytes that may wait for a slow reader before it is cut."""

_REQUEST_BYTES_MAX = 64 << 10
FOREVER_NS = 1 << 62
_LINGER_RESET = struct.pack("ii", 1, 0)


def _make_header(size: int) -> bytes:
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


_HEADERS = [_make_header(size) for size in range(4096)]


def frame_header(size: int) -> bytes:
    """The WebSocket header of an unmasked, unfragmented text frame."""
    return _HEADERS[size] if size < 4096 else _make_header(size)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a socket is granted: bytes waiting for it, and a span without topic or request."""

    send_buffer_bytes_max: int = SEND_BUFFER_BYTES_MAX
    idle_ns_max: int = 60_000_000_000


class ServedConnection(Protocol):
    """What the server does with any socket it serves, public or private."""

    was_cut_for_slowness: bool

    def flush(self) -> int:
        """Write what waits; returns how many frames that was."""

    def is_idle(self, now_ns: int) -> bool:
        """Whether the socket has been unused for too long."""

    def cut(self) -> None:
        """Reset the socket."""


class ConnectionHost(Protocol):
    """What a connection needs of its server."""

    venue: SimulatedVenue
    faults: FaultBoard
    limits: ConnectionLimits

    def opened(self, connection: ServedConnection) -> None:
        """Count a connection in."""

    def closed(self, connection: ServedConnection) -> None:
        """Count a connection out."""

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run something after a real delay, unless the server stops first."""


class PublicConnection(WSListener):
    """One client on `/v5/public/{category}`."""

    def __init__(self, host: ConnectionHost, category: Category, conn_id: str) -> None:
        super().__init__()
        self._host = host
        self._venue = host.venue
        self._faults = host.faults
        self.category = category
        self.wire = PublicWire(category, conn_id, self._exists)
        self.topics: set[str] = set()
        self._outbox: list[bytes] = []
        self._transport: WSTransport | None = None
        self._last_request_ns = host.venue.now_ns
        self._held: dict[str, bytes] = {}
        self._silent_topics: dict[str, int] = {}
        self._silent_until_ns = 0
        self._answers_pings = True
        # Whether an earlier fault still acts on frames: asked once a frame, so kept as a flag.
        self._is_disturbed = False
        self.has_vanished = False
        self.was_cut_for_slowness = False

    # picows
    # ----------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Start serving."""
        self._transport = transport
        self._host.opened(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client: its subscriptions end."""
        self._unsubscribe(tuple(self.topics))
        self._transport = None
        self._host.closed(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Carry out one request."""
        if self.has_vanished:
            return
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return
        self._last_request_ns = self._venue.now_ns
        if not frame.fin or frame.payload_size > _REQUEST_BYTES_MAX:
            # No client of this protocol sends fragments or requests this long: the socket is ended.
            self.cut()
            return
        answer = self.wire.decode(frame.get_payload_as_bytes(), self.topics)
        if isinstance(answer, bytes):
            self._send(answer)
        else:
            self._carry_out(answer)
        self.flush()

    # requests
    # --------------------------------------------------------------------------------------

    def _exists(self, topic: str) -> bool:
        return self._venue.stream(self.category, topic) is not None

    def _carry_out(self, request: Request) -> None:
        if request.ask is Ask.PING:
            if self._answers_pings or self._venue.now_ns >= self._silent_until_ns:
                self._send(self.wire.pong(request, self._venue.now_ns // 1_000_000))
            return
        fault = self._faults.strike(
            REQUEST_KINDS, self.category.value, request.topics, self._venue.now_ns
        )
        kind = None if fault is None else fault.spec.kind
        if kind is FaultKind.REFUSE_SUBSCRIBE:
            self._send(self.wire.refuse(request))
            return
        ack = self.wire.ack(request)
        if fault is not None and kind is FaultKind.SLOW_ACK:
            self._host.later(fault.spec.delay_s, lambda: self._send_now(ack))
        elif fault is not None and kind is FaultKind.SLOW_READER and self._transport is not None:
            underlying = self._transport.underlying_transport
            underlying.pause_reading()
            self._host.later(fault.spec.duration_s, underlying.resume_reading)
            self._send(ack)
        elif kind is not FaultKind.NO_ACK:
            self._send(ack)
        if request.ask is Ask.SUBSCRIBE:
            self._subscribe(request.topics)
        else:
            self._unsubscribe(request.topics)

    def _subscribe(self, topics: tuple[str, ...]) -> None:
        for topic in topics:
            stream = self._venue.stream(self.category, topic)
            assert stream is not None, topic
            self.topics.add(topic)
            stream.subscribe(self)
        self._venue.subscriptions_changed()

    def _unsubscribe(self, topics: tuple[str, ...]) -> None:
        for topic in topics:
            stream = self._venue.streams().get((self.category, topic))
            if stream is not None and topic in self.topics:
                self.topics.discard(topic)
                stream.unsubscribe(self)
        self._venue.subscriptions_changed()

    # frames
    # ----------------------------------------------------------------------------------------

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        """Take a frame of a subscribed topic into the outbox."""
        if self._faults.has_frame_faults or self._is_disturbed:
            self._deliver_disturbed(topic, payload, is_delta=is_delta)
            return
        size = len(payload)
        self._outbox.append(_HEADERS[size] if size < 4096 else _make_header(size))
        self._outbox.append(payload)

    def flush(self) -> int:
        """Write what waits in one piece; returns how many frames. A client too slow is cut."""
        outbox = self._outbox
        if not outbox:
            return 0
        frames = len(outbox) // 2
        transport = self._transport
        if transport is None or self.has_vanished:
            outbox.clear()
            return 0
        underlying = transport.underlying_transport
        underlying.write(b"".join(outbox))
        outbox.clear()
        if underlying.get_write_buffer_size() > self._host.limits.send_buffer_bytes_max:
            self.was_cut_for_slowness = True
            self.cut()
        return frames

    def is_idle(self, now_ns: int) -> bool:
        """Whether the socket has neither a subscription nor a recent request."""
        return not self.topics and now_ns - self._last_request_ns >= self._host.limits.idle_ns_max

    def cut(self) -> None:
        """Reset the socket: RST, no close frame, nothing flushed."""
        transport = self._transport
        if transport is None:
            return
        raw = transport.underlying_transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.underlying_transport.abort()

    def _send(self, payload: bytes) -> None:
        self._outbox.append(frame_header(len(payload)))
        self._outbox.append(payload)

    def _send_now(self, payload: bytes) -> None:
        self._send(payload)
        self.flush()

    # faults
    # ----------------------------------------------------------------------------------------

    def _deliver_disturbed(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        now_ns = self._venue.now_ns
        if now_ns < self._silent_until_ns or now_ns < self._silent_topics.get(topic, 0):
            return
        if self._silent_until_ns:
            self._silent_until_ns, self._answers_pings = 0, True
        self._silent_topics.pop(topic, None)
        held = self._held.pop(topic, None)
        if held is None:
            kinds = FRAME_KINDS if is_delta else FRAME_KINDS - DELTA_KINDS
            fault = self._faults.strike(kinds, self.category.value, (topic,), now_ns)
            if fault is not None:
                self._suffer(fault, topic, payload, now_ns)
                return
        self._send(payload)
        if held is not None:
            self._send(held)
        self._is_disturbed = bool(self._held or self._silent_topics or self._silent_until_ns)

    def _suffer(self, fault: Fault, topic: str, payload: bytes, now_ns: int) -> None:
        self._is_disturbed = True
        kind, spec = fault.spec.kind, fault.spec
        until_ns = now_ns + int(spec.duration_s * 1e9) if spec.duration_s else FOREVER_NS
        if kind is FaultKind.CUT:
            self.cut()
        elif kind is FaultKind.VANISH:
            self.has_vanished = True
            if self._transport is not None:
                self._transport.underlying_transport.pause_reading()
        elif kind is FaultKind.SILENCE_SOCKET:
            self._silent_until_ns, self._answers_pings = until_ns, spec.answer_pings
        elif kind is FaultKind.SILENCE_TOPIC:
            self._silent_topics[topic] = until_ns
        elif kind is FaultKind.REORDER:
            self._held[topic] = payload
        elif kind is FaultKind.DUPLICATE:
            self._send(payload)
            self._send(payload)
        elif kind is FaultKind.FRAGMENTED:
            self._send_fragmented(payload)
        elif kind in (FaultKind.SNAPSHOT, FaultKind.RESTART):
            self._send(payload)
            stream = self._venue.stream(self.category, topic)
            if isinstance(stream, BookStream):
                if kind is FaultKind.SNAPSHOT:
                    self._send(stream.snapshot())
                else:
                    # After the frame under way has reached every subscriber.
                    self._venue.schedule(now_ns, lambda _: stream.restart())
        elif kind in DAMAGE_KINDS:
            self._send(damage(kind, payload, self._venue.rng))
        else:
            assert kind in (FaultKind.GAP, FaultKind.TOPIC_OUTAGE), kind

    def _send_fragmented(self, payload: bytes) -> None:
        third = max(1, len(payload) // 3)
        parts = (payload[:third], payload[third : 2 * third], payload[2 * third :])
        for number, part in enumerate(parts):
            header = bytearray(frame_header(len(part)))
            header[0] = (0x80 if number == 2 else 0) | (1 if number == 0 else 0)
            self._outbox.append(bytes(header))
            self._outbox.append(part)
