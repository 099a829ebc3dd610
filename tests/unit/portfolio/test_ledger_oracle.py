"""Every figure of the ledger after every event, against a ledger that shares no code with it."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.ledger import Book, Contract, OracleLedger
from tests.unit.portfolio.worlds import (
    ACCOUNT,
    ALPHA,
    BETA,
    HOUR_NS,
    balance,
    fill,
    inverse,
    linear,
    money,
    spot,
)
from tickwright.core.identity import Leg, StrategyId
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.ledger_state import PortfolioState
from tickwright.core.orders import ExecutionKind, Fill, Side
from tickwright.core.units import MONEY_ONE
from tickwright.portfolio import Portfolio
from tickwright.portfolio.position import Position
from tickwright.portfolio.results import account_result, merged, result_rows

ONE_WAY, COIN, SPOT = linear(), inverse(), spot()
HEDGED = msgspec.structs.replace(linear("ETHUSDT", base="ETH"), multiplier=Decimal("0.01"))
INSTRUMENTS = (ONE_WAY, COIN, SPOT, HEDGED)
DAY_HOUR = 8
OWNERS = (ALPHA, BETA, None)
FORCED = (ExecutionKind.ADL, ExecutionKind.LIQUIDATION, ExecutionKind.DELIVERY)
MOVING = (
    ExecutionKind.TRADE,
    ExecutionKind.TRADE,
    ExecutionKind.TRADE,
    ExecutionKind.BLOCK_TRADE,
    ExecutionKind.MOVE_POSITION,
    ExecutionKind.FUTURE_SPREAD,
    *FORCED,
)


def contract(instrument: Instrument) -> Contract:
    kind = "spot" if instrument.is_spot else instrument.payoff.value
    assert instrument.is_spot or kind == instrument.id.category.value
    return Contract(
        name=str(instrument.id),
        kind=kind,
        base=instrument.base_asset,
        quote=instrument.quote_asset,
        settle=instrument.settle_asset,
        multiplier=Fraction(instrument.multiplier),
        size_step=Fraction(1, 10**instrument.size_decimals),
    )


def of_money(units: int) -> Fraction:
    return Fraction(units, MONEY_ONE)


def units_of(value: Fraction) -> int:
    scaled = value * MONEY_ONE
    assert scaled.denominator == 1
    return int(scaled)


@dataclass
class World:
    """One history fed to both ledgers, compared after every event."""

    portfolio: Portfolio
    oracle: OracleLedger
    sent: list[tuple[Fill, StrategyId | None]]
    restarts: int = 0
    now_ns: int = 1_000
    hours: int = 0

    # events

    def feed(self, row: Fill, owner: StrategyId | None) -> Any:
        self.sent.append((row, owner))
        return self.portfolio.apply_fill(row, owner)

    def execution(
        self,
        instrument: Instrument,
        kind: ExecutionKind,
        side: Side,
        size_units: int,
        price_units: int,
        *,
        owner: StrategyId | None,
        leg: Leg = Leg.NET,
        fee: int = 0,
        fee_asset: str = "USDT",
        cash: int = 0,
    ) -> None:
        self.now_ns += 1
        row = fill(
            instrument,
            side,
            size_units,
            price_units,
            kind=kind,
            fee=fee,
            fee_asset=fee_asset,
            venue_ns=self.now_ns,
            leg=leg,
            cash=cash,
        )
        effect = self.feed(row, owner)
        assert effect is not None
        assert effect.halt_reason == ""
        name, where = str(instrument.id), leg.value
        oracle = self.oracle
        if kind is ExecutionKind.FUNDING:
            oracle.fund(name, where, of_money(cash))
        elif kind is ExecutionKind.SETTLE:
            oracle.settle(name, where, of_money(cash), Fraction(instrument.price(price_units)))
        else:
            signed = Fraction(instrument.quantity(size_units)) * int(side)
            price = Fraction(instrument.price(price_units))
            if instrument.is_spot:
                base_fee = of_money(fee) if fee_asset == instrument.base_asset else Fraction(0)
                oracle.trade_spot(name, signed, price, owner, base_fee)
            else:
                oracle.trade(name, where, signed, price, owner, kind in FORCED)
        if fee:
            oracle.fee(name, where, owner, fee_asset, of_money(fee))

    def unknown(self, instrument: Instrument) -> None:
        self.now_ns += 1
        row = fill(instrument, Side.BUY, 1, 1, kind=ExecutionKind.OTHER, venue_ns=self.now_ns)
        for _ in range(2):
            # Not booked is not counted: it may still be told as what it is.
            effect = self.portfolio.apply_fill(row, ALPHA)
            assert effect is not None
            assert not effect.is_booked
            assert "is of a kind nobody can book" in effect.halt_reason
        self.oracle.halted.add(str(instrument.id))

    def repeat(self, which: int) -> None:
        if self.sent:
            row, _ = self.sent[which % len(self.sent)]
            before = self.portfolio.duplicate_count
            assert self.portfolio.apply_fill(row, BETA) is None
            assert before + 1 == self.portfolio.duplicate_count

    def transfer(self, asset: str, amount: int) -> None:
        self.now_ns += 1
        self.portfolio.transfer(ACCOUNT, asset, amount, self.now_ns)
        self.oracle.transfer(asset, of_money(amount))

    def mark(self, instrument: Instrument, price_units: int | None) -> None:
        self.portfolio.set_mark(instrument.id, price_units)
        if price_units is None:
            self.oracle.marks.pop(str(instrument.id), None)
        else:
            self.oracle.marks[str(instrument.id)] = Fraction(instrument.price(price_units))

    def wait(self, hours: int) -> None:
        self.hours += hours
        self.portfolio.start_day(self.hours * HOUR_NS)
        self.oracle.begin_day(self.hours)

    def restart(self) -> None:
        """Write the state as text, read it into a new ledger, and tell the prices again."""
        text = msgspec.json.encode(self.portfolio.state())
        marks = [(one.id, self.portfolio.mark(one.id)) for one in INSTRUMENTS]
        again = new_portfolio()
        assert () == again.restore(msgspec.json.decode(text, type=PortfolioState))
        assert text == msgspec.json.encode(again.state())
        for instrument_id, price_units in marks:
            again.set_mark(instrument_id, price_units)
        self.portfolio = again
        self.restarts += 1

    # comparing

    def compare(self) -> None:
        portfolio, oracle = self.portfolio, self.oracle
        for instrument in INSTRUMENTS:
            holding = portfolio.holding(ACCOUNT, instrument.id)
            name = str(instrument.id)
            assert (name in oracle.halted) == bool(holding.halt_reason)
            assert portfolio.attribution_fault(ACCOUNT, instrument.id) is None
            for leg, book in holding.legs.items():
                self.compare_book(instrument, book.position, oracle.leg(name, leg.value))
                for owner, share in book.shares.items():
                    self.compare_book(
                        instrument, share, oracle.share(name, leg.value, owner), is_share=True
                    )
        assets = oracle.cash.keys() | portfolio.account(ACCOUNT).purses.keys()
        for asset in assets:
            held = portfolio.balance(ACCOUNT, asset)
            assert oracle.cash.get(asset, 0) == of_money(held.amount)
            assert oracle.given.get(asset, 0) == of_money(held.transferred)
            assert held.unexplained == 0
        self.compare_sums()

    def compare_book(
        self, instrument: Instrument, ours: Position, theirs: Book, *, is_share: bool = False
    ) -> None:
        if instrument.is_spot:
            one = contract(instrument)
            size = self.oracle.spot_held(one)
            if is_share:
                size = theirs.costed // one.size_step * one.size_step
            assert size == Fraction(instrument.quantity(ours.size_units))
            assert theirs.costed == of_money(ours.costed)
        else:
            assert theirs.size == Fraction(instrument.quantity(ours.size_units))
        assert theirs.cost == of_money(ours.cost)
        assert theirs.realised == of_money(ours.realised)
        assert theirs.funding == of_money(ours.funding)
        assert theirs.traded == of_money(ours.traded)
        assert theirs.fills == ours.fill_count
        paid = {asset: fee for asset, fee in theirs.fees.items() if fee}
        assert paid == {asset: of_money(fee) for asset, fee in ours.fees.items() if fee}
        entry, expected = ours.entry_price(instrument), theirs.entry(contract(instrument))
        if instrument.is_spot and not ours.size_units:
            expected = None
        assert (entry is None) == (expected is None)
        if entry is not None and expected is not None:
            # For people alone: a quotient of 28 digits.
            assert abs(Fraction(entry) - expected) <= abs(expected) / 10**26
        mark = self.oracle.marks.get(str(instrument.id))
        holding = self.portfolio.holding(ACCOUNT, instrument.id)
        profit = holding.profit(ours)
        if mark is not None:
            assert profit is not None
            assert theirs.unrealised(contract(instrument), mark) == of_money(profit)

    def compare_sums(self) -> None:
        portfolio, oracle = self.portfolio, self.oracle
        account = portfolio.account(ACCOUNT)
        equity, expected = portfolio.equity(ACCOUNT), oracle.equity()
        assert expected == (None if equity is None else of_money(equity))
        gross, exposure = portfolio.exposure(ACCOUNT), oracle.exposure()
        assert exposure == (None if gross is None else of_money(gross))
        assert exposure == (None if account.held_worth is None else of_money(account.held_worth))
        for asset in account.purses:
            self.compare_identity(asset)
        rows = result_rows(account)
        for row in rows:
            for name in ("realised", "funding", "fees", "traded"):
                self.compare_day(row.strategy_id, row.instrument_id, name, getattr(row.day, name))
        whole, _ = account_result(account)
        parts = merged(row.total for row in rows)
        assert _known(whole.fees) == _known(parts.fees)
        assert _known(whole.funding) == _known(parts.funding)
        assert _known(whole.traded) == _known(parts.traded)

    def compare_identity(self, asset: str) -> None:
        """Cash + positions x mark - fees = equity, asset by asset, by flows without any cost."""
        identity = self.oracle.identity(asset)
        if identity is None:
            return
        total = self.portfolio.balance(ACCOUNT, asset).amount
        for holding in self.portfolio.account(ACCOUNT).holdings.values():
            instrument = holding.market.instrument
            if not instrument.is_spot and instrument.settle_asset == asset:
                profits = [holding.profit(book.position) for book in holding.legs.values()]
                total += sum(profit for profit in profits if profit is not None)
        assert identity == of_money(total)

    def compare_day(
        self, owner: StrategyId | None, instrument_id: Any, name: str, ours: dict[str, int]
    ) -> None:
        instrument = self.portfolio.instrument(instrument_id)
        asset = instrument.quote_asset if name == "traded" else instrument.settle_asset
        expected: dict[str, Fraction] = {}
        for sign, shares in ((1, self.oracle.shares), (-1, self.oracle.day_shares)):
            for (of, _, who), book in shares.items():
                if (of, who) != (str(instrument_id), owner):
                    continue
                found = getattr(book, name)
                for key, amount in (found if name == "fees" else {asset: found}).items():
                    expected[key] = expected.get(key, Fraction(0)) + sign * amount
        found = {key: amount for key, amount in expected.items() if amount}
        assert found == {key: of_money(amount) for key, amount in ours.items() if amount}


def _known(amounts: dict[str, int]) -> dict[str, int]:
    return {asset: amount for asset, amount in amounts.items() if amount}


def new_portfolio() -> Portfolio:
    portfolio = Portfolio(day_start_hour_utc=DAY_HOUR)
    for instrument in INSTRUMENTS:
        portfolio.set_instrument(instrument)
        portfolio.holding(ACCOUNT, instrument.id)
    return portfolio


def new_world() -> World:
    oracle = OracleLedger([contract(one) for one in INSTRUMENTS], day_start_hour=DAY_HOUR)
    world = World(new_portfolio(), oracle, [])
    world.transfer("USDT", money(10_000))
    world.transfer("BTC", money("0.5"))
    world.wait(DAY_HOUR + 1)
    return world


prices = st.integers(1, 20_000_000)
fees = st.integers(-(10**17), 10**20)
assets = st.sampled_from(["USDT", "BTC", "MNT"])
events = st.one_of(
    st.tuples(
        st.just("trade"),
        st.sampled_from([ONE_WAY, COIN]),
        st.sampled_from(MOVING),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 5_000),
        prices,
        st.sampled_from(OWNERS),
        fees,
        assets,
    ),
    st.tuples(
        st.just("hedge"),
        st.sampled_from([Leg.LONG, Leg.SHORT]),
        st.sampled_from(MOVING),
        st.booleans(),
        st.integers(1, 5_000),
        prices,
        st.sampled_from(OWNERS),
        fees,
        assets,
    ),
    st.tuples(
        st.just("spot"),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 10**7),
        prices,
        st.sampled_from(OWNERS),
        st.integers(0, 10**17 + 1),
        assets,
    ),
    st.tuples(
        st.just("funding"),
        st.sampled_from([(ONE_WAY, Leg.NET), (COIN, Leg.NET), (HEDGED, Leg.LONG)]),
        st.integers(-(10**19), 10**19),
    ),
    st.tuples(
        st.just("settle"),
        st.sampled_from([(ONE_WAY, Leg.NET), (COIN, Leg.NET), (HEDGED, Leg.SHORT)]),
        st.integers(-(10**20), 10**20),
        prices,
    ),
    st.tuples(st.just("mark"), st.sampled_from(INSTRUMENTS), st.one_of(st.none(), prices)),
    st.tuples(st.just("transfer"), assets, st.integers(-(10**18), 10**21)),
    st.tuples(st.just("repeat"), st.integers(0, 1_000)),
    st.tuples(st.just("wait"), st.integers(1, 30)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("unknown"), st.sampled_from(INSTRUMENTS)),
)


def play(world: World, event: Any) -> None:
    what, *rest = event
    if what == "trade":
        instrument, kind, side, size, price, owner, fee, asset = rest
        world.execution(instrument, kind, side, size, price, owner=owner, fee=fee, fee_asset=asset)
    elif what == "hedge":
        leg, kind, closes, size, price, owner, fee, asset = rest
        held = abs(world.portfolio.position(ACCOUNT, HEDGED.id, leg).size_units)
        closes = (closes or kind in FORCED) and held > 0
        if kind in FORCED and not closes:
            kind = ExecutionKind.TRADE
        side = Side.BUY if (leg is Leg.LONG) != closes else Side.SELL
        size = min(size, held) if closes else size
        world.execution(
            HEDGED, kind, side, size, price, owner=owner, leg=leg, fee=fee, fee_asset=asset
        )
    elif what == "spot":
        side, size, price, owner, fee, asset = rest
        if side is Side.SELL:
            asset = "USDT" if asset == "BTC" else asset
        world.execution(
            SPOT, ExecutionKind.TRADE, side, size, price, owner=owner, fee=fee, fee_asset=asset
        )
    elif what == "funding":
        (instrument, leg), cash = rest
        world.execution(
            instrument, ExecutionKind.FUNDING, Side.BUY, 0, 1, owner=None, leg=leg, cash=cash
        )
    elif what == "settle":
        (instrument, leg), cash, price = rest
        world.execution(
            instrument, ExecutionKind.SETTLE, Side.BUY, 0, price, owner=None, leg=leg, cash=cash
        )
    elif what == "restart":
        world.restart()
    else:
        getattr(world, what)(*rest)


@given(st.lists(events, max_size=40))
def test_ledger_when_any_history_then_every_figure_equals_the_oracle_after_every_event(
    history: list[Any],
):
    world = new_world()
    world.compare()
    for event in history:
        play(world, event)
        world.compare()


@given(st.lists(events, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_ledger_when_executions_come_in_another_order_then_sizes_and_equity_are_the_same(
    history: list[Any], random: Any
):
    """The order decides how much is realised already, never the sum with what is not yet.

    So a wallet that realised in coins may hold others meanwhile, and spot is left out.
    """
    first = new_world()
    moving = [e for e in history if e[0] in ("trade", "funding", "transfer")]
    for event in moving:
        play(first, event)
    shuffled = list(first.sent)
    random.shuffle(shuffled)
    other = new_portfolio()
    for asset, amount in first.oracle.given.items():
        other.transfer(ACCOUNT, asset, units_of(amount), 1)
    for row, owner in shuffled:
        other.apply_fill(row, owner)
        assert other.apply_fill(row, owner) is None
    rounding = 4 * len(shuffled)
    for portfolio in (first.portfolio, other):
        for instrument in INSTRUMENTS:
            portfolio.set_mark(instrument.id, 5_000_000)
    for instrument in (ONE_WAY, COIN, HEDGED):
        ours = first.portfolio.position(ACCOUNT, instrument.id)
        theirs = other.position(ACCOUNT, instrument.id)
        assert ours.size_units == theirs.size_units
        assert _known(ours.fees) == _known(theirs.fees)
        assert (ours.funding, ours.traded) == (theirs.funding, theirs.traded)
        # A linear sum is exact in any order; an inverse one rounds each execution's parts.
        made = [
            p.realised + (first.portfolio.holding(ACCOUNT, instrument.id).profit(p) or 0)
            for p in (ours, theirs)
        ]
        slack = rounding if instrument.payoff is Payoff.INVERSE else 0
        assert abs(made[0] - made[1]) <= slack


@given(
    st.lists(
        st.tuples(st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 500), prices, fees),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 20),
    st.randoms(use_true_random=False),
)
def test_cash_when_a_wallet_report_comes_between_executions_then_no_movement_counts_twice(
    history: list[tuple[Side, int, int, int]], told: int, random: Any
):
    """The report holds the first `told` executions; it and all of them arrive in any order."""
    truth = new_portfolio()
    truth.apply_balance(balance("USDT", money(1_000_000), venue_ns=1))
    rows, reported = [], money(1_000_000)
    for number, (side, size, price, fee) in enumerate(history):
        row = fill(ONE_WAY, side, size, price, fee=fee, venue_ns=100 + number)
        rows.append(row)
        truth.apply_fill(row, ALPHA)
        if number < told:
            reported = truth.balance(ACCOUNT, "USDT").amount
    report = balance("USDT", reported, venue_ns=100 + min(told, len(rows)) - 1 if told else 99)
    portfolio = new_portfolio()
    portfolio.apply_balance(balance("USDT", money(1_000_000), venue_ns=1))
    place = random.randint(0, len(rows))
    for number, row in enumerate(rows):
        if number == place:
            portfolio.apply_balance(report)
        portfolio.apply_fill(row, ALPHA)
    if place == len(rows):
        portfolio.apply_balance(report)
    assert truth.balance(ACCOUNT, "USDT").amount == portfolio.balance(ACCOUNT, "USDT").amount
    assert 0 == portfolio.balance(ACCOUNT, "USDT").unexplained - money(1_000_000)


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda one: str(one.id))
def test_unknown_kind_when_anything_is_held_then_nothing_moves_and_it_outlives_a_restart(
    instrument: Instrument,
):
    world = new_world()
    leg = Leg.LONG if instrument is HEDGED else Leg.NET
    world.execution(instrument, ExecutionKind.TRADE, Side.BUY, 100, 5_000_000, owner=ALPHA, leg=leg)
    world.unknown(instrument)
    world.compare()
    world.restart()
    world.compare()
    world.portfolio.lift_halt(ACCOUNT, instrument.id)
    assert "" == world.portfolio.holding(ACCOUNT, instrument.id).halt_reason
