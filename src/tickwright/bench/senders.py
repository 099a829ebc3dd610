"""Owns the sending side of the socket benchmarks: a process that pushes a tape at one client.

``python -m tickwright.bench.senders --tape FOLDER`` listens on a free loopback port and prints one
JSON line ``{"url": ...}``. It serves one client after another, so that runs alternate on the same
sender:

* ``/flood?seconds=2``: laps of the whole tape in large pieces, as fast as the client reads.
* ``/paced?rate=50000&group=1&frames=100000``: a spinning loop, one send of ``group`` frames every
  ``group / rate`` seconds; the k-th frame is due at ``start_ns + (k // group) * interval_ns`` of
  the system-wide monotonic clock, and a late sender does not move later due times.
  With ``laps`` the whole tape is sent so many times; due times are then those of one long tape.
* ``/trade``: an order socket; its login is accepted, its requests stay in the kernel unread.
* ``/plan`` (plain HTTP): what the last run sent and when each frame was due, as JSON.

Options stand in the query or as ``/name=value`` parts of the path. With ``trade=NAME`` a paced run
begins only once the order socket of that name is there, and ``delay_ms`` later. Frames go out only
after the client has subscribed to every topic of the tape. The sender ends when the process that
started it is gone.
"""

import argparse
import contextlib
import gc
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tickwright.bench.machine import pin
from tickwright.bench.tape import Tape, load_tape
from tickwright.bench.wire import (
    PeerGone,
    answer_json,
    answer_upgrade,
    await_login,
    await_subscriptions,
    drain,
    join_frames,
    read_request,
    render_frame,
)

__all__ = ["Plan", "Sender", "main", "make_certificate", "started_sender"]

_PIECE_BYTES: Final = 1 << 20
_START_DELAY_NS: Final = 20_000_000
_DRAIN_TIMEOUT_S: Final = 60.0
_ORPHAN_CHECK_S: Final = 1.0
_START_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what one run sent: mode, number of frames, due times and how late the sender itself was.

    Times are nanoseconds of the monotonic clock, which every process of a machine shares.
    ``late_us_p99`` and ``late_us_max`` are the sender's own delays: latency below them is not
    the client's to answer for.
    """

    mode: str
    frames: int
    start_ns: int
    group: int
    interval_ns: int
    rate: float
    send_shape: str
    late_us_p99: float = 0.0
    late_us_max: float = 0.0

    def due_ns(self, index: int) -> int:
        """Return when frame ``index`` was due."""
        return self.start_ns + (index // self.group) * self.interval_ns


class Sender:
    """Serves the tape to one client at a time over plain or TLS sockets."""

    def __init__(self, tape: Tape, context: ssl.SSLContext | None) -> None:
        self._tape = tape
        self._context = context
        self._wire = [render_frame(frame) for frame in tape.frames]
        self._blob = memoryview(join_frames(tape.frames))
        self._chunks: tuple[int, Sequence[bytes]] = (1, self._wire)
        self._order_sockets: dict[str, socket.socket] = {}
        self.plan = Plan("none", 0, 0, 1, 0, 0.0, "none")

    def serve(self, listener: socket.socket, *, parent: int) -> None:
        """Serve until the process that started this one is gone."""
        listener.settimeout(_ORPHAN_CHECK_S)
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                self._accept(listener)

    def _accept(self, listener: socket.socket) -> None:
        """Serve the next client; raises TimeoutError when there is none."""
        peer, _ = listener.accept()
        with contextlib.suppress(PeerGone, ConnectionError, TimeoutError, ssl.SSLError):
            peer.settimeout(10.0)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                peer = self._context.wrap_socket(peer, server_side=True)
            if self._serve_one(peer, listener):
                return
        peer.close()

    def _serve_one(self, peer: socket.socket, listener: socket.socket) -> bool:
        """Serve one client; return whether its socket stays open."""
        request = read_request(peer)
        if not request.key:
            answer_json(peer, asdict(self.plan))
            return False
        answer_upgrade(peer, request.key)
        options = request.options
        if request.path.startswith("/trade"):
            await_login(peer)
            self._order_sockets[options.get("trade", "")] = peer
            return True
        if request.path.startswith("/paced"):
            group = int(options.get("group", "1"))
            rate = float(options.get("rate", "50000"))
            count = min(int(options.get("frames", str(len(self._wire)))), len(self._wire))
            chunks = self._grouped(group)[: -(-count // group)]
            laps = int(options.get("laps", "1"))
            if laps > 1:
                # The frames are there once, however often they are sent.
                chunks, count = [*chunks] * laps, count * laps
            await_subscriptions(peer, self._tape.topics)
            while "trade" in options and options["trade"] not in self._order_sockets:
                self._accept(listener)
            time.sleep(int(options.get("delay_ms", "0")) / 1e3)
            self._pace(peer, chunks, group, rate, count)
        else:
            await_subscriptions(peer, self._tape.topics)
            self._flood(peer, float(options.get("seconds", "2")))
        drain(peer, timeout_s=_DRAIN_TIMEOUT_S)
        while self._order_sockets:
            self._order_sockets.popitem()[1].close()
        return False

    def _grouped(self, group: int) -> Sequence[bytes]:
        """Return the tape in sends of ``group`` frames, joined before the clock starts."""
        if self._chunks[0] != group:
            joined = [b"".join(self._wire[i : i + group]) for i in range(0, len(self._wire), group)]
            self._chunks = (group, joined)
        return self._chunks[1]

    def _flood(self, peer: socket.socket, seconds: float) -> None:
        pieces = [self._blob[i : i + _PIECE_BYTES] for i in range(0, len(self._blob), _PIECE_BYTES)]
        start_ns = time.monotonic_ns()
        end_ns = start_ns + int(seconds * 1e9)
        laps = 0
        # A lap is never cut: a frame cut in two is not one.
        while time.monotonic_ns() < end_ns:
            for piece in pieces:
                peer.sendall(piece)
            laps += 1
        spent_s = (time.monotonic_ns() - start_ns) / 1e9
        frames = laps * len(self._wire)
        shape = f"pieces of {_PIECE_BYTES >> 10} KiB"
        self.plan = Plan("flood", frames, start_ns, 1, 0, frames / spent_s, shape)

    def _pace(
        self, peer: socket.socket, chunks: Sequence[bytes], group: int, rate: float, count: int
    ) -> None:
        now = time.monotonic_ns
        send = peer.sendall
        interval_ns = round(group / rate * 1e9)
        late = array("q", bytes(8 * len(chunks)))
        start_ns = now() + _START_DELAY_NS
        due = start_ns
        # Spinning, not sleeping: no timer of an event loop can pace 20 microseconds.
        for index, chunk in enumerate(chunks):
            while (at := now()) < due:
                pass
            send(chunk)
            late[index] = at - due
            due += interval_ns
        ordered = sorted(late)
        self.plan = Plan(
            "paced",
            count,
            start_ns,
            group,
            interval_ns,
            rate,
            f"{group} frame{'s' if group > 1 else ''} a send",
            ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] / 1e3,
            ordered[-1] / 1e3,
        )


def make_certificate(folder: Path) -> tuple[Path, Path] | str:
    """Make a throw-away certificate for loopback; return its two files, or why there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split()
    )
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        return "the openssl command is not installed"
    except subprocess.SubprocessError as error:
        return f"openssl could not make a certificate: {error}"
    return certificate, key


@contextlib.contextmanager
def started_sender(
    tape_folder: Path, *, cpu: int | None = None, certificate: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Start a sender process on a saved tape; yield its URL; stop it at the end."""
    command = [sys.executable, "-m", "tickwright.bench.senders", "--tape", str(tape_folder)]
    if cpu is not None:
        command += ["--cpu", str(cpu)]
    if certificate is not None:
        command += ["--certificate", str(certificate[0]), "--key", str(certificate[1])]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=errors
        ) as sender,
    ):
        try:
            assert sender.stdout is not None
            line = sender.stdout.readline()
            if not line:
                errors.seek(0)
                raise RuntimeError("the sender did not start: " + errors.read().decode())
            yield json.loads(line)["url"]
        finally:
            sender.terminate()
            sender.wait(_START_TIMEOUT_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sender until its parent is gone."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.senders")
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    options = parser.parse_args(arguments)
    parent = os.getppid()
    pin(options.cpu)
    context = None
    if options.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    sender = Sender(load_tape(options.tape), context)
    # The frames live as long as the process: a collection could only delay a send.
    gc.collect()
    gc.freeze()
    gc.disable()
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        port = listener.getsockname()[1]
        scheme = "ws" if context is None else "wss"
        sys.stdout.write(json.dumps({"url": f"{scheme}://127.0.0.1:{port}"}) + "\n")
        sys.stdout.flush()
        sender.serve(listener, parent=parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
