"""Owns how fast Bybit may be asked by REST: per address, and per account and endpoint; pure.

The venue answers too many requests from an address with HTTP 403 and then wants silence for ten
minutes; its answers name what is left of each account budget. Time comes in as `now_ns`.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

__all__ = ["AddressUse", "RestBudget", "VenueClock"]

SILENCE_NS = 600_000_000_000
"""How long nothing may be sent after HTTP 403."""
_ADDRESS_WINDOW_NS = 5_200_000_000
_WINDOW_NS = 1_050_000_000
_GROUPS_MAX = 256
_SAMPLES_MAX = 8
_SAMPLE_AGE_NS_MAX = 300_000_000_000

# Requests per second and account, by endpoint; orders by product line.
_LIMITS = {
    "create": 10,
    "amend": 10,
    "cancel": 10,
    "cancel-all": 10,
    # A batch costs one for each order in it.
    "create-batch": 10,
    "amend-batch": 10,
    "cancel-batch": 10,
    "order/realtime": 50,
    "order/history": 50,
    "execution/list": 50,
    "position/list": 50,
    "set-leverage": 10,
    "stops": 10,
    "wallet-balance": 50,
    "fee-rate": 5,
    "query-api": 10,
}
_LIMIT_UNKNOWN = 5


class AddressUse(msgspec.Struct, frozen=True, gc=False):
    """How the address stands: requests in the window, its bound, and until when it is silent."""

    used: int
    limit: int
    silent_until_ns: int


class _Window:
    __slots__ = ("limit", "sent", "stopped_until_ns", "window_ns")

    def __init__(self, limit: int, window_ns: int) -> None:
        self.limit = limit
        self.window_ns = window_ns
        self.sent: deque[int] = deque()
        self.stopped_until_ns = 0

    def wait_ns(self, now_ns: int, room: int, units: int = 1) -> int:
        horizon = now_ns - self.window_ns
        while self.sent and self.sent[0] <= horizon:
            self.sent.popleft()
        wait = max(0, self.stopped_until_ns - now_ns)
        # What never fits passes when nothing else does: the venue refuses what is too much of it.
        excess = min(len(self.sent), len(self.sent) + units - room)
        if excess > 0:
            wait = max(wait, self.sent[excess - 1] + self.window_ns - now_ns)
        return wait


class RestBudget:
    """Counts requests of one address and account; share one among all clients of an address.

    `address_requests_max` stays below the venue's 600 per 5 s, and `urgent_reserve` of it is kept
    for cancels.
    """

    def __init__(self, *, address_requests_max: int = 500, urgent_reserve: int = 100) -> None:
        assert 0 <= urgent_reserve < address_requests_max
        self._address = _Window(address_requests_max, _ADDRESS_WINDOW_NS)
        self._urgent_reserve = urgent_reserve
        self._groups: dict[str, _Window] = {}
        self._silent_until_ns = 0

    def silent_for_ns(self, now_ns: int) -> int:
        """Return how long nothing may be sent to the address yet; 0 when it may."""
        return max(0, self._silent_until_ns - now_ns)

    def silence(self, now_ns: int) -> None:
        """Send nothing for ten minutes: the venue banned the address."""
        self._silent_until_ns = max(self._silent_until_ns, now_ns + SILENCE_NS)

    def take(self, group: str, now_ns: int, *, is_urgent: bool = False, units: int = 1) -> int:
        """Count one request and return 0, or return how long to wait before asking again.

        `group` is the endpoint, with ".category" where budgets are per product line; an empty one
        is public and counts for the address alone. A batch costs `units` of its group and one of
        the address.
        """
        silent = self.silent_for_ns(now_ns)
        if silent:
            return silent
        room = self._address.limit - (0 if is_urgent else self._urgent_reserve)
        wait = self._address.wait_ns(now_ns, room)
        window = self._group(group) if group else None
        if window is not None:
            wait = max(wait, window.wait_ns(now_ns, window.limit, units))
        if wait:
            return wait
        self._address.sent.append(now_ns)
        if window is not None:
            window.sent.extend([now_ns] * units)
        return 0

    def learn(
        self, group: str, headers: Mapping[str, str], now_ns: int, *, offset_ns: int = 0
    ) -> None:
        """Take over the limit an answer names; with nothing left, stop until its reset."""
        limit = _number(headers.get("x-bapi-limit", ""))
        if not group or not limit:
            return
        window = self._group(group)
        window.limit = max(1, min(limit, 1_000))
        if headers.get("x-bapi-limit-status") == "0":
            reset_ns = _number(headers.get("x-bapi-limit-reset-timestamp", "")) * 1_000_000
            # A reset in the far future is a clock's fault, not a rule.
            until = min(reset_ns - offset_ns, now_ns + 5 * _WINDOW_NS)
            window.stopped_until_ns = max(window.stopped_until_ns, until)

    def exceeded(self, group: str, now_ns: int) -> None:
        """The venue refused for the rate: nothing of this group for a second."""
        if group:
            window = self._group(group)
            window.stopped_until_ns = max(window.stopped_until_ns, now_ns + _WINDOW_NS)

    def address_use(self, now_ns: int) -> AddressUse:
        """Return how the address stands."""
        self._address.wait_ns(now_ns, self._address.limit)
        return AddressUse(len(self._address.sent), self._address.limit, self._silent_until_ns)

    def limits(self) -> dict[str, int]:
        """Return the requests a second of every group asked so far, as the venue named them."""
        return {name: window.limit for name, window in self._groups.items()}

    def _group(self, group: str) -> _Window:
        window = self._groups.get(group)
        if window is None:
            assert len(self._groups) < _GROUPS_MAX, "request groups must be few"
            limit = _LIMITS.get(group.partition(".")[0], _LIMIT_UNKNOWN)
            window = self._groups[group] = _Window(limit, _WINDOW_NS)
        return window


class VenueClock:
    """Estimates how far the venue's clock is ahead of ours, by the best recent measurement."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=_SAMPLES_MAX)
        self.offset_ns = 0
        self.uncertainty_ns = -1
        """Half the round trip of the measurement in use; -1 before the first."""
        self.is_doubted = False
        """The venue refused our time and nobody has told the sockets a new one yet."""

    def measure(self, asked_ns: int, answered_ns: int, venue_ns: int) -> None:
        """Take one measurement: when we asked, when the answer came, what it said."""
        uncertainty = max(0, answered_ns - asked_ns) // 2
        self._samples.append((answered_ns, venue_ns - asked_ns - uncertainty, uncertainty))
        fresh = [s for s in self._samples if answered_ns - s[0] <= _SAMPLE_AGE_NS_MAX]
        _, self.offset_ns, self.uncertainty_ns = min(fresh, key=lambda sample: sample[2])

    def distrust(self) -> None:
        """Forget the measurements: the venue says that our time is wrong."""
        self._samples.clear()
        self.is_doubted = True

    def venue_ms(self, now_ns: int) -> int:
        """Return the venue's time in milliseconds."""
        return (now_ns + self.offset_ns) // 1_000_000


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0
