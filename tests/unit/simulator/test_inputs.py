"""What is told without a wire is what the wire would tell, field for field."""

from itertools import product
from random import Random

import msgspec
import pytest

from tests.unit.simulator_private.house import House
from tests.unit.simulator_private.test_properties import Flow, lived
from tickwright.core.account_reports import PositionReport
from tickwright.core.commands import AmendOrder, CancelOrder, PlaceOrder
from tickwright.core.events import AccountState, OrderReport
from tickwright.core.identity import (
    AccountId,
    Category,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
    VenueOrderId,
)
from tickwright.core.instrument import Instrument
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
)
from tickwright.simulator.gateway import typed_request
from tickwright.simulator.inputs import InputMaker, Told
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.private.requests import (
    AmendRequest,
    CancelRequest,
    CreateRequest,
    UnitsAmend,
    read_request,
)
from tickwright.simulator.private.shapes import Row
from tickwright.simulator.private.told import Announcement
from tickwright.venues.bybit.order_encode import OrderEncoder, OrderForm, request_kind_of
from tickwright.venues.bybit.private_decode import RowReader

NAME = AccountId("sim", "main")
MESSAGES_MIN = 10_000
DAYS, ACTIONS = 24, 150


def instruments_of(house: House) -> dict[tuple[Category, str], Instrument]:
    found = {}
    for market in (house.linear, house.spot):
        listing = market.instrument
        found[listing.key] = Instrument(
            id=InstrumentId("sim", listing.category, listing.symbol),
            base_asset=listing.base,
            quote_asset=listing.quote,
            settle_asset=listing.quote,
            price_decimals=listing.price_decimals,
            size_decimals=listing.size_decimals,
            tick_units=listing.tick_units,
            lot_units=listing.lot_units,
            size_min_units=listing.size_min_units,
            size_max_units=listing.size_max_units,
            market_size_max_units=listing.market_size_max_units,
        )
    return found


class BothWays:
    """Hears every announcement of a house typed, and reads the rows that are told after it."""

    def __init__(self, house: House) -> None:
        instruments = instruments_of(house)
        self._house = house
        self._maker = InputMaker(NAME, instruments)
        self._reader = RowReader(NAME, lambda category, symbol: instruments[category, symbol])
        self._typed: list[tuple[Account, tuple[Told, ...]]] = []
        self._now_ns: list[int] = []
        self.told: list[Told] = []
        for user in house.users:
            house.desk.settlement.listeners[user.uid] = self._hear

    def _hear(self, told: Announcement) -> None:
        now_ns = self._house.venue.now_ns
        for message in self._maker.messages(told, now_ns):
            self._typed.append((told.account, message))
            self._now_ns.append(now_ns)

    def check(self) -> None:
        """Hold what was told until now equal, long after it was told."""
        published, self._house.published = self._house.published, []
        read = [
            (account, tuple(self._read(topic, row, now_ns)))
            for (account, topic, row), now_ns in zip(published, self._now_ns, strict=True)
        ]
        assert read == self._typed
        self.told += [one for _, message in self._typed for one in message]
        self._typed, self._now_ns = [], []

    def _read(self, topic: str, rows: list[Row], now_ns: int) -> list[Told]:
        if topic == "order":
            return [self._reader.order(row, received_ns=0) for row in rows]
        if topic == "execution":
            return [self._reader.fill(row, received_ns=0) for row in rows]
        if topic == "position":
            return [self._reader.position(row, received_ns=0) for row in rows]
        (row,) = rows
        return list(self._reader.wallet(row, venue_ns=now_ns, received_ns=0))


def test_days_of_three_accounts_when_told_typed_then_inputs_equal_those_read_from_rows() -> None:
    seen: list[Told] = []
    for seed in range(DAYS):
        rng, flow = Random(seed), Flow()
        both = BothWays(flow.house)
        for _ in lived(flow, rng, ACTIONS):
            pass
        both.check()
        seen += both.told
    assert len(seen) > MESSAGES_MIN
    fills = [one for one in seen if isinstance(one, Fill)]
    orders = [one for one in seen if isinstance(one, OrderReport)]
    positions = [one for one in seen if isinstance(one, PositionReport)]
    # The days had what there is to tell.
    kinds = {ExecutionKind.TRADE, ExecutionKind.FUNDING, ExecutionKind.LIQUIDATION}
    assert kinds == {one.kind for one in fills}
    states = {
        OrderState.WORKING,
        OrderState.PARTLY_FILLED,
        OrderState.TRIGGERED,
        OrderState.FILLED,
        OrderState.CANCELLED,
    }
    assert states <= {one.state for one in orders}
    assert {True, False} == {one.is_of_stop for one in fills}
    assert {Category.LINEAR, Category.SPOT} == {one.instrument_id.category for one in orders}
    assert any(one.stop_units for one in positions) and any(one.take_units for one in positions)
    assert any(one.trailing_distance_units for one in positions)
    assert any(one.liquidation_price_units for one in positions)
    assert any(isinstance(one, AccountState) and one.initial_margin for one in seen)


def test_legs_of_a_hedge_when_told_typed_then_inputs_equal_those_read_from_rows() -> None:
    house = House()
    house.users[0].hedged.add("BTCUSDT")
    both = BothWays(house)
    house.create(side="Buy", qty="0.01", positionIdx=1)
    house.create(side="Sell", qty="0.02", positionIdx=2)
    house.create(side="Sell", qty="0.004", positionIdx=1)
    house.create(side="Buy", qty="0.02", price="59990", positionIdx=2, orderLinkId="mine")
    both.check()
    held = {one.leg.value: one.size_units for one in both.told if isinstance(one, PositionReport)}
    assert {"long": 6, "short": -20} == held


def test_dust_when_counted_in_dollars_then_is_rounded_as_the_row_is() -> None:
    """Half a hundred-millionth goes to the even side, in whole numbers as in decimals."""
    house = House()
    both = BothWays(house)
    user, step = house.users[0], 10**10
    before = 10_000 * 10**18
    for wallet in (step // 2, step // 2 + 1, step + step // 2, -step // 2, -1, 10**28 + 1, 7):
        user.ledger.wallet["USDT"] = before + wallet
        house.desk.settlement.transfer(user, house.users[1], "USDT", 0)
        both.check()
    equities = [one.equity for one in both.told if isinstance(one, AccountState)][::2]
    assert [0, step, 2 * step, 0, 0] == [one - before for one in equities[:5]]


def forms() -> list[tuple[PlaceOrder | AmendOrder | CancelOrder, OrderForm]]:
    house = House()
    by_id = {one.id: one for one in instruments_of(house).values()}
    encoder = OrderEncoder(by_id.__getitem__)
    asked: list[PlaceOrder | AmendOrder | CancelOrder] = []
    for instrument_id, side, kind in product(by_id, Side, range(6)):
        place = PlaceOrder(
            account_id=NAME,
            instrument_id=instrument_id,
            client_id=ClientId(f"a{kind}"),
            strategy_id=StrategyId("s"),
            event_id=1,
            side=side,
            order_type=OrderType.MARKET if kind == 1 else OrderType.LIMIT,
            price_units=None if kind == 1 else 5_999_000,
            size_units=1_000,
            time_in_force=TimeInForce.IOC if kind in (1, 2) else TimeInForce.GTC,
            post_only=kind == 3,
            reduce_only=kind == 2 and instrument_id.category is Category.LINEAR,
            trigger_price_units=5_998_000 if kind == 4 else None,
            stop_loss_price_units=5_000_000 if kind == 5 else None,
            take_profit_price_units=7_000_000 if kind == 5 else None,
            leg=[Leg.NET, Leg.LONG, Leg.SHORT][kind % 3],
            trigger_by=TriggerBy.MARK if kind == 5 else TriggerBy.LAST,
            valid_until_ns=0,
        )
        asked.append(place)
        asked.append(
            AmendOrder(
                account_id=NAME,
                client_id=ClientId("a" if kind else ""),
                venue_id=VenueOrderId("v"),
                instrument_id=instrument_id,
                price_units=1_000,
                size_units=None if kind else 5,
                event_id=2,
            )
        )
        asked.append(
            CancelOrder(
                account_id=NAME,
                client_id=ClientId("" if kind else "a"),
                venue_id=VenueOrderId("v"),
                instrument_id=instrument_id,
                event_id=3,
            )
        )
    made = [(one, encoder.row(one, 1, last_price_units=6_000_000)) for one in asked]
    return [(one, form) for one, form in made if isinstance(form, OrderForm)]


@pytest.mark.parametrize(
    ("kind", "made"),
    [(PlaceOrder, CreateRequest), (CancelOrder, CancelRequest)],
)
def test_request_when_made_of_a_form_then_equals_what_is_read_of_its_text(
    kind: type, made: type[msgspec.Struct]
) -> None:
    chosen = [(request, form) for request, form in forms() if type(request) is kind]
    assert len(chosen) >= 20
    for request, form in chosen:
        typed = typed_request(request_kind_of(request), form)
        assert read_request(msgspec.to_builtins(form), made) == typed
        assert typed is read_request(typed, made)


ODD_PRICES = (-10, 0, 1, 10, 599_000, 5_999_005, 10**15)
ODD_SIZES = (-1, 0, 1, 3, 150, 10**15)


def test_amends_in_units_when_asked_then_are_answered_as_their_texts_are() -> None:
    rng, answers = Random(3), dict[str, int]()
    by_text, by_units = House(), House()
    listings = instruments_of(by_text)
    for number in range(400):
        category = rng.choice((Category.LINEAR, Category.SPOT))
        listing = listings[category, "BTCUSDT"]
        price = rng.choice((None, rng.randrange(5_900_000, 6_000_000, 10), *ODD_PRICES))
        size = rng.choice((None, rng.randrange(1, 1_000), *ODD_SIZES))
        texts = {
            "price": "" if price is None else listing.price_text(price),
            "qty": "" if size is None else listing.size_text(size),
        }
        units = {"price_units": price, "size_units": size}
        scope = category.value, "BTCUSDT"
        told = []
        for house, kind, figures in (
            (by_text, AmendRequest, texts),
            (by_units, UnitsAmend, units),
        ):
            live = house.desk.stores[house.users[0].uid].live
            if not any(one.category is category for one in live.values()):
                house.create(
                    category=category.value,
                    side="Buy",
                    qty="0.01",
                    price="59000",
                    timeInForce="GTC",
                    orderLinkId=f"mine{number}",
                )
            link = next(one.link_id for one in live.values() if one.category is category)
            try:
                house.desk.amend(
                    house.users[0],
                    kind(*scope, order_link_id=link, **figures),
                )
                answer = "OK"
            except VenueRefusal as refusal:
                answer = f"{refusal.code} {refusal.text}"
            house.run()
            told.append(answer)
        assert told[0] == told[1], (price, size)
        answers[told[0]] = answers.get(told[0], 0) + 1
    assert [one[2] for one in by_text.published] == [one[2] for one in by_units.published]
    assert answers["OK"] > 20 and len(answers) > 5
