"""Owns bringing batches to the database in their order, by way of the spool when it is away.

A batch goes straight to the database while that keeps up. When it is away, slow or refuses, all
that waits goes to the spool, and what follows goes behind it until the spool is drained: the order
of offsets is never turned, because what is committed cuts off everything before it. A batch is
durable once the database or the spool has it. Refuses to give anything up: where disk and database
both fail it says that it `is_full`, and whoever feeds it must wait.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from tickwright.core.errors import (
    ConfigError,
    ConnectionLost,
    StorageError,
    TickwrightError,
)
from tickwright.storage.history.batch import HistoryBatch
from tickwright.storage.history.database import HistoryRefused
from tickwright.storage.history.spool import Spool
from tickwright.storage.history.writer import HistoryWriter

__all__ = ["HistoryPump"]

WAITING_ROWS_MAX = 200_000
"""Rows in memory; beyond, they are spooled even though the database takes some."""
SLOW_S = 2.0
"""How long a batch waits in memory for a database that is busy."""
RETRY_S = 0.25
FAULT_RETRY_S = 2.0
"""Between two tries when a person must look first: rights, schema, disk."""
LOOK_S = 0.05
REFUSALS_MAX = 2
"""A refused batch is tried once more: the writer may not have known of a dropped day."""


class HistoryPump:
    """Takes batches by `put` and writes them while `run` runs.

    Args:
        dsn: its errors are told without its password.
        now_s: a monotonic clock.
    """

    def __init__(
        self, dsn: str, spool: Spool, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._dsn = dsn
        self._spool = spool
        self._now_s = now_s
        self._waiting: deque[tuple[int, float, HistoryBatch]] = deque()
        self._waiting_rows = 0
        self._wake = asyncio.Event()
        self._writer: HistoryWriter | None = None
        self._is_flying = False
        self._is_flying_spooled = False
        self._refusals = 0
        self.durable = 0
        """The number of the last batch that database or spool have."""
        self.committed = 0
        """The highest offset that was written."""
        self.rows = 0
        self.skipped = 0
        """Rows that the database had already."""
        self.refused = 0
        self.outages = 0
        self.outage_s = 0.0
        self.is_up = False
        self.fault = ""
        self.spool_fault = ""
        self.has_to_be_looked_at = False
        """Whether the fault is one that doesn't pass by itself: rights, schema, disk."""
        self._away_s: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be given: neither disk nor database take it."""
        return self._waiting_rows > 2 * WAITING_ROWS_MAX

    @property
    def is_idle(self) -> bool:
        """Whether everything is in the database."""
        return not self._waiting and not self._spool

    @property
    def spool(self) -> Spool:
        """Where batches wait."""
        return self._spool

    def outage(self) -> float:
        """Return the seconds without the database so far."""
        return self.outage_s + (0 if self._away_s is None else self._now_s() - self._away_s)

    def behind(self) -> float:
        """Return the age of the oldest batch that isn't in the database, in seconds."""
        oldest_s = self._spool.oldest_s()
        if oldest_s is not None:
            return max(0.0, time.time() - oldest_s)
        return self._now_s() - self._waiting[0][1] if self._waiting else 0.0

    def put(self, number: int, batch: HistoryBatch) -> None:
        """Give the next batch; numbers rise."""
        self._waiting.append((number, self._now_s(), batch))
        self._waiting_rows += batch.row_count
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; what is under way then is as if it had been lost."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                await self._write_next()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            if self._writer is not None:
                self._writer.abort()
                self._writer = None
            self._is_flying = False

    def spill(self) -> None:
        """Bring everything in memory to the disk, in order.

        Raises:
            StorageError: the disk refuses it; what isn't there stays in memory.
        """
        held = int(self._is_flying and self._is_flying_spooled)
        while self._waiting:
            number, _, batch = self._waiting[0]
            is_kept = self._spool.put(batch, held=held)
            if self._is_flying and not self._is_flying_spooled:
                if not is_kept:
                    # Not even its orders have room, and it may be written this moment.
                    return
                # The first in memory is the first in the spool: that was empty.
                self._is_flying_spooled = True
                held = 1
            self._waiting.popleft()
            self._waiting_rows -= batch.row_count
            self.durable = number
        self.spool_fault = ""

    async def _watch(self) -> None:
        """Spool what the database doesn't take in time."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._waiting and (
                self._spool
                or not self.is_up
                or self._waiting_rows > WAITING_ROWS_MAX
                or self._now_s() - self._waiting[0][1] > SLOW_S
            ):
                self._try_to_spill()

    def _try_to_spill(self) -> None:
        try:
            self.spill()
        except StorageError as error:
            self.spool_fault = str(error)

    async def _write_next(self) -> None:
        self._wake.clear()
        try:
            self._writer = self._writer or await HistoryWriter.open(self._dsn)
        except (ConnectionLost, StorageError, ConfigError) as error:
            await self._lost(error)
            return
        batch = self._spool.first() if self._spool else None
        number, is_spooled = 0, batch is not None
        if batch is None:
            if not self._waiting:
                self._came_back()
                await self._wake.wait()
                return
            number, _, batch = self._waiting[0]
        self._is_flying, self._is_flying_spooled = True, is_spooled
        try:
            await self._write(self._writer, batch)
        except HistoryRefused as error:
            self._refusals += 1
            self.fault = str(error)
            if self._refusals >= REFUSALS_MAX:
                self._set_aside(batch)
            await asyncio.sleep(RETRY_S)
        except (ConnectionLost, StorageError, ConfigError) as error:
            await self._lost(error)
        else:
            self._came_back()
            self._done(number, batch)
        finally:
            self._is_flying = False

    async def _write(self, writer: HistoryWriter, batch: HistoryBatch) -> None:
        untold = self._spool.untold
        written = await writer.write(batch.plus_lost(untold) if untold else batch)
        self._spool.untold -= untold
        self.rows += written.rows
        self.skipped += written.skipped

    def _done(self, number: int, batch: HistoryBatch) -> None:
        self._refusals = 0
        self.committed = batch.last
        if self._is_flying_spooled:
            self._spool.drop_first()
            return
        self._waiting.popleft()
        self._waiting_rows -= batch.row_count
        self.durable = number

    def _set_aside(self, batch: HistoryBatch) -> None:
        """Leave rows that the database never takes to a person."""
        if not self._is_flying_spooled:
            self._try_to_spill()
            if not self._is_flying_spooled:
                return
        self._refusals = 0
        self.refused += batch.row_count
        self._spool.untold += batch.row_count + batch.lost
        self._spool.refuse_first()

    async def _lost(self, error: TickwrightError) -> None:
        """Note an outage and wait before the next try; what comes meanwhile is spooled."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        self.fault = str(error)
        self.has_to_be_looked_at = not isinstance(error, ConnectionLost)
        if self.is_up or self._away_s is None:
            self.is_up = False
            self.outages += 1
            self._away_s = self._now_s()
        await asyncio.sleep(FAULT_RETRY_S if self.has_to_be_looked_at else RETRY_S)

    def _came_back(self) -> None:
        if self._away_s is not None:
            self.outage_s += self._now_s() - self._away_s
            self._away_s = None
        self.is_up, self.has_to_be_looked_at = True, False
        self.fault = ""
