"""Owns the picture of accounts' risk: limits used, positions, stress, a verdict; draws nothing.

Field names are stable, as `--json` writes them. Money is exact decimal text in the equity asset;
what isn't known is null and never 0. Margins and liquidation prices are the venue's own words.
"""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from tickwright import __version__
from tickwright.app.config import Config
from tickwright.app.risk_order import (
    OrderWish,
    account_of,
    find_strategy,
    instrument_id_of,
    intent_of,
)
from tickwright.app.risk_reading import Reading, read_offline, read_state
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, InstrumentId
from tickwright.core.units import money_to_decimal
from tickwright.core.verdicts import Approved
from tickwright.engine.summary import ProtectionSummary
from tickwright.portfolio.account import Account, Holding, LegBook
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.limits import RiskLimits
from tickwright.risk.stress import Distance, StressRow, liquidation_distance, stress
from tickwright.risk.usage import LimitUse

__all__ = [
    "BreachLine",
    "CheckLine",
    "LimitLine",
    "OrderVerdict",
    "RiskAccount",
    "RiskPosition",
    "RiskReport",
    "StressLine",
    "look_at_risk",
]

_EIGHT = Decimal("0.00000001")


class RiskPosition(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of one instrument. Money in the equity asset, margins in the settle asset."""

    symbol: str
    category: str
    leg: str
    size: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    notional: Decimal | None
    unrealised: Decimal | None
    leverage: str
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    liquidation_price: Decimal | None
    liquidation_percent: Decimal | None
    """How far this price alone is from the account's liquidation, signed; null: none or unknown."""
    working_buy: Decimal
    working_sell: Decimal
    open_orders: int


class RiskAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account as a whole; `liquidation_percent` is for all prices moving together."""

    account: str
    is_ready: bool
    equity: Decimal | None
    day_start_equity: Decimal | None
    day_change: Decimal | None
    peak_equity: Decimal | None
    gross: Decimal | None
    net: Decimal | None
    exposure: Decimal | None
    leverage: Decimal | None
    venue_equity: Decimal | None
    available: Decimal | None
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    margin_ratio: Decimal | None
    liquidation_percent: Decimal | None
    is_liquidation_known: bool
    positions: tuple[RiskPosition, ...]
    limits: RiskLimits
    """As configured."""


class LimitLine(msgspec.Struct, frozen=True, kw_only=True):
    """How far one limit of an account is used now; see `risk.usage`."""

    account: str
    scope: str
    name: str
    limit: str
    reason: str
    unit: str
    use: Decimal | None
    bound: Decimal | None
    """Null where it is a part of an equity that isn't known."""
    headroom: Decimal | None
    is_reached: bool


class BreachLine(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a shock would break, in the equity asset."""

    reason: str
    limit: str
    name: str
    use: Decimal
    bound: Decimal


class StressLine(msgspec.Struct, frozen=True, kw_only=True):
    """One account after one shock; see `risk.stress`."""

    account: str
    shock: str
    price_percent: Decimal
    spread_times: Decimal
    funding_times: Decimal
    equity: Decimal | None
    change: Decimal | None
    gross: Decimal | None
    leverage: Decimal | None
    maintenance_margin: Decimal | None
    margin_ratio: Decimal | None
    is_liquidated: bool | None
    breaches: tuple[BreachLine, ...]


class CheckLine(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a hypothetical order: `passed`, `reduced`, `refused` or `unknown`."""

    reason: str
    outcome: str
    value: str
    bound: str


class OrderVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of a hypothetical order; `outcome` is approved, reduced or refused.

    A refusal names its `reason`, `value` and `bound`; of a reduction it is the last limit's.
    """

    order: str
    account: str
    strategy_id: str
    instrument: str
    outcome: str
    size: Decimal
    size_approved: Decimal
    reason: str
    value: str
    bound: str
    checks: tuple[CheckLine, ...]


class RiskReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole picture. `unknown` says in words what it lacks."""

    version: str
    mode: str
    time: str
    asset: str
    is_offline: bool
    unknown: tuple[str, ...]
    accounts: tuple[RiskAccount, ...]
    limits: tuple[LimitLine, ...]
    stress: tuple[StressLine, ...]
    protections: tuple[ProtectionSummary, ...]
    halts: tuple[str, ...]
    order: OrderVerdict | None

    @property
    def is_refused(self) -> bool:
        """Whether an order was asked about and would be refused."""
        return self.order is not None and self.order.outcome == "refused"


async def look_at_risk(
    config: Config,
    *,
    wish: OrderWish | None = None,
    strategy_id: str | None = None,
    is_offline: bool = False,
) -> RiskReport:
    """Read everything and say how it stands; nothing is sent but questions.

    Raises:
        ConfigError: the order or strategy can't be; an order was asked about offline.
        InstrumentUnknown, ConnectionLost, FrameError, VenueError, StorageError: see `read_state`.
    """
    if strategy_id is not None and wish is None:
        raise ConfigError("--strategy says whose --order it is: give one, or leave it out")
    if wish is not None:
        if is_offline:
            raise ConfigError("--offline knows no price to judge --order by: leave one out")
        # Told before anybody is asked.
        find_strategy(config, wish, strategy_id)
    reading = read_offline(config) if is_offline else await read_state(config)
    state = reading.engine.state
    portfolio, view = state.portfolio, state.view
    portfolio.start_day(reading.now_ns)
    names = [config.account_id(name) for name in config.file.accounts]
    accounts, limits, stresses = [], [], []
    for account_id in names:
        account = portfolio.account(account_id)
        configured = state.gate.limits_of(account_id)
        is_ready = account_id in view.ready_accounts
        accounts.append(_account(account, portfolio, configured, is_ready=is_ready))
        used = state.gate.usage(
            account_id,
            view=view,
            now_ns=reading.now_ns,
            books=reading.books,
            strategies=[one.id for one in config.strategies],
        )
        limits += [_limit(account_id, row) for row in used]
        if not is_offline:
            rows = stress(account, configured, reading.conditions)
            stresses += [_stress(account_id, row) for row in rows]
    summary = reading.engine.summary()
    halts = [f"{key}: {reason}" for key, reason in summary.halted_instruments.items()]
    if summary.engine_halt:
        halts.append(f"engine: {summary.engine_halt}")
    return RiskReport(
        version=__version__,
        mode=reading.mode,
        time=datetime.fromtimestamp(reading.now_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        asset=config.file.run.equity_asset,
        is_offline=is_offline,
        unknown=reading.unknown,
        accounts=tuple(accounts),
        limits=tuple(limits),
        stress=tuple(stresses),
        protections=summary.protections,
        halts=tuple(halts),
        order=None if wish is None else _judge(config, reading, wish, strategy_id),
    )


def _judge(
    config: Config, reading: Reading, wish: OrderWish, strategy_id: str | None
) -> OrderVerdict:
    strategy = find_strategy(config, wish, strategy_id)
    account_id = account_of(config, strategy)
    instrument_id = instrument_id_of(config, strategy, wish.symbol)
    book, state = reading.books[instrument_id], reading.engine.state
    instrument = book.instrument
    intent = intent_of(wish, instrument)
    checks = state.gate.explain(
        intent,
        strategy_id=strategy.id,
        account_id=account_id,
        now_ns=reading.now_ns,
        book=book,
        instrument=instrument,
        view=state.view,
    )
    verdict = state.gate.check(
        intent,
        strategy_id=strategy.id,
        account_id=account_id,
        event_id=reading.engine.event_id,
        now_ns=reading.now_ns,
        book=book,
        instrument=instrument,
        view=state.view,
    )
    if isinstance(verdict, Approved):
        speaking = verdict.reduced_by[-1] if verdict.reduced_by else None
        outcome = "approved" if speaking is None else "reduced"
        size_units = verdict.size_units
    else:
        speaking, outcome, size_units = verdict.check, "refused", 0
    return OrderVerdict(
        order=str(wish),
        account=str(account_id),
        strategy_id=strategy.id,
        instrument=str(instrument_id),
        outcome=outcome,
        size=wish.size,
        size_approved=instrument.quantity(size_units),
        reason="" if speaking is None else speaking.reason.value,
        value="" if speaking is None else speaking.value,
        bound="" if speaking is None else speaking.bound,
        checks=tuple(
            CheckLine(reason=c.reason.value, outcome=c.outcome, value=c.value, bound=c.bound)
            for c in checks
        ),
    )


# rows ---------------------------------------------------------------------------------------------


def _account(
    account: Account, portfolio: Portfolio, limits: RiskLimits, *, is_ready: bool
) -> RiskAccount:
    distance = liquidation_distance(account)
    equity, gross, totals = account.equity, account.held_worth, account.totals
    margin_ratio = None
    if totals is not None and totals.equity > 0:
        margin_ratio = _ratio(totals.maintenance_margin, totals.equity)
    return RiskAccount(
        account=str(account.account_id),
        is_ready=is_ready,
        equity=_money(equity),
        day_start_equity=_money(account.day_base if equity is not None else None),
        day_change=_money(account.day_change),
        peak_equity=_money(account.peak_base),
        gross=_money(gross if is_ready else None),
        net=_money(account.net_worth if is_ready else None),
        exposure=_money(account.exposure if is_ready else None),
        leverage=_ratio(gross, equity) if equity and equity > 0 and gross is not None else None,
        venue_equity=None if totals is None else _money(totals.equity),
        available=None if totals is None else _money(totals.available),
        initial_margin=None if totals is None else _money(totals.initial_margin),
        maintenance_margin=None if totals is None else _money(totals.maintenance_margin),
        margin_ratio=margin_ratio,
        liquidation_percent=distance.percent,
        is_liquidation_known=distance.is_known,
        positions=tuple(
            _position(account, holding, book, portfolio, instrument_id)
            for instrument_id, holding in sorted(account.holdings.items())
            for book in holding.legs.values()
            if book.position.size_units or (book is _first(holding) and holding.open_orders)
        ),
        limits=limits,
    )


def _first(holding: Holding) -> LegBook:
    return next(iter(holding.legs.values()))


def _position(
    account: Account,
    holding: Holding,
    book: LegBook,
    portfolio: Portfolio,
    instrument_id: InstrumentId,
) -> RiskPosition:
    instrument, mark, told = holding.market.instrument, holding.market.mark_units, book.told
    position = book.position
    entry = position.entry_price(instrument)
    profit = holding.profit(position)
    unrealised = None
    if profit is not None:
        unrealised = portfolio.valuer.value(instrument.settle_asset, profit)
    liquidation = None
    distance = Distance(percent=None, is_known=False)
    if not holding.market.is_spot:
        distance = liquidation_distance(account, instrument_id)
    if told is not None and told.liquidation_price_units:
        liquidation = instrument.price(told.liquidation_price_units)
    return RiskPosition(
        symbol=instrument.symbol,
        category=instrument_id.category.value,
        leg=position.leg.value,
        size=instrument.quantity(position.size_units),
        entry_price=None if entry is None else entry.quantize(_EIGHT),
        mark_price=None if mark is None else instrument.price(mark),
        notional=_money(holding.worth_of(position.size_units)),
        unrealised=_money(unrealised),
        leverage="" if told is None else told.leverage,
        initial_margin=None if told is None else _money(told.initial_margin),
        maintenance_margin=None if told is None else _money(told.maintenance_margin),
        liquidation_price=liquidation,
        liquidation_percent=distance.percent,
        working_buy=instrument.quantity(holding.working_buy_units),
        working_sell=instrument.quantity(holding.working_sell_units),
        open_orders=holding.open_orders,
    )


def _limit(account_id: AccountId, row: LimitUse) -> LimitLine:
    return LimitLine(
        account=str(account_id),
        scope=row.scope,
        name=row.name,
        limit=row.limit,
        reason=row.reason.value,
        unit=row.unit,
        use=row.use,
        # A bound of nothing would be a part of nothing: no limit can be set to zero.
        bound=row.bound if row.bound or row.use is not None else None,
        headroom=row.headroom,
        is_reached=row.is_reached,
    )


def _stress(account_id: AccountId, row: StressRow) -> StressLine:
    return StressLine(
        account=str(account_id),
        shock=row.shock.name,
        price_percent=row.shock.price_percent,
        spread_times=row.shock.spread_times,
        funding_times=row.shock.funding_times,
        equity=_money(row.equity),
        change=_money(row.change),
        gross=_money(row.gross),
        leverage=row.leverage,
        maintenance_margin=_money(row.maintenance),
        margin_ratio=row.margin_ratio,
        is_liquidated=row.is_liquidated,
        breaches=tuple(
            BreachLine(
                reason=one.reason.value,
                limit=one.limit,
                name=one.name,
                use=money_to_decimal(one.use),
                bound=money_to_decimal(one.bound),
            )
            for one in row.breaches
        ),
    )


def _money(units: int | None) -> Decimal | None:
    return None if units is None else money_to_decimal(units)


def _ratio(part: int, whole: int) -> Decimal:
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"))
