"""Owns compiling a strategy's `.pyx` file on first use; refuses to compile the same text twice.

The module lies in `.tickwright/` beside its source, named after everything it depends on: the text,
this version, Cython, the interpreter. Whoever changes one of them gets another module; two
processes that compile at once end with the same one.
"""

import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
import tempfile
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tickwright import __version__
from tickwright.core.errors import ConfigError

__all__ = ["CACHE", "compiled_module"]

CACHE = ".tickwright"
_TIMEOUT_S = 300
_PACKAGE = Path(__file__).resolve().parents[1]
_SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
_BUILD = """
import sys
from pathlib import Path
from Cython.Build import cythonize
from setuptools import Extension, setup
name, source, include, out = sys.argv[1:5]
directives = {
    "language_level": "3", "boundscheck": False, "wraparound": False,
    "cdivision": True, "initializedcheck": False,
}
modules = cythonize(
    [Extension(name, [source], extra_compile_args=["-O3"])], build_dir=out,
    compiler_directives=directives, include_path=[include], quiet=True,
)
sys.argv[1:] = ["-q", "build_ext", "--build-lib", out, "--build-temp", out]
setup(name=name, ext_modules=modules)
"""


def compiled_module(source: Path) -> tuple[str, Path]:
    """Return name and file of the module of a `.pyx`, compiled now if it wasn't before.

    Raises:
        ConfigError: Cython or a compiler is missing, the file doesn't compile, or its folder can't
            be written.
    """
    try:
        text = source.read_bytes()
        cython = version("Cython")
        version("setuptools")
    except OSError as error:
        raise ConfigError(f"strategy file {source}: {error.strerror}") from None
    except PackageNotFoundError as error:
        raise ConfigError(
            f"strategy file {source} is compiled on first use, which needs {error.name}: "
            "pip install Cython setuptools"
        ) from None
    facts = f"{__version__} {cython} {sys.implementation.cache_tag}".encode()
    # A strategy reads our compiled types as C does: another layout is another module.
    layouts = b"".join(one.read_bytes() for one in sorted(_PACKAGE.glob("*/*.pxd")))
    digest = blake2b(facts + layouts + text, digest_size=8).hexdigest()
    name = f"tickwright_strategy_{source.stem}_{digest}"
    built = source.parent / CACHE / f"{name}{_SUFFIX}"
    if not built.is_file():
        _build(source, name, built)
    return name, built


def _build(source: Path, name: str, built: Path) -> None:
    try:
        built.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent) as place:
            draft = Path(place)
            # Cython names the module after its file.
            copy = draft / f"{name}.pyx"
            shutil.copyfile(source, copy)
            done = subprocess.run(
                [sys.executable, "-c", _BUILD, name, str(copy), str(_PACKAGE.parent), str(draft)],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
                cwd=draft,
                stdin=subprocess.DEVNULL,
            )
            made = draft / f"{name}{_SUFFIX}"
            if done.returncode or not made.is_file():
                raise ConfigError(_words(source, copy, done.stderr or done.stdout))
            os.replace(made, built)
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"strategy file {source}: no end of compiling after {_TIMEOUT_S} s"
        ) from None
    except OSError as error:
        raise ConfigError(f"strategy file {source} can't be compiled there: {error}") from None


def _words(source: Path, copy: Path, output: str) -> str:
    """Say in one sentence what the compiler minds, with the user's file and line."""
    found = re.search(rf"{re.escape(copy.name)}:(\d+):\d+: (.+)", output)
    if found is not None:
        told = f"{source.name}:{found[1]}: {found[2]}"
    else:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        told = lines[-1] if lines else "the compiler says nothing"
    return f"strategy file {source} doesn't compile: {told}"
