"""Owns the words for working a larger size: which algorithm, how far it may go, how it stands.

Refuses to know how any of them chooses its next order. Prices and sizes are in units, times in
milliseconds or UTC nanoseconds, as named.
"""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from tickwright.core.exits import Exits
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.orders import Side

__all__ = [
    "SLICES_MAX",
    "Algorithm",
    "FollowTouch",
    "Iceberg",
    "Marketable",
    "Twap",
    "Work",
    "WorkIntent",
    "WorkRecord",
    "WorkState",
]

SLICES_MAX = 500
_DAY_MS = 86_400_000
_PAUSE_MS_MIN = 10

_Life = Annotated[int, Meta(ge=1, le=_DAY_MS)]
_Bps = Annotated[float, Meta(ge=0.0, le=1_000.0)]


def _between(name: str, value: float | None, least: float, most: float) -> str | None:
    """Say that a number is out of its bounds; comparing refuses what is no number, too."""
    if value is not None and not least <= value <= most:
        return f"{name} {value} is not between {least:g} and {most:g}"
    return None


class FollowTouch(msgspec.Struct, frozen=True, kw_only=True, tag="follow"):
    """Rest post-only at the own side's touch, `offset_ticks` behind it, and move with it.

    Moved at most once in `amend_ms_min`; never further than `chase_bps_max` from the touch it
    started at. What is not filled after `give_up_ms` is withdrawn.
    """

    offset_ticks: Annotated[int, Meta(ge=0, le=1_000)] = 0
    amend_ms_min: Annotated[int, Meta(ge=_PAUSE_MS_MIN, le=_DAY_MS)] = 250
    give_up_ms: _Life = 30_000
    chase_bps_max: _Bps = 20.0

    def fault(self) -> str | None:
        """Say what makes it unusable, or None."""
        return (
            _between("offset_ticks", self.offset_ticks, 0, 1_000)
            or _between("amend_ms_min", self.amend_ms_min, _PAUSE_MS_MIN, _DAY_MS)
            or _between("give_up_ms", self.give_up_ms, 1, _DAY_MS)
            or _between("chase_bps_max", self.chase_bps_max, 0.0, 1_000.0)
        )


class Twap(msgspec.Struct, frozen=True, kw_only=True, tag="twap"):
    """Take the size in `slices` over `duration_ms`, each at once with a slippage cap.

    `randomise_fraction` varies times and sizes of the slices by up to that share. No slice goes
    beyond `price_units`. What a slice could not get is added to later ones, at most its own size
    to each; the last one ends it.
    """

    duration_ms: _Life
    slices: Annotated[int, Meta(ge=1, le=SLICES_MAX)] = 10
    randomise_fraction: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0
    slippage_bps_max: _Bps = 5.0
    price_units: int | None = None

    def fault(self) -> str | None:
        """Say what makes it unusable, or None."""
        if not 0.0 <= self.randomise_fraction < 1.0:
            return f"randomise_fraction {self.randomise_fraction} is not from 0 to below 1"
        return (
            _between("duration_ms", self.duration_ms, 1, _DAY_MS)
            or _between("slices", self.slices, 1, SLICES_MAX)
            or _between("slippage_bps_max", self.slippage_bps_max, 0.0, 1_000.0)
        )


class Iceberg(msgspec.Struct, frozen=True, kw_only=True, tag="iceberg"):
    """Rest at `price_units` and never show more than `shown_units` of the size.

    The next part is shown when the one before is through. What is not filled after `give_up_ms`
    is withdrawn.
    """

    shown_units: int
    price_units: int
    post_only: bool = False
    give_up_ms: _Life = 3_600_000

    def fault(self) -> str | None:
        """Say what makes it unusable, or None."""
        if self.shown_units < 1 or self.price_units < 1:
            return "shown_units and price_units must be above zero"
        return _between("give_up_ms", self.give_up_ms, 1, _DAY_MS)


class Marketable(msgspec.Struct, frozen=True, kw_only=True, tag="marketable"):
    """Take the size now, at most `slippage_bps_max` through the touch it started at.

    What the book does not hold within that price is tried again as it appears, until
    `give_up_ms` have passed.
    """

    slippage_bps_max: _Bps = 5.0
    give_up_ms: _Life = 1_000

    def fault(self) -> str | None:
        """Say what makes it unusable, or None."""
        return _between("slippage_bps_max", self.slippage_bps_max, 0.0, 1_000.0) or _between(
            "give_up_ms", self.give_up_ms, 1, _DAY_MS
        )


Algorithm = FollowTouch | Twap | Iceberg | Marketable


class WorkIntent(msgspec.Struct, frozen=True, kw_only=True, tag="work_intent"):
    """A size a strategy wishes to have worked by an algorithm, in child orders.

    `reduce_only` leaves a position: children are capped to the strategy's own share of it.
    `exits` say how the position this opens is left; what they leave open is configured.
    """

    instrument_id: InstrumentId
    side: Side
    size_units: int
    algorithm: Algorithm
    reduce_only: bool = False
    reason: str = ""
    exits: Exits | None = None

    @property
    def kind(self) -> str:
        """The algorithm's word: follow, twap, iceberg or marketable."""
        return str(type(self.algorithm).__struct_config__.tag)

    def fault(self) -> str | None:
        """Say what makes the wish unusable, or None."""
        if self.size_units <= 0:
            return f"size {self.size_units} is not above zero"
        if self.reduce_only and self.exits is not None:
            return "what leaves a position has no exits"
        return self.algorithm.fault()


class WorkState(enum.Enum):
    """How a work stands; the last three are final."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    WORKING = "working"
    STOPPING = "stopping"
    """No child is sent any more; the last is being withdrawn."""
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing comes any more."""
        return self not in (WorkState.WORKING, WorkState.STOPPING)


class Work(msgspec.Struct, frozen=True, kw_only=True, tag="work"):
    """One work as it stands at one input. `children` are client ids, oldest first.

    `filled_notional` is the sum of price_units x size_units over the fills. `reason` says why it
    pauses, stops or ended; "" while all is well.
    """

    work_id: ClientId
    strategy_id: StrategyId
    account_id: AccountId
    intent: WorkIntent
    state: WorkState
    filled_units: int
    filled_notional: int
    children: tuple[ClientId, ...]
    started_ns: int
    reason: str = ""

    @property
    def size_units(self) -> int:
        """The whole size."""
        return self.intent.size_units

    @property
    def remaining_units(self) -> int:
        """Size not filled; after the end nobody works on it."""
        return max(0, self.intent.size_units - self.filled_units)

    @property
    def average_price_units(self) -> float | None:
        """Average price of the fills, for display; None before the first."""
        return self.filled_notional / self.filled_units if self.filled_units else None


class WorkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must know of a work: kept with the state, and beside each child's promise.

    `filled_units` and `filled_notional` are of the children that are settled; `child_id` is the one
    that isn't, if any: beside a promise that is the order promised. `number` names the chance its
    schedule was drawn by, `worst_units` the price its first touch allowed. `stops_as` says how a
    work that is being ended was to end.
    """

    work_id: ClientId
    strategy_id: StrategyId
    account_id: AccountId
    intent: WorkIntent
    exits: Exits
    number: int
    started_ns: int
    price_decimals: int
    size_decimals: int
    filled_units: int = 0
    filled_notional: int = 0
    child_count: int = 0
    child_id: ClientId | None = None
    worst_units: int | None = None
    is_entry: bool = False
    """Whether a signal asked for it: the strategy enters nothing else there meanwhile."""
    stops_as: WorkState | None = None
    reason: str = ""
