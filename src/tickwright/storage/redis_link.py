"""Owns the blocking sockets to Redis: greeting, TLS, the nodes of a cluster, replies counted.

For a thread of its own. One write of bytes made elsewhere, one look at the replies in bulk: no
Python work for each command, and without TLS both run without the interpreter's lock, so that the
trading thread hardly ever waits for it. It refuses to wait for ever: every step has `TIMEOUT_S`.
"""

import contextlib
import socket
import ssl

import msgspec

from tickwright.core.errors import StorageError
from tickwright.net.listener import utc_now_ns
from tickwright.storage.redis_address import RedisAddress
from tickwright.storage.redis_layout import SLOTS, command
from tickwright.storage.redis_pack import CommandBuffer, Inbox, exchange

__all__ = ["Replies", "RedisLink", "RedisLost"]

TIMEOUT_S = 1.0
"""A server that is silent for longer is down."""
REPLY_BYTES_MAX = 16 * 1024 * 1024
NEST_MAX = 8
FAULT_LENGTH_MAX = 200
_TWICE = b"equal or smaller than the target"
_MOVED = (b"-MOVED", b"-ASK", b"-CLUSTERDOWN")


class RedisLost(StorageError):
    """A server doesn't answer, or not as Redis does."""


class Replies(msgspec.Struct, frozen=True):
    """What a server said to one write.

    `refused` commands were not carried out; `fault` is the first one's error. `twice` entries stood
    in their stream already. `is_new` tells that the first command made new fields: what the hash
    held before is gone.
    """

    refused: int
    twice: int
    fault: str
    is_new: bool
    has_moved: bool


class _Node:
    """One server's socket."""

    def __init__(self, address: RedisAddress, context: ssl.SSLContext | None) -> None:
        place = (address.host, address.port)
        sock: socket.socket | None = None
        try:
            sock = socket.create_connection(place, timeout=TIMEOUT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                sock = context.wrap_socket(sock, server_hostname=address.host)
            self.sock: socket.socket = sock
            self._rest = b""
            if address.password:
                who = [address.username] if address.username else []
                self.ask("AUTH", *who, address.password)
            if address.db:
                self.ask("SELECT", str(address.db))
            self.offset_ms = self.measure_offset()
        except (OSError, StorageError, ValueError) as error:
            # A name that can't be a host's raises ValueError.
            if sock is not None:
                sock.close()
            raise RedisLost(f"{address}: {_words(error)}") from None

    def ask(self, *parts: str) -> object:
        """Send one command and return its reply; raises StorageError for an error."""
        self.sock.sendall(command(*parts))
        return self._reply(0)

    def measure_offset(self) -> int:
        """Return the server's clock minus ours, in ms, as well as half a round trip tells."""
        before_ns = utc_now_ns()
        reply = self.ask("TIME")
        after_ns = utc_now_ns()
        if not isinstance(reply, list) or len(reply) != 2:
            raise StorageError("the server's answer to TIME can't be read")
        server_us = int(reply[0]) * 1_000_000 + int(reply[1])
        return round(server_us / 1e3 - (before_ns + after_ns) / 2e6)

    def take(self, count: int) -> bytes:
        """Read the replies to so many commands."""
        inbox = Inbox()
        inbox.feed(self._rest)
        self._rest = b""
        while inbox.replies < count or not inbox.is_whole:
            if len(inbox) > REPLY_BYTES_MAX:
                raise RedisLost("the server answers without end")
            part = self.sock.recv(1 << 16)
            if not part:
                raise RedisLost("the server closed the connection")
            inbox.feed(part)
        return bytes(inbox)

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            part = self.sock.recv(1 << 16)
            if not part:
                raise RedisLost("the server closed the connection")
            self._rest += part
            if len(self._rest) > REPLY_BYTES_MAX:
                raise RedisLost("the server answers without end")
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _reply(self, depth: int) -> object:
        line = self._line()
        kind, rest = line[:1], line[1:]
        try:
            if kind == b"+":
                return rest.decode()
            if kind == b":":
                return int(rest)
            if kind == b"$" and int(rest) >= 0:
                size = int(rest)
                while len(self._rest) < size + 2:
                    part = self.sock.recv(1 << 16)
                    if not part or len(self._rest) > REPLY_BYTES_MAX:
                        raise RedisLost("the server closed the connection")
                    self._rest += part
                raw, self._rest = self._rest[:size], self._rest[size + 2 :]
                return raw.decode()
            if kind == b"*" and depth < NEST_MAX:
                return [self._reply(depth + 1) for _ in range(int(rest))]
        except ValueError:
            raise RedisLost("the answer isn't Redis's") from None
        if kind == b"-":
            raise StorageError(rest[:FAULT_LENGTH_MAX].decode("utf-8", "replace"))
        if kind == b"$":
            return None
        raise RedisLost("the answer isn't Redis's")


class RedisLink:
    """The connections to one Redis, or to every master of a cluster.

    Raises:
        RedisLost: it can't be reached, or refuses us.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._context = address.ssl_context()
        self._nodes: list[_Node] = []
        self.node_of_slot: list[int] | None = None
        """Which node holds a slot; None where one holds all."""
        first = _Node(address, self._context)
        self._nodes.append(first)
        if address.is_cluster:
            try:
                self._read_cluster(first)
            except (OSError, StorageError, ValueError, TypeError, IndexError) as error:
                # Rows of another shape are no cluster's.
                self.close()
                raise RedisLost(f"{address}: {_words(error)}") from None

    @property
    def node_count(self) -> int:
        """How many servers are written to."""
        return len(self._nodes)

    @property
    def offsets_ms(self) -> list[int]:
        """Each server's clock minus ours."""
        return [node.offset_ms for node in self._nodes]

    def ask(self, *parts: str) -> object:
        """Send the first node one command and return its reply.

        Raises:
            RedisLost: it doesn't answer.
            StorageError: it refuses.
        """
        try:
            return self._nodes[0].ask(*parts)
        except OSError as error:
            raise RedisLost(f"{self._address}: {_words(error)}") from None

    def measure_offsets(self) -> None:
        """Compare the clocks again."""
        try:
            for node in self._nodes:
                node.offset_ms = node.measure_offset()
        except (OSError, StorageError, ValueError) as error:
            raise RedisLost(f"{self._address}: {_words(error)}") from None

    def write(self, buffers: list[CommandBuffer]) -> list[Replies]:
        """Send each node its commands and read what it says to them.

        Raises:
            RedisLost: one doesn't take or answer it in time; what was carried out is unknown.
        """
        try:
            if self._context is None:
                answers = exchange(
                    [node.sock.fileno() for node in self._nodes],
                    buffers,
                    timeout_ms=round(TIMEOUT_S * 1_000),
                    reply_bytes_max=REPLY_BYTES_MAX,
                )
            else:
                for node, buffer in zip(self._nodes, buffers, strict=True):
                    if buffer.count:
                        node.sock.sendall(bytes(buffer))
                answers = [
                    node.take(buffer.count)
                    for node, buffer in zip(self._nodes, buffers, strict=True)
                ]
        except (OSError, StorageError) as error:
            raise RedisLost(f"{self._address}: {_words(error)}") from None
        return [_read(answer) for answer in answers]

    def close(self) -> None:
        """Drop the sockets; waits for nobody."""
        for node in self._nodes:
            with contextlib.suppress(OSError):
                node.sock.close()

    def _read_cluster(self, first: _Node) -> None:
        """Ask who holds what; a slot that nobody holds goes to the first node, which refuses it."""
        reply = first.ask("CLUSTER", "SLOTS")
        places: dict[tuple[str, int], int] = {(self._address.host, self._address.port): 0}
        held = [0] * SLOTS
        for row in reply if isinstance(reply, list) else []:
            low, high, master = row[0], row[1], row[2]
            # A node that doesn't know its own name says nothing: it is the one we asked.
            place = (master[0] or self._address.host, master[1])
            index = places.get(place)
            if index is None:
                index = places[place] = len(self._nodes)
                node = _Node(_at(self._address, *place), self._context)
                self._nodes.append(node)
            held[low : high + 1] = [index] * (high + 1 - low)
        self.node_of_slot = held


def _at(address: RedisAddress, host: str, port: int) -> RedisAddress:
    return RedisAddress(
        host=host,
        port=port,
        username=address.username,
        password=address.password,
        is_tls=address.is_tls,
        is_cluster=True,
        ca_file=address.ca_file,
    )


def _read(data: bytes) -> Replies:
    """Return what a server said, in bulk: errors are lines that begin with a minus."""
    errors = data.count(b"\r\n-") + data.startswith(b"-")
    twice = data.count(_TWICE) if errors else 0
    fault = ""
    if errors > twice:
        lines = data.split(b"\r\n")
        first = next(x for x in lines if x.startswith(b"-") and _TWICE not in x)
        fault = first[1 : 1 + FAULT_LENGTH_MAX].decode("utf-8", "replace")
    return Replies(
        refused=errors - twice,
        twice=twice,
        fault=fault,
        is_new=data.startswith(b":") and not data.startswith(b":0\r\n"),
        has_moved=bool(errors) and any(one in data for one in _MOVED),
    )


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
