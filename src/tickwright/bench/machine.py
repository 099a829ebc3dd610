"""Owns the line that says where a figure was taken, and whether the machine was quiet then.

A figure without its machine, versions and commit is a rumour; one taken beside other work is noise.
"""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

__all__ = ["LOAD_QUIET_MAX", "Machine", "load_warning", "pin", "pinned_cpus", "read_machine"]

#: Above this one-minute load average on two cores, differences under a fifth mean nothing.
LOAD_QUIET_MAX: Final = 1.5

_PACKAGES: Final = (
    "tickwright picows msgspec Cython uvloop websockets sortedcontainers numpy".split()
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Describe where figures were taken: processor, kernel, Python, versions, commit, load."""

    cpu: str
    cores: int
    kernel: str
    python: str
    versions: dict[str, str]
    commit: str
    load: float

    def line(self) -> str:
        """Return everything on one line."""
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cpu}, {self.cores} cores, Linux {self.kernel}, CPython {self.python}; "
            f"{packages}; commit {self.commit}; load {self.load:.2f}"
        )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Return the short commit of the source tree with a mark for local changes, or ``release``."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=7",
    ]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "release"
    return said.stdout.strip()


def read_machine() -> Machine:
    """Read the machine as it is now."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        versions=versions,
        commit=_commit(),
        load=os.getloadavg()[0],
    )


def load_warning(load: float) -> str | None:
    """Return a sentence when the machine is too busy to measure on, else None."""
    if load <= LOAD_QUIET_MAX:
        return None
    return (
        f"the load average is {load:.2f}: other work runs on this machine, "
        "and differences under about 20 % mean nothing"
    )


def pinned_cpus() -> tuple[int | None, int | None]:
    """Return a core for the client and one for the sender; None where there is only one core."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    return cores[0], cores[1]


def pin(cpu: int | None) -> None:
    """Keep this process on one core, where a process can be kept and a core is named."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
