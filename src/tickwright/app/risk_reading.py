"""Owns reading a whole trading state from the venues without a trader; refuses to send any order.

It asks by REST alone and feeds the answers to an engine of its own, by the same inputs in the same
order as a start of the trader does. Commands that the engine gives are dropped here: nothing in
this module can carry one out. What a run that is under way keeps in its memory (rates used, working
orders on their way, what strategies own since more than a day) isn't known here.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

from tickwright.app.config import Config
from tickwright.app.settings import trader_settings
from tickwright.app.simulated_side import SimulatedSide
from tickwright.app.trader_settings import FeedSettings, TraderSettings
from tickwright.app.venue_kit import BybitKit
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError, InstrumentUnknown
from tickwright.core.events import FundingUpdate, MarkPrice, StateRestored
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.nearest import nearest
from tickwright.engine.engine import Engine
from tickwright.engine.plan import build_engine
from tickwright.net.listener import utc_now_ns
from tickwright.net.trust import trusted_by
from tickwright.risk.stress import Conditions
from tickwright.storage.kept_state import read_kept_state

__all__ = ["Reading", "read_offline", "read_state"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A trading state as it was read. `unknown` says in words what it lacks."""

    engine: Engine
    books: dict[InstrumentId, OrderBook]
    conditions: Conditions
    mode: str
    now_ns: int
    unknown: tuple[str, ...]


def read_offline(config: Config) -> Reading:
    """Return what is known without asking anybody: limits and what risk kept.

    Raises:
        StorageError: the kept state can't be believed.
    """
    settings = trader_settings(config, now_ns=utc_now_ns())
    engine = _engine(settings, config)
    unknown = ["offline: no equity, position, order, price or book was asked for"]
    _restore(engine, settings, unknown)
    return Reading(engine, {}, Conditions(), _mode(settings), utc_now_ns(), tuple(unknown))


async def read_state(config: Config) -> Reading:
    """Ask the venues for everything that limits look at; simulated ones are started if need be.

    Raises:
        ConfigError, InstrumentUnknown: a venue lists no such symbol, or an address is missing.
        ConnectionLost, FrameError, VenueError: a venue couldn't be asked.
        StorageError: the kept state can't be believed.
    """
    async with contextlib.AsyncExitStack() as stack:
        said: list[str] = []
        side = SimulatedSide(on_remark=said.append, on_end=said.append)
        hosts = await side.start(config, stack)
        settings = trader_settings(config, now_ns=utc_now_ns(), simulated=hosts)
        kits = await stack.enter_async_context(_kits(settings))
        return await _Reader(config, settings, kits).read()


@contextlib.asynccontextmanager
async def _kits(settings: TraderSettings) -> AsyncIterator[dict[str, BybitKit]]:
    kits: dict[str, BybitKit] = {}
    try:
        for venue in settings.venues:
            trusted = trusted_by(venue.ca_file, f"venue {venue.name}: ca_file")
            kits[venue.name] = BybitKit(
                venue.name, venue.hosts, Random(settings.seed), ssl_context=trusted
            )
        yield kits
    finally:
        for kit in kits.values():
            await kit.aclose()


class _Reader:
    """One reading under way."""

    def __init__(self, config: Config, settings: TraderSettings, kits: dict[str, BybitKit]) -> None:
        self._settings = settings
        self._kits = kits
        self._engine = _engine(settings, config)
        self._instruments: dict[tuple[Category, str], Instrument] = {}
        self._books: dict[InstrumentId, OrderBook] = {}
        self._spreads: dict[InstrumentId, int] = {}
        self._rates: dict[InstrumentId, int] = {}
        self._unknown: list[str] = []

    async def read(self) -> Reading:
        """Ask in the order of a start: clock, rules, prices, what was kept, accounts, books."""
        settings, engine = self._settings, self._engine
        for kit in self._kits.values():
            engine.handle(await kit.measure_clock(), utc_now_ns())
        for feed in settings.feeds:
            await self._read_instruments(feed)
        for slot, (instrument_id, book) in enumerate(self._books.items()):
            engine.add_book(slot, book)
            await self._read_prices(self._kits[instrument_id.venue], book)
        _restore(engine, settings, self._unknown)
        if settings.paper is None:
            await self._read_accounts()
        else:
            self._unknown.append("paper accounts live in their run: equity and positions there")
        # Last, so that they are young when orders are judged by their age.
        for instrument_id, book in self._books.items():
            await self._read_book(self._kits[instrument_id.venue], book)
        if settings.accounts and settings.paper is None:
            self._unknown.append("a run under way: its order rates and its requests on their way")
        return Reading(
            engine=engine,
            books=self._books,
            conditions=Conditions(spread_units=self._spreads, funding_rate_e9=self._rates),
            mode=_mode(settings),
            now_ns=utc_now_ns(),
            unknown=tuple(self._unknown),
        )

    async def _read_instruments(self, feed: FeedSettings) -> None:
        options = feed.options
        market = self._kits[options.venue].market
        if market is None:
            raise ConfigError(f"venue {options.venue}: `risk` reads by REST; give rest_url")
        listed = {one.symbol: one for one in await market.instruments(options.category)}
        for symbol in feed.symbols:
            instrument = listed.get(symbol)
            if instrument is None:
                raise InstrumentUnknown(
                    f"{options.venue} lists no {options.category.value} symbol {symbol}; "
                    f"{nearest(symbol, listed, what='symbols')[:200]}"
                )
            self._instruments[options.category, symbol] = instrument
            self._books[instrument.id] = OrderBook(instrument, capacity=options.capacity)

    async def _read_prices(self, kit: BybitKit, book: OrderBook) -> None:
        assert kit.market is not None
        for event in await kit.market.ticker(book.instrument):
            if isinstance(event, FundingUpdate):
                self._rates[event.instrument_id] = event.rate_e9
            if isinstance(event, (MarkPrice, FundingUpdate)):
                self._engine.handle(event, utc_now_ns())

    async def _read_accounts(self) -> None:
        for account in self._settings.accounts:
            kit = self._kits[account.account_id.venue]
            client = kit.client(account.account_id, account.credentials, self._instrument_of)
            report = await client.sync(account.categories, since_ns=0)
            self._engine.handle(report, utc_now_ns())
            if client.unlisted_rows:
                self._unknown.append(
                    f"{account.account_id}: {client.unlisted_rows} rows of instruments that no "
                    "strategy trades"
                )

    async def _read_book(self, kit: BybitKit, book: OrderBook) -> None:
        assert kit.market is not None
        found = await kit.market.book(book.instrument, limit=book.capacity)
        now_ns = utc_now_ns()
        if found.bids and found.asks:
            book.apply_snapshot(
                found.bids,
                found.asks,
                update_id=found.update_id,
                received_ns=now_ns,
                sequence=found.sequence,
                venue_ns=found.venue_ns,
            )
        twice, portfolio = book.mid_twice_units, self._engine.state.portfolio
        if twice is not None and portfolio.mark(book.instrument_id) is None:
            # Spot has no mark: the mid stands for it, as in a run.
            portfolio.set_mark(book.instrument_id, twice // 2, now_ns=now_ns, mid_twice_units=twice)
        if book.spread_units is not None:
            self._spreads[book.instrument_id] = book.spread_units
        else:
            self._unknown.append(f"{book.instrument_id}: its book has an empty side")

    def _instrument_of(self, category: Category, symbol: str) -> Instrument:
        instrument = self._instruments.get((category, symbol))
        if instrument is None:
            raise InstrumentUnknown(f"{category.value} {symbol} is not among the configured ones")
        return instrument


def _engine(settings: TraderSettings, config: Config) -> Engine:
    """Return an engine that knows the strategies' names and runs none of them."""
    engine = build_engine(settings.plan, epoch=1, seed=settings.seed, now_ns=utc_now_ns())
    for strategy in config.strategies:
        engine.state.client_ids.register(strategy.id)
    return engine


def _restore(engine: Engine, settings: TraderSettings, unknown: list[str]) -> None:
    if settings.has_fresh_accounts:
        return
    kept = read_kept_state(settings.state_folder)
    if kept is not None:
        engine.handle(StateRestored(kept), utc_now_ns())
    else:
        unknown.append("no run kept its day's start and peak: they count from now")


def _mode(settings: TraderSettings) -> str:
    return "+".join(sorted({venue.mode for venue in settings.venues}))
