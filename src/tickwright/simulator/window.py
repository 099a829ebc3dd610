"""Owns what one depth topic has shown: the window, its `u`, exact deltas; refuses sockets.

A delta holds every change since the last frame, and the levels that enter or leave the window with
their size or zero, so that a reader who applies it holds exactly the venue's best `depth` levels a
side.
"""

from bisect import bisect_left

from tickwright.simulator.instruments import UnitText
from tickwright.simulator.ladder import Ladder
from tickwright.simulator.sources.operations import Level

__all__ = ["BookWindow", "Changes", "levels_text"]

Changes = list[tuple[int, int]]
"""(key, size) pairs, best first; size 0 removes."""

_NO_EDGE = -(1 << 63)


class _SideWindow:
    """The published levels of one side and the keys touched since."""

    __slots__ = ("depth", "edge", "ladder", "shown", "touched")

    def __init__(self, ladder: Ladder, depth: int) -> None:
        self.ladder = ladder
        self.depth = depth
        self.shown: dict[int, int] = {}
        self.touched: set[int] = set()
        # Worst key of a full window. Below it nothing is shown; a thin book has no edge.
        self.edge = _NO_EDGE

    def reset(self) -> None:
        ladder = self.ladder
        keys = ladder.keys[-self.depth :]
        self.shown = {key: ladder.size_at(key) for key in keys}
        self.edge = keys[0] if len(keys) == self.depth else _NO_EDGE
        self.touched.clear()

    def changes(self) -> Changes:
        """Bring the window up to date and return what changed, best first."""
        ladder, shown, depth, old_edge = self.ladder, self.shown, self.depth, self.edge
        keys = ladder.keys
        count = len(keys)
        edge = keys[-depth] if count >= depth else _NO_EDGE
        out: Changes = []
        external, own = ladder.external, ladder.own
        for key in self.touched:
            if key >= edge:
                size = external.get(key, 0)
                if own:
                    size += own.get(key, 0)
                if shown.get(key, 0) == size:
                    continue
                out.append((key, size))
                if size:
                    shown[key] = size
                else:
                    del shown[key]
            elif key in shown:
                out.append((key, 0))
                del shown[key]
        self.touched.clear()
        if edge != old_edge:
            self.edge = edge
            if edge > old_edge:  # levels were pushed out of the window
                for key in keys[bisect_left(keys, old_edge) : count - depth]:
                    if key in shown:
                        del shown[key]
                        out.append((key, 0))
            else:  # room at the far end: levels enter
                first = max(0, count - depth)
                for key in keys[first : bisect_left(keys, old_edge)]:
                    if key not in shown:
                        size = ladder.size_at(key)
                        shown[key] = size
                        out.append((key, size))
        if len(out) > 1:
            out.sort(reverse=True)
        return out

    def levels(self) -> Changes:
        return sorted(self.shown.items(), reverse=True)


class BookWindow:
    """The state of one depth topic: its window and its `u`."""

    __slots__ = (
        "_asks",
        "_bids",
        "depth",
        "touched_asks",
        "touched_bids",
        "u",
    )

    def __init__(self, bids: Ladder, asks: Ladder, depth: int, *, first_u: int) -> None:
        self.depth = depth
        self.u = first_u
        self._bids = _SideWindow(bids, depth)
        self._asks = _SideWindow(asks, depth)
        # Keys changed since the last frame: the book adds to these sets, `advance` empties them.
        self.touched_bids = self._bids.touched
        self.touched_asks = self._asks.touched
        self.reset()

    def reset(self) -> None:
        """Show the book as it is now, under the present `u`."""
        self._bids.reset()
        self._asks.reset()

    def renumber(self, u: int) -> None:
        """Start counting at `u` with the book as it is (a service restart counts from 1)."""
        self.u = u
        self.reset()

    def advance(self) -> tuple[Changes, Changes] | None:
        """Take in the book's changes: (bids, asks) under a new `u`, or None if nothing shows."""
        # Untouched means unchanged: every change of a side's levels touches a key of it.
        bids = self._bids.changes() if self.touched_bids else []
        asks = self._asks.changes() if self.touched_asks else []
        if not bids and not asks:
            return None
        self.u += 1
        return bids, asks

    def resize(
        self, bids: list[Level], asks: list[Level], price: UnitText, size: UnitText
    ) -> tuple[str, str] | None:
        """Take in changes that only resize resting levels, given as prices, best first.

        Returns the texts of what the window shows of them, under a new `u` if it shows any. Returns
        None, without a change, when more than this is to be shown: own orders rest in the book, or
        other changes wait.
        """
        bid_side, ask_side = self._bids, self._asks
        own = bid_side.ladder.own or ask_side.ladder.own
        if own or self.touched_bids or self.touched_asks:
            return None
        bid_texts, ask_texts = [], []
        shown, edge = bid_side.shown, bid_side.edge
        for level_price, units in bids:
            if level_price >= edge:
                shown[level_price] = units
                bid_texts.append(f'["{price[level_price]}","{size[units]}"]')
        shown, edge = ask_side.shown, ask_side.edge
        for level_price, units in asks:
            if -level_price >= edge:
                shown[-level_price] = units
                ask_texts.append(f'["{price[level_price]}","{size[units]}"]')
        if bid_texts or ask_texts:
            self.u += 1
        return ",".join(bid_texts), ",".join(ask_texts)

    def shown(self) -> tuple[Changes, Changes]:
        """The window last published: (bids, asks) as (key, size), best first."""
        return self._bids.levels(), self._asks.levels()


def levels_text(changes: Changes, sign: int, price: UnitText, size: UnitText) -> str:
    """Write levels as the wire does, without the outer brackets."""
    if not changes:
        return ""
    if sign > 0:
        return ",".join([f'["{price[key]}","{size[units]}"]' for key, units in changes])
    return ",".join([f'["{price[-key]}","{size[units]}"]' for key, units in changes])
