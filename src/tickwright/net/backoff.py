"""Owns how long to wait before the next dial, and how many dials are allowed; refuses to give up.

Pure: time and chance are arguments.
"""

from collections import deque
from random import Random

__all__ = ["Backoff", "DialBudget"]


class Backoff:
    """Growing, jittered waits without end.

    The first retry comes at once, then they double up to a cap.

    While an outage is young the cap is `young_cap_ns`, so that a venue that comes back is found in
    time; after `young_ns` it is `old_cap_ns`, so that a long outage stays within the venue's limit
    of dials.
    """

    __slots__ = (
        "_attempt",
        "_failing_since_ns",
        "_random",
        "first_ns",
        "old_cap_ns",
        "young_cap_ns",
        "young_ns",
    )

    def __init__(
        self,
        random: Random,
        *,
        first_ns: int = 50_000_000,
        young_cap_ns: int = 900_000_000,
        old_cap_ns: int = 2_000_000_000,
        young_ns: int = 120_000_000_000,
    ) -> None:
        self._random = random
        self.first_ns = first_ns
        self.young_cap_ns = young_cap_ns
        self.old_cap_ns = old_cap_ns
        self.young_ns = young_ns
        self._attempt = 0
        self._failing_since_ns = 0

    def next_wait_ns(self, now_ns: int) -> int:
        """Return the wait before the next dial, between half and the whole of the current step."""
        if self._attempt == 0:
            self._failing_since_ns = now_ns
        is_young = now_ns - self._failing_since_ns < self.young_ns
        cap = self.young_cap_ns if is_young else self.old_cap_ns
        step = min(cap, self.first_ns << min(self._attempt, 16))
        self._attempt += 1
        return step // 2 + int(self._random.random() * (step // 2))

    def reset(self) -> None:
        """Start over after a connection proved good."""
        self._attempt = 0


class DialBudget:
    """At most `dials_max` new connections to one address in any `window_ns`.

    Venues allow some hundreds (the strictest we dial 500 per 5 minutes and address); the
    default keeps a reserve for other programs of the user.
    """

    __slots__ = ("_dialled", "dials_max", "window_ns")

    def __init__(self, *, dials_max: int = 400, window_ns: int = 300_000_000_000) -> None:
        self.dials_max = dials_max
        self.window_ns = window_ns
        self._dialled: deque[int] = deque(maxlen=dials_max)

    def wait_ns(self, now_ns: int) -> int:
        """Return how long to wait until a dial is allowed; 0 when it is now."""
        if len(self._dialled) < self.dials_max:
            return 0
        return max(0, self._dialled[0] + self.window_ns - now_ns)

    def spend(self, now_ns: int) -> None:
        """Count one dial."""
        self._dialled.append(now_ns)

    @property
    def spent(self) -> int:
        """Dials counted in the current window, at most."""
        return len(self._dialled)
