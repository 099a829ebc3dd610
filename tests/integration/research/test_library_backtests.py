"""Each strategy of the library through a whole backtest, on a tape whose answer is worked out."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.unit.backtest.tapes import BTC, WIDE, Hand
from tickwright.backtest.latency import LatencySpec
from tickwright.backtest.record import RunRecord
from tickwright.backtest.run import BacktestSettings, run_backtest
from tickwright.backtest.synthetic import sample_instrument
from tickwright.backtest.tape import Tape
from tickwright.backtest.venue import AccountTerms
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE, money_to_decimal
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.execution.config import ExecutionConfig
from tickwright.risk.sizing_limits import SizingLimits
from tickwright.strategy.base import Strategy
from tickwright.strategy.library.funding_carry import FundingCarry
from tickwright.strategy.library.grid import Grid
from tickwright.strategy.library.market_making import MarketMaking
from tickwright.strategy.library.order_flow import OrderFlow
from tickwright.strategy.library.pairs import Pairs

BUY, SELL = Side.BUY, Side.SELL
DEEP = 10**6
ETH = sample_instrument("ETHUSDT")
PPM = (200, 550)


def ran(tape: Tape, kind: type[Strategy], parameters: Mapping[str, object]) -> RunRecord:
    """Run one strategy with 2 ms to the venue and 3 ms back, 100,000 USDT and the usual fees."""
    sizing = SizingLimits(equity_percent=Decimal(6), depth_share_percent_max=Decimal(100))
    plan = TradingPlan(
        engine=EngineConfig(
            risk=msgspec.structs.replace(WIDE, sizing=sizing),
            execution=ExecutionConfig(brackets="synthetic"),
        ),
        accounts=("sim:main",),
        strategies=(
            StrategyPlan(
                strategy_id="one",
                source="library",
                account="sim:main",
                instruments=tuple(str(one.id) for one in tape.instruments),
                parameters=dict(parameters),
            ),
        ),
    )
    terms = AccountTerms(balances=(("USDT", Decimal(100_000)),), fees_ppm={Category.LINEAR: PPM})
    return run_backtest(
        BacktestSettings(
            tape=tape.folder,
            plan=plan,
            classes={"library": kind},
            accounts={"sim:main": terms},
            orders=LatencySpec(ms=2.0),
            responses=LatencySpec(ms=3.0),
        )
    )


def fills(record: RunRecord) -> list[tuple[str, int, int, int, bool]]:
    assert {} == record.halted
    return [
        (one.instrument_id.rpartition(":")[2], one.side, one.price_units, one.size_units,
         one.is_maker)
        for one in record.fills
        if one.kind == "trade"
    ]  # fmt: skip


def book(hand: Hand, at_ms: float, mid: int, *, half: int = 1, slot: int = 0) -> None:
    hand.book(at_ms, [(mid - half, DEEP)], [(mid + half, DEEP)], slot=slot)


def test_grid_when_the_price_swings_one_line_then_that_line_is_earned(tmp_path: Path):
    # Lines of 60 units around 600,000; nobody else rests on them.
    hand = Hand()
    book(hand, 0, 600_000, half=20)
    hand.trade(500, SELL, 599_935, 50)  # through the bid at 599,940
    book(hand, 510, 599_950, half=5)
    book(hand, 1_000, 599_950, half=5)
    hand.trade(1_500, BUY, 600_005, 50)  # through the ask that came in at 600,000
    book(hand, 2_000, 600_000, half=20)
    parameters = {"order_notional": 180.1, "step_bps": 1.0, "levels": 1, "inventory_max": 3}
    record = ran(hand.write(tmp_path / "t"), Grid, parameters)
    assert [
        ("BTCUSDT", 1, 599_940, 3, True),
        ("BTCUSDT", -1, 600_000, 3, True),
    ] == fills(record)
    fees = Decimal(3) / 1000 * (Decimal("59994.0") + Decimal("60000.0")) * 200 / 10**6
    assert fees == money_to_decimal(sum(one.fee for one in record.fills))
    # 0.003 x 6.0 less the fees.
    made = Decimal(int(record.curve.equity[-1])) / 10**8 - 100_000
    assert made == pytest.approx(Decimal("0.018") - fees, abs=Decimal("1e-8"))


def test_market_making_when_its_bid_is_hit_then_filled_there_and_both_sides_lean(tmp_path: Path):
    hand = Hand()
    for step in range(8):
        book(hand, step * 100, 600_000, half=20)
    hand.trade(750, SELL, 599_950, 50)
    for step in range(8, 14):
        book(hand, step * 100, 600_000, half=20)
    parameters = {
        "order_notional": 180.0,  # exactly 0.003 at 60,000.0
        "risk_aversion": 1.0,
        "fill_decay": 1.0,
        "volatility_interval_ms": 100,
        "volatility_window": 2,
    }
    record = ran(hand.write(tmp_path / "t"), MarketMaking, parameters)
    # ln 2 = 0.6931 bps of 600,000 is 41.589 units: 599,958 and 600,042.
    assert [("BTCUSDT", 1, 599_958, 3, True)] == fills(record)
    asked = [(one.side, one.price_units, one.state) for one in record.orders]
    assert (1, 599_958, "filled") in asked
    assert {-1: 600_042, 1: 599_958} == {side: price for side, price, _ in asked}
    assert 3 == int(record.positions[str(BTC.id)][1][-1])


def test_order_flow_when_bids_pile_up_then_taken_at_the_ask_and_left_by_its_time(tmp_path: Path):
    hand = Hand()

    def touch(at_ms: float, bid_size: int, ask_size: int) -> None:
        hand.book(
            at_ms,
            [(600_000, bid_size), (599_999, DEEP)],
            [(600_001, ask_size), (600_002, DEEP)],
        )

    for step in range(6):
        touch(step * 50, 1_000, 1_000)
    touch(310, 40_000, 1_000)
    for step in range(7, 60):
        touch(step * 50, 40_000, 1_000)
    parameters: dict[str, object] = {
        "window_ms": 200,
        "buckets": 2,
        "entry_ticks": 2.0,
        "hold_ms": 1_000,
        "rest_ms": 5_000,
        "stop_loss_fraction": None,
    }
    record = ran(hand.write(tmp_path / "t"), OrderFlow, parameters)
    # 6 % of 100,000 at 60,000 is 0.1, all of it on the ask; the bid takes it back a second later.
    (entry, exit_) = fills(record)
    assert ("BTCUSDT", 1, 600_001, False) == (*entry[:3], entry[4])
    assert ("BTCUSDT", -1, 600_000, False) == (*exit_[:3], exit_[4])
    assert entry[3] == exit_[3] > 0
    bought, sold = (one for one in record.fills if one.kind == "trade")
    # A second after the fill, and 2 ms on the way.
    assert 1_002 == pytest.approx((sold.venue_ns - bought.venue_ns) / 1e6, abs=1.5)


def test_pairs_when_the_residual_opens_and_comes_back_then_both_legs_in_and_out(tmp_path: Path):
    first, second = small(BTC.id.symbol), small(ETH.id.symbol)
    hand = Hand(instruments=(first, second))
    at = 0.0
    for number in range(16):
        high = number % 2
        book(hand, at, 10_100 if high else 10_000, slot=1)
        book(hand, at + 10, 10_201 if high else 10_000, slot=0)
        at += 100
    book(hand, at, 10_000, slot=1)
    book(hand, at + 10, 10_000, slot=0)
    book(hand, at + 50, 10_030, slot=0)  # 29.96 bps rich
    book(hand, at + 90, 10_030, slot=0)
    book(hand, at + 500, 10_003, slot=0)  # back: 3 bps
    book(hand, at + 540, 10_003, slot=0)
    parameters: dict[str, object] = {
        "notional": 1000.4,
        "lookback": 10,
        "interval_ms": 100,
        "entry_z": 2.0,
        "deviation_bps_min": 10.0,
        "edge_bps": 5.0,
    }
    tape = hand.write(tmp_path / "t")
    # Residual 29.96 bps; fees alone cost 2 x 5.5 x (1 + 2) = 33 bps.
    assert [] == fills(ran(tape, Pairs, parameters))
    record = ran(tape, Pairs, {**parameters, "edge_bps": None})
    # Sold at the bid and bought back at the ask, each one unit beside its mid.
    assert [
        ("BTCUSDT", -1, 10_029, 997, False),
        ("BTCUSDT", 1, 10_004, 997, False),
        ("ETHUSDT", -1, 9_999, 2_000, False),
        ("ETHUSDT", 1, 10_001, 2_000, False),
    ] == sorted(fills(record))


def small(symbol: str) -> Instrument:
    """Return the sample contract with a lowest notional that small legs pass."""
    return msgspec.structs.replace(sample_instrument(symbol), notional_min=Decimal(1))


def test_funding_carry_when_longs_pay_then_short_over_the_payment_and_paid(tmp_path: Path):
    hand = Hand()
    due_ms = 20_000.0
    hand.mark(0, 600_000)
    hand.funding(0, 500_000, due_ms)  # 5 bps
    for step in range(60):
        book(hand, step * 500, 600_000, half=5)
        if step % 4 == 0:
            hand.mark(step * 500, 600_000)
    hand.funding(20_100, 100_000, due_ms + 8 * 3_600_000)
    parameters: dict[str, object] = {
        "rate_bps_min": 2.0,
        "rate_bps_full": 5.0,
        "edge_bps": None,
        "enter_before_s": 10,
        "enter_until_s": 2,
        "exit_after_s": 5,
        "stop_loss_fraction": None,
    }
    record = ran(hand.write(tmp_path / "t"), FundingCarry, parameters)
    (entry, exit_) = fills(record)
    # 6 % of 100,000 at the mid of 60,000.0: 0.1, sold at the bid and bought back at the ask.
    assert ("BTCUSDT", -1, 599_995, 100, False) == entry
    assert ("BTCUSDT", 1, 600_005, 100, False) == exit_
    (paid,) = [one for one in record.fills if one.kind == "funding"]
    # 0.1 x 60,000.0 at the mark x 5 bps.
    assert 3 * MONEY_ONE == paid.cash
    sold, bought = (one for one in record.fills if one.kind == "trade")
    began = record.started_ns
    assert 10.0 == pytest.approx((sold.venue_ns - began) / 1e9, abs=0.02)
    assert 25.0 == pytest.approx((bought.venue_ns - began) / 1e9, abs=0.02)
