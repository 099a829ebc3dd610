"""Reads fields and defaults of configuration and report types as the documentation shows them."""

import dataclasses
import enum
import importlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

REQUIRED = object()
"""Stands for a field without a default."""


def found(path: str) -> Any:
    """Return what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def fields_of(path: str) -> dict[str, object]:
    """Return a type's fields with their defaults, in order."""
    kind = found(path)
    if issubclass(kind, BaseModel):
        return {
            name: REQUIRED if field.default is PydanticUndefined else field.default
            for name, field in kind.model_fields.items()
        }
    if issubclass(kind, msgspec.Struct):
        return {field.name: _struct_default(field) for field in msgspec.structs.fields(kind)}
    assert dataclasses.is_dataclass(kind), path
    return {
        field.name: REQUIRED if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(kind)
    }


def _struct_default(field: Any) -> object:
    if field.default is not msgspec.NODEFAULT:
        default: object = field.default
        return default
    if field.default_factory is not msgspec.NODEFAULT:
        made: object = field.default_factory()
        return made
    return REQUIRED


def words_of(path: str) -> list[str]:
    """Return the values of an enumeration."""
    kind = found(path)
    assert issubclass(kind, enum.Enum)
    return [str(member.value) for member in kind]


def shown(value: object) -> str:
    """Return a default as a table of the documentation shows it."""
    if value is REQUIRED:
        return "required"
    if value is None:
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | Path):
        return f'`"{value}"`'
    if isinstance(value, int | float | Decimal):
        return f"`{value}`"
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"
    return "table"
