"""Owns what a strategy's closed trades made, from flat to flat; refuses to count one fill as one.

A position closed by ten partial fills is one trade, not ten: sizing by past trades and losses in a
row would otherwise take one result for ten.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tickwright.core.identity import InstrumentId

__all__ = ["ClosedTrade", "RoundTrips"]


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A closed trade: `money` it made after fees and `notional` it closed, in settle money."""

    money: int
    notional: int

    @property
    def fraction(self) -> float:
        """What it made as a fraction of its notional."""
        return self.money / self.notional


class RoundTrips:
    """The trades of one strategy that are under way, one an instrument."""

    __slots__ = ("_under_way",)

    def __init__(self) -> None:
        # Bounded by the instruments of the strategy.
        self._under_way: dict[InstrumentId, list[int]] = {}

    def under_way(self) -> Iterator[tuple[InstrumentId, int, int]]:
        """Yield the trades under way: instrument, money so far, notional closed so far."""
        for instrument_id, (money, notional) in self._under_way.items():
            yield instrument_id, money, notional

    def restore(self, instrument_id: InstrumentId, money: int, notional: int) -> None:
        """Go on with a trade that was under way."""
        self._under_way[instrument_id] = [money, notional]

    def take(
        self, instrument_id: InstrumentId, *, before: int, after: int, money: int, notional: int
    ) -> ClosedTrade | None:
        """Take one fill: sizes of the position around it, what it made, what it closed.

        Returns:
            The trade that this fill closed, by going flat or to the other side; None otherwise.
        """
        trade = self._under_way.get(instrument_id)
        if trade is None or not before:
            trade = self._under_way[instrument_id] = [0, 0]
        trade[0] += money
        trade[1] += notional
        if not before or ((after > 0) == (before > 0) and after):
            return None
        del self._under_way[instrument_id]
        return ClosedTrade(trade[0], trade[1]) if trade[1] > 0 else None
