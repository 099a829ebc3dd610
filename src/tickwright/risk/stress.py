"""Owns what shocks would do to an account: equity, margin, liquidation, limits; changes nothing.

A shock moves every price by the same part (everything correlated), closes what is held across a
spread blown up, pays funding at a multiple of the rate, or all of it together. Positions stay as
they are meanwhile, maintenance margin keeps its rate (no change of risk tier), and orders that work
don't fill. Money in units of 10^-18 of the equity asset; what needs an unknown price is None.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

import msgspec

from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.instrument import Payoff
from tickwright.core.verdicts import Reason
from tickwright.portfolio.account import Account, Holding, LegBook
from tickwright.portfolio.position import divide_half_even
from tickwright.portfolio.valuation import Market
from tickwright.risk.bound_limits import NO_LIMIT, PARTS, BoundLimits, bind
from tickwright.risk.limits import RiskLimits
from tickwright.risk.losses import drawdown_floor, loss_floor

__all__ = [
    "SHOCKS",
    "Breach",
    "Conditions",
    "Distance",
    "Shock",
    "StressRow",
    "liquidation_distance",
    "stress",
]

_E9 = 10**9


class Shock(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at once: `price_percent` to every price, then the rest at those prices.

    `spread_times` closes everything at half a spread of so many times the present one, 0: nothing
    is closed. `funding_times` pays funding once at so many times the present rate.
    """

    name: str
    price_percent: Decimal = Decimal(0)
    spread_times: Decimal = Decimal(0)
    funding_times: Decimal = Decimal(0)


SHOCKS: tuple[Shock, ...] = (
    *(
        Shock(name=f"prices {percent:+d} %", price_percent=Decimal(percent))
        for percent in (-20, -10, -5, -2, 2, 5, 10, 20)
    ),
    Shock(name="closed at 10 x spread", spread_times=Decimal(10)),
    Shock(name="closed at 50 x spread", spread_times=Decimal(50)),
    Shock(name="funding 1 x rate", funding_times=Decimal(1)),
    Shock(name="funding 10 x rate", funding_times=Decimal(10)),
    Shock(
        name="all: -20 %, 10 x spread, 10 x funding",
        price_percent=Decimal(-20),
        spread_times=Decimal(10),
        funding_times=Decimal(10),
    ),
    Shock(
        name="all: +20 %, 10 x spread, 10 x funding",
        price_percent=Decimal(20),
        spread_times=Decimal(10),
        funding_times=Decimal(10),
    ),
)
"""The usual table."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """The market besides the marks: spreads in price units and funding rates in parts per 10^9."""

    spread_units: Mapping[InstrumentId, int] = {}
    funding_rate_e9: Mapping[InstrumentId, int] = {}


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A limit a shock would break; `use` and `bound` are money of the equity asset."""

    reason: Reason
    limit: str
    name: str
    use: int
    bound: int


class StressRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account after a shock.

    `change` of equity; `gross` is the notional of what is held; `maintenance` its margin;
    `margin_ratio` maintenance / equity (liquidation at 1), None also where the venue told no
    margins. `is_liquidated` is None when that can't be told.
    """

    shock: Shock
    equity: int | None
    change: int | None
    gross: int | None
    leverage: Decimal | None
    maintenance: int | None
    margin_ratio: Decimal | None
    is_liquidated: bool | None
    breaches: tuple[Breach, ...]


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """How far prices may go, in per cent, until equity is the maintenance margin; signed.

    `percent` is None when no move of that kind brings it, or it can't be told (`is_known` says).
    """

    percent: Decimal | None
    is_known: bool


def stress(
    account: Account,
    limits: RiskLimits,
    conditions: Conditions,
    shocks: Iterable[Shock] = SHOCKS,
) -> tuple[StressRow, ...]:
    """Return the account after each shock, each from the state of now."""
    return tuple(_row(account, limits, conditions, shock) for shock in shocks)


def liquidation_distance(account: Account, only: InstrumentId | None = None) -> Distance:
    """Return how far all prices, or one instrument's alone, are from liquidation.

    Equity and margin change evenly with a price, whatever the contract: two points tell the line.
    """
    unmoved, doubled = _World(account, Fraction(1), only), _World(account, Fraction(2), only)
    first, second = unmoved.free_margin(), doubled.free_margin()
    if first is None or second is None or account.equity is None:
        return Distance(percent=None, is_known=False)
    if not unmoved.maintenance():
        return Distance(percent=None, is_known=True)
    if first <= 0:
        return Distance(percent=Decimal(0), is_known=True)
    slope = second - first
    if not slope:
        return Distance(percent=None, is_known=True)
    # Cut, not rounded: never farther away than it is.
    hundredths = int(Fraction(-first * 10_000, slope))
    if hundredths <= -10_000:
        return Distance(percent=None, is_known=True)
    return Distance(percent=Decimal(hundredths) / 100, is_known=True)


def _row(account: Account, limits: RiskLimits, conditions: Conditions, shock: Shock) -> StressRow:
    world = _World(account, 1 + Fraction(shock.price_percent) / 100)
    equity = world.equity()
    for cost in (
        world.closing_cost(conditions, shock.spread_times),
        world.funding_cost(conditions, shock.funding_times),
    ):
        equity = None if equity is None or cost is None else equity - cost
    before, gross = account.equity, world.gross()
    maintenance = held = world.maintenance()
    if shock.spread_times and gross is not None:
        # Everything was closed.
        gross = maintenance = 0
    is_positive = equity is not None and equity > 0
    is_liquidated = None
    if equity is not None and held is not None:
        is_liquidated = held > 0 and equity <= (maintenance or 0)
    return StressRow(
        shock=shock,
        equity=equity,
        change=None if equity is None or before is None else equity - before,
        gross=gross,
        leverage=_ratio(gross, equity) if is_positive else None,
        maintenance=maintenance,
        margin_ratio=_ratio(maintenance, equity) if is_positive else None,
        is_liquidated=is_liquidated,
        breaches=tuple(_breaches(world, limits, equity, is_closed=bool(shock.spread_times))),
    )


def _ratio(part: int | None, whole: int | None) -> Decimal | None:
    if part is None or not whole:
        return None
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"))


class _World:
    """An account at marks that moved by `factor`: all of them, or one instrument's alone."""

    def __init__(
        self, account: Account, factor: Fraction, only: InstrumentId | None = None
    ) -> None:
        self.account = account
        self._factor = factor
        self._only = only

    def mark(self, market: Market) -> int | None:
        """Return a shocked mark, rounded half-even to price units, never below one."""
        mark = market.mark_units
        if mark is None or self._only not in (None, market.instrument.id):
            return mark
        return max(1, round(mark * self._factor))

    def value(self, asset: str, amount: int) -> int | None:
        """Return money of an asset in the equity asset at shocked marks."""
        valuer = self.account.valuer
        if asset in valuer.one_to_one:
            return amount
        if amount == 0 or asset in valuer.ignored_assets:
            return 0
        for market in valuer.routes(asset):
            mark = self.mark(market)
            if mark is not None:
                return divide_half_even(amount * mark, 10**market.instrument.price_decimals)
        return None

    def equity(self) -> int | None:
        """Return balances and unrealised profit."""
        account = self.account
        if not account.is_funded:
            return None
        parts = [self.value(asset, purse.balance.amount) for asset, purse in account.purses.items()]
        parts += [self._profit(holding) for holding in account.holdings.values()]
        return _sum(parts)

    def gross(self) -> int | None:
        """Return the notional of everything held."""
        holdings = self.account.holdings.values()
        return _sum(self.worth(one, one.long_units + one.short_units) for one in holdings)

    def worth(self, holding: Holding, size_units: int) -> int | None:
        """Return the notional of a size in the equity asset."""
        if not size_units:
            return 0
        mark = self.mark(holding.market)
        if mark is None:
            return None
        instrument = holding.market.instrument
        return self.value(instrument.quote_asset, holding.market.quote_value(size_units, mark))

    def maintenance(self) -> int | None:
        """Return the maintenance margin, at the rate the venue told for each position."""
        return _sum(
            self._leg_maintenance(holding, book)
            for holding in self.account.holdings.values()
            for book in holding.legs.values()
            if not holding.market.is_spot
        )

    def free_margin(self) -> int | None:
        """Return equity less maintenance margin."""
        equity, maintenance = self.equity(), self.maintenance()
        return None if equity is None or maintenance is None else equity - maintenance

    def closing_cost(self, conditions: Conditions, times: Decimal) -> int | None:
        """Return what closing everything costs at half of a spread of so many times."""
        if not times:
            return 0
        parts: list[int | None] = []
        for instrument_id, holding in self.account.holdings.items():
            worth = self.worth(holding, holding.long_units + holding.short_units)
            spread = conditions.spread_units.get(instrument_id)
            mark = self.mark(holding.market)
            if not worth:
                parts.append(worth)
            elif spread is None or mark is None:
                parts.append(None)
            else:
                # A part of the price, so that a contract of any payoff loses that part.
                parts.append(round(worth * spread * Fraction(times) / (2 * mark)))
        return _sum(parts)

    def funding_cost(self, conditions: Conditions, times: Decimal) -> int | None:
        """Return what funding costs once at so many times the rate: longs pay a positive one."""
        if not times:
            return 0
        parts: list[int | None] = []
        for instrument_id, holding in self.account.holdings.items():
            if holding.market.is_spot or not holding.net_units:
                continue
            worth = self.worth(holding, holding.net_units)
            rate = conditions.funding_rate_e9.get(instrument_id)
            if worth is None or rate is None:
                parts.append(None)
            else:
                signed = worth if holding.net_units > 0 else -worth
                parts.append(round(signed * rate * Fraction(times) / _E9))
        return _sum(parts)

    def _profit(self, holding: Holding) -> int | None:
        instrument = holding.market.instrument
        if instrument.is_spot or not (holding.long_units or holding.short_units):
            return 0
        mark = self.mark(holding.market)
        if mark is None:
            return None
        profit = sum(book.position.unrealised(instrument, mark) for book in holding.legs.values())
        return self.value(instrument.settle_asset, profit)

    def _leg_maintenance(self, holding: Holding, book: LegBook) -> int | None:
        size, told = book.position.size_units, book.told
        if not size:
            return 0
        now, then = self.mark(holding.market), holding.market.mark_units
        if told is None or told.maintenance_margin is None or not told.size_units:
            return None
        if now is None or then is None:
            return None
        margin = Fraction(told.maintenance_margin * abs(size), abs(told.size_units))
        # In the settle asset a linear notional rises with the price and an inverse one falls.
        is_linear = holding.market.instrument.payoff is Payoff.LINEAR
        margin *= Fraction(now, then) if is_linear else Fraction(then, now)
        return self.value(holding.market.instrument.settle_asset, round(margin))


def _breaches(
    world: _World, limits: RiskLimits, equity: int | None, *, is_closed: bool
) -> Iterable[Breach]:
    account, whole = world.account, BoundLimits(limits)
    if equity is None:
        return
    name = str(account.account_id)
    for reason, limit, floor, start in (
        (Reason.DAILY_LOSS, "daily_loss_percent_max", loss_floor(account, whole), account.day_base),
        (
            Reason.DRAWDOWN,
            "drawdown_percent_max",
            drawdown_floor(account, whole),
            account.peak_base,
        ),
    ):
        if floor is not None and start is not None and equity <= floor:
            yield Breach(
                reason=reason, limit=limit, name=name, use=start - equity, bound=start - floor
            )
    if is_closed:
        return
    backing = max(0, equity)
    exposure = _sum(world.worth(one, one.exposure_units) for one in account.holdings.values())
    for reason, limit, bound in (
        (Reason.EXPOSURE_LIMIT, "exposure_percent_max", backing * whole.exposure_parts // PARTS),
        (Reason.LEVERAGE_LIMIT, "leverage_max", backing * whole.leverage_parts // PARTS),
        (Reason.EXPOSURE_LIMIT, "total_notional_usdt_max", whole.total_notional),
    ):
        if exposure is not None and exposure > bound:
            yield Breach(reason=reason, limit=limit, name=name, use=exposure, bound=bound)
    for instrument_id, holding in sorted(account.holdings.items()):
        bound_limits = bind(limits, StrategyId(""), instrument_id)
        worth = world.worth(holding, holding.exposure_units)
        for limit, bound in (
            ("position_percent_max", backing * bound_limits.position_parts // PARTS),
            ("position_notional_usdt_max", bound_limits.position_notional),
        ):
            if worth is not None and worth > bound and bound < NO_LIMIT:
                yield Breach(
                    reason=Reason.POSITION_LIMIT,
                    limit=limit,
                    name=instrument_id.symbol,
                    use=worth,
                    bound=bound,
                )


def _sum(parts: Iterable[int | None]) -> int | None:
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
