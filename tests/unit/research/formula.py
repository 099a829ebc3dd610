"""Evaluators that are formulas: what a sweep finds on them is known."""

import os
import signal
from collections.abc import Mapping
from time import sleep

import numpy as np

from tickwright.research.trial import Evaluator, Outcome, Recipe, Task
from tickwright.strategy.parameters import Bound

BOUNDS: Mapping[str, Bound] = {
    "one.x": Bound(name="x", kind="number", default=0.0, low=-10.0, high=10.0),
    "one.n": Bound(name="n", kind="whole number", default=1, low=1, high=100),
    "one.kind": Bound(name="kind", kind="choice", default="a", choices=("a", "b")),
}


class Parabola:
    """Best at x = 2 and n = 3: the value falls with the squared distance."""

    bounds = BOUNDS
    span_ns = (0, 0)

    def __init__(self, pause_s: float = 0.0, identity: str = "parabola") -> None:
        self.identity = identity
        self.pause_s = pause_s
        self.asked: list[Task] = []

    def evaluate(self, task: Task) -> Outcome:
        self.asked.append(task)
        if self.pause_s:
            sleep(self.pause_s)
        x = float(task.parameters.get("one.x", 2.0))
        n = int(task.parameters.get("one.n", 3))
        if n == 13:
            raise ValueError("thirteen is unlucky")
        if n == 66:
            os.kill(os.getpid(), signal.SIGKILL)
        value = -((x - 2.0) ** 2) - (n - 3) ** 2
        chance = np.random.default_rng(abs(hash((x, n))) % 1000)
        returns = chance.normal(value / 1e4, 0.01, 64)
        return Outcome(
            metrics={"value": value, "x": x, "process": float(os.getpid()), "none": None},
            returns=returns.tolist(),
            interval_ns=1_000,
            started_ns=5_000,
        )


def make(pause_s: float = 0.0, identity: str = "parabola") -> Evaluator:
    return Parabola(pause_s, identity)


def refuse() -> Evaluator:
    raise OSError("the tape is gone")


def recipe(**arguments: object) -> Recipe:
    return Recipe(entry="tests.unit.research.formula:make", arguments=arguments)
