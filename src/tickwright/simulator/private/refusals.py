"""Owns the refusals of the private side, each with its code and wording; decides none.

Codes are what clients branch on. Wordings follow captures where there is one.
"""

__all__ = [
    "VenueRefusal",
    "duplicate_link_id",
    "insufficient_balance",
    "order_not_found",
    "parameter",
    "risk_limit",
]


class VenueRefusal(Exception):
    """A request the venue refuses: `code` and `text` go into the answer's envelope."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def parameter(text: str) -> VenueRefusal:
    """Refuse a malformed or impossible parameter."""
    return VenueRefusal(10001, text)


def insufficient_balance(*, is_spot: bool) -> VenueRefusal:
    """Refuse an order that the account can't pay for."""
    if is_spot:
        return VenueRefusal(170131, "Insufficient balance.")
    return VenueRefusal(110007, "Available balance is insufficient")


def duplicate_link_id(*, is_spot: bool) -> VenueRefusal:
    """Refuse an orderLinkId that was used before."""
    if is_spot:
        return VenueRefusal(170141, "Duplicate clientOrderId.")
    return VenueRefusal(110072, "OrderLinkedID is duplicate")


def order_not_found(*, is_spot: bool) -> VenueRefusal:
    """Refuse to touch an order that isn't there, or isn't open any more."""
    if is_spot:
        return VenueRefusal(170213, "Order does not exist.")
    return VenueRefusal(110001, "order not exists or too late to cancel")


def risk_limit(leverage: str) -> VenueRefusal:
    """Refuse a position beyond its risk tier; `leverage` is the highest one that allows it."""
    if not leverage:
        return VenueRefusal(110089, "Exceeds the maximum risk limit level")
    return VenueRefusal(
        110090,
        "Order placement failed as your position may exceed the max limit. Please adjust your "
        f"leverage to {leverage} or below to increase the max. position limit",
    )
