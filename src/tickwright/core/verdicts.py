"""Owns what the risk gate answers: approved, reduced or rejected, with the numbers.

Refuses bare booleans.
"""

import enum
from typing import final

import msgspec

__all__ = ["Approved", "Check", "Reason", "Rejected", "Verdict"]


class Reason(enum.Enum):
    """Which limit spoke; the value is the stable name in logs, reports and `--json`."""

    BOOK_NOT_SYNCED = "book_not_synced"
    BOOK_TOO_OLD = "book_too_old"
    BOOK_EMPTY = "book_empty"
    PRICE_UNKNOWN = "price_unknown"
    MARK_UNKNOWN = "mark_unknown"
    PRICE_BAND = "price_band"
    PRICE_INVALID = "price_invalid"
    SPREAD_TOO_WIDE = "spread_too_wide"
    DEPTH_TOO_THIN = "depth_too_thin"
    DEPTH_LIMIT = "depth_limit"
    MARK_FROZEN = "mark_frozen"
    CLOCK_SKEW = "clock_skew"
    OUTSIDE_HOURS = "outside_hours"
    FUNDING_WINDOW = "funding_window"
    SYMBOL_DENIED = "symbol_denied"
    SIZE_INVALID = "size_invalid"
    ORDER_NOTIONAL = "order_notional"
    ORDER_SIZE = "order_size"
    NOTIONAL_TOO_SMALL = "notional_too_small"
    POSITION_LIMIT = "position_limit"
    POSITION_NOTIONAL = "position_notional"
    POSITIONS_LIMIT = "positions_limit"
    EXPOSURE_LIMIT = "exposure_limit"
    NET_EXPOSURE = "net_exposure"
    TOTAL_POSITION = "total_position"
    LEVERAGE_LIMIT = "leverage_limit"
    MARGIN_USE = "margin_use"
    GROUP_EXPOSURE = "group_exposure"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    LOSS_STREAK = "loss_streak"
    CONFLICTING_POSITION = "conflicting_position"
    OPPOSITE_ORDER = "opposite_order"
    OPEN_ORDERS_LIMIT = "open_orders_limit"
    RATE_LIMIT = "rate_limit"
    CANCEL_RATE = "cancel_rate"
    AMEND_RATE = "amend_rate"
    AMEND_IMPOSSIBLE = "amend_impossible"
    ORDER_TO_FILL = "order_to_fill"
    UNKNOWN_REQUEST = "unknown_request"
    UNKNOWN_TOTAL = "unknown_total"
    SHORT_UNAVAILABLE = "short_unavailable"
    NOTHING_TO_CLOSE = "nothing_to_close"
    REDUCE_ONLY_MODE = "reduce_only_mode"
    STRATEGY_HALTED = "strategy_halted"
    ENGINE_HALTED = "engine_halted"
    ACCOUNT_NOT_READY = "account_not_ready"
    INSTRUMENT_NOT_TRADING = "instrument_not_trading"
    INSTRUMENT_UNKNOWN = "instrument_unknown"
    SIGNAL_INVALID = "signal_invalid"
    CONFIDENCE_TOO_LOW = "confidence_too_low"
    PROTECTION = "protection"
    EXPIRED = "expired"
    NO_EQUITY = "no_equity"


class Check(msgspec.Struct, frozen=True, gc=False):
    """One limit with what was measured and what is allowed, as text with units, for people."""

    reason: Reason
    value: str
    bound: str


class Approved(msgspec.Struct, frozen=True, gc=False, tag="approved"):
    """The order may go, at this size.

    `reduced_by` says which limits made it smaller than wished.
    """

    size_units: int
    reduced_by: tuple[Check, ...] = ()


@final
class Rejected(msgspec.Struct, frozen=True, gc=False, tag="rejected"):
    """The order may not go.

    Callers on the order path ask for its type: `isinstance` costs nine times as much to say no.
    """

    check: Check

    @property
    def reason(self) -> Reason:
        """The limit that spoke."""
        return self.check.reason

    def __str__(self) -> str:
        return f"{self.check.reason.value}: {self.check.value} against {self.check.bound}"


Verdict = Approved | Rejected
