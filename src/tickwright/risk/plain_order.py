"""Owns the short way through the gate: all checks of a plain order in one reading of its figures.

`Answer.FITS` is given only where every check would say yes and every room is wide enough;
`Answer.PASSES` where that holds of the checks, and the rooms are to be asked. It refuses to say no:
`Answer.UNSURE` means nothing, then the checks are asked one by one, which also finds the words.

Every order waits for it, so it reads each figure once, keeps it in a local name, calls nobody about
what is switched off and is longer than a function should be: asked one by one, the checks take
three times as long.
"""

import enum

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import AccountId, Leg, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, OrderType, Side
from tickwright.core.verdicts import Reason
from tickwright.risk.bound_limits import PARTS
from tickwright.risk.flow_checks import fills_follow, requests_are_few, streaks_are_short
from tickwright.risk.market_checks import depth_is_thick, funding_is_far
from tickwright.risk.measures import unit_worth
from tickwright.risk.memory import JudgedLane
from tickwright.risk.rooms import fits_every_room
from tickwright.risk.view import RiskView

__all__ = ["ANSWERED_FOR", "Answer", "plain_answer"]

# Looking a member up in its class is a Python call, and these are asked for every order.
_BUY = Side.BUY
_LIMIT = OrderType.LIMIT
_NET = Leg.NET


class Answer(enum.Enum):
    """What the short way found."""

    UNSURE = "unsure"
    PASSES = "passes"
    FITS = "fits"


ANSWERED_FOR = frozenset(
    {
        Reason.ENGINE_HALTED,
        Reason.ACCOUNT_NOT_READY,
        Reason.STRATEGY_HALTED,
        Reason.INSTRUMENT_NOT_TRADING,
        Reason.PROTECTION,
        Reason.EXPIRED,
        Reason.BOOK_NOT_SYNCED,
        Reason.BOOK_TOO_OLD,
        Reason.BOOK_EMPTY,
        Reason.SIZE_INVALID,
        Reason.PRICE_INVALID,
        Reason.PRICE_BAND,
        Reason.DEPTH_TOO_THIN,
        Reason.RATE_LIMIT,
        Reason.REDUCE_ONLY_MODE,
        Reason.SPREAD_TOO_WIDE,
        Reason.OPEN_ORDERS_LIMIT,
        Reason.UNKNOWN_REQUEST,
        Reason.CONFLICTING_POSITION,
        Reason.OPPOSITE_ORDER,
        Reason.SHORT_UNAVAILABLE,
        Reason.PRICE_UNKNOWN,
        Reason.MARK_UNKNOWN,
        Reason.POSITIONS_LIMIT,
        Reason.NO_EQUITY,
        Reason.DAILY_LOSS,
        Reason.DRAWDOWN,
        Reason.SYMBOL_DENIED,
        Reason.OUTSIDE_HOURS,
        Reason.FUNDING_WINDOW,
        Reason.CLOCK_SKEW,
        Reason.MARK_FROZEN,
        Reason.DEPTH_LIMIT,
        Reason.UNKNOWN_TOTAL,
        Reason.CANCEL_RATE,
        Reason.AMEND_RATE,
        Reason.ORDER_TO_FILL,
        Reason.LOSS_STREAK,
        Reason.NOTIONAL_TOO_SMALL,
        Reason.ORDER_NOTIONAL,
        Reason.ORDER_SIZE,
        Reason.POSITION_LIMIT,
        Reason.POSITION_NOTIONAL,
        Reason.EXPOSURE_LIMIT,
        Reason.NET_EXPOSURE,
        Reason.TOTAL_POSITION,
        Reason.LEVERAGE_LIMIT,
        Reason.MARGIN_USE,
        Reason.GROUP_EXPOSURE,
        Reason.NOTHING_TO_CLOSE,
    }
)
"""Limits an answer speaks for. One that is missing here would be passed by unasked: a test compares
the list with the tables of checks."""

_UNSURE, _PASSES, _FITS = Answer.UNSURE, Answer.PASSES, Answer.FITS


def plain_answer(
    intent: OrderIntent,
    lane: JudgedLane,
    book: OrderBook | None,
    view: RiskView,
    strategy_id: StrategyId,
    account_id: AccountId,
    equity: int | None,
    now_ns: int,
    *,
    has_room: bool = False,
) -> Answer:
    """Answer for an order whose lane was brought to this moment; `Gate` sees to that.

    `has_room` says that no room need be asked.
    """
    # States, and kinds of orders with questions of their own.
    if (
        not lane.is_plain
        or view.engine_halt
        or account_id not in view.ready_accounts
        or intent.trigger_price_units is not None
        or intent.leg is not _NET
        or book is None
        or not book.is_synced
        or (intent.valid_until_ns and now_ns > intent.valid_until_ns)
        or (view.halted_strategies and strategy_id in view.halted_strategies)
        or (view.halted_instruments and intent.instrument_id in view.halted_instruments)
    ):
        return _UNSURE
    holding, limits, instrument, memory = lane.holding, lane.limits, lane.instrument, lane.memory
    if holding.halt_reason or holding.is_hedged:
        return _UNSURE
    table = view.restrictions
    if table.rows and table.over(account_id, strategy_id, intent.instrument_id, now_ns) is not None:
        return _UNSURE
    age_ns, mid_twice = book.age_ns(now_ns), book.mid_twice_units
    if age_ns is None or age_ns > limits.book_age_ns or mid_twice is None:
        return _UNSURE

    # Shape: size, price and bracket by the instrument's rules, the band around mid and mark.
    size_units, price_units = intent.size_units, intent.price_units
    is_buy = intent.side is _BUY
    if size_units % instrument.lot_units or size_units < instrument.size_min_units:
        return _UNSURE
    if intent.order_type is _LIMIT:
        if (
            price_units is None
            or price_units % instrument.tick_units
            or size_units > instrument.size_max_units
            or not instrument.price_min_units <= price_units <= instrument.price_max_units
        ):
            return _UNSURE
        entry_twice = price_twice = 2 * price_units
    else:
        if price_units is not None or size_units > instrument.market_size_max_units:
            return _UNSURE
        worst = (
            book.worst_price_to_buy(size_units) if is_buy else book.worst_price_to_sell(size_units)
        )
        if worst is None:
            return _UNSURE
        price_twice, entry_twice = 2 * worst, mid_twice
    stop, profit = intent.stop_loss_price_units, intent.take_profit_price_units
    if stop is not None or profit is not None:
        low, high = (stop, profit) if is_buy else (profit, stop)
        if not _stand_apart(instrument, low, entry_twice, high):
            return _UNSURE
    market = holding.market
    mark, band_parts = market.mark_units, limits.band_parts
    if abs(price_twice - mid_twice) * PARTS > band_parts * mid_twice or (
        mark is not None and abs(price_twice - 2 * mark) * PARTS > 2 * band_parts * mark
    ):
        return _UNSURE

    # Rates, and what the order would make of the position.
    second, minute = memory.second, memory.minute
    if len(second) >= limits.orders_per_second or len(minute) >= limits.orders_per_minute:
        # What the windows left is forgotten only when it could matter.
        memory.forget_before(now_ns)
        if len(second) >= limits.orders_per_second or len(minute) >= limits.orders_per_minute:
            return _UNSURE
    least = market.notional_min
    price = price_units or mark
    is_worth_it = not least or (
        price is not None and size_units * price * market.unit_value >= least
    )
    position = holding.long_units - holding.short_units
    buying, selling = holding.working_buy_units, holding.working_sell_units
    if intent.reduce_only or (market.is_spot and not is_buy):
        # A limit order may close what is still growing; a market order has rules of its own.
        growing = -selling if market.is_spot else selling if is_buy else buying
        closable = max(0, -position if is_buy else position) + growing
        is_plain = intent.order_type is _LIMIT and (lane.may_close_dust or is_worth_it)
        return _FITS if is_plain and size_units <= closable else _UNSURE

    # Opening: modes, market, requests under way, results.
    account, spread = holding.account, book.spread_units
    skew_ns = view.clock_skew_ns.get(account_id.venue)
    if mark is not None and market.direct_value:
        unit, scale = mark * market.direct_value, 1
    else:
        unit, scale = unit_worth(market, account.valuer, mid_twice)
    after_units = (position + buying if is_buy else selling - position) + size_units
    if (
        not lane.may_open
        or not is_worth_it
        or not unit
        or spread is None
        or 2 * spread * PARTS > limits.spread_parts * mid_twice
        or holding.open_orders >= limits.open_orders
        or holding.unknown_requests > limits.unknown_requests
        or account.unknown_requests > limits.unknown_total
        or (limits.deny_conflicting_position and position * intent.side < 0)
        or (limits.deny_opposite_orders and (selling if is_buy else buying))
        or (not lane.may_short and not is_buy and after_units > 0)
        or account.exposure_unknown
        or (account.active_count >= limits.positions and not holding.exposure_units)
        or equity is None
        or equity <= 0
        or account.day_start_equity is None
        or memory.loss_breach_day_ns == account.day_start_ns
        or memory.has_drawdown_breach
        or (limits.deny_unknown_clock if skew_ns is None else skew_ns > limits.clock_skew_ns)
        or (
            market.mark_ns
            and now_ns - market.mark_ns > limits.mark_age_ns
            and mid_twice != market.mark_mid_twice_units
        )
        or (limits.has_hours and not limits.hours.is_open(now_ns))
        or (limits.has_funding_pause and not funding_is_far(limits, market, instrument, now_ns))
        or (
            limits.depth_notional
            and not depth_is_thick(book, limits, unit=unit, scale=scale, is_buy=is_buy)
        )
        or (memory.has_requests and not requests_are_few(memory, limits, now_ns))
        or (memory.fill_ratio is not None and not fills_follow(memory.fill_ratio, limits, now_ns))
        or (
            limits.has_loss_streak
            and memory.streaks
            and not streaks_are_short(memory, limits, strategy_id, account.day_start_ns)
        )
    ):
        return _UNSURE
    if has_room:
        return _PASSES
    fits = fits_every_room(lane, size_units, after_units, unit, scale, equity, is_buy)
    return _FITS if fits else _PASSES


def _stand_apart(
    instrument: Instrument, low: int | None, entry_twice: int, high: int | None
) -> bool:
    """Whether the levels of a bracket are valid prices on their sides of the entry."""
    least, most, tick = (
        instrument.price_min_units,
        instrument.price_max_units,
        instrument.tick_units,
    )
    return (
        low is None or (least <= low <= most and not low % tick and 2 * low < entry_twice)
    ) and (high is None or (least <= high <= most and not high % tick and entry_twice < 2 * high))
