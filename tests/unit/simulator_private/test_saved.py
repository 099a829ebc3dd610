"""What paper accounts keep over a restart: money, positions and stops, to the last digit."""

from decimal import Decimal
from random import Random

import msgspec
import pytest

from tests.unit.simulator.mirrored import BTC, START_NS, btc, snapshot_of
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.events import MarkPrice
from tickwright.core.instrument import Instrument
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.mirror import Mirror, mirror_of
from tickwright.simulator.private.accounts import AccountSpec
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.private.requests import CreateRequest, read_request
from tickwright.simulator.private.saved import SavedVenue, read_saved, restore, saved_of, written
from tickwright.simulator.venue import SimulatedVenue
from tickwright.simulator.whole import WholeVenue

FIRST_UID = 106_000_001


def opened(balance: str = "", *, instrument: Instrument | None = None) -> tuple[WholeVenue, Mirror]:
    venue = SimulatedVenue([], [], rng=Random(1), start_ns=START_NS)
    mirror = mirror_of(venue, instrument or btc(), lambda market, rate: None)
    balances = (("USDT", Decimal(balance)),) if balance else ()
    options = PrivateOptions(accounts=(AccountSpec("key", "secret", balances),), has_funding=False)
    return WholeVenue(venue, FaultBoard(Random(1)), options), mirror


def traded() -> WholeVenue:
    """An account that is long one coin with both stops, at leverage 5."""
    whole, mirror = opened("100000")
    live = OrderBook(btc(), capacity=5)
    mirror.book.attach(live)
    snapshot_of(live, START_NS)
    mirror.on_market(MarkPrice(BTC, 100_500, START_NS))
    key = whole.key("key")
    reply = whole.post(
        key,
        "position.set-leverage",
        {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "5", "sellLeverage": "5"},
    )
    assert reply.answer is not None
    assert 0 == reply.answer.code
    order = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Market",
        "qty": "1",
        "takeProfit": "120000",
        "stopLoss": "90000",
        "slTriggerBy": "MarkPrice",
    }
    whole.desk.create(key.account, read_request(order, CreateRequest))
    whole.advance(START_NS + 1_000_000)
    return whole


def saved() -> SavedVenue:
    return saved_of(traded(), {FIRST_UID: "trader"})


def back(kept: SavedVenue, *, instrument: Instrument | None = None) -> tuple[WholeVenue, Mirror]:
    whole, mirror = opened(instrument=instrument)
    restore(whole, kept, {"trader": FIRST_UID})
    return whole, mirror


def test_accounts_when_restored_then_they_are_what_they_were():
    kept = read_saved(written(saved()), where="here")
    whole, _ = back(kept)
    account = whole.accounts.by_uid[FIRST_UID]
    assert (1_000, Decimal(5)) == (
        account.ledger.positions["BTCUSDT", 0].size_units,
        account.leverage("BTCUSDT"),
    )
    assert [] == whole.ledger.faults() + whole.desk.faults()
    assert 0 == whole.desk.liquidator.count
    assert kept == saved_of(whole, {FIRST_UID: "trader"})


def test_stops_when_restored_then_they_still_guard_the_position():
    whole, mirror = back(saved())
    live = OrderBook(btc(), capacity=5)
    mirror.book.attach(live)
    snapshot_of(live, START_NS)
    account = whole.accounts.by_uid[FIRST_UID]
    mirror.on_market(MarkPrice(BTC, 90_001, START_NS))
    assert 1_000 == account.ledger.positions["BTCUSDT", 0].size_units
    mirror.on_market(MarkPrice(BTC, 89_999, START_NS))
    assert 0 == account.ledger.positions["BTCUSDT", 0].size_units
    assert [] == whole.ledger.faults() + whole.desk.faults()


def test_position_when_its_contract_is_not_listed_then_refused_and_never_forgotten():
    venue = SimulatedVenue([], [], rng=Random(1), start_ns=START_NS)
    options = PrivateOptions(accounts=(AccountSpec("key", "secret", ()),), has_funding=False)
    whole = WholeVenue(venue, FaultBoard(Random(1)), options)
    with pytest.raises(ConfigError, match="BTCUSDT, which isn't listed"):
        restore(whole, saved(), {"trader": FIRST_UID})


def test_size_when_the_instrument_has_more_decimals_now_then_it_is_the_same_quantity():
    whole, _ = back(saved(), instrument=btc(size_decimals=4))
    account = whole.accounts.by_uid[FIRST_UID]
    assert 10_000 == account.ledger.positions["BTCUSDT", 0].size_units


def test_accounts_when_somebody_changed_the_file_then_refused():
    kept = saved()
    account = kept.accounts["trader"]
    sums = account.sums | {"wallet": {"USDT": "1" + "0" * 30}}
    wrong = msgspec.structs.replace(
        kept, accounts={"trader": msgspec.structs.replace(account, sums=sums)}
    )
    with pytest.raises(ConfigError, match="don't balance"):
        back(wrong)


@pytest.mark.parametrize("text", [b"", b"{", b'{"format": 1}', b"[]"])
def test_file_when_it_is_no_saved_venue_then_said(text: bytes):
    with pytest.raises(StorageError, match="here holds no paper accounts"):
        read_saved(text, where="here")


def test_file_when_of_another_format_then_said():
    text = written(msgspec.structs.replace(saved(), format=9))
    with pytest.raises(StorageError, match="format 9"):
        read_saved(text, where="here")
