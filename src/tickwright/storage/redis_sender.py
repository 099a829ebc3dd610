"""Owns the thread that writes to Redis: connect, send what it is given, say what became of it.

One write at a time: while it is under way nothing more is taken, so a slow Redis makes newer state
replace older. The trading thread hands bytes over and reads attributes; it never waits.
"""

import threading
import time
from queue import SimpleQueue
from random import Random

import msgspec

from tickwright.core.errors import StorageError
from tickwright.storage.redis_address import RedisAddress
from tickwright.storage.redis_link import RedisLink, RedisLost, Replies
from tickwright.storage.redis_pack import CommandBuffer

__all__ = ["Outcome", "RedisPlan", "RedisSender"]

CLOCK_EVERY_S = 30.0
WAIT_FIRST_S = 0.1
WAIT_S_MAX = 1.0
"""Between dials, before jitter: a Redis that comes back is found within this."""
CLOSE_S = 3.0


class RedisPlan(msgspec.Struct, frozen=True):
    """What a write is made for: how many nodes, who holds a slot, how their clocks stand."""

    node_count: int
    node_of_slot: list[int] | None
    offsets_ms: list[int]


class Outcome(msgspec.Struct, frozen=True):
    """What became of one write; `is_sent` false: nobody knows."""

    is_sent: bool
    replies: list[Replies]


class RedisSender:
    """Writes to one Redis from a thread of its own; `start` it, `close` it."""

    def __init__(self, address: RedisAddress, random: Random) -> None:
        self.plan: RedisPlan | None = None
        """None while there is no connection."""
        self.fault = ""
        """Why there is no connection."""
        self.is_idle = True
        """Whether a write may be given."""
        self.dials = 0
        self._address = address
        self._random = random
        self._link: RedisLink | None = None
        self._outcome: Outcome | None = None
        # Waits in C: waking this thread costs the trading thread next to nothing.
        self._given: SimpleQueue[list[CommandBuffer] | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-mirror", daemon=True)

    def start(self) -> None:
        """Begin to dial."""
        self._thread.start()

    def send(self, buffers: list[CommandBuffer]) -> None:
        """Hand one write over, each node's commands; they are the thread's until it is idle."""
        assert self.is_idle
        self.is_idle = False
        self._given.put(buffers)

    def take_outcome(self) -> Outcome | None:
        """Return what became of the last write, once."""
        if not self.is_idle:
            return None
        outcome, self._outcome = self._outcome, None
        return outcome

    def close(self) -> None:
        """End the thread; waits for the step under way, at most `CLOSE_S`."""
        self._stop.set()
        self._given.put(None)
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    # the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        wait_s, clock_s = WAIT_FIRST_S, 0.0
        while not self._stop.is_set():
            if self._link is None:
                if self._dial():
                    wait_s, clock_s = WAIT_FIRST_S, time.monotonic() + CLOCK_EVERY_S
                else:
                    self._stop.wait(wait_s * self._random.uniform(0.5, 1.0))
                    wait_s = min(wait_s * 2, WAIT_S_MAX)
                continue
            buffers = self._given.get()
            if buffers is not None:
                self._write(buffers)
            if time.monotonic() > clock_s:
                clock_s = time.monotonic() + CLOCK_EVERY_S
                self._measure()
        self._drop("closed")

    def _dial(self) -> bool:
        self.dials += 1
        try:
            self._link = link = RedisLink(self._address)
        except StorageError as error:
            self.fault = str(error)
            return False
        self.fault = ""
        self.plan = RedisPlan(link.node_count, link.node_of_slot, link.offsets_ms)
        return True

    def _write(self, buffers: list[CommandBuffer]) -> None:
        assert self._link is not None
        try:
            if len(buffers) != self._link.node_count:
                # Made for a cluster that has other nodes by now.
                self._outcome = Outcome(False, [])
                self.is_idle = True
                return
            replies = self._link.write(buffers)
        except RedisLost as error:
            self._drop(str(error))
            self._outcome = Outcome(False, [])
        else:
            if any(one.has_moved for one in replies):
                self._drop("the cluster's slots moved")
            self._outcome = Outcome(True, replies)
        self.is_idle = True

    def _measure(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            link.measure_offsets()
        except RedisLost as error:
            self._drop(str(error))
        else:
            self.plan = RedisPlan(link.node_count, link.node_of_slot, link.offsets_ms)

    def _drop(self, fault: str) -> None:
        self.plan, self.fault = None, fault
        if self._link is not None:
            self._link.close()
            self._link = None
