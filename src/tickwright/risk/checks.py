"""Owns the tables of checks, in their order: cheap and fundamental first; refuses to hold state."""

from tickwright.core.units import money_to_decimal
from tickwright.core.verdicts import Reason
from tickwright.risk.flow_checks import FLOW_TESTS
from tickwright.risk.market_checks import MARKET_TESTS
from tickwright.risk.opening_checks import OPENING_TESTS as _OWN_OPENING_TESTS
from tickwright.risk.order_checks import COMMON_TESTS
from tickwright.risk.question import Question, Room, Test, Words, size_text
from tickwright.risk.rooms import OPENING_ROOMS

__all__ = [
    "CLOSING_ROOMS",
    "CLOSING_TESTS",
    "FINAL_TESTS",
    "OPENING_ROOMS",
    "OPENING_TESTS",
]


def _closable_room(q: Question) -> int:
    return q.closable_units


def _closable_words(q: Question) -> Words:
    return size_text(q, q.size_units), f"{size_text(q, max(q.closable_units, 0))} can be closed"


def _has_to_sell(q: Question) -> bool:
    return not q.instrument.is_spot or q.closable_units > 0


def _has_to_sell_words(q: Question) -> Words:
    return _closable_words(q)[1], "spot sells holdings only"


def _order_price(q: Question) -> int | None:
    return q.intent.price_units or q.price_units


def _notional_enough(q: Question) -> bool:
    least = q.holding.market.notional_min
    if least == 0:
        return True
    # A venue that has reduce-only lets a position be closed whatever it is worth.
    if q.is_closing and q.instrument.capabilities.has_reduce_only:
        return True
    price_units = _order_price(q)
    if price_units is None:
        return False
    return q.holding.market.quote_value(q.size_units, price_units) >= least


def _notional_words(q: Question) -> Words:
    price_units = _order_price(q)
    asset = q.instrument.quote_asset
    bound = f"at least {q.instrument.notional_min} {asset}"
    if price_units is None:
        return "no price", bound
    worth = money_to_decimal(q.holding.market.quote_value(q.size_units, price_units))
    return f"{worth:.4f} {asset}", bound


OPENING_TESTS: tuple[Test, ...] = (
    *COMMON_TESTS,
    *_OWN_OPENING_TESTS,
    *MARKET_TESTS,
    *FLOW_TESTS,
)
"""What an order that may open or grow a position must pass, before its size is looked at."""

CLOSING_TESTS: tuple[Test, ...] = (
    *COMMON_TESTS,
    Test(Reason.SHORT_UNAVAILABLE, _has_to_sell, _has_to_sell_words),
)
"""What an order that can only shrink a position must pass: states, book, shape, rates."""

CLOSING_ROOMS: tuple[Room, ...] = (Room(Reason.NOTHING_TO_CLOSE, _closable_room, _closable_words),)
"""What is there to close."""

FINAL_TESTS: tuple[Test, ...] = (
    Test(Reason.NOTIONAL_TOO_SMALL, _notional_enough, _notional_words),
)
"""What the size must still fit after it was reduced."""
