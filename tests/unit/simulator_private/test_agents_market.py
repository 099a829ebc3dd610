"""Accounts in a market of agents: quotes get filled, money stays proved, the book uncrossed."""

from collections import Counter
from random import Random

from tests.unit.simulator.pit import Pit
from tickwright.core.orders import Side
from tickwright.simulator.private.refusals import VenueRefusal


def _check(pit: Pit) -> None:
    assert pit.whole.ledger.faults() + pit.whole.desk.faults() == []
    assert pit.bid < pit.ask


def _check_money(pit: Pit) -> None:
    """The log of changes adds up to every wallet, and the executions to every position."""
    for user in pit.users:
        store = pit.whole.desk.stores[user.uid]
        sums: Counter[str] = Counter()
        for record in store.log:
            sums[record.asset] += record.change
        assert {asset: sums[asset] for asset in user.ledger.wallet} == user.ledger.wallet
        held = sum(fill.side * fill.size_units for fill in store.executions)
        position = user.ledger.positions.get((pit.instrument.symbol, 0))
        assert held == (position.size_units if position else 0)


def test_account_when_it_quotes_at_the_touch_then_is_filled_on_both_sides_and_money_balances():
    pit = Pit("BTCUSDT", seed=11)
    instrument = pit.instrument
    for _ in range(300):
        pit.cancel_all()
        inside = pit.ask - pit.bid > instrument.tick_units
        step = instrument.tick_units if inside else 0
        pit.order("Buy", 20, pit.bid + step, timeInForce="PostOnly")
        pit.order("Sell", 20, pit.ask, timeInForce="PostOnly")
        pit.run(200)
        _check(pit)
    fills = pit.fills()

    sides = Counter(fill.side for fill in fills)
    assert min(sides[Side.BUY], sides[Side.SELL]) > 10
    assert all(fill.is_maker for fill in fills)
    # Every fill is a share of a trade that agents printed at its price in that instant.
    printed = Counter[tuple[int, int]]()
    for now_ns, trade in pit.trades:
        printed[now_ns // 1_000_000, trade.price_units] += trade.size_units
    for fill in fills:
        key = fill.at_ms, fill.price_units
        printed[key] -= fill.size_units
        assert printed[key] >= 0
    _check_money(pit)


def test_accounts_when_they_trade_at_random_among_agents_then_money_balances_at_every_step():
    pit = Pit("XRPUSDT", seed=5, accounts=3)
    rng = Random(17)
    refused = 0
    for _ in range(400):
        side = rng.choice(["Buy", "Sell"])
        best = pit.ask if side == "Buy" else pit.bid
        price = None if rng.random() < 0.2 else best + rng.randint(-6, 6)
        size = rng.choice([5, 500, 9_000, 120_000])
        try:
            pit.order(side, size, price, user=rng.randrange(3), timeInForce=_tif(rng, price))
        except VenueRefusal as refusal:
            refused += 1
            if refusal.code not in (110007, 10001):  # no money left, or too far from the mark
                raise
        if rng.random() < 0.05:
            pit.cancel_all(rng.randrange(3))
        pit.run(rng.choice([1, 20, 200]))
        _check(pit)
    causes = Counter(fill.cause for user in range(3) for fill in pit.fills(user))

    assert refused < 100
    assert causes["hit_by_trade"] > 0
    assert causes["took"] > 0
    _check_money(pit)


def _tif(rng: Random, price: int | None) -> str:
    return "IOC" if price is None else rng.choice(["GTC", "GTC", "IOC", "FOK", "PostOnly"])
