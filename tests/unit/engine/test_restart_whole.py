"""A restarted engine stands where one that never died stands: shares, plans, sums, orders."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    CONFIG,
    ETH,
    MS,
    SECOND,
    Bench,
    Scripted,
    instrument,
    leave,
    long,
    short,
    venue_id,
)
from tickwright.core.commands import PlaceOrder
from tickwright.core.events import (
    BalanceReport,
    Input,
    OrderReport,
    PromisedOrder,
    PromisesRestored,
    Reconciliation,
    SyncReport,
)
from tickwright.core.exits import Exits
from tickwright.core.identity import ClientId, StrategyId
from tickwright.core.kept_state import KeptState
from tickwright.core.orders import Fill, OrderState, Side
from tickwright.engine import EngineConfig
from tickwright.engine.engine import Engine
from tickwright.execution import ExecutionConfig

KEEP = msgspec.structs.replace(
    CONFIG, execution=ExecutionConfig(brackets="synthetic", adopted_orders="keep")
)
EXITS = (
    None,
    Exits(trailing_fraction=0.002),
    Exits(trailing_fraction=0.001, activation_fraction=0.001),
    Exits(break_even_after_fraction=0.001),
    Exits(time_stop_ms=600_000),
)


class World(Bench):
    """A bench whose venue remembers what it made, so that a restart can be told."""

    def __init__(self, config: EngineConfig = KEEP, **options: Any) -> None:
        self.made: list[Fill] = []
        super().__init__(
            config,
            strategies={"one": Scripted(), "two": Scripted()},
            instruments=(instrument(), instrument(ETH)),
            **options,
        )

    def handle(self, event: Input, *, after_ms: float = 0) -> list[Any]:
        if isinstance(event, Fill):
            self.made.append(event)
        return super().handle(event, after_ms=after_ms)

    def filled(self, client_id: ClientId) -> int:
        return sum(fill.size_units for fill in self.made if fill.client_id == client_id)

    def orders(self) -> list[PlaceOrder]:
        return [command for command in self.log if isinstance(command, PlaceOrder)]

    def live(self) -> list[PlaceOrder]:
        """The orders that rest at the venue: the engine's own view, which is proven here."""
        names = {record.client_id for record in self.engine.state.blotter.live()}
        return [order for order in self.orders() if order.client_id in names]

    def read(self, since_ns: int = 0) -> SyncReport:
        """The whole account as the venue tells it."""
        held = self.engine.state.portfolio.balance(ACCOUNT, "USDT").amount
        return SyncReport(
            account_id=ACCOUNT,
            orders=tuple(self.shown(order) for order in self.live()),
            positions=tuple(
                self.position_report(self.net(one), one) for one in (BTC, ETH) if self.net(one)
            ),
            balances=(
                BalanceReport(
                    account_id=ACCOUNT,
                    asset="USDT",
                    wallet_balance=held,
                    locked=0,
                    venue_ns=self.now_ns,
                    received_ns=self.now_ns,
                ),
            ),
            fills=tuple(fill for fill in self.made if fill.venue_ns >= since_ns),
            venue_ns=self.now_ns,
        )

    def shown(self, order: PlaceOrder) -> OrderReport:
        filled = self.filled(order.client_id)
        return OrderReport(
            account_id=ACCOUNT,
            instrument_id=order.instrument_id,
            client_id=order.client_id,
            venue_id=venue_id(order.client_id),
            side=order.side,
            order_type=order.order_type,
            state=OrderState.PARTLY_FILLED if filled else OrderState.WORKING,
            price_units=order.price_units,
            size_units=order.size_units,
            filled_units=filled,
            reason="",
            venue_ns=self.now_ns,
            received_ns=self.now_ns,
            reduce_only=order.reduce_only,
            is_from_query=True,
        )


class Life:
    """Random trading in a world."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.world = World()

    def step(self) -> None:
        chance, world = self.chance, self.world
        draw, by = chance.random(), chance.choice(["one", "two"])
        where = chance.choice([BTC, ETH])
        bid = chance.randint(599_000, 601_000)
        if draw < 0.35:
            make = chance.choice([long, short])
            world.book(bid, instrument_id=where, after_ms=0)
            strategy = world.strategies[by]
            assert isinstance(strategy, Scripted)
            strategy.answers.append(make(where, exits=chance.choice(EXITS)))
            world.book(bid, instrument_id=where)
            self.acknowledge()
        elif draw < 0.5:
            strategy = world.strategies[by]
            assert isinstance(strategy, Scripted)
            strategy.answers.append(leave(where))
            world.book(bid, instrument_id=where)
            self.acknowledge()
        elif draw < 0.8:
            self.trade()
        elif draw < 0.9:
            world.book(bid, instrument_id=where)
            self.acknowledge()
        else:
            world.pass_time(chance.choice([100, 5_000, 100_000]))
            world.handle(Reconciliation(world.read(world.now_ns - 60 * SECOND)))

    def acknowledge(self) -> None:
        for order in self.world.places():
            self.world.ack(order)

    def trade(self) -> None:
        """Let the venue execute some of an order that rests there."""
        world, chance = self.world, self.chance
        if not (live := world.live()):
            return
        order = chance.choice(live)
        left = order.size_units - world.filled(order.client_id)
        if left:
            size = left if chance.random() < 0.6 else chance.randint(1, left)
            price = (order.price_units or 600_000) + chance.randint(-50, 50)
            world.fill(order, size, price=price, fee=chance.randint(0, 10**15))
        else:
            world.report(order, OrderState.FILLED, filled=order.size_units)


def restarted(world: World, kept: KeptState, dead: list[PlaceOrder]) -> World:
    """Start anew from what was kept; `dead` is what the journal holds open."""
    again = World(kept=kept, is_synced=False, now_ns=world.now_ns, epoch=8)
    again.made = list(world.made)
    again.execution_count = world.execution_count
    again.handle(
        PromisesRestored(
            account_id=ACCOUNT,
            orders=tuple(
                PromisedOrder(
                    client_id=order.client_id,
                    instrument_id=order.instrument_id,
                    side=order.side,
                    size_units=order.size_units,
                    order_type=order.order_type,
                    price_units=order.price_units,
                    reduce_only=order.reduce_only,
                    leg=order.leg,
                    trigger_price_units=order.trigger_price_units,
                )
                for order in dead
            ),
        )
    )
    again.handle(world.read(kept.seen_ns(ACCOUNT)))
    for order in dead:
        # Each is asked about: its executions of all times are told again.
        for fill in world.made:
            if fill.client_id == order.client_id:
                Bench.handle(again, fill)
        if world.filled(order.client_id) == order.size_units:
            again.report(order, OrderState.FILLED, filled=order.size_units, is_from_query=True)
            world.report(order, OrderState.FILLED, filled=order.size_units)
    return again


def standing(engine: Engine) -> dict[str, Any]:
    """Everything that must be the same, in figures."""
    state = engine.state
    found: dict[str, Any] = {}
    for instrument_id in (BTC, ETH):
        holding = state.portfolio.holding(ACCOUNT, instrument_id)
        for leg, book in holding.legs.items():
            for name, one in (("all", book.position), *book.shares.items()):
                sums = (one.size_units, one.cost, one.realised, one.funding, dict(one.fees))
                rest = (one.traded, one.fill_count, one.opened_ns)
                if any(sums[:4]) or one.fees or one.fill_count:
                    found[f"{instrument_id} {leg.value} {name}"] = (*sums, *rest)
        working = state.blotter.working(ACCOUNT, instrument_id)
        found[f"{instrument_id} working"] = (
            working.buy_units,
            working.sell_units,
            working.reduce_buy_units,
            working.reduce_sell_units,
            working.open_orders,
            working.unknown_requests,
        )
    account = state.portfolio.account(ACCOUNT)
    found["money"] = (
        account.purse("USDT").balance.amount,
        account.unexplained,
        account.day_base,
    )
    for key, plan in state.plans.items():
        if not (plan.size_units or plan.entry_id or plan.exit_id):
            continue
        levels = plan.levels
        found[f"plan {key}"] = (
            plan.size_units,
            plan.opened_ns if plan.size_units else 0,
            plan.exits,
            plan.entry_id,
            plan.exit_id,
            plan.closing,
            plan.bracket,
            None
            if levels is None
            else (
                levels.entry_units,
                levels.follows and levels.best_twice,
                levels.stop_units,
                levels.take_units,
            ),
        )
    for name, run in state.runs.items():
        found[f"trades {name}"] = tuple(run.trades.under_way())
        found[f"returns {name}"] = run.returns.fractions()
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=3601090)
def test_restart_when_the_venue_went_on_meanwhile_then_equal_to_one_that_never_died(
    seed: int,
) -> None:
    chance = random.Random(seed)
    life = Life(chance)
    world = life.world
    for _ in range(chance.randint(3, 60)):
        life.step()
    for where in (BTC, ETH):
        # Both see the same market last; the next process begins with it.
        world.book(600_000, instrument_id=where)
        life.acknowledge()
    kept = world.engine.kept_state()
    dead = world.live()
    for _ in range(chance.randint(0, 6)):
        # The process is gone; orders that rest at the venue are executed there.
        life.trade()
        world.now_ns += chance.choice([1, 900]) * MS
    again = restarted(world, kept, dead)
    ours, theirs = standing(world.engine), standing(again.engine)
    for key in {*ours, *theirs}:
        assert ours.get(key) == theirs.get(key), key
    assert {} == again.engine.summary().halted_instruments
    for bid in [chance.randint(599_000, 601_000) for _ in range(10)]:
        where = chance.choice([BTC, ETH])
        for one in (world, again):
            one.now_ns = max(world.now_ns, again.now_ns)
            one.book(bid, instrument_id=where, after_ms=0)
    shown = {key: row[-1] for key, row in standing(world.engine).items() if key.startswith("plan")}
    assert shown == {
        key: row[-1] for key, row in standing(again.engine).items() if key.startswith("plan")
    }


# one by one ---------------------------------------------------------------------------------------


def promise(order: PlaceOrder) -> PromisedOrder:
    return PromisedOrder(
        client_id=order.client_id,
        instrument_id=order.instrument_id,
        side=order.side,
        size_units=order.size_units,
        order_type=order.order_type,
        price_units=order.price_units,
        reduce_only=order.reduce_only,
        leg=order.leg,
        trigger_price_units=order.trigger_price_units,
        planned=order.planned,
    )


def test_entry_when_sent_after_the_state_was_written_then_left_as_its_signal_said() -> None:
    world = World()
    kept = world.engine.kept_state()
    world.say(long(BTC, exits=Exits(trailing_fraction=0.002, time_stop_ms=60_000)))
    order = world.placed()
    world.execute(order)
    again = World(kept=kept, is_synced=False, now_ns=world.now_ns, epoch=8)
    again.handle(PromisesRestored(account_id=ACCOUNT, orders=(promise(order),)))
    again.handle(world.read())
    ours, theirs = (one.engine.state.plans[StrategyId("one"), BTC] for one in (world, again))
    assert ours.exits == theirs.exits
    assert 0.002 == theirs.exits.trailing_fraction
    assert (ours.bracket, ours.opened_ns) == (theirs.bracket, theirs.opened_ns)


def test_promise_when_the_written_state_knows_its_order_then_the_plan_stays() -> None:
    world = World()
    world.say(long(BTC, exits=Exits(trailing_fraction=0.002)))
    order = world.placed()
    kept = world.engine.kept_state()
    again = World(kept=kept, is_synced=False, now_ns=world.now_ns, epoch=8)
    stranger = msgspec.structs.replace(promise(order), planned=None)
    again.handle(PromisesRestored(account_id=ACCOUNT, orders=(stranger,)))
    assert 0.002 == again.engine.state.plans[StrategyId("one"), BTC].exits.trailing_fraction


def test_position_when_the_venue_closed_it_meanwhile_then_flat_and_told() -> None:
    world = World()
    world.say(long(BTC))
    world.execute(world.placed())
    held = world.net()
    again = World(kept=world.engine.kept_state(), is_synced=False, now_ns=world.now_ns, epoch=8)
    assert held == again.share()
    again.sync()
    assert (0, 0) == (again.net(), again.share())
    assert {} == again.engine.summary().halted_instruments
    (told,) = [halt.reason for halt in again.halts() if "was taken" in halt.reason]
    assert f"{BTC} net: {held} was kept, 0 is at the venue and was taken" == told


def test_position_when_the_venue_holds_more_then_the_rest_is_unowned() -> None:
    world = World()
    world.say(long(BTC))
    world.execute(world.placed())
    held = world.net()
    again = World(kept=world.engine.kept_state(), is_synced=False, now_ns=world.now_ns, epoch=8)
    again.sync(positions=(again.position_report(held + 5),))
    unowned = again.engine.state.portfolio.strategy_position(None, ACCOUNT, BTC).size_units
    assert (held + 5, held, 5) == (again.net(), again.share(), unowned)


def test_share_when_its_strategy_is_gone_then_kept_and_told() -> None:
    world = World()
    world.say(long(BTC), by="two")
    world.execute(world.placed())
    held = world.net()
    again = Bench(
        KEEP,
        kept=world.engine.kept_state(),
        is_synced=False,
        now_ns=world.now_ns,
        instruments=(instrument(), instrument(ETH)),
    )
    again.handle(world.read())
    assert held == again.share("two")
    assert any("two of an earlier run holds" in halt.reason for halt in again.halts())
    assert [] == [plan for plan in again.engine.state.plans.values() if plan.size_units]


def test_nothing_when_the_account_was_not_compared_yet_then_sent() -> None:
    world = World()
    world.say(long(BTC, exits=Exits(time_stop_ms=1_000)))
    world.execute(world.placed())
    again = World(
        kept=world.engine.kept_state(), is_synced=False, now_ns=world.now_ns + 5 * SECOND, epoch=8
    )
    again.book(500_000)
    again.pass_time(10_000)
    assert [] == again.orders()
    again.now_ns += MS
    again.handle(msgspec.structs.replace(world.read(), venue_ns=again.now_ns))
    again.book(500_000)
    again.pass_time(6_000)
    (order,) = again.orders()
    assert (Side.SELL, world.net(), True) == (order.side, order.size_units, order.reduce_only)


def test_reading_when_an_execution_came_while_it_was_under_way_then_not_undone() -> None:
    world = World()
    world.say(long(BTC))
    order = world.placed()
    world.ack(order)
    asked_ns = world.now_ns
    older = (world.position_report(0),)
    world.fill(order, 50)
    world.handle(msgspec.structs.replace(world.read(), positions=older, venue_ns=asked_ns))
    assert (50, 50) == (world.net(), world.share())
    # One made before the reading began is no excuse: the venue wins.
    world.handle(msgspec.structs.replace(world.read(), positions=older, venue_ns=world.now_ns + 1))
    assert (0, 0) == (world.net(), world.share())


@pytest.mark.parametrize("decimals", [0, 2])
def test_levels_when_the_prices_mean_something_else_now_then_computed_anew(decimals: int) -> None:
    world = World()
    world.say(long(BTC, exits=Exits(trailing_fraction=0.002)))
    world.execute(world.placed())
    kept = world.engine.kept_state()
    (record,) = kept.plans
    changed = msgspec.structs.replace(record, price_decimals=decimals)
    again = World(
        kept=msgspec.structs.replace(kept, plans=(changed,)),
        is_synced=False,
        now_ns=world.now_ns,
        epoch=8,
    )
    ours, theirs = (one.engine.state.plans[StrategyId("one"), BTC] for one in (world, again))
    assert ours.levels is not None
    assert theirs.levels is not None
    assert ours.levels.entry_units == theirs.levels.entry_units
    assert ours.exits == theirs.exits


def test_ids_when_older_than_the_window_then_known_by_their_time() -> None:
    world = World()
    for number in range(5):
        world.say(long(BTC) if number % 2 == 0 else leave(BTC))
        world.execute(world.placed())
        world.pass_time(100_000)
    world.handle(Reconciliation(world.read()))
    kept = world.engine.kept_state()
    (account,) = kept.ledger.accounts
    assert 1 == len(account.ids)
    again = World(kept=kept, is_synced=False, now_ns=world.now_ns, epoch=8)
    before = standing(again.engine)
    again.handle(world.read())
    assert before == standing(again.engine)
    assert (4, 1) == (
        again.engine.state.portfolio.dropped_count,
        again.engine.state.portfolio.duplicate_count,
    )
