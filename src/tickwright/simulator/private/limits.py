"""Owns the venue's request limits: per account and endpoint, and per address.

Refuses to know what the requests are for. Account budgets are per product and rolling second.
"""

from collections import deque

import msgspec

from tickwright.core.identity import Category

__all__ = ["ADDRESSES_MAX", "AddressLimits", "Budget", "RequestLimits"]

ADDRESSES_MAX = 4_096
"""Addresses remembered at once; the one longest silent is forgotten first."""

_SECOND_MS = 1_000
_SPOT = Category.SPOT

# Requests a second by endpoint: (contracts, spot). Endpoints without products use the first.
_PER_SECOND: dict[str, tuple[int, int]] = {
    "order.create": (10, 20),
    "order.amend": (10, 10),
    "order.cancel": (10, 20),
    "order.cancel-all": (10, 20),
    "order.create-batch": (10, 20),
    "order.amend-batch": (10, 20),
    "order.cancel-batch": (10, 20),
    "order.realtime": (50, 50),
    "order.history": (50, 50),
    "execution.list": (50, 50),
    "position.list": (50, 50),
    "position.set-leverage": (10, 10),
    "position.switch-mode": (10, 10),
    "position.trading-stop": (10, 10),
    "account.wallet-balance": (50, 50),
    "account.info": (50, 50),
    "account.fee-rate": (5, 5),
    "account.transaction-log": (25, 25),
    "account.query-dcp-info": (5, 5),
    "account.user-setting-config": (10, 10),
    "account.set-margin-mode": (5, 5),
    "account.set-limit-px-action": (10, 10),
    "account.borrow-history": (50, 50),
    "account.collateral-info": (50, 50),
    "asset.coin-info": (5, 5),
    "asset.universal-transfer": (5, 5),
    "asset.sub-member-list": (10, 10),
    "asset.coins-balance": (5, 5),
    "order.pre-check": (10, 20),
    "order.disconnected-cancel-all": (5, 5),
    "position.closed-pnl": (50, 50),
    "user.query-api": (10, 10),
    "user.query-sub-members": (10, 10),
}


class Budget(msgspec.Struct, frozen=True, gc=False):
    """What is left of a budget after a request; without `is_allowed` the request is refused.

    `granted` is how many of the units asked for were given (a batch asks for several).
    """

    limit: int
    left: int
    reset_ms: int
    granted: int
    asked: int

    @property
    def is_allowed(self) -> bool:
        """Whether everything asked for was given."""
        return self.granted == self.asked


class RequestLimits:
    """Rolling one-second budgets of every account; `scale` below 1 shrinks them all."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._recent: dict[tuple[int, str, Category | None], deque[int]] = {}

    def spend(
        self,
        uid: int,
        endpoint: str,
        category: Category | None,
        now_ms: int,
        units: int = 1,
        *,
        divisor: int = 1,
    ) -> Budget:
        """Ask for units of an endpoint's budget now; a refused request costs nothing."""
        contracts, spot = _PER_SECOND[endpoint]
        full = (spot if category is _SPOT else contracts) * self.scale
        limit = int(full / divisor) or 1
        name = uid, endpoint, category
        recent = self._recent.get(name)
        if recent is None:
            recent = self._recent[name] = deque()
        while recent and recent[0] <= now_ms - _SECOND_MS:
            recent.popleft()
        left = max(0, limit - len(recent))
        granted = min(units, left)
        for _ in range(granted):
            recent.append(now_ms)
        left -= granted
        reset_ms = now_ms if left else recent[0] + _SECOND_MS
        return Budget(limit, left, reset_ms, granted, units)


class AddressLimits:
    """Requests of one address in a rolling window; above it the address is banned for a while."""

    def __init__(self, requests_max: int, window_ms: int, ban_ms: int) -> None:
        self._requests_max = requests_max
        self._window_ms = window_ms
        self._ban_ms = ban_ms
        self._recent: dict[str, deque[int]] = {}
        self._banned_until: dict[str, int] = {}

    def is_allowed(self, address: str, now_ms: int) -> bool:
        """Count a request; False while the address is banned or when this request bans it."""
        until = self._banned_until.get(address, 0)
        if now_ms < until:
            return False
        recent = self._recent.pop(address, None)
        if recent is None:
            recent = deque()
            if len(self._recent) >= ADDRESSES_MAX:
                del self._recent[next(iter(self._recent))]
        self._recent[address] = recent
        while recent and recent[0] <= now_ms - self._window_ms:
            recent.popleft()
        if len(recent) >= self._requests_max:
            self._banned_until[address] = now_ms + self._ban_ms
            while len(self._banned_until) > ADDRESSES_MAX:
                del self._banned_until[next(iter(self._banned_until))]
            return False
        self._banned_until.pop(address, None)
        recent.append(now_ms)
        return True
