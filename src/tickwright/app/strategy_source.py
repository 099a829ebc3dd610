"""Owns finding a strategy's class by its name or file; refuses anything that isn't one.

`mean_reversion` is a module of the library; `path/to/file.py:Class` a file of the user's, relative
to the configuration; `path/to/file.pyx:Class` the same, compiled on first use;
`package.module:Class` an installed module.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from hashlib import blake2b
from pathlib import Path
from types import ModuleType, TracebackType

from tickwright.app.compiled_strategy import compiled_module
from tickwright.core.errors import ConfigError
from tickwright.core.nearest import nearest
from tickwright.strategy import Strategy, StrategyParameters, library

FILES = (".py", ".pyx")

__all__ = ["library_names", "load_strategy", "resolved_source"]


def library_names() -> list[str]:
    """Return the names of the strategies that come with the package."""
    return sorted(found.name for found in pkgutil.iter_modules(library.__path__))


def load_strategy(source: str, *, folder: Path) -> type[Strategy]:
    """Return the class a configuration names; `folder` is where relative paths begin.

    Raises:
        ConfigError: no such name, file, module or class; it is no complete strategy; or the file
            fails while it is read (names its file and line).
    """
    place, colon, name = source.rpartition(":")
    if not colon:
        return _from_library(source)
    if not place or not name:
        raise ConfigError(f"strategy {source!r} must be a name, or FILE.py:Class")
    module = _from_file(folder / place) if place.endswith(FILES) else _from_package(place)
    return _checked(module, name, place)


def resolved_source(source: str, *, folder: Path) -> str:
    """Return a source that means the same from any folder."""
    place, colon, name = source.rpartition(":")
    if not colon or not place.endswith(FILES):
        return source
    return f"{(folder / place).resolve()}:{name}"


def _from_library(name: str) -> type[Strategy]:
    names = library_names()
    if name not in names:
        if name.endswith(FILES):
            raise ConfigError(f"strategy {name!r} names no class: write {name}:Class")
        raise ConfigError(
            f"there is no strategy {name!r}; {nearest(name, names, what='the library has')} "
            "A file of your own is written FILE.py:Class"
        )
    module = importlib.import_module(f"{library.__name__}.{name}")
    (found,) = _strategies_of(module)
    return found


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"strategy file {path} does not exist")
    path = path.resolve()
    if path.suffix == ".pyx":
        return _from_compiled(path)
    # The name must be the same in every run and differ between files of one name.
    digest = blake2b(str(path).encode(), digest_size=4).hexdigest()
    module_name = f"tickwright_strategy_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"strategy file {path} can't be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    # Typed structs look their module up by name while they are made.
    sys.modules[module_name] = module
    with _Reading(f"strategy file {path}"):
        spec.loader.exec_module(module)
    return module


def _from_compiled(path: Path) -> ModuleType:
    module_name, built = compiled_module(path)
    known = sys.modules.get(module_name)
    if known is not None:
        # A compiled module can't be made twice in one process.
        return known
    spec = importlib.util.spec_from_file_location(module_name, built)
    assert spec is not None
    assert spec.loader is not None
    with _Reading(f"strategy file {path}"):
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    return module


def _from_package(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"strategy source {name!r} is neither a FILE.py nor a module name")
    with _Reading(f"strategy module {name}"):
        return importlib.import_module(name)
    raise AssertionError("unreachable: a failed import raises")


class _Reading:
    """Turns whatever a user's file raises while it is read into one sentence with its place.

    Any exception, since the code is not ours; what ends the process passes.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, ConfigError):
            return
        if isinstance(error, SyntaxError) and error.filename:
            place = f"{error.filename}:{error.lineno}"
            text = error.msg
        else:
            frames = traceback.extract_tb(trace)
            ours = [f for f in frames if not f.filename.startswith("<frozen")]
            place = f"{ours[-1].filename}:{ours[-1].lineno}" if ours else "?"
            text = str(error)
        raise ConfigError(
            f"{self._what} fails while it is read: {type(error).__name__}: {text} ({place})"
        ) from None


def _strategies_of(module: ModuleType) -> list[type[Strategy]]:
    return [
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Strategy)
        and found is not Strategy
        and found.__module__ == module.__name__
    ]


def _checked(module: ModuleType, name: str, place: str) -> type[Strategy]:
    found = getattr(module, name, None)
    if found is None:
        names = [one.__name__ for one in _strategies_of(module)]
        hint = nearest(name, names, what="strategies in it")
        raise ConfigError(f"{place} has no {name}; {hint}")
    if not isinstance(found, type) or not issubclass(found, Strategy):
        raise ConfigError(f"{name} in {place} is no strategy: derive it from tickwright.Strategy")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ConfigError(f"strategy {name} in {place} lacks {missing}")
    declared: object = found.Parameters
    if not isinstance(declared, type) or not issubclass(declared, StrategyParameters):
        raise ConfigError(
            f"{name}.Parameters in {place} must derive from tickwright.StrategyParameters"
        )
    return found
