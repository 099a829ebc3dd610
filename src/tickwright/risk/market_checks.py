"""Owns what the market and the clock must be like for opening; refuses to look at sizes held.

A clock nobody measured passes unless the configuration denies it: the venue itself refuses what
reaches it too late. A mark whose time nobody told can't be called frozen. An instrument with a
funding interval whose next time nobody told is taken to pay at whole intervals of the UTC day.
"""

from tickwright.book.order_book import OrderBook
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.core.verdicts import Reason
from tickwright.portfolio.valuation import Market
from tickwright.risk.bound_limits import BoundLimits
from tickwright.risk.hours import moment_text
from tickwright.risk.question import Question, Test, Words, money_text, worth_of

__all__ = ["MARKET_TESTS", "depth_is_thick", "funding_is_far"]

MINUTE_NS = 60_000_000_000


def _symbol_allowed(q: Question) -> bool:
    return not q.limits.is_denied


def _symbol_words(q: Question) -> Words:
    return q.instrument.symbol, "symbols_allowed and symbols_denied"


def _within_hours(q: Question) -> bool:
    return q.limits.hours.is_open(q.now_ns)


def _hours_words(q: Question) -> Words:
    return moment_text(q.now_ns), f"within {q.limits.hours}"


def _funding_distances(
    market: Market, instrument: Instrument, now_ns: int
) -> tuple[int, int] | None:
    """Return the time to the next funding and since the last one; None where there is none."""
    interval_ns = instrument.funding_interval_minutes * MINUTE_NS
    next_ns, last_ns = market.funding_next_ns, market.funding_last_ns
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


def funding_is_far(
    limits: BoundLimits, market: Market, instrument: Instrument, now_ns: int
) -> bool:
    """Whether neither the last funding nor the next one is within the pauses around it."""
    next_ns = market.funding_next_ns
    if next_ns > now_ns and market.funding_last_ns:
        before_ns, after_ns = next_ns - now_ns, now_ns - market.funding_last_ns
    else:
        distances = _funding_distances(market, instrument, now_ns)
        if distances is None:
            return True
        before_ns, after_ns = distances
    return before_ns >= limits.funding_before_ns and after_ns >= limits.funding_after_ns


def _away_from_funding(q: Question) -> bool:
    return not q.limits.has_funding_pause or funding_is_far(
        q.limits, q.holding.market, q.instrument, q.now_ns
    )


def _funding_words(q: Question) -> Words:
    limits = q.limits
    bound = (
        f"{limits.funding_before_ns / 1e9:g} s before and {limits.funding_after_ns / 1e9:g} s after"
    )
    distances = _funding_distances(q.holding.market, q.instrument, q.now_ns)
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


def _depth_units(book: OrderBook, levels: int, *, is_buy: bool) -> int:
    return book.asks_size(levels) if is_buy else book.bids_size(levels)


def depth_is_thick(
    book: OrderBook, limits: BoundLimits, *, unit: int, scale: int, is_buy: bool
) -> bool:
    """Whether the side to be taken shows enough; `unit` is what `scale` size units are worth."""
    least = limits.depth_notional * scale
    touch = (book.best_ask_size if is_buy else book.best_bid_size) or 0
    return (
        touch * unit >= least
        or _depth_units(book, limits.depth_levels, is_buy=is_buy) * unit >= least
    )


def _depth_thick(q: Question) -> bool:
    if not q.limits.depth_notional:
        return True
    is_buy = q.intent.side is Side.BUY
    return q.book is not None and depth_is_thick(
        q.book, q.limits, unit=q.worth, scale=q.worth_scale, is_buy=is_buy
    )


def _depth_words(q: Question) -> Words:
    is_buy, levels = q.intent.side is Side.BUY, q.limits.depth_levels
    visible = 0 if q.book is None else _depth_units(q.book, levels, is_buy=is_buy)
    value = f"{money_text(q, worth_of(q, visible))} in {levels} {'asks' if is_buy else 'bids'}"
    return value, f"at least {money_text(q, q.limits.depth_notional)}"


MARKET_TESTS: tuple[Test, ...] = (
    Test(Reason.SYMBOL_DENIED, _symbol_allowed, _symbol_words),
    Test(Reason.OUTSIDE_HOURS, _within_hours, _hours_words),
    Test(Reason.FUNDING_WINDOW, _away_from_funding, _funding_words),
    Test(Reason.CLOCK_SKEW, _clock_close, _clock_words),
    Test(Reason.MARK_FROZEN, _mark_moves, _mark_words),
    Test(Reason.DEPTH_LIMIT, _depth_thick, _depth_words),
)
"""What market and moment must be for an opening order."""
