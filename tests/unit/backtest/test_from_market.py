"""A simulated market becomes a tape: what is read back is what the market was."""

from decimal import Decimal
from pathlib import Path

import numpy as np

from tickwright.backtest.from_market import FEED_NS, tape_of_market
from tickwright.backtest.tape import MessageKind, Tape
from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.run import SimulatorOptions, build_venue
from tickwright.simulator.sources.operations import PublicTrade
from tickwright.simulator.venue import SimulatedVenue

DEPTH = 20
SECONDS = 20
START_NS = 1_767_225_600_000_000_000


def made_market() -> SimulatedVenue:
    options = SimulatorOptions(symbols=["BTCUSDT", "ETHUSDT"], categories=(Category.LINEAR,))
    return build_venue(options, start_ns=START_NS)[0]


def instruments_of(venue: SimulatedVenue) -> list[Instrument]:
    return [
        Instrument(
            id=InstrumentId("sim", category, symbol),
            base_asset=market.instrument.base,
            quote_asset="USDT",
            settle_asset="USDT",
            price_decimals=market.instrument.price_decimals,
            size_decimals=market.instrument.size_decimals,
            tick_units=market.instrument.tick_units,
            lot_units=market.instrument.lot_units,
            size_min_units=market.instrument.size_min_units,
            size_max_units=market.instrument.size_max_units,
            market_size_max_units=market.instrument.market_size_max_units,
            notional_min=Decimal(5),
            leverage_max=Decimal(100),
        )
        for (category, symbol), market in venue.markets.items()
    ]


def made(folder: Path, venue: SimulatedVenue) -> Tape:
    listed = instruments_of(venue)
    return tape_of_market(venue, listed, folder, seconds=SECONDS, depth=DEPTH, source="made")


def test_tape_when_it_is_replayed_then_books_and_trades_are_the_market_s(tmp_path: Path) -> None:
    venue = made_market()
    printed: list[tuple[int, int, int, int]] = []

    def note(book: VenueBook, trade: PublicTrade, now_ns: int) -> None:
        slot = [one.book for one in venue.markets.values()].index(book)
        printed.append((slot, int(trade.side), trade.price_units, trade.size_units))

    for market in venue.markets.values():
        market.book.on_external_trade(note)
    tape = made(tmp_path / "t", venue)

    books = [OrderBook(one, capacity=DEPTH + 1) for one in tape.instruments]
    trades = []
    for place, message in enumerate(tape.messages):
        kind, slot, first = int(message["kind"]), int(message["slot"]), int(message["first"])
        if kind == MessageKind.TRADE:
            side = -1 if int(message["flags"]) & 1 else 1
            trades.append((slot, side, first, int(message["second"])))
        if kind > MessageKind.SNAPSHOT:
            continue
        bids = int(message["bids"])
        levels = [tuple(one) for one in tape.levels[first : first + bids + int(message["asks"])]]
        apply = (
            books[slot].apply_snapshot if kind == MessageKind.SNAPSHOT else books[slot].apply_delta
        )
        apply(
            levels[:bids],
            levels[bids:],
            update_id=int(message["second"]),
            received_ns=int(tape.received_ns[place]),
        )

    assert len(trades) > 20
    assert trades == printed
    for book, market in zip(books, venue.markets.values(), strict=True):
        assert book.is_synced
        assert book.update_count > 50
        assert book.bids(DEPTH) == market.book.levels(Side.BUY, DEPTH)
        assert book.asks(DEPTH) == market.book.levels(Side.SELL, DEPTH)


def test_tape_when_made_twice_then_the_same_bytes_and_no_news_before_it_happened(
    tmp_path: Path,
) -> None:
    one, other = made(tmp_path / "a", made_market()), made(tmp_path / "b", made_market())

    assert one.header.digest == other.header.digest
    took = np.asarray(one.received_ns) - np.asarray(one.venue_ns)
    assert took.min() >= FEED_NS
    assert np.all(np.diff(one.received_ns) >= 0)
    marks = one.messages["kind"] == MessageKind.MARK
    assert 2 * (SECONDS + 1) == int(marks.sum())
