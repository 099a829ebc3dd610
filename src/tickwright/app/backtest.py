"""Owns what the verb `backtest` does: the tape a configuration means, and the run over it.

A tape is made once and kept beside the configuration; the same market asked for again is mapped
again. Refuses an instrument without rules, and to mix sources.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.app.config import Config
from tickwright.app.config_model import BacktestConfig, RulesConfig
from tickwright.app.settings import trading_plan
from tickwright.core.errors import ConfigError, UnitsError
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import SelfTradeRule
from tickwright.core.units import decimals_of, units_from_decimal

if TYPE_CHECKING:
    from tickwright.backtest.impact import ImpactSpec
    from tickwright.backtest.latency import LatencySpec
    from tickwright.backtest.run import BacktestSettings
    from tickwright.backtest.tape import Tape
    from tickwright.storage.lake.store import LakeStore

__all__ = ["MarketChoice", "backtest_settings", "instrument_of", "open_tape", "prepared"]

_FOREVER_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketChoice:
    """Name a recorded market, in place of the configuration's: one source at most, and bounds.

    The bounds are UTC ns; 0 leaves an end open.
    """

    tape: Path | None = None
    lake: str | None = None
    sessions: tuple[Path, ...] = ()
    simulated_seconds: int = 0
    from_ns: int = 0
    until_ns: int = 0


def prepared(
    config: Config,
    market: MarketChoice,
    *,
    seed: int | None = None,
    on_tape: Callable[[int], None] | None = None,
) -> "BacktestSettings":
    """Return the run of a configuration's strategies over its tape, or the one chosen.

    Raises:
        ConfigError, StorageError: as `open_tape`.
    """
    return backtest_settings(
        config,
        open_tape(config, market, on_tape=on_tape).folder,
        from_ns=market.from_ns,
        until_ns=market.until_ns,
        seed=seed,
    )


def backtest_settings(
    config: Config, tape: Path, *, from_ns: int = 0, until_ns: int = 0, seed: int | None = None
) -> "BacktestSettings":
    """Return what a backtest of a configuration depends on."""
    from tickwright.backtest.run import BacktestSettings
    from tickwright.backtest.venue import AccountTerms
    from tickwright.matching import QueueModel

    file, told = config.file, config.file.backtest
    wanted = {name: one.balances for name, one in file.paper.accounts.items()}
    accounts = {
        str(config.account_id(name)): AccountTerms(
            balances=tuple(wanted.get(name, file.paper.balances).items()),
            fees_ppm={Category.LINEAR: told.fees_linear_ppm, Category.SPOT: told.fees_spot_ppm},
            leverage=Decimal(told.leverage),
            self_trade=SelfTradeRule(account.self_trade),
        )
        for name, account in file.accounts.items()
    }
    if not accounts:
        raise ConfigError(f"{config.path}: a backtest needs an account; no [accounts.NAME] there")
    return BacktestSettings(
        tape=tape,
        plan=trading_plan(config),
        classes={one.source: one.kind for one in config.strategies},
        accounts=accounts,
        name=config.path.stem,
        seed=file.run.seed if seed is None else seed,
        feed=_latency(told.feed_ms, told.feed_samples_ms),
        orders=_latency(told.order_ms, told.order_samples_ms),
        responses=_latency(told.response_ms, told.response_samples_ms),
        rate_scale=told.rate_scale,
        queue=QueueModel[told.queue.upper()],
        queue_exponent=told.queue_exponent,
        impact=_impact(told),
        sample_ms=told.sample_ms,
        from_ns=from_ns,
        until_ns=until_ns,
    )


def _impact(told: BacktestConfig) -> "ImpactSpec | None":
    from tickwright.backtest.impact import NO_IMPACT, ImpactSpec

    if told.impact == NO_IMPACT:
        return None
    return ImpactSpec(
        permanent_bps_per_million=Decimal(str(told.impact_permanent_bps_per_million)),
        transient_bps_per_million=Decimal(str(told.impact_transient_bps_per_million)),
        # What never decays has no half life; any does.
        half_life_ms=Decimal(str(told.impact_half_life_ms or 1.0)),
    )


def _latency(ms: float | None, samples: tuple[float, ...]) -> "LatencySpec":
    from tickwright.backtest.latency import LatencySpec

    if samples:
        return LatencySpec(kind="samples", samples_ms=samples)
    return LatencySpec(kind="recorded") if ms is None else LatencySpec(ms=ms)


def open_tape(
    config: Config, market: MarketChoice, *, on_tape: Callable[[int], None] | None = None
) -> "Tape":
    """Return the tape that a configuration means; what is chosen goes before what it says.

    Raises:
        ConfigError: no source, or several; an instrument without rules.
        StorageError: the source is damaged, or holds nothing of an instrument.
    """
    from tickwright.backtest.tape import Tape

    told, home = config.file.backtest, config.path.parent
    tape, lake, sessions = market.tape, market.lake, market.sessions
    seconds = market.simulated_seconds
    if tape is None and lake is None and not sessions and not seconds:
        tape = None if told.tape is None else home / told.tape
        lake = told.lake
        sessions = tuple(home / one for one in told.sessions)
        seconds = told.simulated_seconds
    if [tape is not None, lake is not None, bool(sessions), seconds > 0].count(True) != 1:
        raise ConfigError(
            f"{config.path}: a backtest needs one of backtest.tape, backtest.lake, "
            "backtest.sessions and backtest.simulated_seconds "
            "(or --tape, --lake, --session, --simulated)"
        )
    if tape is not None:
        return _fitting(Tape(tape), config)
    if seconds:
        return _simulated(config, seconds, on_tape)
    from tickwright.app.lake import open_lake

    if lake is None:
        lake = str(_lake_of(sessions, home / told.cache))
    return _from_lake(config, open_lake(lake), market, on_tape)


def _simulated(config: Config, seconds: int, on_tape: Callable[[int], None] | None) -> "Tape":
    from tickwright.app.simulated_tape import simulated_tape

    told, home = config.file.backtest, config.path.parent
    names = {one.venue for one in config.strategies}
    if len(names) != 1:
        raise ConfigError(f"{config.path}: a simulated market is that of one venue")
    return simulated_tape(
        config.file.venues[names.pop()],
        _traded(config),
        seconds=seconds,
        depth=told.depth,
        home=home,
        cache=home / told.cache,
        on_tape=on_tape,
    )


def _lake_of(sessions: Sequence[Path], cache: Path) -> Path:
    """Return a lake that holds these sessions alone; what stands there already isn't read again."""
    from tickwright.app.lake import build_lake

    names = "\n".join(str(one.resolve()) for one in sessions)
    place = cache / f"lake-{hashlib.blake2b(names.encode(), digest_size=8).hexdigest()}"
    place.mkdir(parents=True, exist_ok=True)
    build_lake(
        list(sessions),
        str(place),
        instrument=None,
        allows_overlap=False,
        on_progress=lambda _name, _part: None,
    )
    return place


def _from_lake(
    config: Config,
    store: "LakeStore",
    market: MarketChoice,
    on_tape: Callable[[int], None] | None,
) -> "Tape":
    from tickwright.backtest.from_lake import tape_from_lake
    from tickwright.backtest.tape import Tape
    from tickwright.storage.lake.catalogue import Catalogue

    told, catalogue = config.file.backtest, Catalogue(store)
    instruments = [_instrument(one, store, told) for one in _traded(config)]
    # A book needs the snapshot before the first moment: whole days are taken, and bounded later.
    span = (_day_before(market.from_ns), _day_after(market.until_ns))
    # The notes whole, and whose: names alone are alike in two lakes, and in one that grew.
    place = store.place if "://" in store.place else str(Path(store.place).resolve())
    held = [place, catalogue.notes(), instruments, span, told.depth, told.starts_empty]
    key = hashlib.blake2b(msgspec.json.encode(held), digest_size=12).hexdigest()
    cache = config.path.parent / told.cache
    folder = cache / key
    if folder.exists():
        return Tape(folder)
    cache.mkdir(parents=True, exist_ok=True)
    return tape_from_lake(
        catalogue,
        instruments,
        folder,
        depths={one.id: told.depth for one in instruments},
        from_ns=span[0],
        until_ns=span[1],
        starts_empty=told.starts_empty,
        on_progress=on_tape,
    )


def _traded(config: Config) -> list[InstrumentId]:
    plan = trading_plan(config)
    names = dict.fromkeys(name for one in plan.strategies for name in one.instruments)
    if not names:
        raise ConfigError(f"{config.path}: no strategy trades anything")
    return [InstrumentId.parse(name) for name in names]


def _fitting(tape: "Tape", config: Config) -> "Tape":
    held = {one.id for one in tape.instruments}
    for one in _traded(config):
        if one not in held:
            listed = ", ".join(sorted(str(name) for name in held))
            raise ConfigError(f"{tape.folder} has no {one}; it holds {listed}")
    return tape


def _instrument(
    instrument_id: InstrumentId, store: "LakeStore", told: BacktestConfig
) -> Instrument:
    from tickwright.storage.lake.rules import read_rules

    given = told.rules.get(instrument_id.symbol)
    if given is not None:
        return instrument_of(instrument_id, given)
    known = read_rules(store, instrument_id)
    if known is None:
        raise ConfigError(
            f"{store.place} doesn't tell the rules of {instrument_id} (archives have none): give "
            f"them as [backtest.rules.{instrument_id.symbol}] with tick, lot, size_min, size_max "
            "and base_asset"
        )
    return known


def instrument_of(instrument_id: InstrumentId, rules: RulesConfig) -> Instrument:
    """Return an instrument of its configured rules; their digits say how fine its units are."""
    where = f"backtest.rules.{instrument_id.symbol}"
    prices, sizes = decimals_of(rules.tick), decimals_of(rules.lot)
    try:
        return Instrument(
            id=instrument_id,
            base_asset=rules.base_asset,
            quote_asset=rules.quote_asset,
            settle_asset=rules.settle_asset,
            price_decimals=prices,
            size_decimals=sizes,
            tick_units=units_from_decimal(rules.tick, prices),
            lot_units=units_from_decimal(rules.lot, sizes),
            size_min_units=units_from_decimal(rules.size_min, sizes),
            size_max_units=units_from_decimal(rules.size_max, sizes),
            market_size_max_units=units_from_decimal(rules.size_max, sizes),
            notional_min=rules.notional_min,
            leverage_max=rules.leverage_max,
        )
    except UnitsError as error:
        raise ConfigError(f"{where}: {error}") from None


def _day_before(moment_ns: int) -> int:
    day = 86_400 * 10**9
    return max(0, moment_ns // day * day) if moment_ns else 0


def _day_after(moment_ns: int) -> int:
    day = 86_400 * 10**9
    return -(-moment_ns // day) * day if moment_ns else _FOREVER_NS
