"""Owns what a trial is: a task, what came of it, and the way an evaluator is found again.

It refuses to know what is evaluated: a backtest, a formula, anything that makes an `Outcome` of a
`Task`. What is shared between processes travels as a `Recipe`, a name and its arguments, never as
the thing itself.
"""

import importlib
import traceback
from collections.abc import Mapping
from hashlib import blake2b
from time import perf_counter
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.core.errors import ConfigError
from tickwright.research.space import Parameters
from tickwright.strategy.parameters import Bound

__all__ = ["RETURNS_MAX", "Evaluator", "Outcome", "Recipe", "Task", "Trial", "attempt", "task_key"]

RETURNS_MAX = 500
"""Returns one trial keeps."""
_ERROR_LENGTH_MAX = 500


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to try: parameters, from when to when (UTC ns; 0: the whole), and how much before it.

    In the warm-up the strategy runs and learns, and nothing counts.
    """

    number: int
    key: str
    parameters: Parameters
    from_ns: int = 0
    until_ns: int = 0
    warm_up_ns: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial says: figures by name, and simple returns on an even grid of time.

    `started_ns` is the beginning of the first return; all trials of one sweep share the grid. At
    most `RETURNS_MAX` returns.
    """

    metrics: dict[str, float | None]
    returns: list[float] = []
    interval_ns: int = 0
    started_ns: int = 0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial as it is kept. `error` says why it failed; "" when it didn't."""

    number: int
    key: str
    parameters: Parameters
    from_ns: int = 0
    until_ns: int = 0
    error: str = ""
    metrics: dict[str, float | None] = {}
    packed: bytes = b""
    """The returns as float64, little-endian: a tenth of what they take as a list."""
    interval_ns: int = 0
    started_ns: int = 0
    wall_s: float = 0.0

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Simple returns on the even grid of time."""
        return np.frombuffer(self.packed, dtype="<f8")

    @property
    def is_failed(self) -> bool:
        """Whether nothing came of it."""
        return bool(self.error)

    def value(self, objective: str) -> float | None:
        """Return a figure; None when it is unknown."""
        return self.metrics.get(objective)


class Evaluator(Protocol):
    """Makes outcomes of tasks."""

    identity: str
    """Says everything an outcome depends on besides the task: data, plan, code, seed."""
    bounds: Mapping[str, Bound]
    """What each parameter may be."""
    span_ns: tuple[int, int]
    """From when to when there is something to try on; (0, 0) where that has no meaning."""

    def evaluate(self, task: Task) -> Outcome:
        """Try it; what it raises is kept as the trial's failure."""
        ...


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How another process makes the same evaluator: `entry` is `module:function`.

    `imports` are modules it will need: workers of one machine share what was imported once.
    """

    entry: str
    arguments: dict[str, Any] = {}
    imports: tuple[str, ...] = ()

    def open(self) -> Evaluator:
        """Make it.

        Raises:
            ConfigError: there is no such module or function.
        """
        module, colon, name = self.entry.partition(":")
        if not colon:
            raise ConfigError(f"recipe {self.entry!r} must be written module:function")
        try:
            make = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"recipe {self.entry!r}: {error}") from None
        made: Evaluator = make(**self.arguments)
        return made


def task_key(identity: str, task: Task) -> str:
    """Return what names a trial: the same key, the same outcome."""
    words = (identity, task.parameters, task.from_ns, task.until_ns, task.warm_up_ns)
    return blake2b(msgspec.json.encode(words, order="sorted"), digest_size=16).hexdigest()


def attempt(evaluator: Evaluator, task: Task) -> Trial:
    """Try a task; whatever it raises becomes a failed trial."""
    began = perf_counter()
    common: dict[str, Any] = {
        "number": task.number,
        "key": task.key,
        "parameters": task.parameters,
        "from_ns": task.from_ns,
        "until_ns": task.until_ns,
    }
    try:
        outcome = evaluator.evaluate(task)
    except Exception as error:  # noqa: BLE001
        # A strategy with these parameters may raise anything: that is this trial's result, and the
        # other trials go on.
        return Trial(**common, error=_described(error), wall_s=perf_counter() - began)
    if len(outcome.returns) > RETURNS_MAX:
        fault = f"{len(outcome.returns)} returns are more than {RETURNS_MAX}"
        return Trial(**common, error=fault, wall_s=perf_counter() - began)
    return Trial(
        **common,
        metrics=outcome.metrics,
        packed=np.asarray(outcome.returns, dtype="<f8").tobytes(),
        interval_ns=outcome.interval_ns,
        started_ns=outcome.started_ns,
        wall_s=perf_counter() - began,
    )


def _described(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = ""
    if frames:
        file_name = frames[-1].filename.replace("\\", "/").rpartition("/")[2]
        place = f" at {file_name}:{frames[-1].lineno}"
    words = " ".join(str(error).split())[:_ERROR_LENGTH_MAX]
    return f"{type(error).__name__}: {words}{place}"
