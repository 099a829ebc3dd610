"""Owns opening recordings by what is in them; refuses to guess a format from a name."""

import zipfile
from importlib.resources import files
from pathlib import Path
from random import Random

from tickwright.core.errors import ConfigError, FrameError, StorageError
from tickwright.simulator.sources.binance_recording import BinanceRecording
from tickwright.simulator.sources.bybit_recording import BybitRecording
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.simulator.sources.recording import AfterEnd, Recording

__all__ = ["DEMO_FILES", "SAMPLE_FILES", "open_recording", "sample_path"]

DEMO_FILES = ("binance_usdm_btcusdt_20240808.jsonl.gz", "bybit_linear_xrpusdt_ob500_20241201.zip")
"""The recordings behind the demo's BTCUSDT and XRPUSDT, both in category linear."""
SAMPLE_FILES = (*DEMO_FILES, "binance_spot_btcusdt_20240808.jsonl.gz")

_LOOK_LINES = 200


def sample_path(name: str) -> Path:
    """The path of a recording shipped inside the package."""
    return Path(str(files("tickwright.simulator") / "samples" / name))


def open_recording(
    path: Path, rng: Random, *, after_end: AfterEnd = AfterEnd.CONTINUE
) -> Recording:
    """Open a recording by what is in it.

    Raises:
        ConfigError: the file can't be read, or its first lines are of no known format.
    """
    try:
        for number, _, frame in recorded_lines(path):
            if b'"topic"' in frame:
                return BybitRecording(path, rng, after_end=after_end)
            if b'"lastUpdateId"' in frame or b'"depthUpdate"' in frame:
                return BinanceRecording(path, rng, after_end=after_end)
            if number >= _LOOK_LINES:
                break
    except (StorageError, FrameError, zipfile.BadZipFile) as error:
        raise ConfigError(f"recording {path}: {error}") from None
    raise ConfigError(f"recording {path}: neither Bybit frames nor a Binance recording")
