"""Owns how many requests may leave: a rolling window per account and group; refuses one too many.

A bucket that refills lets up to twice its size through in some second. Here the times of the last
requests are kept, so that no stretch of one window ever holds more than the limit. A share of every
group is reserved for urgent requests (risk cancels, closing orders), which others can't use up.
"""

from collections import deque

import msgspec

from tickwright.core.events import RateLimitReport
from tickwright.core.identity import AccountId

__all__ = ["BudgetLimits", "BudgetUse", "RequestBudget"]

GROUPS_MAX = 1024
"""Account and group pairs kept: request kinds times categories, far below this."""


class BudgetLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests of one group may leave in any `window_ms`.

    The window is a little longer than the venue's second, because the way there may squeeze two of
    our seconds into one of theirs. `reserve_fraction` of the limit is for urgent requests alone.
    """

    limit: int = 10
    window_ms: int = 1050
    reserve_fraction: float = 0.3

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window_ms < 1 or not 0.0 <= self.reserve_fraction < 1.0:
            raise ValueError(
                "a request budget needs a limit and a window above zero "
                "and a reserve fraction from 0 to below 1"
            )


class BudgetUse(msgspec.Struct, frozen=True, gc=False):
    """One group as it stands: requests in the window now, the limit in force, refusals so far."""

    account: str
    group: str
    used: int
    limit: int
    refused: int
    stopped_until_ns: int


class _Group:
    __slots__ = ("limit", "refused", "reserve", "sent", "stopped_until_ns", "window_ns")

    def __init__(self, limits: BudgetLimits) -> None:
        self.window_ns = limits.window_ms * 1_000_000
        self.refused = 0
        self.stopped_until_ns = 0
        self.sent: deque[int] = deque()
        self.set_limit(limits.limit, limits.reserve_fraction)

    def set_limit(self, limit: int, reserve_fraction: float) -> None:
        self.limit = limit
        # One stays for the plain requests, or a limit of 1 would never let any of them pass.
        self.reserve = min(limit - 1, int(limit * reserve_fraction)) if limit > 1 else 0

    def drop_old(self, now_ns: int) -> None:
        sent = self.sent
        horizon = now_ns - self.window_ns
        while sent and sent[0] <= horizon:
            sent.popleft()


class RequestBudget:
    """Counts requests by the time given; a group without limits of its own has the default."""

    def __init__(
        self,
        default: BudgetLimits,
        groups: dict[str, BudgetLimits] | None = None,
        *,
        learns: bool = True,
    ) -> None:
        self._default = default
        self._limits = dict(groups or {})
        self._learns = learns
        self._groups: dict[tuple[AccountId, str], _Group] = {}
        self._stopped_until_ns: dict[AccountId, int] = {}

    def take(self, account_id: AccountId, group: str, now_ns: int, *, is_urgent: bool) -> bool:
        """Count one request if it may leave now; False leaves the count alone."""
        state = self._groups.get((account_id, group)) or self._group(account_id, group)
        room = state.limit if is_urgent else state.limit - state.reserve
        sent = state.sent
        if len(sent) >= room:
            # What left the window is forgotten only when it could matter.
            state.drop_old(now_ns)
        if (
            len(sent) >= room
            or now_ns < state.stopped_until_ns
            or (self._stopped_until_ns and now_ns < self._stopped_until_ns.get(account_id, 0))
        ):
            state.refused += 1
            return False
        sent.append(now_ns)
        return True

    def next_ns(self, account_id: AccountId, group: str, now_ns: int, *, is_urgent: bool) -> int:
        """Return the earliest time at which `take` could succeed; changes nothing."""
        state = self._groups.get((account_id, group)) or self._group(account_id, group)
        room = state.limit if is_urgent else state.limit - state.reserve
        if (
            len(state.sent) < room
            and state.stopped_until_ns <= now_ns
            and not self._stopped_until_ns
        ):
            return now_ns
        earliest = max(now_ns, state.stopped_until_ns, self._stopped_until_ns.get(account_id, 0))
        # Room opens when so many of the oldest have left that fewer than `room` remain.
        excess = len(state.sent) - room
        if excess >= 0:
            earliest = max(earliest, state.sent[excess] + state.window_ns)
        return earliest

    def learn(self, report: RateLimitReport, now_ns: int) -> None:
        """Take over what the venue says: its limit if smaller, and what others used of it."""
        if not report.group:
            self._stopped_until_ns[report.account_id] = max(
                self._stopped_until_ns.get(report.account_id, 0), report.reset_ns
            )
            return
        state = self._group(report.account_id, report.group)
        state.drop_old(now_ns)
        configured = self._limits.get(report.group, self._default)
        if self._learns and report.limit > 0:
            # The venue may lower a limit at any time; a higher one is the operator's to configure.
            limit = min(report.limit, configured.limit)
            state.set_limit(limit, configured.reserve_fraction)
            used_by_others = limit - report.remaining - len(state.sent)
            for _ in range(min(used_by_others, limit - len(state.sent))):
                state.sent.append(now_ns)
        if report.remaining <= 0 and report.reset_ns > now_ns:
            state.stopped_until_ns = max(state.stopped_until_ns, report.reset_ns)

    def uses(self, now_ns: int) -> tuple[BudgetUse, ...]:
        """Return every group as it stands, in the order of first use."""
        result = []
        for (account_id, name), state in self._groups.items():
            state.drop_old(now_ns)
            result.append(
                BudgetUse(
                    account=str(account_id),
                    group=name,
                    used=len(state.sent),
                    limit=state.limit,
                    refused=state.refused,
                    stopped_until_ns=max(
                        state.stopped_until_ns, self._stopped_until_ns.get(account_id, 0)
                    ),
                )
            )
        return tuple(result)

    def _group(self, account_id: AccountId, name: str) -> _Group:
        try:
            return self._groups[account_id, name]
        except KeyError:
            assert len(self._groups) < GROUPS_MAX, "request groups must be few"
            state = _Group(self._limits.get(name, self._default))
            self._groups[account_id, name] = state
            return state
