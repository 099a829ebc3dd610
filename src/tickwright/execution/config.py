"""Owns the settings of execution, units in the names; refuses values that contradict each other."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tickwright.core.errors import ConfigError
from tickwright.core.exits import Exits
from tickwright.core.work import SLICES_MAX
from tickwright.execution.request_budget import BudgetLimits

__all__ = ["ExecutionConfig", "IcebergEntry", "PassiveEntry", "TwapEntry"]

_Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
_Bps = Annotated[float, Meta(ge=0.0, le=1_000.0)]


class PassiveEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a passive entry follows the touch; `entry_timeout_ms` ends it."""

    offset_ticks: Annotated[int, Meta(ge=0, le=1_000)] = 0
    """Behind the touch, away from the market."""
    amend_ms_min: Annotated[int, Meta(ge=10, le=86_400_000)] = 250
    """It moves no more often."""
    chase_bps_max: _Bps = 20.0
    """It goes no further from the touch it started at."""


class TwapEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an entry is spread over time; each slice may go `slippage_bps_max` through the touch."""

    duration_ms: _Milliseconds = 60_000
    slices: Annotated[int, Meta(ge=1, le=SLICES_MAX)] = 10
    randomise_fraction: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0
    """Share by which times and sizes of slices vary."""


class IcebergEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an entry rests at the touch of the signal with only a part of it shown."""

    shown_fraction: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.1
    """Share of the size shown at a time; at least the smallest order."""
    give_up_ms: _Milliseconds = 60_000


class ExecutionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How approved signals become orders, and how long answers are waited for.

    `recv_window_ms` must be what the venue's session sends: a request can be taken by the venue
    until it has passed, so "no such order" counts only if asked `evidence_margin_ms` after it.
    """

    entry: Literal["marketable", "passive", "twap", "iceberg"] = "marketable"
    """At once with a slippage cap (IOC), or worked: following the touch, in slices, in parts."""
    passive: PassiveEntry = PassiveEntry()
    twap: TwapEntry = TwapEntry()
    iceberg: IcebergEntry = IcebergEntry()
    slippage_bps_max: _Bps = 5.0
    """How far through the touch a marketable entry may go."""
    exit_slippage_bps_max: _Bps = 50.0
    entry_timeout_ms: _Milliseconds = 5_000
    """A resting entry is cancelled after this."""
    exits: Exits = Exits()
    """How positions are left where a signal, an intent or `strategy_exits` says nothing else."""
    strategy_exits: dict[str, Exits] = {}
    """By strategy; what one leaves open is taken from `exits`."""
    brackets: Literal["auto", "synthetic"] = "auto"
    """Stops held by the venue where it can and one strategy alone trades there; or by us."""
    valid_ms: _Milliseconds = 1_000
    """An order not sent by then is dropped."""
    exit_retry_ms: _Milliseconds = 200
    """Pause before an exit is tried again; doubles with each failure up to 5 s."""
    answer_timeout_ms: _Milliseconds = 1_000
    """A request without an answer for so long is unknown."""
    recv_window_ms: _Milliseconds = 2_000
    evidence_margin_ms: _Milliseconds = 1_000
    query_ms: _Milliseconds = 1_000
    """Pause between queries about one order; doubles up to 30 s."""
    reconcile_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 2_500
    """How often the venue's orders, positions and balances are read and compared; 0 never."""
    halted_positions: Literal["keep", "close"] = "keep"
    """What becomes of a halted strategy's positions; kept ones stay guarded by their brackets."""
    adopted_orders: Literal["cancel", "keep"] = "cancel"
    """What becomes of working orders an earlier run left, once the account is synced."""
    adopted_works: Literal["keep", "cancel"] = "keep"
    """What becomes of works an earlier run left under way: they go on, or are ended."""
    budget: BudgetLimits = BudgetLimits()
    """Requests a second in a group without an entry in `budgets`."""
    budgets: dict[str, BudgetLimits] = {}
    """By group: kind and category, as in `create.linear`, `cancel.spot`, `query.linear`."""

    def __post_init__(self) -> None:
        if self.exit_slippage_bps_max < self.slippage_bps_max:
            raise ConfigError(
                f"execution.exit_slippage_bps_max {self.exit_slippage_bps_max:g} is below "
                f"execution.slippage_bps_max {self.slippage_bps_max:g}: leaving must not be harder"
            )
        fault = self.exits.fault()
        if fault is not None:
            raise ConfigError(f"execution.exits: {fault}")
        for name in self.strategy_exits:
            fault = self.exits_of(name).fault()
            if fault is not None:
                raise ConfigError(f"execution.strategy_exits.{name}: {fault}")

    def exits_of(self, strategy: str) -> Exits:
        """Return how a strategy's positions are left when it says nothing itself."""
        own = self.strategy_exits.get(strategy)
        return self.exits if own is None else own.over(self.exits)

    @property
    def evidence_delay_ns(self) -> int:
        """How long after a request the venue could still take it."""
        return (self.recv_window_ms + self.evidence_margin_ms) * 1_000_000
