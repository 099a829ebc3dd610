"""Owns joining a run to its history in a database; refuses to be on the way of anything.

What the engine took becomes rows where it is (a trade costs less than a microsecond); ten times a
second they leave as one block for a process of their own, which brings them to the database or to
the disk. A block is kept until that process says that it is durable, and is sent again to the next
one if it dies. Nothing here waits: at its bound the tap keeps no market rows any more, then drops
those it holds, and at the very last orders and executions; all of it counted and told.
"""

import asyncio
import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from tickwright.app.history_rows import EngineRows
from tickwright.core.commands import Notice
from tickwright.core.errors import StorageError
from tickwright.net.listener import utc_now_ns
from tickwright.storage.history.database import place_of
from tickwright.storage.history.rows import TRADE, BookRow, HistoryRow
from tickwright.storage.history.wire import (
    Block,
    End,
    FrameReader,
    Hello,
    Instruments,
    WriterState,
    encode_rows,
    frame,
)

__all__ = ["HistoryReport", "HistoryTap"]

TICK_S = 0.1
MARKET_BYTES_MAX = 64 * 1024**2
"""Blocks that nobody has made durable; beyond, no market rows are kept."""
BYTES_MAX = 96 * 1024**2
SENT_BYTES_MAX = 1024**2
"""What waits in the pipe itself; the rest stays in blocks, where it can be given up."""
RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0)
SILENT_S = 30.0
"""A process that says nothing for so long is ended: it speaks every twentieth of a second."""
END_S = 8.0
"""How long the end waits for the process; it goes on alone if it needs longer."""
LAST_WORDS = 5
WORDS_MAX = 500


class HistoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run's history; counts only ever rise."""

    database: str
    is_up: bool
    fault: str
    rows: int
    lost: int
    refused: int
    unknown: int
    outages: int
    outage_s: float
    behind_s: float
    spool_batches: int
    spool_bytes: int
    restarts: int
    is_whole: bool
    """Whether every row is in the database or, safely, in the spool."""
    slice_us_max: float
    """The longest that it held the trading loop."""


class _Kept:
    """A block that isn't durable yet."""

    __slots__ = ("block", "books", "rows", "size")

    def __init__(self, block: Block, books: int, rows: int) -> None:
        self.block = block
        self.books = books
        self.rows = rows
        self.size = len(block.trades) + len(block.books) + len(block.rows)

    def strip(self) -> int:
        """Drop its market rows; returns how many."""
        old = self.block
        lost = len(old.trades) // TRADE.size + self.books
        self.block = msgspec.structs.replace(old, trades=b"", books=b"", lost=old.lost + lost)
        self.books = 0
        self.size = len(old.rows)
        return lost


class HistoryTap:
    """Collects, seals and sends; `run` beside the trading, `aclose` at its end.

    Args:
        take_notices: lets the engine's notices come to `on_notice` now.
        clean: puts stars where a text holds a secret.
        on_note: called with (event, text) for log and screen.
    """

    def __init__(
        self,
        hello: Hello,
        rows: EngineRows,
        *,
        event_id: Callable[[], int],
        dropped_notices: Callable[[], int],
        take_notices: Callable[[], None],
        clean: Callable[[str], str] = str,
        on_note: Callable[[str, str], None] | None = None,
    ) -> None:
        self.rows = rows
        self.on_notice: Callable[[Notice], None] = rows.on_notice
        self.state = WriterState()
        self.restarts = 0
        self.lost = 0
        """Rows that this process could keep nowhere."""
        self.slice_us_max = 0.0
        """The longest that it held the loop in one go."""
        self._hello = hello
        self._event_id = event_id
        self._dropped_notices = dropped_notices
        self._take_notices = take_notices
        self._clean = clean
        self._on_note = on_note
        self._blocks: deque[_Kept] = deque()
        self._bytes = 0
        self._sent = 0
        """How many of the blocks the present process has got."""
        self._told_refs = 0
        self._number = self._last = self._lost_sealed = self._untold = 0
        self._sampling: Iterator[None] = iter(())
        self._process: asyncio.subprocess.Process | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._next_start_s = 0.0
        self._heard_s = 0.0
        self._fails = 0
        self._base = WriterState()
        """Sums of the processes before."""
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._was_up: bool | None = None
        self._lost_told = 0

    @property
    def waiting_bytes(self) -> int:
        """Of blocks that aren't durable."""
        return self._bytes

    @property
    def pid(self) -> int | None:
        """The process that writes; None while there is none."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Sample, seal and send until cancelled."""
        while True:
            await self._keep_process()
            self._sampling = self.rows.sampling(utc_now_ns())
            while self._sample():  # noqa: ASYNC110 - sockets are served between two slices
                await asyncio.sleep(0)
            self._take_notices()
            began_ns = time.perf_counter_ns()
            self.seal()
            self._send()
            self._held(began_ns)
            self._tell()
            await asyncio.sleep(TICK_S)

    def _sample(self) -> bool:
        """Sample a few books; False when the moment is whole."""
        began_ns = time.perf_counter_ns()
        for _ in self._sampling:
            self._held(began_ns)
            return True
        self._held(began_ns)
        return False

    def _held(self, began_ns: int) -> None:
        self.slice_us_max = max(self.slice_us_max, (time.perf_counter_ns() - began_ns) / 1_000)

    def seal(self) -> None:
        """Make a block of the rows so far: all of them, up to the engine's present input."""
        self._take_notices()
        taken = self.rows.take()
        lost = self.rows.lost + self._dropped_notices()
        news, self._lost_sealed = lost - self._lost_sealed, lost
        self.lost += news
        self._untold += news
        if not taken and not self._untold:
            return
        self._number += 1
        last = self._event_id()
        block = Block(
            number=self._number,
            first=self._last,
            last=last,
            lost=self._untold,
            trades=bytes(taken.trades),
            books=self._encoded(taken.books),
            rows=self._encoded(taken.rows),
        )
        self._last, self._untold = last, 0
        kept = _Kept(block, sum(map(_rows_of, taken.books)), len(taken.rows))
        self._blocks.append(kept)
        self._bytes += kept.size
        self._bound()

    def _encoded(self, rows: list[tuple[int, HistoryRow]]) -> bytes:
        """Pack rows; one that no message can hold is counted, and stops nothing."""
        try:
            return encode_rows(rows)
        except (OverflowError, ValueError):
            kept = []
            for row in rows:
                try:
                    encode_rows([row])
                except (OverflowError, ValueError):
                    self.rows.unknown += 1
                else:
                    kept.append(row)
            return encode_rows(kept)

    def _bound(self) -> None:
        """Keep to the bounds: market rows go first, those that wait longest before the others."""
        if self._bytes <= MARKET_BYTES_MAX // 2:
            self.rows.has_market = True
        elif self._bytes > MARKET_BYTES_MAX:
            self.rows.has_market = False
        for kept in islice(self._blocks, self._sent, None):
            if self._bytes <= BYTES_MAX:
                return
            before = kept.size
            self.lost += kept.strip()
            self._bytes += kept.size - before
        while self._bytes > BYTES_MAX and len(self._blocks) > self._sent:
            gone = self._blocks.pop()
            self._bytes -= gone.size
            self.lost += gone.rows
            # The next block tells of it, and goes on where the one before ended.
            self._untold += gone.rows + gone.block.lost
            self._last = gone.block.first

    # the process --------------------------------------------------------------------------------

    async def _keep_process(self) -> None:
        """Start the process that writes, and another one after it died."""
        process = self._process
        if process is not None and process.returncode is not None:
            await self._bury(process)
        elif process is not None and time.monotonic() - self._heard_s > SILENT_S:
            # What it didn't call durable goes to the next one.
            self._heard_s = time.monotonic()
            self._words.append(f"it said nothing for {SILENT_S:g} s")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if self._process is None and time.monotonic() >= self._next_start_s:
            await self._start()

    async def _start(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tickwright.app.history_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            # A machine that is out of memory or files is no reason to stop trading.
            self._note("history.ended", f"its process can't be started: {error.strerror}")
            self._wait_longer()
            return
        self._process = process
        self._heard_s = time.monotonic()
        self._sent = self._told_refs = 0
        self._listening = [
            asyncio.create_task(self._listen(process)),
            asyncio.create_task(self._hear(process)),
        ]
        assert process.stdin is not None
        process.stdin.write(frame(self._hello))

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        self._process = None
        await asyncio.wait(self._listening)
        words = self._clean(" ".join(self._words))[-WORDS_MAX:]
        self._note("history.ended", f"its process ended with code {process.returncode}: {words}")
        self._base = self._sums()
        self.state = WriterState(
            fault=f"its process ended: {words}",
            spool_batches=self.state.spool_batches,
            spool_bytes=self.state.spool_bytes,
        )
        self._wait_longer()
        self.restarts += 1

    def _wait_longer(self) -> None:
        self._next_start_s = time.monotonic() + RESTART_S[min(self._fails, len(RESTART_S) - 1)]
        self._fails += 1

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Read what it says of itself, and let go of what is durable."""
        assert process.stdout is not None
        frames = FrameReader()
        decode = msgspec.msgpack.Decoder(WriterState).decode
        try:
            while data := await process.stdout.read(1 << 16):
                for body in frames.feed(data):
                    self._hold_less(decode(body))
        except (OSError, StorageError, msgspec.MsgspecError) as error:
            self._words.append(str(error))

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with contextlib.suppress(ValueError):
            async for line in process.stderr:
                self._words.append(line.decode(errors="replace").strip()[:WORDS_MAX])

    def _hold_less(self, state: WriterState) -> None:
        self.state = state
        self._heard_s = time.monotonic()
        if state.is_up:
            self._fails = 0
        while self._blocks and self._blocks[0].block.number <= state.acked:
            self._bytes -= self._blocks.popleft().size
            self._sent = max(0, self._sent - 1)

    def _send(self) -> None:
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        pipe = process.stdin.transport
        if pipe.is_closing():
            return
        if self._told_refs != len(self.rows.instruments):
            self._told_refs = len(self.rows.instruments)
            pipe.write(frame(Instruments(tuple(self.rows.instruments))))
        while self._sent < len(self._blocks) and pipe.get_write_buffer_size() < SENT_BYTES_MAX:
            pipe.write(frame(self._blocks[self._sent].block))
            self._sent += 1

    async def aclose(self) -> None:
        """Send what is left and give the process a moment to bring it home."""
        while self._sample():
            pass
        self.seal()
        process = self._process
        deadline_s = time.monotonic() + END_S
        if process is None or process.stdin is None:
            return
        while self._sent < len(self._blocks) and time.monotonic() < deadline_s:
            self._send()
            if process.returncode is not None:
                return
            await asyncio.sleep(TICK_S / 4)
        if not process.stdin.transport.is_closing():
            process.stdin.write(frame(End()))
        rest_s = max(0.1, deadline_s - time.monotonic())
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._over(process)), rest_s)
        self._tell()

    async def _over(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        await asyncio.wait(self._listening)

    # what it tells ------------------------------------------------------------------------------

    def report(self) -> HistoryReport:
        """Return the figures so far."""
        state, sums = self.state, self._sums()
        return HistoryReport(
            database=place_of(self._hello.dsn),
            is_up=state.is_up,
            fault=self._clean(state.fault),
            rows=sums.rows,
            lost=self.lost + sums.lost,
            refused=sums.refused,
            unknown=self.rows.unknown,
            outages=sums.outages,
            outage_s=sums.outage_s,
            behind_s=state.behind_s,
            spool_batches=state.spool_batches,
            spool_bytes=state.spool_bytes,
            restarts=self.restarts,
            is_whole=not (self._blocks or self.lost or sums.lost or sums.refused),
            slice_us_max=self.slice_us_max,
        )

    def _sums(self) -> WriterState:
        state, base = self.state, self._base
        return msgspec.structs.replace(
            state,
            rows=base.rows + state.rows,
            lost=base.lost + state.lost,
            refused=base.refused + state.refused,
            outages=base.outages + state.outages,
            outage_s=base.outage_s + state.outage_s,
        )

    def _tell(self) -> None:
        state = self.state
        if state.told_ns and state.is_up is not self._was_up:
            if state.is_up and self._was_up is not None:
                self._note("history.back", f"{state.database}: {state.spool_batches} batches wait")
            elif not state.is_up and state.fault:
                self._note("history.away", self._clean(state.fault))
            if state.is_up or state.fault:
                self._was_up = state.is_up
        lost = self.lost + self._base.lost + state.lost
        if lost > self._lost_told:
            self._note("history.lost", f"{lost} rows so far: neither database nor disk took them")
            self._lost_told = lost * 2

    def _note(self, event: str, text: str) -> None:
        if self._on_note is not None:
            self._on_note(event, text)


def _rows_of(book: tuple[int, HistoryRow]) -> int:
    row = book[1]
    assert isinstance(row, BookRow), "nothing else is sampled there"
    return 1 + min(row.levels, len(row.bids)) + min(row.levels, len(row.asks))
