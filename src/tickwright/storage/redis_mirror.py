"""Owns the mirror of books, trades and signals in Redis, as the trading loop sees it.

Once an interval the books that changed are packed in compiled code, in slices of at most about
`SLICE_US` spread over the interval, and one write goes to a thread. Nothing on the trading path
awaits any of it. A Redis that is down or slow sees newer books in place of older ones; trades and
signals wait in a bounded queue and are counted where it overflows. What a failed write held of them
is sent again under the same ids, so that each stands in its stream once.

It refuses to keep anything alive: each key has an absolute deadline on the server's clock, so a
write that a stopped server carries out late doesn't look fresh.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import Random

import msgspec

from tickwright import __version__
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import SignalNotice
from tickwright.core.events import Trade
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.listener import utc_now_ns
from tickwright.storage.redis_address import RedisAddress
from tickwright.storage.redis_layout import (
    BookKeys,
    key_slot,
    signal_words,
    signals_key,
    writer_key,
)
from tickwright.storage.redis_link import Replies
from tickwright.storage.redis_pack import CommandBuffer
from tickwright.storage.redis_sender import Outcome, RedisPlan, RedisSender
from tickwright.storage.redis_trades import TradeQueue

__all__ = ["MirrorOptions", "MirrorReport", "RedisMirror"]

SLICE_US = 25
"""How long packing may hold the loop before it serves its sockets again, but for one book more."""
PAUSE_S = 0.001
"""Between slices, until half of the interval is over: a backlog from one is gone before the next.
"""
TRADES_WAITING_BYTES_MAX = 48 * 1024 * 1024
"""Trades that wait for Redis: a minute and a half of 6,000 a second; beyond, the oldest are lost
and counted."""
SIGNALS_WAITING_MAX = 20_000
"""Signals that wait; beyond, the oldest are lost and counted."""
ENTRIES_AT_ONCE_MAX = 2_000
TRADES_A_LOOK = 8
"""Trades packed between two looks at the clock."""
STREAM_EXPIRE_MS = 3_600_000
"""A stream that nobody adds to goes after an hour."""
END_S = 1.0
"""How long the end waits to send what is left."""
REASON_LENGTH_MAX = 500
PASSING = ("OOM", "LOADING", "READONLY", "MISCONF", "BUSY", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS")
"""Errors that pass by themselves: trades and signals are kept and sent again."""

_Mark = tuple[int, int, int, int]
_Entry = tuple[SignalNotice, int]
"""A signal, and the number that makes its id one of its own."""


class _Keys(msgspec.Struct, frozen=True):
    """An instrument's keys as they are written, and the slot they share."""

    packed: bytes
    readable: bytes
    trades: int
    """The number of its stream of trades."""
    slot: int


class MirrorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the mirror writes; see `docs/redis.md`."""

    interval_ms: int = 100
    levels: int = 10
    streams_max: int = 10_000
    expire_ms: int = 5_000
    prefix: str = "tickwright"


class MirrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the mirror did; counts only ever rise."""

    address: str
    is_up: bool
    fault: str
    writes: int
    bytes: int
    books: int
    trades: int
    signals: int
    entries_lost: int
    entries_again: int
    refused: int
    skipped: int
    outages: int
    outage_s: float
    flushes: int
    book_us: float | None
    slice_us_max: float


class _Packing:
    """One write in the making, and how long the loop has been held for it."""

    __slots__ = ("buffers", "held_ns_max", "paced_until_s", "plan", "started_ns")

    def __init__(
        self, plan: RedisPlan, buffers: list[CommandBuffer], *, paced_until_s: float = 0.0
    ) -> None:
        self.plan = plan
        self.buffers = buffers
        self.held_ns_max = 0
        self.paced_until_s = paced_until_s
        for buffer in buffers:
            buffer.clear()
        self.started_ns = time.perf_counter_ns()

    def node(self, slot: int) -> int:
        return 0 if self.plan.node_of_slot is None else self.plan.node_of_slot[slot]

    async def breathe(self) -> None:
        """Let the loop go on once this slice is used up."""
        held_ns = time.perf_counter_ns() - self.started_ns
        if held_ns > SLICE_US * 1000:
            self.held_ns_max = max(self.held_ns_max, held_ns)
            await asyncio.sleep(PAUSE_S if time.monotonic() < self.paced_until_s else 0)
            self.started_ns = time.perf_counter_ns()

    def end(self) -> int:
        """Return the bytes of all commands."""
        self.held_ns_max = max(self.held_ns_max, time.perf_counter_ns() - self.started_ns)
        return sum(map(len, self.buffers))


class RedisMirror:
    """Mirrors books, trades and signals; give them to it, and `run` it.

    Args:
        books: returns the books that are kept now.
        clean: puts stars where a text holds a secret.
        on_note: called with (event, text) for the log.
    """

    def __init__(
        self,
        address: RedisAddress,
        options: MirrorOptions,
        *,
        books: Callable[[], Iterable[OrderBook]],
        random: Random,
        clean: Callable[[str], str] = str,
        on_note: Callable[[str, str], None] | None = None,
    ) -> None:
        self.options = options
        self._address = address
        self._books = books
        self._clean = clean
        self._on_note = on_note
        self._sender = RedisSender(address, random)
        self._buffers: list[CommandBuffer] = []
        self._trades = TradeQueue(
            bytes_max=TRADES_WAITING_BYTES_MAX, entries_max=options.streams_max
        )
        self._trade_slots: list[int] = []
        self._signals_waiting: deque[_Entry] = deque(maxlen=SIGNALS_WAITING_MAX)
        self._signal_number = 0
        self._under_way: list[_Entry] = []
        self._again: list[_Entry] = []
        self._written: dict[InstrumentId, tuple[_Mark, int]] = {}
        self._keys: dict[InstrumentId, _Keys] = {}
        self._signals = _slotted(signals_key(options.prefix))
        self._writer = _slotted(writer_key(options.prefix))
        self._started_ns = utc_now_ns()
        self._refresh_ns = min(1_000, options.expire_ms // 3) * 1_000_000
        self._good_s = 0.0
        """When Redis last carried out a whole write, monotonic; 0 before the first."""
        self._out_since_s: float | None = None
        self._is_up = False
        self._fault = ""
        self._writes = self._bytes = self._book_count = self._trade_count = self._signal_count = 0
        self._lost = self._again_count = self._refused = self._skipped = 0
        self._outages = self._flushes = self._pack_ns = 0
        self._outage_s = 0.0
        self._slice_ns_max = 0

    # what comes in ------------------------------------------------------------------------------

    def on_trades(self, trades: Sequence[Trade], find: Callable[[str], Instrument]) -> None:
        """Take public trades; `find` returns a symbol's instrument as it reads now."""
        instrument: Instrument | None = None
        for trade in trades:
            instrument_id = trade.instrument_id
            if instrument is None or instrument.id != instrument_id:
                instrument = find(instrument_id.symbol)
            self._trades.push(
                self._keys_of(instrument_id).trades,
                trade,
                price_decimals=instrument.price_decimals,
                size_decimals=instrument.size_decimals,
            )

    def on_signal(self, notice: SignalNotice) -> None:
        """Take a signal and what the gate said of it."""
        if len(self._signals_waiting) == SIGNALS_WAITING_MAX:
            self._lost += 1
        self._signal_number += 1
        self._signals_waiting.append((notice, self._signal_number))

    # running ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write once an interval until cancelled."""
        self._sender.start()
        step_s = self.options.interval_ms / 1e3
        next_s = time.monotonic()
        while True:
            next_s = max(next_s + step_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())
            await self.step()

    async def step(self) -> None:
        """Look what became of the last write, and give the next one to the thread."""
        self._settle()
        plan = self._sender.plan
        if plan is None or not self._sender.is_idle:
            self._skipped += 1
            return
        if len(self._buffers) != plan.node_count:
            self._buffers = [CommandBuffer() for _ in range(plan.node_count)]
        paced_until_s = time.monotonic() + self.options.interval_ms / 2e3
        packing = _Packing(plan, self._buffers, paced_until_s=paced_until_s)
        try:
            await self._pack(packing)
        except asyncio.CancelledError:
            # Nothing of it was sent: the end packs it again.
            self._pack_again()
            raise
        self._bytes += packing.end()
        self._slice_ns_max = max(self._slice_ns_max, packing.held_ns_max)
        self._writes += 1
        self._sender.send(packing.buffers)

    async def aclose(self) -> None:
        """Send what is left, for a moment, and end the thread; what didn't go is counted lost."""
        deadline_s = time.monotonic() + END_S
        while time.monotonic() < deadline_s and self._sender.plan is not None:
            self._settle()
            if self._sender.is_idle:
                if not (self._trades.waiting or self._signals_waiting or self._again):
                    break
                await self.step()
            await asyncio.sleep(0.005)
        await asyncio.to_thread(self._sender.close)
        outcome = self._sender.take_outcome()
        if outcome is not None:
            self._judge(outcome)
        self._trades.clear()
        self._lost += len(self._signals_waiting) + len(self._again) + len(self._under_way)
        self._signals_waiting.clear()
        self._again, self._under_way = [], []
        self._count_outage()

    # packing ------------------------------------------------------------------------------------

    async def _pack(self, packing: _Packing) -> None:
        self._pack_writer(packing, utc_now_ns())
        for book in list(self._books()):
            if self._pack_book(packing, book):
                await packing.breathe()
        await self._pack_entries(packing)

    def _pack_writer(self, packing: _Packing, now_ns: int) -> None:
        key, slot = self._writer
        node = packing.node(slot)
        options = self.options
        # The first command of its node: its reply tells whether the keys were still there.
        buffer = packing.buffers[node]
        buffer.add(
            "HSET",
            key,
            "version",
            __version__,
            "started_ns",
            self._started_ns,
            "written_ns",
            now_ns,
            "interval_ms",
            options.interval_ms,
            "levels",
            options.levels,
            "expire_ms",
            options.expire_ms,
        )
        deadline_ms = now_ns // 1_000_000 + packing.plan.offsets_ms[node] + options.expire_ms
        buffer.add("PEXPIREAT", key, deadline_ms)

    def _pack_book(self, packing: _Packing, book: OrderBook) -> bool:
        """Add a book that changed, or that would expire; returns whether it did."""
        instrument_id = book.instrument_id
        mark = (int(book.state), book.update_id, book.proof_ns, book.received_ns)
        now_ns = utc_now_ns()
        before = self._written.get(instrument_id)
        if before is not None and before[0] == mark and now_ns - before[1] < self._refresh_ns:
            return False
        started_ns = time.perf_counter_ns()
        keys = self._keys_of(instrument_id)
        node = packing.node(keys.slot)
        expire_ms = self.options.expire_ms
        packing.buffers[node].add_book(
            book,
            keys.packed,
            keys.readable,
            levels=self.options.levels,
            now_ns=now_ns,
            expire_ms=expire_ms,
            deadline_ms=now_ns // 1_000_000 + packing.plan.offsets_ms[node] + expire_ms,
        )
        self._written[instrument_id] = (mark, now_ns)
        self._book_count += 1
        self._pack_ns += time.perf_counter_ns() - started_ns
        return True

    async def _pack_entries(self, packing: _Packing) -> None:
        if not (self._trades.waiting or self._signals_waiting or self._again):
            return
        # All or nothing: an entry that is refused alone would stand behind later ones for good.
        # In a cluster a transaction may not span slots: see docs/redis.md.
        is_whole = packing.plan.node_of_slot is None
        if is_whole:
            packing.buffers[0].add("MULTI")
        await self._pack_trades(packing)
        await self._pack_signals(packing)
        if is_whole:
            packing.buffers[0].add("EXEC")

    async def _pack_trades(self, packing: _Packing) -> None:
        self._trades.begin()
        nodes = [packing.node(slot) for slot in self._trade_slots]
        left = ENTRIES_AT_ONCE_MAX
        while left > 0:
            # Instruments may come in a pause.
            nodes += [packing.node(slot) for slot in self._trade_slots[len(nodes) :]]
            done = self._trades.pack(packing.buffers, nodes, min(left, TRADES_A_LOOK))
            if not done:
                break
            left -= done
            await packing.breathe()
        for stream in self._trades.touched_streams():
            key = self._trades.key_of(stream)
            packing.buffers[nodes[stream]].add("PEXPIRE", key, STREAM_EXPIRE_MS)
            await packing.breathe()

    async def _pack_signals(self, packing: _Packing) -> None:
        signals = self._under_way = self._again
        self._again = []
        key, slot = self._signals
        buffer = packing.buffers[packing.node(slot)]
        for notice, number in signals:
            self._pack_signal(buffer, key, notice, number)
            await packing.breathe()
        while self._signals_waiting and len(signals) < ENTRIES_AT_ONCE_MAX:
            signals.append(self._signals_waiting.popleft())
            self._pack_signal(buffer, key, *signals[-1])
            await packing.breathe()
        if signals:
            buffer.add("PEXPIRE", key, STREAM_EXPIRE_MS)

    def _pack_signal(
        self, buffer: CommandBuffer, key: bytes, notice: SignalNotice, number: int
    ) -> None:
        reason = self._clean(notice.signal.reason)[:REASON_LENGTH_MAX]
        entries_max = self.options.streams_max
        words = signal_words(key, notice, number=number, entries_max=entries_max, reason=reason)
        buffer.add(*words)

    def _pack_again(self) -> None:
        """Nothing of the last write is known to be there: the next one holds it too."""
        self._trades.roll_back()
        self._again, self._under_way = self._under_way + self._again, []
        self._written.clear()

    def _keys_of(self, instrument_id: InstrumentId) -> _Keys:
        known = self._keys.get(instrument_id)
        if known is None:
            keys = BookKeys.of(self.options.prefix, instrument_id)
            slot = key_slot(keys.packed)
            stream = self._trades.add_stream(keys.trades.encode())
            self._trade_slots.append(slot)
            known = self._keys[instrument_id] = _Keys(
                keys.packed.encode(), keys.readable.encode(), stream, slot
            )
        return known

    # what became of it --------------------------------------------------------------------------

    def _settle(self) -> None:
        outcome = self._sender.take_outcome()
        if outcome is not None:
            self._judge(outcome)
        elif self._sender.plan is None and self._sender.fault:
            self._went_out(self._sender.fault)

    def _judge(self, outcome: Outcome) -> None:
        if not outcome.is_sent:
            self._pack_again()
            self._went_out(self._sender.fault)
            return
        replies = outcome.replies
        refused = sum(one.refused for one in replies)
        self._again_count += sum(one.twice for one in replies)
        self._refused += refused
        if refused:
            self._written.clear()
            fault = next(one.fault for one in replies if one.fault)
            if _passes(replies):
                self._pack_again()
            else:
                self._trades.commit()
                self._under_way = []
            self._went_out(fault)
            return
        self._trade_count += self._trades.commit()
        self._signal_count += len(self._under_way)
        self._under_way = []
        self._came_back()
        is_new = any(one.is_new for one in replies)
        now_s = time.monotonic()
        if is_new and self._good_s and now_s - self._good_s < self.options.expire_ms / 1e3:
            self._flushes += 1
            self._written.clear()
            self._note("redis.flushed", f"{self._address} lost what it held; writing it again")
        self._good_s = now_s

    def _went_out(self, fault: str) -> None:
        self._is_up, self._fault = False, self._clean(fault)
        if self._out_since_s is None:
            self._out_since_s = time.monotonic()
            self._outages += 1
            self._note("redis.lost", self._fault)

    def _came_back(self) -> None:
        self._is_up, self._fault = True, ""
        if self._out_since_s is not None:
            seconds = time.monotonic() - self._out_since_s
            self._count_outage()
            self._note("redis.back", f"{self._address} after {seconds:.1f} s")

    def _count_outage(self) -> None:
        if self._out_since_s is not None:
            self._outage_s += time.monotonic() - self._out_since_s
            self._out_since_s = None

    def _note(self, event: str, text: str) -> None:
        if self._on_note is not None:
            self._on_note(event, text)

    def measure(self, books: Iterable[OrderBook]) -> int:
        """Pack these books for nobody and return the bytes: what they would cost the loop."""
        if len(self._buffers) != 1:
            self._buffers = [CommandBuffer()]
        packing = _Packing(RedisPlan(1, None, [0]), self._buffers)
        for book in books:
            self._pack_book(packing, book)
        return packing.end()

    # looking ------------------------------------------------------------------------------------

    @property
    def trades_waiting(self) -> int:
        """Trades that aren't known to be in Redis yet."""
        return self._trades.waiting

    def report(self) -> MirrorReport:
        """Return what it did so far; an outage that lasts counts up to now."""
        since_s = self._out_since_s
        outage_s = self._outage_s + (0.0 if since_s is None else time.monotonic() - since_s)
        return MirrorReport(
            address=str(self._address),
            is_up=self._is_up,
            fault=self._fault,
            writes=self._writes,
            bytes=self._bytes,
            books=self._book_count,
            trades=self._trade_count,
            signals=self._signal_count,
            entries_lost=self._lost + self._trades.lost,
            entries_again=self._again_count,
            refused=self._refused,
            skipped=self._skipped,
            outages=self._outages,
            outage_s=round(outage_s, 3),
            flushes=self._flushes,
            book_us=round(self._pack_ns / self._book_count / 1e3, 1) if self._book_count else None,
            slice_us_max=round(self._slice_ns_max / 1e3, 1),
        )


def _slotted(key: str) -> tuple[bytes, int]:
    return key.encode(), key_slot(key)


def _passes(replies: Sequence[Replies]) -> bool:
    return all(one.has_moved or one.fault.startswith(PASSING) for one in replies if one.refused)
