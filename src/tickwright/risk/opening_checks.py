"""Owns the checks of orders that may open or grow a position; refuses to stand in an exit's way."""

from tickwright.core.identity import Leg
from tickwright.core.orders import Side
from tickwright.core.verdicts import Reason
from tickwright.risk.bound_limits import NO_LIMIT, PARTS
from tickwright.risk.losses import drawdown_words, loss_words
from tickwright.risk.question import (
    Question,
    Test,
    Words,
    bps_text,
    missing_text,
    money_text,
    size_text,
)

__all__ = ["OPENING_TESTS"]


def _opening_allowed(q: Question) -> bool:
    return not q.limits.reduce_only


def _spread_narrow(q: Question) -> bool:
    spread = q.book.spread_units if q.book is not None else None
    mid_twice = q.mid_twice_units
    if spread is None or not mid_twice:
        return False
    return 2 * spread * PARTS <= q.limits.spread_parts * mid_twice


def _spread_words(q: Question) -> Words:
    spread = q.book.spread_units if q.book is not None else None
    if spread is None or not q.mid_twice_units:
        return "unknown", bps_text(q.limits.spread_parts)
    return f"{2 * spread * 10_000 / q.mid_twice_units:.4g} bps", bps_text(q.limits.spread_parts)


def _few_open_orders(q: Question) -> bool:
    return q.holding.open_orders < q.limits.open_orders


def _few_unknown(q: Question) -> bool:
    return q.holding.unknown_requests <= q.limits.unknown_requests


def _no_conflict(q: Question) -> bool:
    if not q.limits.deny_conflicting_position or q.intent.leg is not Leg.NET:
        return True
    return q.holding.net_units * q.intent.side >= 0


def _conflict_words(q: Question) -> Words:
    net = q.holding.net_units
    held = f"{'long' if net > 0 else 'short'} {q.instrument.size_text(abs(net))}" if net else "flat"
    return f"{q.intent.side.name.lower()} while {held}", "not against the position"


def _opposite_units(q: Question) -> int:
    if q.intent.side is Side.BUY:
        return q.holding.working_sell_units
    return q.holding.working_buy_units


def _no_opposite(q: Question) -> bool:
    return not q.limits.deny_opposite_orders or _opposite_units(q) == 0


def _opposite_words(q: Question) -> Words:
    return f"opposite orders of {size_text(q, _opposite_units(q))}", "none"


def _short_possible(q: Question) -> bool:
    if q.intent.side is Side.BUY or q.instrument.capabilities.can_short:
        return True
    return q.held_units + q.size_units <= 0


def _short_words(q: Question) -> Words:
    return f"would be short {size_text(q, q.held_units + q.size_units)}", "no short here"


def _price_known(q: Question) -> bool:
    return q.price_units is not None and q.worth > 0


def _price_known_words(q: Question) -> Words:
    if _price_known(q):
        return "known", "a mark or a mid"
    return f"no price in {q.account.valuer.equity_asset} for {q.instrument.id}", "a mark or a mid"


def _marks_known(q: Question) -> bool:
    unknown = q.account.exposure_unknown
    # The instrument in question is valued at its mid when its mark is missing.
    return unknown == 0 or (unknown == 1 and not q.holding.is_known)


def _marks_words(q: Question) -> Words:
    return (missing_text(q) if not _marks_known(q) else "all known"), "a mark for every position"


def _has_equity(q: Question) -> bool:
    return q.equity is not None and q.equity > 0 and q.account.day_start_equity is not None


def _equity_words(q: Question) -> Words:
    value = missing_text(q) if q.equity is None else money_text(q, q.equity)
    return value, f"above 0 {q.account.valuer.equity_asset}"


def _loss_small(q: Question) -> bool:
    return not q.has_loss_breach


def _loss_words(q: Question) -> Words:
    return loss_words(q.account, q.limits, q.account.valuer.equity_asset, latched=q.has_loss_breach)


def _drawdown_small(q: Question) -> bool:
    return not q.has_drawdown_breach


def _drawdown_words(q: Question) -> Words:
    return drawdown_words(
        q.account, q.limits, q.account.valuer.equity_asset, latched=q.has_drawdown_breach
    )


def _few_positions(q: Question) -> bool:
    return q.holding.exposure_units != 0 or q.account.active_count < q.limits.positions


def _positions_words(q: Question) -> Words:
    bound = "off" if q.limits.positions >= NO_LIMIT else f"{q.limits.positions}"
    return f"{q.account.active_count} instruments held or ordered", bound


OPENING_TESTS: tuple[Test, ...] = (
    Test(
        Reason.REDUCE_ONLY_MODE,
        _opening_allowed,
        lambda q: (
            "an opening order",
            "closing orders only" if q.limits.reduce_only else "any",
        ),
    ),
    Test(Reason.SPREAD_TOO_WIDE, _spread_narrow, _spread_words),
    Test(
        Reason.OPEN_ORDERS_LIMIT,
        _few_open_orders,
        lambda q: (
            f"{q.holding.open_orders} open orders in {q.instrument.symbol}",
            f"{q.limits.open_orders}",
        ),
    ),
    Test(
        Reason.UNKNOWN_REQUEST,
        _few_unknown,
        lambda q: (
            f"{q.holding.unknown_requests} unknown requests in {q.instrument.symbol}",
            f"{q.limits.unknown_requests}",
        ),
    ),
    Test(Reason.CONFLICTING_POSITION, _no_conflict, _conflict_words),
    Test(Reason.OPPOSITE_ORDER, _no_opposite, _opposite_words),
    Test(Reason.SHORT_UNAVAILABLE, _short_possible, _short_words),
    Test(Reason.PRICE_UNKNOWN, _price_known, _price_known_words),
    Test(Reason.MARK_UNKNOWN, _marks_known, _marks_words),
    Test(Reason.POSITIONS_LIMIT, _few_positions, _positions_words),
    Test(Reason.NO_EQUITY, _has_equity, _equity_words),
    Test(Reason.DAILY_LOSS, _loss_small, _loss_words),
    Test(Reason.DRAWDOWN, _drawdown_small, _drawdown_words),
)
"""What an opening order must pass, before its size is looked at."""
