"""Owns making a tape of a simulated market in virtual time; refuses sockets and waiting.

What a client of the simulator would be pushed: books conflated to 20 ms, trades as they happen, the
mark and the index price once a second, the funding rate when it changes. Same market, seed and
length: same bytes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tickwright.backtest.tape import MESSAGE, MessageKind, Tape, TapeWriter
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.sources.operations import PublicTrade
from tickwright.simulator.tickers import next_funding_ms
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["FEED_NS", "tape_of_market"]

FEED_NS = 3_000_000
"""What a message takes to us, as a tape's own receive times say it."""
_PUSH_NS = 20_000_000
_PUSHES_A_SECOND = 50
_BATCH_MESSAGES = 20_000
_IS_SELL = 1

_Fields = tuple[int, int, int, int, int, int, int, int, int]
"""As `MESSAGE` has them; the place of a book message's levels is put in later."""
_Row = tuple[int, int, _Fields, list[tuple[int, int]]]
"""(received, happened, fields, levels)."""


def tape_of_market(
    venue: SimulatedVenue,
    instruments: Sequence[Instrument],
    folder: Path,
    *,
    seconds: int,
    depth: int,
    source: str,
    on_progress: Callable[[int], None] | None = None,
) -> Tape:
    """Let a market live and write down what of these instruments would be told.

    `depth` levels a side are shown. `on_progress` gets the messages so far.

    Raises:
        StorageError: the folder is there already.
    """
    rows: list[_Row] = []
    followers = [
        _Follower(slot, venue.markets[one.id.category, one.symbol], depth, rows)
        for slot, one in enumerate(instruments)
    ]
    began_ns = venue.now_ns
    with TapeWriter(
        folder, instruments, depths=[depth] * len(instruments), source=source
    ) as writer:
        batch: list[_Row] = []
        written = 0
        for push in range(seconds * _PUSHES_A_SECOND + 1):
            now_ns = began_ns + push * _PUSH_NS
            venue.advance(now_ns)
            for follower in followers:
                follower.push(now_ns)
                if push % _PUSHES_A_SECOND == 0:
                    follower.tell_prices(now_ns)
            rows.sort(key=lambda row: row[0])
            batch += rows
            rows.clear()
            if len(batch) >= _BATCH_MESSAGES:
                written += _append(writer, batch)
                if on_progress is not None:
                    on_progress(written)
        _append(writer, batch)
    return Tape(folder)


class _Follower:
    """One market: what of it was told, and what is news."""

    def __init__(self, slot: int, market: SymbolMarket, depth: int, rows: list[_Row]) -> None:
        self._slot, self._market, self._depth, self._rows = slot, market, depth, rows
        self._shown: tuple[dict[int, int], dict[int, int]] | None = None
        self._seen_seq = -1
        self._update_id = 0
        self._funding: tuple[int, int] | None = None
        market.book.on_external_trade(self._on_trade)

    def push(self, now_ns: int) -> None:
        """Tell the levels that changed since the last push; at first all of them."""
        book = self._market.book
        if book.seq == self._seen_seq:
            return
        self._seen_seq = book.seq
        bids = dict(book.levels(Side.BUY, self._depth))
        asks = dict(book.levels(Side.SELL, self._depth))
        shown, self._shown = self._shown, (bids, asks)
        if shown is None:
            kind, changed = MessageKind.SNAPSHOT, [[*bids.items()], [*asks.items()]]
        else:
            kind = MessageKind.DELTA
            changed = [_changes(shown[0], bids), _changes(shown[1], asks)]
            if not any(changed):
                return
        self._update_id += 1
        counts = len(changed[0]), len(changed[1])
        fields = (0, self._update_id, book.seq, *counts, self._slot, kind, 0, 0)
        happened_ns = book.changed_ns or now_ns
        self._rows.append((now_ns + FEED_NS, happened_ns, fields, changed[0] + changed[1]))

    def tell_prices(self, now_ns: int) -> None:
        """Tell what a perpetual's ticker says beside the book."""
        market = self._market
        if market.instrument.category is Category.SPOT:
            return
        self._tell(MessageKind.MARK, market.mark_units, 0, now_ns)
        self._tell(MessageKind.INDEX, market.index_units, 0, now_ns)
        minutes = market.instrument.funding_interval_minutes
        funding = market.funding_e8 * 10, next_funding_ms(now_ns, minutes) * 1_000_000
        if funding != self._funding:
            self._funding = funding
            self._tell(MessageKind.FUNDING, *funding, now_ns)

    def _tell(self, kind: MessageKind, first: int, second: int, now_ns: int) -> None:
        fields = (first, second, 0, 0, 0, self._slot, kind, 0, 0)
        self._rows.append((now_ns + FEED_NS, now_ns, fields, []))

    def _on_trade(self, book: VenueBook, trade: PublicTrade, now_ns: int) -> None:
        flags = _IS_SELL if trade.side is Side.SELL else 0
        fields = (
            trade.price_units, trade.size_units, book.seq, 0, 0, self._slot, MessageKind.TRADE,
            flags, 0,
        )  # fmt: skip
        self._rows.append((now_ns + FEED_NS, now_ns, fields, []))


def _changes(before: dict[int, int], now: dict[int, int]) -> list[tuple[int, int]]:
    found = [(price, size) for price, size in now.items() if before.get(price) != size]
    return found + [(price, 0) for price in before if price not in now]


def _append(writer: TapeWriter, batch: list[_Row]) -> int:
    """Write rows and forget them; returns how many there were."""
    messages = np.array([row[2] for row in batch], dtype=MESSAGE)
    levels: list[tuple[int, int]] = []
    for place, row in enumerate(batch):
        if row[3]:
            messages[place]["first"] = len(levels)
            levels += row[3]
    writer.append(
        messages,
        np.array([row[1] for row in batch], dtype=np.int64),
        np.array([row[0] for row in batch], dtype=np.int64),
        np.array(levels, dtype=np.int64).reshape(-1, 2),
    )
    count = len(batch)
    batch.clear()
    return count
