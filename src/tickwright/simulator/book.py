"""Owns the resting book of one symbol; refuses to know the texts of topics and sockets.

External liquidity (what the market source says) and users' own orders rest side by side and are
published as one size. Liquidity taken by users stays taken until the source next sets that level.
"""

from collections.abc import Callable

from tickwright.core.orders import Side
from tickwright.matching.levels import LevelSource
from tickwright.matching.liquidity import Liquidity
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.sources.operations import Level, PublicTrade
from tickwright.simulator.window import BookWindow

__all__ = ["BookChangeHook", "ExternalTradeHook", "TakeHook", "VenueBook"]

ExternalTradeHook = Callable[["VenueBook", PublicTrade, int], None]
"""(book, trade, now_ns): a trade of the source printed."""
BookChangeHook = Callable[["VenueBook", int], None]
"""(book, now_ns): external levels changed; runs before anything of the change is published."""
TakeHook = Callable[["VenueBook", Side, list[Level]], None]
"""(book, aggressor's side, (price_units, size_units) taken, best first): users took from others."""


class VenueBook:
    """Full-depth book with the windows of its active depth topics.

    `seq` rises with every change, with gaps, and is shared by all depths and by trades.
    `changed_ns` is the time of the last change.
    """

    __slots__ = (
        "_change_hooks",
        "_on_touched",
        "_take_hooks",
        "_trade_hooks",
        "asks",
        "bids",
        "changed_ns",
        "instrument",
        "seq",
        "windows",
    )

    def __init__(
        self,
        instrument: VenueInstrument,
        *,
        first_seq: int,
        on_touched: Callable[["VenueBook"], None] = lambda book: None,
    ) -> None:
        self.instrument = instrument
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.seq = first_seq
        self.changed_ns = 0
        self.windows: list[BookWindow] = []
        # Tells the venue that topics of this book have something to publish.
        self._on_touched = on_touched
        self._trade_hooks: list[ExternalTradeHook] = []
        self._change_hooks: list[BookChangeHook] = []
        self._take_hooks: list[TakeHook] = []

    @property
    def liquidity(self) -> Liquidity | LevelSource:
        """What the matching engine asks: this book, unless the levels lie elsewhere."""
        return self

    # what the matching engine uses
    # ------------------------------------------------------------------

    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and ask as (price_units, size_units), own orders included; None when empty."""
        return self.bids.best(), self.asks.best()

    def levels(self, side: Side, limit: int | None = None) -> list[Level]:
        """Resting levels of a side, best first, own orders included. BUY is the bids."""
        ladder = self.bids if side is Side.BUY else self.asks
        keys = ladder.keys if limit is None else ladder.keys[-limit:]
        return [(ladder.sign * key, ladder.size_at(key)) for key in reversed(keys)]

    def external_size(self, side: Side, price_units: int) -> int:
        """Size of others resting at a price: what an own order arriving now queues behind."""
        ladder = self.bids if side is Side.BUY else self.asks
        return ladder.external.get(ladder.sign * price_units, 0)

    def add_own(self, side: Side, price_units: int, size_units: int) -> None:
        """Rest a user's order: its size is published at its price. BUY rests among the bids."""
        self._change_own(side, price_units, size_units)

    def remove_own(self, side: Side, price_units: int, size_units: int) -> None:
        """Take back resting own size (filled or cancelled)."""
        self._change_own(side, price_units, -size_units)

    def take(self, side: Side, size_units: int, limit_price_units: int | None) -> list[Level]:
        """Consume external liquidity as an aggressor on `side`; BUY takes asks up to the limit.

        Returns the (price_units, size_units) matches, best first; their sum may be less than asked.
        Own orders are left alone: matching them is the caller's, by price then time. The levels
        stay consumed until the source sets them again.
        """
        ladder = self.asks if side is Side.BUY else self.bids
        touched = [w.touched_asks if side is Side.BUY else w.touched_bids for w in self.windows]
        limit = None if limit_price_units is None else ladder.sign * limit_price_units
        matches: list[Level] = []
        wanted = size_units
        for key in ladder.keys[::-1]:
            if wanted <= 0 or (limit is not None and key < limit):
                break
            available = ladder.external.get(key, 0)
            if not available:
                continue
            matched = min(available, wanted)
            ladder.set_external(key, available - matched)
            for keys in touched:
                keys.add(key)
            matches.append((ladder.sign * key, matched))
            wanted -= matched
        if matches:
            self.seq += len(matches)
            self._on_touched(self)
            for hook in self._take_hooks:
                hook(self, side, matches)
        return matches

    def on_external_trade(self, hook: ExternalTradeHook) -> None:
        """Call `hook(book, trade, now_ns)` at every trade of the source."""
        self._trade_hooks.append(hook)

    def on_book_change(self, hook: BookChangeHook) -> None:
        """Call `hook(book, now_ns)` after every external change, before it is published.

        The hook must leave the book uncrossed: an own order the market has moved through is filled
        here.
        """
        self._change_hooks.append(hook)

    def on_take(self, hook: TakeHook) -> None:
        """Call `hook(book, side, matches)` when users took external size; it changes no book."""
        self._take_hooks.append(hook)

    # what the source drives
    # -------------------------------------------------------------------------

    def apply(self, bids: list[Level], asks: list[Level], now_ns: int, seq_step: int) -> None:
        """Set external levels to absolute sizes; size 0 removes."""
        windows = self.windows
        # A level that only changes size, the common case, needs no call.
        ladder = self.bids
        external = ladder.external
        for price, size in bids:
            if size and price in external:
                external[price] = size
            else:
                ladder.set_external(price, size)
            for window in windows:
                window.touched_bids.add(price)
        ladder = self.asks
        external = ladder.external
        for price, size in asks:
            key = -price
            if size and key in external:
                external[key] = size
            else:
                ladder.set_external(key, size)
            for window in windows:
                window.touched_asks.add(key)
        self.changed(now_ns, seq_step)

    def apply_sizes(self, bids: list[Level], asks: list[Level], now_ns: int, seq_step: int) -> None:
        """Set sizes of external levels that rest already, without touching the windows.

        The caller shows the same levels to every active window. A level users have taken since
        comes back.
        """
        for ladder, levels in ((self.bids, bids), (self.asks, asks)):
            external, sign = ladder.external, ladder.sign
            for price, size in levels:
                key = sign * price
                if key in external:
                    external[key] = size
                else:
                    ladder.set_external(key, size)
                    for window in self.windows:
                        touched = window.touched_bids if sign > 0 else window.touched_asks
                        touched.add(key)
        self.changed(now_ns, seq_step)

    def reset(self, bids: list[Level], asks: list[Level], now_ns: int, seq_step: int) -> None:
        """Replace the external book; active windows see the difference as changes."""
        before = set(self.bids.keys), set(self.asks.keys)
        self.bids.reset_external(bids)
        self.asks.reset_external(asks)
        for window in self.windows:
            window.touched_bids.update(before[0], self.bids.keys)
            window.touched_asks.update(before[1], self.asks.keys)
        self.changed(now_ns, seq_step)

    def external_trade(self, trade: PublicTrade, now_ns: int) -> None:
        """Tell the matching engine of a trade of the source."""
        for hook in self._trade_hooks:
            hook(self, trade, now_ns)

    def changed(self, now_ns: int, seq_step: int) -> None:
        """Stamp a change and run the hooks."""
        self.seq += seq_step
        self.changed_ns = now_ns
        for hook in self._change_hooks:
            hook(self, now_ns)
        if self.windows:
            self._on_touched(self)

    def _change_own(self, side: Side, price_units: int, size_units: int) -> None:
        if side is Side.BUY:
            self.bids.add_own(price_units, size_units)
            for window in self.windows:
                window.touched_bids.add(price_units)
        else:
            self.asks.add_own(-price_units, size_units)
            for window in self.windows:
                window.touched_asks.add(-price_units)
        self.seq += 1
        self._on_touched(self)
