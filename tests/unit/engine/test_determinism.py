"""The same inputs make the same outputs; random inputs never break what must hold."""

import random
from hashlib import blake2b
from typing import Any

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    MS,
    RISK,
    Bench,
    Scripted,
    leave,
    long,
    short,
)
from tickwright.core.commands import CancelOrder, PlaceOrder, SetTimer
from tickwright.core.events import (
    BookState,
    BookStateChanged,
    ConnectionChanged,
    OperatorCommand,
    OperatorVerb,
    OrderAbsent,
    Outcome,
    RateLimitReport,
    TimerFired,
    Trade,
)
from tickwright.core.orders import FINAL_STATES, OrderState, RequestKind, Side
from tickwright.engine import EngineConfig
from tickwright.engine.outbox import Outbox
from tickwright.execution import ExecutionConfig
from tickwright.risk.protections_config import ProtectionLimits


class Venue:
    """A venue that obeys, with delays, losses, repeats and races drawn from a seed."""

    def __init__(self, bench: Bench, chance: random.Random) -> None:
        self.bench = bench
        self.chance = chance
        self.orders: dict[str, tuple[PlaceOrder, int, bool]] = {}
        self.waiting: list[Any] = []

    def take(self, commands: Any) -> None:
        for command in commands:
            if isinstance(command, PlaceOrder):
                assert command.client_id not in self.orders, "a create is never sent twice"
                self.orders[command.client_id] = (command, 0, True)
                self.waiting.append(("live", command))
            elif isinstance(command, CancelOrder):
                self.waiting.append(("cancel", command))

    def step(self) -> None:
        if not self.waiting:
            return
        kind, command = self.waiting.pop(self.chance.randrange(len(self.waiting)))
        if kind == "live":
            self._live(command)
        elif command.client_id in self.orders:
            self._cancel(command)

    def _live(self, order: PlaceOrder) -> None:
        bench, chance = self.bench, self.chance
        _, filled, is_open = self.orders[order.client_id]
        if not is_open:
            return
        draw = chance.random()
        if filled == 0 and draw < 0.1:
            bench.ack(order, Outcome.REFUSED, f"reason {chance.randrange(9)}")
            self.orders[order.client_id] = (order, 0, False)
            return
        if draw < 0.4:
            bench.ack(order)
        elif draw < 0.5:
            bench.reply(order.client_id, RequestKind.CREATE, Outcome.UNKNOWN)
        if draw < 0.8:
            size = chance.randint(1, order.size_units - filled)
            filled += size
            for _ in range(chance.randint(1, 2)):
                name = f"{order.client_id}-{filled}"
                bench.fill(order, size, execution_id=name, price=order.price_units)
            state = OrderState.FILLED if filled == order.size_units else OrderState.PARTLY_FILLED
            if chance.random() < 0.9 or state is OrderState.FILLED:
                bench.report(order, state, filled=filled)
        else:
            bench.report(
                order, OrderState.WORKING if not filled else OrderState.PARTLY_FILLED, filled=filled
            )
        is_open = filled < order.size_units
        if is_open and order.time_in_force.value == "ioc" and chance.random() < 0.7:
            bench.report(order, OrderState.CANCELLED, filled=filled)
            is_open = False
        self.orders[order.client_id] = (order, filled, is_open)
        if is_open:
            self.waiting.append(("live", order))

    def _cancel(self, command: CancelOrder) -> None:
        order, filled, is_open = self.orders[command.client_id]
        if self.chance.random() < 0.2:
            return
        outcome = Outcome.ACCEPTED if is_open else Outcome.REFUSED
        self.bench.reply(command.client_id, RequestKind.CANCEL, outcome)
        if is_open:
            self.bench.report(order, OrderState.CANCELLED, filled=filled)
            self.orders[command.client_id] = (order, filled, False)


class Wild(Scripted):
    """Answers anything a strategy may answer, from its own seeded chance."""

    def on_book(self, book):
        draw = self.context.random.random()
        if draw < 0.04:
            return long(confidence=self.context.random.random())
        if draw < 0.08:
            return short(confidence=self.context.random.random())
        if draw < 0.11:
            return leave()
        return None


CONFIG = EngineConfig(
    risk=msgspec.structs.replace(
        RISK,
        deny_conflicting_position=False,
        protections=ProtectionLimits(
            cooldown_after_stop_s=1, losses_in_row_max=6, loss_pause_s=1, equal_rejects_max=50
        ),
    ),
    execution=ExecutionConfig(brackets="synthetic"),
)


def run(seed: int, *, inputs: int = 1_000, twist: bool = False) -> Bench:
    chance = random.Random(seed)
    bench = Bench(CONFIG, strategies={"one": Wild(), "two": Wild()}, seed=5)
    venue = Venue(bench, chance)
    seen = len(bench.log)
    bid = 600_000
    trade_count = 0
    for index in range(inputs):
        draw = chance.random()
        if draw < 0.7:
            bid = max(500_000, bid + chance.randint(-400, 400))
            bench.book(bid + (1 if twist and index > inputs // 2 else 0), after_ms=5)
        elif draw < 0.9:
            venue.step()
        elif draw < 0.93:
            bench.pass_time(chance.randint(1, 700))
        elif draw < 0.95:
            trade_count += 1
            bench.handle(Trade(BTC, Side.BUY, bid, 1, f"t{trade_count}", 1, 1))
        elif draw < 0.96:
            bench.stale()
            bench.handle(BookStateChanged(BTC, BookState.SYNCED, BookState.STALE, "snapshot"))
        elif draw < 0.97:
            bench.handle(
                RateLimitReport(
                    account_id=ACCOUNT, group="create.linear", limit=8, remaining=3, reset_ns=0
                )
            )
        elif draw < 0.975:
            bench.handle(ConnectionChanged("venue", "private", "main", False, "test"))
            bench.sync(positions=(bench.position_report(bench.net()),))
        elif draw < 0.98:
            bench.handle(OperatorCommand(OperatorVerb.FLATTEN, "all", "test"))
        elif draw < 0.985 and venue.orders:
            name = chance.choice(sorted(venue.orders))
            bench.handle(
                OrderAbsent(
                    account_id=ACCOUNT,
                    instrument_id=BTC,
                    client_id=venue.orders[name][0].client_id,
                    asked_ns=0,
                )
            )
        else:
            bench.handle(TimerFired("one", "unknown", bench.now_ns))
        venue.take(bench.log[seen:])
        seen = len(bench.log)
        check(bench, venue)
    return bench


def check(bench: Bench, venue: Venue) -> None:
    """What holds after every input."""
    state = bench.engine.state
    portfolio = state.portfolio
    assert portfolio.attribution_fault(ACCOUNT, BTC) is None
    filled = sum(
        (count if order.side is Side.BUY else -count) for order, count, _ in venue.orders.values()
    )
    assert filled == portfolio.position(ACCOUNT, BTC).size_units
    buys = sells = 0
    for record in state.blotter.live():
        assert record.order.filled_units == venue.orders[record.client_id][1]
        if not record.order.intent.reduce_only:
            buys += record.live_units if record.order.side is Side.BUY else 0
            sells += record.live_units if record.order.side is Side.SELL else 0
        else:
            assert record.order.state not in FINAL_STATES or not record.is_settled
    holding = portfolio.holding(ACCOUNT, BTC)
    assert (buys, sells) == (holding.working_buy_units, holding.working_sell_units)
    for plan in state.plans.values():
        share = portfolio.strategy_position(plan.strategy_id, ACCOUNT, BTC)
        assert share.size_units == plan.size_units
        # What a strategy is shown is kept between fills: it must be what is held now.
        entry = share.entry_price(state.instrument(BTC))
        shown = None if entry is None else float(entry.scaleb(state.instrument(BTC).price_decimals))
        view = state.position_view(plan.strategy_id, BTC)
        assert (share.size_units, shown) == (view.size_units, view.entry_price_units)
        live = [record.order for record in state.blotter.live() if not record.order.is_final]
        mine = tuple(order for order in live if order.strategy_id == plan.strategy_id)
        assert mine == state.live_orders(plan.strategy_id)
    for record in (*state.blotter.live(), *state.blotter.finals()):
        order, owed = record.order, record.owed_units
        left = owed if order.is_final else max(record.size_units_max - order.filled_units, owed)
        assert (left, record.unknown_requests, record.is_settled) == record.standing()
    assert len(state.deadlines) < 10_000


@pytest.mark.parametrize("seed", range(4))
def test_engine_when_a_thousand_random_inputs_then_nothing_breaks(seed):
    bench = run(seed)
    summary = bench.engine.summary()
    # The run did something worth checking.
    assert summary.orders_placed > 20
    assert summary.fills > 20
    assert [] == [item.halt_reason for item in summary.strategies if item.halt_reason]


def test_digest_when_run_twice_then_equal_and_other_when_an_input_differs():
    first, second, other = run(9), run(9), run(9, twist=True)
    assert first.engine.digest == second.engine.digest
    assert first.log == second.log
    assert first.engine.digest != other.engine.digest


def test_digest_when_nothing_comes_out_then_unchanged():
    bench = Bench()
    before = bench.engine.digest
    bench.book(600_001)
    assert before == bench.engine.digest
    bench.say(long())
    assert before != bench.engine.digest


def test_notices_when_nobody_takes_them_then_bounded_and_counted():
    bench = Bench(msgspec.structs.replace(CONFIG, notices_max=16))
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    for _ in range(40):
        one.answers.append(leave())
        bench.now_ns += 20 * MS
        bench.engine.on_book(0, bench.now_ns)
    assert 24 == bench.engine.summary().dropped_notices
    assert 16 == len(bench.engine.take_notices())
    assert [] == bench.engine.take_notices()


def test_time_when_an_input_is_stamped_earlier_then_it_never_goes_back():
    bench = Bench()
    now = bench.now_ns
    bench.engine.handle(Trade(BTC, Side.BUY, 1, 1, "t", 1, 1), now - 5 * MS)
    bench.engine.on_book(0, now - 5 * MS)
    assert now == bench.engine.summary().now_ns


@pytest.mark.parametrize("count", [1, 15, 16, 300, 70_000])
def test_digest_when_outputs_are_hashed_together_then_as_one_after_another(count: int):
    together = Outbox(notices_max=1)
    encode, chain = msgspec.msgpack.Encoder().encode, blake2b(digest_size=32)
    for number in range(count):
        command = SetTimer("one", "a" * (number % 50), number, number)
        together.command(command)
        chain.update(encode(command))
    assert chain.hexdigest() == together.digest
