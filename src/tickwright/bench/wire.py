"""Owns the little of WebSocket that a benchmark sender needs, over plain blocking sockets.

Handshake, unmasked text frames out, masked frames in, and the answers to subscribe and ping. It is
the sender's side of a measurement and not a server: no fragments, no extensions, one peer at a
time. It never touches what it sends: frames are rendered once, before the clock starts.
"""

import base64
import contextlib
import hashlib
import json
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "CLOSE_FRAME",
    "PeerGone",
    "Request",
    "answer_json",
    "answer_upgrade",
    "await_login",
    "await_subscriptions",
    "drain",
    "join_frames",
    "read_request",
    "render_frame",
]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REQUEST_BYTES_MAX: Final = 16_384
_CLIENT_FRAME_BYTES_MAX: Final = 1 << 20
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PING: Final = 0x9
CLOSE_FRAME: Final = bytes((0x88, 0x02)) + (1000).to_bytes(2, "big")


class PeerGone(ConnectionError):
    """The client closed before the measurement was over."""


@dataclass(frozen=True, slots=True)
class Request:
    """Hold one HTTP request: its path, its options and the WebSocket key (empty: not an upgrade).

    Options come from the query and from path parts of the form ``name=value``, because a client may
    refuse an address with a query.
    """

    path: str
    options: dict[str, str]
    key: str


def render_frame(payload: bytes, *, opcode: int = _TEXT) -> bytes:
    """Return the payload as one unmasked WebSocket frame."""
    head = bytes((0x80 | opcode,))
    if len(payload) < 126:
        return head + bytes((len(payload),)) + payload
    if len(payload) < 1 << 16:
        return head + b"\x7e" + len(payload).to_bytes(2, "big") + payload
    return head + b"\x7f" + len(payload).to_bytes(8, "big") + payload


def read_request(peer: socket.socket) -> Request:
    """Read one HTTP request. Raises PeerGone when the peer closes or sends too much."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(4096)
        data += more
        if not more or len(data) > _REQUEST_BYTES_MAX:
            raise PeerGone("no complete HTTP request")
    lines = data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    target = urlsplit(lines[0].split(" ")[1])
    key = ""
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "sec-websocket-key":
            key = value.strip()
    parts = [part.partition("=") for part in target.path.split("/") if "=" in part]
    options = {name: value for name, _, value in parts} | dict(parse_qsl(target.query))
    return Request(target.path, options, key)


def answer_upgrade(peer: socket.socket, key: str) -> None:
    """Answer an upgrade request with 101."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def answer_json(peer: socket.socket, value: object) -> None:
    """Answer a plain request with a JSON document."""
    body = json.dumps(value).encode()
    peer.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def _read_exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise PeerGone("the client closed")
        data += more
    return data


def _read_client_frame(peer: socket.socket) -> tuple[int, bytes]:
    """Read one masked frame; return its opcode and payload."""
    first, second = _read_exactly(peer, 2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack("!H", _read_exactly(peer, 2))[0]
    elif size == 127:
        size = struct.unpack("!Q", _read_exactly(peer, 8))[0]
    if size > _CLIENT_FRAME_BYTES_MAX:
        raise PeerGone(f"the client sent a frame of {size} bytes")
    mask = _read_exactly(peer, 4) if second & 0x80 else bytes(4)
    payload = _read_exactly(peer, size)
    return first & 0x0F, bytes(b ^ mask[i & 3] for i, b in enumerate(payload))


def await_subscriptions(
    peer: socket.socket, topics: Sequence[str], *, timeout_s: float = 10.0
) -> None:
    """Acknowledge subscribe and ping requests until every topic is asked for.

    Raises PeerGone when the client closes first, TimeoutError when it takes too long.
    """
    missing = set(topics)
    peer.settimeout(timeout_s)
    while missing:
        opcode, payload = _read_client_frame(peer)
        if opcode == _CLOSE:
            raise PeerGone("the client closed before it subscribed")
        if opcode == _PING:
            peer.sendall(render_frame(payload, opcode=0xA))
        if opcode != _TEXT:
            continue
        asked = json.loads(payload)
        if asked.get("op") == "subscribe":
            missing.difference_update(asked.get("args", ()))
            answer = {"success": True, "ret_msg": "subscribe", "conn_id": "bench"}
        else:
            answer = {"success": True, "ret_msg": "pong", "conn_id": "bench"}
        answer |= {"req_id": asked.get("req_id", ""), "op": asked.get("op", "")}
        peer.sendall(render_frame(json.dumps(answer, separators=(",", ":")).encode()))
    peer.settimeout(None)


def await_login(peer: socket.socket, *, timeout_s: float = 10.0) -> None:
    """Accept the login of an order socket whose requests nobody will answer.

    Raises PeerGone when the client closes first, TimeoutError when it takes too long.
    """
    peer.settimeout(timeout_s)
    while True:
        opcode, payload = _read_client_frame(peer)
        if opcode == _CLOSE:
            raise PeerGone("the client closed before it logged in")
        if opcode == _TEXT and json.loads(payload).get("op") == "auth":
            answer = b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"bench"}'
            peer.sendall(render_frame(answer))
            return


def drain(peer: socket.socket, *, timeout_s: float) -> None:
    """Say goodbye and read until the client has closed, so that nothing it has not read is lost."""
    with contextlib.suppress(OSError):
        peer.sendall(CLOSE_FRAME)
        peer.shutdown(socket.SHUT_WR)
    peer.settimeout(timeout_s)
    with contextlib.suppress(OSError):
        while peer.recv(65_536):
            pass


def join_frames(payloads: Iterable[bytes]) -> bytes:
    """Return all payloads as frames in one piece."""
    return b"".join(map(render_frame, payloads))
