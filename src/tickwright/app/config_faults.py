"""Owns what is wrong with a configuration, said for people; refuses to stop at the first mistake.

Every fault names its key, the value found and the remedy. A misspelt key is told with the nearest
right one. Values of keys that hold secrets are never shown.
"""

import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tickwright.core.errors import ConfigError
from tickwright.core.nearest import near_names, nearest
from tickwright.strategy.parameters import StrategyParameters, bounds_of

__all__ = ["Fault", "config_error", "key_text", "read_struct", "told", "within"]

FAULTS_MAX = 50
_VALUE_LENGTH_MAX = 60
_SECRET = re.compile(r"secret|api_?key|password|token", re.IGNORECASE)
_NAMED_KEY = re.compile(r"risk\.(?P<key>[\w.:-]+)")

_WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "path_type": "must be a path in quotes",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "missing": "is missing",
    "too_short": "must not be empty",
}


class Fault(msgspec.Struct, frozen=True):
    """One mistake: the key's path, what to do, and the value found ("" when there is none)."""

    key: str
    text: str
    value: str = ""

    def __str__(self) -> str:
        found = f" = {self.value}" if self.value else ""
        return f"{self.key}{found}: {self.text}" if self.key else self.text


S = TypeVar("S", bound=msgspec.Struct)


def config_error(path: Path | str, faults: Sequence[Fault]) -> ConfigError:
    """Return the exception that lists every fault of a file."""
    shown = [str(fault) for fault in faults[:FAULTS_MAX]]
    if len(faults) == 1:
        return ConfigError(f"{path}: {shown[0]}")
    if len(faults) > FAULTS_MAX:
        shown.append(f"and {len(faults) - FAULTS_MAX} more")
    return ConfigError("\n  ".join([f"{path} has {len(faults)} mistakes:", *shown]))


def key_text(parts: Sequence[str | int]) -> str:
    """Write a key's path as TOML would: `strategies[0].symbols`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def told(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> list[Fault]:
    """Turn what pydantic found into faults."""
    faults: list[Fault] = []
    for error in errors:
        parts = error["loc"]
        context = error.get("ctx", {})
        if "faults" in context:
            faults += [
                within(key_text(parts), fault) for fault in cast(list[Fault], context["faults"])
            ]
        elif error["type"] == "extra_forbidden":
            faults.append(_unknown_key(parts, model))
        else:
            text = _WORDS.get(error["type"]) or _plain(error["msg"])
            if error["type"] == "literal_error":
                text += _nearest_word(error["input"], context.get("expected", ""))
            value = "" if error["type"] == "missing" else _shown(key_text(parts), error["input"])
            faults.append(Fault(key_text(parts), text, value))
    return faults


def within(place: str, fault: Fault) -> Fault:
    """Return a fault of a table as one of the file."""
    if fault.key:
        return Fault(f"{place}.{fault.key}", fault.text, fault.value)
    # What a struct says of itself begins with its own table's name.
    text = fault.text.removeprefix("risk.") if place == "sizing" else fault.text
    # Told whole already, by the table's own path.
    is_whole = text.startswith((f"{place}.", f"risk.{place}."))
    return Fault("" if is_whole else place, text, fault.value)


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ").replace("Input should", "must")
    return text[:1].lower() + text[1:] if text[:1].isupper() and text[1:2].islower() else text


def _nearest_word(value: object, expected: str) -> str:
    """Return which of the words allowed was meant, if any looks like it."""
    if not isinstance(value, str):
        return ""
    near = near_names(value, re.findall(r"'([^']*)'", expected))
    return f"; did you mean {near[0]!r}?" if near else ""


def _shown(key: str, value: object) -> str:
    if isinstance(value, Mapping | list | tuple | set):
        return ""
    if _SECRET.search(key):
        return "*** (not shown)"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _VALUE_LENGTH_MAX else f"{text[:_VALUE_LENGTH_MAX]}..."


def _unknown_key(parts: Sequence[str | int], model: type[BaseModel]) -> Fault:
    name = str(parts[-1])
    if _SECRET.search(name):
        return Fault(
            key_text(parts),
            "a secret does not belong in this file: use key_file, or the environment "
            "(TICKWRIGHT_<ACCOUNT>_API_KEY, TICKWRIGHT_<ACCOUNT>_API_SECRET)",
        )
    holder = _model_at(model, parts[:-1])
    hint = nearest(name, holder.model_fields) if holder is not None else "remove it"
    return Fault(key_text(parts), f"unknown key; {hint}")


def _model_at(model: type[BaseModel], parts: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the model that holds the keys at this place, looking through tables and lists."""
    annotation: object = model
    for part in parts:
        inner = _inner(annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            field = inner.model_fields.get(str(part))
            if field is None:
                return None
            annotation = field.annotation
        else:
            annotation = typing.get_args(inner)[-1 if typing.get_origin(inner) is dict else 0]
    found = _inner(annotation)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _inner(annotation: object) -> object:
    """Strip `| None` and `Annotated`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _inner(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _inner(parts[0])
    return annotation


# structs of the rooms below ---------------------------------------------------------------------


def read_struct(
    kind: type[S], table: Mapping[str, object], *, hidden: Sequence[str] = ()
) -> S | list[Fault]:
    """Read a table as a settings struct of a room below; returns it or every fault found.

    `hidden` fields are set elsewhere and are no keys of this table.
    """
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    known = [name for name in fields if name not in hidden]
    faults: list[Fault] = []
    for key, value in table.items():
        if key not in known:
            faults.append(Fault(key, f"unknown key; {nearest(key, known)}"))
        elif isinstance(value, float) and not math.isfinite(value):
            faults.append(Fault(key, "must be a finite number", repr(value)))
        else:
            faults += _value_faults(key, value, fields[key].type, kind)
    wrong = {fault.key.partition(".")[0] for fault in faults}
    read = _read_whole(kind, {key: table[key] for key in table if key not in wrong}, faults)
    if isinstance(read, list):
        return faults + [fault for fault in read if fault not in faults]
    return faults or read


def _value_faults(key: str, value: object, wanted: Any, kind: type[msgspec.Struct]) -> list[Fault]:
    """Look at one value alone, so that each wrong one is named."""
    inner = _struct_in(wanted)
    if inner is not None and typing.get_origin(wanted) is tuple and isinstance(value, list):
        listed: list[Fault] = []
        for index, entry in enumerate(value):
            listed += _nested(f"{key}[{index}]", entry, inner)
        return listed
    if inner is not None and isinstance(value, Mapping):
        if typing.get_origin(wanted) is dict:
            found: list[Fault] = []
            for name, entry in value.items():
                found += _nested(f"{key}.{name}", entry, inner)
            return found
        return _nested(key, value, inner)
    single = msgspec.defstruct("Single", [(key, wanted)])
    try:
        msgspec.convert({key: value}, single)
    except msgspec.ValidationError as error:
        return [Fault(key, f"must be {_expected(key, kind, str(error))}", _shown(key, value))]
    return []


def _nested(key: str, value: object, kind: type[msgspec.Struct]) -> list[Fault]:
    if not isinstance(value, Mapping):
        return [Fault(key, "must be a table", _shown(key, value))]
    read = read_struct(kind, value)
    return [within(key, fault) for fault in read] if isinstance(read, list) else []


def _struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    """Return the struct a field holds, itself, as the values of a table or in a list."""
    if typing.get_origin(wanted) is tuple:
        wanted = typing.get_args(wanted)[0]
    if typing.get_origin(wanted) is dict:
        wanted = typing.get_args(wanted)[1]
    return wanted if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) else None


def _expected(key: str, kind: type[msgspec.Struct], error: str) -> str:
    bound = {b.name: b for b in bounds_of(cast(type[StrategyParameters], kind))}[key]
    if bound.kind != "value":
        return f"a {bound}" if bound.kind in ("number", "whole number") else str(bound)
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    field = next(f for f in described.fields if f.name == key)
    parts = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    if any(isinstance(part, inspect.DecimalType) for part in parts):
        return "a number"
    return error.removeprefix("Expected ").partition(" - at ")[0]


def _read_whole(kind: type[S], table: dict[str, object], known: Sequence[Fault]) -> S | list[Fault]:
    """Read a table of the right types; a value the struct refuses is dropped, to find the next."""
    faults: list[Fault] = []
    left = dict(table)
    for _ in range(len(table) + 1):
        try:
            made = msgspec.convert(left, kind)
        except (ConfigError, msgspec.ValidationError, ValueError) as error:
            text = str(error).partition(" - at ")[0]
            is_own = "; choose " in text
            # With one value dropped, a contradiction may only be one with its default.
            if is_own or not (faults or known):
                faults.append(Fault("", text))
            named = _NAMED_KEY.match(text)
            if not is_own or named is None or not _drop(left, named["key"]):
                break
        else:
            if isinstance(made, StrategyParameters) and not known:
                reason = made.fault()
                return made if reason is None else [Fault("", reason)]
            return faults or made
    return faults


def _drop(table: dict[str, Any], key: str) -> bool:
    """Remove the value at a dotted path; tells whether there was one."""
    head, _, rest = key.partition(".")
    if head not in table:
        return False
    if rest and isinstance(table[head], Mapping):
        inner = dict(table[head])
        table[head] = inner
        # A symbol or strategy may hold dots itself: the last part is the field.
        name, dot, field = rest.rpartition(".")
        if dot:
            inner[name] = dict(inner.get(name, {}))
            return _drop(inner[name], field)
        return _drop(inner, rest)
    del table[head]
    return True
