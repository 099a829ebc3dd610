"""Owns trials and curves as polars frames; refuses to compute anything."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickwright.core.errors import ConfigError
from tickwright.research.trial import Trial

if TYPE_CHECKING:
    import polars

__all__ = ["curve_frame", "polars_or_fault", "trials_frame"]


def polars_or_fault() -> Any:
    """Return the module.

    Raises:
        ConfigError: polars is not installed.
    """
    try:
        import polars
    except ImportError:
        raise ConfigError("frames need polars: install tickwright[research]") from None
    return polars


def trials_frame(trials: Sequence[Trial]) -> "polars.DataFrame":
    """Return a row a trial: number, parameters by name, error, figures by name, seconds.

    Times are UTC; a figure nobody knows is null. `returns` holds the list of returns.

    Raises:
        ConfigError: polars is not installed.
    """
    pl = polars_or_fault()
    names = list(dict.fromkeys(name for one in trials for name in one.parameters))
    figures = list(dict.fromkeys(name for one in trials for name in one.metrics))
    columns: dict[str, Any] = {"number": pl.Series([one.number for one in trials], dtype=pl.Int64)}
    for name in names:
        columns[name] = pl.Series([one.parameters.get(name) for one in trials], strict=False)
    columns["error"] = pl.Series([one.error for one in trials], dtype=pl.String)
    for name in figures:
        values = [one.metrics.get(name) for one in trials]
        # A figure may have the name of a parameter, never the other way round.
        column = f"metric.{name}" if name in columns else name
        columns[column] = pl.Series(values, dtype=pl.Float64)
    for column, times in (
        ("from", [one.from_ns for one in trials]),
        ("until", [one.until_ns for one in trials]),
        ("returns_from", [one.started_ns for one in trials]),
    ):
        columns[column] = pl.Series([time or None for time in times], dtype=pl.Int64).cast(
            pl.Datetime("ns", "UTC")
        )
    columns["returns_ms"] = pl.Series([one.interval_ns / 1e6 for one in trials], dtype=pl.Float64)
    columns["returns"] = pl.Series(
        [one.returns.tolist() for one in trials], dtype=pl.List(pl.Float64)
    )
    columns["seconds"] = pl.Series([one.wall_s for one in trials], dtype=pl.Float64)
    columns["key"] = pl.Series([one.key for one in trials], dtype=pl.String)
    frame: polars.DataFrame = pl.DataFrame(columns)
    return frame


def curve_frame(
    times_ns: npt.NDArray[np.int64], returns: npt.NDArray[np.float64], **columns: Sequence[Any]
) -> "polars.DataFrame":
    """Return `time` (UTC, when a return ended), `return`, `equity` (1 at first) and more columns.

    Raises:
        ConfigError: polars is not installed.
    """
    pl = polars_or_fault()
    frame: polars.DataFrame = pl.DataFrame(
        {
            "time": pl.Series(times_ns, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            "return": pl.Series(returns, dtype=pl.Float64),
            "equity": pl.Series(np.cumprod(1.0 + returns), dtype=pl.Float64),
            **columns,
        }
    )
    return frame
