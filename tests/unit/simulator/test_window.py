"""Deltas of a window rebuild exactly the venue's best levels, whatever happens to the book."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.instruments import UnitText, instrument_for
from tickwright.simulator.window import BookWindow

_PRICES = st.integers(1, 30)
_CHANGE = st.tuples(_PRICES, st.integers(0, 3))
_ACTION = st.one_of(
    st.tuples(st.just("bids"), st.lists(_CHANGE, max_size=6)),
    st.tuples(st.just("asks"), st.lists(_CHANGE, max_size=6)),
    st.tuples(st.just("reset"), st.lists(_CHANGE, max_size=12)),
    st.tuples(st.just("take"), st.lists(_CHANGE, min_size=1, max_size=1)),
    st.tuples(st.just("own"), st.lists(_CHANGE, min_size=1, max_size=1)),
    st.tuples(st.just("publish"), st.just([])),
)


def _book(*windows: int) -> VenueBook:
    book = VenueBook(instrument_for(Category.LINEAR, "BTCUSDT"), first_seq=1)
    for depth in windows:
        book.windows.append(BookWindow(book.bids, book.asks, depth, first_u=100))
    return book


def _best(book: VenueBook, side: Side, depth: int) -> dict[int, int]:
    ladder = book.bids if side is Side.BUY else book.asks
    prices = set(ladder.external) | {ladder.sign * 0 + key for key in ladder.own}
    keys = sorted(prices, reverse=True)[:depth]
    return {key: ladder.external.get(key, 0) + ladder.own.get(key, 0) for key in keys}


def _act(book: VenueBook, action: str, levels: list[tuple[int, int]]) -> None:
    unique = list(dict(levels).items())
    asks = [(price + 40, size) for price, size in unique]
    if action == "bids":
        book.apply(unique, [], 1, 1)
    elif action == "asks":
        book.apply([], asks, 1, 1)
    elif action == "reset":
        book.reset(unique, asks, 1, 1)
    elif action == "take":
        book.take(Side.BUY, unique[0][1] * 2, None)
        book.take(Side.SELL, unique[0][1], unique[0][0])
    elif action == "own":
        price, size = unique[0]
        held = book.bids.own.get(price, 0)
        if held:
            book.remove_own(Side.BUY, price, held)
        elif size:
            book.add_own(Side.BUY, price, size)


@settings(max_examples=300, deadline=None)
@given(st.lists(_ACTION, max_size=40), st.sampled_from([1, 2, 5, 50]))
def test_window_after_any_changes_equals_the_best_levels(
    actions: list[tuple[str, list[tuple[int, int]]]], depth: int
) -> None:
    book = _book(depth)
    window = book.windows[0]
    held: tuple[dict[int, int], dict[int, int]] = ({}, {})
    u = window.u
    for action, levels in [*actions, ("publish", [])]:
        if action != "publish":
            _act(book, action, levels)
            continue
        changed = window.advance()
        if changed is not None:
            u += 1
            for side, changes in zip(held, changed, strict=True):
                assert sorted(changes, reverse=True) == changes
                for key, size in changes:
                    if size:
                        side[key] = size
                    else:
                        del side[key]
        assert u == window.u
        assert _best(book, Side.BUY, depth) == held[0]
        assert _best(book, Side.SELL, depth) == held[1]


def test_resize_shows_the_same_as_the_general_way() -> None:
    short, long = _book(3), _book(3)
    for book in (short, long):
        book.reset([(10, 5), (9, 4), (8, 3), (7, 2)], [(11, 1), (12, 2), (13, 3), (14, 4)], 1, 1)
        book.windows[0].advance()
    bids, asks = [(10, 6), (7, 9)], [(12, 7)]
    short.apply_sizes(bids, asks, 2, 1)
    price, size = UnitText(0, strip_zeros=False), UnitText(0, strip_zeros=False)
    assert ('["10","6"]', '["12","7"]') == short.windows[0].resize(bids, asks, price, size)
    long.apply(bids, asks, 2, 1)
    assert ([(10, 6)], [(-12, 7)]) == long.windows[0].advance()
    assert long.windows[0].shown() == short.windows[0].shown()
    assert long.windows[0].u == short.windows[0].u


def test_resize_with_own_orders_or_waiting_changes_is_refused() -> None:
    book = _book(3)
    book.reset([(10, 5)], [(11, 1)], 1, 1)
    window = book.windows[0]
    text = UnitText(0, strip_zeros=False)
    assert window.resize([(10, 6)], [], text, text) is None
    window.advance()
    book.add_own(Side.BUY, 10, 1)
    window.advance()
    assert window.resize([(10, 6)], [], text, text) is None


def test_take_stays_taken_until_the_source_sets_the_level() -> None:
    book = _book()
    book.reset([(10, 5)], [(11, 4), (12, 6), (14, 9)], 1, 1)
    assert [(11, 4), (12, 3)] == book.take(Side.BUY, 7, 12)
    assert [(12, 3), (14, 9)] == book.levels(Side.SELL)
    assert [(12, 3)] == book.take(Side.BUY, 100, 12)
    book.apply([], [(12, 8)], 2, 1)
    assert ((10, 5), (12, 8)) == book.best()


def test_own_size_rests_beside_external_size() -> None:
    book = _book()
    book.reset([(10, 5)], [(11, 4)], 1, 1)
    book.add_own(Side.BUY, 10, 2)
    book.add_own(Side.SELL, 13, 1)
    assert [(10, 7)] == book.levels(Side.BUY)
    assert 5 == book.external_size(Side.BUY, 10)
    assert [(10, 5)] == book.take(Side.SELL, 9, None)
    assert [(10, 2)] == book.levels(Side.BUY)
    book.remove_own(Side.BUY, 10, 2)
    assert [] == book.levels(Side.BUY)
    assert [(11, 4), (13, 1)] == book.levels(Side.SELL)


def test_change_hook_runs_before_anything_is_published() -> None:
    book = _book(50)
    seen: list[bool] = []
    book.on_book_change(lambda changed, now_ns: seen.append(changed.windows[0].u == 100))
    book.apply([(10, 5)], [], 1, 1)
    book.windows[0].advance()
    assert [True] == seen
