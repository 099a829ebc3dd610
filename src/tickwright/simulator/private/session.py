"""Owns what both private sessions have in common: messages, the clock, the idle span.

Refuses their words, and whatever carries them.
"""

import re
from typing import Any

import msgspec

from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.session import Line, Session
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["ACTIVE_NS_DEFAULT", "PrivateSession", "active_span_ns"]

ACTIVE_NS_DEFAULT = 600_000_000_000
"""How long a private session may be silent in both directions."""

_ACTIVE_S = range(30, 601)
_SPAN = re.compile(r"max_active_time=([0-9]{1,4})(s|m)")

_encode = msgspec.json.Encoder().encode


def active_span_ns(query: str) -> int:
    """Return how long a socket may be silent, from `max_active_time` of its URL (`30s`, `1m`)."""
    found = _SPAN.search(query)
    if found is None:
        return ACTIVE_NS_DEFAULT
    seconds = int(found[1]) * (60 if found[2] == "m" else 1)
    return seconds * 1_000_000_000 if seconds in _ACTIVE_S else ACTIVE_NS_DEFAULT


class PrivateSession(Session):
    """One client on a private path. Subclasses say what its frames mean."""

    def __init__(
        self,
        line: Line,
        conn_id: str,
        venue: SimulatedVenue,
        faults: FaultBoard,
        active_ns: int,
    ) -> None:
        super().__init__(line, conn_id)
        self._venue = venue
        self._faults = faults
        self._active_ns = active_ns
        self._active_at_ns = venue.now_ns

    def heard(self) -> None:
        """Count a request as activity."""
        self._active_at_ns = self._venue.now_ns

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self.send_bytes(_encode(message))

    def send_bytes(self, payload: bytes) -> None:
        """Send an encoded message, unless the client is gone."""
        if self.is_open:
            self._active_at_ns = self._venue.now_ns
            self.line.send(payload)

    def clock_ms(self) -> int:
        """Return what the venue's clock says, which a fault may have put off."""
        return self._faults.clock_ns(self._venue.now_ns) // 1_000_000

    def is_idle(self, now_ns: int) -> bool:
        """Whether neither a request nor data passed for the session's whole span."""
        return now_ns - self._active_at_ns >= self._active_ns
