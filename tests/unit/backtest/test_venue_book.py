"""The venue's book is put together when somebody needs it: nothing may tell that it wasn't kept."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.unit.backtest.tapes import (
    BTC,
    Hand,
    Ran,
    amend_all,
    cancel_all,
    ioc,
    limit,
    market,
    run,
)
from tickwright.backtest.tape import Tape
from tickwright.core.orders import Side
from tickwright.matching.levels import UNSEEN_UNITS

BUY, SELL = Side.BUY, Side.SELL
MID = 500_000
END_MS = 6_000


def broken_market(chance: random.Random) -> Hand:
    """A market with holes, losses of sight, crossed and repeated messages, and a moody feed."""
    usual = chance.choice([2.0, 2.0, 150.0, 400.0])
    hand = Hand(feed_ms=usual, depth=chance.choice([0, 6]))

    def side_of(sign: int) -> list[tuple[int, int]]:
        prices = [MID - sign * 10 * n for n in range(1, 12) if chance.random() < 0.7]
        return [(price, chance.randint(1, 900)) for price in prices[: hand.depth or 99]]

    def snapshot(at_ms: float) -> None:
        hand.book(at_ms, side_of(1), side_of(-1), feed_ms=feed())

    def feed() -> float:
        # A later message may be here first, or in the very moment in which it was made.
        return chance.choice([0.0, usual, usual, usual, 9.0]) if moody else usual

    moody = chance.random() < 0.3
    snapshot(0)
    for at in sorted(chance.uniform(1, END_MS) for _ in range(chance.randint(60, 160))):
        kind = chance.random()
        price = MID + chance.choice([-1, 1]) * 10 * chance.randint(1, 11)
        size = chance.choice([0, 0, chance.randint(1, 900), chance.randint(1, 900)])
        bids, asks = ([(price, size)], []) if price < MID else ([], [(price, size)])
        if kind < 0.72:
            hand.delta(at, bids, asks, feed_ms=feed())
        elif kind < 0.86:
            hand.trade(at, chance.choice([BUY, SELL]), price, chance.randint(1, 500))
        elif kind < 0.92:
            snapshot(at)
        elif kind < 0.94:
            hand.delta(at, bids, asks, skipped=1)
        elif kind < 0.96:
            hand.delta(at, [(MID + 500, 5)], [], feed_ms=feed())
        elif kind < 0.98:
            hand.stale(at, "lost")
        else:
            hand.delta(at, bids, asks, skipped=-1)
    return hand.mark(10, MID) if chance.random() < 0.5 else hand


def lone_script(chance: random.Random) -> dict[float, list[object]]:
    """Few orders, far apart: between them nobody is in the book."""
    script: dict[float, list[object]] = {}
    for _ in range(chance.randint(2, 8)):
        at = chance.uniform(5, END_MS - 500)
        side = chance.choice([BUY, SELL])
        size, price = chance.randint(1, 1_200), MID + side * 10 * chance.randint(-12, 4)
        entry = [ioc(side, price, size), market(side, size), limit(side, price, size)]
        stop = market(side, size, trigger_price_units=MID - side * 30)
        script[at] = [chance.choice([*entry, stop])]
        script[at + chance.uniform(1, 400)] = [
            chance.choice([cancel_all, cancel_all, amend_all(size_units=size + 1)])
        ]
    return script


def told(ran: Ran) -> tuple[object, ...]:
    """Everything a run left behind that a wrong book would change."""
    record = ran.record
    times, mids = record.mids[str(BTC.id)]
    return (
        record.digest,
        record.orders,
        record.fills,
        times.tolist(),
        mids.tolist(),
        np.array(record.curve.equity).tolist(),
    )


@pytest.mark.parametrize("seed", range(100))
def test_venue_book_when_nobody_is_in_it_then_it_is_the_same_as_one_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    tape: Tape = broken_market(chance).write(tmp_path / "t")
    script = lone_script(chance)
    order_ms = chance.choice([0.0, 1.5, 30.0])

    found = told(run(tape, script, order_ms=order_ms, sample_ms=7))
    monkeypatch.setattr("tickwright.backtest.run._keeps_order", lambda *_: False)

    assert told(run(tape, script, order_ms=order_ms, sample_ms=7)) == found


def test_venue_book_when_a_full_side_lost_a_level_then_what_lies_beyond_is_still_unseen(
    tmp_path: Path,
) -> None:
    """A source of two levels showed two once: beyond them there may be anything."""
    hand = Hand(depth=2)
    hand.book(0, [(MID - 10, 5), (MID - 20, 5)], [(MID + 10, 5), (MID + 20, 5)])
    hand.delta(100, [(MID - 20, 0)], [])
    hand.delta(1_000, [(MID - 10, 4)], [])
    hand.book(1_500, [(MID - 10, 5)], [(MID + 10, 5), (MID + 20, 5)])
    hand.trade(3_000, SELL, MID - 10, 1)
    script: dict[float, list[object]] = {
        500: [limit(BUY, MID - 40, 1)],
        800: [cancel_all],
        2_000: [limit(BUY, MID - 40, 1)],
    }

    beyond, whole = run(hand.write(tmp_path / "t"), script).orders

    assert beyond.ahead_units == UNSEEN_UNITS
    assert whole.ahead_units == 0
