"""Exits of every kind, both ways: watched here until the venue is proven to hold them."""

import random
from decimal import Decimal

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    RISK,
    SPOT,
    Bench,
    Scripted,
    instrument,
    long,
    short,
)
from tests.unit.engine.test_positions import opened, spot_bench, spot_say
from tickwright.core.commands import PlaceOrder, SetPositionStops, StopsNotice
from tickwright.core.errors import ConfigError
from tickwright.core.events import (
    ConnectionChanged,
    FeesChanged,
    InstrumentChanged,
    Outcome,
    PositionReport,
    StopsReply,
    Trade,
)
from tickwright.core.exits import Exits
from tickwright.core.identity import Leg, VenueOrderId
from tickwright.core.instrument import FeeRates
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    OrderIntent,
    OrderState,
    Purpose,
    Side,
)
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.verdicts import Reason, Rejected
from tickwright.engine import EngineConfig
from tickwright.execution import ExecutionConfig
from tickwright.risk.protections_config import ProtectionLimits

AUTO = EngineConfig(risk=RISK)
TRAILING = Exits(trailing_fraction=0.005)


def entry(exits: Exits, *, side: str = "long") -> Signal:
    make = long if side == "long" else short
    return make(stop_loss_fraction=None, take_profit_fraction=None, exits=exits)


def asked(bench: Bench) -> list[SetPositionStops]:
    return [command for command in bench.log if isinstance(command, SetPositionStops)]


def told(bench: Bench) -> list[StopsNotice]:
    return [notice for notice in bench.notices if isinstance(notice, StopsNotice)]


def answer(
    bench: Bench, request: SetPositionStops, outcome: Outcome = Outcome.ACCEPTED, code: int = 0
) -> None:
    bench.handle(
        StopsReply(
            account_id=ACCOUNT,
            instrument_id=BTC,
            number=request.number,
            outcome=outcome,
            code=code,
            text="not today" if code else "",
            venue_ns=bench.now_ns,
        ),
        after_ms=1,
    )


def report(bench: Bench, size: int, *, stop: int = 0, take: int = 0, trailing: int = 0) -> None:
    bench.handle(
        PositionReport(
            account_id=ACCOUNT,
            instrument_id=BTC,
            leg=Leg.NET,
            size_units=size,
            entry_price="60000",
            venue_ns=bench.now_ns + 1_000_000,
            received_ns=bench.now_ns,
            stop_units=stop,
            take_units=take,
            trailing_distance_units=trailing,
        ),
        after_ms=1,
    )


# watched here -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exits", "side", "path", "words"),
    [
        # The distance is 0.5 % of 60000.0: 300.0.
        (TRAILING, "long", [601_000, 604_000, 601_002, 601_001], "trailing stop at 60100.1"),
        (TRAILING, "short", [599_000, 596_000, 598_998, 598_999], "trailing stop at 59900.0"),
        (
            Exits(trailing_fraction=0.005, activation_fraction=0.01),
            "long",
            [590_000, 605_998, 603_000, 606_000, 603_002, 603_001],
            "trailing stop at 60300.1",
        ),
        (
            Exits(break_even_after_fraction=0.005, break_even_offset_fraction=0.001),
            "long",
            [590_000, 603_000, 600_601, 600_600],
            "break-even stop at 60060.0",
        ),
        (
            Exits(break_even_after_fraction=0.005, break_even_offset_fraction=0.001),
            "short",
            [610_000, 596_999, 599_398, 599_399],
            "break-even stop at 59940.0",
        ),
        (
            Exits(stop_loss_fraction=0.005, trailing_fraction=0.05),
            "long",
            [600_000, 597_001, 597_000],
            "stop loss at 59700.0",
        ),
        (
            Exits(take_profit_fraction=0.01, trailing_fraction=0.05),
            "short",
            [600_000, 594_000, 593_999],
            "take profit at 59400.0",
        ),
    ],
)
def test_exit_when_watched_here_then_closed_at_the_update_that_reaches_it(exits, side, path, words):
    bench = Bench()
    opened(bench, entry(exits, side=side))
    for bid in path[:-1]:
        assert [] == bench.places(bench.book(bid)), bid
    (order,) = bench.places(bench.book(path[-1]))
    assert order.reduce_only
    assert words == bench.verdicts()[-1].signal.reason
    bench.execute(order)
    assert (0, 0) == (bench.share(), bench.net())
    assert [] == asked(bench)


def test_trailing_when_a_public_trade_is_the_best_price_then_it_counts():
    bench = Bench()
    opened(bench, entry(TRAILING))
    bench.handle(Trade(BTC, Side.BUY, 608_000, 1, "t1", 1, 1))
    (plan,) = bench.engine.state.plans.values()
    # Already through: the trade pulled the stop over the bid.
    assert plan.levels is not None
    assert 605_000 == plan.levels.stop_units
    assert Purpose.STOP_LOSS is plan.closing


def test_trailing_when_the_book_is_not_proven_then_nothing_moves():
    bench = Bench()
    opened(bench, entry(TRAILING))
    (plan,) = bench.engine.state.plans.values()
    before = plan.bracket
    bench.stale()
    bench.take(bench.engine.on_book(0, bench.now_ns))
    assert before == plan.bracket


def test_break_even_when_fees_are_known_then_it_covers_them():
    bench = Bench()
    bench.handle(FeesChanged(ACCOUNT, BTC, FeeRates(maker=Decimal(0), taker=Decimal("0.0005"))))
    opened(bench, entry(Exits(break_even_after_fraction=0.005)))
    bench.book(603_000)
    (plan,) = bench.engine.state.plans.values()
    assert 600_601 == plan.bracket.stop_units


def test_time_stop_when_the_signal_names_it_then_over_the_configured_one():
    config = EngineConfig(
        risk=RISK,
        execution=ExecutionConfig(brackets="synthetic", exits=Exits(time_stop_ms=60_000)),
    )
    bench = Bench(config)
    opened(bench, entry(Exits(time_stop_ms=2_000)))
    assert [] == bench.places(bench.pass_time(1_900))
    assert 1 == len(bench.places(bench.pass_time(200)))
    assert "time stop after 2000 ms" == bench.verdicts()[-1].signal.reason


def test_exits_when_only_configured_then_they_guard_what_a_bare_signal_opens():
    config = EngineConfig(
        risk=RISK,
        execution=ExecutionConfig(
            brackets="synthetic", strategy_exits={"one": Exits(stop_loss_fraction=0.01)}
        ),
    )
    bench = Bench(config)
    opened(bench, entry(Exits()))
    assert [] == bench.places(bench.book(594_001))
    assert 1 == len(bench.places(bench.book(594_000)))


def test_context_when_a_strategy_says_its_exits_there_then_they_stand_in_the_signal():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    said = one.context.short(
        BTC,
        confidence=0.5,
        reason="z 2.9",
        stop_loss_fraction=0.02,
        trailing_fraction=0.01,
        activation_fraction=0.005,
        break_even_after_fraction=0.004,
        break_even_offset_fraction=0.001,
        time_stop_ms=9_000,
    )
    assert (
        Exits(
            stop_loss_fraction=0.02,
            trailing_fraction=0.01,
            activation_fraction=0.005,
            break_even_after_fraction=0.004,
            break_even_offset_fraction=0.001,
            time_stop_ms=9_000,
        )
        == said.policy
    )
    opened(bench, said)
    assert bench.share() < 0
    assert SignalKind.LONG is one.context.long(BTC).kind
    bench.say(one.context.leave(BTC, reason="enough"))
    assert "enough" == bench.verdicts()[-1].signal.reason
    assert bench.placed().reduce_only
    with pytest.raises(ConfigError):
        one.context.long(SPOT)


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (long(exits=Exits(stop_loss_fraction=0.1)), "stands in the signal and in its exits"),
        (long(exits=Exits(activation_fraction=0.1)), "needs a trailing_fraction"),
        (long(exits=Exits(trailing_fraction=float("nan"))), "trailing_fraction nan"),
        (long(exits=Exits(break_even_after_fraction=0.5)), "never reached"),
    ],
)
def test_signal_when_its_exits_contradict_then_refused_with_the_reason(signal, words):
    bench = Bench()
    assert [] == bench.places(bench.say(signal))
    verdict = bench.verdicts()[-1].verdict
    assert isinstance(verdict, Rejected)
    assert Reason.SIGNAL_INVALID is verdict.reason
    assert words in str(verdict)


def test_intent_when_it_names_exits_then_they_guard_what_it_opens():
    bench = Bench()
    bench.say(
        OrderIntent(
            instrument_id=BTC, side=Side.BUY, size_units=100, price_units=600_100, exits=TRAILING
        )
    )
    bench.execute(bench.placed(), price=600_000)
    bench.book(604_000)
    assert [] == bench.places(bench.book(601_002))
    assert 1 == len(bench.places(bench.book(601_001)))


def test_spot_when_trailing_then_watched_here():
    bench = spot_bench()
    spot_say(bench, long(SPOT, stop_loss_fraction=None, take_profit_fraction=None, exits=TRAILING))
    bench.execute(bench.placed(), price=600_000)
    bench.book(604_000, instrument_id=SPOT)
    assert [] == bench.places(bench.book(601_002, instrument_id=SPOT))
    (order,) = bench.places(bench.book(601_001, instrument_id=SPOT))
    assert not order.reduce_only
    assert [] == asked(bench)


# held by the venue --------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "stop"), [("long", 597_001), ("short", 603_000)])
def test_trailing_when_the_venue_can_then_asked_once_and_watched_until_proven(side, stop):
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING, side=side))
    (request,) = asked(bench)
    # From the mid, half a tick above the entry: rounded toward the market.
    assert (stop, None, 3_000, None) == (
        request.stop_units,
        request.take_units,
        request.trailing_distance_units,
        request.trailing_active_units,
    )
    (plan,) = bench.engine.state.plans.values()
    assert stop == plan.bracket.stop_units
    answer(bench, request)
    assert plan.bracket.is_empty
    assert [True] == [notice.is_held for notice in told(bench)]
    # Far through the level: the venue's matter now.
    assert [] == bench.places(bench.book(500_000 if side == "long" else 700_000))
    assert 1 == len(asked(bench))


def test_trailing_with_activation_when_asked_then_carries_its_price():
    bench = Bench(AUTO)
    opened(bench, entry(Exits(trailing_fraction=0.005, activation_fraction=0.01)))
    (request,) = asked(bench)
    assert (None, 3_000, 606_000) == (
        request.stop_units,
        request.trailing_distance_units,
        request.trailing_active_units,
    )


def test_trailing_when_it_came_a_way_before_the_venue_held_it_then_handed_over_as_a_stop():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    (first,) = asked(bench)
    bench.book(604_000)
    answer(bench, first, Outcome.UNKNOWN)
    bench.pass_time(300)
    again = asked(bench)[-1]
    assert (601_001, 3_000) == (again.stop_units, again.trailing_distance_units)
    assert first.number != again.number
    # A late answer to the first is no proof of what was asked since.
    answer(bench, first)
    (plan,) = bench.engine.state.plans.values()
    assert 601_001 == plan.bracket.stop_units
    answer(bench, again)
    assert plan.bracket.is_empty


def test_break_even_when_reached_then_the_stop_at_the_venue_is_moved_and_watched_meanwhile():
    bench = Bench(AUTO)
    exits = Exits(
        stop_loss_fraction=0.005, break_even_after_fraction=0.01, break_even_offset_fraction=0.001
    )
    opened(bench, entry(exits))
    # The stop loss went with the order: nothing to ask for.
    assert [] == asked(bench)
    bench.book(606_000)
    (request,) = asked(bench)
    assert (600_600, None, None) == (
        request.stop_units,
        request.take_units,
        request.trailing_distance_units,
    )
    (plan,) = bench.engine.state.plans.values()
    assert 600_600 == plan.bracket.stop_units
    answer(bench, request)
    assert plan.bracket.is_empty


@pytest.mark.parametrize("cause", ["refused", "unknown", "silence"])
def test_stops_when_the_venue_does_not_take_them_then_watched_here_and_told_once(cause):
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    (request,) = asked(bench)
    if cause == "refused":
        answer(bench, request, Outcome.REFUSED, 10_001)
    elif cause == "unknown":
        answer(bench, request, Outcome.UNKNOWN)
    else:
        bench.pass_time(1_001)
    (notice,) = told(bench)
    assert not notice.is_held
    assert "watched here" in notice.reason
    (order,) = bench.places(bench.book(597_000))
    assert order.reduce_only
    count = len(asked(bench))
    bench.pass_time(20_000)
    assert count == len(asked(bench)), "a position being closed is asked for no more"


def test_stops_when_unanswered_then_repeated_as_the_same_request_with_longer_pauses():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    for _ in range(30):
        bench.pass_time(500)
    requests = asked(bench)
    assert {requests[0].number} == {request.number for request in requests}
    assert 5 <= len(requests) <= 16
    answer(bench, requests[0])
    (plan,) = bench.engine.state.plans.values()
    assert plan.bracket.is_empty


def test_stops_when_refused_again_and_again_then_asked_ever_less_and_told_once():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    seen = 0
    bid = 600_000
    for _ in range(600):
        bid += 10  # each new best price would be another wish
        bench.book(bid, after_ms=100)
        bench.pass_time(1)
        for request in asked(bench)[seen:]:
            seen += 1
            answer(bench, request, Outcome.REFUSED, 10_005)
    assert 5 <= seen <= 7, "1, 2, 4, 8, 16 ... s apart"
    assert 1 == len(told(bench))


def test_stops_when_refused_and_nothing_moves_then_asked_again_after_a_pause():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    answer(bench, asked(bench)[0], Outcome.REFUSED, 10_001)
    bench.pass_time(900)
    assert 1 == len(asked(bench))
    bench.pass_time(200)
    assert 2 == len(asked(bench))
    answer(bench, asked(bench)[1])
    (plan,) = bench.engine.state.plans.values()
    assert plan.bracket.is_empty
    assert [False, True] == [notice.is_held for notice in told(bench)]


def test_stops_when_the_account_is_shared_then_watched_here():
    bench = Bench(AUTO, strategies={"one": Scripted(), "two": Scripted()})
    opened(bench, entry(TRAILING))
    assert [] == asked(bench)
    bench.book(604_000)
    assert 1 == len(bench.places(bench.book(601_001)))


# the venue's report -------------------------------------------------------------------------------


def test_report_when_a_stop_is_gone_at_the_venue_then_watched_at_once_and_asked_again():
    bench = Bench(AUTO)
    opened(bench, entry(Exits(stop_loss_fraction=0.005)))
    (plan,) = bench.engine.state.plans.values()
    held = plan.held.stop_units
    assert plan.bracket.is_empty
    report(bench, 166, stop=held)
    assert [] == asked(bench)
    report(bench, 166)
    (request,) = asked(bench)
    assert 597_000 == request.stop_units == plan.bracket.stop_units
    assert ["the venue no longer holds them; watched here"] == [n.reason for n in told(bench)]
    report(bench, 166, stop=597_000)
    assert plan.bracket.is_empty
    assert plan.held.asked is None


def test_report_when_older_than_the_position_then_proves_nothing():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    (plan,) = bench.engine.state.plans.values()
    old = PositionReport(
        account_id=ACCOUNT,
        instrument_id=BTC,
        leg=Leg.NET,
        size_units=166,
        entry_price="60000",
        venue_ns=plan.opened_ns - 1_000_000_000,
        received_ns=bench.now_ns,
        stop_units=599_000,
        take_units=0,
        trailing_distance_units=3_000,
    )
    bench.handle(old)
    assert not plan.bracket.is_empty


def test_report_when_a_person_loosened_the_stop_then_it_is_set_back():
    bench = Bench(AUTO)
    opened(bench, entry(Exits(stop_loss_fraction=0.005)))
    report(bench, 166, stop=500_000)
    (request,) = asked(bench)
    assert 597_000 == request.stop_units


def test_report_after_a_restart_when_the_venue_holds_stops_then_adopted_else_guarded_at_once():
    config = EngineConfig(
        risk=RISK, execution=ExecutionConfig(exits=Exits(stop_loss_fraction=0.01))
    )
    first = Bench(config)
    opened(first, entry(Exits()))
    order = first.places(first.log)[0]
    for stop in (594_500, 0):
        bench = Bench(config, is_synced=False)
        bench.now_ns = first.now_ns + 5_000_000_000
        # The fill of the earlier run tells whose it is; its signal is forgotten.
        fills = (fill_of(bench, order),)
        position = msgspec.structs.replace(
            bench.position_report(166), stop_units=stop, take_units=0, trailing_distance_units=0
        )
        bench.sync(positions=(position,), fills=fills)
        assert 166 == bench.share()
        (plan,) = bench.engine.state.plans.values()
        if stop:
            assert plan.bracket.is_empty
            assert [] == asked(bench)
        else:
            assert 594_000 == plan.bracket.stop_units
            assert [594_000] == [request.stop_units for request in asked(bench)]
            assert 1 == len(bench.places(bench.book(594_000)))


def test_sync_when_it_tells_what_happened_before_then_nothing_is_asked_for_the_past():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    answer(bench, asked(bench)[0])
    bench.handle(ConnectionChanged("venue", "private", "main", False, "cut"))
    order = bench.places(bench.log)[0]
    closed = fill_of(bench, order, side=Side.SELL, name="late", client=False)
    bench.sync(fills=(closed,))
    assert (0, 0) == (bench.share(), bench.net())
    assert 1 == len(asked(bench))


def test_sync_after_a_restart_when_the_venues_stop_fired_meanwhile_then_nobody_holds_anything():
    config = EngineConfig(
        risk=RISK, execution=ExecutionConfig(exits=Exits(stop_loss_fraction=0.01))
    )
    first = Bench(config)
    opened(first, entry(Exits()))
    order = first.places(first.log)[0]
    bench = Bench(config, is_synced=False)
    bench.now_ns = first.now_ns + 5_000_000_000
    closed = fill_of(bench, order, side=Side.SELL, name="stop", client=False)
    bench.sync(fills=(fill_of(bench, order), msgspec.structs.replace(closed, is_of_stop=True)))
    assert (0, 0) == (bench.share(), bench.net())
    assert [] == asked(bench) + bench.places(bench.book(500_000))


def test_units_when_they_change_then_the_venues_stop_is_still_known_as_ours():
    bench = Bench(AUTO)
    opened(bench, entry(Exits(stop_loss_fraction=0.005)))
    order = bench.places(bench.log)[0]
    finer = instrument(price_decimals=2, tick_units=10)
    bench.handle(InstrumentChanged(finer))
    bench.books[BTC].change_instrument(finer)
    (plan,) = bench.engine.state.plans.values()
    assert 5_970_000 == plan.bracket.stop_units
    bench.fill(order, client_id=None, venue_id=VenueOrderId("stop"), side=Side.SELL)
    assert 0 == bench.share()


# one exit at a time -------------------------------------------------------------------------------


def test_stop_when_both_fire_then_the_venues_fill_ends_it_and_nothing_is_left_to_close():
    bench = Bench(AUTO)
    opened(bench, entry(TRAILING))
    # The answer was lost: the venue may hold it, and we watch.
    bench.pass_time(1_001)
    (order,) = bench.places(bench.book(597_000))
    assert order.reduce_only
    bench.fill(order, client_id=None, venue_id=VenueOrderId("stop"), side=Side.SELL, price=597_000)
    assert (0, 0) == (bench.share(), bench.net())
    bench.reply_refused(order, "reduce-only: nothing to reduce")
    assert [] == bench.places(bench.pass_time(10_000))
    assert (0, 0) == (bench.share(), bench.net())


def fill_of(bench: Bench, order, *, side=None, name: str = "old", client: bool = True):
    return Fill(
        account_id=ACCOUNT,
        instrument_id=BTC,
        execution_id=name,
        kind=ExecutionKind.TRADE,
        side=side or order.side,
        price_units=600_000,
        size_units=order.size_units,
        fee=0,
        fee_asset="USDT",
        is_maker=False,
        venue_ns=bench.now_ns - 1_000,
        received_ns=bench.now_ns,
        client_id=order.client_id if client else None,
        venue_id=VenueOrderId("x"),
    )


# whatever the venue answers -----------------------------------------------------------------------


class Venue:
    """Holds stops as asked, or not, and answers as chance has it; fires what it holds."""

    def __init__(self, bench: Bench, chance: random.Random) -> None:
        self.bench = bench
        self.chance = chance
        self.stop = self.distance = self.best = 0
        self.fired = 0

    def take(self, request: SetPositionStops) -> None:
        chance, bench = self.chance, self.bench
        draw = chance.random()
        if draw < 0.6 and bench.net() > 0:
            self.stop = request.stop_units or self.stop
            self.distance = request.trailing_distance_units or self.distance
            self.best = self.best or 600_000
        if draw < 0.4:
            answer(bench, request)
        elif draw < 0.7:
            answer(bench, request, Outcome.UNKNOWN)
        elif draw < 0.8:
            answer(bench, request, Outcome.REFUSED, 10_001)
        if chance.random() < 0.3 and bench.net():
            if chance.random() < 0.2:
                self.stop = self.distance = 0  # a person took them away
            report(bench, bench.net(), stop=self.stop, trailing=self.distance)

    def move(self, bid: int, entry_order: PlaceOrder) -> None:
        bench = self.bench
        if not bench.net():
            self.stop = self.distance = self.best = 0
            return
        self.best = max(self.best, bid)
        level = max(self.stop, self.best - self.distance if self.distance else 0)
        if level and bid <= level:
            self.fired += 1
            bench.fill(
                entry_order,
                bench.net(),
                client_id=None,
                venue_id=VenueOrderId(f"stop-{self.fired}"),
                side=Side.SELL,
                price=bid,
                is_of_stop=True,
            )


def campaign(seed: int) -> Bench:
    chance = random.Random(seed)
    risk = msgspec.structs.replace(
        RISK, protections=ProtectionLimits(cooldown_after_stop_s=0, losses_in_row_max=0)
    )
    exits = Exits(
        stop_loss_fraction=0.004, trailing_fraction=0.003, break_even_after_fraction=0.002
    )
    config = EngineConfig(risk=risk, execution=ExecutionConfig(exits=exits))
    bench = Bench(config)
    venue = Venue(bench, chance)
    bid, seen, order = 600_000, 0, None
    for _ in range(400):
        bid += chance.randint(-600, 620)
        held_before = bench.net()
        if held_before == 0 and chance.random() < 0.3:
            gave = bench.say(entry(Exits()), bid=bid)
        else:
            gave = bench.book(bid, after_ms=chance.choice([5, 50, 700]))
            gave = [*gave, *bench.pass_time(1)]
        for placed in bench.places(gave):
            if not placed.reduce_only:
                order = placed
                bench.execute(placed, price=bid)
                continue
            # The exit races the venue's own stop: whoever is first, the other finds nothing.
            if order is not None and chance.random() < 0.5:
                venue.move(bid, order)
            if bench.net():
                bench.ack(placed)
                bench.fill(placed, min(placed.size_units, bench.net()), price=bid)
                bench.report(placed, OrderState.CANCELLED, filled=placed.size_units)
            else:
                bench.reply_refused(placed, "nothing to reduce")
        if order is not None:
            venue.move(bid, order)
        requests = asked(bench)
        for request in requests[seen:]:
            venue.take(request)
        seen = len(requests)
        assert bench.net() >= 0, "an exit turned the position over"
        assert bench.share() == bench.net()
        for plan in bench.engine.state.plans.values():
            if plan.levels is None or plan.closing is not None:
                continue
            # Never unprotected: what isn't proven to be held is watched here.
            assert plan.held.left_to_us(plan.levels) == plan.bracket
            assert plan in bench.engine.state.lane(BTC).watch
            held = plan.held
            assert plan.bracket.stop_units is not None or held.stop_units or held.distance_units
    return bench


@pytest.mark.parametrize("seed", range(12))
def test_exits_when_the_venue_answers_anything_then_protected_always_and_never_turned_over(seed):
    bench = campaign(seed)
    assert len(asked(bench)) > 3
    assert campaign(seed).engine.digest == bench.engine.digest
