"""Owns where a sweep may search: named dimensions with their values; refuses what can't be tried.

A parameter is written `strategy.name`, its values as a list (`1,2,3`), a range (`0.5:2`), a range
with steps (`10:100:10`) or a range searched by ratio (`0.001:0.1:log`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from itertools import product

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.strategy.parameters import Bound

__all__ = ["GRID_MAX", "Dimension", "Parameters", "Space", "Value", "parse_dimension"]

Value = int | float | bool | str
Parameters = dict[str, Value]
"""Values by `strategy.name`."""

GRID_MAX = 1_000_000
"""Sets of values a grid may have."""
DIMENSIONS_MAX = 64
_WORDS: dict[str, bool] = {"true": True, "false": False}
_WHOLE = "whole number"


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter's values: `choices`, or a range from `low` to `high`.

    `step` 0 is a range without steps; `is_log` searches it by ratio; `is_whole` wants integers.
    """

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    is_log: bool = False
    is_whole: bool = False

    def values(self) -> tuple[Value, ...] | None:
        """Return all values, in order; None for a range that has no end of them."""
        if self.choices:
            return self.choices
        if not self.step and not (self.is_whole and not self.is_log):
            return None
        # Steps are counted in decimals, so that 0.1:0.3:0.1 has three values and the last is 0.3.
        low, step = Decimal(repr(self.low)), Decimal(repr(self.step or 1.0))
        count = int((Decimal(repr(self.high)) - low) / step) + 1
        if count > GRID_MAX:
            return None
        return tuple(self.kept(float(low + number * step)) for number in range(count))

    def kept(self, value: float) -> Value:
        """Return a value of the range as it is given to a strategy."""
        return round(value) if self.is_whole else float(value)

    def fault(self, bound: Bound) -> str | None:
        """Say what a parameter's own bounds refuse of it, or None."""
        ends: Iterable[Value] = self.choices or (self.kept(self.low), self.kept(self.high))
        for value in ends:
            if not _fits(value, bound):
                return f"{self.name} = {value}: must be {bound}"
        return None


def _fits(value: Value, bound: Bound) -> bool:
    if bound.choices:
        return value in bound.choices
    if bound.kind == "true or false":
        return isinstance(value, bool)
    if bound.kind not in (_WHOLE, "number"):
        return True
    if isinstance(value, (bool, str)) or (bound.kind == _WHOLE and not isinstance(value, int)):
        return False
    low, high = bound.low, bound.high
    is_above = low is None or value > low or (bound.is_low_allowed and value == low)
    is_below = high is None or value < high or (bound.is_high_allowed and value == high)
    return is_above and is_below


def parse_dimension(text: str) -> Dimension:
    """Read `strategy.name=VALUES`.

    Raises:
        ConfigError: it isn't written so, or the values contradict each other.
    """
    name, equals, values = text.partition("=")
    strategy, dot, parameter = name.partition(".")
    if not equals or not dot or not strategy or not parameter or not values:
        raise ConfigError(
            f"--param {text!r} must be written strategy.name=1,2,3 or strategy.name=LOW:HIGH[:STEP]"
        )
    if ":" in values:
        return _range(name, values, text)
    choices = tuple(_value(one, text) for one in values.split(","))
    if len(set(choices)) < len(choices):
        raise ConfigError(f"--param {text!r} names a value twice")
    return Dimension(name=name, choices=choices)


def _range(name: str, values: str, text: str) -> Dimension:
    parts = values.split(":")
    if not 2 <= len(parts) <= 3:
        raise ConfigError(f"--param {text!r}: a range is LOW:HIGH, LOW:HIGH:STEP or LOW:HIGH:log")
    is_log = len(parts) == 3 and parts[2] == "log"
    numbers = [_value(one, text) for one in (parts[:2] if is_log else parts)]
    for number in numbers:
        if isinstance(number, (bool, str)):
            raise ConfigError(f"--param {text!r}: {number} is no number")
    low, high, *rest = (float(number) for number in numbers)
    step = rest[0] if rest else 0.0
    if not low < high:
        raise ConfigError(f"--param {text!r}: the range must end above {low:g}")
    if rest and not 0.0 < step <= high - low:
        raise ConfigError(f"--param {text!r}: the step must be above 0 and fit into the range")
    if is_log and low <= 0.0:
        raise ConfigError(f"--param {text!r}: a range searched by ratio must begin above 0")
    is_whole = all(isinstance(number, int) for number in numbers)
    return Dimension(name=name, low=low, high=high, step=step, is_log=is_log, is_whole=is_whole)


def _value(text: str, whole: str) -> Value:
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    try:
        number = Decimal(text)
    except InvalidOperation:
        if not text:
            raise ConfigError(f"--param {whole!r} has an empty value") from None
        return text
    if not number.is_finite():
        raise ConfigError(f"--param {whole!r}: {text} is no number")
    is_whole = number == int(number) and "." not in text and "e" not in text.lower()
    return int(number) if is_whole else float(number)


class Space:
    """The dimensions of a sweep, in the order they were named.

    Raises:
        ConfigError: a name comes twice, there is none, or there are too many.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        if not 1 <= len(dimensions) <= DIMENSIONS_MAX:
            raise ConfigError(f"a sweep needs 1 to {DIMENSIONS_MAX} --param, not {len(dimensions)}")
        names = [one.name for one in dimensions]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"--param {name} is named twice")
        self.dimensions = tuple(dimensions)

    @classmethod
    def of(cls, wishes: "Space | Mapping[str, object] | Iterable[str]") -> "Space":
        """Make a space of texts as on the command line, or of values by name.

        Values are a sequence of choices, or the text behind the equals sign.
        """
        if isinstance(wishes, Space):
            return wishes
        if not isinstance(wishes, Mapping):
            return cls([parse_dimension(text) for text in wishes])
        found = []
        for name, values in wishes.items():
            if isinstance(values, str):
                found.append(parse_dimension(f"{name}={values}"))
            elif isinstance(values, Iterable):
                found.append(Dimension(name=name, choices=tuple(values)))
            else:
                raise ConfigError(f"{name}: {values!r} is neither choices nor a range")
        return cls(found)

    def check(self, bounds: Mapping[str, Bound]) -> "Space":
        """Compare with what strategies declare; whole bounds make whole dimensions.

        Raises:
            ConfigError: an unknown name (tells the nearest), or a value out of its bounds.
        """
        checked = []
        for one in self.dimensions:
            bound = bounds.get(one.name)
            if bound is None:
                near = get_close_matches(one.name, bounds, n=1, cutoff=0.5)
                known = ", ".join(sorted(bounds)[:12]) or "none"
                hint = f"did you mean {near[0]!r}?" if near else f"known: {known}"
                raise ConfigError(f"--param {one.name}: no such parameter; {hint}")
            changed = one
            if not one.choices and bound.kind == "number" and one.is_whole:
                changed = msgspec.structs.replace(one, is_whole=False)
            elif one.choices and bound.kind == "number":
                numbers = tuple(_as_number(value) for value in one.choices)
                changed = msgspec.structs.replace(one, choices=numbers)
            fault = changed.fault(bound)
            if fault is not None:
                raise ConfigError(f"--param {fault}")
            checked.append(changed)
        return Space(checked)

    def grid(self) -> Iterator[Parameters]:
        """Yield every set of values, the last dimension fastest.

        Raises:
            ConfigError: a range without steps, or too many sets.
        """
        columns: list[tuple[Value, ...]] = []
        for one in self.dimensions:
            values = one.values()
            if values is None:
                raise ConfigError(
                    f"--param {one.name}: a grid needs a list or LOW:HIGH:STEP with at most "
                    f"{GRID_MAX} values; random and tpe sample a range"
                )
            columns.append(values)
        if math.prod(len(column) for column in columns) > GRID_MAX:
            raise ConfigError(f"the grid has more than {GRID_MAX} sets; use random or tpe")
        names = [one.name for one in self.dimensions]
        return (dict(zip(names, row, strict=True)) for row in product(*columns))

    @property
    def size(self) -> int | None:
        """How many sets of values there are; None without end."""
        count = 1
        for one in self.dimensions:
            values = one.values()
            if values is None:
                return None
            count *= len(values)
        return count


def _as_number(value: Value) -> Value:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_integer else value
