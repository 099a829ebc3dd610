"""Protections in the engine: fed, told, acted on, lifted, and known again after a restart."""

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    CONFIG,
    ETH,
    MS,
    RISK,
    SECOND,
    Bench,
    Scripted,
    instrument,
    leave,
    long,
    short,
)
from tickwright.core.commands import PlaceOrder
from tickwright.core.events import (
    BalanceReport,
    MarkPrice,
    OperatorCommand,
    OperatorVerb,
)
from tickwright.core.identity import StrategyId
from tickwright.core.orders import OrderIntent, OrderState, Side
from tickwright.core.restrictions import Stage
from tickwright.core.risk_state import RiskState
from tickwright.core.units import MONEY_ONE
from tickwright.core.verdicts import Reason, Rejected
from tickwright.engine import EngineConfig
from tickwright.risk.protections_config import ProtectionLimits

QUICK = ProtectionLimits(
    cooldown_after_stop_s=10,
    losses_in_row_max=2,
    loss_pause_s=20,
    volatility_halt_percent=Decimal(3),
    order_storm_max=4,
    flip_flops_max=4,
)


def config(protections: ProtectionLimits = QUICK, **risk: Any) -> EngineConfig:
    limits = msgspec.structs.replace(RISK, protections=protections, **risk)
    return msgspec.structs.replace(CONFIG, risk=limits)


def two(**changes: Any) -> Bench:
    return Bench(
        config(**changes),
        strategies={"one": Scripted(), "two": Scripted()},
        instruments=(instrument(), instrument(ETH)),
    )


def names(bench: Bench) -> list[str]:
    return [row.name for row in bench.engine.summary().protections]


def told(bench: Bench) -> list[tuple[str, str, str]]:
    return [(notice.name, notice.stage.value, notice.by) for notice in bench.protections()]


def last_refusal(bench: Bench) -> Rejected:
    verdict = bench.verdicts()[-1].verdict
    assert isinstance(verdict, Rejected), verdict
    return verdict


def stop_out(bench: Bench) -> None:
    """Open a long and let its stop close it."""
    bench.say(long())
    bench.execute(bench.placed())
    bench.book(597_000)
    bench.execute(bench.placed())
    assert 0 == bench.share()


def operator(bench: Bench, verb: OperatorVerb, scope: str, reason: str = "ann") -> None:
    bench.handle(OperatorCommand(verb, scope, reason))


def lose(bench: Bench, money: int) -> None:
    """Let the account lose money that no transfer explains."""
    state = bench.engine.state
    held = state.portfolio.balance(ACCOUNT, "USDT").amount
    report = BalanceReport(
        account_id=ACCOUNT,
        asset="USDT",
        wallet_balance=held - money * MONEY_ONE,
        locked=0,
        venue_ns=bench.now_ns,
        received_ns=bench.now_ns,
    )
    bench.handle(report, after_ms=1)


# entered, told, acted on --------------------------------------------------------------------------


def test_stop_when_it_closed_then_that_strategy_waits_there_and_then_trades_again():
    bench = two()
    stop_out(bench)
    assert ["cooldown@one/venue:linear:BTCUSDT"] == names(bench)
    assert [] == bench.places(bench.say(long(), bid=597_000))
    refused = last_refusal(bench)
    assert Reason.PROTECTION is refused.reason
    assert "cooldown over one/venue:linear:BTCUSDT, reducing: a stop loss closed long" in str(
        refused
    )
    assert 1 == len(bench.places(bench.say(long(), by="two", bid=597_000)))
    bench.pass_time(10_000)
    assert [] == names(bench)
    assert [
        ("cooldown@one/venue:linear:BTCUSDT", "reducing", ""),
        ("cooldown@one/venue:linear:BTCUSDT", "active", "time"),
    ] == told(bench)
    assert 1 == len(bench.places(bench.say(long(), bid=597_000)))


def test_losses_in_a_row_when_at_the_bound_then_the_strategy_pauses_everywhere():
    bench = two(protections=msgspec.structs.replace(QUICK, cooldown_after_stop_s=0))
    stop_out(bench)
    bench.book(600_000)
    stop_out(bench)
    assert ["loss_streak@one"] == names(bench)
    bench.say(long(ETH))
    assert Reason.PROTECTION is last_refusal(bench).reason
    bench.pass_time(20_000)
    assert [] == names(bench)


def test_restriction_when_entered_then_opening_orders_of_its_scope_are_withdrawn_alone():
    bench = two()
    resting = {
        (by, instrument_id): OrderIntent(
            instrument_id=instrument_id, side=Side.BUY, size_units=1, price_units=595_000
        )
        for by in ("one", "two")
        for instrument_id in (BTC, ETH)
    }
    placed: dict[tuple[str, Any], PlaceOrder] = {}
    for (by, instrument_id), intent in resting.items():
        bench.say(intent, by=by)
        order = placed[by, instrument_id] = bench.placed()
        bench.ack(order)
        bench.report(order, OrderState.WORKING)
    bench.say(long(), by="one")
    bench.execute(bench.placed())
    before = len(bench.log)
    operator(bench, OperatorVerb.HALT, "one")
    withdrawn = {command.client_id for command in bench.cancels(bench.log[before:])}
    mine = {placed["one", BTC].client_id, placed["one", ETH].client_id}
    assert mine == withdrawn


def test_order_storm_when_too_many_orders_leave_then_the_next_is_refused_at_once():
    bench = two()
    intent = OrderIntent(instrument_id=BTC, side=Side.BUY, size_units=1, price_units=595_000)
    strategy = bench.strategies["one"]
    assert isinstance(strategy, Scripted)
    strategy.answers.append([intent] * 6)
    placed = bench.places(bench.book(600_000))
    assert 4 == len(placed)
    # What just left is withdrawn in the same input.
    assert {one.client_id for one in placed} == {c.client_id for c in bench.cancels()}
    assert [("order_storm@one", "halted", "")] == told(bench)
    summary = bench.engine.summary()
    assert {"protection": 2} == summary.strategies[0].refusals
    assert "order_storm over one, halted" in summary.strategies[0].last_refusals["protection"]
    assert {"order_storm": 1} == summary.protections_entered


def test_flip_flop_when_the_direction_changes_too_often_then_halted_and_exits_pass():
    limits = msgspec.structs.replace(
        QUICK, losses_in_row_max=0, order_storm_max=0, cooldown_after_stop_s=0
    )
    bench = two(protections=limits)
    for turn in range(5):
        bench.say((long, short)[turn % 2]())
        bench.execute(bench.placed())
        if turn == 4:
            break
        bench.say(leave())
        bench.execute(bench.placed())
        # The request budget is another matter.
        bench.pass_time(1_000)
    assert ["flip_flop@one/venue:linear:BTCUSDT"] == names(bench)
    assert bench.share() > 0
    bench.say(leave())
    bench.execute(bench.placed())
    assert 0 == bench.share()


def test_volatility_when_the_mid_jumps_then_nobody_opens_there():
    bench = two()
    bench.pass_time(2_000)
    bench.book(620_000)
    bench.pass_time(1_100)
    bench.book(620_000)
    assert ["volatility@venue:linear:BTCUSDT"] == names(bench)
    for by in ("one", "two"):
        bench.say(long(), by=by, bid=620_000)
        assert Reason.PROTECTION is last_refusal(bench).reason


def test_daily_loss_when_reached_then_a_row_until_the_day_ends_that_nobody_lifts():
    bench = two(daily_loss_percent_max=Decimal(2))
    lose(bench, 2_100)
    (row,) = bench.engine.summary().protections
    assert ("daily_loss@venue:main", "reducing", "next day") == (row.name, row.state, row.lifted_by)
    assert "2100.00 USDT" in row.reason
    assert "2 % of the day's first equity" in row.reason
    operator(bench, OperatorVerb.LIFT, "daily_loss@venue:main")
    assert "it ends with the day" in bench.halts()[-1].reason
    bench.say(long())
    assert Reason.DAILY_LOSS is last_refusal(bench).reason
    assert row.until_ns is not None
    # The engine's timers of a whole day would be many: the next second after it ends is enough.
    bench.now_ns = row.until_ns
    bench.pass_time(2_000)
    assert [] == names(bench)
    assert ("daily_loss@venue:main", "active", "next day") == told(bench)[-1]


def test_losses_when_latched_by_the_gate_first_then_told_all_the_same():
    bench = two(daily_loss_percent_max=Decimal(2))
    bench.say(long(stop_loss_fraction=None, take_profit_fraction=None))
    bench.execute(bench.placed())
    bench.handle(MarkPrice(BTC, 450_000, 1))
    # A signal asks the gate before the second's look at the equity.
    bench.say(long(ETH), by="two")
    assert Reason.DAILY_LOSS is last_refusal(bench).reason
    bench.pass_time(1_100)
    assert ("daily_loss@venue:main", "reducing", "") == told(bench)[-1]


# people -------------------------------------------------------------------------------------------


def test_drawdown_when_lifted_then_the_peak_starts_again():
    bench = two(daily_loss_percent_max=Decimal(5), drawdown_percent_max=Decimal(5))
    lose(bench, 5_100)
    assert {"daily_loss@venue:main", "drawdown@venue:main"} == set(names(bench))
    operator(bench, OperatorVerb.LIFT, "drawdown@venue:main")
    assert ["daily_loss@venue:main"] == names(bench)
    assert ("drawdown@venue:main", "active", "ann") == told(bench)[-1]
    bench.pass_time(3_000)
    assert ["daily_loss@venue:main"] == names(bench)
    assert not bench.engine.state.gate.state().accounts[0].has_drawdown_breach


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("drawdwn@venue:main", "did you mean daily_loss@venue:main?"),
        ("drawdown@venue:main", "it is not in force; did you mean daily_loss@venue:main?"),
        ("nonsense", "must be written KIND@SCOPE"),
        ("cooldown@one/x:y:z", "category must be one of"),
    ],
)
def test_lift_when_the_name_is_wrong_then_the_nearest_is_told(name, words):
    bench = two(daily_loss_percent_max=Decimal(2))
    lose(bench, 2_100)
    operator(bench, OperatorVerb.LIFT, name)
    halt = bench.halts()[-1]
    assert "lift ignored" in halt.reason
    assert words in halt.reason
    assert ["daily_loss@venue:main"] == names(bench)


def test_resume_when_of_a_strategy_then_what_waits_for_a_person_goes_and_time_goes_on():
    bench = two()
    stop_out(bench)
    for _ in range(3):
        bench.say(long(ETH))
        bench.reply_refused(bench.placed(), "no money")
    assert ["cooldown@one/venue:linear:BTCUSDT", "order_storm@one", "equal_rejects@one"] == names(
        bench
    )
    operator(bench, OperatorVerb.RESUME, "two")
    assert 3 == len(names(bench))
    operator(bench, OperatorVerb.RESUME, "one")
    assert ["cooldown@one/venue:linear:BTCUSDT"] == names(bench)


def test_halt_when_lifted_by_name_then_everything_goes_on():
    bench = two()
    operator(bench, OperatorVerb.HALT, "all")
    assert ["operator@all"] == names(bench)
    bench.say(long())
    assert Reason.ENGINE_HALTED is last_refusal(bench).reason
    operator(bench, OperatorVerb.LIFT, "operator@all")
    assert 1 == len(bench.places(bench.say(long())))
    operator(bench, OperatorVerb.HALT, "two")
    assert "ann" == bench.engine.summary().strategies[1].halt_reason
    operator(bench, OperatorVerb.LIFT, "operator@two")
    assert "" == bench.engine.summary().strategies[1].halt_reason


def test_end_of_a_run_when_stopped_then_a_restart_is_not_halted():
    bench = two()
    operator(bench, OperatorVerb.STOP, "all", "end of the run")
    assert () == bench.engine.kept_state().risk.restrictions


def test_halt_when_whoever_gave_it_remembers_then_a_restart_is_not_halted():
    bench = two()
    bench.handle(OperatorCommand(OperatorVerb.HALT, "all", "killed", outlives_restart=False))
    assert "killed" == bench.engine.summary().engine_halt
    assert () == bench.engine.kept_state().risk.restrictions


def test_executions_when_an_earlier_run_counted_them_then_not_counted_again():
    bench = two(protections=msgspec.structs.replace(QUICK, cooldown_after_stop_s=0))
    stop_out(bench)
    placed = bench.places(bench.log)
    again = restarted(bench)
    for order in placed:
        # The venue tells its last minutes' executions at the sync of a start.
        again.fill(order, venue_ns=bench.now_ns)
    assert [] == names(again)
    assert 1 == again.engine.kept_state().risk.strategies[0].losses_in_row
    assert 1 == again.engine.state.runs[StrategyId("one")].returns.count


# restart ------------------------------------------------------------------------------------------


def through_bytes(state: RiskState) -> RiskState:
    return msgspec.json.decode(msgspec.json.encode(state), type=RiskState)


def restarted(
    bench: Bench, *, equity: int | None = None, state: RiskState | None = None, **changes: Any
) -> Bench:
    """Start a new engine from an old one's state, flat, with the venue's balance."""
    kept = bench.engine.kept_state()
    again = Bench(
        bench.engine.state.config,
        strategies={name: Scripted() for name in bench.strategies},
        instruments=(instrument(), instrument(ETH)),
        is_synced=False,
        kept=kept if state is None else msgspec.structs.replace(kept, risk=state),
        now_ns=bench.now_ns,
    )
    held = bench.engine.state.portfolio.balance(ACCOUNT, "USDT").amount // MONEY_ONE
    again.sync(equity=held if equity is None else equity, **changes)
    for instrument_id in again.books:
        again.book(600_000, instrument_id=instrument_id, after_ms=0)
    return again


def test_restart_when_restricted_then_the_same_rows_stand_and_are_told():
    bench = two(daily_loss_percent_max=Decimal(5), drawdown_percent_max=Decimal(5))
    stop_out(bench)
    operator(bench, OperatorVerb.HALT, "two")
    lose(bench, 5_100)
    again = restarted(bench)
    assert names(bench) == names(again)
    assert {"restart"} == {by for _, _, by in told(again)}
    again.say(long(), by="one")
    assert Reason.DAILY_LOSS is last_refusal(again).reason
    assert "ann" == again.engine.summary().strategies[1].halt_reason
    old, new = bench.engine.state.portfolio, again.engine.state.portfolio
    assert old.account(ACCOUNT).day_base == new.account(ACCOUNT).day_base
    assert old.peak_equity(ACCOUNT) == new.peak_equity(ACCOUNT)
    # They end as they would have ended: by time, by a person.
    operator(again, OperatorVerb.RESUME, "all")
    assert {"cooldown@one/venue:linear:BTCUSDT", "daily_loss@venue:main"} == set(names(again))
    again.pass_time(11_000)
    assert ["daily_loss@venue:main"] == names(again)


def test_restart_when_the_loss_went_on_meanwhile_then_the_day_counts_both():
    bench = two(daily_loss_percent_max=Decimal(2))
    lose(bench, 1_500)
    assert [] == names(bench)
    again = restarted(bench, equity=97_900)
    again.pass_time(1_100)
    assert ["daily_loss@venue:main"] == names(again)
    assert "2100.00 USDT" in again.engine.summary().protections[0].reason


def test_restart_when_the_day_is_over_then_a_new_one_begins_and_the_peak_stays():
    bench = two(daily_loss_percent_max=Decimal(2), drawdown_percent_max=Decimal(3))
    lose(bench, 2_100)
    day_end_ns = bench.engine.state.portfolio.account(ACCOUNT).day_end_ns
    bench.now_ns = day_end_ns + SECOND
    again = restarted(bench)
    assert [] == names(again)
    again.pass_time(1_100)
    assert 97_900 * MONEY_ONE == again.engine.state.portfolio.day_start_equity(ACCOUNT)
    lose(again, 1_000)
    assert ["drawdown@venue:main"] == names(again)


def test_restart_when_an_account_was_not_read_yet_then_its_day_is_not_forgotten():
    bench = two(drawdown_percent_max=Decimal(5))
    lose(bench, 1_000)
    kept = bench.engine.kept_state().risk
    again = Bench(
        bench.engine.state.config,
        strategies={"one": Scripted()},
        instruments=(),
        is_synced=False,
        kept=bench.engine.kept_state(),
    )
    state = again.engine.kept_state().risk
    assert kept.days == state.days
    # What is counted of a strategy that isn't configured now is kept for when it is.
    assert kept.strategies == state.strategies


def test_restart_when_drawdown_is_lifted_before_the_account_is_read_then_it_stays_lifted():
    bench = two(daily_loss_percent_max=Decimal(5), drawdown_percent_max=Decimal(5))
    lose(bench, 5_100)
    again = Bench(bench.engine.state.config, is_synced=False, kept=bench.engine.kept_state())
    operator(again, OperatorVerb.LIFT, "drawdown@venue:main")
    again.sync(equity=94_900)
    again.pass_time(1_100)
    assert ["daily_loss@venue:main"] == names(again)


def test_restart_when_a_contradiction_stood_then_the_instrument_stays_halted():
    bench = two()
    bench.engine.state.halt_instrument(BTC, "overfill: x")
    again = restarted(bench)
    again.say(long())
    assert Reason.INSTRUMENT_NOT_TRADING is last_refusal(again).reason
    operator(again, OperatorVerb.LIFT, "contradiction@venue:linear:BTCUSDT")
    assert {} == again.engine.summary().halted_instruments
    assert 1 == len(again.places(again.say(long())))


def test_restart_when_trades_were_closed_then_kelly_knows_their_returns():
    bench = two()
    stop_out(bench)
    run = bench.engine.state.runs
    again = restarted(bench)
    old, new = run[StrategyId("one")].returns, again.engine.state.runs[StrategyId("one")].returns
    assert 1 == new.count
    assert (old.mean, old.fractions()) == (new.mean, new.fractions())


def test_version_when_anything_kept_changes_then_differs():
    bench = two()
    engine = bench.engine
    before = engine.kept_version
    bench.book(600_100)
    assert before == engine.kept_version
    for change in (
        lambda: bench.say(long()),
        lambda: bench.execute(bench.placed()),
        lambda: lose(bench, 1),
        lambda: operator(bench, OperatorVerb.HALT, "one"),
    ):
        change()
        assert before != engine.kept_version
        before = engine.kept_version


@pytest.mark.parametrize("seed", [*range(40), 696])
def test_restart_when_at_a_random_moment_then_both_decide_the_same_afterwards(seed: int):
    """Feeds an engine and its restarted twin, both flat, the same inputs."""
    chance = random.Random(seed)
    first = two(daily_loss_percent_max=Decimal(1), drawdown_percent_max=Decimal(2))

    def step(benches: list[Bench]) -> None:
        draw, by = chance.random(), chance.choice(["one", "two"])
        bid = chance.randint(598_000, 602_000)
        where = chance.choice([BTC, ETH])
        price = chance.choice([-1, 1]) * chance.randint(0, 9_000)
        pause = chance.choice([100, 1_000, 8_000])
        money = chance.randint(1, 300)
        for bench in benches:
            if draw < 0.6:
                bench.book(bid, instrument_id=where, after_ms=0)
                # Without the venue's mark a mid stands in for it, ten times a second: each engine
                # would value what it holds by another moment's.
                bench.handle(MarkPrice(where, bid, bench.now_ns))
                bench.say(chance_signal(draw)(where), by=by, bid=bid)
                for order in bench.places():
                    if draw < 0.1:
                        bench.reply_refused(order, "no money")
                        continue
                    bench.execute(order)
                    bench.say(leave(where), by=by, bid=bid)
                    for exit_order in bench.places():
                        level = exit_order.price_units
                        assert level is not None
                        bench.execute(exit_order, price=level + price)
            elif draw < 0.7:
                lose(bench, money)
            elif draw < 0.75:
                operator(bench, OperatorVerb.RESUME, by)
            elif draw < 0.8:
                for row in bench.engine.summary().protections[:1]:
                    operator(bench, OperatorVerb.LIFT, row.name)
            else:
                bench.pass_time(pause)

    def chance_signal(draw: float) -> Any:
        return long if draw < 0.35 else short

    for _ in range(chance.randint(5, 60)):
        step([first])
    second = restarted(first, equity=None, **balances_of(first))
    # The venue goes on numbering executions.
    second.execution_count = first.execution_count
    # The restarted one measures volatility anew, and its books began at another moment.
    for instrument_id in first.books:
        first.book(600_000, instrument_id=instrument_id, after_ms=0)
    # The one rate that isn't kept is the request budget's: a start takes about as long as its
    # window, and each answer of the venue tells what is left there.
    window_ns = first.engine.state.config.execution.budget.window_ms * MS
    first.now_ns = second.now_ns = max(first.now_ns, second.now_ns) + window_ns
    first.verdicts().clear()
    seen = len(first.verdicts()), len(second.verdicts())
    for _ in range(60):
        step([first, second])
        ours = [verdict_words(notice) for notice in first.verdicts()[seen[0] :]]
        theirs = [verdict_words(notice) for notice in second.verdicts()[seen[1] :]]
        assert ours == theirs
        assert names(first) == names(second)


def balances_of(bench: Bench) -> dict[str, Any]:
    """Return the venue's balance to the last digit, for a sync."""
    held = bench.engine.state.portfolio.balance(ACCOUNT, "USDT").amount
    return {
        "balances": (
            BalanceReport(
                account_id=ACCOUNT,
                asset="USDT",
                wallet_balance=held,
                locked=0,
                venue_ns=bench.now_ns,
                received_ns=bench.now_ns,
            ),
        )
    }


def verdict_words(notice: Any) -> tuple[str, str]:
    verdict = notice.verdict
    words = verdict.reason.value if isinstance(verdict, Rejected) else str(verdict.size_units)
    return notice.strategy_id, words


def test_stages_when_told_then_they_are_those_of_the_rows():
    bench = two()
    stop_out(bench)
    assert Stage.REDUCING is bench.protections()[0].stage
    assert bench.protections()[0].now_ns >= bench.protections()[0].since_ns - MS
