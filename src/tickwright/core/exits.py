"""Owns how a position is left: stop loss, take profit, trailing, break-even, time.

Refuses policies that contradict themselves; knows no price and no venue.
"""

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

__all__ = ["TIME_STOP_MS_MAX", "ExitWishes", "Exits", "PlannedExits"]

TIME_STOP_MS_MAX = 604_800_000
"""A week."""

_Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)] | None
_FRACTIONS = (
    "stop_loss_fraction",
    "take_profit_fraction",
    "trailing_fraction",
    "activation_fraction",
    "break_even_after_fraction",
    "break_even_offset_fraction",
)


class Exits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a position is closed. Fractions are of its average entry price; 0.005 is 0.5 %.

    A field that is None takes what is configured; 0 says none, whatever is configured. Of several
    stops the tightest counts.
    """

    stop_loss_fraction: _Fraction = None
    take_profit_fraction: _Fraction = None
    trailing_fraction: _Fraction = None
    """Distance the stop keeps from the best price since the activation; it only tightens."""
    activation_fraction: _Fraction = None
    """Move in our favour from which on the stop trails; None or 0: from the entry on."""
    break_even_after_fraction: _Fraction = None
    """Move in our favour after which the stop stands at the entry price."""
    break_even_offset_fraction: _Fraction = None
    """How far beyond the entry it stands then; None covers the taker fees of both sides."""
    time_stop_ms: Annotated[int, Meta(ge=0, le=TIME_STOP_MS_MAX)] | None = None
    """Closed after so long, whatever the price is."""

    def fault(self) -> str | None:
        """Say what makes the policy unusable, or None."""
        for name in _FRACTIONS:
            value = getattr(self, name)
            # Comparing with bounds refuses what is no number, too.
            if value is not None and not 0.0 <= value < 1.0:
                return f"{name} {value} is not between 0 and 1"
        time_ms = self.time_stop_ms
        if time_ms is not None and not 0 <= time_ms <= TIME_STOP_MS_MAX:
            return f"time_stop_ms {time_ms} is not between 0 and {TIME_STOP_MS_MAX}"
        trailing, activation = self.trailing_fraction, self.activation_fraction
        if activation and not trailing:
            return "activation_fraction needs a trailing_fraction"
        after, offset = self.break_even_after_fraction, self.break_even_offset_fraction
        if offset is not None and not after:
            return "break_even_offset_fraction needs a break_even_after_fraction"
        if after and offset is not None and offset >= after:
            return f"break_even_offset_fraction {offset} must be below break_even_after_fraction"
        profit = self.take_profit_fraction
        for name, value in (
            ("activation_fraction", activation),
            ("break_even_after_fraction", after),
        ):
            if value and profit and value >= profit:
                return f"{name} {value} is never reached: take_profit_fraction is {profit}"
        return None

    def over(self, defaults: "Exits") -> "Exits":
        """Return this policy with what it leaves open taken from `defaults`.

        What only refines something this policy switches off is not taken.
        """
        if self is defaults or self == _NOTHING:
            return defaults
        values = {
            name: getattr(defaults, name) if getattr(self, name) is None else getattr(self, name)
            for name in self.__struct_fields__
        }
        if self.trailing_fraction == 0.0 and self.activation_fraction is None:
            values["activation_fraction"] = None
        if self.break_even_after_fraction == 0.0 and self.break_even_offset_fraction is None:
            values["break_even_offset_fraction"] = None
        return Exits(**values)

    @property
    def follows(self) -> bool:
        """Whether a stop moves with the price."""
        return bool(self.trailing_fraction or self.break_even_after_fraction)


class ExitWishes(TypedDict, total=False):
    """The fields of `Exits` as keyword arguments; what isn't named stays open."""

    stop_loss_fraction: float | None
    take_profit_fraction: float | None
    trailing_fraction: float | None
    activation_fraction: float | None
    break_even_after_fraction: float | None
    break_even_offset_fraction: float | None
    time_stop_ms: int | None


class PlannedExits(msgspec.Struct, frozen=True, kw_only=True):
    """How the position that an order opens is to be left; price units are exact levels."""

    exits: Exits
    stop_units: int | None = None
    take_units: int | None = None


_NOTHING = Exits()
