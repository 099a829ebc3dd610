"""A market of agents with accounts on it, in process and under a virtual clock."""

from decimal import Decimal
from random import Random
from typing import Any

from tests.unit.simulator.oracle import START_NS
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import units_to_text
from tickwright.simulator.book import VenueBook
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.private import PrivateOptions
from tickwright.simulator.private.accounts import AccountSpec
from tickwright.simulator.private.records import ExecutionRecord, VenueOrder
from tickwright.simulator.private.requests import CancelAllRequest, CreateRequest, read_request
from tickwright.simulator.sources.agents import AgentsSource, AgentsStyle
from tickwright.simulator.sources.operations import PublicTrade
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue

__all__ = ["MS", "STILL", "Pit"]

MS = 1_000_000
RARE = 1e-9
STILL = AgentsStyle(
    maker_rate=RARE, noise_rate=RARE, taker_rate=RARE, trend_rate=RARE, news_rate=RARE
)
"""Agents that built a book and then do nothing: a test gives a rate to those it is about."""


class Pit:
    """One symbol traded by agents and by accounts that hold 1,000,000 USDT each."""

    def __init__(
        self,
        symbol: str = "BTCUSDT",
        *,
        seed: int = 1,
        style: AgentsStyle | None = None,
        accounts: int = 1,
    ) -> None:
        self.instrument = instrument_for(Category.LINEAR, symbol)
        source = AgentsSource([self.instrument], Random(seed), style)
        self.venue = SimulatedVenue(
            [self.instrument], [source], rng=Random(seed), start_ns=START_NS
        )
        specs = tuple(
            AccountSpec(f"key{n}", f"secret{n}", (("USDT", Decimal(1_000_000)),))
            for n in range(accounts)
        )
        options = PrivateOptions(accounts=specs, rate_scale=1_000)
        self.whole = WholeVenue(self.venue, FaultBoard(Random(0)), options)
        self.users = list(self.whole.accounts.by_uid.values())
        self.market = self.venue.markets[self.instrument.key]
        self.book: VenueBook = self.market.book
        self.trades: list[tuple[int, PublicTrade]] = []
        self.book.on_external_trade(lambda book, trade, now_ns: self.trades.append((now_ns, trade)))

    @property
    def bid(self) -> int:
        return self.book.bids.keys[-1]

    @property
    def ask(self) -> int:
        return -self.book.asks.keys[-1]

    def run(self, ms: float) -> None:
        self.venue.advance(self.venue.now_ns + int(ms * MS))

    def order(
        self,
        side: str,
        size_units: int,
        price_units: int | None = None,
        *,
        user: int = 0,
        **body: Any,
    ) -> VenueOrder:
        """Send an order and let it reach the book, before anything else happens there."""
        instrument = self.instrument
        base = {
            "category": "linear",
            "symbol": instrument.symbol,
            "side": side,
            "orderType": "Market" if price_units is None else "Limit",
            "qty": units_to_text(size_units, instrument.size_decimals),
        }
        if price_units is not None:
            base["price"] = units_to_text(price_units, instrument.price_decimals)
        order = self.whole.desk.create(self.users[user], read_request(base | body, CreateRequest))
        self.venue.advance(self.venue.now_ns)
        return order

    def cancel_all(self, user: int = 0) -> None:
        body = {"category": "linear", "symbol": self.instrument.symbol}
        self.whole.desk.cancel_all(self.users[user], read_request(body, CancelAllRequest))
        self.venue.advance(self.venue.now_ns)

    def fills(self, user: int = 0) -> list[ExecutionRecord]:
        return list(self.whole.desk.stores[self.users[user].uid].executions)

    def depth(self, side: Side, levels: int) -> int:
        return sum(size for _, size in self.book.levels(side, levels))
