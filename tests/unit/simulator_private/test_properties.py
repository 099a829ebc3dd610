"""Random order flow of several accounts: money stays proved and the book uncrossed."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulator_private.house import House
from tickwright.core.units import money_from_decimal
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.refusals import VenueRefusal

PRICES = st.integers(59_990, 60_010)
RARELY = st.sampled_from([False] * 5 + [True])
ACTIONS = st.one_of(
    st.fixed_dictionaries(
        {
            "do": st.just("create"),
            "user": st.integers(0, 2),
            "category": st.sampled_from(["linear", "linear", "spot"]),
            "side": st.sampled_from(["Buy", "Sell"]),
            "size": st.integers(1, 30),
            "price": st.one_of(PRICES, PRICES, st.none()),
            "tif": st.sampled_from(["GTC", "GTC", "GTC", "GTC", "IOC", "FOK", "PostOnly"]),
            "reduce": RARELY,
            "smp": st.sampled_from(["None", "CancelMaker", "CancelTaker", "CancelBoth"]),
            "stops": RARELY,
            "trigger": st.one_of(st.none(), st.none(), st.none(), PRICES),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.just("trade"),
            "side": st.sampled_from(["Buy", "Sell"]),
            "price": PRICES,
            "size": st.integers(1, 3_000),
        }
    ),
    st.fixed_dictionaries({"do": st.just("move"), "price": PRICES, "size": st.integers(0, 500)}),
    st.fixed_dictionaries({"do": st.just("cancel"), "which": st.integers(0, 20)}),
    st.fixed_dictionaries({"do": st.just("amend"), "which": st.integers(0, 20), "price": PRICES}),
)


@contextmanager
def allowing(*codes: int) -> Iterator[None]:
    """Let the venue refuse for one of these reasons, and for no other."""
    try:
        yield
    except VenueRefusal as refusal:
        if refusal.code not in codes:
            raise


class Flow:
    def __init__(self) -> None:
        self.house = House(accounts=3)
        for user in self.house.users:
            user.ledger.deposit("BTC", money_from_decimal(Decimal(1)))
        self.now = 60_000

    def apply(self, action):
        getattr(self, action["do"])(action)
        self.house.run()
        self.check()

    def create(self, a):
        body = {
            "category": a["category"],
            "side": a["side"],
            "qty": str(Decimal(a["size"]) / 100),
            "timeInForce": a["tif"] if a["price"] else "IOC",
            "smpType": a["smp"],
        }
        if a["price"]:
            body["price"] = str(a["price"])
        else:
            body["marketUnit"] = "baseCoin"
        if a["category"] == "linear":
            body["reduceOnly"] = a["reduce"]
            sign = 1 if a["side"] == "Buy" else -1
            if a["stops"] and not a["reduce"]:
                body["takeProfit"] = str(60_000 + 30 * sign)
                body["stopLoss"] = str(60_000 - 30 * sign)
            if a["trigger"]:
                body["triggerPrice"] = str(a["trigger"])
                last = self.house.linear.last_or_mid_units()
                body["triggerDirection"] = 1 if a["trigger"] * 100 > last else 2
        with allowing(10001, 110007, 110017, 170131, 110092, 110093, 110009):
            self.house.create(a["user"], **body)

    def trade(self, a):
        self.house.trade(a["side"], a["price"] * 100, a["size"])

    def move(self, a):
        self.now = a["price"]
        bids = [(price * 100, 0) for price in range(59_900, 60_100)]
        asks = list(bids)
        bids += [((self.now - n) * 100, a["size"]) for n in range(1, 6)]
        asks += [((self.now + n) * 100, a["size"]) for n in range(1, 6)]
        self.house.linear.book.apply(bids, asks, self.house.venue.now_ns, 1)

    def _pick(self, which):
        live = [
            order
            for store in self.house.desk.stores.values()
            for order in store.live.values()
            if order.create_type == "CreateByUser"
        ]
        return live[which % len(live)] if live else None

    def cancel(self, a):
        order = self._pick(a["which"])
        if order is not None:
            self.house.cancel(order)

    def amend(self, a):
        order = self._pick(a["which"])
        if order is not None:
            with allowing(10001, 110007, 170131, 170193, 170194):
                self.house.amend(order, price=str(a["price"]))

    def check(self):
        house = self.house
        assert house.ledger.faults() + house.desk.faults() == []
        for market in (house.linear, house.spot):
            bid, ask = market.book.best()
            assert bid is None or ask is None or bid[0] < ask[0]
        for user in house.users:
            assert user.ledger.wallet["BTC"] >= 0
            self.check_executions(user)

    def check_executions(self, user):
        """An order's fills are its executions, and the position is their fold."""
        store = self.house.desk.stores[user.uid]
        filled: dict[VenueOrder, int] = {}
        held = 0
        for execution in store.executions:
            assert execution.order is not None
            order = execution.order
            filled[order] = filled.get(order, 0) + execution.size_units
            if not order.is_spot:
                held += execution.side * execution.size_units
        for order, size in filled.items():
            assert order.filled_units == size
            if order.quote_amount is None:
                assert size <= order.size_units
        position = user.ledger.positions.get(("BTCUSDT", 0))
        assert held == (position.size_units if position else 0)


@settings(max_examples=60)
@given(st.lists(ACTIONS, max_size=30))
def test_random_flow_of_three_accounts_then_the_books_balance_at_every_step(actions):
    flow = Flow()
    for action in actions:
        flow.apply(action)
