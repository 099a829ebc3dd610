"""What holds for every sequence: no limit is passed, refusals have figures, quick is right."""

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.portfolio.worlds import (
    ACCOUNT,
    ALPHA,
    BETA,
    balance,
    fill,
    inverse,
    linear,
    money,
    spot,
)
from tests.unit.risk.rooms import WIDE, Desk, book_of
from tickwright.core.events import AccountState
from tickwright.core.orders import OrderType, Side
from tickwright.core.restrictions import ProtectionKind, Restriction, Scope
from tickwright.core.verdicts import Approved, Rejected
from tickwright.risk import RiskLimits
from tickwright.risk.checks import (
    CLOSING_ROOMS,
    CLOSING_TESTS,
    FINAL_TESTS,
    OPENING_ROOMS,
    OPENING_TESTS,
)
from tickwright.risk.groups import RiskGroup
from tickwright.risk.memory import JudgedLane
from tickwright.risk.plain_order import ANSWERED_FOR
from tickwright.risk.protections_table import RULES
from tickwright.risk.rooms import fits_every_room

SIDES = st.sampled_from([Side.BUY, Side.SELL])
LIMITS: RiskLimits = msgspec.structs.replace(
    WIDE,
    position_percent_max=Decimal(50),
    exposure_percent_max=Decimal(80),
    order_notional_usdt_max=Decimal(3_000),
    deny_conflicting_position=False,
    orders_per_second_max=25,
    orders_per_minute_max=25,
    open_orders_per_instrument_max=6,
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("order"), SIDES, st.integers(-5, 400), st.integers(0, 1)),
        st.tuples(st.just("fill"), SIDES, st.integers(1, 200), st.integers(0, 1)),
        st.tuples(st.just("cancel"), SIDES, st.just(0), st.integers(0, 1)),
    ),
    max_size=60,
)


class Market:
    """Two instruments at constant prices with a plain count of working orders, the test's own."""

    def __init__(self) -> None:
        self.desk = Desk(LIMITS)
        self.instruments = [self.desk.instrument, linear("ETHUSDT", base="ETH")]
        self.desk.portfolio.set_instrument(self.instruments[1])
        self.desk.portfolio.set_mark(self.instruments[1].id, 6_000_000)
        self.books = [book_of(instrument) for instrument in self.instruments]
        self.working: list[list[tuple[Side, int]]] = [[], []]
        self.held = [0, 0]
        self.approved = 0

    def order(self, side: Side, size_units: int, which: int) -> None:
        desk = self.desk
        desk.instrument, desk.book = self.instruments[which], self.books[which]
        verdict = desk.ask(
            desk.intent(side, size_units), strategy_id=ALPHA if size_units % 2 else BETA
        )
        if isinstance(verdict, Rejected):
            assert verdict.check.value
            assert verdict.check.bound
            return
        assert 0 < verdict.size_units <= size_units
        assert verdict.size_units * 60 * 10**18 // 1000 <= money(3_000)
        self.approved += 1
        self.working[which].append((side, verdict.size_units))
        self.tell(which)

    def fill(self, side: Side, size_units: int, which: int) -> None:
        for n, (order_side, left) in enumerate(self.working[which]):
            if order_side is side:
                part = min(left, size_units)
                row = fill(self.instruments[which], side, part, 6_000_000)
                # The fill is seen first and the order's rest after: the worse moment.
                self.desk.portfolio.apply_fill(row, ALPHA)
                self.held[which] += part * side
                if left == part:
                    del self.working[which][n]
                else:
                    self.working[which][n] = (side, left - part)
                self.tell(which)
                return

    def cancel(self, side: Side, _: int, which: int) -> None:
        kept = [order for order in self.working[which] if order[0] is not side]
        self.working[which] = kept
        self.tell(which)

    def tell(self, which: int) -> None:
        orders = self.working[which]
        self.desk.portfolio.set_working(
            ACCOUNT,
            self.instruments[which].id,
            buy_units=sum(size for side, size in orders if side is Side.BUY),
            sell_units=sum(size for side, size in orders if side is Side.SELL),
            open_orders=len(orders),
        )

    def exposure_units(self, which: int) -> int:
        """Return the worst size the orders of this test could still make."""
        buys = sum(size for side, size in self.working[which] if side is Side.BUY)
        sells = sum(size for side, size in self.working[which] if side is Side.SELL)
        return max(abs(self.held[which] + buys), abs(self.held[which] - sells))


@given(steps)
def test_gate_when_any_sequence_of_intents_and_fills_then_no_limit_is_passed(
    sequence: list[tuple[str, Side, int, int]],
):
    market = Market()
    for action, side, size_units, which in sequence:
        getattr(market, action)(side, size_units, which)
        # 10,000 USDT at 60 USDT a unit: 50 % is 83 units, 80 % is 133; the price never moves.
        worst = [market.exposure_units(0), market.exposure_units(1)]
        assert max(worst) <= 83
        assert sum(worst) <= 133
        assert market.approved <= 25
        assert all(len(orders) <= 6 for orders in market.working)
        assert sum(worst) * money(60) == market.desk.portfolio.exposure(ACCOUNT)


intents = st.fixed_dictionaries(
    {
        "side": SIDES,
        "size_units": st.sampled_from([-1, 0, 1, 10, 83, 84, 500, 1_000_000, 10**30]),
        "price_units": st.sampled_from(
            [None, 0, 5_700_000, 5_699_990, 6_000_000, 6_000_001, 6_300_000, 6_300_010]
        ),
        "order_type": st.sampled_from([OrderType.LIMIT, OrderType.MARKET]),
        "stop_loss_price_units": st.sampled_from(
            [None, None, 5_990_000, 6_010_000, 5_999_999, 6_000_000]
        ),
        "take_profit_price_units": st.sampled_from([None, None, 5_990_000, 6_010_000, 0]),
        "trigger_price_units": st.sampled_from([None, None, None, 5_990_000, 1]),
        "reduce_only": st.booleans(),
        "valid_until_ns": st.sampled_from([0, 1]),
    }
)
states = st.fixed_dictionaries(
    {
        "position": st.integers(-100, 100),
        "buys": st.integers(0, 100),
        "sells": st.integers(0, 100),
        "open_orders": st.integers(0, 8),
        "is_synced": st.booleans(),
        "age_ns": st.sampled_from([0, 5_000_000_000, 5_000_000_001]),
        "mark": st.sampled_from([None, 5_000_000, 6_000_000]),
        "engine_halt": st.sampled_from(["", "", "", "stop"]),
        "is_ready": st.booleans(),
        "reduce_only": st.booleans(),
        "spread_bps": st.sampled_from([Decimal("0.01"), Decimal(50)]),
    }
)


@given(intents, states)
def test_quick_answers_when_they_say_yes_then_every_single_check_agrees(
    wish: dict[str, Any], state: dict[str, Any]
):
    desk = Desk(
        msgspec.structs.replace(
            LIMITS, reduce_only=state["reduce_only"], spread_bps_max=state["spread_bps"]
        )
    )
    if state["position"]:
        side = Side.BUY if state["position"] > 0 else Side.SELL
        desk.portfolio.apply_fill(
            fill(desk.instrument, side, abs(state["position"]), 6_000_000), ALPHA
        )
    desk.portfolio.set_mark(desk.instrument.id, state["mark"])
    desk.portfolio.set_working(
        ACCOUNT,
        desk.instrument.id,
        buy_units=state["buys"],
        sell_units=state["sells"],
        open_orders=state["open_orders"],
    )
    assert desk.book is not None
    if not state["is_synced"]:
        desk.book.mark_stale("gap")
    desk.now_ns += state["age_ns"]
    desk.view.engine_halt = state["engine_halt"]
    if not state["is_ready"]:
        desk.view.ready_accounts.clear()
    market_price = wish["order_type"] is OrderType.MARKET and wish["price_units"] == 6_000_000
    intent = desk.intent(**{**wish, "price_units": None} if market_price else wish)
    told = desk.gate.explain(
        intent,
        strategy_id=ALPHA,
        account_id=ACCOUNT,
        now_ns=desk.now_ns,
        book=desk.book,
        instrument=desk.instrument,
        view=desk.view,
    )
    verdict = desk.ask(intent)
    # The explanation asks every check by itself; the verdict may have taken the quick way.
    refusals = [result.reason for result in told if result.outcome == "refused"]
    if isinstance(verdict, Approved):
        assert refusals == []
        assert [result.reason for result in told if result.outcome == "reduced"] == [
            check.reason for check in verdict.reduced_by
        ]
    else:
        assert refusals
        assert refusals[0] is verdict.reason


@given(st.integers(-200, 200), st.integers(0, 200), st.integers(0, 200), SIDES, st.integers(1, 300))
def test_fits_every_room_when_asked_then_it_agrees_with_the_rooms(
    position: int, buys: int, sells: int, side: Side, size_units: int
):
    desk = Desk(msgspec.structs.replace(LIMITS, reduce_to_fit=False))
    if position:
        held = Side.BUY if position > 0 else Side.SELL
        desk.portfolio.apply_fill(fill(desk.instrument, held, abs(position), 6_000_000), ALPHA)
    desk.portfolio.set_working(
        ACCOUNT, desk.instrument.id, buy_units=buys, sell_units=sells, open_orders=0
    )
    verdict = desk.ask(desk.intent(side, size_units))
    desk.gate.explain(
        desk.intent(side, size_units),
        strategy_id=ALPHA,
        account_id=ACCOUNT,
        now_ns=desk.now_ns,
        book=desk.book,
        instrument=desk.instrument,
        view=desk.view,
    )
    question = desk.gate.question
    question.size_units = size_units
    fits = all(room.units(question) >= size_units for room in OPENING_ROOMS)
    lane = desk.gate.lane(ACCOUNT, ALPHA, desk.instrument.id, desk.portfolio)
    assert isinstance(lane, JudgedLane)
    assert question.equity is not None
    is_fitting = fits_every_room(
        lane,
        size_units,
        question.held_units + size_units,
        question.worth,
        question.worth_scale,
        question.equity,
        side is Side.BUY,
    )
    assert fits == is_fitting == isinstance(verdict, Approved)


def test_plain_answer_when_a_limit_is_added_then_it_must_speak_for_it():
    tables = (OPENING_TESTS, CLOSING_TESTS, FINAL_TESTS, OPENING_ROOMS, CLOSING_ROOMS)
    assert {check.reason for table in tables for check in table} == ANSWERED_FOR


def test_tests_when_listed_then_each_reason_is_asked_once():
    for tests in (OPENING_TESTS, CLOSING_TESTS):
        reasons = [test.reason for test in tests]
        assert len(reasons) == len(set(reasons))


GROUP = ("BTCUSDT", "ETHUSDT", "BTCUSD")
mostly_kept = st.fixed_dictionaries(
    {},
    optional={
        "net_exposure_percent_max": st.sampled_from([Decimal(5), Decimal(40)]),
        "positions_max": st.sampled_from([1, 2]),
        "position_notional_usdt_max": st.sampled_from([Decimal(500), Decimal(4_000)]),
        "total_notional_usdt_max": st.sampled_from([Decimal(4_000), Decimal(6_000)]),
        "margin_use_percent_max": st.sampled_from([Decimal(5), Decimal(90)]),
        "order_size_max": st.sampled_from([Decimal("0.005"), Decimal(1)]),
        "depth_notional_usdt_min": st.sampled_from([Decimal(100), Decimal(10**7)]),
        "deny_conflicting_position": st.booleans(),
        "deny_opposite_orders": st.booleans(),
        "deny_unknown_clock": st.booleans(),
        "reduce_to_fit": st.booleans(),
        "trading_hours": st.sampled_from([("00:00-24:00",), ("mon 00:00-00:01",)]),
        "funding_pause_before_s": st.sampled_from([60, 3_600]),
        "funding_pause_after_s": st.sampled_from([60, 3_600]),
        "order_to_fill_ratio_max": st.sampled_from([Decimal(1), Decimal(100)]),
        "order_to_fill_orders_min": st.sampled_from([1, 5]),
        "loss_streak_max": st.sampled_from([1, 2]),
        "orders_per_second_max": st.sampled_from([1, 3]),
        "cancels_per_second_max": st.sampled_from([1, 3]),
        "groups": st.sampled_from(
            [
                (
                    RiskGroup(
                        name="all",
                        symbols=GROUP,
                        exposure_percent_max=Decimal(percent),
                        direction=direction,
                    ),
                )
                for percent in (10, 70)
                for direction in ("gross", "net", "long", "short")
            ]
        ),
    },
)
worlds = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["linear", "linear", "spot", "inverse"]),
        "position": st.integers(-60, 60),
        "buys": st.integers(0, 30),
        "sells": st.integers(0, 30),
        "other": st.integers(-60, 60),
        "initial_margin": st.sampled_from([None, 0, 3_000, 9_000]),
        "skew_ns": st.sampled_from([None, 1_000_000, 10**9]),
        "funding_s": st.sampled_from([None, 30, 900, 7_200]),
        "mark_age_s": st.sampled_from([None, 1, 1_000]),
        "before": st.lists(st.sampled_from(["order", "cancel", "fill", "loss", "win"]), max_size=4),
        "restricted": st.sampled_from([None, None, None, "here", "elsewhere"]),
        "later_ns": st.sampled_from([0, 500_000_000, 1_500_000_000]),
    }
)


@given(
    mostly_kept,
    worlds,
    SIDES,
    st.sampled_from([1, 5, 40, 90]),
    st.booleans(),
    st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]),
)
def test_plain_answer_when_limits_and_world_vary_then_every_single_check_agrees(
    changes: dict[str, Any],
    world: dict[str, Any],
    side: Side,
    size: int,
    closes: bool,
    order_type: OrderType,
):
    desk = _desk_of(changes, world)
    instrument = desk.instrument
    # Sizes of about 60 to 5,000 USDT, whatever one unit is worth.
    unit = {"linear": 1, "spot": 1_000, "inverse": 60}[world["kind"]]
    intent = desk.intent(
        side, size * unit, reduce_only=closes and world["kind"] != "spot", order_type=order_type
    )
    told = desk.gate.explain(
        intent,
        strategy_id=ALPHA,
        account_id=ACCOUNT,
        now_ns=desk.now_ns,
        book=desk.book,
        instrument=instrument,
        view=desk.view,
    )
    refusals = [result.reason for result in told if result.outcome == "refused"]
    reduced = [result.reason for result in told if result.outcome == "reduced"]
    verdict = desk.ask(intent)
    if isinstance(verdict, Approved):
        assert (refusals, reduced) == ([], [check.reason for check in verdict.reduced_by])
    else:
        assert refusals[0] is verdict.reason


@given(mostly_kept, worlds, SIDES, st.integers(0, 40), st.booleans())
def test_passes_beside_when_it_says_yes_then_the_gate_approves_the_order_taken_out(
    changes: dict[str, Any], world: dict[str, Any], side: Side, others: int, closes: bool
):
    desk = _desk_of(changes, world)
    unit = {"linear": 1, "spot": 1_000, "inverse": 60}[world["kind"]]
    intent = desk.intent(side, 5 * unit, reduce_only=closes and world["kind"] != "spot")
    beside = (world["buys"] * unit, others * unit, 1)
    own = (0, 0) if intent.reduce_only else (5 * unit, 0) if side is Side.BUY else (0, 5 * unit)
    portfolio, holding = desk.portfolio, desk.portfolio.holding(ACCOUNT, desk.instrument.id)

    def work(buys: int, sells: int, count: int) -> None:
        portfolio.set_working(
            ACCOUNT, desk.instrument.id, buy_units=buys, sell_units=sells, open_orders=count
        )

    work(beside[0] + own[0], beside[1] + own[1], 2)
    asked: dict[str, Any] = {
        "strategy_id": ALPHA,
        "account_id": ACCOUNT,
        "now_ns": desk.now_ns,
        "book": desk.book,
        "instrument": desk.instrument,
        "view": desk.view,
    }
    says_yes = desk.gate.passes_beside(intent, working=beside, **asked)
    assert (beside[0] + own[0], beside[1] + own[1], 2) == (
        holding.working_buy_units,
        holding.working_sell_units,
        holding.open_orders,
    )
    work(*beside)
    verdict = desk.gate.check_amend(intent, raises_size=False, **asked)
    assert not says_yes or Approved(intent.size_units) == verdict


def _desk_of(changes: dict[str, Any], world: dict[str, Any]) -> Desk:
    """Make a desk whose account, market and memory are as the world says."""
    made = {"linear": linear, "spot": spot, "inverse": inverse}[world["kind"]]()
    desk = Desk(msgspec.structs.replace(LIMITS, **changes), instrument=made)
    portfolio, unit = desk.portfolio, {"linear": 1, "spot": 1_000, "inverse": 60}[world["kind"]]
    other = linear("ETHUSDT", base="ETH")
    portfolio.set_instrument(other)
    portfolio.set_mark(other.id, 6_000_000)
    for instrument, held in ((made, world["position"] * unit), (other, world["other"])):
        if instrument.is_spot:
            portfolio.apply_balance(balance("BTC", money(abs(held)) // 1_000_000))
        elif held:
            way = Side.BUY if held > 0 else Side.SELL
            portfolio.apply_fill(fill(instrument, way, abs(held), 6_000_000), ALPHA)
    buys, sells = world["buys"] * unit, world["sells"] * unit
    portfolio.set_working(ACCOUNT, made.id, buy_units=buys, sell_units=sells, open_orders=2)
    if world["initial_margin"] is not None:
        portfolio.note_totals(
            AccountState(
                account_id=ACCOUNT,
                equity=money(10_000),
                available=money(1_000),
                initial_margin=money(world["initial_margin"]),
                maintenance_margin=0,
                venue_ns=1,
                received_ns=1,
            )
        )
    if world["skew_ns"] is not None:
        desk.view.clock_skew_ns[ACCOUNT.venue] = world["skew_ns"]
    if world["funding_s"] is not None:
        portfolio.set_funding_time(made.id, desk.now_ns + world["funding_s"] * 10**9)
    if world["mark_age_s"] is not None:
        told_ns = desk.now_ns - world["mark_age_s"] * 10**9
        portfolio.set_mark(made.id, 6_000_000, now_ns=told_ns, mid_twice_units=11_999_990)
    if world["restricted"] is not None:
        where = made.id if world["restricted"] == "here" else other.id
        desk.view.restrictions.put(
            Restriction(
                kind=ProtectionKind.COOLDOWN,
                scope=Scope(strategy_id=ALPHA, instrument_id=where),
                stage=RULES[ProtectionKind.COOLDOWN].stage,
                lifted_by=RULES[ProtectionKind.COOLDOWN].lifted_by,
                reason="a stop",
                since_ns=desk.now_ns,
                until_ns=desk.now_ns + 10**12,
            )
        )
    for what in world["before"]:
        if what == "order":
            desk.ask(desk.intent(Side.BUY, unit))
        elif what == "cancel":
            desk.gate.note_cancel(ACCOUNT, desk.now_ns)
        elif what == "fill":
            desk.gate.note_fill(ACCOUNT, desk.now_ns)
        else:
            result = money(-1 if what == "loss" else 1)
            desk.gate.note_trade(ACCOUNT, ALPHA, result, desk.view)
    desk.now_ns += world["later_ns"]
    return desk
