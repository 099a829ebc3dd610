"""Tapes: what is written is read, what contradicts itself is refused with its place."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.unit.backtest.tapes import BTC, START_NS, Hand
from tickwright.backtest.latency import LatencySpec, Way, feed_times
from tickwright.backtest.synthetic import SyntheticTape, write_synthetic
from tickwright.backtest.tape import MESSAGE, MessageKind, Tape, TapeWriter
from tickwright.core.errors import StorageError
from tickwright.core.orders import Side


def columns(*kinds: MessageKind, step_ns: int = 10) -> dict[str, np.ndarray]:
    """Messages without levels, `step_ns` apart."""
    messages = np.zeros(len(kinds), dtype=MESSAGE)
    messages["kind"] = kinds
    messages["first"] = messages["second"] = 1
    times = START_NS + np.arange(len(kinds), dtype=np.int64) * step_ns
    return {
        "messages": messages,
        "venue_ns": times,
        "received_ns": times.copy(),
        "levels": np.empty((0, 2), dtype=np.int64),
    }


def writer(folder: Path) -> TapeWriter:
    return TapeWriter(folder, [BTC], depths=[0], source="a test")


def test_tape_when_written_then_is_read_as_it_was_and_mapped(tmp_path: Path):
    hand = Hand().book(0, [(10, 1)], [(11, 2)]).trade(1, Side.SELL, 10, 3).delta(2, [(9, 0)], [])
    tape = hand.write(tmp_path / "t")
    assert [1, 2, 0] == tape.messages["kind"].tolist()
    assert [[10, 1], [11, 2], [9, 0]] == tape.levels.tolist()
    assert (3, 3, 1) == (tape.header.messages, tape.header.level_rows, tape.header.trades)
    assert isinstance(tape.levels, np.memmap)
    assert not tape.levels.flags.writeable
    assert (BTC,) == tape.instruments


def test_tape_when_made_twice_with_one_seed_then_is_the_same(tmp_path: Path):
    made = [
        write_synthetic(tmp_path / str(n), SyntheticTape(messages=500, seed=seed))
        for n, seed in enumerate((1, 1, 2))
    ]
    digests = [one.header.digest for one in made]
    assert digests[0] == digests[1] != digests[2]


def test_writer_when_a_clock_is_behind_the_venue_then_news_are_no_older_than_their_arrival(
    tmp_path: Path,
):
    found = columns(MessageKind.TRADE, MessageKind.TRADE)
    found["venue_ns"] = found["venue_ns"] + 1_000
    with writer(tmp_path / "t") as open_tape:
        open_tape.append(**found)
    tape = Tape(tmp_path / "t")
    assert tape.received_ns.tolist() == tape.venue_ns.tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"received_ns": np.array([START_NS, START_NS - 1])}, "was received before the one before"),
        ({"levels": np.array([[5, 1]])}, "levels and messages don't fit"),
    ],
)
def test_writer_when_columns_contradict_each_other_then_refuses_and_leaves_nothing(
    tmp_path: Path, change: dict[str, object], words: str
):
    found = columns(MessageKind.TRADE, MessageKind.TRADE) | change
    with pytest.raises(StorageError, match=words), writer(tmp_path / "t") as open_tape:
        open_tape.append(**found)  # type: ignore[arg-type]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("level", "words"), [([0, 5], "price 0 and size 5"), ([5, -1], "price 5 and size -1")]
)
def test_writer_when_a_level_is_no_level_then_names_it(
    tmp_path: Path, level: list[int], words: str
):
    found = columns(MessageKind.DELTA)
    found["messages"]["first"] = 0
    found["messages"]["bids"] = 1
    found["levels"] = np.array([level])
    with pytest.raises(StorageError, match=words), writer(tmp_path / "t") as open_tape:
        open_tape.append(**found)


def test_writer_when_a_trade_has_no_size_then_refuses(tmp_path: Path):
    found = columns(MessageKind.TRADE)
    found["messages"]["second"] = 0
    with (
        pytest.raises(StorageError, match="a trade without a price or a size"),
        writer(tmp_path / "t") as open_tape,
    ):
        open_tape.append(**found)


def test_writer_when_the_folder_is_there_then_refuses(tmp_path: Path):
    with pytest.raises(StorageError, match="is there already"):
        writer(tmp_path)


def test_writer_when_nothing_came_then_there_is_no_tape(tmp_path: Path):
    with pytest.raises(StorageError, match="nothing to make a tape of"), writer(tmp_path / "t"):
        pass
    assert [] == list(tmp_path.iterdir())


def test_way_when_latencies_differ_then_nothing_overtakes():
    from random import Random

    way = Way(LatencySpec(kind="samples", samples_ms=(1.0, 50.0)), Random(3))
    sent = [n * 1_000_000 for n in range(200)]
    arrived = [way.arrival(one) for one in sent]
    assert sorted(arrived) == arrived
    assert all(a - s >= 1_000_000 for a, s in zip(arrived, sent, strict=True))
    assert [a - s for a, s in zip(arrived, sent, strict=True)] == way.drawn


def test_feed_when_latency_is_drawn_then_is_seeded_ordered_and_never_early():
    venue = np.array([0, 5, 5, 9, 20], dtype=np.int64) * 1_000_000
    spec = LatencySpec(kind="samples", samples_ms=(0.5, 30.0))
    first = feed_times(spec, venue, venue, seed=1)
    assert first.tolist() == feed_times(spec, venue, venue, seed=1).tolist()
    assert first.tolist() != feed_times(spec, venue, venue, seed=5).tolist()
    assert (first > venue).all()
    assert sorted(first.tolist()) == first.tolist()


@pytest.mark.parametrize("fields", [{"kind": "samples"}, {"ms": 1.0, "samples_ms": (1.0,)}])
def test_latency_when_its_parts_contradict_then_refused(fields: dict[str, object]):
    with pytest.raises(ValueError, match="samples_ms goes with"):
        LatencySpec(**fields)  # type: ignore[arg-type]


def test_tape_when_pages_are_let_go_then_their_memory_is_back_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    tape = write_synthetic(tmp_path / "t", SyntheticTape(messages=8_000))
    before = [np.array(one) for one in (tape.messages, tape.venue_ns, tape.levels)]
    held = resident_bytes("messages.npy")

    tape.let_go(len(tape) - 1)

    left = resident_bytes("messages.npy")
    assert held is None or left is None or left < held // 10
    for column, copy in zip((tape.messages, tape.venue_ns, tape.levels), before, strict=True):
        assert np.array_equal(column, copy)


def resident_bytes(name: str) -> int | None:
    """How much of a mapped file this process holds; None where the system doesn't tell."""
    maps = Path("/proc/self/smaps")
    if not maps.exists():
        return None
    found = re.search(rf"{re.escape(name)}\n(?:.*\n)*?Rss:\s+(\d+) kB", maps.read_text())
    assert found is not None
    return int(found[1]) * 1024
