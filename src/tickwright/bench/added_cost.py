"""Owns what one part adds to a whole trader: two of them, with it and without it, alternating."""

from collections.abc import Sequence
from typing import Final

from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Contestant, Runs, Session
from tickwright.bench.tape import COMPOSED_SHAPE
from tickwright.bench.venue import listed_instruments, started_venue

__all__ = ["measure_added_cost"]

_SYMBOLS: Final = 50
_RATE: Final = 50_000
_ADDED_US_MOST: Final = 100.0
#: Each column with where a trader's report holds its figure, and in what words a target holds it.
_COLUMNS: Final[dict[str, tuple[str, int, tuple[str, ...], str]]] = {
    "p50": ("p50 us", 1, ("order_us", "p50"), ""),
    "p99": ("p99 us", 1, ("order_us", "p99"), "due to order bytes"),
    "call": ("due to strategy, p99 us", 1, ("latency_us", "p99"), "due to strategy call"),
    "inside": ("read to order, p99 us", 1, ("tick_to_order_us", "p99"), "read to order bytes"),
    "cpu": ("of a core", 3, ("cpu_share",), ""),
    "late": ("sender late p99 us", 1, ("sender_late_us", "p99"), ""),
}


def measure_added_cost(
    session: Session, part: str, where: str, flags: Sequence[str], columns: Sequence[str]
) -> tuple[Section, Runs]:
    """Return the section of a part (`history`, `mirror`) that `flags` add, and its runs with it."""
    frames, rounds = (20_000, 1) if session.quick else (100_000, 9)
    with started_venue(_SYMBOLS, is_quiet=True) as venue:
        listed = listed_instruments(venue, _SYMBOLS)
        folder = session.tape(COMPOSED_SHAPE, frames=frames, category="linear", listed=listed)
        account = ("--rest", venue.rest, "--private", venue.private)
        rows = [
            Contestant(
                "ours-trading", session.loop, label, f"/paced/rate={_RATE}", (*account, *more),
                "tickwright.bench.trading",
            )
            for label, more in (("whole trader", ()), (f"with a {part}", flags))
        ]  # fmt: skip
        with session.sender(folder) as url:
            without, with_it = session.alternate(rows, url=url, tape=folder, rounds=rounds)
    section = Section(
        f"{part}_cost",
        f"{_RATE:,} frames/s with and without a {part}{where}: due to order bytes "
        f"(median of {rounds} alternating runs)",
        [Column(name, *_COLUMNS[name][:2]) for name in columns],
    )
    for run in (without, with_it):
        found = {name: run.spread(*_COLUMNS[name][2]) for name in columns}
        section.add(run.contestant.label, **found)
    for _, _, keys, words in map(_COLUMNS.__getitem__, columns):
        if words:
            added = with_it.spread(*keys).median - without.spread(*keys).median
            section.aim(f"{words}, p99 added in us, at most 100", added, most=_ADDED_US_MOST)
    return section, with_it
