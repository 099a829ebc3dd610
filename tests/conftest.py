"""What every test run shares: hypothesis profiles and a word about stale extensions.

Owns no fixtures of a room: those live beside the room's tests.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# CI draws the same examples each time, so that a red run is about the change; a developer's
# machine draws new ones. Compiling machines are shared: no deadline on a single example.
settings.register_profile("ci", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def _stale_modules() -> list[str]:
    """Return the compiled modules that are missing or older than their source."""
    stale = []
    for source in sorted((ROOT / "src").rglob("*.pyx")):
        built = list(source.parent.glob(f"{source.stem}.*.so"))
        if not any(path.stat().st_mtime >= source.stat().st_mtime for path in built):
            stale.append(source.stem)
    return stale


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the compiled modules that a direct call of pytest would test in an old version."""
    stale = ", ".join(_stale_modules())
    return [f"not compiled since their last change (make build): {stale}"] if stale else []
