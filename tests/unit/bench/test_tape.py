"""A tape is legal for any reader: full windows, contiguous ids, no crossed book, same bytes."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tickwright.bench.tape import (
    COMPOSED_SHAPE,
    CORE_SHAPE,
    Tape,
    TapeShape,
    load_tape,
    make_tape,
    save_tape,
)

SHAPES = pytest.mark.parametrize("shape", [COMPOSED_SHAPE, CORE_SHAPE], ids=lambda s: s.name)
CATEGORIES = pytest.mark.parametrize("category", ["spot", "linear"])


class OracleBook:
    """A book of decimals in dictionaries; sides are sorted when they are looked at."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.update_id = 0
        self.unknown_deletes = 0

    def take(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        else:
            assert self.update_id + 1 == data["u"]
        self.update_id = data["u"]
        for side, levels in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price_text, size_text in levels:
                price, size = Decimal(price_text), Decimal(size_text)
                if size:
                    side[price] = size
                elif side.pop(price, None) is None:
                    self.unknown_deletes += 1


def messages(tape: Tape) -> Iterator[dict[str, Any]]:
    return map(json.loads, tape.frames)


@SHAPES
@CATEGORIES
def test_tape_when_rebuilt_by_an_oracle_then_windows_are_full_and_never_crossed(
    shape: TapeShape, category: str
):
    tape = make_tape(shape, frames=4_000, symbols=20, category=category, seed=11)
    books: dict[str, OracleBook] = {}
    for message in messages(tape):
        if not message["topic"].startswith("orderbook"):
            continue
        book = books.setdefault(message["data"]["s"], OracleBook())
        book.take(message)
        assert (50, 50) == (len(book.bids), len(book.asks))
        assert max(book.bids) < min(book.asks)
        assert 0 == book.unknown_deletes

    assert 20 == len(books)


@SHAPES
def test_tape_when_counted_then_has_the_shape_it_was_asked_for(shape: TapeShape):
    tape = make_tape(shape, frames=6_000)

    assert shape.levels_mean == pytest.approx(tape.mean_levels(), rel=0.05)
    assert shape.levels_max == tape.max_levels()
    assert shape.book_share == pytest.approx(tape.book_share(), abs=0.02)
    wanted_bytes = {"composed": 238, "core": 314}[shape.name]
    assert wanted_bytes == pytest.approx(tape.mean_bytes(), rel=0.03)


@SHAPES
def test_tape_when_levels_are_recounted_in_the_frames_then_the_counts_are_true(shape: TapeShape):
    tape = make_tape(shape, frames=2_000)
    counted = []
    for message in messages(tape):
        data = message["data"]
        counted.append(0 if isinstance(data, list) else len(data["b"]) + len(data["a"]))

    assert counted == tape.levels.tolist()


@CATEGORIES
def test_tape_when_levels_are_read_then_sides_are_sorted_and_prices_unique(category: str):
    tape = make_tape(frames=2_000, category=category)
    for message in messages(tape):
        if isinstance(message["data"], dict):
            bids = [Decimal(level[0]) for level in message["data"]["b"]]
            asks = [Decimal(level[0]) for level in message["data"]["a"]]
            assert sorted(set(bids), reverse=True) == bids
            assert sorted(set(asks)) == asks


def test_tape_when_made_twice_then_is_the_same_to_the_byte():
    assert make_tape(frames=1_000, seed=3).frames == make_tape(frames=1_000, seed=3).frames
    assert make_tape(frames=1_000, seed=3).frames != make_tape(frames=1_000, seed=4).frames


def test_tape_when_written_per_category_then_key_order_follows_it():
    spot = make_tape(frames=60, category="spot").frames[55]
    linear = make_tape(frames=60, category="linear").frames[55]

    assert ["topic", "ts", "type", "data"] == list(json.loads(spot))[:4]
    assert ["topic", "type", "ts", "data"] == list(json.loads(linear))[:4]


def test_tape_when_starting_then_opens_with_one_snapshot_a_symbol():
    tape = make_tape(frames=500, symbols=50)
    opening = [json.loads(frame) for frame in tape.frames[: tape.snapshots]]

    assert {"snapshot"} == {message["type"] for message in opening}
    assert [i.symbol for i in tape.instruments] == [message["data"]["s"] for message in opening]


def test_tape_when_saved_and_loaded_then_is_the_same(tmp_path):
    tape = make_tape(frames=300)

    assert tape == load_tape(save_tape(tape, tmp_path / "tape"))


def test_tape_when_places_are_asked_then_every_update_id_finds_its_frame():
    tape = make_tape(frames=1_000)
    places = tape.places_of_updates()

    assert sum(1 for count in tape.levels if count) == len(places)
    for update_id, place in places.items():
        assert update_id == json.loads(tape.frames[place])["data"]["u"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 100, "category": "option"}, "spot or linear"),
        ({"frames": 100, "symbols": 0}, "symbols must be"),
        ({"frames": 2_000, "symbols": 1_000}, "symbols must be"),
        ({"frames": 50, "symbols": 50}, "needs more than 50 frames"),
    ],
)
def test_tape_when_asked_for_the_impossible_then_says_why(arguments: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        make_tape(**arguments)
