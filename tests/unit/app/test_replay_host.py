"""A recording's readers: books, controls, and symbols that two product lines share."""

import msgspec
import pytest

from tickwright.app.door import BookAdded
from tickwright.app.replay_host import RecordedHost
from tickwright.book.control import BookControl, BookVerb
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import InstrumentUnknown, StorageError
from tickwright.core.events import BookState, MarketEvent, Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument


def instrument(category: Category, price_decimals: int, symbol: str = "BTCUSDT") -> Instrument:
    return Instrument(
        id=InstrumentId("bybit", category, symbol),
        base_asset="BTC",
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=price_decimals,
        size_decimals=3,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=1_000_000,
        market_size_max_units=1_000_000,
    )


class Reader(RecordedHost):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__("here")
        self.trades: list[Trade] = []
        self.states: list[tuple[BookState, BookState, int]] = []

    def on_trades(self, trades: list[Trade]) -> None:
        self.trades += trades

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        raise AssertionError(event)

    def _state_changed(self, book: OrderBook, previous: BookState, now_ns: int) -> None:
        self.states.append((previous, book.state, now_ns))


def reader() -> Reader:
    made = Reader()
    book = made._add_book(BookAdded(0, 0, instrument(Category.LINEAR, 2), 50, 50))
    book.apply_snapshot([(1, 1)], [(2, 1)], update_id=1, received_ns=1)
    made._add_book(BookAdded(1, 1, instrument(Category.SPOT, 3), 50, 50))
    return made


# Not the scanner's grammar (its keys are in another order): read by the typed decoder, by symbol.
TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","ts":1700000000002,"type":"snapshot","data":[{"s":"BTCUSDT",'
    b'"T":1700000000001,"S":"Buy","v":"0.5","p":"61.5","i":"a","BT":false,"seq":7,"L":"PlusTick"}]}'
)


def test_symbol_when_in_two_product_lines_then_each_is_read_by_its_own_units():
    made = reader()
    for source in (0, 1):
        made._session(source).sink.feed(TRADE, 5, last=True)
    assert [6_150, 61_500] == [trade.price_units for trade in made.trades]


def test_control_when_repeated_then_tells_the_change_with_its_time():
    made = reader()
    control = BookControl(0, BookVerb.STALE, "why")
    made._control(msgspec.json.encode(control), 9)
    assert [(BookState.SYNCED, BookState.STALE, 9)] == made.states


def test_derived_control_when_from_the_log_then_is_left_to_the_log():
    made = reader()
    made.control_book(0, BookVerb.STALE, "why", 9)
    assert [] == made.states
    made.control_book(0, BookVerb.STALE, "why", 9, is_derived=True)
    assert 1 == len(made.states)


def test_frames_when_before_their_books_then_are_an_error_that_names_the_recording():
    with pytest.raises(StorageError, match="here: frames of source 7 before its books"):
        reader()._session(7)


def test_instrument_when_not_recorded_then_is_unknown():
    with pytest.raises(InstrumentUnknown, match="ETHUSDT is not among the recorded spot"):
        reader().instrument_of(InstrumentId("bybit", Category.SPOT, "ETHUSDT"))
