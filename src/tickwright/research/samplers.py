"""Owns which set of values is tried next: all, by chance, or by what was learned; refuses repeats.

Samplers are seeded: asked the same and told the same, they answer the same.
"""

import math
from collections.abc import Iterator
from random import Random
from typing import Any, Literal, Protocol

from tickwright.core.errors import ConfigError
from tickwright.research.space import Dimension, Parameters, Space, Value

__all__ = ["GridSampler", "RandomSampler", "Sampler", "SamplerName", "TpeSampler", "make_sampler"]

SamplerName = Literal["grid", "random", "tpe"]
TRIALS_MAX = 20_000
"""Trials of one sweep."""
_MISSES_MAX = 1_000
"""Repeated draws before a finite space counts as used up."""


class Sampler(Protocol):
    """Chooses sets of values."""

    total: int
    """How many it will give at most."""

    def ask(self) -> Parameters | None:
        """Return the next set, or None when there are no more."""
        ...

    def tell(self, parameters: Parameters, value: float | None) -> None:
        """Take the objective of a set, to be maximised; None: it failed or says nothing."""
        ...


class GridSampler:
    """Every set of values, in order; at most `trials` of them."""

    def __init__(self, space: Space, trials: int | None) -> None:
        self._sets: Iterator[Parameters] = space.grid()
        size = space.size
        assert size is not None, "a grid was made of it"
        self.total = size if trials is None else min(size, trials)
        self._left = self.total

    def ask(self) -> Parameters | None:
        """Return the next set."""
        if not self._left:
            return None
        self._left -= 1
        return next(self._sets)

    def tell(self, parameters: Parameters, value: float | None) -> None:
        """Learn nothing: the order is fixed."""


class RandomSampler:
    """Sets drawn evenly (ranges searched by ratio: evenly in the logarithm), none twice."""

    def __init__(self, space: Space, trials: int, seed: int) -> None:
        self._space = space
        self._random = Random(seed)
        self._drawn: set[tuple[Value, ...]] = set()
        size = space.size
        self.total = trials if size is None else min(trials, size)

    def ask(self) -> Parameters | None:
        """Draw a set that wasn't drawn before."""
        for _ in range(_MISSES_MAX):
            if len(self._drawn) >= self.total:
                return None
            drawn = {one.name: _draw(one, self._random) for one in self._space.dimensions}
            key = tuple(drawn.values())
            if key not in self._drawn:
                self._drawn.add(key)
                return drawn
        return None

    def tell(self, parameters: Parameters, value: float | None) -> None:
        """Learn nothing: chance doesn't."""


def _draw(one: Dimension, chance: Random) -> Value:
    if one.choices:
        return chance.choice(one.choices)
    if one.is_log:
        drawn = math.exp(chance.uniform(math.log(one.low), math.log(one.high)))
        return one.kept(min(max(drawn, one.low), one.high))
    values = one.values()
    return one.kept(chance.uniform(one.low, one.high)) if values is None else chance.choice(values)


class TpeSampler:
    """Optuna's tree-structured Parzen estimator, which learns from what was told.

    Source: J. Bergstra and others, "Algorithms for Hyper-Parameter Optimization" (2011). Sets under
    way count as bad ones meanwhile (constant liar), so that parallel trials don't repeat them.

    Raises:
        ConfigError: optuna is not installed.
    """

    def __init__(self, space: Space, trials: int, seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError("--sampler tpe needs optuna: install tickwright[research]") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=False),
        )
        self._distributions = {one.name: _distribution(optuna, one) for one in space.dimensions}
        self._kept = {one.name: one for one in space.dimensions}
        self._open: dict[tuple[Value, ...], list[Any]] = {}
        self.total = trials
        self._left = trials

    def ask(self) -> Parameters | None:
        """Return what seems best to try."""
        if not self._left:
            return None
        self._left -= 1
        trial = self._study.ask(self._distributions)
        found: Parameters = dict(trial.params)
        self._open.setdefault(tuple(found.values()), []).append(trial)
        return found

    def tell(self, parameters: Parameters, value: float | None) -> None:
        """Learn from a set, whether it was asked for here or is known from before."""
        states = self._optuna.trial.TrialState
        waiting = self._open.get(tuple(parameters.values()))
        if waiting:
            trial = waiting.pop()
            if value is None:
                self._study.tell(trial, state=states.FAIL)
            else:
                self._study.tell(trial, value)
            return
        if value is not None:
            self._study.add_trial(
                self._optuna.trial.create_trial(
                    params=dict(parameters), distributions=self._distributions, value=value
                )
            )


def _distribution(optuna: Any, one: Dimension) -> Any:
    kinds = optuna.distributions
    if one.choices:
        return kinds.CategoricalDistribution(one.choices)
    if one.is_whole:
        step = round(one.step) or 1
        high = round(one.low) + (round(one.high) - round(one.low)) // step * step
        return kinds.IntDistribution(round(one.low), high, log=one.is_log, step=step)
    if not one.step:
        return kinds.FloatDistribution(one.low, one.high, log=one.is_log)
    values = one.values()
    top = one.high if values is None else float(values[-1])
    return kinds.FloatDistribution(one.low, top, step=one.step)


def make_sampler(name: SamplerName, space: Space, *, trials: int | None, seed: int) -> Sampler:
    """Return a sampler by name.

    Raises:
        ConfigError: no such sampler, or it needs a number of trials and has none.
    """
    if trials is not None and not 1 <= trials <= TRIALS_MAX:
        raise ConfigError(f"--trials must be 1 to {TRIALS_MAX}, not {trials}")
    if name == "grid":
        sampler = GridSampler(space, trials)
        if sampler.total > TRIALS_MAX:
            raise ConfigError(f"the grid has {sampler.total} sets, more than {TRIALS_MAX}")
        return sampler
    if name not in ("random", "tpe"):
        raise ConfigError(f"--sampler must be grid, random or tpe, not {name}")
    if trials is None:
        raise ConfigError(f"--sampler {name} needs --trials")
    if name == "random":
        return RandomSampler(space, trials, seed)
    return TpeSampler(space, trials, seed)
