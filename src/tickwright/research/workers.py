"""Owns where trials run: in this process or in others of this machine; refuses to copy data.

A worker makes its evaluator once from a recipe and then gets tasks of some hundred bytes; what is
large (a tape) is mapped read-only by each of them, and so is in memory once. A worker that dies
takes one trial with it, which is told as failed; a fresh one takes its place.
"""

import multiprocessing
import multiprocessing.forkserver as forkserver
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import msgspec

from tickwright.core.errors import ConfigError, TickwrightError
from tickwright.research.trial import Evaluator, Recipe, Task, Trial, attempt

__all__ = [
    "WORKERS_MAX",
    "InlinePool",
    "Pool",
    "ProcessPool",
    "default_jobs",
    "lost_trial",
    "start_early",
]

WORKERS_MAX = 256
_JOIN_S = 2.0
"""How long a worker may take to end before it is made to."""


class Pool(Protocol):
    """Runs tasks; at most `size` at a time."""

    size: int

    @property
    def busy(self) -> int:
        """How many tasks are under way."""
        ...

    def submit(self, task: Task) -> None:
        """Begin a task; call it only while `busy` is below `size`."""
        ...

    def wait(self, timeout_s: float) -> list[Trial]:
        """Return what ended; waits for the first, at most so long."""
        ...

    def close(self) -> None:
        """End all workers; what is under way is dropped."""
        ...


def lost_trial(task: Task, why: str) -> Trial:
    """Return the failure of a task whose worker is gone."""
    return Trial(
        number=task.number,
        key=task.key,
        parameters=task.parameters,
        from_ns=task.from_ns,
        until_ns=task.until_ns,
        error=why,
    )


class InlinePool:
    """Runs each task at once in this process: for one job, and for what can't travel."""

    size = 1

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._task: Task | None = None

    @property
    def busy(self) -> int:
        """Whether a task waits to be run."""
        return 0 if self._task is None else 1

    def submit(self, task: Task) -> None:
        """Take a task; `wait` runs it."""
        assert self._task is None, "one task at a time"
        self._task = task

    def wait(self, timeout_s: float) -> list[Trial]:
        """Run the task."""
        task, self._task = self._task, None
        return [] if task is None else [attempt(self._evaluator, task)]

    def close(self) -> None:
        """Nothing runs."""


def start_early(recipe: Recipe) -> None:
    """Let the server of workers import what they need while this process does other things."""
    if _has_server():
        _context(recipe)
        forkserver.ensure_running()


def _has_server() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


def _context(recipe: Recipe) -> Any:
    if not _has_server():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Imported once in the server: each worker is there in milliseconds.
    names = [recipe.entry.partition(":")[0], __name__, *recipe.imports]
    context.set_forkserver_preload(names)
    return context


class _Worker:
    """One process and the task it has."""

    def __init__(self, context: Any, recipe: bytes) -> None:
        ours, theirs = context.Pipe()
        self.connection: Connection = ours
        self.process = context.Process(target=_serve, args=(theirs, recipe), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None


class ProcessPool:
    """Runs tasks in processes of this machine.

    They are started by a fork server, so they share neither threads nor open files with this
    process. A program that uses it must guard its own start by `if __name__ == "__main__"`.

    Raises:
        ConfigError: the number of jobs is out of bounds.
    """

    def __init__(self, recipe: Recipe, jobs: int) -> None:
        if not 1 <= jobs <= WORKERS_MAX:
            raise ConfigError(f"--jobs must be 1 to {WORKERS_MAX}, not {jobs}")
        self.size = jobs
        self._context: Any = _context(recipe)
        self._recipe = msgspec.json.encode(recipe)
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> int:
        """How many workers have a task."""
        return sum(1 for worker in self._workers if worker.task is not None)

    def submit(self, task: Task) -> None:
        """Hand a task to an idle worker, or start one."""
        worker = next((one for one in self._workers if one.task is None), None)
        if worker is None:
            assert len(self._workers) < self.size, "a pool was asked for more than its size"
            worker = _Worker(self._context, self._recipe)
            self._workers.append(worker)
        worker.task = task
        # One that died idle: `wait` finds its end of the pipe closed and tells.
        with suppress(OSError):
            worker.connection.send_bytes(msgspec.json.encode(task))

    def wait(self, timeout_s: float) -> list[Trial]:
        """Return what ended."""
        ended: list[Trial] = []
        by_connection = {one.connection: one for one in self._workers if one.task is not None}
        for ready in wait(list(by_connection), timeout_s):
            worker = by_connection[ready]  # type: ignore[index]
            task = worker.task
            assert task is not None, "only workers with a task were waited for"
            worker.task = None
            try:
                raw = worker.connection.recv_bytes()
            except (EOFError, OSError):
                ended.append(lost_trial(task, f"the worker died{self._bury(worker)}"))
                continue
            ended.append(_answer(raw))
        return ended

    def close(self) -> None:
        """End all workers now."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_JOIN_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers.clear()

    def _bury(self, worker: _Worker) -> str:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(_JOIN_S)
        code = worker.process.exitcode
        if code is None:
            worker.process.kill()
            worker.process.join()
            return ""
        if code < 0:
            return f" ({signal.Signals(-code).name})"
        return f" (exit code {code})"


def _answer(raw: bytes) -> Trial:
    """Read a worker's answer.

    Raises:
        ConfigError: it could not make its evaluator.
    """
    if raw[:1] == b"!":
        raise ConfigError(f"a worker could not begin: {raw[1:].decode('utf-8', 'replace')}")
    return msgspec.json.decode(raw, type=Trial)


def _serve(connection: Connection, recipe: bytes) -> None:
    """Be a worker: make the evaluator, then answer tasks until the pipe ends."""
    # Ctrl-C reaches the whole group; the one who asked decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    opened: Evaluator | None = None
    while True:
        try:
            raw = connection.recv_bytes()
        except (EOFError, OSError):
            return
        if opened is None:
            try:
                opened = msgspec.json.decode(recipe, type=Recipe).open()
            except (TickwrightError, OSError) as error:
                _send(connection, b"!" + str(error).encode())
                return
        task = msgspec.json.decode(raw, type=Task)
        if not _send(connection, msgspec.json.encode(attempt(opened, task))):
            return


def _send(connection: Connection, raw: bytes) -> bool:
    try:
        connection.send_bytes(raw)
    except (BrokenPipeError, ConnectionError):
        return False
    return True


def default_jobs() -> int:
    """Return how many processors this process may use."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
