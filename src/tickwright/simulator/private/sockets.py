"""Owns what both private WebSockets have in common: bytes, idle spans, cuts; refuses their words.

Frames collect in an outbox and leave in one write, after a request and once per turn. A reader too
slow for `limits.send_buffer_bytes_max` is cut.
"""

import re
import socket
import struct
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tickwright.simulator.connection import ConnectionHost, frame_header

__all__ = ["REQUEST_BYTES_MAX", "PrivateSocket", "active_span_ns"]

REQUEST_BYTES_MAX = 256 << 10
_ACTIVE_NS_DEFAULT = 600_000_000_000
_ACTIVE_S = range(30, 601)
_SPAN = re.compile(r"max_active_time=([0-9]{1,4})(s|m)")
_LINGER_RESET = struct.pack("ii", 1, 0)

_encode = msgspec.json.Encoder().encode


def active_span_ns(query: str) -> int:
    """Return how long a socket may be silent, from `max_active_time` of its URL (`30s`, `1m`)."""
    found = _SPAN.search(query)
    if found is None:
        return _ACTIVE_NS_DEFAULT
    seconds = int(found[1]) * (60 if found[2] == "m" else 1)
    return seconds * 1_000_000_000 if seconds in _ACTIVE_S else _ACTIVE_NS_DEFAULT


class PrivateSocket(WSListener):
    """One client on a private path. Subclasses say what its frames mean."""

    def __init__(self, host: ConnectionHost, conn_id: str, active_ns: int) -> None:
        super().__init__()
        self._host = host
        self._venue = host.venue
        self.conn_id = conn_id
        self._active_ns = active_ns
        self._active_at_ns = host.venue.now_ns
        self._outbox: list[bytes] = []
        self._transport: WSTransport | None = None
        self.address = ""
        self.has_vanished = False
        self.was_cut_for_slowness = False

    # picows -----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Start serving."""
        self._transport = transport
        peer = transport.underlying_transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        self._host.opened(self)
        self.on_opened()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client."""
        self._transport = None
        self._host.closed(self)
        self.on_closed()

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
        self._active_at_ns = self._venue.now_ns
        if not frame.fin or frame.payload_size > REQUEST_BYTES_MAX:
            self.cut()
            return
        if self.on_request(frame.get_payload_as_bytes()):
            self.flush()

    # words ------------------------------------------------------------------------------------

    def on_request(self, text: bytes) -> bool:
        """Carry out one text frame; False leaves the answer to the turn's end."""
        raise NotImplementedError

    def on_opened(self) -> None:
        """Let the subclass know that frames may come."""

    def on_closed(self) -> None:
        """Let the subclass forget the client."""

    # frames -----------------------------------------------------------------------------------

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message."""
        self.send_bytes(_encode(message))

    def send_bytes(self, payload: bytes) -> None:
        """Queue an encoded message."""
        self._outbox.append(frame_header(len(payload)))
        self._outbox.append(payload)

    def flush(self) -> int:
        """Write what waits in one piece; returns how many frames that was. A slow reader is cut."""
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
        self._active_at_ns = self._venue.now_ns
        if underlying.get_write_buffer_size() > self._host.limits.send_buffer_bytes_max:
            self.was_cut_for_slowness = True
            self.cut()
        return frames

    def clock_ms(self) -> int:
        """Return what the venue's clock says, which a fault may have put off."""
        return self._host.faults.clock_ns(self._venue.now_ns) // 1_000_000

    def is_idle(self, now_ns: int) -> bool:
        """Whether neither a request nor data passed for the socket's whole span."""
        return now_ns - self._active_at_ns >= self._active_ns

    def vanish(self) -> None:
        """Stop reading, sending and answering, and leave the socket open."""
        self.has_vanished = True
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def cut(self) -> None:
        """Reset the socket: RST, no close frame, nothing flushed."""
        if self._transport is None:
            return
        underlying = self._transport.underlying_transport
        raw = underlying.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        underlying.abort()
