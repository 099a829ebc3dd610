"""The fold against a ledger that knows nothing of it: plain Decimal, no shared code."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.portfolio.worlds import (
    ACCOUNT,
    ALPHA,
    BETA,
    fill,
    inverse,
    linear,
    portfolio_with,
    spot,
)
from tickwright.core.identity import StrategyId
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.orders import ExecutionKind, Side
from tickwright.core.units import money_from_decimal, money_to_decimal

E18 = Decimal("1e-18")
MOVING = [
    ExecutionKind.TRADE,
    ExecutionKind.TRADE,
    ExecutionKind.TRADE,
    ExecutionKind.BLOCK_TRADE,
    ExecutionKind.ADL,
    ExecutionKind.LIQUIDATION,
    ExecutionKind.MOVE_POSITION,
    ExecutionKind.FUTURE_SPREAD,
    ExecutionKind.DELIVERY,
]


def half_even(value: Decimal) -> Decimal:
    return value.quantize(E18, ROUND_HALF_EVEN)


@dataclass
class PlainLedger:
    """Average-cost book of one contract and the cash of every asset, in Decimal."""

    instrument: Instrument
    size: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    cash: dict[str, Decimal] = field(default_factory=dict)
    fees: dict[str, Decimal] = field(default_factory=dict)

    def pay(self, asset: str, amount: Decimal) -> None:
        self.cash[asset] = self.cash.get(asset, Decimal(0)) + amount

    def fee(self, asset: str, amount: Decimal) -> None:
        self.fees[asset] = self.fees.get(asset, Decimal(0)) + amount
        self.pay(asset, -amount)

    def worth(self, size: Decimal, price: Decimal) -> Decimal:
        if self.instrument.payoff is Payoff.LINEAR:
            return size * price
        return half_even(size / price)

    def trade(self, side: Side, size: Decimal, price: Decimal) -> None:
        change = size * int(side)
        closing = Decimal(0)
        if self.size * change < 0:
            closing = min(abs(self.size), size)
            gone = half_even(self.cost * closing / abs(self.size))
            worth = self.worth(closing, price).copy_sign(self.size)
            gain = worth - gone if self.instrument.payoff is Payoff.LINEAR else gone - worth
            self.cost -= gone
            self.realised += gain
            self.pay(self.instrument.settle_asset, gain)
        opening = size - closing
        if opening:
            self.cost += self.worth(opening, price) * int(side)
        self.size += change

    def unrealised(self, mark: Decimal) -> Decimal:
        if not self.size:
            return Decimal(0)
        worth = self.worth(abs(self.size), mark).copy_sign(self.size)
        return worth - self.cost if self.instrument.payoff is Payoff.LINEAR else self.cost - worth


rows = st.lists(
    st.tuples(
        st.sampled_from([*MOVING, ExecutionKind.FUNDING]),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 5_000),
        st.integers(1, 20_000_000),
        st.integers(-(10**20), 10**20),
        st.sampled_from(["USDT", "BTC", "MNT"]),
        st.sampled_from([ALPHA, BETA, None]),
        st.booleans(),
    ),
    max_size=40,
)
Row = tuple[ExecutionKind, Side, int, int, int, str, StrategyId | None, bool]


def run(instrument: Instrument, history: list[Row], mark_units: int) -> None:
    portfolio = portfolio_with(instrument, usdt=None)
    ledger = PlainLedger(instrument)
    for kind, side, size_units, price_units, fee, fee_asset, owner, is_repeated in history:
        cash = fee // 7 if kind is ExecutionKind.FUNDING else 0
        row = fill(
            instrument,
            side,
            size_units,
            price_units,
            kind=kind,
            fee=fee,
            fee_asset=fee_asset,
            cash=cash,
        )
        assert portfolio.apply_fill(row, owner) is not None
        if is_repeated:
            assert portfolio.apply_fill(row, owner) is None
        if kind is ExecutionKind.FUNDING:
            ledger.pay(instrument.settle_asset, money_to_decimal(cash))
        else:
            ledger.trade(side, instrument.quantity(size_units), instrument.price(price_units))
        ledger.fee(fee_asset, money_to_decimal(fee))
        assert portfolio.attribution_fault(ACCOUNT, instrument.id) is None
    position = portfolio.position(ACCOUNT, instrument.id)
    assert ledger.size == instrument.quantity(position.size_units)
    assert ledger.cost == money_to_decimal(position.cost)
    assert ledger.realised == money_to_decimal(position.realised)
    for asset in ("USDT", "BTC", "MNT"):
        assert ledger.cash.get(asset, Decimal(0)) == money_to_decimal(
            portfolio.balance(ACCOUNT, asset).amount
        )
        assert ledger.fees.get(asset, Decimal(0)) == money_to_decimal(position.fees.get(asset, 0))
    portfolio.set_mark(instrument.id, mark_units)
    unrealised = portfolio.unrealised(ACCOUNT, instrument.id)
    assert unrealised is not None
    assert ledger.unrealised(instrument.price(mark_units)) == money_to_decimal(unrealised)


@given(rows, st.integers(1, 20_000_000))
def test_linear_fold_when_any_history_then_equals_the_plain_ledger(
    history: list[Row], mark_units: int
):
    with localcontext(prec=120):
        run(linear(), history, mark_units)


@given(rows, st.integers(1, 20_000_000))
def test_inverse_fold_when_any_history_then_equals_the_plain_ledger(
    history: list[Row], mark_units: int
):
    with localcontext(prec=120):
        run(inverse(), history, mark_units)


@given(rows, st.integers(1, 20_000_000))
def test_linear_profit_when_any_history_then_realised_and_unrealised_are_the_cash_flows(
    history: list[Row], mark_units: int
):
    """The identity that needs no rule about cost: money in less money out plus what is held."""
    instrument = linear()
    portfolio = portfolio_with(instrument, usdt=None)
    flows = 0
    held = 0
    for kind, side, size_units, price_units, _fee, _asset, owner, _ in history:
        if kind is ExecutionKind.FUNDING:
            continue
        portfolio.apply_fill(fill(instrument, side, size_units, price_units, kind=kind), owner)
        flows -= int(side) * instrument.notional(size_units, price_units)
        held += int(side) * size_units
    worth = instrument.notional(held, mark_units) * (1 if held >= 0 else -1)
    holding = portfolio.holding(ACCOUNT, instrument.id)
    book = holding.leg(portfolio.position(ACCOUNT, instrument.id).leg)
    shares = book.shares.values()
    assert flows + worth == book.position.realised + book.position.unrealised(
        instrument, mark_units
    )
    assert flows + worth == sum(
        share.realised + share.unrealised(instrument, mark_units) for share in shares
    )
    assert held == sum(share.size_units for share in shares)


spot_rows = st.lists(
    st.tuples(
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 10**9),
        st.integers(1, 20_000_000),
        st.integers(0, 100),
        st.sampled_from(["USDT", "BTC", "MNT"]),
    ),
    max_size=40,
)


@given(spot_rows)
def test_spot_fold_when_exits_sell_what_is_held_then_assets_are_exact_and_never_negative(
    history: list[tuple[Side, int, int, int, str]],
):
    instrument = spot()
    portfolio = portfolio_with(instrument, usdt=None)
    assets = {"USDT": Decimal(0), "BTC": Decimal(0), "MNT": Decimal(0)}
    for side, wished_units, price_units, fee_bps, wished_asset in history:
        size_units, fee_asset = wished_units, wished_asset
        if side is Side.SELL:
            size_units = min(size_units, portfolio.sellable_units(ACCOUNT, instrument.id))
            if size_units == 0:
                continue
            # A sell never pays in base: venues take that fee from what is received.
            fee_asset = "USDT" if fee_asset == "BTC" else fee_asset
        size, price = instrument.quantity(size_units), instrument.price(price_units)
        fee = (size if fee_asset == "BTC" else size * price) * fee_bps / 10_000
        portfolio.apply_fill(
            fill(
                instrument,
                side,
                size_units,
                price_units,
                fee=money_from_decimal(fee),
                fee_asset=fee_asset,
            ),
            ALPHA,
        )
        assets["BTC"] += size * int(side)
        assets["USDT"] -= size * price * int(side)
        assets[fee_asset] -= fee
        position = portfolio.position(ACCOUNT, instrument.id)
        assert assets["BTC"] >= 0
        assert assets["BTC"] // Decimal("0.000001") == position.size_units
        assert position.size_units >= 0
    for asset, amount in assets.items():
        assert amount == money_to_decimal(portfolio.balance(ACCOUNT, asset).amount)


@given(spot_rows, st.integers(1, 20_000_000))
def test_spot_equity_when_any_history_then_is_the_worth_of_the_assets(
    history: list[tuple[Side, int, int, int, str]], mark_units: int
):
    instrument = spot()
    portfolio = portfolio_with(instrument)
    portfolio.set_mark(instrument.id, mark_units)
    start = portfolio.equity(ACCOUNT)
    for side, size_units, price_units, _, _ in history:
        portfolio.apply_fill(fill(instrument, side, size_units, price_units), ALPHA)
    base = portfolio.balance(ACCOUNT, "BTC").amount
    quote = portfolio.balance(ACCOUNT, "USDT").amount
    assert start is not None
    with localcontext(prec=120):
        worth = (Decimal(base) * mark_units / 100).to_integral_value(ROUND_HALF_EVEN)
    expected = quote + int(worth)
    assert expected == portfolio.equity(ACCOUNT)
