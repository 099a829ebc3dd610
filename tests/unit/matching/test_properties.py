"""What no order flow may break, whatever the market does."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.matching.market import Market
from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.matching import Cancelled, Execution, FillCause, MatchEvent, SelfTrade, Working

BUY, SELL = Side.BUY, Side.SELL
PRICES = st.integers(95, 105)
SIZES = st.integers(1, 9)
SIDES = st.sampled_from([BUY, SELL])
# Orders that rest and meet are the interesting ones: the kinds that end at once come seldom.
RARELY = st.sampled_from([False] * 5 + [True])


@dataclass(frozen=True)
class Place:
    side: Side
    size: int
    price: int
    account: int
    tif: TimeInForce
    post_only: bool
    reduce_only: bool
    self_trade: SelfTrade
    trigger: int
    rises: bool
    bracket: bool


@dataclass(frozen=True)
class Print:
    side: Side
    price: int
    size: int


@dataclass(frozen=True)
class SetLevel:
    side: Side
    distance: int
    size: int


@dataclass(frozen=True)
class Mid:
    """Move the external market so that it lies around a price."""

    price: int


@dataclass(frozen=True)
class Cancel:
    which: int


@dataclass(frozen=True)
class Amend:
    which: int
    price: int
    size: int


Action = Place | Print | SetLevel | Mid | Cancel | Amend

ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(
        Place,
        SIDES,
        SIZES,
        st.one_of(PRICES, PRICES, PRICES, st.just(0)),
        st.integers(1, 3),
        st.sampled_from([TimeInForce.GTC] * 4 + [TimeInForce.IOC, TimeInForce.FOK]),
        RARELY,
        RARELY,
        st.sampled_from(SelfTrade),
        st.sampled_from([0] * 8 + [97, 100, 103]),
        st.booleans(),
        RARELY,
    ),
    st.builds(Print, SIDES, PRICES, SIZES),
    st.builds(SetLevel, SIDES, st.integers(1, 4), st.integers(0, 9)),
    st.builds(Mid, PRICES),
    st.builds(Cancel, st.integers(0, 9)),
    st.builds(Amend, st.integers(0, 9), PRICES, SIZES),
)


class Run:
    """Applies actions and checks what must hold after each."""

    def __init__(self) -> None:
        self.m = Market({}, {})
        self.mid = 100
        self.folded: dict[int, int] = {}
        self.filled: dict[int, int] = {}
        self._lay()

    def _lay(self) -> None:
        for side in (BUY, SELL):
            for price in range(90, 111):
                inside = (price < self.mid) if side is BUY else (price > self.mid)
                size = 3 if inside and abs(price - self.mid) < 4 else 0
                self.m.levels.set_level(side, price, size)
        self.m.book.on_book_change(self.m.now)

    def apply(self, action: Action) -> None:
        m = self.m
        before = m.levels.levels(BUY), m.levels.levels(SELL)
        match action:
            case Place():
                m.order(
                    action.side,
                    action.size,
                    action.price,
                    account=action.account,
                    tif=action.tif,
                    post_only=action.post_only,
                    reduce_only=action.reduce_only,
                    self_trade=action.self_trade,
                    trigger=action.trigger,
                    rises=action.rises,
                    take_profit=100 + 4 * action.side if action.bracket else 0,
                    stop_loss=100 - 4 * action.side if action.bracket else 0,
                )
            case Print():
                m.trade(action.side, action.price, action.size)
            case SetLevel():
                m.set(action.side, self.mid - action.side * action.distance, action.size)
            case Mid():
                self.mid = action.price
                self._lay()
                m.book.on_price(TriggerBy.MARK, action.price, m.now)
            case Cancel():
                if m.book.orders:
                    ids = sorted(m.book.orders)
                    assert m.book.cancel(ids[action.which % len(ids)], m.now)
            case Amend():
                resting = [o for side in (BUY, SELL) for o in m.book.resting(side)]
                if resting:
                    order = resting[action.which % len(resting)]
                    size = order.filled_units + action.size
                    m.book.amend(order.order_id, m.now, price_units=action.price, size_units=size)
        self.check(action, before, m.book.drain())

    def check(
        self,
        action: Action,
        before: tuple[list[tuple[int, int]], list[tuple[int, int]]],
        events: list[MatchEvent],
    ) -> None:
        fills = [event for event in events if isinstance(event, Execution)]
        self.check_fills(fills)
        self.check_causes(action, before, fills)
        self.check_book()
        for event in events:
            if isinstance(event, Working):
                assert 0 < event.remaining_units
            if isinstance(event, Cancelled):
                assert event.filled_units == self.filled.get(event.order.order_id, 0)

    def check_fills(self, fills: list[Execution]) -> None:
        matches: dict[int, list[Execution]] = {}
        for fill in fills:
            order = fill.order
            assert fill.size_units > 0
            assert order.side * fill.price_units <= order.side * order.price_units
            held = self.folded.get(order.position, 0)
            self.folded[order.position] = held + order.side * fill.size_units
            if order.reduce_only and not fill.counter_order_id:
                assert held * order.side < 0
                assert abs(held) >= fill.size_units
            total = self.filled.get(order.order_id, 0) + fill.size_units
            self.filled[order.order_id] = total
            assert total == fill.filled_units
            matches.setdefault(fill.match_id, []).append(fill)
        for pair in matches.values():
            if pair[0].counter_order_id:
                maker, taker = pair
                assert (maker.is_maker, taker.is_maker) == (True, False)
                assert maker.size_units == taker.size_units
                assert maker.price_units == taker.price_units == maker.order.price_units
                assert maker.order.side != taker.order.side
            else:
                assert len(pair) == 1
        assert {k: v for k, v in self.folded.items() if v} == {
            k: v for k, v in self.m.book.positions.items() if v
        }

    def check_causes(
        self,
        action: Action,
        before: tuple[list[tuple[int, int]], list[tuple[int, int]]],
        fills: list[Execution],
    ) -> None:
        by_trade = [
            f for f in fills if f.cause in (FillCause.HIT_BY_TRADE, FillCause.TRADED_THROUGH)
        ]
        if isinstance(action, Print):
            assert sum(f.size_units for f in by_trade) <= action.size
            for fill in by_trade:
                assert fill.order.side == -action.side
                assert fill.order.side * (fill.order.price_units - action.price) >= 0
            # Price first: no order fills while one with a better price rests untouched.
            prices = [f.order.side * f.price_units for f in by_trade]
            assert prices == sorted(prices, reverse=True)
        else:
            assert by_trade == []
        if not isinstance(action, SetLevel | Mid):
            assert [f for f in fills if f.cause is FillCause.BOOK_CROSSED] == []
            shown = {side: dict(levels) for side, levels in zip((BUY, SELL), before, strict=True)}
            for fill in fills:
                if fill.cause is FillCause.TOOK and not fill.counter_order_id:
                    side = SELL if fill.order.side is BUY else BUY
                    assert fill.size_units <= shown[side].get(fill.price_units, 0)

    def check_book(self) -> None:
        m = self.m
        bid, ask = m.levels.best()
        assert bid is None or ask is None or bid[0] < ask[0]
        for side in (BUY, SELL):
            own: dict[int, int] = {}
            orders = list(m.book.resting(side))
            for order in orders:
                own[order.price_units] = own.get(order.price_units, 0) + order.remaining_units
                assert 0 <= order.ahead_units <= m.levels.external_size(side, order.price_units)
                assert 0 < order.remaining_units
                assert order.filled_units + order.remaining_units == order.size_units
                if order.reduce_only:
                    held = m.book.positions.get(order.position, 0)
                    assert order.remaining_units <= -order.side * held
            shown = dict(m.levels.levels(side))
            for price, size in own.items():
                assert shown[price] == size + m.levels.external_size(side, price)
            keys = [(-side * o.price_units, o.arrival) for o in orders]
            assert keys == sorted(keys)
            for first, second in pairwise(orders):
                if first.price_units == second.price_units:
                    assert first.ahead_units <= second.ahead_units


@settings(max_examples=300)
@given(st.lists(ACTIONS, max_size=60))
def test_any_order_flow_when_applied_then_every_invariant_holds(actions):
    run = Run()
    for action in actions:
        run.apply(action)


@given(st.lists(SIZES, min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 9))
def test_one_trade_when_many_orders_queue_then_is_shared_oldest_first(sizes, traded, ahead):
    m = Market({100: ahead} if ahead else {}, {101: 1})
    orders = [m.order(BUY, size, 100, account=n) for n, size in enumerate(sizes, 1)]
    m.trade(SELL, 100, traded)
    left = max(0, traded - ahead)
    expected = []
    for size in sizes:
        expected.append(min(size, left))
        left -= expected[-1]
    assert [order.filled_units for order in orders] == expected
