"""Owns the tape of a configuration's simulated market; refuses markets that aren't simulated.

It is the market that `tickwright run` would start for the same configuration, lived through in
virtual time: packaged recordings, agents or a synthetic one, from its seed.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.app.config_model import SOURCE_WORDS, SimulatorConfig, VenueConfig
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category, InstrumentId

if TYPE_CHECKING:
    from tickwright.backtest.tape import Tape
    from tickwright.core.instrument import Instrument
    from tickwright.simulator.venue import SimulatedVenue

__all__ = ["simulated_tape"]

DEPTH_DEFAULT = 50
_START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: a made market has no date, and the same one shall be the same bytes."""
_MADE_BY = 1
"""Counted up when the same settings would make another tape."""


def simulated_tape(
    venue: VenueConfig,
    instrument_ids: Sequence[InstrumentId],
    *,
    seconds: int,
    depth: int,
    home: Path,
    cache: Path,
    on_tape: Callable[[int], None] | None = None,
) -> "Tape":
    """Return the tape of so many seconds, made on first use and kept in `cache`.

    Paths of recordings count from `home`; `depth` 0 is the default.

    Raises:
        ConfigError: the venue isn't simulated, or its market can't be made.
    """
    from tickwright.backtest.from_market import tape_of_market
    from tickwright.backtest.tape import Tape

    if venue.env != "simulator":
        raise ConfigError(
            f"a simulated market needs a venue of env simulator, and this one's is {venue.env}: "
            "give --tape, --lake or --session"
        )
    wanted = venue.simulator or SimulatorConfig()
    levels = depth or DEPTH_DEFAULT
    names = [str(one) for one in instrument_ids]
    sources = [_stamped(one, home) for one in wanted.sources]
    held = [_MADE_BY, sources, wanted.seed, wanted.loop, names, seconds, levels]
    key = hashlib.blake2b(msgspec.json.encode(held), digest_size=12).hexdigest()
    folder = cache / f"simulated-{key}"
    if folder.exists():
        return Tape(folder)
    market = _market(wanted, instrument_ids, home)
    cache.mkdir(parents=True, exist_ok=True)
    return tape_of_market(
        market,
        [_instrument(market, one) for one in instrument_ids],
        folder,
        seconds=seconds,
        depth=levels,
        source=f"simulated: {', '.join(wanted.sources)}, seed {wanted.seed}, {seconds} s",
        on_progress=on_tape,
    )


def _stamped(source: str, home: Path) -> tuple[str, int, int]:
    """Name a source so that a changed file is another one."""
    if source in SOURCE_WORDS:
        return source, 0, 0
    path = (home / source).resolve()
    try:
        stat = path.stat()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return str(path), stat.st_size, stat.st_mtime_ns


def _market(
    wanted: SimulatorConfig, instrument_ids: Sequence[InstrumentId], home: Path
) -> "SimulatedVenue":
    from tickwright.simulator.run import SimulatorOptions, build_venue

    sources = [one if one in SOURCE_WORDS else home / one for one in wanted.sources]
    options = SimulatorOptions(
        symbols=list(dict.fromkeys(one.symbol for one in instrument_ids)),
        categories=tuple(one for one in Category if any(i.category is one for i in instrument_ids)),
        sources=sources,
        seed=wanted.seed,
        loop=wanted.loop,
    )
    return build_venue(options, start_ns=_START_NS)[0]


def _instrument(market: "SimulatedVenue", instrument_id: InstrumentId) -> "Instrument":
    """Return an instrument by the rules that the simulated venue lists it with."""
    from tickwright.simulator.instruments import instruments_info_row
    from tickwright.venues.bybit.instruments import InstrumentListing, page_of

    category = instrument_id.category
    known = market.markets.get((category, instrument_id.symbol))
    if known is None:
        raise ConfigError(f"the simulated market has no {instrument_id}")
    row = instruments_info_row(known.instrument)
    page = page_of(InstrumentListing(list=[row], category=category.value), category)
    assert not page.faults, page.faults
    return page.instruments[0]
