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
from tickwright.risk.bound_limits import PARTS, BoundLimits, bind
from tickwright.risk.losses import drawdown_floor, loss_floor
from tickwright.risk.memory import AccountMemory

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
) -> tuple[LimitUse, ...]:
    """Return the use of every limit of an account, whole account first, then symbols, strategies.

    `strategies` are those whose own limits are wanted; `books` are looked at for age and spread,
    symbols without one have no such rows.
    """
    memory.forget_before(now_ns)
    rows = [*_of_account(account, memory)]
    for instrument_id, holding in sorted(account.holdings.items()):
        limits = bind(memory.limits, _NO_STRATEGY, instrument_id)
        book = books.get(instrument_id)
        symbol = instrument_id.symbol
        rows += _of_holding("symbol", symbol, account, holding, limits)
        if book is not None:
            rows += _of_book(symbol, book, limits, now_ns)
    for strategy_id in sorted(strategies):
        if strategy_id not in memory.limits.strategies:
            continue
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


def _of_account(account: Account, memory: AccountMemory) -> Iterator[LimitUse]:
    limits = memory.whole
    name, asset = str(account.account_id), account.valuer.equity_asset
    equity, exposure = account.equity, account.exposure
    can_tell = equity is not None and equity > 0

    def part(parts: int) -> Decimal:
        return money_to_decimal(equity * parts // PARTS if equity and equity > 0 else 0)

    gross = _money(exposure) if can_tell else None
    yield _row(
        "account",
        name,
        "exposure_percent_max",
        Reason.EXPOSURE_LIMIT,
        asset,
        gross,
        part(limits.exposure_parts),
    )
    leverage = None
    if exposure is not None and equity is not None and equity > 0:
        leverage = (Decimal(exposure) / Decimal(equity)).quantize(Decimal("0.000001"))
    yield _row(
        "account",
        name,
        "leverage_max",
        Reason.LEVERAGE_LIMIT,
        "times equity",
        leverage,
        Decimal(limits.leverage_parts) / PARTS,
    )
    yield from _of_losses(account, memory, limits)
    for limit, reason, use, bound in (
        ("orders_per_second_max", Reason.RATE_LIMIT, len(memory.second), limits.orders_per_second),
        ("orders_per_minute_max", Reason.RATE_LIMIT, len(memory.minute), limits.orders_per_minute),
    ):
        yield _row("account", name, limit, reason, "orders", use, bound)


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
