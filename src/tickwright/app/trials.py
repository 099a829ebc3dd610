"""Owns trials of a configuration's strategies: a task becomes a backtest, its record figures.

Worker processes make it from the configuration's path by `open_trials`; the tape is mapped
read-only by each of them. Refuses a run in which a strategy was halted: its figures are of
something else.
"""

import dataclasses
from collections.abc import Callable
from hashlib import blake2b
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright import __version__
from tickwright.app.backtest import MarketChoice, backtest_settings, open_tape
from tickwright.app.config import Config, load_config
from tickwright.app.trial_figures import trial_metrics, trial_returns
from tickwright.app.warming import warming
from tickwright.core.errors import ConfigError, TickwrightError
from tickwright.research.trial import Outcome, Recipe, Task
from tickwright.strategy.parameters import bounds_of, parameters_from

if TYPE_CHECKING:
    from tickwright.backtest.run import BacktestSettings

__all__ = ["BacktestTrials", "StrategyHalted", "open_trials", "trials_recipe"]

_DECIDING_ROOMS = (
    "core book portfolio strategy risk execution engine matching simulator venues backtest"
).split()
"""What an outcome depends on; the command line and the reports aren't among it."""


_IMPORTS = (
    "tickwright.backtest.run",
    "tickwright.backtest.metrics",
    "tickwright.app.trial_figures",
)


class StrategyHalted(TickwrightError):
    """A strategy raised during a trial."""


class BacktestTrials:
    """Backtests of one configuration over one tape, by parameters and window."""

    def __init__(self, config: Config, tape: Path, *, seed: int | None = None) -> None:
        from tickwright.backtest.tape import Tape

        opened = Tape(tape)
        self.settings: BacktestSettings = backtest_settings(config, tape, seed=seed)
        times = opened.received_ns
        self.span_ns = (int(times[0]), int(times[-1]))
        self.bounds = {
            f"{one.strategy_id}.{bound.name}": bound
            for one in self.settings.plan.strategies
            for bound in bounds_of(self.settings.classes[one.source].Parameters)
        }
        self.identity = _identity(self.settings, opened.header.digest)

    def evaluate(self, task: Task) -> Outcome:
        """Run one backtest.

        Raises:
            ConfigError: parameters contradict each other, or nothing lies in the window.
            StrategyHalted: a strategy raised.
        """
        from tickwright.backtest.run import run_backtest

        record = run_backtest(self._settings(task))
        if record.halted:
            name, reason = next(iter(record.halted.items()))
            raise StrategyHalted(f"strategy {name} was halted: {reason}")
        first_ns, last_ns = self.window(task)
        interval_ns, started_ns, returns = trial_returns(record, first_ns, last_ns)
        return Outcome(
            metrics=trial_metrics(record, first_ns),
            returns=returns,
            interval_ns=interval_ns,
            started_ns=started_ns,
        )

    def window(self, task: Task) -> tuple[int, int]:
        """Return from when to when a task counts."""
        return task.from_ns or self.span_ns[0], task.until_ns or self.span_ns[1]

    def _settings(self, task: Task) -> "BacktestSettings":
        base = self.settings
        wanted: dict[str, dict[str, object]] = {}
        for name, value in task.parameters.items():
            strategy_id, _, parameter = name.partition(".")
            wanted.setdefault(strategy_id, {})[parameter] = value
        strategies = []
        for one in base.plan.strategies:
            values = {**one.parameters, **wanted.get(one.strategy_id, {})}
            kind = base.classes[one.source]
            parameters_from(kind.Parameters, values, where=f"strategy {one.strategy_id}")
            strategies.append(msgspec.structs.replace(one, parameters=values))
        plan = msgspec.structs.replace(base.plan, strategies=tuple(strategies))
        from_ns = task.from_ns
        classes = base.classes
        if task.warm_up_ns and from_ns:
            classes = {name: warming(kind, from_ns) for name, kind in classes.items()}
            from_ns = max(from_ns - task.warm_up_ns, self.span_ns[0])
        return dataclasses.replace(
            base, plan=plan, classes=classes, from_ns=from_ns, until_ns=task.until_ns
        )


def open_trials(
    config: str,
    tape: str = "",
    seed: int | None = None,
) -> BacktestTrials:
    """Make trials of a configuration's path over a tape's folder; what recipes name."""
    return BacktestTrials(load_config(Path(config), needs_keys=False), Path(tape), seed=seed)


def trials_recipe(
    config: Path,
    market: MarketChoice = MarketChoice(),  # noqa: B008 - a frozen record
    *,
    seed: int | None = None,
    on_tape: Callable[[int], None] | None = None,
) -> Recipe:
    """Return how workers make the trials of a configuration; its tape is decoded here, once.

    Raises:
        ConfigError, StorageError: as `open_tape`.
    """
    found = open_tape(load_config(config, needs_keys=False), market, on_tape=on_tape)
    arguments = {"config": str(config.resolve()), "tape": str(found.folder.resolve()), "seed": seed}
    return Recipe(entry=f"{__name__}:open_trials", arguments=arguments, imports=_IMPORTS)


def _identity(settings: "BacktestSettings", tape_digest: str) -> str:
    """Return what outcomes depend on besides the task: plan, tape, market, code."""
    digest = blake2b(digest_size=16)
    digest.update(settings.plan.digest().encode())
    digest.update(tape_digest.encode())
    market = (settings.seed, settings.feed, settings.orders, settings.responses)
    queue = (settings.queue, settings.queue_exponent)
    digest.update(repr((market, queue, settings.rate_scale, settings.sample_ms)).encode())
    digest.update(repr(settings.impact).encode())
    digest.update(repr(sorted(settings.accounts.items(), key=lambda row: row[0])).encode())
    digest.update(_code_digest())
    for source in sorted(settings.classes):
        place = source.rpartition(":")[0]
        if place.endswith((".py", ".pyx")):
            try:
                digest.update(Path(place).read_bytes())
            except OSError as error:
                raise ConfigError(f"strategy file {place}: {error.strerror}") from None
    return digest.hexdigest()


def _code_digest() -> bytes:
    """Return a hash over the sources of everything that decides, and over numpy's version."""
    digest = blake2b(f"{__version__} {version('numpy')}".encode(), digest_size=16)
    root = files("tickwright")
    for room in _DECIDING_ROOMS:
        _add(digest, root / room, room)
    return digest.digest()


def _add(digest: blake2b, folder: Traversable, name: str) -> None:
    for one in sorted(folder.iterdir(), key=lambda found: found.name):
        if one.is_dir():
            _add(digest, one, f"{name}/{one.name}")
        elif one.name.endswith((".py", ".pyx", ".pxd", ".so")):
            digest.update(f"{name}/{one.name}".encode())
            digest.update(one.read_bytes())
