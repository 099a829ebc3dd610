"""Owns trials on a Ray cluster: the same tasks, the same outcomes; refuses to move data.

Each actor makes its evaluator from the recipe, so what the recipe names (configuration, tape,
strategy files) must be found at the same place on every node, and tickwright of this version be
installed there. Ray (https://www.ray.io): P. Moritz and others, "Ray: A Distributed Framework for
Emerging AI Applications" (2018).
"""

import os
from typing import Any

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.research.trial import Evaluator, Recipe, Task, Trial, attempt
from tickwright.research.workers import WORKERS_MAX, lost_trial

__all__ = ["RayPool"]


class RayWorker:
    """What an actor does; made an actor by `RayPool`."""

    def __init__(self, recipe: bytes) -> None:
        self._evaluator: Evaluator = msgspec.json.decode(recipe, type=Recipe).open()

    def run(self, task: bytes) -> bytes:
        """Try a task."""
        return msgspec.json.encode(attempt(self._evaluator, msgspec.json.decode(task, type=Task)))


class RayPool:
    """Runs tasks on a Ray cluster.

    Args:
        recipe: how each worker makes its evaluator.
        address: `auto`, `HOST:PORT`, `ray://HOST:PORT`, or `local`: one on this machine's loopback.
        jobs: actors at most; 0: as many as the cluster has processors.

    Raises:
        ConfigError: Ray isn't installed, or no cluster is there.
    """

    def __init__(self, recipe: Recipe, address: str, jobs: int = 0) -> None:
        # Nothing of a run is told to anybody unless its owner says so.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError("--ray needs Ray: install tickwright[research]") from None
        self._ray: Any = ray
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            self._begin(address, jobs)
        processors = int(self._ray.cluster_resources().get("CPU", 1))
        self.size = min(jobs or processors, max(processors, 1), WORKERS_MAX)
        self._kind: Any = self._ray.remote(num_cpus=1, max_restarts=0)(RayWorker)
        self._recipe = msgspec.json.encode(recipe)
        self._idle: list[Any] = []
        self._actors: list[Any] = []
        self._open: dict[Any, tuple[Any, Task]] = {}

    def _begin(self, address: str, jobs: int) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address == "local":
            options |= {"include_dashboard": False, "address": "local"}
            options["_node_ip_address"] = "127.0.0.1"
            if jobs:
                options["num_cpus"] = jobs
        else:
            options["address"] = address
        try:
            self._ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            words = " ".join(str(error).split())[:200]
            raise ConfigError(f"--ray {address}: no cluster answers: {words}") from None

    @property
    def busy(self) -> int:
        """How many tasks are under way."""
        return len(self._open)

    def submit(self, task: Task) -> None:
        """Hand a task to an idle actor, or make one."""
        if self._idle:
            actor = self._idle.pop()
        else:
            actor = self._kind.remote(self._recipe)
            self._actors.append(actor)
        self._open[actor.run.remote(msgspec.json.encode(task))] = (actor, task)

    def wait(self, timeout_s: float) -> list[Trial]:
        """Return what ended."""
        if not self._open:
            return []
        ready, _ = self._ray.wait(list(self._open), num_returns=1, timeout=timeout_s)
        ended: list[Trial] = []
        for one in ready:
            actor, task = self._open.pop(one)
            try:
                raw = self._ray.get(one)
            except self._ray.exceptions.RayError as error:
                # The actor died, or could not begin: another takes its place.
                self._actors.remove(actor)
                words = str(error).strip().splitlines()[-1].partition(". ")[0][:300]
                ended.append(lost_trial(task, f"the worker died: {words}"))
                continue
            self._idle.append(actor)
            ended.append(msgspec.json.decode(raw, type=Trial))
        return ended

    def close(self) -> None:
        """End our actors, and the cluster when it is of this process."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors.clear()
        self._open.clear()
        if self._is_ours:
            self._ray.shutdown()
