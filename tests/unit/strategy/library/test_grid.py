"""The grid on constructed books: lines at 60 units (10 bps of 60,000.0), worked out beside it."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.engine.bench import BTC, instrument
from tests.unit.strategy.library.stage import BOTH_SIDES, Stage
from tickwright.core.commands import PlaceOrder
from tickwright.core.errors import ConfigError
from tickwright.core.instrument import Capabilities
from tickwright.core.orders import OrderState, Side
from tickwright.strategy.library.grid import Grid, GridParameters
from tickwright.strategy.parameters import parameters_from

WISHES: dict[str, Any] = {"order_notional": 180.1, "step_bps": 1.0, "levels": 2, "inventory_max": 3}
# 180.1 at 60,000.05 is 0.0030016: 3 lots. 1 bps of 600,000.5 is 60 units of 0.1.


def stage(**changes) -> Stage:
    return Stage(Grid(), GridParameters(**{**WISHES, **changes}), is_shown=False)


def show(one: Stage, bid: int = 600_000, *, after_ms: float = 300) -> None:
    one.show([(bid, 1_000_000)], [(bid + 1, 1_000_000)], after_ms=after_ms)


def laid(**changes) -> Stage:
    one = stage(**changes)
    show(one)
    one.rest(*one.places())
    return one


def placed(one: Stage, side: Side, price: int) -> PlaceOrder:
    """Return the live order of a side at a price."""
    live = {o.client_id: o for o in one.strategies["one"].context.orders()}
    for order in one.places(one.log):
        if order.client_id in live and live[order.client_id].price_units == price:
            assert side is order.side
            return order
    raise AssertionError(f"nothing at {price}")


def fill(one: Stage, order: PlaceOrder, price: int) -> None:
    bid = price if order.side is Side.SELL else price - 1
    one.show([(bid - 5, 1_000_000)], [(bid + 6, 1_000_000)])
    one.fill(order, price=price)
    placed, amended = one.places(), one.amends()
    one.rest(*placed)
    for amend in amended:
        one.move(next(o for o in one.places(one.log) if o.client_id == amend.client_id), amend)
    one.report(order, OrderState.FILLED, filled=order.size_units, price_units=price)


def test_grid_when_laid_then_lines_stand_evenly_around_the_mid():
    one = laid()
    assert [
        (-1, 600_060, 3),
        (-1, 600_120, 3),
        (1, 599_880, 3),
        (1, 599_940, 3),
    ] == one.asked()


def test_grid_when_a_buy_fills_then_its_line_stays_empty_and_is_sold_one_line_higher():
    one = laid()
    fill(one, placed(one, Side.BUY, 599_940), 599_940)
    show(one, 599_941)
    one.rest(*one.places())
    # The centre is 599,940 now: the farthest ask came in to 600,000, a bid went on at 599,820.
    assert [
        (-1, 600_000, 3),
        (-1, 600_060, 3),
        (1, 599_820, 3),
        (1, 599_880, 3),
    ] == one.asked()
    fill(one, placed(one, Side.SELL, 600_000), 600_000)
    show(one, 599_999)
    one.rest(*one.places())
    assert [599_880, 599_940] == [price for side, price, _ in one.asked() if side > 0]
    # Bought at 59,994.0, sold at 60,000.0: 0.003 x 6.0 of profit, which is one line.
    (position,) = one.engine.summary().positions
    assert (Decimal(0), Decimal("0.018")) == (position.size, position.realised)


def test_grid_when_a_line_fills_in_part_then_nothing_moves():
    one = laid()
    bid = placed(one, Side.BUY, 599_940)
    before = one.asked()
    one.fill(bid, 2)
    show(one)
    assert [] == [*one.places(), *one.amends(), *one.withdrawn()]
    one.fill(bid, 1)
    assert before != one.asked()


def test_grid_when_inventory_is_full_then_no_line_is_added():
    one = laid()
    for price in (599_940, 599_880, 599_820):
        fill(one, placed(one, Side.BUY, price), price)
        show(one, price + 1)
        one.rest(*one.places())
    # Three lines bought: the centre is 599,820, asks above it, and no bid any more.
    assert [(-1, 599_880, 3), (-1, 599_940, 3)] == one.asked()


def test_grid_when_flat_and_the_mid_left_it_then_it_follows():
    one = laid()
    show(one, 600_110)  # 110 units away: inside two lines
    assert [] == one.amends()
    show(one, 600_200)
    moved = {amend.price_units for amend in one.amends()}
    assert {600_080, 600_140, 600_260, 600_320} == moved


def test_grid_when_the_price_jumped_past_a_line_then_it_is_not_taken():
    one = laid()
    fill(one, placed(one, Side.BUY, 599_940), 599_940)
    show(one, 600_030)  # through 600,000, where the ask belongs: that one would take
    assert [] == [order for order in one.places() if order.side is Side.SELL]
    assert all(order.post_only for order in one.places(one.log))


@pytest.mark.parametrize(
    ("bought", "asks"),
    [((599_940,), [600_000, 600_060]), ((599_940, 599_880), [599_940, 600_000])],
)
def test_restart_when_lines_were_bought_then_the_anchor_comes_from_the_average_entry(bought, asks):
    one = laid()
    for price in bought:
        fill(one, placed(one, Side.BUY, price), price)
        show(one, price + 1)
        one.rest(*one.places())
    fresh = Grid()
    fresh.bind(one.strategies["one"].context)
    fresh.on_start()
    book = one.books[BTC]
    one.now_ns += 10**9
    one._update_id += 1
    # The market went on elsewhere meanwhile; the lines are where they were.
    low = bought[-1] - 30
    book.apply_snapshot(
        [(low, 10)], [(low + 1, 10)], update_id=one._update_id, received_ns=one.now_ns
    )
    assert None is fresh.on_book(book)
    assert asks == [price for side, price, _ in one.asked() if side < 0]


def test_grid_when_spot_then_asks_for_what_is_held_alone():
    rules = instrument(capabilities=Capabilities(can_short=False))
    one = Stage(Grid(), GridParameters(**WISHES), rules, is_shown=False)
    show(one)
    one.rest(*one.places())
    assert [599_880, 599_940] == [price for _, price, _ in one.asked()]
    fill(one, placed(one, Side.BUY, 599_940), 599_940)
    show(one, 599_941)
    assert [(-1, 600_000, 3)] == [row for row in one.asked() if row[0] < 0]


def test_grid_when_the_gate_denies_the_other_side_then_the_rest_goes_on():
    strict = replace(BOTH_SIDES, risk=replace(BOTH_SIDES.risk, deny_conflicting_position=True))
    one = Stage(Grid(), GridParameters(**WISHES), config=strict, is_shown=False)
    show(one)
    one.rest(*one.places())
    fill(one, placed(one, Side.BUY, 599_940), 599_940)
    assert {-1, 1} == {side for side, *_ in one.asked()}


def test_parameters_when_more_levels_than_lines_then_refused():
    with pytest.raises(ConfigError, match="levels 5 must not exceed inventory_max 3"):
        parameters_from(GridParameters, {"levels": 5, "inventory_max": 3})
