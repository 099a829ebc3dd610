"""Owns turning a checked configuration into what a trading process takes; checks nothing again."""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tickwright.app.config import Config, LoadedStrategy
from tickwright.app.config_model import SOURCE_WORDS, VenueConfig
from tickwright.app.paper_settings import PaperSettings, state_folder
from tickwright.app.trader_settings import (
    AccountSettings,
    FeedSettings,
    TraderSettings,
    VenueSettings,
)
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import SelfTradeRule
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.venues.bybit.hosts import Hosts

__all__ = ["simulator_arguments", "trader_settings", "trading_plan"]


def trading_plan(config: Config) -> TradingPlan:
    """Return what decisions depend on besides inputs; strategy files by their whole path."""
    return TradingPlan(
        engine=config.engine,
        accounts=tuple(str(config.account_id(name)) for name in config.file.accounts),
        strategies=tuple(
            StrategyPlan(
                strategy_id=strategy.id,
                source=strategy.source,
                account=str(config.account_id(strategy.account)),
                instruments=tuple(str(one) for one in _instruments(config, strategy)),
                parameters=msgspec.to_builtins(strategy.parameters),
            )
            for strategy in config.strategies
        ),
    )


def trader_settings(
    config: Config, *, now_ns: int, simulated: Mapping[str, Hosts] | None = None
) -> TraderSettings:
    """Return the settings of a run that starts at `now_ns` (it names the session's folder).

    `simulated` holds the addresses of the venues that the run started itself, by their names.
    """
    file = config.file
    used = {account.venue for account in file.accounts.values()}
    venues = {name: venue for name, venue in file.venues.items() if name in used}
    hosts = {name: venue.hosts() for name, venue in venues.items()} | dict(simulated or {})
    feeds = [
        FeedSettings(options=file.feed.options(venue.kind, category), symbols=symbols)
        for name, venue in venues.items()
        for category in Category
        if (symbols := config.symbols(name, category))
    ]
    return TraderSettings(
        plan=trading_plan(config),
        classes={strategy.source: strategy.kind for strategy in config.strategies},
        venues=tuple(
            VenueSettings(
                name=venue.kind,
                hosts=hosts[name],
                mode=venue.env,
                ca_file=None if venue.ca_file is None else config.path.parent / venue.ca_file,
            )
            for name, venue in venues.items()
        ),
        feeds=tuple(feeds),
        accounts=tuple(
            AccountSettings(
                account_id=config.account_id(name),
                credentials=config.credentials(name),
                categories=_categories(config, name),
                orders_by_rest=not (file.is_paper or hosts[account.venue].trade),
                batches_orders=account.batch,
                self_trade=SelfTradeRule(account.self_trade),
            )
            for name, account in file.accounts.items()
        ),
        state_folder=state_folder(config.session_dir(), is_paper=file.is_paper),
        session_folder=_session_folder(config, now_ns),
        session_options=file.session.options(),
        journal_sync=file.journal.sync,
        seed=file.run.seed,
        has_fresh_accounts=_begins_anew(config, venues),
        paper=_paper(config) if file.is_paper else None,
    )


def _paper(config: Config) -> PaperSettings:
    paper = config.file.paper
    wanted = {name: one.balances for name, one in paper.accounts.items()}
    folder = state_folder(config.session_dir(), is_paper=True)
    return PaperSettings(
        balances={
            name: tuple(wanted.get(name, paper.balances).items()) for name in config.file.accounts
        },
        latency_ms=paper.latency_ms,
        reply_ms=paper.reply_ms,
        ledger=folder / "paper.json",
        keeps=paper.keep,
    )


def _begins_anew(config: Config, venues: Mapping[str, VenueConfig]) -> bool:
    """Whether every account is made by the run: with its simulator, or as paper nobody keeps."""
    file = config.file
    if file.is_paper:
        return not file.paper.keep
    return all(venue.starts_simulator for venue in venues.values())


def simulator_arguments(config: Config, venue: str) -> list[str]:
    """Return the arguments of `tickwright simulate` for a venue that the run starts itself."""
    wanted = config.file.venues[venue].simulator
    traded = [symbol for category in Category for symbol in config.symbols(venue, category)]
    arguments: list[str] = []
    for symbol in dict.fromkeys(traded):
        arguments += ["--symbol", symbol]
    if wanted is None:
        return [*arguments, "--source", "demo"] if _is_linear(config, venue) else arguments
    for source in wanted.sources:
        is_word = source in SOURCE_WORDS
        arguments += ["--source", source if is_word else str(config.path.parent / source)]
    arguments += ["--speed", str(wanted.speed), "--rate", str(wanted.rate)]
    arguments += ["--seed", str(wanted.seed)]
    if wanted.loop:
        arguments.append("--loop")
    if wanted.faults is not None:
        arguments += ["--faults", str(config.path.parent / wanted.faults)]
    return arguments


def _is_linear(config: Config, venue: str) -> bool:
    return not config.symbols(venue, Category.SPOT)


def _instruments(config: Config, strategy: LoadedStrategy) -> list[InstrumentId]:
    kind = config.file.venues[strategy.venue].kind
    return [InstrumentId(kind, strategy.category, symbol) for symbol in strategy.symbols]


def _categories(config: Config, account: str) -> tuple[Category, ...]:
    found = {s.category: None for s in config.strategies if s.account == account}
    return tuple(found) or (Category.LINEAR,)


def _session_folder(config: Config, now_ns: int) -> Path | None:
    if not config.file.session.record:
        return None
    seconds, rest = divmod(now_ns, 1_000_000_000)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return config.session_dir() / f"{stamp}.{rest // 1_000_000:03d}Z"
