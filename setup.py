"""Compiles every `src/tickwright/**/*.pyx` into an extension beside it.

Metadata lives in pyproject.toml; this file only says what cannot be said there. It asks
`tools/check_toolchain.py` for the sentence to show when the machine cannot compile.
"""

import fcntl
import filecmp
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools"))

import check_toolchain  # noqa: E402

for sentence in check_toolchain.problems_of_python():
    raise SystemExit(sentence)

from Cython.Build import cythonize  # noqa: E402
from setuptools import Extension, setup  # noqa: E402
from setuptools.command.build_ext import build_ext  # noqa: E402

SOURCE = Path("src")
BUILD = Path("build") / "cython"
COMPILE_ARGS = ["-O3"]
DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}


def recipe_file() -> str:
    """Write down what the objects are made with; on a change of it everything is made anew.

    picows' compiled interface is only checked by size when it is loaded: objects built against
    another version must not survive an upgrade.
    """
    recipe = (
        f"picows {version('picows')}\nCython {version('Cython')}\n{COMPILE_ARGS}\n{DIRECTIVES}\n"
    )
    path = BUILD / "recipe.txt"
    if not path.exists() or path.read_text() != recipe:
        # Cython looks at times alone and would keep C code that its predecessor made.
        shutil.rmtree(BUILD / SOURCE, ignore_errors=True)
        path.write_text(recipe)
    return str(path)


def extensions() -> list[Extension]:
    """Return one extension for each `.pyx` of the package, found by its path."""
    sources = sorted(SOURCE.glob("tickwright/**/*.pyx"))
    if not sources:
        return []
    recipe = recipe_file()
    modules = [
        Extension(
            ".".join(source.relative_to(SOURCE).with_suffix("").parts),
            [str(source)],
            define_macros=[("PICOWS_VERSION", f'"{version("picows")}"')],
            extra_compile_args=COMPILE_ARGS,
            depends=[recipe],
        )
        for source in sources
    ]
    return cythonize(
        modules,
        build_dir=str(BUILD),
        compiler_directives=DIRECTIVES,
        include_path=[str(SOURCE)],
        quiet=True,
    )


class BuildExtensions(build_ext):
    """Builds the extensions, or says in one sentence what the machine lacks."""

    def run(self) -> None:
        """Let an editable install share its objects with later builds in place."""
        if self.editable_mode:
            flavour = f"{self.plat_name}-{sys.implementation.cache_tag}"
            self.build_lib = str(Path("build") / f"lib.{flavour}")
            self.build_temp = str(Path("build") / f"temp.{flavour}")
            self.parallel = os.cpu_count()
        super().run()

    def build_extensions(self) -> None:
        """Check the compiler, then compile."""
        for sentence in check_toolchain.problems_of_compiler(self.compiler.compiler[0]):
            raise SystemExit(sentence)
        super().build_extensions()

    def copy_file(self, infile, outfile, *args, **kwargs):
        """Put an extension beside its source by an atomic rename, and only if it changed.

        A process that is just importing the old one never sees half a file.
        """
        if SOURCE.resolve() not in Path(outfile).resolve().parents:
            return super().copy_file(infile, outfile, *args, **kwargs)
        if Path(outfile).exists() and filecmp.cmp(infile, outfile, shallow=False):
            os.utime(outfile)
        else:
            fresh = f"{outfile}.{os.getpid()}.new"
            shutil.copyfile(infile, fresh)
            os.replace(fresh, outfile)
        return outfile, 1


def main() -> None:
    """Compile and install while holding a lock: two builds of one checkout take turns."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions})


os.chdir(ROOT)
main()
