"""Owns the process that writes a run's history: blocks in by stdin, the database or the disk out.

It is a process of its own because its work would hold the trader's interpreter. It outlives a
killed trader just long enough to bring what it holds to the database or the spool, refuses to lose
a block that it acknowledged, and never prints: its state goes to the trader and, for `db status`,
to a file.

``python -m tickwright.app.history_process``
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from tickwright.app.history_spool import STATE_FILE
from tickwright.core.errors import StorageError
from tickwright.net.listener import utc_now_ns
from tickwright.storage.history.batch import make_batch
from tickwright.storage.history.database import place_of
from tickwright.storage.history.pump import HistoryPump
from tickwright.storage.history.rows import TRADE, HistoryRow, InstrumentRef
from tickwright.storage.history.spool import Spool
from tickwright.storage.history.wire import (
    Block,
    End,
    FrameReader,
    Hello,
    Instruments,
    ToWriter,
    WriterState,
    decode_rows,
    frame,
)

__all__ = ["main"]

BATCH_ROWS = 20_000
BATCH_S = 0.5
"""How long rows are gathered for one transaction."""
TELL_S = 0.05
FILE_S = 0.5
END_S = 5.0
"""How long the end waits for the database; what it doesn't take by then stays in the spool."""
LOCK_S = 30.0
LOCK_TRY_S = 0.1
NICE = 10
READ_BYTES = 1 << 18
TELL_BYTES_MAX = 1 << 16
FULL_S = 0.02


class _Gathered:
    """Rows of blocks that follow each other, until they are worth a transaction."""

    def __init__(self) -> None:
        self.instruments: tuple[InstrumentRef, ...] = ()
        self.number = self.first = self.last = self.lost = 0
        self.trades = bytearray()
        self.rows: list[tuple[int, HistoryRow]] = []
        self.since_s: float | None = None

    def add(self, block: Block) -> None:
        if self.since_s is None:
            self.since_s = time.monotonic()
            self.first = block.first
        self.number, self.last = block.number, block.last
        self.lost += block.lost
        self.trades += block.trades
        self.rows += decode_rows(block.books)
        self.rows += decode_rows(block.rows)

    @property
    def count(self) -> int:
        return len(self.trades) // TRADE.size + len(self.rows)

    def is_due(self) -> bool:
        return self.since_s is not None and (
            self.count >= BATCH_ROWS or time.monotonic() - self.since_s >= BATCH_S
        )

    def give(self, pump: HistoryPump, source: str) -> None:
        """Give what was gathered to the pump."""
        if self.since_s is None:
            return
        batch = make_batch(
            source,
            self.rows,
            first=self.first,
            last=self.last,
            instruments=self.instruments,
            trades=self.trades,
            lost=self.lost,
        )
        pump.put(self.number, batch)
        self.trades, self.rows, self.lost, self.since_s = bytearray(), [], 0, None


class _Process:
    """One life: hello, blocks, end."""

    def __init__(self, hello: Hello, spool: Spool, out: asyncio.WriteTransport) -> None:
        self.hello = hello
        self.pump = HistoryPump(hello.dsn, spool)
        self.gathered = _Gathered()
        self._out = out
        self._filed_s = 0.0
        self.lost_before = 0

    def take(self, message: ToWriter) -> bool:
        """Take one message; False when nothing follows."""
        if isinstance(message, Block):
            self.lost_before += message.lost
            self.gathered.add(message)
            if self.gathered.count >= BATCH_ROWS:
                self.gathered.give(self.pump, self.hello.source)
        elif isinstance(message, Instruments):
            # Numbers in trades gathered so far stay true: the list only grows.
            self.gathered.instruments = message.refs
        return not isinstance(message, End)

    async def look(self) -> None:
        """Give batches that are due and tell how it stands, again and again."""
        while True:
            if self.gathered.is_due():
                self.gathered.give(self.pump, self.hello.source)
            self.tell()
            await asyncio.sleep(TELL_S)

    def state(self, *, is_ended: bool = False) -> WriterState:
        pump, spool = self.pump, self.pump.spool
        return WriterState(
            pid=os.getpid(),
            source=self.hello.source,
            database=place_of(self.hello.dsn),
            told_ns=utc_now_ns(),
            acked=pump.durable,
            committed=pump.committed,
            is_up=pump.is_up,
            fault="; ".join(one for one in (pump.fault, pump.spool_fault) if one),
            rows=pump.rows,
            lost=spool.lost,
            lost_before=self.lost_before,
            refused=pump.refused,
            outages=pump.outages,
            outage_s=round(pump.outage(), 3),
            behind_s=round(pump.behind(), 3),
            spool_batches=len(spool),
            spool_bytes=spool.bytes,
            spool_bytes_max=spool.bytes_max,
            is_ended=is_ended,
        )

    def tell(self, *, is_ended: bool = False) -> None:
        """Tell the trader, and now and then the file."""
        state = self.state(is_ended=is_ended)
        if is_ended or self._out.get_write_buffer_size() < TELL_BYTES_MAX:
            self._out.write(frame(state))
        now_s = time.monotonic()
        if is_ended or now_s - self._filed_s >= FILE_S:
            self._filed_s = now_s
            path = self.pump.spool.folder / STATE_FILE
            with contextlib.suppress(OSError):
                draft = path.with_suffix(".new")
                draft.write_bytes(msgspec.json.encode(state))
                draft.replace(path)

    async def end(self, pumping: "asyncio.Task[None]") -> None:
        """Bring everything to the database if it is there, else to the disk."""
        self.gathered.give(self.pump, self.hello.source)
        deadline_s = time.monotonic() + END_S
        while not self.pump.is_idle and time.monotonic() < deadline_s and not pumping.done():
            self.tell()
            if not self.pump.is_up and self.pump.outages:
                break
            await asyncio.sleep(TELL_S)
        pumping.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await pumping
        finally:
            try:
                self.pump.spill()
            except StorageError as error:
                self.pump.spool_fault = str(error)
            # Whoever hears of the end may take the spool.
            self.pump.spool.close()
            self.tell(is_ended=True)


async def _serve() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=READ_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    frames = FrameReader()
    decode = msgspec.msgpack.Decoder(ToWriter).decode
    waiting: list[ToWriter] = []
    while not waiting:
        data = await reader.read(READ_BYTES)
        if not data:
            return 0
        waiting += [decode(body) for body in frames.feed(data)]
    hello = waiting.pop(0)
    assert isinstance(hello, Hello), "the trader begins with who it is"
    process = _Process(hello, await _spool(hello), out)
    pumping = asyncio.create_task(process.pump.run())
    looking = asyncio.create_task(process.look())
    stopped = asyncio.create_task(stopping.wait())
    try:
        goes_on = all(process.take(message) for message in waiting)
        while goes_on and not pumping.done():
            if process.pump.is_full:
                await asyncio.sleep(FULL_S)
                if stopping.is_set():
                    break
                continue
            reading = asyncio.create_task(reader.read(READ_BYTES))
            await asyncio.wait({reading, stopped, pumping}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                break
            data = reading.result()
            goes_on = bool(data) and all(process.take(decode(body)) for body in frames.feed(data))
    finally:
        looking.cancel()
        stopped.cancel()
        await process.end(pumping)
        out.close()
    return 0


async def _spool(hello: Hello) -> Spool:
    """Hold the spool; an earlier writer may be bringing its last rows home.

    Raises:
        StorageError: it can't be used, or is held for too long.
    """
    deadline_s = time.monotonic() + LOCK_S
    while True:
        try:
            return Spool(Path(hello.folder), bytes_max=hello.spool_bytes_max)
        except StorageError:
            if time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(LOCK_TRY_S)


def _stand_back() -> None:
    """Let the trader go first, where the system lets us."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICE)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        # A trader that is pinned to a core wants it for itself.
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with contextlib.suppress(OSError):
        # Where sessions are weighed against each other, ours is one of its own.
        Path("/proc/self/autogroup").write_text(str(NICE), "ascii")


def main() -> int:
    """Serve one trader to its end."""
    _stand_back()
    try:
        return asyncio.run(_serve())
    except StorageError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
