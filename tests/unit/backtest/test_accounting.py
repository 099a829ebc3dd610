"""Money never appears nor vanishes: an independent fold of the fills equals the run's curve."""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.backtest.tapes import (
    BTC,
    START_NS,
    Hand,
    Ran,
    amend_all,
    cancel_all,
    ioc,
    limit,
    market,
    run,
)
from tickwright.backtest.impact import ImpactSpec
from tickwright.backtest.run import Backtest
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE

BUY, SELL = Side.BUY, Side.SELL
SECONDS = 12
HEAVY = ImpactSpec(
    permanent_bps_per_million=Decimal(2),
    transient_bps_per_million=Decimal(20),
    half_life_ms=Decimal(700),
)
"""Some ticks for what these orders take: every second market knows it."""


def random_market(chance: random.Random) -> tuple[Hand, dict[int, int]]:
    """A market of some seconds, and its marks by the second in which they are known."""
    hand = Hand(feed_ms=1.0)
    mid, marks = 500_000, {}
    bids = {mid - 10 * n: chance.randint(1, 3_000) for n in range(1, 6)}
    asks = {mid + 10 * n: chance.randint(1, 3_000) for n in range(1, 6)}
    hand.book(0, sorted(bids.items(), reverse=True), sorted(asks.items()))
    for second in range(SECONDS):
        marks[second] = 500_000 + chance.randint(-300, 300) * 10
        hand.mark(1_000 * second + 1, marks[second])
        hand.funding(1_000 * second + 2, chance.randint(-9, 9) * 10_000, 3_000 * (1 + second // 3))
        # In the order of time: a delta before its predecessor is a gap, and ends all trading.
        for ms in sorted(chance.randint(3, 900) for _ in range(chance.randint(3, 12))):
            at = 1_000 * second + ms
            side = chance.choice([BUY, SELL])
            if chance.random() < 0.5:
                price = 500_000 + side * chance.randint(0, 5) * 10
                hand.trade(at, side, price, chance.randint(1, 2_500))
            else:
                ladder = bids if side is BUY else asks
                price = chance.choice(sorted(ladder))
                change = [(price, chance.randint(1, 3_000))]
                hand.delta(at, change if side is BUY else [], change if side is SELL else [])
    hand.trade(1_000 * SECONDS, BUY, 500_010, 1)
    # Long enough for the last fill to be told.
    return hand.mark(1_000 * SECONDS + 100, marks[SECONDS - 1]), marks


def random_script(chance: random.Random) -> dict[float, list[object]]:
    script: dict[float, list[object]] = {}
    for _ in range(chance.randint(5, 40)):
        at = chance.randint(5, 1_000 * SECONDS - 500) + chance.random()
        side = chance.choice([BUY, SELL])
        size = chance.randint(1, 3_000)
        price = 500_000 - side * chance.randint(-3, 5) * 10
        script[at] = [
            chance.choice(
                [
                    limit(side, price, size),
                    limit(side, price, size, post_only=True),
                    limit(side, price, size, reduce_only=True),
                    ioc(side, price, size),
                    market(side, size),
                    market(side, size, trigger_price_units=500_000 - side * 20),
                    cancel_all,
                    amend_all(price_units=price),
                    amend_all(size_units=size),
                ]
            )
        ]
    return script


def folded(ran: Ran, marks: dict[int, int], *, at_ns: int, start: int) -> int:
    """Return the equity at a time from the fills and the mark alone, in money units.

    One unit of price times one of size is 10^-4 of the quote asset.
    """
    money: int = start
    held = 0
    for row in ran.rows:
        if row.known_ns > at_ns:
            continue
        money += row.cash - row.fee
        if row.kind == "trade":
            # A funding row names the size it was paid on.
            held += row.side * row.size_units
            money -= row.side * row.size_units * row.price_units * MONEY_ONE // 10**4
    second = min((at_ns - START_NS - 2_000_000) // 10**9, SECONDS - 1)
    return int(money + held * marks[second] * MONEY_ONE // 10**4)


@pytest.mark.parametrize("seed", range(40))
def test_equity_when_anything_happens_then_equals_an_independent_fold(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    hand, marks = random_market(chance)
    ran = run(
        hand.write(tmp_path / "t"),
        random_script(chance),
        order_ms=chance.choice([0.0, 1.7, 40.0]),
        response_ms=chance.choice([0.0, 3.1, 60.0]),
        fees_ppm=chance.choice([(200, 550), (-50, 300), (0, 0)]),
        rate_scale=100.0,
        impact=HEAVY if seed % 2 else None,
    )
    # A market with a hole would end trading, and prove nothing.
    assert "book_not_synced" not in ran.record.refusals["script"]
    start = 100_000 * MONEY_ONE
    curve = ran.record.curve
    for at_ns, equity in zip(curve.time_ns.tolist(), curve.equity.tolist(), strict=True):
        if at_ns < START_NS + 3_000_000:
            continue
        expected = folded(ran, marks, at_ns=at_ns, start=start)
        assert expected // 10**10 == equity, (at_ns - START_NS) / 1e9


@pytest.mark.parametrize("seed", range(40, 60))
def test_books_when_a_run_ends_then_both_sides_agree(tmp_path: Path, seed: int) -> None:
    """The venue's ledger, its matching engine and our own books say the same."""
    chance = random.Random(seed)
    hand, _ = random_market(chance)
    seen: list[Backtest] = []
    ran = run(
        hand.write(tmp_path / "t"),
        random_script(chance),
        rate_scale=100.0,
        seen=seen.append,
        impact=HEAVY if seed % 2 else None,
    )
    (backtest,) = seen
    assert [] == list(backtest.venue.faults())
    ledger = next(iter(backtest.venue.whole.accounts.by_uid.values())).ledger
    mine = backtest.engine.state.portfolio.accounts()[0]
    assert ledger.wallet["USDT"] == mine.purse("USDT").balance.amount
    held = {key: one.size_units for key, one in ledger.positions.items() if one.size_units}
    ours = mine.holdings[BTC.id].net_units
    # What was matched within the last response's time isn't known yet.
    known = sum(row.side * row.size_units for row in ran.rows if row.kind == "trade")
    assert held.get((BTC.symbol, 0), 0) == ours == known
    assert "" == backtest.engine.summary().engine_halt
    assert {} == ran.record.halted
    total = Decimal(ledger.wallet["USDT"]) / MONEY_ONE
    assert abs(total - 100_000) < 20_000
