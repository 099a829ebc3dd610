"""Owns what the engine may ask of the world: requests, timers and notices.

Refuses to do any of it.
"""

import msgspec

from tickwright.core.events import OrderReport
from tickwright.core.exits import PlannedExits
from tickwright.core.identity import (
    AccountId,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
    VenueOrderId,
)
from tickwright.core.orders import OrderState, OrderType, Side, TimeInForce, TriggerBy
from tickwright.core.restrictions import ProtectionKind, Scope, Stage
from tickwright.core.signals import Signal
from tickwright.core.verdicts import Verdict
from tickwright.core.work import Work, WorkRecord

__all__ = [
    "AmendOrder",
    "CancelAll",
    "CancelOrder",
    "Command",
    "HaltNotice",
    "Notice",
    "OrderNotice",
    "PlaceOrder",
    "ProtectionNotice",
    "QueryOrder",
    "SetPositionStops",
    "SetTimer",
    "SignalNotice",
    "StopsNotice",
    "WorkNotice",
]


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, tag="place"):
    """Create an order at the venue; it is journalled before its first byte leaves."""

    account_id: AccountId
    client_id: ClientId
    instrument_id: InstrumentId
    strategy_id: StrategyId
    side: Side
    size_units: int
    order_type: OrderType
    price_units: int | None
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    leg: Leg
    stop_loss_price_units: int | None
    take_profit_price_units: int | None
    trigger_price_units: int | None
    trigger_by: TriggerBy
    valid_until_ns: int
    event_id: int
    planned: PlannedExits | None = None
    """Journalled for a restart, never sent; None: as configured, or the order closes."""
    work: WorkRecord | None = None
    """The work whose child this is, as it stood before; journalled for a restart, never sent."""


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True, tag="amend"):
    """Change price or size (total, filled part included) of a working order; None leaves it."""

    account_id: AccountId
    client_id: ClientId
    venue_id: VenueOrderId | None
    instrument_id: InstrumentId
    price_units: int | None
    size_units: int | None
    event_id: int


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Withdraw an order; never waits for the journal."""

    account_id: AccountId
    client_id: ClientId
    venue_id: VenueOrderId | None
    instrument_id: InstrumentId
    event_id: int


class CancelAll(msgspec.Struct, frozen=True, kw_only=True, tag="cancel_all"):
    """Withdraw all plain orders of an account; protective reduce-only stops stay."""

    account_id: AccountId
    instrument_id: InstrumentId | None
    event_id: int


class QueryOrder(msgspec.Struct, frozen=True, kw_only=True, tag="query"):
    """Ask the venue for evidence about an order whose request is unknown."""

    account_id: AccountId
    client_id: ClientId
    instrument_id: InstrumentId
    event_id: int


class SetPositionStops(msgspec.Struct, frozen=True, kw_only=True, tag="set_stops"):
    """Let the venue hold stops of a whole position; what is None is left as it is.

    Setting the same twice changes nothing, so a request without an answer is sent again with the
    same `number`. It only reduces risk: it never waits for the journal. `trailing_active_units` is
    the price from which on the stop trails (None: at once).
    """

    account_id: AccountId
    instrument_id: InstrumentId
    leg: Leg
    number: int
    stop_units: int | None
    take_units: int | None
    trailing_distance_units: int | None
    trailing_active_units: int | None
    event_id: int


class SetTimer(msgspec.Struct, frozen=True, gc=False, tag="set_timer"):
    """Call back by `TimerFired(owner, name, due_ns)` at `due_ns`; the same name replaces."""

    owner: str
    name: str
    due_ns: int
    event_id: int


class SignalNotice(msgspec.Struct, frozen=True, kw_only=True, tag="signal_notice"):
    """A signal and what the gate said of it: for logs, screens and history."""

    strategy_id: StrategyId
    signal: Signal
    verdict: Verdict
    client_id: ClientId | None
    event_id: int
    now_ns: int


class OrderNotice(msgspec.Struct, frozen=True, kw_only=True, tag="order_notice"):
    """An order changed its state: for logs, screens and history."""

    client_id: ClientId | None
    strategy_id: StrategyId | None
    instrument_id: InstrumentId
    state: OrderState
    filled_units: int
    reason: str
    event_id: int
    now_ns: int
    foreign: OrderReport | None = None


class HaltNotice(msgspec.Struct, frozen=True, kw_only=True, tag="halt_notice"):
    """A strategy, an instrument or the engine stopped opening orders."""

    scope: str
    reason: str
    event_id: int
    now_ns: int


class StopsNotice(msgspec.Struct, frozen=True, kw_only=True, tag="stops_notice"):
    """Who holds a position's stops from now on changed: the venue, or we; for logs and screens."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    is_held: bool
    """The venue holds all of them."""
    reason: str
    event_id: int
    now_ns: int


class WorkNotice(msgspec.Struct, frozen=True, kw_only=True, tag="work_notice"):
    """A work began, pauses, goes on, stops or ended: for logs, screens and history."""

    work: Work
    event_id: int
    now_ns: int


class ProtectionNotice(msgspec.Struct, frozen=True, kw_only=True, tag="protection_notice"):
    """A protection was entered, lifted (`stage` active) or found standing after a restart.

    `by` is who lifted it, `restart`, or "" when entered. `until_ns` None: a person must lift it.
    """

    kind: ProtectionKind
    scope: Scope
    stage: Stage
    reason: str
    since_ns: int
    until_ns: int | None
    by: str
    event_id: int
    now_ns: int

    @property
    def name(self) -> str:
        """Kind and scope, as `--lift` takes them."""
        return f"{self.kind.value}@{self.scope}"


Command = (
    PlaceOrder | AmendOrder | CancelOrder | CancelAll | QueryOrder | SetPositionStops | SetTimer
)
"""What the outside must do."""
Notice = SignalNotice | OrderNotice | HaltNotice | StopsNotice | WorkNotice | ProtectionNotice
"""What the outside may show or store."""
