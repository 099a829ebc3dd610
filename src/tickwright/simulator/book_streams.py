"""Owns the book topics of the public stream: what each sends, and when; refuses sockets and clocks.

Key order follows the wire: spot and level 1 put `ts` before `type`.
"""

from tickwright.core.identity import Category
from tickwright.simulator.history import PublishedHistory
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.sources.operations import Level
from tickwright.simulator.streams import MS, Scheduler, Stream
from tickwright.simulator.window import BookWindow, Changes, levels_text

__all__ = [
    "BOOK_INTERVALS_NS",
    "PUSH_DELAY_NS",
    "BookStream",
    "FullBookStream",
    "RpiBookStream",
]

BOOK_INTERVALS_NS = {1: 10 * MS, 50: 20 * MS, 200: 100 * MS, 1000: 200 * MS}
"""Push interval by depth, spot and linear alike."""
PUSH_DELAY_NS = 2 * MS
"""From a first change to its frame: how far `cts` lies before `ts`, less under conflation."""
LEVEL1_REPEAT_NS = 3_000 * MS
RPI_NS = 100 * MS
FULL_NS = 200 * MS
FULL_DEPTH = 10_000
"""Levels a side of the whole book."""


class BookStream(Stream):
    """`orderbook.{depth}.{symbol}`: conflated to the push interval, or every event when unpaced."""

    def __init__(
        self,
        topic: str,
        market: SymbolMarket,
        venue: Scheduler,
        depth: int,
        first_u: int,
        *,
        interval_ns: int = 0,
    ) -> None:
        super().__init__(topic, market, venue)
        self.depth = depth
        self.interval_ns = interval_ns or BOOK_INTERVALS_NS[depth]
        book = self._book = market.book
        self.window = BookWindow(book.bids, book.asks, depth, first_u=first_u)
        self._price_text = market.instrument.price_text
        self._size_text = market.instrument.size_text
        self._last_ns = 0
        self._is_watched = False
        self.shown_seq = book.seq
        self.shown_cts_ms = book.changed_ns // MS
        symbol = market.instrument.symbol
        ts_first = market.instrument.category is Category.SPOT or depth == 1
        self._heads = {}
        for kind in ("snapshot", "delta"):
            data = f'"data":{{"s":"{symbol}","b":['
            if ts_first:
                parts = (f'{{"topic":"{topic}","ts":', f',"type":"{kind}",{data}')
            else:
                parts = (f'{{"topic":"{topic}","type":"{kind}","ts":', f",{data}")
            self._heads[kind] = parts
        self.history = PublishedHistory(self.snapshot())

    def wake(self) -> None:
        """Follow the book again: the window is taken afresh under the next `u`."""
        self.refresh()
        self.market.book.windows.append(self.window)

    def sleep(self) -> None:
        """Stop following the book."""
        self.market.book.windows.remove(self.window)

    def refresh(self) -> None:
        """Bring an idle window up to the book; its `u` moves on only if something changed."""
        if self.window not in self.market.book.windows:
            if self.shown_seq != self.market.book.seq:
                self.window.renumber(self.window.u + 1)
            self._stamp()
            self.history = PublishedHistory(self.snapshot())

    def first_frame(self) -> bytes | None:
        """A snapshot of what the topic last showed: the next delta continues it."""
        if self.depth == 1:
            self._watch_silence()
        return self.snapshot()

    def snapshot(self, ts_ms: int = 0) -> bytes:
        """The window last published, as a snapshot under its `u`; stamped now unless given."""
        bids, asks = self.window.shown()
        texts = self._levels(bids, 1), self._levels(asks, -1)
        return self._text("snapshot", *texts, ts_ms or self.venue.now_ns // MS)

    def restart(self) -> None:
        """Restart the topic as a service restart does: everyone gets a snapshot with `u` 1."""
        self.window.renumber(1)
        self._stamp()
        snapshot = self.snapshot()
        self.history = PublishedHistory(snapshot)
        self.send(snapshot, is_delta=False)

    def touched(self) -> None:
        """Ask for the next frame: not before the push interval has passed."""
        if not self.is_scheduled:
            due = max(self.market.book.changed_ns, self.venue.now_ns) + PUSH_DELAY_NS
            self.ask(max(due, self._last_ns + self.interval_ns))

    def run(self, due_ns: int) -> None:
        """Publish what changed."""
        self.publish(due_ns // MS)
        self._last_ns = due_ns

    def publish(self, ts_ms: int) -> None:
        """Send the changes since the last frame, if the window changed at all."""
        if not self.subscribers:
            return
        changed = self.window.advance()
        if changed is None:
            return
        self._send_changes(self._levels(changed[0], 1), self._levels(changed[1], -1), ts_ms)

    def publish_sizes(self, bids: list[Level], asks: list[Level], ts_ms: int) -> None:
        """Send changes that only resize resting levels of the book: the short way of `publish`."""
        window = self.window
        texts = window.resize(bids, asks, self._price_text, self._size_text)
        if texts is None:
            window.touched_bids.update([price for price, _ in bids])
            window.touched_asks.update([-price for price, _ in asks])
            self.publish(ts_ms)
        elif texts[0] or texts[1]:
            self._send_changes(texts[0], texts[1], ts_ms)

    def _send_changes(self, bids: str, asks: str, ts_ms: int) -> None:
        book = self._book
        self.shown_seq = book.seq
        self.shown_cts_ms = book.changed_ns // MS
        if self.depth != 1:
            payload = self._text("delta", bids, asks, ts_ms)
            if self.history.add(payload):
                self.history.turn(self.snapshot())
            self.send(payload, is_delta=True)
        else:
            self._last_ns = self.venue.now_ns
            payload = self.snapshot(ts_ms)
            if self.history.add(payload):
                self.history.turn(payload)
            self.send(payload, is_delta=False)

    def _stamp(self) -> None:
        book = self._book
        self.shown_seq = book.seq
        self.shown_cts_ms = book.changed_ns // MS

    def _text(self, kind: str, bids: str, asks: str, ts_ms: int) -> bytes:
        head, data = self._heads[kind]
        cts_ms = self.shown_cts_ms
        if self.venue.clock_ns is not None:
            ts_ms, cts_ms = self.stamp(ts_ms), self.stamp(cts_ms)
        return (
            f'{head}{ts_ms}{data}{bids}],"a":[{asks}],"u":{self.window.u},'
            f'"seq":{self.shown_seq}}},"cts":{cts_ms}}}'
        ).encode()

    def _levels(self, changes: Changes, sign: int) -> str:
        return levels_text(changes, sign, self._price_text, self._size_text)

    def _watch_silence(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            self._last_ns = self.venue.now_ns
            self.venue.schedule(self.venue.now_ns + LEVEL1_REPEAT_NS, self._repeat_if_silent)

    def _repeat_if_silent(self, due_ns: int) -> None:
        """Level 1 only: push the same snapshot, same `u`, after three seconds without change."""
        if not self.subscribers:
            self._is_watched = False
            return
        if due_ns - self._last_ns >= LEVEL1_REPEAT_NS:
            self._last_ns = due_ns
            self.send(self.snapshot(), is_delta=False)
        self.venue.schedule(self._last_ns + LEVEL1_REPEAT_NS, self._repeat_if_silent)


class RpiBookStream(BookStream):
    """`orderbook.rpi.{symbol}`: 50 levels of [price, size, RPI size]; nobody quotes RPI here."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler, first_u: int) -> None:
        super().__init__(topic, market, venue, 50, first_u, interval_ns=RPI_NS)

    def publish_sizes(self, bids: list[Level], asks: list[Level], ts_ms: int) -> None:
        """Send changes that only resize resting levels."""
        self.window.touched_bids.update([price for price, _ in bids])
        self.window.touched_asks.update([-price for price, _ in asks])
        self.publish(ts_ms)

    def _levels(self, changes: Changes, sign: int) -> str:
        price, size = self._price_text, self._size_text
        return ",".join([f'["{price[sign * key]}","{size[units]}","0"]' for key, units in changes])


class FullBookStream(BookStream):
    """`orderbook.full.{symbol}`: deltas of the whole book; the base comes from REST."""

    def __init__(self, topic: str, market: SymbolMarket, venue: Scheduler, first_u: int) -> None:
        super().__init__(topic, market, venue, FULL_DEPTH, first_u, interval_ns=FULL_NS)

    def first_frame(self) -> None:
        """Nothing: whoever wants a base asks for it."""
        return
