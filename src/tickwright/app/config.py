"""Owns a configuration as a whole: read once, checked before anything starts, every mistake told.

The file holds no secret. Keys come from the environment (`TICKWRIGHT_<ACCOUNT>_API_KEY` and
`..._API_SECRET`) or from an account's `key_file`, which only its owner may read; an account at the
simulated venue has a key by default.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from tickwright.app.account_keys import AccountKey, read_keys, read_toml
from tickwright.app.config_faults import Fault, config_error, read_struct, told, within
from tickwright.app.config_model import SOURCE_WORDS, ConfigFile, StrategyConfig
from tickwright.app.strategy_source import load_strategy, resolved_source
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, Category, StrategyId
from tickwright.core.nearest import nearest
from tickwright.engine.config import EngineConfig
from tickwright.execution.client_ids import ClientIds
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.strategy import Strategy, StrategyParameters
from tickwright.venues.bybit.sign import Credentials, Secret

__all__ = ["Config", "LoadedStrategy", "confirm_mainnet", "load_config"]

CONFIG_BYTES_MAX = 1_000_000
_RESERVED_IDS = ("all", "engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStrategy:
    """One configured strategy, its class found and its parameters checked.

    `source` finds the class again from anywhere: a file stands with its whole path.
    """

    id: StrategyId
    source: str
    account: str
    venue: str
    category: Category
    symbols: tuple[str, ...]
    kind: type[Strategy]
    parameters: StrategyParameters

    def make(self) -> Strategy:
        """Return a fresh instance."""
        return self.kind()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration found good. `file` holds the tables, `engine` the settings of the engine."""

    path: Path
    file: ConfigFile
    engine: EngineConfig
    strategies: tuple[LoadedStrategy, ...]
    keys: dict[str, AccountKey]

    def account_id(self, account: str) -> AccountId:
        """Return the id of a configured account: its venue's kind and its own name."""
        return AccountId(self.file.venues[self.file.accounts[account].venue].kind, account)

    def credentials(self, account: str) -> Credentials:
        """Return what signs an account's requests."""
        key = self.keys[account]
        return Credentials(key.api_key, Secret(key.api_secret.get_secret_value()))

    def symbols(self, venue: str, category: Category) -> tuple[str, ...]:
        """Return what the strategies trade at a venue's product line, in the order they say it."""
        wanted: dict[str, None] = {}
        for strategy in self.strategies:
            if strategy.venue == venue and strategy.category is category:
                wanted |= dict.fromkeys(strategy.symbols)
        return tuple(wanted)

    def session_dir(self) -> Path:
        """Return where sessions are kept."""
        return self.path.parent / self.file.session.dir

    def mainnet_accounts(self) -> list[str]:
        """Return the accounts that trade real money."""
        if self.file.is_paper:
            return []
        return [
            name
            for name, account in self.file.accounts.items()
            if self.file.venues[account.venue].env == "mainnet"
        ]

    def summary(self) -> str:
        """Say in a few words what it trades."""
        symbols = sum(len(strategy.symbols) for strategy in self.strategies)
        paper = "paper, " if self.file.is_paper else ""
        return (
            f"{paper}venues: {len(self.file.venues)}, accounts: {len(self.file.accounts)}, "
            f"strategies: {len(self.strategies)}, books: {symbols}"
        )


def load_config(path: Path, *, needs_keys: bool = True) -> Config:
    """Read and check a configuration file whole; nothing is started.

    Who sends no orders needs no keys: then none is looked for, and none is read.

    Raises:
        ConfigError: lists every mistake with its key, value and remedy.
    """
    table = read_toml(path, CONFIG_BYTES_MAX)
    folder = path.parent
    faults: list[Fault] = []
    try:
        file = ConfigFile.model_validate(table)
    except ValidationError as error:
        faults = told(error.errors(), ConfigFile)
        raise config_error(path, faults + _faults_of_raw(table, folder)) from None
    _check_venues(file, folder, faults)
    keys = read_keys(file, folder, faults) if needs_keys else {}
    strategies = _strategies(file, folder, faults)
    engine = _engine(file, faults)
    _check_names(file, faults)
    _check_run(file, strategies, faults)
    _check_one_world(file, faults)
    _check_paper(file, faults)
    if faults or engine is None:
        raise config_error(path, faults)
    return Config(path=path, file=file, engine=engine, strategies=tuple(strategies), keys=keys)


def _check_paper(file: ConfigFile, faults: list[Fault]) -> None:
    for name in file.paper.accounts:
        if name not in file.accounts:
            hint = nearest(name, file.accounts, what="accounts")
            faults.append(Fault(f"paper.accounts.{name}", f"no such account; {hint}"))
    has_contracts = any(strategy.category == "linear" for strategy in file.strategies)
    if file.is_paper and has_contracts and "ticker" not in file.feed.market_topics:
        text = "paper mode values and funds positions by the ticker: add it"
        faults.append(Fault("feed.market_topics", text, str(list(file.feed.market_topics))))


def confirm_mainnet(config: Config, confirmed: list[str]) -> None:
    """Refuse to trade real money that nobody asked for by name.

    Raises:
        ConfigError: a mainnet account isn't among the confirmed ones, or one of these isn't one.
    """
    accounts = config.mainnet_accounts()
    for name in confirmed:
        if name not in accounts:
            raise ConfigError(
                f"--yes-mainnet {name}: that is no mainnet account; "
                f"{nearest(name, accounts, what='mainnet accounts')}"
            )
    missing = [name for name in accounts if name not in confirmed]
    if missing:
        wanted = " ".join(f"--yes-mainnet {name}" for name in missing)
        raise ConfigError(
            f"account {', '.join(missing)} trades real money on mainnet: say so with {wanted}"
        )


def _check_venues(file: ConfigFile, folder: Path, faults: list[Fault]) -> None:
    for name, venue in file.venues.items():
        key = f"venues.{name}"
        try:
            hosts = venue.hosts()
        except ConfigError as error:
            faults.append(Fault(key, str(error)))
            continue
        if venue.env == "simulator" and not venue.starts_simulator:
            parts = ("rest", "public") if file.is_paper else ("rest", "public", "private")
            absent = [f"{part}_url" for part in parts if not getattr(hosts, part)]
            if absent:
                faults.append(
                    Fault(key, f"a running simulator needs {', '.join(absent)} too; or give no URL")
                )
            if venue.simulator is not None:
                faults.append(
                    Fault(
                        f"{key}.simulator", "only for a simulator the run starts: remove the URLs"
                    )
                )
        elif venue.env != "simulator" and venue.simulator is not None:
            faults.append(Fault(f"{key}.simulator", f"env is {venue.env}: remove this table"))
        if venue.ca_file is not None and not (folder / venue.ca_file).is_file():
            faults.append(Fault(f"{key}.ca_file", "there is no such file", str(venue.ca_file)))
        if venue.simulator is not None:
            for source in venue.simulator.sources:
                if source not in SOURCE_WORDS and not (folder / source).is_file():
                    text = "write demo, synthetic, agents or the path of a recording"
                    faults.append(Fault(f"{key}.simulator.sources", text, repr(source)))
            if {"agents", "synthetic"} <= set(venue.simulator.sources):
                text = "synthetic and agents both make every symbol: choose one"
                faults.append(Fault(f"{key}.simulator.sources", text))
            elif "agents" in venue.simulator.sources and venue.simulator.rate:
                text = "is for synthetic symbols: agents trade at their own pace"
                faults.append(Fault(f"{key}.simulator.rate", text))


# strategies -------------------------------------------------------------------------------------


def _strategies(file: ConfigFile, folder: Path, faults: list[Fault]) -> list[LoadedStrategy]:
    loaded = []
    seen: set[str] = set()
    ids = ClientIds(0)
    for index, wanted in enumerate(file.strategies):
        key = f"strategies[{index}]"
        try:
            if wanted.id in _RESERVED_IDS:
                raise ConfigError("is reserved: choose another id")
            if wanted.id in seen:
                raise ConfigError("is taken: every strategy needs an id of its own")
            seen.add(wanted.id)
            ids.register(StrategyId(wanted.id))
        except ConfigError as error:
            faults.append(Fault(f"{key}.id", str(error), repr(wanted.id)))
        if len(set(wanted.symbols)) < len(wanted.symbols):
            twice = sorted({s for s in wanted.symbols if wanted.symbols.count(s) > 1})
            faults.append(Fault(f"{key}.symbols", f"named twice: {', '.join(twice)}"))
        venue = _venue_of(wanted, key, file, faults)
        made = _loaded(wanted, key, venue, folder, faults)
        if made is not None:
            loaded.append(made)
    return loaded


def _venue_of(wanted: StrategyConfig, key: str, file: ConfigFile, faults: list[Fault]) -> str:
    account = file.accounts.get(wanted.account)
    if account is None:
        hint = nearest(wanted.account, file.accounts, what="accounts")
        faults.append(Fault(f"{key}.account", f"no such account; {hint}", repr(wanted.account)))
        return ""
    if wanted.venue is not None and wanted.venue != account.venue:
        text = f"account {wanted.account} is at {account.venue}: leave venue out"
        faults.append(Fault(f"{key}.venue", text, repr(wanted.venue)))
    return account.venue


def _loaded(
    wanted: StrategyConfig, key: str, venue: str, folder: Path, faults: list[Fault]
) -> LoadedStrategy | None:
    found = _strategy(wanted.strategy, wanted.parameters, key, folder, faults)
    if found is None:
        return None
    kind, read = found
    return LoadedStrategy(
        id=StrategyId(wanted.id),
        source=resolved_source(wanted.strategy, folder=folder),
        account=wanted.account,
        venue=venue,
        category=Category(wanted.category),
        symbols=wanted.symbols,
        kind=kind,
        parameters=read,
    )


def _strategy(
    source: str, parameters: dict[str, Any], key: str, folder: Path, faults: list[Fault]
) -> tuple[type[Strategy], StrategyParameters] | None:
    try:
        kind = load_strategy(source, folder=folder)
    except ConfigError as error:
        faults.append(Fault(f"{key}.strategy", str(error)))
        return None
    read = read_struct(kind.Parameters, parameters)
    if isinstance(read, list):
        faults += [within(f"{key}.parameters", fault) for fault in read]
        return None
    return kind, read


def _faults_of_raw(table: dict[str, object], folder: Path) -> list[Fault]:
    """Look at the strategies of a file that has other mistakes, so that all are told at once."""
    faults: list[Fault] = []
    entries = table.get("strategies")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            source, parameters = entry.get("strategy"), entry.get("parameters", {})
            if isinstance(source, str) and source and isinstance(parameters, dict):
                _strategy(source, parameters, f"strategies[{index}]", folder, faults)
    return faults


# the engine and what concerns several tables ----------------------------------------------------


def _engine(file: ConfigFile, faults: list[Fault]) -> EngineConfig | None:
    risk = msgspec.structs.replace(file.risk, sizing=file.sizing)
    account_risk: dict[str, RiskLimits] = {}
    base = {
        name: getattr(file.risk, name)
        for name in file.risk.__struct_fields__
        if name not in ("sizing", "groups", "strategies", "symbols")
    }
    for name, account in file.accounts.items():
        if not account.risk or account.venue not in file.venues:
            continue
        wanted = {**base, **account.risk}
        protections = account.risk.get("protections")
        if isinstance(protections, dict):
            # A table of tables: what the account doesn't name is everybody's.
            common = msgspec.to_builtins(file.risk.protections, builtin_types=(Decimal,))
            wanted["protections"] = {**common, **protections}
        read = read_struct(RiskLimits, wanted, hidden=("sizing",))
        if isinstance(read, list):
            faults += [within(f"accounts.{name}.risk", fault) for fault in read]
        else:
            kind = file.venues[account.venue].kind
            account_risk[f"{kind}:{name}"] = msgspec.structs.replace(
                read,
                sizing=file.sizing,
                groups=read.groups or file.risk.groups,
                strategies=read.strategies or file.risk.strategies,
                symbols=read.symbols or file.risk.symbols,
            )
    run = file.run
    if faults:
        return None
    return EngineConfig(
        risk=risk,
        account_risk=account_risk,
        execution=file.execution,
        equity_asset=run.equity_asset,
        day_start_hour_utc=run.day_start_hour_utc,
        volatility_window_s=run.volatility_window_s,
        volatility_horizon_s=run.volatility_horizon_s,
    )


def _check_names(file: ConfigFile, faults: list[Fault]) -> None:
    """Limits for a strategy or symbol that isn't there would silently limit nothing."""
    ids = [strategy.id for strategy in file.strategies]
    for name in file.risk.strategies:
        if name not in ids:
            hint = nearest(name, ids, what="strategies")
            faults.append(Fault(f"risk.strategies.{name}", f"no such strategy; {hint}"))
    for name in file.execution.strategy_exits:
        if name not in ids:
            hint = nearest(name, ids, what="strategies")
            faults.append(Fault(f"execution.strategy_exits.{name}", f"no such strategy; {hint}"))
    symbols = sorted({symbol for strategy in file.strategies for symbol in strategy.symbols})
    for name in file.risk.symbols:
        if name.rpartition(":")[2] not in symbols:
            hint = nearest(name, symbols, what="traded symbols")
            faults.append(Fault(f"risk.symbols.{name}", f"no strategy trades it; {hint}"))
    named = [("risk.symbols_denied", file.risk.symbols_denied)]
    named += [(f"risk.groups.{group.name}.symbols", group.symbols) for group in file.risk.groups]
    for key, members in named:
        for name in members:
            if name.rpartition(":")[2] not in symbols:
                hint = nearest(name, symbols, what="traded symbols")
                faults.append(Fault(key, f"no strategy trades {name!r}; {hint}"))
    _check_protection_names(file, ids, symbols, faults)


def _check_protection_names(
    file: ConfigFile, ids: list[str], symbols: list[str], faults: list[Fault]
) -> None:
    protections = {"": file.risk.protections}
    for account, held in file.accounts.items():
        own = held.risk.get("protections")
        if isinstance(own, dict):
            read = read_struct(ProtectionLimits, own)
            if not isinstance(read, list):
                protections[f"accounts.{account}."] = read
    for where, limits in protections.items():
        for kind, names, known in (
            ("strategies", tuple(limits.strategies), ids),
            ("symbols", tuple(limits.symbols), symbols),
        ):
            for name in names:
                if name.rpartition(":")[2] not in known:
                    hint = nearest(name, known, what=f"traded {kind}")
                    text = f"nothing of this name trades; {hint}"
                    faults.append(Fault(f"{where}risk.protections.{kind}.{name}", text))


def _check_one_world(file: ConfigFile, faults: list[Fault]) -> None:
    """Books and accounts are known by the venue's kind: two worlds of one kind would mix."""
    used: dict[str, str] = {}
    for account in file.accounts.values():
        venue = file.venues.get(account.venue)
        if venue is None:
            continue
        first = used.setdefault(venue.kind, account.venue)
        if first != account.venue:
            text = f"one process trades in one {venue.kind} world, and {first} is in use already"
            fault = Fault(f"venues.{account.venue}", text)
            if fault not in faults:
                faults.append(fault)


def _check_run(file: ConfigFile, strategies: list[LoadedStrategy], faults: list[Fault]) -> None:
    if not file.strategies:
        faults.append(Fault("strategies", "is missing: add at least one [[strategies]] table"))
    if file.run.busy_poll and file.run.coalesce_us:
        faults.append(Fault("run.busy_poll", "excludes run.coalesce_us: choose one of them"))
    for name, world in file.venues.items():
        is_demo = world.simulator is not None and "demo" in world.simulator.sources
        if is_demo and any(s.venue == name and s.category is Category.SPOT for s in strategies):
            text = "the demo's recordings are linear, and a strategy trades spot: write synthetic"
            faults.append(Fault(f"venues.{name}.simulator.sources", text))
    for venue in file.venues:
        for category in Category:
            books = {
                symbol
                for strategy in strategies
                if strategy.venue == venue and strategy.category is category
                for symbol in strategy.symbols
            }
            if len(books) > file.feed.books_max:
                text = (
                    f"the strategies need {len(books)} {category.value} books at {venue}: raise it"
                )
                faults.append(Fault("feed.books_max", text, str(file.feed.books_max)))
