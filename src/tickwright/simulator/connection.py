"""Owns the one kind of WebSocket that carries a session, public or private; refuses its words.

Frames collect in an outbox and leave in one write, after a request and once per turn. A client that
doesn't read is cut when `SEND_BUFFER_BYTES_MAX` wait for it; other clients never notice.
"""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tickwright.simulator.http_lines import REST_CONNECTIONS_MAX, REST_REQUEST_S_MAX
from tickwright.simulator.session import Line, Session

__all__ = [
    "PRIVATE_REQUEST_BYTES_MAX",
    "PUBLIC_REQUEST_BYTES_MAX",
    "SEND_BUFFER_BYTES_MAX",
    "ConnectionHost",
    "ConnectionLimits",
    "SessionSocket",
]

SEND_BUFFER_BYTES_MAX = 8 << 20
"""Bytes that may wait for a slow reader before it is cut."""
PUBLIC_REQUEST_BYTES_MAX = 64 << 10
PRIVATE_REQUEST_BYTES_MAX = 256 << 10

_LINGER_RESET = struct.pack("ii", 1, 0)


def _make_header(size: int) -> bytes:
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


_HEADERS = [_make_header(size) for size in range(4096)]


def _frame_header(size: int) -> bytes:
    """Return the WebSocket header of an unmasked, unfragmented text frame."""
    return _HEADERS[size] if size < 4096 else _make_header(size)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a socket is granted: bytes waiting for it, and a span without topic or request.

    And what REST is: seconds to say a request, and how many connections.
    """

    send_buffer_bytes_max: int = SEND_BUFFER_BYTES_MAX
    idle_ns_max: int = 60_000_000_000
    request_s_max: float = REST_REQUEST_S_MAX
    rest_connections_max: int = REST_CONNECTIONS_MAX


class ConnectionHost(Protocol):
    """What a connection needs of its server."""

    limits: ConnectionLimits

    def opened(self, connection: "SessionSocket") -> None:
        """Count a connection in."""

    def closed(self, connection: "SessionSocket") -> None:
        """Count a connection out."""


class SessionSocket(WSListener):
    """One client's socket; `make` gives the session that it carries."""

    def __init__(
        self, host: ConnectionHost, make: Callable[[Line], Session], request_bytes_max: int
    ) -> None:
        super().__init__()
        self._host = host
        self._request_bytes_max = request_bytes_max
        self._outbox: list[bytes] = []
        self._transport: WSTransport | None = None
        # Once a frame and subscriber: the list's own method is the short way.
        self.send = self._outbox.append
        self.has_vanished = False
        self.was_cut_for_slowness = False
        self.session = make(self)

    # picows
    # ----------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Start serving."""
        self._transport = transport
        peer = transport.underlying_transport.get_extra_info("peername")
        self._host.opened(self)
        self.session.open(peer[0] if peer else "")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client."""
        self._transport = None
        self._outbox.clear()
        self._host.closed(self)
        self.session.close()

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
        if not frame.fin or frame.payload_size > self._request_bytes_max:
            # No client of this protocol sends fragments or requests this long: the socket is ended.
            self.cut()
            return
        if self.session.on_request(frame.get_payload_as_bytes()):
            self.flush()

    # frames
    # ----------------------------------------------------------------------------------------

    def flush(self) -> int:
        """Write what waits in one piece; returns how many frames. A client too slow is cut."""
        outbox = self._outbox
        if not outbox:
            return 0
        frames = len(outbox)
        transport = self._transport
        if transport is None or self.has_vanished:
            outbox.clear()
            return 0
        parts = []
        for payload in outbox:
            size = len(payload)
            parts.append(_HEADERS[size] if size < 4096 else _make_header(size))
            parts.append(payload)
        outbox.clear()
        self._write(b"".join(parts))
        return frames

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        underlying = self._transport.underlying_transport
        underlying.write(data)
        if underlying.get_write_buffer_size() > self._host.limits.send_buffer_bytes_max:
            self.was_cut_for_slowness = True
            self.cut()

    def send_fragmented(self, payload: bytes) -> None:
        """Write a frame as three fragments, after what waits."""
        self.flush()
        if self._transport is None or self.has_vanished:
            return
        third = max(1, len(payload) // 3)
        parts = (payload[:third], payload[third : 2 * third], payload[2 * third :])
        data = bytearray()
        for number, part in enumerate(parts):
            header = bytearray(_frame_header(len(part)))
            header[0] = (0x80 if number == 2 else 0) | (1 if number == 0 else 0)
            data += header + part
        self._write(bytes(data))

    # ends
    # ----------------------------------------------------------------------------------------

    def is_idle(self, now_ns: int) -> bool:
        """Whether the session has been unused for too long."""
        return self.session.is_idle(now_ns)

    def vanish(self) -> None:
        """Stop reading, sending and answering, and leave the socket open."""
        self.has_vanished = True
        self.stop_reading()

    def stop_reading(self) -> None:
        """Leave what the client sends in the socket."""
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None and not self.has_vanished:
            self._transport.underlying_transport.resume_reading()

    @property
    def waiting_bytes(self) -> int:
        """Bytes written that the client has not taken yet."""
        if self._transport is None:
            return 0
        return int(self._transport.underlying_transport.get_write_buffer_size())

    def finish(self) -> None:
        """Write what waits, then end the socket without a close frame; nothing is read or sent."""
        self.flush()
        self.session.close()
        self.has_vanished = True
        if self._transport is not None:
            self._transport.disconnect()

    def cut(self) -> None:
        """Reset the socket: RST, no close frame, nothing flushed."""
        if self._transport is None:
            return
        underlying = self._transport.underlying_transport
        raw = underlying.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        underlying.abort()
