"""Random order flow of several accounts: money stays proved and the book uncrossed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulator_private.house import House
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE, money_from_decimal
from tickwright.matching import FillCause
from tickwright.simulator.private.margin import exposure_of, standing
from tickwright.simulator.private.positions import PositionSettings
from tickwright.simulator.private.records import ExecutionRecord, VenueOrder
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.private.requests import LeverageRequest, TradingStopRequest
from tickwright.simulator.sources.operations import MarketFacts
from tickwright.simulator.tiers import value_limit

CAUSES = {cause.value for cause in FillCause} | {"took_over"}

LATENCY_NS = 5_000_000
DAYS = 12

PRICES = st.one_of(st.just(60_000), st.integers(59_990, 60_010))
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
            "bbo": st.one_of(
                st.none(),
                st.none(),
                st.tuples(st.sampled_from(["Queue", "Counterparty"]), st.integers(1, 5)),
            ),
            "slippage": st.one_of(st.none(), st.sampled_from(["0.01", "1", "10"])),
            "times": st.sampled_from([1] * 9 + [1_000]),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.just("lever"),
            "user": st.integers(0, 2),
            "leverage": st.sampled_from([1, 10, 25, 50, 100]),
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
    st.fixed_dictionaries({"do": st.just("mark"), "price": st.integers(30_000, 100_000)}),
    st.fixed_dictionaries({"do": st.just("funding"), "rate": st.integers(-500_000, 500_000)}),
    st.fixed_dictionaries(
        {
            "do": st.just("trailing"),
            "user": st.integers(0, 2),
            "distance": st.integers(1, 30),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.just("partial"),
            "user": st.integers(0, 2),
            "size": st.integers(1, 30),
            "up": st.integers(1, 10),
            "down": st.integers(1, 10),
        }
    ),
    st.fixed_dictionaries({"do": st.just("cancel"), "which": st.integers(0, 20)}),
    st.fixed_dictionaries({"do": st.just("amend"), "which": st.integers(0, 20), "price": PRICES}),
)


@contextmanager
def allowing(*codes: int, seen: set[int] | None = None) -> Iterator[None]:
    """Let the venue refuse for one of these reasons, and for no other."""
    try:
        yield
    except VenueRefusal as refusal:
        if refusal.code not in codes:
            raise
        if seen is not None:
            seen.add(refusal.code)


class Reader:
    """Keeps one book topic as a client would, from frames alone."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        self.u = 0

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        frame = json.loads(payload)
        if frame["type"] == "snapshot":
            self.sides = {"b": {}, "a": {}}
        else:
            assert self.u + 1 == frame["data"]["u"]
        self.u = frame["data"]["u"]
        for name, side in self.sides.items():
            for price, size in frame["data"][name]:
                if Decimal(size) == 0:
                    del side[price]
                else:
                    side[price] = size


class Flow:
    def __init__(self) -> None:
        self.house = House(accounts=3, balances="3000", latency_ns=LATENCY_NS)
        self.readers = []
        for market in (self.house.linear, self.house.spot):
            reader = Reader()
            category = market.instrument.category
            stream = self.house.venue.stream(category, "orderbook.50.BTCUSDT")
            assert stream is not None
            stream.subscribe(reader)
            self.readers.append((market, reader))
        for user in self.house.users:
            amount = money_from_decimal(Decimal(1))
            user.ledger.deposit("BTC", amount)
            self.house.desk.settlement.log(user, "TRANSFER_IN", "BTC", amount, cash_flow=amount)
        # One who can go through the risk tiers.
        rich, amount = self.house.users[2], money_from_decimal(Decimal(3_000_000))
        rich.ledger.deposit("USDT", amount)
        self.house.desk.settlement.log(rich, "TRANSFER_IN", "USDT", amount, cash_flow=amount)
        self.now = 60_000
        self.refused: set[int] = set()

    def apply(self, action):
        getattr(self, action["do"])(action)
        # Long enough for the book topic to publish what changed.
        self.house.run(30)
        self.check()

    def create(self, a):
        body = {
            "category": a["category"],
            "side": a["side"],
            "qty": str(Decimal(a["size"] * a["times"]) / 100),
            "timeInForce": a["tif"] if a["price"] else "IOC",
            "smpType": a["smp"],
        }
        if a["price"]:
            body["price"] = str(a["price"])
        else:
            body["marketUnit"] = "baseCoin"
            if a["slippage"]:
                body |= {"slippageToleranceType": "Percent", "slippageTolerance": a["slippage"]}
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
            if a["bbo"] and a["price"] and not a["trigger"]:
                body |= {"bboSideType": a["bbo"][0], "bboLevel": str(a["bbo"][1])}
        user = self.house.users[a["user"]]
        codes = 10001, 110007, 110017, 110090, 170131, 170193, 170194, 110092, 110093, 110009
        with allowing(*codes, seen=self.refused):
            order = self.house.accept(a["user"], **body)
            self.check_bound(order)
            self.check_tier(user, order)

    def lever(self, a):
        text = str(a["leverage"])
        request = LeverageRequest("linear", "BTCUSDT", text, text)
        with allowing(110013, 110043, 110044):
            PositionSettings(self.house.desk).set_leverage(self.house.users[a["user"]], request)
            self.check_tier(self.house.users[a["user"]])

    def check_bound(self, order):
        """A market order was taken in at its bound: what it may cost is covered by margin."""
        if order.order_type == "Market" and not order.is_conditional:
            assert order.price_units
            market = self.house.spot if order.is_spot else self.house.linear
            best = market.book.best()[1 if order.side is Side.BUY else 0]
            reference = best[0] if best else market.mid_units
            assert abs(order.price_units - reference) <= reference // 10 + 2 * 100

    def check_tier(self, user, order=None):
        """An order that was taken in, or a leverage, is within the tier; so is what it costs."""
        if order is not None and (order.is_spot or order.reduce_only or order.is_conditional):
            return
        market_of = self.house.desk.settlement.linear_market
        live = self.house.desk.stores[user.uid].live.values()
        exposure = exposure_of(user, market_of, ("BTCUSDT", 0), live)
        before = exposure_of(
            user, market_of, ("BTCUSDT", 0), [other for other in live if other is not order]
        )
        limit = value_limit(user.leverage("BTCUSDT"), Decimal(100)) * MONEY_ONE
        if order is None or exposure > before:
            assert exposure <= limit

    def check_reducing(self, user):
        """Reduce-only orders at rest are together no more than their position."""
        desk = self.house.desk.desk_of(self.house.linear)
        resting = [
            order
            for order in self.house.desk.stores[user.uid].live.values()
            if order.reduce_only and order.status in ("New", "PartiallyFilled")
        ]
        held = self.house.desk.held(user, self.house.linear, 0)
        assert sum(order.leaves_units for order in resting) <= abs(held)
        assert all(order.number in desk.reducing for order in resting)
        assert all(order.is_live for order in desk.reducing.values())

    def trade(self, a):
        self.house.trade(a["side"], a["price"] * 100, a["size"])

    def move(self, a):
        self.now = a["price"]
        bids = [(price * 100, 0) for price in range(59_900, 60_100)]
        asks = list(bids)
        bids += [((self.now - n) * 100, a["size"]) for n in range(1, 6)]
        asks += [((self.now + n) * 100, a["size"]) for n in range(1, 6)]
        self.house.linear.book.apply(bids, asks, self.house.venue.now_ns, 1)

    def mark(self, a):
        self.house.linear.facts = MarketFacts(mark_units=a["price"] * 100)
        self.house.linear.book.changed(self.house.venue.now_ns, 1)

    def funding(self, a):
        self.house.desk.pay_funding(self.house.linear, a["rate"])

    def trailing(self, a):
        self._stop(a["user"], trailing_stop=str(a["distance"]))

    def partial(self, a):
        held = self.house.desk.held(self.house.users[a["user"]], self.house.linear, 0)
        last = self.house.linear.last_or_mid_units() // 100
        sign = 1 if held > 0 else -1
        self._stop(
            a["user"],
            tpsl_mode="Partial",
            take_profit=str(last + sign * a["up"]),
            stop_loss=str(last - sign * a["down"]),
            tp_size=str(Decimal(a["size"]) / 100),
            sl_size=str(Decimal(a["size"]) / 100),
        )

    def _stop(self, user, **body):
        request = TradingStopRequest(category="linear", symbol="BTCUSDT", **body)
        with allowing(10001, 34040, 110061):
            PositionSettings(self.house.desk).set_trading_stop(self.house.users[user], request)

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
            self.check_money(user)
            self.check_reducing(user)
        self.check_interest()
        self.check_counterparts()
        for market, reader in self.readers:
            price, size = market.instrument.price_text, market.instrument.size_text
            for name, side in (("b", Side.BUY), ("a", Side.SELL)):
                shown = {price[p]: size[s] for p, s in market.book.levels(side, 50)}
                assert reader.sides[name] == shown

    def check_money(self, user):
        """Equity never stays below the maintenance margin, and the log tells every wallet."""
        equity, maintenance = standing(user, self.house.desk.settlement.linear_market)
        assert equity >= 0
        assert not maintenance or equity > maintenance
        sums: dict[str, int] = {}
        for record in self.house.desk.stores[user.uid].log:
            sums[record.asset] = sums.get(record.asset, 0) + record.change
        assert {asset: sums.get(asset, 0) for asset in user.ledger.wallet} == user.ledger.wallet

    def check_interest(self):
        """Open interest beside the crowd's is what users hold."""
        held = [self.house.desk.held(user, self.house.linear, 0) for user in self.house.users]
        past = self.house.linear.past
        longs, shorts = (
            sum(size for size in held if size > 0),
            -sum(size for size in held if size < 0),
        )
        assert (past._longs_units, past._shorts_units) == (longs, shorts)

    def check_counterparts(self):
        """A match between users has two sides; every other fill has a cause the house booked."""
        matches: dict[int, list[ExecutionRecord]] = {}
        for store in self.house.desk.stores.values():
            for execution in store.executions:
                if execution.kind == "Funding":
                    continue
                assert execution.cause in CAUSES
                if execution.match_id:
                    matches.setdefault(execution.match_id, []).append(execution)
        for pair in matches.values():
            first, second = pair
            assert first.side is second.side.opposite
            assert (first.price_units, first.size_units) == (second.price_units, second.size_units)
            assert {first.is_maker, second.is_maker} == {True, False}

    def check_executions(self, user):
        """An order's fills are its executions, and the position is their fold."""
        store = self.house.desk.stores[user.uid]
        filled: dict[VenueOrder, int] = {}
        held = 0
        for execution in store.executions:
            if execution.kind == "Funding":
                continue
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


def drawn(rng: Random) -> dict[str, Any]:
    """Draw an action as a day of trading has them: orders most of all."""
    prices = rng.choice([60_000, rng.randint(59_990, 60_010)])
    side, user = rng.choice(["Buy", "Sell"]), rng.randrange(3)
    kind = rng.choices(
        ["create", "trade", "move", "mark", "lever", "cancel", "amend", "funding", "partial"],
        [60, 12, 8, 8, 5, 6, 6, 1, 2],
    )[0]
    body: dict[str, Any] = {"do": kind, "user": user, "side": side, "price": prices}
    if kind == "create":
        body |= {
            "category": rng.choice(["linear"] * 4 + ["spot"]),
            "size": rng.choice([rng.randint(1, 30), 45]),
            "times": rng.choice([1] * 5 + [1_000]) if user == 2 else 1,
            "price": rng.choice([prices, prices, None]),
            "tif": rng.choice(["GTC"] * 4 + ["IOC", "FOK", "PostOnly"]),
            "reduce": rng.random() < 0.35,
            "smp": rng.choice(["None", "CancelMaker", "CancelTaker", "CancelBoth"]),
            "stops": rng.random() < 0.1,
            "trigger": prices if rng.random() < 0.1 else None,
            "bbo": (rng.choice(["Queue", "Counterparty"]), rng.randint(1, 5))
            if rng.random() < 0.2
            else None,
            "slippage": rng.choice([None, "0.01", "1", "10"]),
        }
    elif kind == "trade":
        body["size"] = rng.randint(1, 3_000)
    elif kind == "move":
        body["size"] = rng.choice([0, 500, 5_000, 50_000])
    elif kind == "mark":
        body["price"] = rng.choice([50_000, 57_000, 59_500, 60_500, 63_000, 72_000])
    elif kind == "lever":
        body["leverage"] = rng.choice([1, 10, 25, 50, 100])
    elif kind == "funding":
        body["rate"] = rng.randint(-500_000, 500_000)
    elif kind == "partial":
        body |= {"size": rng.randint(1, 30), "up": rng.randint(1, 10), "down": rng.randint(1, 10)}
    return body | {"which": rng.randrange(20)}


def lived(flow: Flow, rng: Random, actions: int) -> Iterator[None]:
    """Live a day of so many drawn actions; yields after each."""
    for _ in range(actions):
        action = drawn(rng)
        getattr(flow, action["do"])(action)
        if rng.random() < 0.1:
            flow.trailing({"user": action["user"], "distance": rng.randint(1, 20)})
        if rng.random() < 0.7:
            flow.house.run(30)
        yield


def test_days_of_three_accounts_then_the_books_balance_and_every_rule_was_met():
    ends: set[str] = set()
    codes: set[int] = set()
    for seed in range(DAYS):
        rng, flow = Random(seed), Flow()
        flow.refused = codes
        for _ in range(250):
            action = drawn(rng)
            getattr(flow, action["do"])(action)
            # Sometimes the next thing happens while the last one is on its way to the book.
            if rng.random() < 0.2:
                flow.mark({"price": rng.randint(59_000, 61_000)})
            if rng.random() < 0.7:
                flow.house.run(30)
                flow.check()
        for store in flow.house.desk.stores.values():
            ends |= {order.cancel_type for order in store.finals()}
    assert {110007, 110017, 110090, 170131} <= codes
    assert {
        "UNKNOWN",
        "CancelByCannotAffordOrderCost",
        "CancelByReduceOnly",
        "CancelAllBeforeLiq",
        "CancelBySmp",
        "CancelByTpSlTsClear",
    } <= ends
