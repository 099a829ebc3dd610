"""Owns what the engine itself must do later; refuses to read a clock: the outside wakes it.

One timer serves all deadlines: it is asked for when an earlier one appears and comes back as an
input.
"""

import enum
import heapq

from tickwright.core.commands import SetTimer
from tickwright.core.moment import Moment
from tickwright.engine.outbox import Outbox

__all__ = ["DEADLINES_MAX", "ENGINE_OWNER", "Deadline", "Deadlines"]

DEADLINES_MAX = 200_000
"""A handful an order in flight; more is a leak, and an assertion."""
ENGINE_OWNER = "engine"
_TIMER = "deadlines"


class Deadline(enum.IntEnum):
    """What is due."""

    HOUSEKEEPING = 0
    CREATE_ANSWER = 1
    AMEND_ANSWER = 2
    CANCEL_ANSWER = 3
    QUERY = 4
    ENTRY_TIMEOUT = 5
    CANCELS = 6
    CLOSE_AGAIN = 7
    TIME_STOP = 8
    STOPS = 9
    PROTECTION = 10
    WORK = 11


class Deadlines:
    """A heap of (due, order of asking, kind, key); keys that no longer matter are skipped."""

    def __init__(self, moment: Moment, outbox: Outbox) -> None:
        self._moment = moment
        self._outbox = outbox
        self._heap: list[tuple[int, int, Deadline, str]] = []
        self._asked = 0
        self._timer_ns = 0
        """When the outside will call back; 0 when it wasn't asked to."""

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_ns: int, kind: Deadline, key: str = "") -> None:
        """Ask to be reminded."""
        assert len(self._heap) < DEADLINES_MAX, "deadlines must be few"
        self._asked += 1
        heapq.heappush(self._heap, (due_ns, self._asked, kind, key))
        if not self._timer_ns or due_ns < self._timer_ns:
            self._ask(due_ns)

    def fired(self, due_ns: int) -> list[tuple[Deadline, str]]:
        """Return what is due now that the timer for `due_ns` came back."""
        now_ns = self._moment.now_ns
        until_ns = now_ns if now_ns > due_ns else due_ns
        heap = self._heap
        due = []
        while heap and heap[0][0] <= until_ns:
            due.append(heapq.heappop(heap)[2:])
        if due_ns >= self._timer_ns:
            self._timer_ns = 0
        return due

    def rearm(self) -> None:
        """Ask for the next call-back, after what was due is done."""
        heap = self._heap
        if heap and (not self._timer_ns or heap[0][0] < self._timer_ns):
            self._ask(heap[0][0])

    def _ask(self, due_ns: int) -> None:
        self._timer_ns = due_ns
        self._outbox.command(SetTimer(ENGINE_OWNER, _TIMER, due_ns, self._moment.event_id))
