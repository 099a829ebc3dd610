"""Owns the cash of an account per asset, folded from executions, checked by reports.

Refuses to count a movement twice: a wallet report of the venue holds every execution up to its
time, so an execution that arrives after such a report moves nothing, and a report that is older
than executions we booked gets these added again. The next report heals whatever the venue's clocks
did not tell.
"""

from collections import deque

from tickwright.core.errors import ConfigError

__all__ = ["RECENT_MOVES_MAX", "AssetBalance"]

RECENT_MOVES_MAX = 1024
"""Movements kept per asset to rebase a late report; a report older than them is ignored."""


class AssetBalance:
    """One asset of one account, in money units.

    `unexplained` sums the differences between reports and our fold: transfers, interest,
    conversions, rows that never came. A movement that arrives after the report that held it takes
    its part out again. `transferred` sums the transfers that were told by name.
    """

    __slots__ = (
        "_forgotten_ns",
        "_recent",
        "amount",
        "asset",
        "has_report",
        "locked",
        "reported_ns",
        "transferred",
        "unexplained",
    )

    def __init__(self, asset: str) -> None:
        if not asset:
            raise ConfigError("an asset needs a name")
        self.asset = asset
        self.amount = 0
        self.locked = 0
        self.unexplained = 0
        self.transferred = 0
        self.reported_ns = 0
        self.has_report = False
        self._recent: deque[tuple[int, int]] = deque()
        self._forgotten_ns = 0

    def move(self, delta: int, venue_ns: int) -> bool:
        """Book a movement of the venue's time `venue_ns`.

        Returns:
            False when a report already held it, so that only its explanation was booked.
        """
        if self.has_report and venue_ns <= self.reported_ns:
            self.unexplained -= delta
            return False
        self.amount += delta
        if len(self._recent) == RECENT_MOVES_MAX:
            self._forgotten_ns = max(self._forgotten_ns, self._recent.popleft()[0])
        self._recent.append((venue_ns, delta))
        return True

    def transfer(self, delta: int, venue_ns: int) -> None:
        """Book a transfer in (positive) or out that somebody told us of."""
        self.move(delta, venue_ns)
        self.transferred += delta

    def report(self, wallet_balance: int, locked: int, venue_ns: int) -> bool:
        """Take the venue's balance as of `venue_ns`; later movements of ours are added to it.

        Returns:
            False when the report is too old to be used.
        """
        if (self.has_report and venue_ns < self.reported_ns) or venue_ns < self._forgotten_ns:
            return False
        expected = self.amount
        if self._recent:
            later = [move for move in self._recent if move[0] > venue_ns]
            expected -= sum([delta for _, delta in later])
            self._recent = deque(later)
        self.unexplained += wallet_balance - expected
        self.amount += wallet_balance - expected
        self.locked = locked
        self.reported_ns = venue_ns
        self.has_report = True
        return True

    def moves(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Return up to when movements are forgotten, and the later ones: (time, movement)."""
        return self._forgotten_ns, tuple(self._recent)

    def restore_moves(self, forgotten_ns: int, moves: tuple[tuple[int, int], ...]) -> None:
        """Take up what `moves` told."""
        self._forgotten_ns = forgotten_ns
        self._recent = deque(moves)

    def __repr__(self) -> str:
        return f"AssetBalance({self.asset} {self.amount})"
