"""Owns the venue's reports that a ledger keeps: a position and an account's totals.

Refuses to be added to anything: they are compared with ours.
"""

import msgspec

from tickwright.core.identity import AccountId, InstrumentId, Leg

__all__ = ["AccountState", "PositionReport"]


class PositionReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="position_report"):
    """The venue's view of one position; compared with ours, never added. Size is signed.

    Margins are money units of the settle asset. They, the leverage set and the liquidation price
    (price units, rounded) are None where the venue told none.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    leg: Leg
    size_units: int
    entry_price: str
    venue_ns: int
    received_ns: int
    is_from_query: bool = False
    stop_units: int | None = None
    """The stop loss the venue holds for it; 0: none, None: the venue does not say."""
    take_units: int | None = None
    trailing_distance_units: int | None = None
    leverage: str = ""
    initial_margin: int | None = None
    maintenance_margin: int | None = None
    liquidation_price_units: int | None = None


class AccountState(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="account_state"):
    """Totals of an account in the venue's unit of account (USD), in money units."""

    account_id: AccountId
    equity: int
    available: int
    initial_margin: int
    maintenance_margin: int
    venue_ns: int
    received_ns: int
