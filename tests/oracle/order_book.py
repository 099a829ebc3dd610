"""The book that every compiled book is held against: plain dictionaries, plain rules, no speed.

Written from the venues' documentation and from the rules the project states for itself (base,
numbering, window, horizon), not from the compiled code. Prices are dictionary keys; nothing is
sorted until asked for.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from tickwright.book.policy import BookPolicy, Continuity, SnapshotBase
from tickwright.book.verdict import BookVerdict
from tickwright.core.events import BookState

__all__ = ["Levels", "OracleBook", "PRICE_UNITS_MAX", "Side"]

Levels = list[tuple[int, int]]
PRICE_UNITS_MAX = (2**63 - 1) // 2


@dataclass
class Side:
    """One side: sizes by price, and the best price that ever had to be dropped."""

    is_bid: bool
    sizes: dict[int, int] = field(default_factory=dict)
    horizon: int | None = None

    def is_better(self, one: int, other: int) -> bool:
        return one > other if self.is_bid else one < other

    def is_unknown(self, price: int) -> bool:
        return self.horizon is not None and not self.is_better(price, self.horizon)

    def best_first(self) -> Levels:
        return sorted(self.sizes.items(), reverse=self.is_bid)

    def best(self) -> int | None:
        if not self.sizes:
            return None
        return max(self.sizes) if self.is_bid else min(self.sizes)

    def trim(self, capacity: int) -> int:
        """Drop what is worse than the best `capacity` levels; returns how many went."""
        dropped = self.best_first()[capacity:]
        for price, _ in dropped:
            del self.sizes[price]
        if dropped:
            best_dropped = dropped[0][0]
            if self.horizon is None or self.is_better(best_dropped, self.horizon):
                self.horizon = best_dropped
        return len(dropped)


@dataclass
class _Delta:
    bids: Levels
    asks: Levels
    update_id: int
    first_id: int
    previous_id: int
    sequence: int


class OracleBook:
    """One book under one policy."""

    def __init__(self, policy: BookPolicy, capacity: int) -> None:
        self.policy = policy
        self.capacity = capacity
        self.bid_side = Side(is_bid=True)
        self.ask_side = Side(is_bid=False)
        self.state = BookState.EMPTY
        self.update_id = -1
        self.sequence = 0
        self.pending: list[_Delta] = []
        self.is_first_after_base = False
        self.unknown_deletes = 0
        self.overflows = 0

    # what it shows

    def bids(self) -> Levels:
        return self.bid_side.best_first()

    def asks(self) -> Levels:
        return self.ask_side.best_first()

    # what happens to it

    def start_buffering(self) -> None:
        self._forget()
        self.state = BookState.BUFFERING

    def mark_stale(self) -> None:
        if self.state is BookState.SYNCED:
            self.state = BookState.STALE

    def mark_resyncing(self) -> None:
        if self.state is not BookState.EMPTY:
            self.state = BookState.RESYNCING

    def clear(self) -> None:
        self._forget()
        self.state = BookState.EMPTY

    def snapshot(
        self, bids: Levels, asks: Levels, *, update_id: int, sequence: int = 0
    ) -> BookVerdict:
        if not (_is_possible(bids) and _is_possible(asks)):
            return self._doubt(BookVerdict.REFUSED)
        is_repeat = (
            self.policy.base is SnapshotBase.STREAM
            and self.state is BookState.SYNCED
            and update_id == self.update_id
        )
        self.bid_side = Side(is_bid=True)
        self.ask_side = Side(is_bid=False)
        for side, levels in ((self.bid_side, bids), (self.ask_side, asks)):
            resting = [(price, size) for price, size in levels if size]
            if len({price for price, _ in resting}) != len(resting):
                return self._refuse_whole(BookVerdict.REFUSED)
            side.sizes = dict(resting)
        if self._is_crossed():
            return self._refuse_whole(BookVerdict.CROSSED)
        window = self.policy.window
        if window and max(len(bids), len(asks)) > window:
            return self._refuse_whole(BookVerdict.WINDOW)
        self._trim()
        if is_repeat:
            return BookVerdict.REPEAT
        self.update_id, self.sequence = update_id, sequence
        self.state = BookState.SYNCED
        self.is_first_after_base = True
        return self._join()

    def delta(
        self,
        bids: Levels,
        asks: Levels,
        *,
        update_id: int,
        first_id: int = 0,
        previous_id: int = -1,
        sequence: int = 0,
    ) -> BookVerdict:
        if not (_is_possible(bids) and _is_possible(asks)):
            return self._doubt(BookVerdict.REFUSED)
        delta = _Delta(bids, asks, update_id, first_id, previous_id, sequence)
        if self.state is BookState.BUFFERING:
            if len(self.pending) == self.policy.buffer_messages_max:
                self.pending = []
                self.overflows += 1
            self.pending.append(delta)
            return BookVerdict.BUFFERED
        if self.state is not BookState.SYNCED:
            return BookVerdict.IGNORED
        return self._change(delta)

    # rules

    def _change(self, delta: _Delta) -> BookVerdict:
        verdict = self._order_of(delta)
        if verdict is BookVerdict.KEEP_ALIVE:
            return verdict
        if verdict in (BookVerdict.DUPLICATE, BookVerdict.OLDER):
            if delta.sequence > self.sequence > 0:
                return self._doubt(BookVerdict.RESTART)
            return verdict
        if verdict is not BookVerdict.APPLIED:
            return self._doubt(verdict)
        if delta.sequence and delta.sequence < self.sequence:
            return self._doubt(BookVerdict.BACKWARD)
        for side, levels in ((self.bid_side, delta.bids), (self.ask_side, delta.asks)):
            for price, size in levels:
                if side.is_unknown(price):
                    continue
                if size:
                    side.sizes[price] = size
                elif side.sizes.pop(price, None) is None:
                    self.unknown_deletes += 1
        window = self.policy.window
        is_too_wide = (
            bool(window) and max(len(self.bid_side.sizes), len(self.ask_side.sizes)) > window
        )
        self._trim()
        if self._is_crossed():
            return self._doubt(BookVerdict.CROSSED)
        if is_too_wide:
            return self._doubt(BookVerdict.WINDOW)
        self.update_id = delta.update_id
        self.sequence = delta.sequence or self.sequence
        self.is_first_after_base = False
        return BookVerdict.APPLIED

    def _order_of(self, delta: _Delta) -> BookVerdict:
        policy, last = self.policy, self.update_id
        if delta.update_id == policy.restart_id:
            return BookVerdict.RESTART
        if policy.continuity is Continuity.PREVIOUS_ID:
            is_chained = delta.previous_id == last
            if is_chained and delta.update_id == last and policy.has_keep_alive:
                has_levels = bool(delta.bids or delta.asks)
                return BookVerdict.APPLIED if has_levels else BookVerdict.KEEP_ALIVE
            covers_base = (
                self.is_first_after_base
                and policy.base is SnapshotBase.REST
                and (delta.previous_id <= last or delta.first_id <= last)
            )
            if delta.update_id > last and (is_chained or covers_base):
                return BookVerdict.APPLIED
            if is_chained and policy.can_reset and not covers_base:
                return BookVerdict.APPLIED
        elif policy.continuity is Continuity.OVERLAP:
            if delta.first_id <= last + 1 <= delta.update_id:
                return BookVerdict.APPLIED
        elif delta.update_id == last + 1:
            return BookVerdict.APPLIED
        if delta.update_id == last:
            return BookVerdict.DUPLICATE
        return BookVerdict.OLDER if delta.update_id < last else BookVerdict.GAP

    def _join(self) -> BookVerdict:
        waiting, self.pending = self.pending, []
        for number, delta in enumerate(waiting):
            verdict = self._change(delta)
            if verdict is BookVerdict.GAP and self.is_first_after_base:
                # This snapshot ends before the buffer begins: a newer one is needed.
                self.pending = waiting[number:]
                self.state = BookState.BUFFERING
                return BookVerdict.OLDER
            if verdict >= BookVerdict.GAP:
                return verdict
        return BookVerdict.SNAPSHOT

    def _doubt(self, verdict: BookVerdict) -> BookVerdict:
        if self.state not in (BookState.BUFFERING, BookState.RESYNCING):
            self.state = BookState.STALE
        return verdict

    def _refuse_whole(self, verdict: BookVerdict) -> BookVerdict:
        self.bid_side.sizes.clear()
        self.ask_side.sizes.clear()
        return self._doubt(verdict)

    def _trim(self) -> None:
        self.overflows += self.bid_side.trim(self.capacity) + self.ask_side.trim(self.capacity)

    def _is_crossed(self) -> bool:
        bid, ask = self.bid_side.best(), self.ask_side.best()
        return bid is not None and ask is not None and bid >= ask

    def _forget(self) -> None:
        self.bid_side = Side(is_bid=True)
        self.ask_side = Side(is_bid=False)
        self.pending = []
        self.update_id = -1
        self.sequence = 0
        self.is_first_after_base = False

    # features, exact

    def mid_twice(self) -> int | None:
        bid, ask = self.bid_side.best(), self.ask_side.best()
        return None if bid is None or ask is None else bid + ask

    def microprice(self) -> Fraction | None:
        bid, ask = self.bid_side.best(), self.ask_side.best()
        if bid is None or ask is None:
            return None
        bid_size, ask_size = self.bid_side.sizes[bid], self.ask_side.sizes[ask]
        return Fraction(bid * ask_size + ask * bid_size, bid_size + ask_size)

    def imbalance(self, levels: int) -> Fraction | None:
        bid_size = sum(size for _, size in self.bids()[:levels])
        ask_size = sum(size for _, size in self.asks()[:levels])
        if bid_size + ask_size == 0:
            return None
        return Fraction(bid_size - ask_size, bid_size + ask_size)

    @staticmethod
    def vwap(levels: Levels, count: int) -> Fraction | None:
        size = sum(size for _, size in levels[:count])
        if size == 0:
            return None
        return Fraction(sum(price * size for price, size in levels[:count]), size)

    @staticmethod
    def vwap_to_fill(levels: Levels, size_units: int) -> tuple[Fraction, int] | None:
        """Average price of taking `size_units` from the best on, and the worst price reached."""
        cost = taken = worst = 0
        for price, size in levels:
            part = min(size, size_units - taken)
            cost, taken, worst = cost + price * part, taken + part, price
            if taken == size_units:
                return Fraction(cost, size_units), worst
        return None


def _is_possible(levels: Levels) -> bool:
    return all(0 < price <= PRICE_UNITS_MAX and size >= 0 for price, size in levels)
