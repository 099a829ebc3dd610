"""Owns options that several verbs share: records whose fields are options of whatever takes them.

typer reads a verb's options off its signature. Here a parameter annotated with a dataclass stands
for all its fields, in its place; the verb gets the record.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

__all__ = ["takes_records"]


def takes_records(function: Callable[..., int]) -> Callable[..., int]:
    """Show typer the fields of each record that a verb takes, and make the records of them."""
    own = inspect.signature(function)
    records = {
        one.name: inspect.signature(one.annotation).parameters
        for one in own.parameters.values()
        if isinstance(one.annotation, type) and is_dataclass(one.annotation)
    }

    @functools.wraps(function)
    def command(**given: Any) -> int:
        for name, fields in records.items():
            record = own.parameters[name].annotation
            given[name] = record(**{field: given.pop(field) for field in fields})
        return function(**given)

    shown = [
        field.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in own.parameters.values()
        for field in records.get(one.name, {one.name: one}).values()
    ]
    command.__annotations__ = {one.name: one.annotation for one in shown}
    vars(command)["__signature__"] = own.replace(parameters=shown)
    return command
