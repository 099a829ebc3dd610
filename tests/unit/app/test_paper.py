"""What the feed delivers reaches the paper market once a turn: trades first, then levels."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.simulator.mirrored import BTC, btc, snapshot_of
from tickwright.app.paper import PaperDoor, PaperVenue
from tickwright.app.paper_settings import Balances, PaperSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError
from tickwright.core.events import (
    BookState,
    BookStateChanged,
    InstrumentChanged,
    MarkPrice,
    Trade,
)
from tickwright.core.identity import AccountId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.engine.plan import TradingPlan, build_engine
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.requests import CreateRequest, read_request
from tickwright.venues.bybit.sign import Credentials, Secret

ACCOUNT = AccountId("bybit", "main")
KEY = "paper-key"
SETTINGS = PaperSettings(balances={"main": (("USDT", Decimal(1_000_000)),)})


class Desk:
    """A paper venue with one live book, behind the engine's door, without sockets."""

    def __init__(self, *, settings: PaperSettings = SETTINGS, instrument: Instrument | None = None):
        self.notes: list[str] = []
        self.venue = PaperVenue(
            settings,
            [(ACCOUNT, Credentials(KEY, Secret("paper-secret")))],
            [instrument or btc()],
            on_note=lambda event, text: self.notes.append(f"{event}: {text}"),
        )
        now_ns = self.venue.whole.now_ns
        engine = build_engine(TradingPlan(accounts=(str(ACCOUNT),)), epoch=1, seed=1, now_ns=now_ns)
        self.door = self.venue.door(engine, None, lambda command: None, depth=5)
        assert isinstance(self.door, PaperDoor)
        self.live = OrderBook(btc(), capacity=5)
        self.door.add_book(0, self.live, 0)
        self.door.start(now_ns)
        snapshot_of(self.live, now_ns)
        self.now_ns = now_ns
        self.door.on_derived(MarkPrice(BTC, 100_000, now_ns), now_ns)

    def rest(self, qty: str = "2", price: str = "99000") -> VenueOrder:
        """Let an order rest."""
        whole = self.venue.whole
        account = whole.key(KEY).account
        body = {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": qty,
            "price": price,
        }
        order = whole.desk.create(account, read_request(body, CreateRequest))
        whole.advance(whole.now_ns + 1_000_000)
        return order

    def levels(self, update: int, bids: dict[int, int], *, sequence: int) -> None:
        """Let a delta come, as the scanner would deliver it."""
        self.live.apply_delta(
            list(bids.items()),
            [],
            update_id=update,
            sequence=sequence,
            received_ns=self.now_ns,
            venue_ns=self.now_ns,
        )
        self.door.on_book(0, self.now_ns)

    def trade(self, size: int, *, sequence: int) -> None:
        """Let a sell at our price come."""
        trade = Trade(BTC, Side.SELL, 99_000, size, "t", self.now_ns, self.now_ns, sequence)
        self.door.on_derived(trade, self.now_ns)


def ahead(order: VenueOrder) -> int:
    assert order.book_order is not None
    return order.book_order.ahead_units


async def test_turn_when_levels_came_before_their_trade_then_the_trade_is_told_first():
    desk = Desk()
    order = desk.rest()
    # 20 behind us joined, 5 were traded: in one read, the levels first.
    desk.levels(2, {99_000: 25_000}, sequence=30)
    desk.trade(5_000, sequence=20)
    assert 10_000 == ahead(order)
    await asyncio.sleep(0)
    assert 5_000 == ahead(order)
    desk.trade(1_000, sequence=30)
    await asyncio.sleep(0)
    assert 5_000 == ahead(order)


async def test_turn_when_many_frames_came_then_the_market_follows_once():
    desk = Desk()
    order = desk.rest()
    before = desk.venue.turn_count
    for update in range(2, 12):
        desk.levels(update, {99_000: 10_000 - update}, sequence=20 + update)
    await asyncio.sleep(0)
    assert (before + 1, 9_989) == (desk.venue.turn_count, ahead(order))


async def test_market_when_nobody_has_an_order_then_no_turn_is_taken():
    desk = Desk()
    desk.levels(2, {99_000: 1_000}, sequence=30)
    desk.trade(5_000, sequence=31)
    await asyncio.sleep(0)
    assert 0 == desk.venue.turn_count
    assert 1_000 == ahead(desk.rest())


async def test_book_when_it_is_stale_then_nothing_fills_until_it_is_back():
    desk = Desk()
    order = desk.rest()
    desk.live.mark_stale("a gap")
    gap = BookStateChanged(BTC, BookState.STALE, BookState.SYNCED, "a gap")
    desk.door.on_derived(gap, desk.now_ns)
    desk.trade(90_000, sequence=40)
    await asyncio.sleep(0)
    assert (0, 10_000) == (order.filled_units, ahead(order))
    snapshot_of(desk.live, desk.now_ns)
    back = BookStateChanged(BTC, BookState.SYNCED, BookState.STALE, "")
    desk.door.on_derived(back, desk.now_ns)
    await asyncio.sleep(0)
    desk.trade(12_000, sequence=50)
    await asyncio.sleep(0)
    assert "Filled" == order.status


async def test_instrument_when_its_units_change_then_it_is_told_that_nothing_fills():
    desk = Desk()
    desk.door.on_input(InstrumentChanged(btc(price_decimals=1, version=2)), desk.now_ns)
    assert any("paper.units_changed" in note for note in desk.notes)


async def test_contract_when_it_does_not_settle_in_usdt_then_refused():
    with pytest.raises(ConfigError, match="settles in USDC"):
        Desk(instrument=btc(settle_asset="USDC"))


async def test_public_paths_when_served_then_there_are_none():
    paths = Desk().venue._server.websocket_paths
    assert ["/v5/private", "/v5/trade"] == sorted(paths)


async def test_account_when_its_name_is_gone_from_the_configuration_then_keeps_what_it_has(
    tmp_path: Path,
):
    path = tmp_path / "paper.json"
    balances: dict[str, Balances] = {
        "main": (("USDT", Decimal(7)),),
        "gone": (("USDT", Decimal(5)),),
    }
    settings = PaperSettings(balances=balances, ledger=path)
    keys = [(AccountId("bybit", name), Credentials(name, Secret("s"))) for name in balances]
    both = PaperVenue(settings, keys, [btc()], on_note=lambda event, text: None)
    await both.stop()
    one = PaperVenue(settings, keys[:1], [btc()], on_note=lambda event, text: None)
    await one.stop()
    again = PaperVenue(settings, keys, [btc()], on_note=lambda event, text: None)
    wallets = [
        account.ledger.wallet["USDT"] // 10**18 for account in again.whole.accounts.by_uid.values()
    ]
    assert [7, 5] == wallets
