"""One mirrored market with an account on it: a live book that the test moves, no socket."""

from decimal import Decimal
from random import Random
from typing import Any

from tickwright.book.order_book import OrderBook
from tickwright.core.events import (
    BookState,
    FundingUpdate,
    IndexPrice,
    MarkPrice,
    Trade,
)
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.matching import BookOrder
from tickwright.simulator.mirror import mirror_of
from tickwright.simulator.private.accounts import Account, Accounts, AccountSpec
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.ledger import Ledger
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.requests import (
    CancelRequest,
    CreateRequest,
    read_request,
)
from tickwright.simulator.private.shapes import Row
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["BTC", "DEPTH", "START_NS", "MirroredHouse", "btc", "snapshot_of"]

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
DEPTH = 5
BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")


def btc(instrument_id: InstrumentId = BTC, **changes: Any) -> Instrument:
    """BTCUSDT in whole dollars and thousandths, so that tests read easily."""
    values: dict[str, Any] = {
        "id": instrument_id,
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "settle_asset": "USDT",
        "price_decimals": 0,
        "size_decimals": 3,
        "tick_units": 1,
        "lot_units": 1,
        "size_min_units": 1,
        "size_max_units": 10**9,
        "market_size_max_units": 10**9,
        "leverage_max": Decimal(100),
        "funding_interval_minutes": 480,
    }
    return Instrument(**{**values, **changes})


def snapshot_of(live: OrderBook, now_ns: int) -> None:
    """Give a live book bids from 99,000 and asks from 101,000."""
    live.apply_snapshot(
        [(99_000 - 1_000 * n, 10_000) for n in range(DEPTH)],
        [(101_000 + 1_000 * n, 10_000) for n in range(DEPTH)],
        update_id=1,
        sequence=1,
        venue_ns=now_ns,
        received_ns=now_ns,
    )


class MirroredHouse:
    """Bids 99, 98 ... and asks 101, 102 ... thousand: five levels a side of ten coins each."""

    def __init__(self, *, balance: str = "10000000") -> None:
        self.venue = SimulatedVenue([], [], rng=Random(1), start_ns=START_NS)
        self.mirror = mirror_of(self.venue, btc(), self.paid)
        self.ledger = Ledger()
        specs = (AccountSpec("key", "secret", (("USDT", Decimal(balance)),)),)
        self.accounts = Accounts(specs, self.ledger, START_NS // MS)
        self.user: Account = next(iter(self.accounts.by_uid.values()))
        self.told: list[tuple[str, Row]] = []
        self.fundings: list[int] = []
        self.desk = Desk(
            self.venue,
            self.accounts,
            self.ledger,
            Random(2),
            lambda account, topic, rows: self.told.extend((topic, row) for row in rows),
            has_funding=False,
        )
        self.live = OrderBook(btc(), capacity=DEPTH)
        self.mirror.book.attach(self.live)
        self.update = 0
        self.sequence = 1_000
        self.snapshot(
            {99_000 - 1_000 * n: 10_000 for n in range(DEPTH)},
            {101_000 + 1_000 * n: 10_000 for n in range(DEPTH)},
        )
        self.mirror.on_market(MarkPrice(BTC, 100_000, START_NS))

    def paid(self, market: Any, rate_e8: int) -> None:
        self.fundings.append(rate_e8)
        self.desk.pay_funding(market, rate_e8)

    # the live market ------------------------------------------------------------------------------

    def snapshot(self, bids: dict[int, int], asks: dict[int, int], *, sequence: int = 0) -> None:
        """Let a snapshot arrive and be followed."""
        self.update += 10
        self.sequence = sequence or self.sequence + 10
        self.live.apply_snapshot(
            sorted(bids.items(), reverse=True),
            sorted(asks.items()),
            update_id=self.update,
            sequence=self.sequence,
            venue_ns=self.venue.now_ns,
            received_ns=self.venue.now_ns,
        )
        assert self.live.state is BookState.SYNCED
        self.mirror.follow()

    def levels(
        self, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None
    ) -> None:
        """Let changed levels arrive and be followed."""
        self.update += 1
        self.sequence += 10
        self.live.apply_delta(
            list((bids or {}).items()),
            list((asks or {}).items()),
            update_id=self.update,
            sequence=self.sequence,
            venue_ns=self.venue.now_ns,
            received_ns=self.venue.now_ns,
        )
        self.mirror.follow()

    def gap(self) -> None:
        """Let the live book miss a message."""
        self.live.mark_stale("a gap")
        self.mirror.follow()

    def trade(self, side: Side, price: int, size: int, *, sequence: int | None = None) -> None:
        """Let a live trade arrive; by default a newer one than the book."""
        after = self.sequence + 1 if sequence is None else sequence
        now = self.venue.now_ns
        self.mirror.on_trade(Trade(BTC, side, price, size, "t", now, now, after))

    def mark(self, price: int) -> None:
        """Let a mark price arrive."""
        self.mirror.on_market(MarkPrice(BTC, price, self.venue.now_ns))

    def index(self, price: int) -> None:
        """Let an index price arrive."""
        self.mirror.on_market(IndexPrice(BTC, price, self.venue.now_ns))

    def funding(self, rate_e9: int, next_ns: int) -> None:
        """Let a funding rate arrive."""
        self.mirror.on_market(FundingUpdate(BTC, rate_e9, next_ns, self.venue.now_ns))

    # the account ----------------------------------------------------------------------------------

    def create(self, **body: Any) -> VenueOrder:
        """Send an order and let it reach the book; sizes in coins."""
        base: dict[str, Any] = {
            "category": "linear",
            "symbol": "BTCUSDT",
            "orderType": "Limit" if "price" in body else "Market",
        }
        order = self.desk.create(self.user, read_request(base | body, CreateRequest))
        self.venue.advance(self.venue.now_ns + MS)
        return order

    def cancel(self, order: VenueOrder) -> None:
        """Cancel an order and let it reach the book."""
        base = {"category": "linear", "symbol": "BTCUSDT", "orderId": order.order_id}
        self.desk.cancel(self.user, read_request(base, CancelRequest))
        self.venue.advance(self.venue.now_ns + MS)

    def ahead(self, order: VenueOrder) -> int:
        """Return the size before a resting order."""
        made = order.book_order
        assert isinstance(made, BookOrder)
        return made.ahead_units

    @property
    def held(self) -> int:
        """The signed position in size units."""
        position = self.user.ledger.positions.get(("BTCUSDT", 0))
        return 0 if position is None else position.size_units
