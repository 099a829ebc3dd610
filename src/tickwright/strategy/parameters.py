"""Owns the typed declaration of a strategy's parameters; refuses values outside their bounds.

A strategy declares a `StrategyParameters` subclass whose fields carry `Annotated[...,
msgspec.Meta(...)]` bounds. The same declaration checks a configuration and tells a sweep where it
may search.
"""

import math
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import inspect

from tickwright.core.errors import ConfigError
from tickwright.core.nearest import nearest

__all__ = ["Bound", "StrategyParameters", "bounds_of", "parameters_from"]


class StrategyParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every parameter declaration; a strategy without parameters uses it as it is.

    Override `fault` where fields only make sense together.
    """

    def fault(self) -> str | None:
        """Say which fields contradict each other, or None."""
        return None


P = TypeVar("P", bound=StrategyParameters)


class Bound(msgspec.Struct, frozen=True):
    """What one parameter may be: its kind, default and limits (None: no limit on that side).

    `choices` is not empty for a parameter that names one of several words. `is_optional` allows
    None.
    """

    name: str
    kind: str
    default: object
    low: float | None = None
    is_low_allowed: bool = True
    high: float | None = None
    is_high_allowed: bool = True
    choices: tuple[object, ...] = ()
    is_optional: bool = False

    def __str__(self) -> str:
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        text = self.kind
        if self.low is not None:
            text += f" {'at least' if self.is_low_allowed else 'above'} {self.low:g}"
        if self.high is not None:
            joint = " and" if self.low is not None else ""
            text += f"{joint} {'at most' if self.is_high_allowed else 'below'} {self.high:g}"
        return f"{text}, or nothing" if self.is_optional else text


def bounds_of(declaration: type[StrategyParameters]) -> tuple[Bound, ...]:
    """Return what each parameter of `declaration` may be, in the order it is declared."""
    described = inspect.type_info(declaration)
    assert isinstance(described, inspect.StructType)
    return tuple(
        _bound(field.name, field.type, None if field.required else field.default)
        for field in described.fields
    )


def _bound(name: str, kind: inspect.Type, default: object) -> Bound:
    if isinstance(kind, inspect.UnionType):
        optional = any(isinstance(part, inspect.NoneType) for part in kind.types)
        parts = [part for part in kind.types if not isinstance(part, inspect.NoneType)]
        if len(parts) == 1:
            inner = _bound(name, parts[0], default)
            return msgspec.structs.replace(inner, is_optional=optional)
        return Bound(name=name, kind="value", default=default, is_optional=optional)
    if isinstance(kind, inspect.LiteralType):
        return Bound(name=name, kind="choice", default=default, choices=tuple(kind.values))
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return Bound(
            name=name,
            kind="whole number" if isinstance(kind, inspect.IntType) else "number",
            default=default,
            low=kind.gt if kind.gt is not None else kind.ge,
            is_low_allowed=kind.gt is None,
            high=kind.lt if kind.lt is not None else kind.le,
            is_high_allowed=kind.lt is None,
        )
    words = {inspect.BoolType: "true or false", inspect.StrType: "text"}
    return Bound(name=name, kind=words.get(type(kind), "value"), default=default)


def parameters_from(
    declaration: type[P], values: Mapping[str, object], *, where: str = "parameters"
) -> P:
    """Check `values` against `declaration` and return the instance.

    Raises:
        ConfigError: an unknown key (names the nearest right one), a value of the wrong kind or
        outside its
            bounds (names key, value and bound), a missing key, or fields that contradict each
            other.
    """
    bounds = {bound.name: bound for bound in bounds_of(declaration)}
    for key in values:
        if key not in bounds:
            hint = nearest(str(key), bounds, likeness=0.5)
            raise ConfigError(f"{where}: unknown key {str(key)!r}; {hint}")
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{where}.{key} = {value}: must be {bounds[key]}")
        try:
            msgspec.convert({key: value}, _single_field(declaration, key))
        except msgspec.ValidationError:
            raise ConfigError(f"{where}.{key} = {value!r}: must be {bounds[key]}") from None
    try:
        parameters = msgspec.convert(dict(values), declaration)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from None
    if (fault := parameters.fault()) is not None:
        raise ConfigError(f"{where}: {fault}")
    return parameters


def _single_field(declaration: type[StrategyParameters], key: str) -> type[msgspec.Struct]:
    # One field at a time, so that the message can name the key that is wrong.
    hints = msgspec.structs.fields(declaration)
    kind = next(field.type for field in hints if field.name == key)
    return msgspec.defstruct("Field", [(key, kind)])
