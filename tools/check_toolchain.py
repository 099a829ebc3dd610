#!/usr/bin/env python3
"""Says in one sentence what this machine lacks to build the package, or nothing.

Owns the wording; setup.py and the Makefile both ask here. Runs on any Python 3, also on one too
old for the package, so it uses no newer syntax. Prints the sentence and exits with 1;
with `--version-only` it looks at the version alone.
"""

import os
import shutil
import sys
import sysconfig

__all__ = ["main", "problems_of_compiler", "problems_of_python"]

OLDEST = (3, 11)
NEWEST = (3, 14)


def problems_of_python():
    """Return why this interpreter cannot run the package: at most one sentence, in a list."""
    running = tuple(sys.version_info[:2])
    if OLDEST <= running <= NEWEST:
        return []
    return [
        "tickwright needs Python {}.{} to {}.{}, and {} is Python {}.{}: "
        "install one of those, or name it with `make PYTHON=python3.12 ...`.".format(
            *(OLDEST + NEWEST + (sys.executable,) + running)
        )
    ]


def problems_of_compiler(command=None):
    """Return why C code cannot be compiled for this interpreter: at most one sentence, in a list.

    `command` is the compiler to look for; without it, the one setuptools would choose.
    """
    if command is None:
        chosen = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
        command = chosen.split()[0]
    if shutil.which(command) is None:
        return [
            "tickwright compiles its core and found no C compiler ({}): install one "
            "(Debian/Ubuntu: `apt install gcc`; macOS: `xcode-select --install`), "
            "or name yours with the variable CC.".format(command)
        ]
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.exists(header):
        return [
            "tickwright compiles its core and the headers of this Python are missing "
            "({}): install them (Debian/Ubuntu: `apt install python3-dev`).".format(header)
        ]
    return []


def problems_of_environment():
    """Return why no virtual environment can be made: at most one sentence, in a list."""
    try:
        import ensurepip
        import venv
    except ImportError as missing:
        return [
            "tickwright's Makefile makes a virtual environment and this Python lacks the module "
            "{} for it: install it (Debian/Ubuntu: `apt install python3-venv`).".format(
                missing.name
            )
        ]
    del ensurepip, venv
    return []


def main(arguments):
    """Print the first thing that is missing; return 1 if there is one."""
    checks = (problems_of_python, problems_of_compiler, problems_of_environment)
    for check in checks[:1] if arguments == ["--version-only"] else checks:
        for sentence in check():
            sys.stderr.write(sentence + "\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
