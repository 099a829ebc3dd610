"""Owns the agents of many symbols as one market source; refuses to look at the book itself."""

import heapq
from collections.abc import Iterator, Sequence
from random import Random

from tickwright.core.identity import Category
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.sources.agents.crowd import AgentMarket
from tickwright.simulator.sources.agents.sizes import GAUSS_BITS
from tickwright.simulator.sources.agents.style import AgentsStyle, style_for
from tickwright.simulator.sources.operations import TimedOperation, Turn

__all__ = ["AGENTS_LABEL", "AgentsSource"]

AGENTS_LABEL = "agents"


class AgentsSource:
    """Seeded agents on the symbols of one category, busy ones first.

    With a seed and the same users' orders at the same times the market is the same in every run.
    Each operation is a `Turn`: what an agent does is decided when its time has come, with the book
    as users have left it.
    """

    def __init__(
        self,
        instruments: Sequence[VenueInstrument],
        rng: Random,
        style: AgentsStyle | None = None,
    ) -> None:
        assert instruments, "a source needs a symbol"
        self.category: Category = instruments[0].category
        gauss = [rng.gauss(0.0, 1.0) for _ in range(1 << GAUSS_BITS)]
        self._markets = {
            instrument.symbol: AgentMarket(
                instrument,
                style_for(self.category, instrument.symbol, rank, style),
                Random(rng.getrandbits(64)),
                gauss,
            )
            for rank, instrument in enumerate(instruments)
        }

    def has(self, symbol: str) -> bool:
        """Whether agents make this symbol's market."""
        return symbol in self._markets

    def label(self, symbol: str) -> str:
        """Always "agents"."""
        return AGENTS_LABEL

    def operations(self) -> Iterator[TimedOperation]:
        """Yield every symbol's opening at 0, then the agents' turns for ever."""
        for symbol, market in self._markets.items():
            yield 0, symbol, Turn(market.open)
        due = [
            (market.gap_ns(), number, symbol, market, Turn(market.turn))
            for number, (symbol, market) in enumerate(self._markets.items())
        ]
        heapq.heapify(due)
        while True:
            at_ns, number, symbol, market, turn = due[0]
            market.now_ns = at_ns
            yield at_ns, symbol, turn
            heapq.heapreplace(due, (at_ns + market.gap_ns(), number, symbol, market, turn))
