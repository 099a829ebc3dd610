"""Instruments, rows and reports that the portfolio's and the gate's tests are made of."""

from decimal import Decimal
from itertools import count

from tickwright.core.events import BalanceReport, PositionReport
from tickwright.core.identity import AccountId, Category, InstrumentId, Leg, StrategyId
from tickwright.core.instrument import Capabilities, Instrument, Payoff, SizeUnit
from tickwright.core.orders import ExecutionKind, Fill, Side
from tickwright.core.units import MONEY_ONE
from tickwright.portfolio import Portfolio

ACCOUNT = AccountId("sim", "main")
ALPHA = StrategyId("alpha")
BETA = StrategyId("beta")
HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS

_ids = count(1)


def linear(symbol: str = "BTCUSDT", *, base: str = "BTC", quote: str = "USDT") -> Instrument:
    return Instrument(
        id=InstrumentId("sim", Category.LINEAR, symbol),
        base_asset=base,
        quote_asset=quote,
        settle_asset=quote,
        price_decimals=2,
        size_decimals=3,
        tick_units=10,
        lot_units=1,
        size_min_units=1,
        size_max_units=1_000_000,
        market_size_max_units=500_000,
        notional_min=Decimal(5),
        leverage_max=Decimal(100),
    )


def inverse(symbol: str = "BTCUSD") -> Instrument:
    return Instrument(
        id=InstrumentId("sim", Category.INVERSE, symbol),
        base_asset="BTC",
        quote_asset="USD",
        settle_asset="BTC",
        price_decimals=2,
        size_decimals=0,
        tick_units=50,
        lot_units=1,
        size_min_units=1,
        size_max_units=10_000_000,
        market_size_max_units=10_000_000,
        payoff=Payoff.INVERSE,
        size_unit=SizeUnit.QUOTE,
    )


def spot(symbol: str = "BTCUSDT", *, base: str = "BTC", quote: str = "USDT") -> Instrument:
    return Instrument(
        id=InstrumentId("sim", Category.SPOT, symbol),
        base_asset=base,
        quote_asset=quote,
        settle_asset=quote,
        price_decimals=2,
        size_decimals=6,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=10**12,
        market_size_max_units=10**12,
        notional_min=Decimal(1),
        capabilities=Capabilities(can_short=False, has_reduce_only=False),
    )


def money(text: str | int) -> int:
    return int(Decimal(text) * MONEY_ONE)


def fill(
    instrument: Instrument,
    side: Side,
    size_units: int,
    price_units: int,
    *,
    kind: ExecutionKind = ExecutionKind.TRADE,
    fee: int = 0,
    fee_asset: str = "USDT",
    venue_ns: int = 1_000,
    leg: Leg = Leg.NET,
    cash: int = 0,
    execution_id: str | None = None,
) -> Fill:
    return Fill(
        account_id=ACCOUNT,
        instrument_id=instrument.id,
        execution_id=execution_id or f"e{next(_ids)}",
        kind=kind,
        side=side,
        price_units=price_units,
        size_units=size_units,
        fee=fee,
        fee_asset=fee_asset,
        is_maker=False,
        venue_ns=venue_ns,
        received_ns=venue_ns,
        leg=leg,
        cash=cash,
    )


def balance(asset: str, amount: int, *, venue_ns: int = 1) -> BalanceReport:
    return BalanceReport(
        account_id=ACCOUNT,
        asset=asset,
        wallet_balance=amount,
        locked=0,
        venue_ns=venue_ns,
        received_ns=venue_ns,
    )


def position_report(
    instrument: Instrument,
    size_units: int,
    *,
    entry_price: str = "",
    venue_ns: int = 5_000,
    leg: Leg = Leg.NET,
) -> PositionReport:
    return PositionReport(
        account_id=ACCOUNT,
        instrument_id=instrument.id,
        leg=leg,
        size_units=size_units,
        entry_price=entry_price,
        venue_ns=venue_ns,
        received_ns=venue_ns,
    )


def portfolio_with(*instruments: Instrument, usdt: int | None = 10_000) -> Portfolio:
    portfolio = Portfolio()
    for instrument in instruments:
        portfolio.set_instrument(instrument)
    if usdt is not None:
        portfolio.apply_balance(balance("USDT", money(usdt)))
    return portfolio
