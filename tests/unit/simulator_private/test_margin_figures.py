"""The margins that are told are those of the plain definition, whatever was worked out before."""

from fractions import Fraction
from random import Random

from tests.unit.simulator_private.house import House
from tests.unit.simulator_private.test_properties import Flow, lived
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.holdings import Holdings
from tickwright.simulator.private.ledger import money_of
from tickwright.simulator.private.margin import Claims, Worth, exposure_of, liquidation_price
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.told import Announcement, PositionFacts
from tickwright.simulator.tiers import RISK_TIERS

DAYS, ACTIONS = 40, 120
TOLD_MIN = 2_500


def maintenance(value: int) -> int:
    """Return the maintenance margin by the table, rounded half-even as `round` does."""
    tier = next(t for t in RISK_TIERS if value <= t.value_max * MONEY_ONE)
    kept: int = round(Fraction(value * tier.rate_ppm, 1_000_000)) - tier.deduction * MONEY_ONE
    return kept


class Plain:
    """Works everything out anew from the ledger, the orders and the marks."""

    def __init__(self, house: House, account: Account) -> None:
        self.house, self.account = house, account
        self.live = list(house.desk.stores[account.uid].live.values())

    def value(self, symbol: str, index: int) -> int:
        position = self.account.ledger.positions.get((symbol, index))
        market = self.house.desk.settlement.linear_market(symbol)
        size = 0 if position is None else position.size_units
        return money_of(market.instrument, market.mark_units, size)

    def orders(self, symbol: str, index: int, side: Side) -> int:
        """Return what the orders of one side may add to a leg."""
        if (index, side) in ((1, Side.SELL), (2, Side.BUY)):
            return 0
        return sum(
            money_of(o.instrument, o.price_units or o.trigger_price_units, o.leaves_units)
            for o in self.live
            if (o.instrument.symbol, o.position_index, o.side) == (symbol, index, side)
            and self.binds(o)
        )

    def binds(self, order: VenueOrder) -> bool:
        if order.is_spot or order.reduce_only or order.close_on_trigger:
            return False
        return order.status != "Untriggered" and not (
            order.status == "Created" and order.is_conditional
        )

    def exposure(self, symbol: str, index: int) -> int:
        value = self.value(symbol, index)
        buys, sells = (self.orders(symbol, index, side) for side in (Side.BUY, Side.SELL))
        return max(abs(value), abs(value + buys), abs(value - sells))

    def margin(self, value: int, symbol: str) -> int:
        return round(Fraction(value) / Fraction(self.account.leverage(symbol)))

    def worth(self) -> Worth:
        legs = set(self.account.ledger.positions)
        legs |= {(o.instrument.symbol, o.position_index) for o in self.live if not o.is_spot}
        held = {leg: self.margin(abs(self.value(*leg)), leg[0]) for leg in legs}
        bound = {leg: self.margin(self.exposure(*leg), leg[0]) - held[leg] for leg in legs}
        costs = sum(position.cost for position in self.account.ledger.positions.values())
        return Worth(
            wallet=self.account.ledger.wallet.get("USDT", 0),
            unrealised=sum(self.value(*leg) for leg in legs) - costs,
            position_margin=sum(held.values()),
            order_margin=sum(bound.values()),
            maintenance_margin=sum(maintenance(abs(self.value(*leg))) for leg in legs),
            locked=self.locks().get("USDT", 0),
        )

    def locks(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for order in self.live:
            if not order.is_spot or (
                order.order_filter == "StopOrder"
                and order.is_conditional
                and order.status in ("Untriggered", "Created")
            ):
                continue
            price = order.price_units or order.trigger_price_units
            if order.side is Side.SELL:
                asset, scale = order.instrument.base, 10 ** (18 - order.instrument.size_decimals)
                amount = order.leaves_units * scale
            else:
                asset = order.instrument.quote
                amount = money_of(order.instrument, price, order.leaves_units)
            found[asset] = found.get(asset, 0) + amount
        return found


class Checker:
    """Hears an account and holds every figure that it is told to the plain one."""

    def __init__(self, house: House) -> None:
        self.house, self.count, self.reused = house, 0, 0
        self.kept: dict[int, Holdings] = {}
        for user in house.users:
            house.desk.settlement.listeners[user.uid] = self.hear

    def hear(self, told: Announcement) -> None:
        plain = Plain(self.house, told.account)
        if told.wallet is not None:
            assert told.wallet.worth == plain.worth()
            locks = {asset: amount for asset, amount in told.wallet.locks.items() if amount}
            assert locks == {asset: amount for asset, amount in plain.locks().items() if amount}
        for facts in told.positions:
            self.check_position(plain, facts)
        self.count += 1

    def check_kept(self) -> None:
        """What accounts keep of their holdings is what would be worked out now."""
        market_of = self.house.desk.settlement.linear_market
        for user in self.house.users:
            kept, made = (
                user.holdings(market_of),
                Holdings(user.ledger, user.leverage, market_of),
            )
            assert kept.legs == made.legs
            sums = kept.profit, kept.margin, kept.maintenance
            assert sums == (made.profit, made.margin, made.maintenance)
            self.reused += kept is self.kept.get(user.uid)
            self.kept[user.uid] = kept

    def check_position(self, plain: Plain, facts: PositionFacts) -> None:
        market_of, account = self.house.desk.settlement.linear_market, plain.account
        symbol, size = facts.market.instrument.symbol, facts.position.size_units
        value = abs(plain.value(symbol, facts.index))
        assert (facts.value, facts.maintenance) == (value, maintenance(value))
        assert facts.margin == plain.margin(value, symbol)
        assert facts.liquidation_units == liquidation_price(account, facts.market, size, market_of)
        key = symbol, facts.index
        assert exposure_of(account, market_of, key, plain.live) == plain.exposure(*key)


def test_days_of_accounts_when_figures_are_told_then_they_are_those_of_the_definition() -> None:
    told = reused = 0
    for seed in range(DAYS):
        rng, flow = Random(1_000 + seed), Flow()
        checker = Checker(flow.house)
        for _ in lived(flow, rng, ACTIONS):
            checker.check_kept()
        told, reused = told + checker.count, reused + checker.reused
    assert told > TOLD_MIN
    assert reused > TOLD_MIN


def test_random_claims_of_a_leg_when_measured_then_exposure_is_the_largest_that_can_come() -> None:
    rng = Random(7)
    for _ in range(2_000):
        index = rng.randrange(3)
        key = "BTCUSDT", index
        # A leg of a hedge is long or short and never passes through zero.
        value = rng.randint(0 if index == 1 else -1_000, 0 if index == 2 else 1_000)
        claims, buys, sells = Claims(()), 0, 0
        for _ in range(rng.randrange(4)):
            side, notional = rng.choice((Side.BUY, Side.SELL)), rng.randrange(500)
            before = claims.exposure(key, value)
            kept, announced = claims.exposures(key, value, side, notional)
            assert before == kept == claims.exposure(key, value)
            claims.add(key, side, notional)
            buys += notional if side is Side.BUY and index != 2 else 0
            sells += notional if side is Side.SELL and index != 1 else 0
            expected = max(abs(value), abs(value + buys), abs(value - sells))
            assert (announced, claims.exposure(key, value)) == (expected, expected)
