"""Owns the checks of the gate, each a small pure function; refuses to decide their order.

A `Test` says yes or no. A `Room` says how many size units a limit still allows, so that an order
may shrink to it. Both can put their limit, value and bound into words, which happens only when
somebody reads them. All figures are whole numbers; a missing price or equity refuses and is never
zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Leg
from tickwright.core.instrument import Instrument, InstrumentStatus
from tickwright.core.orders import OrderIntent, OrderType, Purpose, Side
from tickwright.core.units import MONEY_ONE, money_to_decimal
from tickwright.core.verdicts import Check, Reason
from tickwright.portfolio.account import Account, Holding
from tickwright.risk.limits import PARTS, BoundLimits

__all__ = [
    "CLOSING_ROOMS",
    "CLOSING_TESTS",
    "FINAL_TESTS",
    "OPENING_ROOMS",
    "OPENING_TESTS",
    "Question",
    "Room",
    "Test",
]

CLOSING_RATE_FACTOR = 2
"""Closing orders may use this many times the order rates, so that openings can't starve an exit."""
WORTH_UNITS = 10**12
"""Size whose worth is measured when that of one unit is no whole number of money units."""


class Question:
    """One intent with everything the checks look at; the gate fills it anew each time.

    `price_units` is the mark, or the mid where there is none. One size unit is worth
    `worth` / `worth_scale` money units of the equity asset. `held_units` is what the order's
    direction holds already with working orders: position + buys for a buy, sells - position for a
    sell. `closable_units` is how much a closing order can close.
    """

    __slots__ = (
        "account",
        "book",
        "closable_units",
        "engine_halt",
        "equity",
        "equity_asset",
        "has_drawdown_breach",
        "has_loss_breach",
        "held_units",
        "holding",
        "instrument",
        "instrument_halt",
        "intent",
        "is_account_ready",
        "is_closing",
        "limits",
        "mid_twice_units",
        "now_ns",
        "orders_in_minute",
        "orders_in_second",
        "price_units",
        "size_units",
        "strategy_halt",
        "worth",
        "worth_scale",
    )

    intent: OrderIntent
    instrument: Instrument
    book: OrderBook | None
    account: Account
    holding: Holding
    limits: BoundLimits
    now_ns: int
    size_units: int
    is_closing: bool
    closable_units: int
    held_units: int
    mid_twice_units: int | None
    price_units: int | None
    equity: int | None
    equity_asset: str
    worth: int
    worth_scale: int
    engine_halt: str
    strategy_halt: str
    instrument_halt: str
    is_account_ready: bool
    has_loss_breach: bool
    has_drawdown_breach: bool
    orders_in_second: int
    orders_in_minute: int


Words = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Test:
    """A limit that is kept or not."""

    reason: Reason
    passes: Callable[[Question], bool]
    words: Callable[[Question], Words]
    """Value and bound, for people."""

    def check(self, question: Question) -> Check:
        """Put the limit into words."""
        value, bound = self.words(question)
        return Check(self.reason, value, bound)


@dataclass(frozen=True, slots=True)
class Room:
    """A limit with so many size units left."""

    reason: Reason
    units: Callable[[Question], int]
    words: Callable[[Question], Words]

    def check(self, question: Question) -> Check:
        """Put the limit into words."""
        value, bound = self.words(question)
        return Check(self.reason, value, bound)


# words --------------------------------------------------------------------------------------------


def _money(question: Question, amount: int) -> str:
    return f"{money_to_decimal(amount):.2f} {question.equity_asset}"


def _percent(parts: int) -> str:
    return f"{parts / 10_000:g} %"


def _bps(parts: int) -> str:
    return f"{parts / 100:g} bps"


def _size(question: Question, size_units: int) -> str:
    return f"size {question.instrument.size_text(size_units)}"


def _missing(question: Question) -> str:
    return "no price or balance for " + ", ".join(question.account.missing()[:5])


def worth_of(question: Question, size_units: int) -> int:
    """Return the worth of a size in the equity asset at the question's price."""
    return size_units * question.worth // question.worth_scale


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


def _not_expired(q: Question) -> bool:
    return q.intent.valid_until_ns == 0 or q.now_ns <= q.intent.valid_until_ns


def _expired_words(q: Question) -> Words:
    late = (q.now_ns - q.intent.valid_until_ns) / 1e6
    return f"{late:g} ms past its end", "valid_until_ns"


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


def _spread_narrow(q: Question) -> bool:
    spread = q.book.spread_units if q.book is not None else None
    mid_twice = q.mid_twice_units
    if spread is None or not mid_twice:
        return False
    return 2 * spread * PARTS <= q.limits.spread_parts * mid_twice


def _spread_words(q: Question) -> Words:
    spread = q.book.spread_units if q.book is not None else None
    if spread is None or not q.mid_twice_units:
        return "unknown", _bps(q.limits.spread_parts)
    return f"{2 * spread * 10_000 / q.mid_twice_units:.4g} bps", _bps(q.limits.spread_parts)


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
    return _size_fault(q) or _size(q, q.size_units), bound


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


def _band_words(q: Question) -> Words:
    price_units = _band_fault(q)
    mark = q.holding.market.mark_units
    mid = q.mid_twice_units
    around = f"mid {mid / 2 / 10**q.instrument.price_decimals:g}" if mid else "no mid"
    if mark is not None:
        around += f" and mark {q.instrument.price_text(mark)}"
    value = "inside" if price_units is None else f"price {q.instrument.price_text(price_units)}"
    return value, f"{_bps(q.limits.band_parts)} around {around}"


def _deep_enough(q: Question) -> bool:
    return not _is_plain_market(q) or _worst_price(q) is not None


def _depth_words(q: Question) -> Words:
    if not _is_plain_market(q):
        return "not a market order", "the visible book"
    return _size(q, q.size_units), "the visible book"


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


# opening ------------------------------------------------------------------------------------------


def _opening_allowed(q: Question) -> bool:
    return not q.limits.reduce_only


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
    return f"opposite orders of {_size(q, _opposite_units(q))}", "none"


def _short_possible(q: Question) -> bool:
    if q.intent.side is Side.BUY or q.instrument.capabilities.can_short:
        return True
    return q.held_units + q.size_units <= 0


def _short_words(q: Question) -> Words:
    return f"would be short {_size(q, q.held_units + q.size_units)}", "no short here"


def _price_known(q: Question) -> bool:
    return q.price_units is not None and q.worth > 0


def _price_known_words(q: Question) -> Words:
    if _price_known(q):
        return "known", "a mark or a mid"
    return f"no price in {q.equity_asset} for {q.instrument.id}", "a mark or a mid"


def _marks_known(q: Question) -> bool:
    unknown = q.account.exposure_unknown
    # The instrument in question is valued at its mid when its mark is missing.
    return unknown == 0 or (unknown == 1 and not q.holding.is_known)


def _marks_words(q: Question) -> Words:
    return (_missing(q) if not _marks_known(q) else "all known"), "a mark for every position"


def _has_equity(q: Question) -> bool:
    return q.equity is not None and q.equity > 0 and q.account.day_start_equity is not None


def _equity_words(q: Question) -> Words:
    value = _missing(q) if q.equity is None else _money(q, q.equity)
    return value, f"above 0 {q.equity_asset}"


def loss_reached(account: Account, limits: BoundLimits) -> bool:
    """Say whether the day's loss is at its limit; an unknown one refuses elsewhere."""
    loss, base = account.day_loss, account.day_base
    if loss is None or base is None or loss <= 0:
        return False
    return loss * PARTS >= limits.daily_loss_parts * base


def drawdown_reached(account: Account, limits: BoundLimits) -> bool:
    """Say whether the fall from the peak is at its limit; unknown is not reached."""
    equity, peak = account.equity, account.peak_base
    if equity is None or peak is None or equity >= peak:
        return False
    return (peak - equity) * PARTS >= limits.drawdown_parts * peak


def _loss_small(q: Question) -> bool:
    return not q.has_loss_breach


def _loss_words(q: Question) -> Words:
    return loss_words(q.account, q.limits, q.equity_asset, latched=q.has_loss_breach)


def loss_words(account: Account, limits: BoundLimits, asset: str, *, latched: bool) -> Words:
    """Put the day's loss into words."""
    loss, base = account.day_loss, account.day_base
    if loss is None or base is None:
        value = "unknown"
    else:
        share = f"{loss * 100 / base:.3f} %" if base > 0 else "all"
        value = f"loss of {money_to_decimal(loss):.2f} {asset} today, {share}"
    if latched:
        value += " (limit reached today)"
    return value, f"{_percent(limits.daily_loss_parts)} of the day's first equity"


def _drawdown_small(q: Question) -> bool:
    return not q.has_drawdown_breach


def _drawdown_words(q: Question) -> Words:
    return drawdown_words(q.account, q.limits, q.equity_asset, latched=q.has_drawdown_breach)


def drawdown_words(account: Account, limits: BoundLimits, asset: str, *, latched: bool) -> Words:
    """Put the drawdown into words."""
    equity, peak = account.equity, account.peak_base
    if equity is None or peak is None:
        value = "unknown"
    else:
        share = f"{(peak - equity) * 100 / peak:.3f} %" if peak > 0 else "all"
        value = f"{money_to_decimal(peak - equity):.2f} {asset} below the peak, {share}"
    if latched:
        value += " (limit reached, waits for a reset)"
    return value, f"{_percent(limits.drawdown_parts)} of the peak"


# rooms --------------------------------------------------------------------------------------------


def _units_for(q: Question, money: int) -> int:
    return money * q.worth_scale // q.worth


def _order_room(q: Question) -> int:
    return _units_for(q, q.limits.order_notional)


def _order_words(q: Question) -> Words:
    return _money(q, worth_of(q, q.size_units)), f"{_money(q, q.limits.order_notional)} an order"


def _room_under(q: Question, money: int) -> int:
    # Shrinking what the other direction holds raises nothing, so it is always free down to zero.
    return max(_units_for(q, money), 0) - q.held_units


def _position_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.position_parts // PARTS


def _position_room(q: Question) -> int:
    return _room_under(q, _position_bound(q))


def _position_words(q: Question) -> Words:
    value = _money(q, worth_of(q, abs(q.held_units + q.size_units)))
    share = _percent(q.limits.position_parts)
    bound = _money(q, _position_bound(q))
    return f"{value} in {q.instrument.symbol}", f"{bound} ({share} of equity)"


def _others(q: Question) -> int:
    return q.account.exposure_sum - q.holding.exposure


def _exposure_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.exposure_parts // PARTS


def _exposure_room(q: Question) -> int:
    return _room_under(q, _exposure_bound(q) - _others(q))


def _total(q: Question) -> int:
    """Return the gross exposure there would be, this order included."""
    units = max(abs(q.held_units + q.size_units), q.holding.exposure_units)
    return _others(q) + worth_of(q, units)


def _exposure_words(q: Question) -> Words:
    bound = f"{_money(q, _exposure_bound(q))} ({_percent(q.limits.exposure_parts)} of equity)"
    return f"{_money(q, _total(q))} in all", bound


def _leverage_bound(q: Question) -> int:
    assert q.equity is not None
    return q.equity * q.limits.leverage_parts // PARTS


def _leverage_room(q: Question) -> int:
    return _room_under(q, _leverage_bound(q) - _others(q))


def _leverage_words(q: Question) -> Words:
    assert q.equity is not None
    return f"{_total(q) / q.equity:.4g} times equity", f"{q.limits.leverage_parts / PARTS:g} times"


def _closable_room(q: Question) -> int:
    return q.closable_units


def _closable_words(q: Question) -> Words:
    return _size(q, q.size_units), f"{_size(q, max(q.closable_units, 0))} can be closed"


def _has_to_sell(q: Question) -> bool:
    return not q.instrument.is_spot or q.closable_units > 0


def _has_to_sell_words(q: Question) -> Words:
    return _closable_words(q)[1], "spot sells holdings only"


# after the size is settled ------------------------------------------------------------------------


def _order_price(q: Question) -> int | None:
    return q.intent.price_units or q.price_units


def _notional_enough(q: Question) -> bool:
    if q.instrument.notional_min == 0:
        return True
    # A venue that has reduce-only lets a position be closed whatever it is worth.
    if q.is_closing and q.instrument.capabilities.has_reduce_only:
        return True
    price_units = _order_price(q)
    if price_units is None:
        return False
    worth = q.holding.market.quote_value(q.size_units, price_units)
    return bool(worth >= q.instrument.notional_min * MONEY_ONE)


def _notional_words(q: Question) -> Words:
    price_units = _order_price(q)
    asset = q.instrument.quote_asset
    bound = f"at least {q.instrument.notional_min} {asset}"
    if price_units is None:
        return "no price", bound
    worth = money_to_decimal(q.holding.market.quote_value(q.size_units, price_units))
    return f"{worth:.4f} {asset}", bound


# tables -------------------------------------------------------------------------------------------

_ENGINE = Test(
    Reason.ENGINE_HALTED, _engine_runs, lambda q: (q.engine_halt or "running", "running")
)
_ACCOUNT = Test(
    Reason.ACCOUNT_NOT_READY,
    _account_ready,
    lambda q: ("ready" if q.is_account_ready else "not reconciled", "ready"),
)
_STRATEGY = Test(
    Reason.STRATEGY_HALTED, _strategy_runs, lambda q: (q.strategy_halt or "running", "running")
)
_COMMON = (
    _ENGINE,
    _ACCOUNT,
    _STRATEGY,
    Test(Reason.INSTRUMENT_NOT_TRADING, _instrument_trades, _instrument_words),
    Test(Reason.EXPIRED, _not_expired, _expired_words),
    Test(Reason.BOOK_NOT_SYNCED, _book_synced, _book_synced_words),
    Test(Reason.BOOK_TOO_OLD, _book_young, _book_young_words),
    Test(Reason.BOOK_EMPTY, _book_two_sided, _book_two_sided_words),
    Test(Reason.SIZE_INVALID, _size_valid, _size_words),
    Test(Reason.PRICE_INVALID, _price_valid, _price_words),
    Test(Reason.RATE_LIMIT, _rates_kept, _rates_words),
    Test(Reason.PRICE_BAND, _in_band, _band_words),
    Test(Reason.DEPTH_TOO_THIN, _deep_enough, _depth_words),
)

CLOSING_TESTS: tuple[Test, ...] = (
    *_COMMON,
    Test(Reason.SHORT_UNAVAILABLE, _has_to_sell, _has_to_sell_words),
)
"""What an order that can only shrink a position must pass: states, book, shape, rates."""

OPENING_TESTS: tuple[Test, ...] = (
    *_COMMON,
    Test(
        Reason.REDUCE_ONLY_MODE,
        _opening_allowed,
        lambda q: ("an opening order", "closing orders only" if q.limits.reduce_only else "any"),
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
    Test(Reason.NO_EQUITY, _has_equity, _equity_words),
    Test(Reason.DAILY_LOSS, _loss_small, _loss_words),
    Test(Reason.DRAWDOWN, _drawdown_small, _drawdown_words),
)
"""What an order that may open or grow a position must pass, before its size is looked at."""

OPENING_ROOMS: tuple[Room, ...] = (
    Room(Reason.ORDER_NOTIONAL, _order_room, _order_words),
    Room(Reason.POSITION_LIMIT, _position_room, _position_words),
    Room(Reason.EXPOSURE_LIMIT, _exposure_room, _exposure_words),
    Room(Reason.LEVERAGE_LIMIT, _leverage_room, _leverage_words),
)
"""Limits an opening order may shrink to."""

CLOSING_ROOMS: tuple[Room, ...] = (Room(Reason.NOTHING_TO_CLOSE, _closable_room, _closable_words),)
"""What is there to close."""

FINAL_TESTS: tuple[Test, ...] = (
    Test(Reason.NOTIONAL_TOO_SMALL, _notional_enough, _notional_words),
)
"""What the size must still fit after it was reduced."""
