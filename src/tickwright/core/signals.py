"""Owns what a strategy may answer with besides an exact order: a signal.

Refuses bytes and sizes in it.
"""

import enum

import msgspec

from tickwright.core.exits import Exits
from tickwright.core.identity import ClientId, InstrumentId
from tickwright.core.orders import OrderIntent
from tickwright.core.work import WorkIntent

__all__ = [
    "Action",
    "AmendIntent",
    "CancelIntent",
    "Decision",
    "Signal",
    "SignalKind",
    "as_decisions",
]


class SignalKind(enum.Enum):
    """What a signal wants of the strategy's position in the instrument."""

    LONG = "long"
    SHORT = "short"
    EXIT = "exit"


class Signal(msgspec.Struct, frozen=True, kw_only=True, tag="signal"):
    """A strategy's opinion; sizing and the risk gate make an order of it, or a refusal.

    `confidence` is 0 to 1. `stop_loss_fraction` and `take_profit_fraction` are distances from the
    entry price as fractions (0.005 is 0.5 %); `exits` holds them and the other ways out. What
    neither of them names takes what is configured. `reason` is for people and is logged.
    """

    instrument_id: InstrumentId
    kind: SignalKind
    confidence: float = 1.0
    reason: str = ""
    stop_loss_fraction: float | None = None
    take_profit_fraction: float | None = None
    price_units: int | None = None
    """Wished limit price; None lets execution take the touch."""
    exits: Exits | None = None

    @property
    def policy(self) -> Exits | None:
        """All that the signal says of leaving, in one; None when it says nothing."""
        stop, profit, exits = self.stop_loss_fraction, self.take_profit_fraction, self.exits
        if stop is None and profit is None:
            return exits
        short = Exits(stop_loss_fraction=stop, take_profit_fraction=profit)
        return short if exits is None else short.over(exits)

    def fault(self) -> str | None:
        """Say what makes the signal unusable, or None."""
        # Comparing with bounds refuses what is no number, too.
        if not 0.0 <= self.confidence <= 1.0:
            return f"confidence {self.confidence} is not between 0 and 1"
        stop, profit = self.stop_loss_fraction, self.take_profit_fraction
        if (stop is None or 0.0 < stop < 1.0) and (profit is None or 0.0 < profit < 1.0):
            return None if self.exits is None else self._exits_fault(self.exits)
        for name in ("stop_loss_fraction", "take_profit_fraction"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < 1.0:
                return f"{name} {value} is not between 0 and 1"
        return None

    def _exits_fault(self, exits: Exits) -> str | None:
        for name in ("stop_loss_fraction", "take_profit_fraction"):
            if getattr(self, name) is not None and getattr(exits, name) is not None:
                return f"{name} stands in the signal and in its exits"
        # What it leaves open may be configured: execution looks at the whole.
        return None


class CancelIntent(msgspec.Struct, frozen=True, kw_only=True, tag="cancel_intent"):
    """A strategy's wish to withdraw one of its own orders, or to end one of its works."""

    client_id: ClientId
    reason: str = ""


class AmendIntent(msgspec.Struct, frozen=True, kw_only=True, tag="amend_intent"):
    """A strategy's wish to change a working order of its own; what is None stays as it is.

    `size_units` is the whole size, what is filled already included.
    """

    client_id: ClientId
    price_units: int | None = None
    size_units: int | None = None
    reason: str = ""


_ACTIONS = (Signal, OrderIntent, CancelIntent, AmendIntent, WorkIntent)
_EXACTLY = frozenset(_ACTIONS)
Action = Signal | OrderIntent | CancelIntent | AmendIntent | WorkIntent
Decision = Action | list[Action] | tuple[Action, ...] | None
"""What a strategy callback may return."""


def as_decisions(decision: Decision) -> tuple[Action, ...]:
    """Turn what a callback returned into a tuple of actions.

    Raises:
        TypeError: the callback returned something else; the engine halts that strategy alone.
    """
    if decision is None:
        return ()
    if isinstance(decision, (list, tuple)):
        for action in decision:
            # Asked of the exact types first: of a class it isn't, each costs a call.
            if type(action) not in _EXACTLY and not isinstance(action, _ACTIONS):
                raise TypeError(
                    f"a strategy returned {type(action).__name__} in its list of actions"
                )
        return tuple(decision)
    if isinstance(decision, _ACTIONS):
        return (decision,)
    raise TypeError(
        f"a strategy returned {type(decision).__name__}; it must be a Signal, an OrderIntent, "
        "a CancelIntent, an AmendIntent, a WorkIntent, a list of them or None"
    )
