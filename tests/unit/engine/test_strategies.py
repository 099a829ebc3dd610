"""Strategies inside the engine: one that breaks is halted alone; contexts, timers and callbacks."""

import random

import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    CONFIG,
    ETH,
    MS,
    RISK,
    START,
    Bench,
    Scripted,
    instrument,
    long,
)
from tickwright.book import OrderBook
from tickwright.core.errors import ConfigError
from tickwright.core.events import (
    BookState,
    FundingUpdate,
    IndexPrice,
    MarkPrice,
    OperatorCommand,
    OperatorVerb,
    TimerFired,
    Trade,
)
from tickwright.core.identity import StrategyId
from tickwright.core.orders import OrderIntent, OrderState, Side
from tickwright.engine import Engine, EngineConfig
from tickwright.execution import ExecutionConfig
from tickwright.strategy.base import Strategy

TWO = {"one": Scripted, "two": Scripted}


def bench_of_two() -> Bench:
    return Bench(strategies={name: make() for name, make in TWO.items()})


def fail():
    raise KeyError("a broken strategy")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (fail, ["KeyError", "a broken strategy", "test_strategies.py:"]),
        (lambda: 42, ["TypeError", "int"]),
        (lambda: [long(), "buy"], ["TypeError", "str"]),
        (lambda: {"side": "buy"}, ["TypeError", "dict"]),
    ],
)
def test_strategy_when_it_breaks_then_halted_alone_with_reason_and_place(answer, words):
    bench = bench_of_two()
    bench.say(OrderIntent(instrument_id=BTC, side=Side.BUY, size_units=5, price_units=599_000))
    order = bench.placed()
    bench.report(order, OrderState.WORKING)
    one, two = bench.strategies["one"], bench.strategies["two"]
    assert isinstance(one, Scripted)
    assert isinstance(two, Scripted)
    one.on_next = answer
    commands = bench.book(600_000)
    assert [order.client_id] == [cancel.client_id for cancel in bench.cancels(commands)]
    (halt,) = bench.halts()
    assert ("one", bench.engine.event_id) == (halt.scope, halt.event_id)
    missing = [word for word in words if word not in halt.reason]
    assert [] == missing, halt.reason
    calls = one.book_count
    bench.book(600_000)
    assert (calls, True) == (one.book_count, two.book_count > calls)
    assert 1 == len(bench.places(bench.say(long(), by="two")))


def test_strategy_when_it_breaks_in_another_callback_then_halted_too():
    bench = bench_of_two()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.answers.append("nonsense")  # type: ignore[arg-type]
    bench.handle(Trade(BTC, Side.BUY, 600_000, 1, "t1", 1, 1))
    assert ["one"] == [halt.scope for halt in bench.halts()]
    assert "one" in bench.engine.state.view.halted_strategies


def test_strategy_when_halted_with_a_position_then_its_bracket_still_guards_it():
    bench = bench_of_two()
    bench.say(long())
    bench.execute(bench.placed(), price=600_000)
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.on_next = fail
    assert [] == bench.places(bench.book(600_000))
    assert 1 == len(bench.places(bench.book(597_000)))


def test_strategy_when_halted_and_positions_are_to_close_then_closed():
    execution = ExecutionConfig(brackets="synthetic", halted_positions="close")
    bench = Bench(EngineConfig(risk=RISK, execution=execution))
    bench.say(long())
    bench.execute(bench.placed())
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.on_next = fail
    (order,) = bench.places(bench.book(600_000))
    assert (Side.SELL, True) == (order.side, order.reduce_only)


def test_strategy_when_resumed_then_called_again():
    bench = bench_of_two()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.on_next = fail
    bench.book(600_000)
    bench.handle(OperatorCommand(OperatorVerb.RESUME, "one", "fixed"))
    assert 1 == len(bench.places(bench.say(long())))


def test_rejects_when_three_are_equal_in_a_row_then_the_breaker_opens():
    bench = Bench()
    for count in range(3):
        assert count == len(bench.places(bench.log))
        bench.say(long())
        order = bench.placed()
        bench.reply_refused(order, "insufficient balance")
    (notice,) = bench.protections()
    assert "equal_rejects@one" == notice.name
    assert "3 equal refusals" in notice.reason
    assert [] == bench.places(bench.say(long()))


def test_callbacks_when_events_arrive_then_the_subscribers_hear_them():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    bench.handle(Trade(BTC, Side.SELL, 600_000, 3, "t1", 1, 1))
    bench.handle(MarkPrice(BTC, 600_010, 1))
    bench.handle(IndexPrice(BTC, 600_020, 1))
    funding = FundingUpdate(BTC, 100_000, 2, 1)
    bench.handle(funding)
    bench.handle(MarkPrice(ETH, 5, 1))
    bench.stale()
    kinds = [kind for kind, _ in one.heard]
    assert ["account", "trade", "market", "market", "market", "state"] == kinds
    context = one.context
    assert (600_010, 600_020, funding) == (
        context.mark(BTC),
        context.index(BTC),
        context.funding(BTC),
    )
    assert BookState.STALE is context.book(BTC).state


def test_callbacks_when_an_order_lives_then_every_change_is_heard():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.heard.clear()
    bench.say(long())
    order = bench.placed()
    bench.execute(order)
    states = [what[1].value for kind, what in one.heard if kind == "order"]
    assert ["accepted", "filled"] == states
    assert ["x1"] == [what for kind, what in one.heard if kind == "fill"]
    assert (166, ()) == (one.context.position(BTC).size_units, one.context.orders())


def test_context_when_another_instrument_is_asked_for_then_refused_and_the_strategy_halted():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)

    def look():
        one.context.book(ETH)

    one.on_next = look
    bench.book(600_000)
    assert "not subscribed" in bench.halts()[0].reason


def test_timer_when_set_then_comes_back_once_and_a_replaced_one_is_ignored():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.on_next = lambda: one.context.set_timer("wake", START + 500 * MS)
    (command,) = bench.book(600_000)
    assert ("one", "wake", START + 500 * MS) == (command.owner, command.name, command.due_ns)  # type: ignore[union-attr]
    one.on_next = lambda: one.context.set_timer("wake", START + 900 * MS)
    bench.book(600_000)
    bench.handle(TimerFired("one", "wake", START + 500 * MS))
    assert ("timer", "wake") not in one.heard
    for _ in range(2):
        bench.handle(TimerFired("one", "wake", START + 900 * MS))
    assert 1 == one.heard.count(("timer", "wake"))


def test_timer_when_too_many_names_wait_then_the_strategy_is_halted():
    bench = Bench()
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)

    def flood():
        for index in range(1_001):
            one.context.set_timer(f"t{index}", START)

    one.on_next = flood
    bench.book(600_000)
    assert "1000 timers" in bench.halts()[0].reason


def test_random_when_seeded_then_the_same_in_every_run_and_other_for_each_strategy():
    first, second = bench_of_two(), bench_of_two()
    draws = [
        [bench.strategies[name].context.random.random() for name in ("one", "two")]
        for bench in (first, second)
    ]
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[0][1]
    assert random.Random("1:one").random() == draws[0][0]


class Last(Scripted):
    """Leaves at the end."""

    def on_stop(self):
        self.heard.append(("stop", None))
        return long()


def test_stop_when_asked_for_then_the_last_word_counts_and_nothing_is_opened_after():
    bench = Bench(strategies={"one": Last()})
    commands = bench.handle(OperatorCommand(OperatorVerb.STOP, "all", "end of day"))
    assert 1 == len(bench.places(commands))
    assert [] == bench.places(bench.say(long()))
    one = bench.strategies["one"]
    assert isinstance(one, Last)
    assert 1 == one.heard.count(("stop", None))


class Silent(Strategy):
    """Overrides nothing but the one callback it must."""

    def on_book(self, book):
        return None


def test_strategy_when_it_overrides_nothing_then_nothing_else_is_called():
    bench = Bench(strategies={"one": Silent()})
    lane = bench.engine.state.lanes[BTC]
    assert (1, (), (), ()) == (
        len(lane.book_calls),
        lane.trade_calls,
        lane.market_calls,
        lane.state_calls,
    )


def test_set_up_when_wrong_then_a_clear_error():
    engine = Engine(CONFIG, epoch=1, seed=1, now_ns=START)
    book = OrderBook(instrument(), capacity=10)
    with pytest.raises(ConfigError, match="was not added"):
        engine.add_strategy(StrategyId("a"), Silent(), account_id=ACCOUNT, instruments=(BTC,))
    engine.add_account(ACCOUNT)
    with pytest.raises(ConfigError, match="has no order book"):
        engine.add_strategy(StrategyId("a"), Silent(), account_id=ACCOUNT, instruments=(BTC,))
    engine.add_book(0, book)
    with pytest.raises(ConfigError, match="is taken"):
        engine.add_book(0, OrderBook(instrument(ETH), capacity=10))
    with pytest.raises(ConfigError, match="is taken"):
        engine.add_book(1, book)
    with pytest.raises(ConfigError, match="slot"):
        engine.add_book(-1, OrderBook(instrument(ETH), capacity=10))
    for name in ("engine", "all", ""):
        with pytest.raises(ConfigError, match="reserved"):
            engine.add_strategy(StrategyId(name), Silent(), account_id=ACCOUNT, instruments=(BTC,))
    with pytest.raises(ConfigError, match="already"):
        engine.add_account(ACCOUNT)
    engine.add_strategy(StrategyId("a"), Silent(), account_id=ACCOUNT, instruments=(BTC,))
    engine.start(START)
    with pytest.raises(ConfigError, match="before the engine starts"):
        engine.add_strategy(StrategyId("b"), Silent(), account_id=ACCOUNT, instruments=(BTC,))
