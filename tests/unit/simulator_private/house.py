"""A still market with accounts on it, in process and under a virtual clock."""

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.private.accounts import Account, Accounts, AccountSpec
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.ledger import Ledger
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.requests import (
    AmendRequest,
    CancelAllRequest,
    CancelRequest,
    CreateRequest,
    read_request,
)
from tickwright.simulator.private.shapes import Row
from tickwright.simulator.sources.operations import BookReset, PublicTrade, TimedOperation
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["START_NS", "House", "StillSource"]

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


class StillSource:
    """Ten levels of one coin a side around 60,000, one tick apart, and then silence."""

    def __init__(self, category: Category, size_units: int) -> None:
        self.category = category
        self._size = size_units

    def has(self, symbol: str) -> bool:
        return symbol == "BTCUSDT"

    def label(self, symbol: str) -> str:
        return "still"

    def operations(self) -> Iterator[TimedOperation]:
        bids = [(6_000_000 - 100 * n, self._size) for n in range(1, 11)]
        asks = [(6_000_000 + 100 * n, self._size) for n in range(1, 11)]
        yield 0, "BTCUSDT", BookReset(bids, asks)


class House:
    """Two accounts on BTCUSDT linear and spot: bids from 59,999, asks from 60,001, 1 BTC each."""

    def __init__(self, *, balances: str = "10000", latency_ns: int = 0, accounts: int = 2) -> None:
        linear = instrument_for(Category.LINEAR, "BTCUSDT")
        spot = instrument_for(Category.SPOT, "BTCUSDT")
        sources = [
            StillSource(Category.LINEAR, 10**linear.size_decimals),
            StillSource(Category.SPOT, 10**spot.size_decimals),
        ]
        self.venue = SimulatedVenue([linear, spot], sources, rng=Random(1), start_ns=START_NS)
        self.ledger = Ledger()
        specs = tuple(
            AccountSpec(f"key{n}", f"secret{n}", (("USDT", Decimal(balances)),))
            for n in range(accounts)
        )
        self.accounts = Accounts(specs, self.ledger, START_NS // MS)
        self.published: list[tuple[Account, str, list[Row]]] = []
        self.desk = Desk(
            self.venue,
            self.accounts,
            self.ledger,
            Random(2),
            lambda account, topic, rows: self.published.append((account, topic, rows)),
            latency_ns=latency_ns,
        )
        self.users = list(self.accounts.by_uid.values())
        self.linear = self.venue.markets[Category.LINEAR, "BTCUSDT"]
        self.spot = self.venue.markets[Category.SPOT, "BTCUSDT"]

    def run(self, ms: int = 1) -> None:
        """Let venue time pass."""
        self.venue.advance(self.venue.now_ns + ms * MS)

    def accept(self, user: int = 0, **body: Any) -> VenueOrder:
        """Send a create and take the answer, before the book has seen it; linear by default."""
        base: dict[str, Any] = {
            "category": "linear",
            "symbol": "BTCUSDT",
            "orderType": "Limit" if "price" in body else "Market",
        }
        return self.desk.create(self.users[user], read_request(base | body, CreateRequest))

    def create(self, user: int = 0, **body: Any) -> VenueOrder:
        """Send a create and let it reach the book."""
        order = self.accept(user, **body)
        self.run()
        return order

    def amend(self, order: VenueOrder, **body: Any) -> None:
        """Amend an order and let it reach the book."""
        base = {"category": order.category.value, "symbol": "BTCUSDT", "orderId": order.order_id}
        self.desk.amend(order.account, read_request(base | body, AmendRequest))
        self.run()

    def cancel(self, order: VenueOrder) -> None:
        """Cancel an order and let it reach the book."""
        base = {"category": order.category.value, "symbol": "BTCUSDT", "orderId": order.order_id}
        self.desk.cancel(order.account, read_request(base, CancelRequest))
        self.run()

    def cancel_all(self, user: int = 0, **body: Any) -> list[VenueOrder]:
        """Cancel many and let it reach the book."""
        chosen = self.desk.cancel_all(self.users[user], read_request(body, CancelAllRequest))
        self.run()
        return chosen

    def trade(self, side: str, price: int, size: int, *, spot: bool = False) -> None:
        """Print an external trade, price and size in units."""
        market = self.spot if spot else self.linear
        trade = PublicTrade(SIDES[side], price, size)
        self.venue.print_trade(market.book, trade.side, price, size)
        market.book.external_trade(trade, self.venue.now_ns)

    def rows(self, topic: str, user: int = 0) -> list[Row]:
        """Return every row an account was told on a topic so far."""
        return [
            row
            for account, told, rows in self.published
            if told == topic and account is self.users[user]
            for row in rows
        ]

    def balance(self, asset: str = "USDT", user: int = 0) -> int:
        """Return a wallet balance in money units."""
        return self.users[user].ledger.wallet.get(asset, 0)
