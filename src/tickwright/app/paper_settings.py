"""Owns what a paper run is told about its venue; refuses to know how orders are matched.

It stands alone so that a live run need not load the simulated venue's code.
"""

from decimal import Decimal
from pathlib import Path

import msgspec

__all__ = ["Balances", "PaperSettings", "state_folder"]

Balances = tuple[tuple[str, Decimal], ...]
"""(asset, amount) that an account begins with."""


class PaperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The paper venue of a run: what accounts begin with, how long requests take.

    `balances` by account name. `latency_ms` passes between the answer to a request and the book;
    answers of the order socket are held back for `reply_ms`.
    """

    balances: dict[str, Balances]
    latency_ms: float = 0.0
    reply_ms: float = 0.0
    ledger: Path | None = None
    keeps: bool = True


def state_folder(sessions: Path, *, is_paper: bool) -> Path:
    """Return where runs keep what the next one needs: paper and real orders never share it."""
    return sessions / ("state-paper" if is_paper else "state")
