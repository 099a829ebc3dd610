"""Owns which markets are measured beside which: recordings, and what is made in their likeness.

A recording holds what a venue sent, and a venue gathers changes before it sends. The made markets
are gathered over the same interval: what happened inside it nobody recorded.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.instruments import VenueInstrument, instrument_for, symbols_of_count
from tickwright.simulator.sources.agents import AgentsSource
from tickwright.simulator.sources.opening import DEMO_FILES, open_recording, sample_path
from tickwright.simulator.sources.operations import MarketSource
from tickwright.simulator.sources.recording import AfterEnd, Recording
from tickwright.simulator.sources.synthetic import SyntheticSource
from tickwright.simulator.statistics import MarketStatistics, measure

__all__ = ["SECONDS_DEFAULT", "Comparison", "StatisticsReport", "compare"]

SECONDS_DEFAULT = 300.0
SOURCES_DEFAULT = ("demo", "agents")
_MADE: dict[str | Path, Callable[[Sequence[VenueInstrument], Random], MarketSource]] = {
    "agents": AgentsSource,
    "synthetic": SyntheticSource,
}
_EVEN = 1.15
"""Gaps whose p90 is within this factor of the median come from gathering, not from the market."""
_GATHERED_MS_MIN = 5.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol: its recording, if there is one, and the markets made in its likeness."""

    category: str
    symbol: str
    recording: MarketStatistics | None
    made: list[MarketStatistics]


class StatisticsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and by which seed the made markets come again."""

    seed: int
    seconds: float
    symbols: list[Comparison]


def compare(
    sources: Sequence[str | Path],
    *,
    symbols: Sequence[str] | int | None = None,
    categories: Sequence[Category] | None = None,
    seconds: float = SECONDS_DEFAULT,
    seed: int = 1,
) -> StatisticsReport:
    """Measure every recording once to its end, or for `seconds`, and the made markets beside it.

    `sources` are words and paths as for a simulator; nothing stands for "demo" and "agents".
    `symbols` adds symbols that no recording holds, in every category asked for (linear, unless
    said); without recordings they are all there is, BTCUSDT alone unless said.

    Raises:
        ConfigError: a source that can't be read, two recordings of one symbol, wrong seconds.
    """
    wanted = tuple(sources) or SOURCES_DEFAULT
    recorded = _recorded(wanted, seconds)
    words = [str(word) for word in dict.fromkeys(wanted) if word in _MADE]
    report: list[Comparison] = []
    found = tuple(dict.fromkeys(instrument.category for instrument, _ in recorded))
    for category in categories or found or (Category.LINEAR,):
        known = {i.symbol: (i, found) for i, found in recorded if i.category is category}
        instruments = [i for i, _ in known.values()]
        for name in _names(symbols, has_recordings=bool(recorded)):
            if name not in known:
                instruments.append(instrument_for(category, name))
        if not instruments:
            continue
        intervals = {name: _interval_ms(found) for name, (_, found) in known.items()}
        made = [
            measure(
                _make(word, instruments, seed),
                instruments,
                seconds=seconds,
                seed=seed,
                interval_ms=intervals,
                name=word,
            )
            for word in words
        ]
        for place, instrument in enumerate(instruments):
            report.append(
                Comparison(
                    category=category.value,
                    symbol=instrument.symbol,
                    recording=known[instrument.symbol][1] if instrument.symbol in known else None,
                    made=[rows[place] for rows in made],
                )
            )
    return StatisticsReport(seed=seed, seconds=seconds, symbols=report)


def _recorded(
    sources: Sequence[str | Path], seconds: float
) -> list[tuple[VenueInstrument, MarketStatistics]]:
    found: list[tuple[VenueInstrument, MarketStatistics]] = []
    for source in sources:
        if source in _MADE:
            continue
        names = DEMO_FILES if source == "demo" else ()
        for path in [sample_path(name) for name in names] or [Path(source)]:
            recording: Recording = open_recording(path, Random(0), after_end=AfterEnd.STOP)
            instruments = list(recording.instruments.values())
            for instrument in instruments:
                if any(instrument.key == other.key for other, _ in found):
                    raise ConfigError(f"{instrument.symbol} is in {path} and in another recording")
            rows = measure(recording, instruments, seconds=seconds)
            found += zip(instruments, rows, strict=True)
    return found


def _names(symbols: Sequence[str] | int | None, *, has_recordings: bool) -> Sequence[str]:
    if symbols is None:
        return () if has_recordings else ("BTCUSDT",)
    return symbols_of_count(symbols) if isinstance(symbols, int) else list(dict.fromkeys(symbols))


def _make(word: str, instruments: Sequence[VenueInstrument], seed: int) -> MarketSource:
    return _MADE[word](instruments, Random(seed))


def _interval_ms(recording: MarketStatistics) -> float:
    """The interval a recording was gathered over, 0 when its updates came as they happened."""
    middle, late = recording.update_gap_ms_p50, recording.update_gap_ms_p90
    if middle is None or late is None or middle < _GATHERED_MS_MIN or late > _EVEN * middle:
        return 0.0
    return float(round(middle))
