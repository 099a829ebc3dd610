"""Owns what every measured stack is asked to do, so that the same work is compared.

After each applied book frame a stack calls ``callback(symbol, best_bid, best_ask, mid, spread,
imbalance, z_score)`` once. With ``touch`` features the last two are not computed and are 0.0; with
``full`` features they are the imbalance of the first ten levels a side and the z-score of the mid
over the last hundred updates (population deviation, 0.0 until the window is full).
"""

import json
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

__all__ = [
    "IMBALANCE_LEVELS",
    "WINDOW",
    "Callback",
    "Caller",
    "Features",
    "Reader",
    "Stack",
    "Top",
    "subscribe_requests",
]

Features = Literal["touch", "full"]
WINDOW: Final = 100
IMBALANCE_LEVELS: Final = 10
_ARGS_PER_REQUEST: Final = 10

#: symbol, best bid, best ask, mid, spread, imbalance, z-score
Callback = Callable[[str, float, float, float, float, float, float], None]
#: best bid and best ask of one symbol
Top = tuple[float, float]


class Reader(Protocol):
    """What a measured client can say at the end of a run."""

    @property
    def frames(self) -> int:
        """Return the frames fed so far, trades included; in the callback with the current one."""

    def tops(self) -> dict[str, Top]:
        """Return the touch of every book, for a comparison between stacks."""

    def finish(self) -> None:
        """Tidy what a run has noted; called when the clocks have stopped."""


class Stack(Reader, Protocol):
    """One way to get from wire bytes to a strategy's Python call, in process."""

    def feed(self, frame: bytes) -> None:
        """Take one frame: book, features, one call."""


class Caller:
    """The one Python call of a stack: counts, looks at the features and decides."""

    def __init__(self) -> None:
        self.updates = 0
        self.signals = 0

    def on_book(
        self,
        symbol: str,
        bid: float,
        ask: float,
        mid: float,
        spread: float,
        imbalance: float,
        z_score: float,
    ) -> None:
        """Decide by the rule that every stack uses."""
        self.updates += 1
        if z_score < -2.0 and imbalance > 0.1:
            self.signals += 1


def subscribe_requests(topics: Sequence[str]) -> list[str]:
    """Return the subscribe requests for the topics, at most ten arguments in each."""
    return [
        json.dumps(
            {"req_id": str(i), "op": "subscribe", "args": list(topics[i : i + _ARGS_PER_REQUEST])}
        )
        for i in range(0, len(topics), _ARGS_PER_REQUEST)
    ]
