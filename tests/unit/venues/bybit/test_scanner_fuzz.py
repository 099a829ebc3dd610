"""The scanner takes nothing that the decoder refuses, and what both take is equal.

`make fuzz` runs the same judge in bulk for as long as one likes.
"""

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import DEPTHS, SYMBOL, book_frame, corpus, trade_frame
from tests.fuzz.judge import Judge, Outcome
from tests.fuzz.large import large_frames
from tests.fuzz.mutate import MUTATIONS, mutate
from tickwright.core.identity import Category

JUDGE = Judge()
SEEDS = corpus(Random(1))
CATEGORIES = st.sampled_from([Category.LINEAR, Category.SPOT])
TAKEN = (Outcome.BOTH_TAKE_A_BOOK, Outcome.BOTH_TAKE_TRADES)


def test_canonical_frames_when_read_then_both_take_them():
    outcomes = {JUDGE.judge(seed.category, seed.frame) for seed in SEEDS}
    assert set(TAKEN) == outcomes


def _number_text() -> st.SearchStrategy[str]:
    digits = st.text("0123456789", min_size=0, max_size=40)
    return st.one_of(
        st.builds("{}.{}".format, digits, digits),
        digits,
        st.integers(0, 2**70).map(str),
        st.decimals(0, 10**20, allow_nan=False).map(str),
        st.floats().map(repr),
        st.text(max_size=4),
    )


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(
    category=CATEGORIES,
    depth=st.sampled_from(DEPTHS),
    kind=st.sampled_from(["snapshot", "delta"]),
    bids=st.lists(st.tuples(_number_text(), _number_text()), max_size=3),
    asks=st.lists(st.tuples(_number_text(), _number_text()), max_size=3),
    update_id=st.integers(0, 2**66),
    sequence=st.integers(0, 2**66),
    ts_ms=st.integers(-1, 2**66),
)
def test_book_frames_when_their_numbers_are_anything_then_never_differ(
    category: Category,
    depth: int,
    kind: str,
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    update_id: int,
    sequence: int,
    ts_ms: int,
):
    frame = book_frame(
        category,
        depth,
        kind=kind,
        bids=bids,
        asks=asks,
        update_id=update_id,
        sequence=sequence,
        ts_ms=ts_ms,
    )
    JUDGE.judge(category, frame)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    category=CATEGORIES,
    trades=st.lists(
        st.tuples(st.sampled_from(["Buy", "Sell", "buy", ""]), _number_text(), _number_text()),
        max_size=3,
    ),
)
def test_trade_frames_when_their_numbers_are_anything_then_never_differ(
    category: Category, trades: list[tuple[str, str, str]]
):
    JUDGE.judge(category, trade_frame(category, trades))


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(use_true_random=False), place=st.integers(0, len(SEEDS) - 1))
def test_frames_when_damaged_at_random_then_never_differ(chance: Random, place: int):
    seed = SEEDS[place]
    JUDGE.judge(seed.category, mutate(seed.frame, chance))


@settings(max_examples=200)
@given(frame=st.binary(max_size=80), category=CATEGORIES)
def test_bytes_when_they_are_anything_then_both_refuse(frame: bytes, category: Category):
    assert Outcome.BOTH_REFUSE is JUDGE.judge(category, frame)


def test_mutants_when_made_in_bulk_then_meet_every_outcome_and_never_differ():
    """The mutator is worth something only if many mutants stay readable."""
    chance = Random(3)
    counts: Counter[Outcome] = Counter()
    for _ in range(40_000):
        seed = chance.choice(SEEDS)
        counts[JUDGE.judge(seed.category, mutate(seed.frame, chance))] += 1
    assert all(counts[outcome] > 200 for outcome in Outcome), counts


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.__name__.strip("_"))
def test_mutation_when_used_then_changes_frames(mutation):
    chance = Random(4)
    changed = sum(mutation(seed.frame, chance) != seed.frame for seed in SEEDS)
    # Some have nothing to change in some frames (no number, no data), or hit on the same value.
    assert changed > len(SEEDS) // 3


def test_frames_when_longer_than_the_limits_then_both_refuse_them():
    counts = Counter(JUDGE.judge(*each) for each in large_frames(Random(5)))
    # A side of 257, 9,999 and 10,000 levels, 1,023 and 1,024 trades, a word of 63 and 64 letters.
    assert 2 * 2 * 3 == counts[Outcome.BOTH_TAKE_A_BOOK]
    assert 2 * 2 + 2 * 2 == counts[Outcome.BOTH_TAKE_TRADES]


# what was found once ------------------------------------------------------------------------------


@pytest.mark.parametrize("category", [Category.LINEAR, Category.SPOT])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        # a zero for the time where the scanner looked first, the true time where it looked next
        (b',"type":', b',"ts":0,"type":'),
        # times that decode to nothing, or beyond int64 nanoseconds
        (b'"ts":1769000000005', b'"ts":0'),
        (b'"ts":1769000000005', b'"ts":9223372036855'),
        (b'"T":1769000000000', b'"T":0'),
    ],
)
def test_frames_when_a_time_is_none_then_the_scanner_refuses_too(
    category: Category, old: bytes, new: bytes
):
    book = book_frame(category, 50, kind="delta", bids=[("1", "1")], asks=[])
    trades = trade_frame(category, [("Buy", "1", "1")])
    changed = [frame.replace(old, new) for frame in (book, trades)]
    assert [book, trades] != changed
    for before, after in zip((book, trades), changed, strict=True):
        if before != after:
            assert Outcome.BOTH_REFUSE is JUDGE.judge(category, after)


@pytest.mark.parametrize(
    "text",
    [
        "000000000000000001", "1" * 18, "1" * 19, "1" * 40, "9" * 16, "9" * 17, "0." + "0" * 39,
        "1." + "0" * 40, "1." + "0" * 41, "92233720368547758.07", "92233720368547758.08", "1e3",
        "-1", "+1", "1.", ".1", "", "1.0 ", " 1.0", "1,0", "٣", "0x1", "1_0", "NaN",
    ],
)  # fmt: skip
def test_prices_and_sizes_when_odd_then_never_differ(text: str):
    for category in (Category.LINEAR, Category.SPOT):
        for level in ((text, "1"), ("1", text)):
            for kind in ("snapshot", "delta"):
                JUDGE.judge(category, book_frame(category, 50, kind=kind, bids=[level], asks=[]))
            JUDGE.judge(category, trade_frame(category, [("Buy", *level)]))


def test_symbol_when_another_then_refused_whatever_the_topic_says():
    for category in (Category.LINEAR, Category.SPOT):
        frame = book_frame(category, 50, kind="delta", bids=[("1", "1")], asks=[])
        other = frame.replace(f'"s":"{SYMBOL}"'.encode(), b'"s":"ETHUSDT"')
        assert frame != other
        assert Outcome.BOTH_REFUSE is JUDGE.judge(category, other)
