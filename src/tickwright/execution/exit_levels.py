"""Owns the arithmetic of one position's exits: at which prices it is closed, by its policy.

Refuses to loosen a stop that moves: a trailing or break-even stop only ever comes closer to the
market while its position lives. All levels are whole ticks, rounded to the safe side: a stop
toward the market (never a larger loss or a smaller gain than asked for), a take profit and an
activation away from the entry. No stop stands at or beyond the best price seen: it could not have
been set there.
"""

from decimal import Decimal

from tickwright.core.exits import Exits
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.execution.planner import PARTS, Bracket, Planner

__all__ = ["ExitLevels", "StopKind", "fee_parts"]

StopKind = str
"""What a stop is, for people: stop loss, trailing stop or break-even stop."""
_STOP, _TRAILING, _BREAK_EVEN = "stop loss", "trailing stop", "break-even stop"


def fee_parts(taker: Decimal | None) -> int:
    """Return a taker's fee rate in parts of 10^9, rounded up; 0 when it is unknown or a rebate."""
    if taker is None or taker <= 0:
        return 0
    numerator, denominator = taker.as_integer_ratio()
    return -(-numerator * PARTS // denominator)


class ExitLevels:
    """Levels of one open position. `side` is the side that opened it; prices are price units.

    `fixed` holds exact levels an intent named, in place of fractions. `fee` is a taker's fee rate
    in parts of 10^9, for a break-even stop that covers the fees of both sides.
    """

    __slots__ = (
        "_fee",
        "_fixed",
        "_high",
        "_instrument",
        "_low",
        "_sign",
        "activation_units",
        "best_twice",
        "break_even_units",
        "distance_units",
        "entry_units",
        "exits",
        "follows",
        "is_trailing",
        "side",
        "stop_loss_units",
        "take_units",
        "trail_units",
    )

    def __init__(
        self, exits: Exits, side: Side, instrument: Instrument, *, fixed: Bracket, fee: int
    ) -> None:
        self.exits = exits
        self.follows = exits.follows
        """Whether a stop moves with the price; every update asks."""
        self.side = side
        self._sign = int(side)
        self._instrument = instrument
        self._fixed = fixed
        self._fee = fee
        tick = instrument.tick_units
        self._low = -(-instrument.price_min_units // tick) * tick
        self._high = instrument.price_max_units // tick * tick
        self.entry_units = 0
        self.best_twice = 0
        """Twice the best price seen: mids are half units."""
        self.stop_loss_units: int | None = None
        self.take_units: int | None = None
        self.distance_units: int | None = None
        """How far a trailing stop stays from the best price."""
        self.activation_units: int | None = None
        self.is_trailing = False
        self.trail_units: int | None = None
        self.break_even_units: int | None = None

    @property
    def static_units(self) -> int | None:
        """The tightest stop that does not trail."""
        return self._tightest(self.stop_loss_units, self.break_even_units)

    @property
    def stop_units(self) -> int | None:
        """The tightest stop of all."""
        return self._tightest(self.static_units, self.trail_units)

    def kind_of(self, stop_units: int) -> StopKind:
        """Name the stop that stands at a level."""
        if stop_units == self.break_even_units:
            return _BREAK_EVEN
        return _TRAILING if stop_units == self.trail_units else _STOP

    def is_tighter(self, one: int, than: int) -> bool:
        """Whether a stop is closer to the market than another."""
        return (one - than) * self._sign > 0

    def set_entry(self, entry_units: int) -> None:
        """Take the average entry price; the fill itself is the first price that was seen."""
        exits, instrument, sign = self.exits, self._instrument, self._sign
        is_first = not self.entry_units
        self.entry_units = entry_units
        bracket = Planner.bracket(
            self.side,
            entry_units,
            instrument,
            stop_loss_fraction=exits.stop_loss_fraction or None,
            take_profit_fraction=exits.take_profit_fraction or None,
        )
        fixed = self._fixed
        self.stop_loss_units = bracket.stop_units if fixed.stop_units is None else fixed.stop_units
        self.take_units = bracket.take_units if fixed.take_units is None else fixed.take_units
        if exits.trailing_fraction:
            self.distance_units = self._distance(exits.trailing_fraction, up=False)
            if exits.activation_fraction:
                away = self._distance(exits.activation_fraction, up=True)
                self.activation_units = self._rounded(2 * entry_units, up=sign > 0) + sign * away
        if is_first:
            self.best_twice = 2 * entry_units
        self._ratchet()

    def follow(self, price_twice: int) -> bool:
        """Take a price that was seen, doubled; return whether a stop moved."""
        if (price_twice - self.best_twice) * self._sign <= 0:
            return False
        self.best_twice = price_twice
        return self._ratchet()

    def _ratchet(self) -> bool:
        """Pull the stops that move after the best price; they never go back."""
        moved = False
        if not self.entry_units:
            # Without an entry price nothing is a fraction of it.
            return moved
        best = self.best_twice
        distance = self.distance_units
        if distance is not None:
            activation = self.activation_units
            if not self.is_trailing and (
                activation is None or (best - 2 * activation) * self._sign >= 0
            ):
                self.is_trailing = True
            if self.is_trailing:
                level = self._stop(best - self._sign * 2 * distance)
                if level is not None and self._is_news(level, self.trail_units):
                    self.trail_units = level
                    moved = True
        after = self.exits.break_even_after_fraction
        if after:
            reached = self.entry_units + self._sign * self._distance(after, up=True)
            if (best - 2 * reached) * self._sign >= 0:
                level = self._stop(self._break_even_twice())
                if level is not None and self._is_news(level, self.break_even_units):
                    self.break_even_units = level
                    moved = True
        return moved

    def _is_news(self, level: int, before: int | None) -> bool:
        return before is None or self.is_tighter(level, before)

    def _break_even_twice(self) -> int:
        """Return twice the price that gives back the entry and what lies beyond it."""
        entry, is_long = 2 * self.entry_units, self._sign > 0
        offset = self.exits.break_even_offset_fraction
        if offset is not None:
            away = -(-entry * round(offset * PARTS) // PARTS)
            return entry + self._sign * away
        # Sold at p for an entry at e: p (1 - fee) gives back e (1 + fee); a short is mirrored.
        if is_long:
            return -(-entry * (PARTS + self._fee) // (PARTS - self._fee))
        return entry * (PARTS - self._fee) // (PARTS + self._fee)

    def _stop(self, price_twice: int) -> int | None:
        """Round a stop toward the market, inside the price bounds and short of the best price."""
        level = self._rounded(price_twice, up=self._sign > 0)
        level = min(max(level, self._low), self._high)
        return level if (self.best_twice - 2 * level) * self._sign > 0 else None

    def _rounded(self, price_twice: int, *, up: bool) -> int:
        twice_tick = 2 * self._instrument.tick_units
        steps = -(-price_twice // twice_tick) if up else price_twice // twice_tick
        return steps * self._instrument.tick_units

    def _distance(self, fraction: float, *, up: bool) -> int:
        """Return a fraction of the entry in whole ticks, one at least."""
        tick = self._instrument.tick_units
        product = self.entry_units * round(fraction * PARTS)
        units = -(-product // PARTS) if up else product // PARTS
        steps = -(-units // tick) if up else units // tick
        return max(steps, 1) * tick

    def _tightest(self, one: int | None, other: int | None) -> int | None:
        if one is None or other is None:
            return other if one is None else one
        return one if self.is_tighter(one, other) else other
