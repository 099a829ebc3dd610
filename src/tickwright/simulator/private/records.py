"""Owns what the venue remembers of orders and executions; refuses to shape it for the wire.

Texts here are the venue's own words (`New`, `EC_NoError`), because the venue means them and nobody
converts them back.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from tickwright.core.identity import Category
from tickwright.core.orders import Side, TriggerBy
from tickwright.matching import BookOrder
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.private.accounts import Account

__all__ = [
    "FINAL_STATUSES",
    "OPEN_STATUSES",
    "Bracket",
    "ExecutionRecord",
    "LogRecord",
    "VenueOrder",
]

OPEN_STATUSES = frozenset({"New", "PartiallyFilled", "Untriggered", "Triggered"})
FINAL_STATUSES = frozenset(
    {"Filled", "Cancelled", "Rejected", "PartiallyFilledCanceled", "Deactivated"}
)


@dataclass(slots=True, eq=False)
class Bracket:
    """Partial take profit and stop loss an order brings along, and the stops made of them so far.

    Prices are 0 for none; a limit price of 0 is a stop that closes at market.
    """

    take_profit_units: int
    take_profit_limit_units: int
    take_profit_by: TriggerBy
    stop_loss_units: int
    stop_loss_limit_units: int
    stop_loss_by: TriggerBy
    take_profit: "VenueOrder | None" = None
    stop_loss: "VenueOrder | None" = None


@dataclass(slots=True, eq=False)
class VenueOrder:
    """One order as the venue shows it. `status` is `Created` between the answer and the book.

    `filled_value` sums price_units x size_units; `fees` and `closed_pnl` are money units.
    """

    number: int
    order_id: str
    link_id: str
    account: Account
    instrument: VenueInstrument
    side: Side
    order_type: str
    size_units: int
    price_units: int
    time_in_force: str
    created_ms: int
    updated_ms: int
    position_index: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    quote_amount: Decimal | None = None
    quote_units: int = 0
    market_unit: str = ""
    order_filter: str = "Order"
    smp_type: str = "None"
    trigger_price_units: int = 0
    trigger_direction: int = 0
    trigger_by: str = ""
    stop_order_type: str = ""
    take_profit_units: int = 0
    stop_loss_units: int = 0
    take_profit_by: str = ""
    stop_loss_by: str = ""
    tpsl_mode: str = ""
    create_type: str = "CreateByUser"
    last_price_on_created: int = 0
    status: str = "Created"
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    filled_units: int = 0
    filled_value: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    closed_pnl: int = 0
    book_order: BookOrder | None = None
    cancel_as: str = ""
    """The venue's own reason, when it is the venue that cancels."""
    bracket: "Bracket | None" = None
    seen_revision: int = -1
    """The ledger's revision when the order's margin was last looked at; -1: it never was."""
    slippage_type: str = ""
    slippage: str = ""

    @property
    def category(self) -> Category:
        """The product line."""
        return self.instrument.category

    @property
    def is_spot(self) -> bool:
        """Whether it is a spot order."""
        return self.instrument.category is Category.SPOT

    @property
    def quote_units_left(self) -> int:
        """What an order by quote amount may still spend, in price_units x size_units."""
        return max(0, self.quote_units - self.filled_value) if self.is_live else 0

    @property
    def is_conditional(self) -> bool:
        """Whether it waits, or waited, for a trigger."""
        return self.trigger_price_units > 0

    @property
    def is_live(self) -> bool:
        """Whether it isn't final: accepted, waiting or resting."""
        return self.status not in FINAL_STATUSES

    @property
    def leaves_units(self) -> int:
        """Size that may still fill."""
        return self.size_units - self.filled_units if self.is_live else 0


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One row of the execution list. A funding row has no price move, its fee is what was paid."""

    number: int
    execution_id: str
    order: VenueOrder | None
    instrument: VenueInstrument
    kind: str
    side: Side
    price_units: int
    size_units: int
    value: int
    fee: int
    fee_asset: str
    fee_rate_e8: int
    is_maker: bool
    leaves_units: int
    order_size_units: int
    order_price_units: int
    closed_units: int
    gross: int
    mark_units: int
    index_units: int
    at_ms: int
    seq: int
    position_index: int = 0
    cause: str = ""
    """What made it happen: the engine's word, "took_over" for a liquidation, "" for funding."""
    match_id: int = 0
    """Shared by the two sides of a match between users; 0 when the other side is the house."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One row of the transaction log: one asset of one account moved by `change`.

    `change` = `cash_flow` + `funding` - `fee`; `balance` is what the wallet held after it.
    """

    number: int
    at_ms: int
    kind: str
    asset: str
    change: int
    balance: int
    cash_flow: int = 0
    funding: int = 0
    fee: int = 0
    execution: ExecutionRecord | None = None
    position_units: int = 0
