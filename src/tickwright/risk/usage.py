"""Owns how far every limit is used: use, bound and headroom as exact numbers; refuses to judge.

A row is one limit of one account, symbol, strategy or group. Where both a strategy and a symbol
replace a figure, the strategy has a row for that symbol. `use` is None when it can't be told (a
price is missing, nothing was measured yet): that is unknown and never zero, and then `headroom` is
None too. Limits that are switched off have no row.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.units import money_to_decimal
from tickwright.core.verdicts import Reason
from tickwright.portfolio.account import Account, Holding
from tickwright.risk.bound_limits import NO_LIMIT, PARTS, BoundGroup, BoundLimits, bind
from tickwright.risk.losses import drawdown_floor, loss_floor
from tickwright.risk.memory import AccountMemory
from tickwright.risk.rooms import group_exposure, margin_in_use

__all__ = ["LimitUse", "account_usage"]

_NO_STRATEGY = StrategyId("")


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """How far one limit is used.

    `scope` is account, symbol, strategy or group and `name` which one; `limit` is the key of the
    configuration and `reason` the word of a refusal by it. Numbers are in `unit`. `is_reached` says
    that an opening order would be refused (or reduced) by it now.
    """

    scope: str
    name: str
    limit: str
    reason: Reason
    unit: str
    use: Decimal | None
    bound: Decimal
    headroom: Decimal | None
    is_reached: bool


def account_usage(
    account: Account,
    memory: AccountMemory,
    *,
    now_ns: int,
    books: Mapping[InstrumentId, OrderBook],
    strategies: Iterable[StrategyId],
    clock_skew_ns: int | None = None,
) -> tuple[LimitUse, ...]:
    """Return the use of every limit of an account, whole account first, then symbols, strategies.

    `strategies` are those whose own limits are wanted; `books` are looked at for age and spread,
    symbols without one have no such rows.
    """
    memory.forget_before(now_ns)
    memory.follow(account)
    rows = [*_of_account(account, memory, now_ns), *_of_clock(account, memory, clock_skew_ns)]
    for instrument_id, holding in sorted(account.holdings.items()):
        limits = bind(memory.limits, _NO_STRATEGY, instrument_id)
        book = books.get(instrument_id)
        symbol = instrument_id.symbol
        rows += _of_holding("symbol", symbol, account, holding, limits)
        if book is not None:
            rows += _of_book(symbol, book, limits, now_ns)
        mark_ns = holding.market.mark_ns
        if mark_ns:
            moved = book is not None and book.mid_twice_units != holding.market.mark_mid_twice_units
            rows.append(
                _row(
                    "symbol",
                    symbol,
                    "mark_age_ms_max",
                    Reason.MARK_FROZEN,
                    "ms",
                    Decimal(now_ns - mark_ns) / 1_000_000,
                    Decimal(limits.mark_age_ns) / 1_000_000,
                    is_reached=moved and now_ns - mark_ns > limits.mark_age_ns,
                )
            )
    for strategy_id in sorted(strategies):
        override = memory.limits.strategies.get(strategy_id)
        if override is None:
            continue
        if override.loss_streak_max is not None:
            rows.append(
                _row(
                    "strategy",
                    strategy_id,
                    "loss_streak_max",
                    Reason.LOSS_STREAK,
                    "trades",
                    memory.losses_in_row(strategy_id, account.day_start_ns),
                    override.loss_streak_max,
                )
            )
        for instrument_id, holding in sorted(account.holdings.items()):
            limits = bind(memory.limits, strategy_id, instrument_id)
            name = f"{strategy_id} {instrument_id.symbol}"
            rows += _of_holding("strategy", name, account, holding, limits)
    return tuple(rows)


# rows ---------------------------------------------------------------------------------------------


def _row(
    scope: str,
    name: str,
    limit: str,
    reason: Reason,
    unit: str,
    use: Decimal | int | None,
    bound: Decimal | int,
    *,
    is_reached: bool | None = None,
    may_equal: bool = False,
) -> LimitUse:
    """Make a row; `may_equal` says that a use at the bound is within it."""
    used = None if use is None else Decimal(use)
    most = Decimal(bound)
    if is_reached is None:
        is_reached = used is None or (used > most if may_equal else used >= most)
    return LimitUse(
        scope=scope,
        name=name,
        limit=limit,
        reason=reason,
        unit=unit,
        use=used,
        bound=most,
        headroom=None if used is None else max(Decimal(0), most - used),
        is_reached=is_reached,
    )


def _money(amount: int | None) -> Decimal | None:
    return None if amount is None else money_to_decimal(amount)


def _of_account(account: Account, memory: AccountMemory, now_ns: int) -> Iterator[LimitUse]:
    yield from _of_exposure(account, memory.whole)
    yield from _of_losses(account, memory, memory.whole)
    yield from _of_flow(account, memory, now_ns)
    yield from _of_groups(account, memory)


def _of_exposure(account: Account, limits: BoundLimits) -> Iterator[LimitUse]:
    name, asset = str(account.account_id), account.valuer.equity_asset
    equity, is_known = account.equity, account.exposure is not None

    def row(limit: str, reason: Reason, use: int, bound: int) -> LimitUse:
        told = _money(use) if is_known and equity is not None and equity > 0 else None
        return _row("account", name, limit, reason, asset, told, money_to_decimal(bound))

    base = equity if equity is not None and equity > 0 else 0
    gross, net = account.exposure_sum, max(account.up_sum, -account.down_sum)
    yield row(
        "exposure_percent_max",
        Reason.EXPOSURE_LIMIT,
        gross,
        base * limits.exposure_parts // PARTS,
    )
    if limits.net_parts < NO_LIMIT:
        bound = base * limits.net_parts // PARTS
        yield row("net_exposure_percent_max", Reason.NET_EXPOSURE, net, bound)
    if limits.total_notional < NO_LIMIT:
        yield row("total_notional_usdt_max", Reason.TOTAL_POSITION, gross, limits.total_notional)
    yield row(
        "margin_use_percent_max",
        Reason.MARGIN_USE,
        margin_in_use(account),
        base * limits.margin_use_parts // PARTS,
    )
    leverage = None
    if is_known and base:
        leverage = (Decimal(gross) / Decimal(base)).quantize(Decimal("0.000001"))
    most = Decimal(limits.leverage_parts) / PARTS
    yield _row(
        "account", name, "leverage_max", Reason.LEVERAGE_LIMIT, "times equity", leverage, most
    )
    if limits.positions < NO_LIMIT:
        yield _row(
            "account",
            name,
            "positions_max",
            Reason.POSITIONS_LIMIT,
            "instruments",
            account.active_count if is_known else None,
            limits.positions,
        )


def _of_flow(account: Account, memory: AccountMemory, now_ns: int) -> Iterator[LimitUse]:
    name, limits = str(account.account_id), memory.whole
    for limit, reason, unit, use, bound in (
        (
            "orders_per_second_max",
            Reason.RATE_LIMIT,
            "orders",
            len(memory.second),
            limits.orders_per_second,
        ),
        (
            "orders_per_minute_max",
            Reason.RATE_LIMIT,
            "orders",
            len(memory.minute),
            limits.orders_per_minute,
        ),
        (
            "cancels_per_second_max",
            Reason.CANCEL_RATE,
            "cancels",
            len(memory.cancels.second),
            limits.cancels_per_second,
        ),
        (
            "cancels_per_minute_max",
            Reason.CANCEL_RATE,
            "cancels",
            len(memory.cancels.minute),
            limits.cancels_per_minute,
        ),
        (
            "amends_per_second_max",
            Reason.AMEND_RATE,
            "amends",
            len(memory.amends.second),
            limits.amends_per_second,
        ),
        (
            "amends_per_minute_max",
            Reason.AMEND_RATE,
            "amends",
            len(memory.amends.minute),
            limits.amends_per_minute,
        ),
    ):
        yield _row("account", name, limit, reason, unit, use, bound)
    counted = memory.fill_ratio
    if counted is not None:
        counted.turn(now_ns)
        ratio = Decimal(counted.orders) / max(1, counted.fills)
        most = Decimal(limits.fill_ratio_parts) / PARTS
        next_one = (counted.orders + 1) * PARTS > limits.fill_ratio_parts * max(1, counted.fills)
        yield _row(
            "account",
            name,
            "order_to_fill_ratio_max",
            Reason.ORDER_TO_FILL,
            "orders a fill",
            ratio.quantize(Decimal("0.0001")),
            most,
            is_reached=next_one and counted.orders + 1 > limits.fill_orders_min,
        )
    yield _row(
        "account",
        name,
        "unknown_requests_max",
        Reason.UNKNOWN_TOTAL,
        "requests",
        account.unknown_requests,
        limits.unknown_total,
        may_equal=True,
    )


def _of_groups(account: Account, memory: AccountMemory) -> Iterator[LimitUse]:
    equity = account.equity
    is_known = account.exposure is not None and equity is not None and equity > 0
    for group in memory.limits.groups:
        bound = BoundGroup.of(group)
        members = memory.members(bound, account)
        use = max(
            group_exposure(bound, members, is_buy=True),
            group_exposure(bound, members, is_buy=False),
        )
        yield _row(
            "group",
            group.name,
            "exposure_percent_max",
            Reason.GROUP_EXPOSURE,
            account.valuer.equity_asset,
            _money(use) if is_known else None,
            money_to_decimal(equity * bound.parts // PARTS if equity and is_known else 0),
        )


def _of_clock(account: Account, memory: AccountMemory, skew_ns: int | None) -> Iterator[LimitUse]:
    limits = memory.whole
    yield _row(
        "account",
        str(account.account_id),
        "clock_skew_ms_max",
        Reason.CLOCK_SKEW,
        "ms",
        None if skew_ns is None else Decimal(skew_ns) / 1_000_000,
        Decimal(limits.clock_skew_ns) / 1_000_000,
        is_reached=limits.deny_unknown_clock if skew_ns is None else skew_ns > limits.clock_skew_ns,
    )


def _of_losses(account: Account, memory: AccountMemory, limits: BoundLimits) -> Iterator[LimitUse]:
    name, asset = str(account.account_id), account.valuer.equity_asset
    loss, base, floor = account.day_loss, account.day_base, loss_floor(account, limits)
    yield _row(
        "account",
        name,
        "daily_loss_percent_max",
        Reason.DAILY_LOSS,
        asset,
        _money(loss),
        _money(base - floor if base is not None and floor is not None else 0) or Decimal(0),
        is_reached=loss is None or memory.loss_breach_day_ns == account.day_start_ns,
    )
    equity, peak = account.equity, account.peak_base
    floor = drawdown_floor(account, limits)
    fall = peak - equity if equity is not None and peak is not None else None
    yield _row(
        "account",
        name,
        "drawdown_percent_max",
        Reason.DRAWDOWN,
        asset,
        _money(fall),
        _money(peak - floor if peak is not None and floor is not None else 0) or Decimal(0),
        is_reached=fall is None or memory.has_drawdown_breach,
    )
    if limits.loss_streak < NO_LIMIT:
        row = memory.losses_in_row(None, account.day_start_ns)
        limit = "loss_streak_max"
        yield _row("account", name, limit, Reason.LOSS_STREAK, "trades", row, limits.loss_streak)


def _of_holding(
    scope: str, name: str, account: Account, holding: Holding, limits: BoundLimits
) -> Iterator[LimitUse]:
    asset, equity = account.valuer.equity_asset, account.equity
    worth = holding.exposure if holding.is_known and equity is not None and equity > 0 else None
    bound = money_to_decimal(
        equity * limits.position_parts // PARTS if equity and equity > 0 else 0
    )
    yield _row(
        scope, name, "position_percent_max", Reason.POSITION_LIMIT, asset, _money(worth), bound
    )
    if limits.position_notional < NO_LIMIT:
        most = money_to_decimal(limits.position_notional)
        limit = "position_notional_usdt_max"
        yield _row(scope, name, limit, Reason.POSITION_NOTIONAL, asset, _money(worth), most)
    yield _row(
        scope,
        name,
        "open_orders_per_instrument_max",
        Reason.OPEN_ORDERS_LIMIT,
        "orders",
        holding.open_orders,
        limits.open_orders,
    )
    yield _row(
        scope,
        name,
        "unknown_requests_per_instrument_max",
        Reason.UNKNOWN_REQUEST,
        "requests",
        holding.unknown_requests,
        limits.unknown_requests,
        may_equal=True,
    )


def _of_book(symbol: str, book: OrderBook, limits: BoundLimits, now_ns: int) -> Iterator[LimitUse]:
    age_ns = book.age_ns(now_ns)
    yield _row(
        "symbol",
        symbol,
        "book_age_ms_max",
        Reason.BOOK_TOO_OLD,
        "ms",
        None if age_ns is None else Decimal(age_ns) / 1_000_000,
        Decimal(limits.book_age_ns) / 1_000_000,
        may_equal=True,
    )
    spread, twice = book.spread_units, book.mid_twice_units
    use = None
    if spread is not None and twice:
        use = (Decimal(2 * spread * 10_000) / Decimal(twice)).quantize(Decimal("0.0001"))
    bound = Decimal(limits.spread_parts) / 100
    yield _row(
        "symbol",
        symbol,
        "spread_bps_max",
        Reason.SPREAD_TOO_WIDE,
        "bps",
        use,
        bound,
        may_equal=True,
    )
