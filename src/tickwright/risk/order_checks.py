"""Owns the checks every order passes: states, book, shape, rates; refuses to know exposure."""

from tickwright.core.instrument import InstrumentStatus
from tickwright.core.orders import OrderType, Purpose, Side
from tickwright.core.restrictions import ProtectionKind, Stage
from tickwright.core.units import INT64_MAX
from tickwright.core.verdicts import Check, Reason
from tickwright.risk.bound_limits import PARTS
from tickwright.risk.question import (
    CLOSING_RATE_FACTOR,
    Question,
    Test,
    Words,
    bps_text,
    size_text,
)

__all__ = ["COMMON_TESTS", "reduced_out_of_band"]

_LATCHED = (ProtectionKind.DAILY_LOSS, ProtectionKind.DRAWDOWN)

# state --------------------------------------------------------------------------------------------


def _engine_runs(q: Question) -> bool:
    # A flatten is the one thing an operator may want of a halted engine.
    return not q.engine_halt or (q.is_closing and q.intent.purpose is Purpose.FLATTEN)


def _account_ready(q: Question) -> bool:
    return q.is_account_ready


def _strategy_runs(q: Question) -> bool:
    return not q.strategy_halt or q.is_closing


def _instrument_trades(q: Question) -> bool:
    if q.instrument.status is not InstrumentStatus.TRADING:
        return False
    return q.is_closing or not (q.instrument_halt or q.holding.halt_reason)


def _instrument_words(q: Question) -> Words:
    why = q.instrument_halt or q.holding.halt_reason
    return (f"halted: {why}" if why else q.instrument.status.value, "trading")


def _unrestricted(q: Question) -> bool:
    row = q.restriction
    if row is None:
        return True
    if q.is_closing:
        return row.stage is not Stage.HALTED or q.intent.purpose is not Purpose.OPEN
    # The losses of an account have reasons of their own, and are asked below.
    return row.kind in _LATCHED


def _restriction_words(q: Question) -> Words:
    row = q.restriction
    if row is None:
        return "nothing restricts", "active"
    return f"{row.kind.value} over {row.scope}, {row.stage.value}: {row.reason}", "active"


def _not_expired(q: Question) -> bool:
    return q.intent.valid_until_ns == 0 or q.now_ns <= q.intent.valid_until_ns


def _expired_words(q: Question) -> Words:
    end_ns = q.intent.valid_until_ns
    if not end_ns:
        return "has no end", "valid_until_ns"
    late_ms = (q.now_ns - end_ns) / 1e6
    value = f"{late_ms:g} ms past its end" if late_ms > 0 else f"{-late_ms:g} ms left"
    return value, "valid_until_ns"


# book ---------------------------------------------------------------------------------------------


def _book_synced(q: Question) -> bool:
    return q.book is not None and q.book.is_synced


def _book_synced_words(q: Question) -> Words:
    if q.book is None:
        return "no book", "synced"
    why = q.book.stale_reason
    state = q.book.state.name.lower()
    return (f"{state}: {why}" if why else state, "synced")


def _book_young(q: Question) -> bool:
    assert q.book is not None
    age_ns = q.book.age_ns(q.now_ns)
    return age_ns is not None and age_ns <= q.limits.book_age_ns


def _book_young_words(q: Question) -> Words:
    age_ns = None if q.book is None else q.book.age_ns(q.now_ns)
    value = "never proven" if age_ns is None else f"{age_ns / 1e6:g} ms since its proof"
    return value, f"{q.limits.book_age_ns / 1e6:g} ms"


def _book_two_sided(q: Question) -> bool:
    return q.mid_twice_units is not None


def _book_two_sided_words(q: Question) -> Words:
    return ("a side is empty" if q.mid_twice_units is None else "both sides"), "both sides"


# shape of the order -------------------------------------------------------------------------------


def _size_fault(q: Question) -> str | None:
    is_market = q.intent.order_type is OrderType.MARKET
    return q.instrument.size_fault(q.size_units, is_market=is_market)


def _size_valid(q: Question) -> bool:
    return _size_fault(q) is None


def _size_words(q: Question) -> Words:
    i = q.instrument
    bound = (
        f"{i.size_text(i.size_min_units)} to {i.size_text(i.size_max_units)} "
        f"in steps of {i.size_text(i.lot_units)}"
    )
    return _size_fault(q) or size_text(q, q.size_units), bound


def _price_fault(q: Question) -> str | None:
    intent = q.intent
    if intent.order_type is OrderType.LIMIT and intent.price_units is None:
        return "a limit order without a price"
    if intent.order_type is OrderType.MARKET and intent.price_units is not None:
        return "a market order with a price"
    for price_units in (
        intent.price_units,
        intent.trigger_price_units,
        intent.stop_loss_price_units,
        intent.take_profit_price_units,
    ):
        if price_units is not None:
            fault = q.instrument.price_fault(price_units)
            if fault is not None:
                return fault
    if intent.stop_loss_price_units is None and intent.take_profit_price_units is None:
        return None
    return _bracket_fault(q)


def _bracket_fault(q: Question) -> str | None:
    intent = q.intent
    entry_twice = q.mid_twice_units
    if intent.price_units is not None:
        entry_twice = 2 * intent.price_units
    if entry_twice is None:
        return "a bracket without a price to stand around"
    sign = int(intent.side)
    stop, profit = intent.stop_loss_price_units, intent.take_profit_price_units
    if stop is not None and (2 * stop - entry_twice) * sign >= 0:
        return f"stop loss {q.instrument.price_text(stop)} on the profit side of the entry"
    if profit is not None and (2 * profit - entry_twice) * sign <= 0:
        return f"take profit {q.instrument.price_text(profit)} on the loss side of the entry"
    return None


def _price_valid(q: Question) -> bool:
    return _price_fault(q) is None


def _price_words(q: Question) -> Words:
    i = q.instrument
    bound = (
        f"{i.price_text(i.price_min_units)} to {i.price_text(i.price_max_units)} "
        f"in steps of {i.price_text(i.tick_units)}"
    )
    return _price_fault(q) or "valid", bound


def _worst_price(q: Question) -> int | None:
    """Return the last price a market order would reach, None beyond the visible book."""
    assert q.book is not None
    if not 0 < q.size_units <= INT64_MAX:
        return None
    if q.intent.side is Side.BUY:
        return q.book.worst_price_to_buy(q.size_units)
    return q.book.worst_price_to_sell(q.size_units)


def _is_plain_market(q: Question) -> bool:
    return q.intent.order_type is OrderType.MARKET and q.intent.trigger_price_units is None


def _within(price_twice: int, reference_twice: int, parts: int) -> bool:
    return abs(price_twice - reference_twice) * PARTS <= parts * reference_twice


def _band_fault(q: Question) -> int | None:
    """Return the price outside the band, or None."""
    intent = q.intent
    parts = q.limits.band_parts
    mid_twice = q.mid_twice_units
    if mid_twice is None:
        return 0
    price_units = intent.price_units
    trigger = intent.trigger_price_units
    if trigger is not None:
        if not _within(2 * trigger, mid_twice, parts):
            return trigger
        # A triggered limit is placed around its trigger, wherever the market is now.
        if price_units is not None and not _within(2 * price_units, 2 * trigger, parts):
            return price_units
        return None
    if price_units is None:
        price_units = _worst_price(q)
        if price_units is None:
            return None
    if not _within(2 * price_units, mid_twice, parts):
        return price_units
    mark = q.holding.market.mark_units
    if mark is not None and not _within(2 * price_units, 2 * mark, parts):
        return price_units
    return None


def _in_band(q: Question) -> bool:
    return _band_fault(q) is None


def reduced_out_of_band(q: Question) -> Check | None:
    """Look at a market order's worst price again once it is smaller; None when it may go.

    The mark may lie beyond the touch: then the whole order reached into the band, and less of it
    doesn't.
    """
    if not _is_plain_market(q) or _in_band(q):
        return None
    return Check(Reason.PRICE_BAND, *_band_words(q))


def _band_words(q: Question) -> Words:
    price_units = _band_fault(q)
    mark = q.holding.market.mark_units
    mid = q.mid_twice_units
    around = f"mid {mid / 2 / 10**q.instrument.price_decimals:g}" if mid else "no mid"
    if mark is not None:
        around += f" and mark {q.instrument.price_text(mark)}"
    value = "inside" if price_units is None else f"price {q.instrument.price_text(price_units)}"
    return value, f"{bps_text(q.limits.band_parts)} around {around}"


def _deep_enough(q: Question) -> bool:
    return not _is_plain_market(q) or _worst_price(q) is not None


def _depth_words(q: Question) -> Words:
    if not _is_plain_market(q):
        return "not a market order", "the visible book"
    return size_text(q, q.size_units), "the visible book"


# rates --------------------------------------------------------------------------------------------


def _rates_kept(q: Question) -> bool:
    factor = CLOSING_RATE_FACTOR if q.is_closing else 1
    return (
        q.orders_in_second < factor * q.limits.orders_per_second
        and q.orders_in_minute < factor * q.limits.orders_per_minute
    )


def _rates_words(q: Question) -> Words:
    factor = CLOSING_RATE_FACTOR if q.is_closing else 1
    second, minute = factor * q.limits.orders_per_second, factor * q.limits.orders_per_minute
    if q.orders_in_second >= second:
        return f"{q.orders_in_second} orders in the last second", f"{second} a second"
    return f"{q.orders_in_minute} orders in the last minute", f"{minute} a minute"


COMMON_TESTS: tuple[Test, ...] = (
    Test(
        Reason.ENGINE_HALTED,
        _engine_runs,
        lambda q: (q.engine_halt or "running", "running"),
    ),
    Test(
        Reason.ACCOUNT_NOT_READY,
        _account_ready,
        lambda q: ("ready" if q.is_account_ready else "not reconciled", "ready"),
    ),
    Test(
        Reason.STRATEGY_HALTED,
        _strategy_runs,
        lambda q: (q.strategy_halt or "running", "running"),
    ),
    Test(Reason.INSTRUMENT_NOT_TRADING, _instrument_trades, _instrument_words),
    Test(Reason.PROTECTION, _unrestricted, _restriction_words),
    Test(Reason.EXPIRED, _not_expired, _expired_words),
    Test(Reason.BOOK_NOT_SYNCED, _book_synced, _book_synced_words),
    Test(Reason.BOOK_TOO_OLD, _book_young, _book_young_words),
    Test(Reason.BOOK_EMPTY, _book_two_sided, _book_two_sided_words),
    Test(Reason.SIZE_INVALID, _size_valid, _size_words),
    Test(Reason.PRICE_INVALID, _price_valid, _price_words),
    Test(Reason.PRICE_BAND, _in_band, _band_words),
    Test(Reason.DEPTH_TOO_THIN, _deep_enough, _depth_words),
    Test(Reason.RATE_LIMIT, _rates_kept, _rates_words),
)
"""What every order must pass."""
