"""Whatever stream comes, under whatever policy, the compiled book is the oracle's."""

import math
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.instruments import make_instrument
from tests.oracle.order_book import Levels, OracleBook
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy, Continuity, SnapshotBase
from tickwright.book.verdict import BookVerdict
from tickwright.core.events import BookState

INSTRUMENT = make_instrument()

POLICIES = {
    "in-stream snapshot, plus one": BookPolicy(window=6, restart_id=1),
    "in-stream snapshot, overlap": BookPolicy(continuity=Continuity.OVERLAP),
    "in-stream snapshot, chain with exceptions": BookPolicy(
        continuity=Continuity.PREVIOUS_ID, has_keep_alive=True, can_reset=True
    ),
    "in-stream snapshot, plain chain": BookPolicy(continuity=Continuity.PREVIOUS_ID),
    "fetched snapshot, overlap": BookPolicy(
        base=SnapshotBase.REST, continuity=Continuity.OVERLAP, buffer_messages_max=4
    ),
    "fetched snapshot, chain": BookPolicy(
        base=SnapshotBase.REST,
        continuity=Continuity.PREVIOUS_ID,
        has_keep_alive=True,
        buffer_messages_max=4,
    ),
    "fetched snapshot, plus one": BookPolicy(base=SnapshotBase.REST, buffer_messages_max=4),
}


@dataclass(frozen=True)
class Step:
    """One thing that happens; ids are relative to the book's, so that most deltas fit."""

    what: str
    bids: Levels
    asks: Levels
    id_step: int
    first_step: int
    previous_step: int
    sequence_step: int


def _levels(low: int, high: int, *, size_max: int = 9) -> st.SearchStrategy[Levels]:
    return st.lists(
        st.tuples(st.integers(low, high), st.integers(0, size_max)), min_size=0, max_size=7
    )


def _steps() -> st.SearchStrategy[Step]:
    mostly = st.sampled_from
    impossible = st.sampled_from([[(0, 1)], [(-5, 1)], [(100, -1)], [(2**62, 1)], [(2**63 - 1, 1)]])
    bids = st.one_of(*[_levels(85, 100)] * 12, _levels(95, 106), impossible)
    asks = st.one_of(*[_levels(101, 116)] * 12, _levels(95, 106), impossible)
    return st.builds(
        Step,
        what=mostly(
            ["delta"] * 14 + ["snapshot"] * 4 + ["stale", "resyncing", "buffer", "clear", "empty"]
        ),
        bids=bids,
        asks=asks,
        id_step=mostly([1] * 16 + [2, 3, 0, 0, -1, -2, -1000]),
        first_step=mostly([1, 1, 1, 0, -1, 2, 3]),
        previous_step=mostly([0] * 8 + [1, -1]),
        sequence_step=mostly([1] * 12 + [0, -1]),
    )


class Pair:
    """The compiled book and its oracle, fed alike."""

    def __init__(self, policy: BookPolicy, capacity: int) -> None:
        self.book = OrderBook(INSTRUMENT, capacity=capacity, policy=policy)
        self.oracle = OracleBook(policy, capacity)
        self.now_ns = 1_000

    def take(self, step: Step) -> BookVerdict | None:
        self.now_ns += 1_000
        book, oracle = self.book, self.oracle
        last = max(oracle.update_id, 0)
        if oracle.state is BookState.BUFFERING and oracle.pending:
            last = oracle.pending[-1].update_id
        update_id = max(0, last + step.id_step)
        first_id = max(0, min(last + step.first_step, update_id))
        previous_id = last + step.previous_step
        sequence = max(0, oracle.sequence + step.sequence_step)
        if step.what in ("delta", "empty"):
            bids, asks = (step.bids, step.asks) if step.what == "delta" else ([], [])
            expected = oracle.delta(
                bids,
                asks,
                update_id=update_id,
                first_id=first_id,
                previous_id=previous_id,
                sequence=sequence,
            )
            answered = book.apply_delta(
                bids,
                asks,
                update_id=update_id,
                first_id=first_id,
                previous_id=previous_id,
                sequence=sequence,
                received_ns=self.now_ns,
            )
            assert expected == answered
            return expected
        if step.what == "snapshot":
            expected = oracle.snapshot(step.bids, step.asks, update_id=update_id, sequence=sequence)
            answered = book.apply_snapshot(
                step.bids,
                step.asks,
                update_id=update_id,
                sequence=sequence,
                received_ns=self.now_ns,
            )
            assert expected == answered
            return expected
        for each in (oracle, book):
            if step.what == "buffer":
                each.start_buffering()
            elif step.what == "clear":
                each.clear()
            elif step.what == "resyncing":
                each.mark_resyncing()
        if step.what == "stale":
            oracle.mark_stale()
            book.mark_stale("said so")
        return None

    def compare(self) -> None:
        book, oracle = self.book, self.oracle
        assert oracle.state == book.state
        assert (oracle.state is BookState.SYNCED) == book.is_synced
        assert oracle.update_id == book.update_id
        assert oracle.sequence == book.sequence
        bids, asks = oracle.bids(), oracle.asks()
        assert bids == book.bids()
        assert asks == book.asks()
        assert max(book.bid_count, book.ask_count) <= book.capacity
        assert oracle.unknown_deletes == book.unknown_delete_count
        assert oracle.overflows == book.overflow_count
        if oracle.state is BookState.SYNCED:
            assert not (bids and asks and bids[0][0] >= asks[0][0])
            assert book.stale_reason == ""

    def compare_features(self) -> None:
        book, oracle = self.book, self.oracle
        bids, asks = oracle.bids(), oracle.asks()
        scale = 10**INSTRUMENT.price_decimals
        assert (bids[0] if bids else (None, None)) == (book.best_bid, book.best_bid_size)
        assert (asks[0] if asks else (None, None)) == (book.best_ask, book.best_ask_size)
        twice = oracle.mid_twice()
        assert twice == book.mid_twice_units
        _close(None if twice is None else twice / (2 * scale), book.mid)
        micro = oracle.microprice()
        _close(None if micro is None else float(micro / scale), book.microprice)
        spread = asks[0][0] - bids[0][0] if bids and asks else None
        assert spread == book.spread_units
        _close(None if spread is None else spread / scale, book.spread)
        _close(
            None if spread is None or twice is None else 200 * spread / twice, book.spread_percent
        )
        for count in (1, 2, 5, 100):
            assert bids[:count] == book.bids(count)
            assert asks[:count] == book.asks(count)
            imbalance = oracle.imbalance(count)
            _close(None if imbalance is None else float(imbalance), book.imbalance(count))
            assert sum(size for _, size in bids[:count]) == book.bids_size(count)
            assert sum(size for _, size in asks[:count]) == book.asks_size(count)
            for levels, answered in ((bids, book.vwap_bids(count)), (asks, book.vwap_asks(count))):
                vwap = oracle.vwap(levels, count)
                _close(None if vwap is None else float(vwap / scale), answered)
        for size in (1, 4, 11, 30, 10**12):
            for levels, price, worst in (
                (asks, book.vwap_to_buy(size), book.worst_price_to_buy(size)),
                (bids, book.vwap_to_sell(size), book.worst_price_to_sell(size)),
            ):
                fill = oracle.vwap_to_fill(levels, size)
                _close(None if fill is None else float(fill[0] / scale), price)
                assert (None if fill is None else fill[1]) == worst
        for price_units in range(84, 118):
            assert oracle.bid_side.sizes.get(price_units) == book.bid_size_at(price_units)
            assert oracle.ask_side.sizes.get(price_units) == book.ask_size_at(price_units)
        top = (
            book.best_bid or 0,
            book.best_bid_size or 0,
            book.best_ask or 0,
            book.best_ask_size or 0,
        )
        assert book.top_agrees(*top)
        # An empty side is told by its price alone.
        for place in (0, 2, *((1,) if bids else ()), *((3,) if asks else ())):
            other = list(top)
            other[place] += 1
            assert not book.top_agrees(*other)


def _close(expected: float | None, answered: float | None) -> None:
    if expected is None or answered is None:
        assert expected is answered
    else:
        assert math.isclose(expected, answered, rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    capacity=st.sampled_from([1, 2, 3, 5, 50, 10_000]),
    steps=st.lists(_steps(), min_size=5, max_size=40),
)
def test_book_when_any_stream_comes_then_equals_the_oracle(
    name: str, capacity: int, steps: list[Step]
):
    pair = Pair(POLICIES[name], capacity)
    if POLICIES[name].base is SnapshotBase.REST:
        pair.book.start_buffering()
        pair.oracle.start_buffering()
    for step in steps:
        pair.take(step)
        pair.compare()
    pair.compare_features()


def test_random_streams_when_drawn_then_meet_every_verdict():
    """The generator above is worth something only if nothing it could meet stays unmet."""
    chance = Random(7)
    met: set[BookVerdict] = set()
    for name, policy in POLICIES.items():
        for capacity in (2, 50):
            pair = Pair(policy, capacity)
            if policy.base is SnapshotBase.REST:
                pair.book.start_buffering()
                pair.oracle.start_buffering()
            for _ in range(1_500):
                verdict = pair.take(_random_step(chance))
                pair.compare()
                if verdict is not None:
                    met.add(verdict)
            pair.compare_features()
            assert pair.oracle.overflows > 0 or capacity > 2, name
    assert set(BookVerdict) == met


def _random_step(chance: Random) -> Step:
    def levels(low: int, high: int) -> Levels:
        if chance.random() < 0.01:
            return [(chance.choice([0, -1, 2**62 + 5]), 1)]
        return [
            (chance.randint(low, high), chance.choice([0, 0, 1, 2, 7]))
            for _ in range(chance.choice([0, 1, 1, 2, 4, 8]))
        ]

    # Once in a while the sides reach into each other.
    reach = 6 if chance.random() < 0.05 else 0
    return Step(
        what=chance.choices(
            ["delta", "snapshot", "stale", "resyncing", "buffer", "clear", "empty"],
            [60, 14, 1, 1, 4, 1, 4],
        )[0],
        bids=levels(85, 100 + reach),
        asks=levels(101 - reach, 116),
        id_step=chance.choices([1, 2, 0, -1, -1000], [30, 2, 2, 2, 1])[0],
        first_step=chance.choices([1, 0, -1, 2], [20, 2, 1, 2])[0],
        previous_step=chance.choices([0, 1, -1], [20, 1, 1])[0],
        sequence_step=chance.choices([1, 0, -1], [20, 2, 1])[0],
    )


@pytest.mark.parametrize("capacity", [1, 50, 200, 10_000])
def test_book_when_wide_and_deep_then_equals_the_oracle(capacity: int):
    chance = Random(capacity)
    policy = BookPolicy(continuity=Continuity.OVERLAP)
    book, oracle = (
        OrderBook(INSTRUMENT, capacity=capacity, policy=policy),
        OracleBook(policy, capacity),
    )
    mid = 1_000_000
    count = min(capacity + 500, 12_000)
    bids = [(mid - 1 - i, chance.randint(1, 9)) for i in range(count)]
    asks = [(mid + 1 + i, chance.randint(1, 9)) for i in range(count)]
    chance.shuffle(asks)
    assert oracle.snapshot(bids, asks, update_id=1) == book.apply_snapshot(
        bids, asks, update_id=1, received_ns=1
    )
    assert oracle.asks() == book.asks()
    for update_id in range(2, 300):
        spread = chance.choice([3, 40, 1_000, 12_000])
        changed_bids, changed_asks = (
            [
                (mid + sign * chance.randint(1, spread), chance.choice([0, 0, 1, 5]))
                for _ in range(chance.randint(0, 60))
            ]
            for sign in (-1, 1)
        )
        expected = oracle.delta(changed_bids, changed_asks, update_id=update_id, first_id=update_id)
        assert expected is book.apply_delta(
            changed_bids,
            changed_asks,
            update_id=update_id,
            first_id=update_id,
            received_ns=update_id,
        )
        assert expected is BookVerdict.APPLIED
        if update_id % 20 == 0:
            assert oracle.bids() == book.bids()
            assert oracle.asks() == book.asks()
    assert oracle.overflows == book.overflow_count
    assert oracle.unknown_deletes == book.unknown_delete_count
    assert oracle.bids() == book.bids()
    assert oracle.asks() == book.asks()
