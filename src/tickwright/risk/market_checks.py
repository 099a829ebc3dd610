"""Owns what the market and the clock must be like for opening; refuses to look at sizes held.

A clock nobody measured passes unless the configuration denies it: the venue itself refuses what
reaches it too late. A mark whose time nobody told can't be called frozen. An instrument with a
funding interval whose next time nobody told is taken to pay at whole intervals of the UTC day.
"""

from tickwright.core.orders import Side
from tickwright.core.verdicts import Reason
from tickwright.risk.hours import moment_text
from tickwright.risk.question import Group, Question, Test, Words, money_text, worth_of

__all__ = ["MARKET_GROUP"]

MINUTE_NS = 60_000_000_000
# Looking a member up in its class is a Python call, and these are asked for every order.
_BUY = Side.BUY


def _symbol_allowed(q: Question) -> bool:
    return not q.limits.is_denied


def _symbol_words(q: Question) -> Words:
    return q.instrument.symbol, "symbols_allowed and symbols_denied"


def _within_hours(q: Question) -> bool:
    return q.limits.hours.is_open(q.now_ns)


def _hours_words(q: Question) -> Words:
    return moment_text(q.now_ns), f"within {q.limits.hours}"


def _funding_distances(q: Question) -> tuple[int, int] | None:
    """Return the time to the next funding and since the last one; None where there is none."""
    market = q.holding.market
    interval_ns = q.instrument.funding_interval_minutes * MINUTE_NS
    next_ns, last_ns = market.funding_next_ns, market.funding_last_ns
    now_ns = q.now_ns
    if next_ns <= now_ns:
        # Paid, or never told: the interval says the next one.
        if not interval_ns:
            return None if not next_ns else (2**62, now_ns - next_ns)
        last_ns = next_ns
        if not next_ns or now_ns - next_ns >= interval_ns:
            last_ns = now_ns // interval_ns * interval_ns
        next_ns = last_ns + interval_ns
    elif not last_ns and interval_ns:
        last_ns = next_ns - interval_ns
    return next_ns - now_ns, now_ns - last_ns


def _away_from_funding(q: Question) -> bool:
    limits = q.limits
    before_ns, after_ns = limits.funding_before_ns, limits.funding_after_ns
    if not before_ns and not after_ns:
        return True
    market, now_ns = q.holding.market, q.now_ns
    if now_ns + before_ns <= market.funding_next_ns and (
        not after_ns or 0 < market.funding_last_ns <= now_ns - after_ns
    ):
        return True
    distances = _funding_distances(q)
    if distances is None:
        return True
    before, after = distances
    return before >= limits.funding_before_ns and after >= limits.funding_after_ns


def _funding_words(q: Question) -> Words:
    limits = q.limits
    bound = (
        f"{limits.funding_before_ns / 1e9:g} s before and {limits.funding_after_ns / 1e9:g} s after"
    )
    distances = _funding_distances(q)
    if distances is None:
        return "no funding", bound
    before, after = distances
    if before < limits.funding_before_ns or before <= after:
        return f"funding in {before / 1e9:.3f} s", bound
    return f"funding {after / 1e9:.3f} s ago", bound


def _clock_close(q: Question) -> bool:
    skew_ns = q.clock_skew_ns
    if skew_ns is None:
        return not q.limits.deny_unknown_clock
    return skew_ns <= q.limits.clock_skew_ns


def _clock_words(q: Question) -> Words:
    skew_ns = q.clock_skew_ns
    value = "never measured" if skew_ns is None else f"up to {skew_ns / 1e6:.3f} ms from the venue"
    return value, f"{q.limits.clock_skew_ns / 1e6:g} ms"


def _mark_moves(q: Question) -> bool:
    market = q.holding.market
    mark_ns = market.mark_ns
    if not mark_ns or q.now_ns - mark_ns <= q.limits.mark_age_ns:
        return True
    return q.mid_twice_units == market.mark_mid_twice_units


def _mark_words(q: Question) -> Words:
    market = q.holding.market
    bound = f"{q.limits.mark_age_ns / 1e6:g} ms while the book moves"
    if not market.mark_ns:
        return "no time of the mark is known", bound
    return f"not refreshed for {(q.now_ns - market.mark_ns) / 1e6:.3f} ms", bound


def _depth_units(q: Question) -> int:
    if q.book is None:
        return 0
    levels = q.limits.depth_levels
    visible = 0
    for _, size in q.book.asks(levels) if q.intent.side is Side.BUY else q.book.bids(levels):
        visible += size
    return visible


def _depth_thick(q: Question) -> bool:
    least = q.limits.depth_notional
    if not least:
        return True
    book = q.book
    if book is None:
        return False
    touch = (book.best_ask_size if q.intent.side is Side.BUY else book.best_bid_size) or 0
    if worth_of(q, touch) >= least:
        return True
    return worth_of(q, _depth_units(q)) >= least


def _depth_words(q: Question) -> Words:
    side = "asks" if q.intent.side is Side.BUY else "bids"
    value = f"{money_text(q, worth_of(q, _depth_units(q)))} in {q.limits.depth_levels} {side}"
    return value, f"at least {money_text(q, q.limits.depth_notional)}"


def _quick_market(q: Question) -> bool:
    limits, market, skew_ns, now_ns = q.limits, q.holding.market, q.clock_skew_ns, q.now_ns
    if limits.is_denied or (
        limits.deny_unknown_clock if skew_ns is None else skew_ns > limits.clock_skew_ns
    ):
        return False
    mark_ns = market.mark_ns
    if mark_ns and now_ns - mark_ns > limits.mark_age_ns and not _mark_moves(q):
        return False
    if limits.has_moments and not (limits.hours.is_open(now_ns) and _away_from_funding(q)):
        return False
    least = limits.depth_notional
    if not least:
        return True
    book = q.book
    assert book is not None, "a book was asked for before"
    touch = (book.best_ask_size if q.intent.side is _BUY else book.best_bid_size) or 0
    return touch * q.worth >= least * q.worth_scale or _depth_thick(q)


MARKET_GROUP = Group(
    _quick_market,
    (
        Test(Reason.SYMBOL_DENIED, _symbol_allowed, _symbol_words),
        Test(Reason.OUTSIDE_HOURS, _within_hours, _hours_words),
        Test(Reason.FUNDING_WINDOW, _away_from_funding, _funding_words),
        Test(Reason.CLOCK_SKEW, _clock_close, _clock_words),
        Test(Reason.MARK_FROZEN, _mark_moves, _mark_words),
        Test(Reason.DEPTH_LIMIT, _depth_thick, _depth_words),
    ),
)
"""What market and moment must be for an opening order."""
