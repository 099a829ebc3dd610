"""Works over a restart: what was filled counts once, the child is found, the rest is worked."""

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    CONFIG,
    MS,
    SECOND,
    START,
    Bench,
    Scripted,
    long,
    venue_id,
)
from tests.unit.engine.test_works import Worker, live, wish
from tickwright.core.commands import (
    AmendOrder,
    CancelOrder,
    Command,
    PlaceOrder,
    QueryOrder,
    SignalNotice,
    WorkNotice,
)
from tickwright.core.events import (
    BalanceReport,
    OperatorCommand,
    OperatorVerb,
    OrderAbsent,
    OrderReport,
    Outcome,
    PromisedOrder,
    PromisesRestored,
    Reconciliation,
    SyncReport,
)
from tickwright.core.identity import ClientId
from tickwright.core.kept_state import KeptState
from tickwright.core.orders import (
    FINAL_STATES,
    ExecutionKind,
    Fill,
    OrderState,
    RequestKind,
    Side,
    TimeInForce,
)
from tickwright.core.units import MONEY_ONE
from tickwright.core.work import (
    Algorithm,
    FollowTouch,
    Iceberg,
    Marketable,
    Twap,
    Work,
    WorkIntent,
    WorkState,
)
from tickwright.engine import EngineConfig

MINUTE_MS = 60_000
SIZE = 100
OFFERED = 15
"""What orders that take find in one state of the book."""


@dataclass
class Resting:
    """One order as the venue has it."""

    order: PlaceOrder
    price_units: int | None
    state: OrderState = OrderState.WORKING
    filled: int = 0

    @property
    def is_live(self) -> bool:
        return self.state not in FINAL_STATES


@dataclass
class Venue:
    """What outlives every process: orders, executions, and the journal and state on the disk."""

    orders: dict[ClientId, Resting] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    journal: dict[ClientId, PlaceOrder] = field(default_factory=dict)
    ended: list[tuple[int, ClientId]] = field(default_factory=list)
    kept: KeptState | None = None

    def filled(self) -> int:
        return sum(one.filled for one in self.orders.values())

    def live(self) -> list[Resting]:
        return [one for one in self.orders.values() if one.is_live]


class Run(Bench):
    """One process at the venue; it may die at any moment."""

    def __init__(self, venue: Venue, config: EngineConfig, *, epoch: int, now_ns: int) -> None:
        self.venue = venue
        self.offered = OFFERED
        strategies: dict[str, Any] = {"one": Worker()}
        super().__init__(
            config,
            strategies=strategies,
            is_synced=False,
            epoch=epoch,
            kept=venue.kept,
            now_ns=now_ns,
        )
        promised = tuple(promise(order) for order in venue.journal.values())
        if promised:
            self.handle(PromisesRestored(account_id=ACCOUNT, orders=promised))
        asked = list(self.log)
        self.handle(self.reading(0 if venue.kept is None else venue.kept.seen_ns(ACCOUNT)))
        self.serve([*asked, *self.fresh])

    def reading(self, since_ns: int) -> SyncReport:
        net = sum(fill.size_units * fill.side for fill in self.venue.fills)
        return SyncReport(
            account_id=ACCOUNT,
            orders=tuple(self.shown(one) for one in self.venue.live()),
            positions=(self.position_report(net),) if net else (),
            balances=(
                BalanceReport(
                    account_id=ACCOUNT,
                    asset="USDT",
                    wallet_balance=100_000 * MONEY_ONE,
                    locked=0,
                    venue_ns=self.now_ns,
                    received_ns=self.now_ns,
                ),
            ),
            fills=tuple(fill for fill in self.venue.fills if fill.venue_ns >= since_ns),
            venue_ns=self.now_ns,
        )

    def shown(self, one: Resting) -> OrderReport:
        order = one.order
        return OrderReport(
            account_id=ACCOUNT,
            instrument_id=BTC,
            client_id=order.client_id,
            venue_id=venue_id(order.client_id),
            side=order.side,
            order_type=order.order_type,
            state=one.state,
            price_units=one.price_units,
            size_units=order.size_units,
            filled_units=one.filled,
            reason="",
            venue_ns=self.now_ns,
            received_ns=self.now_ns,
            reduce_only=order.reduce_only,
            is_from_query=True,
        )

    def book(self, bid: int, **changes: Any) -> list[Command]:
        self.offered = OFFERED
        return super().book(bid, **changes)

    # the venue's side, as far as this process hears of it

    def journalled(self, commands: list[Command]) -> list[Command]:
        for command in commands:
            if isinstance(command, PlaceOrder):
                self.venue.journal[command.client_id] = command
        return commands

    def serve(self, commands: list[Command]) -> None:
        """Let the venue act on commands, and on what follows from its answers."""
        waiting = self.journalled(commands)
        for _ in range(200):
            if not waiting:
                break
            command, *waiting = waiting
            before = len(self.log)
            self.answer(command)
            waiting += self.journalled(self.log[before:])
        self.note_ends()

    def answer(self, command: Command) -> None:
        venue = self.venue
        if isinstance(command, PlaceOrder):
            book(venue, command)
            self.ack(command)
            one = venue.orders[command.client_id]
            if command.time_in_force is TimeInForce.IOC:
                size = min(self.offered, one.order.size_units)
                self.offered -= size
                self.execute_some(one, size)
                one.state = (
                    OrderState.FILLED if one.filled == command.size_units else OrderState.CANCELLED
                )
            self.handle(self.shown(one), after_ms=1)
        elif isinstance(command, (CancelOrder, AmendOrder)):
            one = venue.orders[command.client_id]
            kind = RequestKind.AMEND if isinstance(command, AmendOrder) else RequestKind.CANCEL
            if one.is_live and isinstance(command, AmendOrder):
                one.price_units = command.price_units or one.price_units
            elif one.is_live:
                one.state = OrderState.CANCELLED
            self.reply(command.client_id, kind, Outcome.ACCEPTED)
            self.handle(self.shown(one), after_ms=1)
        elif isinstance(command, QueryOrder):
            found = venue.orders.get(command.client_id)
            if found is None:
                self.now_ns += 4 * SECOND
                absent = OrderAbsent(
                    account_id=ACCOUNT,
                    instrument_id=BTC,
                    client_id=command.client_id,
                    asked_ns=self.now_ns,
                )
                self.handle(absent, after_ms=1)
                return
            for fill in venue.fills:
                if fill.client_id == command.client_id:
                    self.handle(fill)
            self.handle(self.shown(found), after_ms=1)

    def match(self, one: Resting, size: int, *, is_told: bool = True) -> None:
        """Execute some of an order, and let the process hear of it or not."""
        before = len(self.log)
        self.execute_some(one, size, is_told=is_told)
        self.serve(self.log[before:])

    def execute_some(self, one: Resting, size: int, *, is_told: bool = True) -> None:
        """Execute some of an order; what the process asks for then stands in its log."""
        size = min(size, one.order.size_units - one.filled)
        if size <= 0:
            return
        execute(self.venue, one, size, self.now_ns)
        if is_told:
            self.handle(self.venue.fills[-1])
            self.handle(self.shown(one), after_ms=1)

    def note_ends(self) -> None:
        """Remember which promises came to their end, as the trader does for the journal."""
        for client_id in self.venue.journal:
            record = self.engine.state.blotter.find_ours(client_id)
            if record is not None and record.is_settled:
                self.venue.ended.append((self.now_ns, client_id))

    def save(self) -> None:
        """Write the state, and let the journal forget what it holds."""
        self.venue.kept = self.engine.kept_state()
        for _, client_id in self.venue.ended:
            self.venue.journal.pop(client_id, None)
        self.venue.ended.clear()

    def die(self) -> None:
        """Nothing of this process is left but what is on the disk and at the venue."""
        self.venue.ended.clear()


def book(venue: Venue, order: PlaceOrder) -> None:
    assert order.client_id not in venue.orders, "a create was sent twice"
    assert not venue.live(), "two children live at the venue"
    venue.orders[order.client_id] = Resting(order, order.price_units)


def execute(venue: Venue, one: Resting, size: int, now_ns: int) -> None:
    order = one.order
    one.filled += size
    one.state = OrderState.FILLED if one.filled == order.size_units else OrderState.PARTLY_FILLED
    venue.fills.append(
        Fill(
            account_id=ACCOUNT,
            instrument_id=BTC,
            execution_id=f"e{len(venue.fills)}",
            kind=ExecutionKind.TRADE,
            side=order.side,
            price_units=one.price_units or 600_000,
            size_units=size,
            fee=0,
            fee_asset="USDT",
            is_maker=True,
            venue_ns=now_ns,
            received_ns=now_ns,
            client_id=order.client_id,
            venue_id=venue_id(order.client_id),
        )
    )


def promise(order: PlaceOrder) -> PromisedOrder:
    """What the journal gives back; through its own text, as on the disk."""
    order = msgspec.json.decode(msgspec.json.encode(order), type=PlaceOrder)
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
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        work=order.work,
    )


def begun(algorithm: Algorithm, config: EngineConfig = CONFIG, **changes: Any) -> Run:
    """Return a process whose strategy works a size; its first child is at the venue."""
    run = Run(Venue(), config, epoch=7, now_ns=START)
    run.serve(run.say(wish(algorithm, SIZE, **changes)))
    return run


def again(run: Run, config: EngineConfig | None = None, *, after_ms: float = 500) -> Run:
    """Kill a process and start the next one."""
    run.die()
    now_ns = run.now_ns + int(after_ms * MS)
    epoch = int(run.engine.state.client_ids.last[:12], 36) + 1
    return Run(run.venue, config or run.engine.state.config, epoch=epoch, now_ns=now_ns)


def only(run: Run) -> Work:
    (work,) = live(run)
    return work


def last(run: Run) -> Work:
    """The work as it was told of last."""
    return [notice.work for notice in run.notices if isinstance(notice, WorkNotice)][-1]


def finished(run: Run) -> Work:
    """Let time pass, the market move and the venue fill what rests, until the work ended."""
    for number in range(400):
        if not live(run):
            return last(run)
        run.serve(run.book(600_000 + number % 3, after_ms=400))
        run.serve(run.pass_time(200))
        for one in run.venue.live():
            run.match(one, 1 + one.order.size_units // 2)
        # As in a run every few seconds: an order that was to be asked about may have to wait.
        run.serve(run.handle(Reconciliation(run.reading(run.now_ns - MINUTE_MS * MS))))
    raise AssertionError(f"never ended: {live(run)}")


TWAP = Twap(duration_ms=MINUTE_MS, slices=5, slippage_bps_max=50.0)
ICEBERG = Iceberg(shown_units=30, price_units=600_000, give_up_ms=10 * MINUTE_MS)
FOLLOW = FollowTouch(amend_ms_min=100, give_up_ms=10 * MINUTE_MS, chase_bps_max=5.0)
TAKE = Marketable(slippage_bps_max=50.0, give_up_ms=10 * MINUTE_MS)


@pytest.mark.parametrize("is_saved", [True, False], ids=["saved", "journal alone"])
@pytest.mark.parametrize("algorithm", [TWAP, ICEBERG, FOLLOW, TAKE], ids=lambda a: type(a).__name__)
def test_work_when_killed_then_it_goes_on_with_what_is_left(algorithm: Algorithm, is_saved: bool):
    run = begun(algorithm)
    for one in run.venue.live():
        run.match(one, 12)
    if is_saved:
        run.save()
    # The venue goes on while nobody is there.
    for one in run.venue.live():
        run.match(one, 5, is_told=False)
    filled = run.venue.filled()
    assert 0 < filled < SIZE
    next_run = again(run)
    assert filled <= only(next_run).filled_units == next_run.venue.filled() < SIZE
    done = finished(next_run)
    assert (WorkState.DONE, SIZE, SIZE) == (done.state, done.filled_units, next_run.venue.filled())
    assert SIZE == next_run.share()


def test_work_when_its_last_child_never_left_then_another_is_sent_once_that_is_proven():
    run = begun(TAKE)
    run.save()
    # It stands in the journal, and its bytes never left.
    (lost,) = run.places(run.journalled(run.book(600_000, after_ms=200)))
    next_run = again(run)
    assert SIZE == finished(next_run).filled_units
    assert lost.client_id not in next_run.venue.orders
    assert SIZE == next_run.venue.filled()


def test_work_when_it_ended_before_the_state_was_written_then_it_does_not_come_back():
    run = begun(TAKE)
    finished(run)
    journal = dict(run.venue.journal)
    run.save()
    # Killed between the state's writing and the journal's.
    run.venue.journal = journal
    next_run = again(run)
    assert [] == live(next_run)
    next_run.serve(next_run.pass_time(5_000))
    assert (SIZE, SIZE) == (next_run.venue.filled(), next_run.share())


def test_work_when_the_policy_ends_it_then_its_child_goes_and_what_was_filled_stays():
    run = begun(ICEBERG)
    run.match(run.venue.live()[0], 12)
    config = msgspec.structs.replace(
        CONFIG, execution=msgspec.structs.replace(CONFIG.execution, adopted_works="cancel")
    )
    next_run = again(run, config)
    ended = last(next_run)
    assert (WorkState.CANCELLED, 12, "left by an earlier run") == (
        ended.state,
        ended.filled_units,
        ended.reason,
    )
    assert ([], [], 12) == (live(next_run), next_run.venue.live(), next_run.share())


def test_work_when_it_was_being_ended_then_it_ends():
    run = begun(ICEBERG)
    commands = run.handle(OperatorCommand(OperatorVerb.CANCEL_ALL, "one", "a person"))
    assert 1 == len(run.cancels(commands))
    run.save()
    next_run = again(run)
    ended = last(next_run)
    assert (WorkState.CANCELLED, "a person") == (ended.state, ended.reason[-8:])
    assert [] == next_run.venue.live()


def test_work_when_its_strategy_is_halted_meanwhile_then_it_ends():
    run = begun(ICEBERG)
    run.save()
    assert run.venue.kept is not None
    other = Run(Venue(), CONFIG, epoch=6, now_ns=run.now_ns)
    other.handle(OperatorCommand(OperatorVerb.HALT, "one", "ann"))
    run.venue.kept = msgspec.structs.replace(run.venue.kept, risk=other.engine.kept_state().risk)
    next_run = again(run)
    assert WorkState.CANCELLED is last(next_run).state
    assert [] == next_run.venue.live()


def test_follow_when_restarted_then_its_bound_is_still_the_first_touch():
    run = begun(FOLLOW)
    worst = 600_000 + 600_000 * 5 // 10_000
    next_run = again(run)
    for number in range(1, 20):
        next_run.serve(next_run.book(600_000 + 100 * number, after_ms=300))
    (child,) = next_run.venue.live()
    assert worst == child.price_units


def test_work_when_somebody_withdrew_its_child_meanwhile_then_it_is_not_put_back():
    run = begun(FOLLOW)
    run.save()
    run.venue.live()[0].state = OrderState.CANCELLED
    next_run = again(run)
    ended = last(next_run)
    assert WorkState.FAILED is ended.state
    assert "cancelled from outside" in ended.reason


def test_work_when_its_strategy_is_gone_then_told_and_its_child_is_withdrawn():
    run = begun(FOLLOW)
    run.save()
    venue = run.venue
    bench = Bench(CONFIG, strategies={"two": Scripted()}, is_synced=False, kept=venue.kept, epoch=9)
    assert any("its strategy is not configured now" in str(one) for one in bench.notices)
    shown = run.shown(venue.live()[0])
    cancels = bench.cancels(bench.sync(orders=(shown,)))
    assert [shown.client_id] == [cancel.client_id for cancel in cancels]


def test_work_when_no_journal_names_its_child_then_failed_and_nothing_more_is_sent():
    run = begun(TAKE)
    run.save()
    assert run.venue.kept is not None
    (work,) = run.venue.kept.works
    held = msgspec.structs.replace(work, child_id=ClientId("twaaaaa0000000000070000099"))
    run.venue.kept = msgspec.structs.replace(run.venue.kept, works=(held,))
    next_run = again(run)
    assert WorkState.FAILED is last(next_run).state
    assert "is in no journal" in last(next_run).reason


@pytest.mark.parametrize("is_saved", [True, False], ids=["saved", "journal alone"])
def test_entry_when_its_work_goes_on_then_the_strategy_enters_nothing_else(is_saved: bool):
    execution = msgspec.structs.replace(CONFIG.execution, entry="passive", entry_timeout_ms=600_000)
    run = Run(Venue(), msgspec.structs.replace(CONFIG, execution=execution), epoch=7, now_ns=START)
    run.serve(run.say(long()))
    assert 1 == len(run.venue.live())
    if is_saved:
        run.save()
    next_run = again(run)
    assert [] == next_run.places(next_run.say(long()))
    refused = [n.verdict for n in next_run.notices if isinstance(n, SignalNotice)][-1]
    assert "an entry is under way" in str(refused)
    done = finished(next_run)
    assert (WorkState.DONE, done.filled_units) == (done.state, next_run.share())


ALGORITHMS: tuple[Algorithm, ...] = (TWAP, ICEBERG, FOLLOW, TAKE)


@pytest.mark.parametrize("seed", range(60))
def test_work_when_killed_again_and_again_then_never_more_than_its_size(seed: int):
    chance = random.Random(seed)
    venue = Venue()
    run = Run(venue, CONFIG, epoch=7, now_ns=START)
    side = chance.choice([Side.BUY, Side.SELL])
    intent: WorkIntent = wish(chance.choice(ALGORITHMS), SIZE, side)
    if isinstance(intent.algorithm, Iceberg) and side is Side.SELL:
        intent = wish(TWAP, SIZE, side)
    run.serve(run.say(intent))
    for _ in range(chance.randint(5, 40)):
        draw = chance.random()
        if draw < 0.3:
            run.serve(run.book(600_000 + chance.randint(-3, 3), after_ms=chance.choice([10, 300])))
        elif draw < 0.5:
            run.serve(run.pass_time(chance.choice([50, 1_000, 5_000])))
        elif draw < 0.7:
            for one in venue.live():
                run.match(one, chance.randint(1, 20))
        elif draw < 0.85:
            run.save()
        else:
            # Killed: after the journal, before or after the venue took what was promised.
            sent = run.journalled(list(run.book(600_000, after_ms=300)))
            for command in sent:
                if isinstance(command, PlaceOrder) and chance.random() < 0.5:
                    book(venue, command)
            for one in venue.live():
                if chance.random() < 0.5:
                    run.match(one, chance.randint(1, 20), is_told=False)
            run = again(run, after_ms=chance.choice([1, 700, 20_000]))
        assert venue.filled() <= SIZE
        assert len(venue.live()) <= 1
    if live(run):
        ended = finished(run)
        assert venue.filled() == ended.filled_units
        assert (ended.state is WorkState.DONE) is (venue.filled() == SIZE)
    run.serve(run.pass_time(10_000))
    assert venue.filled() * side == run.share()
