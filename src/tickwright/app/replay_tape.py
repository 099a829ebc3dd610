"""Owns the order in which recordings are played, one record after the other; refuses clocks.

Recordings follow each other, or run beside each other where their times overlap, record by record
in the order of receive times. What stands before the beginning is read to know the books.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tickwright.app.replay_market import RecordedMarket, RecordedShelf
from tickwright.app.replay_source import RecordedSpan
from tickwright.simulator.public_session import PublicSession
from tickwright.storage.segments import Skip
from tickwright.storage.session_log import Record, RecordKind

__all__ = ["Tape", "TapeCounts"]

_PRIMED_AT_ONCE = 1_000


class TapeCounts(msgspec.Struct, frozen=True):
    """What was played, and what of it was missing.

    `unread_frames` nobody could be given: what connection they came on wasn't readable. `holes` are
    places where records are missing: damage, and what the recorder had to leave out.
    """

    frames: int = 0
    frame_bytes: int = 0
    unread_frames: int = 0
    lost_connections: int = 0
    holes: int = 0

    def __add__(self, other: "TapeCounts") -> "TapeCounts":
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return TapeCounts(*(one + another for one, another in pairs))


class Tape:
    """Plays spans: `next_ns` says when the next record is due, `step` plays it.

    Args:
        cut: see `RecordedMarket`.
    """

    def __init__(
        self,
        spans: Sequence[RecordedSpan],
        shelf: RecordedShelf,
        cut: Callable[[list[PublicSession]], None],
    ) -> None:
        self.is_at_seam = False
        """Whether nothing was under way when the next record's recording began."""
        self._waiting = list(reversed(spans))
        self._shelf = shelf
        self._cut = cut
        self._reels: list[_Reel] = []
        self._under_way: list[tuple[int, int, _Reel]] = []
        self._is_priming = False
        self._open_due()

    @property
    def next_ns(self) -> int | None:
        """When the next record was received; None when everything has been played."""
        return self._under_way[0][0] if self._under_way else None

    @property
    def read_bytes(self) -> int:
        """Bytes of the files read so far."""
        return sum(reel.reader.position for reel in self._reels)

    @property
    def is_cut_short(self) -> bool:
        """Whether a recording has no end: a crash, or it is still being written."""
        return any(reel.record is None and reel.reader.is_cut for reel in self._reels)

    @property
    def skips(self) -> list[Skip]:
        """Damaged places, the first 1,000 of each recording."""
        return [skip for reel in self._reels for skip in reel.reader.skips]

    def counts(self) -> TapeCounts:
        """Return the sums over all recordings so far."""
        counts = TapeCounts()
        for reel in self._reels:
            market = reel.market
            counts += TapeCounts(
                market.frames,
                market.frame_bytes,
                market.unread_frames,
                market.lost_connections,
                reel.reader.skip_count + market.lost_records,
            )
        return counts

    def prime(self, begin_ns: int) -> Iterator[None]:
        """Read what was received before `begin_ns`, without a word; comes back now and then."""
        count = 0
        self._is_priming = True
        for reel in self._reels:
            reel.market.is_silent = True
        while (next_ns := self.next_ns) is not None and next_ns < begin_ns:
            self.step()
            count += 1
            if count % _PRIMED_AT_ONCE == 0:
                yield
        self._is_priming = False
        for reel in self._reels:
            reel.market.begin()

    def step(self) -> None:
        """Play the next record."""
        self.is_at_seam = False
        _, place, reel = self._under_way[0]
        record = reel.record
        assert record is not None
        if reel.has_hole():
            reel.market.interrupt()
        reel.market.take(record)
        if reel.advance():
            heapq.heapreplace(self._under_way, (reel.clock_ns, place, reel))
        else:
            heapq.heappop(self._under_way)
            if self._under_way or self._waiting:
                reel.market.end()
        self._open_due()

    def end(self) -> None:
        """Cut whoever still listens, now that everything has been played."""
        for reel in self._reels:
            reel.market.end()

    def _open_due(self) -> None:
        """Open the recordings that begin before anything else is due."""
        while self._waiting and (
            not self._under_way or self._waiting[-1].first_ns <= self._under_way[0][0]
        ):
            span = self._waiting.pop()
            self.is_at_seam = not self._under_way and bool(self._reels)
            reel = _Reel(RecordedMarket(span, self._shelf, self._cut))
            self._reels.append(reel)
            if not self._is_priming:
                reel.market.begin()
            if reel.is_wound:
                heapq.heappush(self._under_way, (reel.clock_ns, len(self._reels), reel))


class _Reel:
    """One span under way: the record that comes next, and its time.

    Only frames tell the time: a book's record may stand under none, an input under its own.
    """

    def __init__(self, market: RecordedMarket) -> None:
        self.market = market
        self.reader = market.span.reader()
        self.clock_ns = 0
        self.record: Record | None = None
        self._records = iter(self.reader)
        self._skips = 0
        first_ns = market.span.first_ns
        market.is_silent = True
        # Of named segments: what stands in those before them makes the books.
        self.is_wound = self.advance()
        while self.is_wound and self.clock_ns < first_ns:
            assert self.record is not None
            market.take(self.record)
            self.is_wound = self.advance()
        self.clock_ns = max(self.clock_ns, first_ns)

    def advance(self) -> bool:
        """Read on; False at the end."""
        self.record = next(self._records, None)
        if self.record is None:
            return False
        if self.record.kind is RecordKind.FRAME:
            self.clock_ns = max(self.clock_ns, self.record.now_ns)
        return True

    def has_hole(self) -> bool:
        """Whether something couldn't be read right before the record; says so once."""
        if self.reader.skip_count == self._skips:
            return False
        self._skips = self.reader.skip_count
        return True
