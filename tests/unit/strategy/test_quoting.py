"""Quotes kept by the engine against a venue that answers late, refuses, fills and forgets."""

from collections import deque
from random import Random

import pytest

from tests.unit.engine.bench import BTC, instrument
from tests.unit.strategy.library.stage import Stage
from tickwright.core.commands import AmendOrder, CancelOrder, Command, PlaceOrder
from tickwright.core.events import Outcome
from tickwright.core.identity import ClientId
from tickwright.core.instrument import AmendKind, Capabilities
from tickwright.core.orders import OrderState, RequestKind, Side
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters
from tickwright.strategy.quoting import Quote, Quoter, ask_units, bid_units, size_units_for

MID = 600_000


class Wisher(Strategy):
    """Wants what it is told to want."""

    def on_start(self):
        self.wished: list[Quote] = []
        self.quoter = Quoter(self.context, BTC, reprice_ticks=self.slack, fills_up=False)

    slack = 0

    def on_book(self, book):
        return self.quoter.actions(self.wished) or None

    def on_order(self, order):
        self.quoter.on_order(order)


class Venue:
    """Holds requests back and answers them in any order, some with a refusal."""

    def __init__(self, stage: Stage, chance: Random) -> None:
        self.stage = stage
        self.chance = chance
        self.waiting: deque[Command] = deque()
        self.heard = 0
        self.refused = 0
        self.orders: dict[ClientId, PlaceOrder] = {}
        self.prices: dict[ClientId, int] = {}
        self.live: set[ClientId] = set()
        self.most: dict[Side, int] = {Side.BUY: 0, Side.SELL: 0}

    def hear(self) -> None:
        told, self.heard = self.stage.log[self.heard :], len(self.stage.log)
        for command in told:
            if isinstance(command, (PlaceOrder, AmendOrder, CancelOrder)):
                self.waiting.append(command)
                if isinstance(command, PlaceOrder):
                    self.orders[command.client_id] = command

    def answer(self, *, kindly: bool = False) -> None:
        if not self.waiting:
            return
        self.waiting.rotate(-self.chance.randrange(len(self.waiting)))
        command = self.waiting.popleft()
        is_refused = not kindly and self.chance.random() < 0.15
        order = self.orders[command.client_id]  # type: ignore[union-attr]
        if isinstance(command, PlaceOrder):
            if is_refused:
                # In other words each time: three alike in a row would stop the strategy.
                self.refused += 1
                self.stage.reply_refused(order, f"refused for the {self.refused}th time")
                self.hear()
                return
            self.stage.ack(order)
            self.hear()
            self.live.add(order.client_id)
            self.prices[order.client_id] = order.price_units or 0
            self.show(order, OrderState.WORKING)
        elif order.client_id not in self.live or is_refused:
            kind = RequestKind.AMEND if isinstance(command, AmendOrder) else RequestKind.CANCEL
            self.stage.reply(order.client_id, kind, Outcome.REFUSED)
            self.hear()
        elif isinstance(command, AmendOrder):
            self.stage.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
            self.hear()
            self.prices[order.client_id] = command.price_units or 0
            self.show(order, OrderState.WORKING)
        else:
            self.live.discard(order.client_id)
            self.stage.reply(order.client_id, RequestKind.CANCEL, Outcome.ACCEPTED)
            self.hear()
            self.show(order, OrderState.CANCELLED)
        for side in self.most:
            count = sum(self.orders[one].side is side for one in self.live)
            self.most[side] = max(self.most[side], count)

    def show(self, order: PlaceOrder, state: OrderState) -> None:
        self.stage.report(order, state, price_units=self.prices[order.client_id])
        self.hear()

    def standing(self) -> list[tuple[int, int]]:
        return sorted((int(self.orders[one].side), self.prices[one]) for one in self.live)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("amend", [AmendKind.IN_PLACE, AmendKind.NONE])
def test_quotes_when_answers_come_late_and_wrong_then_in_the_end_those_wished(amend, seed):
    chance = Random(seed)
    wisher = Wisher()
    rules = instrument(capabilities=Capabilities(amend=amend))
    stage = Stage(wisher, StrategyParameters(), rules, is_shown=False)
    venue = Venue(stage, chance)
    levels = 3
    for _ in range(40):
        mid = MID + chance.randint(-30, 30)
        wisher.wished = [
            Quote(side, mid - side * 10 * (number + 1), 5)
            for side in (Side.BUY, Side.SELL)
            for number in range(chance.randint(0, levels))
        ]
        stage.pass_time(chance.choice([1, 50, 400]))
        stage.show([(mid - 1, 10**6)], [(mid + 1, 10**6)], after_ms=1)
        venue.hear()
        for _ in range(chance.randint(0, 4)):
            venue.answer()
    mid = MID
    wisher.wished = [
        Quote(side, mid - side * 10 * (number + 1), 5)
        for side in (Side.BUY, Side.SELL)
        for number in range(levels)
    ]
    for _ in range(12):
        stage.pass_time(1_100)
        stage.show([(mid - 1, 10**6)], [(mid + 1, 10**6)], after_ms=1)
        venue.hear()
        while venue.waiting:
            venue.answer(kindly=True)
    assert sorted((int(q.side), q.price_units) for q in wisher.wished) == venue.standing()
    assert max(venue.most.values()) <= levels


def test_quotes_when_within_the_slack_then_they_keep_their_place():
    wisher = Wisher()
    wisher.slack = 2
    stage = Stage(wisher, StrategyParameters(), instrument(), is_shown=False)
    wisher.wished = [Quote(Side.BUY, 599_900, 5)]
    stage.show([(599_990, 10)], [(600_010, 10)])
    order = stage.placed()
    stage.rest(order)
    for price, moved in ((599_902, 0), (599_898, 0), (599_903, 1)):
        wisher.wished = [Quote(Side.BUY, price, 5)]
        stage.show([(599_990, 10)], [(600_010, 10)])
        assert moved == len(stage.amends())


def test_quotes_when_one_would_take_then_it_waits_until_it_can_rest():
    wisher = Wisher()
    stage = Stage(wisher, StrategyParameters(), instrument(), is_shown=False)
    wisher.wished = [Quote(Side.BUY, 600_010, 5), Quote(Side.SELL, 600_020, 5)]
    stage.show([(599_990, 10)], [(600_010, 10)])
    assert [(-1, 600_020, 5)] == stage.quotes()
    stage.show([(599_990, 10)], [(600_011, 10)])
    assert [(1, 600_010, 5)] == stage.quotes()


def test_prices_when_rounded_then_away_from_the_market():
    rules = instrument(tick_units=5)
    assert (100, 105) == (bid_units(104.99, rules), ask_units(100.01, rules))
    assert (100, 100) == (bid_units(100.0, rules), ask_units(100.0, rules))


@pytest.mark.parametrize(
    ("notional", "changes", "expected"),
    [
        (180.0, {}, 3),  # 0.003 at 60,000.0
        (179.9, {}, 2),
        (50.0, {}, 0),  # below one lot
        (600.0, {"lot_units": 4}, 8),
        (200.0, {"size_min_units": 5}, 0),
        (10**9, {"size_max_units": 7, "lot_units": 2}, 6),
    ],
)
def test_size_when_worth_a_notional_then_whole_lots_at_most(notional, changes, expected):
    assert expected == size_units_for(instrument(**changes), notional, 600_000.0)
