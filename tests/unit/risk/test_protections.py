"""Each protection by itself: entered at its bound, with its numbers, and lifted by who may."""

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.portfolio.worlds import ACCOUNT, ALPHA, BETA
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId
from tickwright.core.restrictions import (
    LiftedBy,
    ProtectionKind,
    Restriction,
    Scope,
    Stage,
    parse_name,
)
from tickwright.core.risk_state import PairRecord, StrategyRecord
from tickwright.core.units import MONEY_ONE
from tickwright.risk import RiskLimits
from tickwright.risk.protections import ClosedFill, Protections
from tickwright.risk.protections_config import (
    ProtectionLimits,
    StrategyProtections,
    SymbolProtections,
    bind_protections,
)
from tickwright.risk.protections_table import RULES, RestrictionTable

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
BTC = InstrumentId("venue", Category.LINEAR, "BTCUSDT")
ETH = InstrumentId("venue", Category.LINEAR, "ETHUSDT")
LIMITS = ProtectionLimits(
    cooldown_after_stop_s=30,
    losses_in_row_max=3,
    loss_pause_s=100,
    volatility_halt_percent=Decimal(2),
    volatility_window_s=10,
    volatility_pause_s=20,
    equal_rejects_max=3,
    equal_rejects_window_s=60,
    flip_flops_max=4,
    flip_flops_window_s=60,
    order_storm_max=5,
    order_storm_window_s=10,
)
OFF = ProtectionLimits(
    cooldown_after_stop_s=0,
    losses_in_row_max=0,
    volatility_halt_percent=Decimal(0),
    equal_rejects_max=0,
    flip_flops_max=0,
    order_storm_max=0,
)


def made(limits: ProtectionLimits = LIMITS) -> Protections:
    return Protections(limits, accounts={})


def closed(
    before: int,
    after: int,
    money: float = 0.0,
    *,
    is_stop: bool = False,
    strategy_id: StrategyId = ALPHA,
    instrument_id: InstrumentId = BTC,
) -> ClosedFill:
    return ClosedFill(
        account_id=ACCOUNT,
        strategy_id=strategy_id,
        instrument_id=instrument_id,
        size_before=before,
        size_after=after,
        money=int(money * MONEY_ONE),
        asset="USDT",
        is_stop=is_stop,
    )


def trade(machine: Protections, money: float, now_ns: int, **changes: object) -> None:
    """Open a long and close it with so much profit."""
    machine.on_fill(closed(0, 5, **changes), now_ns)  # type: ignore[arg-type]
    machine.on_fill(closed(5, 0, money, **changes), now_ns)  # type: ignore[arg-type]


def only(machine: Protections) -> Restriction:
    (row,) = machine.table
    return row


# each kind ----------------------------------------------------------------------------------------


def test_cooldown_when_a_stop_closed_then_that_pair_alone_and_for_its_time():
    machine = made()
    machine.on_fill(closed(0, 5), NOW)
    machine.on_fill(closed(5, 0, -1, is_stop=True), NOW)
    row = only(machine)
    assert "cooldown@alpha/venue:linear:BTCUSDT" == row.name
    assert (Stage.REDUCING, LiftedBy.TIME) == (row.stage, row.lifted_by)
    assert NOW + 30 * SECOND == row.until_ns
    assert "closed long" in row.reason
    assert "30 s" in row.reason
    table = machine.table
    assert row == table.over(ACCOUNT, ALPHA, BTC, NOW)
    assert None is table.over(ACCOUNT, ALPHA, ETH, NOW)
    assert None is table.over(ACCOUNT, BETA, BTC, NOW)
    assert row == table.over(ACCOUNT, ALPHA, BTC, NOW + 30 * SECOND - 1)
    # Its time counts, not who noticed that it passed.
    assert None is table.over(ACCOUNT, ALPHA, BTC, NOW + 30 * SECOND)
    assert None is machine.lapse(NOW + 30 * SECOND)
    assert not table
    assert ["", "time"] == [change.lifted_by for change in machine.changes]


def test_cooldown_when_no_stop_closed_then_none():
    machine = made()
    trade(machine, -1, NOW)
    assert not machine.table


def test_loss_streak_when_the_bound_is_reached_then_the_strategy_pauses():
    machine = made()
    trade(machine, -1, NOW)
    trade(machine, -1, NOW, instrument_id=ETH)
    assert not machine.table
    trade(machine, -2.5, NOW)
    row = only(machine)
    assert "loss_streak@alpha" == row.name
    assert "3 losing trades in a row, the last -2.5000 USDT in BTCUSDT; at most 3" == row.reason
    assert NOW + 100 * SECOND == row.until_ns


def test_loss_streak_when_a_trade_wins_then_counted_anew():
    machine = made()
    for money in (-1, -1, 1, -1, -1):
        trade(machine, money, NOW)
    assert not machine.table


def test_loss_streak_when_fees_eat_the_profit_then_it_is_a_loss():
    machine = made()
    for _ in range(3):
        # Entry fee 2, profit less the exit's fee 1: the trade lost 1.
        machine.on_fill(closed(0, 5, -2), NOW)
        machine.on_fill(closed(5, 2, 0.5), NOW)
        machine.on_fill(closed(2, 0, 0.5), NOW)
    assert "loss_streak@alpha" == only(machine).name


def test_loss_streak_when_positions_turn_without_being_flat_then_each_is_a_trade():
    machine = made(msgspec.structs.replace(LIMITS, flip_flops_max=0))
    machine.on_fill(closed(0, 5), NOW)
    for before, after in ((5, -5), (-5, 5), (5, -5)):
        assert not machine.table
        machine.on_fill(closed(before, after, -1), NOW)
    assert "loss_streak@alpha" == only(machine).name


def test_volatility_when_the_mid_jumps_then_the_instrument_halts_until_calm():
    machine = made()
    for second in range(5):
        machine.on_mid(BTC, 100_000, NOW + second * SECOND)
    assert not machine.table
    machine.on_mid(BTC, 102_100, NOW + 5 * SECOND)
    row = only(machine)
    assert "volatility@venue:linear:BTCUSDT" == row.name
    assert f"{math.log(1.021) * 100:.3f} %" in row.reason
    assert "halts at 2 % in 10 s" in row.reason
    assert None is not machine.table.over(ACCOUNT, BETA, BTC, NOW)
    # The jump stays in the window: each second prolongs, and only one change was told.
    for second in range(6, 20):
        machine.on_mid(BTC, 102_100, NOW + second * SECOND)
    # Ten returns lie within the window: the jump of second 5 leaves it with second 15.
    assert NOW + (14 + 20) * SECOND == only(machine).until_ns
    assert 1 == len(machine.changes)
    machine.lapse(NOW + 34 * SECOND)
    assert not machine.table


def test_volatility_when_small_moves_add_up_then_halted_by_their_root():
    machine = made()
    mid = 1_000_000
    for second in range(11):
        machine.on_mid(BTC, mid, NOW + second * SECOND)
        mid = mid * (10_000 + (70 if second % 2 else -70)) // 10_000
    # Ten returns of 0.7 %: sqrt(10) x 0.7 = 2.2 %.
    assert "volatility@venue:linear:BTCUSDT" == only(machine).name


def test_volatility_when_the_book_was_away_then_what_moved_meanwhile_counts():
    machine = made()
    machine.on_mid(BTC, 100_000, NOW)
    machine.on_mid(BTC, None, NOW + SECOND)
    machine.on_mid(BTC, 0, NOW + SECOND)
    machine.on_mid(BTC, 97_000, NOW + 2 * SECOND)
    assert "volatility@venue:linear:BTCUSDT" == only(machine).name


def test_equal_rejects_when_in_a_row_then_the_strategy_halts_until_a_person_lifts():
    machine = made()
    for second in range(3):
        machine.on_reject(ACCOUNT, ALPHA, "no money", NOW + second * SECOND)
    row = only(machine)
    assert ("equal_rejects@alpha", Stage.HALTED, None) == (row.name, row.stage, row.until_ns)
    assert "3 equal refusals in a row: no money; at most 3" == row.reason
    assert LiftedBy.OPERATOR is row.lifted_by
    assert None is machine.lapse(NOW + 10**6 * SECOND)
    assert machine.table


@pytest.mark.parametrize(
    "rejects",
    [
        [("a", 0), ("a", 1), ("b", 2), ("a", 3)],
        [("a", 0), ("a", 1), ("a", 62)],
    ],
    ids=["another reason between", "too slow"],
)
def test_equal_rejects_when_not_equal_or_not_quick_then_none(rejects):
    machine = made()
    for reason, second in rejects:
        machine.on_reject(ACCOUNT, ALPHA, reason, NOW + second * SECOND)
    assert not machine.table


def test_equal_rejects_when_an_order_was_taken_between_then_counted_anew():
    machine = made()
    for _ in range(2):
        machine.on_reject(ACCOUNT, ALPHA, "a", NOW)
    machine.on_taken(ALPHA)
    for _ in range(2):
        machine.on_reject(ACCOUNT, ALPHA, "a", NOW)
    assert not machine.table


def test_flip_flop_when_the_direction_changes_too_often_then_halted_there():
    machine = made(msgspec.structs.replace(LIMITS, losses_in_row_max=0))
    size = 5
    for second in range(5):
        assert not machine.table
        machine.on_fill(closed(0, size), NOW + second * SECOND)
        machine.on_fill(closed(size, 0), NOW + second * SECOND)
        size = -size
    row = only(machine)
    assert "flip_flop@alpha/venue:linear:BTCUSDT" == row.name
    assert "4 changes of direction in 3.0 s; at most 4 in 60 s" == row.reason
    assert Stage.HALTED is row.stage


def test_order_storm_when_too_many_orders_then_the_strategy_halts():
    machine = made()
    for step in range(5):
        assert not machine.table
        machine.on_order(ACCOUNT, ALPHA, NOW + step * SECOND)
    row = only(machine)
    assert "order_storm@alpha" == row.name
    assert "5 opening orders in 4.0 s; at most 5 in 10 s" == row.reason


def test_order_storm_when_slow_or_of_several_strategies_then_none():
    machine = made()
    for step in range(40):
        machine.on_order(ACCOUNT, (ALPHA, BETA)[step % 2], NOW + step * 2 * SECOND)
    assert not machine.table


def test_protections_when_off_then_nothing_restricts():
    machine = made(OFF)
    for step in range(200):
        now_ns = NOW + step
        machine.on_order(ACCOUNT, ALPHA, now_ns)
        machine.on_reject(ACCOUNT, ALPHA, "a", now_ns)
        machine.on_mid(BTC, 100 + 50 * (step % 2), now_ns)
        size = 1 if step % 2 else -1
        machine.on_fill(closed(-size, size, -1, is_stop=True), now_ns)
    assert not machine.table


# the table ----------------------------------------------------------------------------------------


def test_rules_when_read_then_every_kind_has_one():
    assert set(ProtectionKind) == set(RULES)
    assert {ProtectionKind.DAILY_LOSS} == {
        kind for kind, rule in RULES.items() if not rule.operator_may_lift
    }
    for rule in RULES.values():
        assert rule.stage is not Stage.ACTIVE


def test_over_when_several_stand_then_the_strictest_speaks():
    machine = made()
    machine.enter(ProtectionKind.COOLDOWN, Scope(strategy_id=ALPHA), "a", NOW, NOW + SECOND)
    machine.enter(ProtectionKind.FLIP_FLOP, Scope(instrument_id=BTC), "b", NOW)
    machine.enter(ProtectionKind.DRAWDOWN, Scope(account_id=AccountId("x", "y")), "c", NOW)
    found = machine.table.over(ACCOUNT, ALPHA, BTC, NOW)
    assert found is not None
    assert "b" == found.reason
    found = machine.table.over(ACCOUNT, ALPHA, ETH, NOW)
    assert found is not None
    assert "a" == found.reason
    assert None is machine.table.over(ACCOUNT, BETA, ETH, NOW)
    assert not RestrictionTable()


def test_lift_when_asked_for_then_exactly_one_goes_and_its_count_starts_anew():
    machine = made()
    for _ in range(3):
        machine.on_reject(ACCOUNT, ALPHA, "a", NOW)
    machine.enter(ProtectionKind.ORDER_STORM, Scope(strategy_id=ALPHA), "b", NOW)
    machine.lift(ProtectionKind.EQUAL_REJECTS, Scope(strategy_id=ALPHA), "ann")
    assert "order_storm@alpha" == only(machine).name
    assert "ann" == machine.changes[-1].lifted_by
    for _ in range(2):
        machine.on_reject(ACCOUNT, ALPHA, "a", NOW)
    assert "order_storm@alpha" == only(machine).name
    assert None is machine.lift(ProtectionKind.COOLDOWN, Scope(strategy_id=ALPHA), "ann")


@pytest.mark.parametrize(
    "text",
    [
        "drawdown@bybit:main",
        "order_storm@alpha",
        "volatility@bybit:linear:BTCUSDT",
        "cooldown@alpha/bybit:spot:BTCUSDT",
        "operator@all",
    ],
)
def test_name_when_read_back_then_the_same(text):
    kind, scope = parse_name(text)
    assert text == f"{kind.value}@{scope}"


@pytest.mark.parametrize(
    "text",
    ["", "drawdown", "drowdown@bybit:main", "cooldown@", "cooldown@a:b:c:d", "cooldown@/a:b:c",
     "cooldown@a/b", "volatility@bybit:nowhere:X", "cooldown@a:b/bybit:linear:X"],
)  # fmt: skip
def test_name_when_it_is_none_then_refused_with_the_form(text):
    with pytest.raises(ConfigError):
        parse_name(text)


# configuration ------------------------------------------------------------------------------------


def test_overrides_when_both_name_a_figure_then_the_stricter_counts():
    limits = ProtectionLimits(
        strategies={
            "alpha": StrategyProtections(flip_flops_max=9, cooldown_after_stop_s=10),
            "beta": StrategyProtections(flip_flops_max=0),
        },
        symbols={
            "BTCUSDT": SymbolProtections(flip_flops_max=7, cooldown_after_stop_s=70),
            "venue:linear:ETHUSDT": SymbolProtections(volatility_halt_percent=Decimal(1)),
        },
    )
    both = bind_protections(limits, ALPHA, BTC)
    assert (7, 70 * SECOND) == (both.flip_flops, both.cooldown_ns)
    assert 9 == bind_protections(limits, ALPHA, ETH).flip_flops
    # One that is off is the weaker of two, and off where it is the only one.
    assert 7 == bind_protections(limits, BETA, BTC).flip_flops
    assert 0 == bind_protections(limits, BETA, ETH).flip_flops
    assert Decimal(1) == bind_protections(limits, None, ETH).volatility_percent
    assert Decimal(5) == bind_protections(limits, None, BTC).volatility_percent


def test_volatility_when_accounts_differ_then_the_strictest_counts_for_the_instrument():
    strict = msgspec.structs.replace(LIMITS, volatility_halt_percent=Decimal(1))
    machine = Protections(OFF, accounts={ACCOUNT: LIMITS, AccountId("v", "b"): strict})
    assert Decimal(1) == machine.volatility_bound(BTC).volatility_percent


@pytest.mark.parametrize("value", ["-1", "0.001", "1001", "NaN", "Infinity"])
def test_percent_when_out_of_range_then_refused(value):
    with pytest.raises(ConfigError, match="volatility_halt_percent"):
        ProtectionLimits(volatility_halt_percent=Decimal(value))


def test_limits_when_read_then_defaults_protect():
    limits = RiskLimits().protections
    for name in ("cooldown_after_stop_s", "losses_in_row_max", "equal_rejects_max",
                 "flip_flops_max", "order_storm_max", "volatility_halt_percent"):  # fmt: skip
        assert getattr(limits, name) > 0


# restart at any point -----------------------------------------------------------------------------


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["order", "reject", "taken", "fill", "lapse", "lift"]),
        st.sampled_from([ALPHA, BETA]),
        st.sampled_from([BTC, ETH]),
        st.integers(-3, 3),
        st.integers(0, 20),
    ),
    max_size=60,
)


class Feeder:
    """Feeds a machine steps; positions are those of the world, not of the machine."""

    def __init__(self, machine: Protections) -> None:
        self.machine = machine
        self.now_ns = NOW
        self.sizes: dict[tuple[StrategyId, InstrumentId], int] = {}

    def feed(self, step: tuple[str, StrategyId, InstrumentId, int, int]) -> None:
        what, strategy_id, instrument_id, number, seconds = step
        self.now_ns += seconds * SECOND // 2
        machine = self.machine
        if what == "order":
            machine.on_order(ACCOUNT, strategy_id, self.now_ns)
        elif what == "reject":
            machine.on_reject(ACCOUNT, strategy_id, f"reason {number % 2}", self.now_ns)
        elif what == "taken":
            machine.on_taken(strategy_id)
        elif what == "fill":
            key = (strategy_id, instrument_id)
            before = self.sizes.get(key, 0)
            self.sizes[key] = number
            fill = closed(
                before,
                number,
                -number,
                is_stop=seconds % 3 == 0,
                strategy_id=strategy_id,
                instrument_id=instrument_id,
            )
            machine.on_fill(fill, self.now_ns)
        elif what == "lapse":
            machine.lapse(self.now_ns)
        else:
            for row in machine.table:
                if row.lifted_by is LiftedBy.OPERATOR:
                    machine.lift(row.kind, row.scope, "ann")


class _Kept(msgspec.Struct):
    rows: tuple[Restriction, ...]
    strategies: tuple[StrategyRecord, ...]
    pairs: tuple[PairRecord, ...]


def restarted(machine: Protections) -> Protections:
    """Take a machine's state through bytes into a new one."""
    kept = _Kept(tuple(machine.table), machine.strategy_records(), machine.pair_records())
    read = msgspec.json.decode(msgspec.json.encode(kept), type=_Kept)
    again = made()
    again.restore(read.rows, read.strategies, read.pairs)
    return again


@settings(max_examples=150)
@given(before=_STEPS, after=_STEPS)
def test_restart_when_at_any_point_then_everything_goes_on_the_same(before, after):
    first = Feeder(made())
    for step in before:
        first.feed(step)
    second = Feeder(restarted(first.machine))
    second.now_ns, second.sizes = first.now_ns, dict(first.sizes)
    assert list(first.machine.table) == list(second.machine.table)
    first.machine.changes.clear()
    for step in after:
        first.feed(step)
        second.feed(step)
        assert first.machine.changes == second.machine.changes
        assert list(first.machine.table) == list(second.machine.table)
    assert first.machine.strategy_records() == second.machine.strategy_records()
    assert first.machine.pair_records() == second.machine.pair_records()


@given(steps=_STEPS)
def test_memory_when_fed_at_length_then_no_window_is_longer_than_its_threshold(steps):
    feeder = Feeder(made())
    for step in steps * 5:
        feeder.feed(step)
        for record in feeder.machine.strategy_records():
            assert len(record.orders_ns) < LIMITS.order_storm_max
            assert len(record.rejects_ns) < LIMITS.equal_rejects_max
        for pair in feeder.machine.pair_records():
            assert len(pair.flips_ns) < LIMITS.flip_flops_max
    assert len(feeder.machine.table) <= 2 * 3 + 2 * 2 * 2
