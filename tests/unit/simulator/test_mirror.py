"""Orders in a mirrored market: queued behind live size, filled by live trades, never by chance."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulator.mirrored import DEPTH, START_NS, MirroredHouse, btc
from tickwright.core.events import Trade
from tickwright.core.orders import Side
from tickwright.matching.levels import UNSEEN_UNITS
from tickwright.simulator.mirror import listing_of

HOUR_NS = 3_600_000_000_000


# queue --------------------------------------------------------------------------------------------


def test_order_when_it_rests_then_it_queues_behind_the_live_size():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    assert ("New", 10_000) == (order.status, house.ahead(order))


def test_trade_when_at_our_price_then_it_moves_us_forward_and_fills_what_is_left_of_it():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    house.trade(Side.SELL, 99_000, 9_000)
    assert (0, 1_000) == (order.filled_units, house.ahead(order))
    house.trade(Side.SELL, 99_000, 2_500)
    assert ("PartiallyFilled", 1_500, 1_500) == (order.status, order.filled_units, house.held)
    house.trade(Side.SELL, 99_000, 500)
    assert "Filled" == order.status
    assert [] == house.ledger.faults() + house.desk.faults()


def test_trade_when_beyond_our_price_then_it_fills_us_at_our_price():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    house.trade(Side.SELL, 98_000, 3_000)
    assert ("Filled", 2_000 * 99_000) == (order.status, order.filled_value)


def test_trade_when_the_book_had_shown_it_then_the_queue_moves_once():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    house.levels(bids={99_000: 4_000})
    house.trade(Side.SELL, 99_000, 6_000, sequence=house.sequence)
    assert (0, 4_000) == (order.filled_units, house.ahead(order))


def test_trade_when_without_a_sequence_then_the_venues_time_says_what_was_shown():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    shown_ns = house.live.venue_ns
    for venue_ns, ahead in ((shown_ns, 10_000), (shown_ns + 1, 7_000)):
        house.mirror.on_trade(
            Trade(btc().id, Side.SELL, 99_000, 3_000, "t", venue_ns, venue_ns, sequence=0)
        )
        assert ahead == house.ahead(order)


def test_trade_when_agreed_outside_the_book_then_it_touches_nobody():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    now = house.venue.now_ns
    block = Trade(
        btc().id, Side.SELL, 90_000, 9_000, "b", now, now, house.sequence + 1, is_block=True
    )
    house.mirror.on_trade(block)
    assert (0, 10_000) == (order.filled_units, house.ahead(order))


def test_level_when_it_shrinks_then_it_bounds_our_place_and_when_it_grows_we_stay_before():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    house.levels(bids={99_000: 6_000})
    assert 6_000 == house.ahead(order)
    house.levels(bids={99_000: 50_000})
    assert 6_000 == house.ahead(order)


def test_order_when_between_the_sides_then_nobody_is_before_it():
    house = MirroredHouse()
    assert 0 == house.ahead(house.create(side="Buy", qty="2", price="100000"))


def test_order_when_deeper_than_the_live_book_reaches_then_it_waits_until_its_price_is_seen():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="1", price="94500")
    assert UNSEEN_UNITS == house.ahead(order)
    house.levels(bids={99_000: 9_000})
    assert UNSEEN_UNITS == house.ahead(order)
    # The best levels go, and what lay deeper comes into sight.
    house.levels(bids={99_000: 0, 98_000: 0, 94_500: 7_000, 94_000: 1_000})
    assert 7_000 == house.ahead(order)


def test_market_when_it_moves_onto_our_price_then_it_fills_us_for_what_is_shown():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="5", price="99000")
    house.levels(
        bids={99_000: 0, 98_000: 0, 95_000: 0}, asks={98_500: 2_000, 101_000: 0, 102_000: 0}
    )
    assert (2_000, 2_000 * 99_000) == (order.filled_units, order.filled_value)
    # The same level shown again is the same size: it was taken.
    house.levels(bids={97_000: 9_000})
    assert 2_000 == order.filled_units
    house.levels(asks={98_500: 4_000})
    assert "Filled" == order.status


# taking -------------------------------------------------------------------------------------------


def test_market_order_when_sent_then_it_takes_the_live_levels():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="15")
    assert ("Filled", 10_000 * 101_000 + 5_000 * 102_000) == (order.status, order.filled_value)


def test_size_when_taken_then_it_is_gone_until_the_level_is_set_again():
    house = MirroredHouse()
    house.create(side="Buy", qty="10")
    again = house.create(side="Buy", qty="10")
    assert 10_000 * 102_000 == again.filled_value
    house.levels(asks={105_000: 1_000})
    assert 10_000 * 103_000 == house.create(side="Buy", qty="10").filled_value
    house.levels(asks={101_000: 9_999})
    assert 1_000 * 101_000 == house.create(side="Buy", qty="1").filled_value


def test_order_when_nothing_rested_meanwhile_then_it_meets_the_book_of_its_moment():
    house = MirroredHouse()
    house.update += 1
    house.live.apply_delta(
        [], [(101_000, 0)], update_id=house.update, received_ns=START_NS, sequence=house.sequence
    )
    assert 1_000 * 102_000 == house.create(side="Buy", qty="1").filled_value


def test_market_order_when_larger_than_what_is_seen_then_the_rest_is_cancelled():
    house = MirroredHouse(balance="100000000")
    order = house.create(side="Buy", qty="60")
    assert ("Cancelled", DEPTH * 10_000) == (order.status, order.filled_units)


def test_fill_or_kill_when_it_would_need_size_that_is_not_seen_then_it_fills_nothing():
    house = MirroredHouse(balance="100000000")
    house.create(side="Sell", qty="1", price="110000")
    order = house.create(side="Buy", qty="60", price="101900", timeInForce="FOK")
    assert ("Cancelled", 0) == (order.status, order.filled_units)


# gaps ---------------------------------------------------------------------------------------------


def test_gap_when_open_then_orders_rest_and_nothing_fills():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    house.gap()
    house.trade(Side.SELL, 90_000, 50_000)
    assert ("New", 0) == (order.status, order.filled_units)
    assert house.live.state.name == "STALE"


def test_gap_when_open_then_who_wants_to_take_finds_nobody():
    house = MirroredHouse()
    house.gap()
    market = house.create(side="Buy", qty="1")
    limit = house.create(side="Buy", qty="1", price="101500", timeInForce="IOC")
    whole = house.create(side="Buy", qty="1", price="101500", timeInForce="FOK")
    assert [("Cancelled", 0)] * 3 == [(o.status, o.filled_units) for o in (market, limit, whole)]
    assert 0 == house.held


def test_resync_when_it_comes_then_the_queue_is_bounded_and_never_moved_forward_further():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    deeper = house.create(side="Buy", qty="2", price="98000")
    house.gap()
    house.trade(Side.SELL, 99_000, 9_000)
    late = house.create(side="Buy", qty="2", price="97000")
    assert UNSEEN_UNITS == house.ahead(late)
    house.snapshot(
        {99_000: 8_000, 98_000: 30_000, 97_000: 5_000}, {101_000: 10_000, 102_000: 10_000}
    )
    assert [8_000, 10_000, 5_000] == [house.ahead(o) for o in (order, deeper, late)]
    assert 0 == house.held


def test_resync_when_the_market_has_passed_our_price_then_it_fills_us_at_our_price():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    house.gap()
    house.snapshot({97_000: 1_000}, {98_000: 1_500, 98_500: 9_000})
    assert ("Filled", 2_000 * 99_000) == (order.status, order.filled_value)


def test_stop_when_its_price_was_seen_in_a_gap_then_it_fires_once_the_book_is_back():
    house = MirroredHouse()
    house.create(side="Buy", qty="1", stopLoss="95000")
    assert 1_000 == house.held
    house.gap()
    house.trade(Side.SELL, 94_000, 100)
    house.trade(Side.BUY, 100_000, 100)
    assert 1_000 == house.held
    house.snapshot({97_000: 5_000}, {98_000: 5_000})
    assert 0 == house.held
    assert [] == house.ledger.faults() + house.desk.faults()


def test_size_when_taken_before_a_gap_and_shown_unchanged_after_it_then_it_stays_taken():
    house = MirroredHouse()
    house.create(side="Buy", qty="10")
    house.gap()
    house.snapshot({99_000: 1_000}, {101_000: 10_000, 102_000: 10_000})
    assert 1_000 * 102_000 == house.create(side="Buy", qty="1").filled_value


# prices, funding, instruments ---------------------------------------------------------------------


def test_stop_when_the_live_mark_reaches_it_then_it_fires():
    house = MirroredHouse()
    house.create(side="Buy", qty="1", stopLoss="95000", slTriggerBy="MarkPrice")
    house.trade(Side.SELL, 94_000, 100)
    assert 1_000 == house.held
    house.mark(94_900)
    assert 0 == house.held


def test_stop_when_the_book_had_shown_the_trade_then_it_fires_all_the_same():
    house = MirroredHouse()
    house.create(side="Buy", qty="1", stopLoss="95000")
    house.trade(Side.SELL, 94_000, 100, sequence=house.sequence)
    assert 0 == house.held


def test_account_when_the_mark_eats_its_margin_then_it_is_liquidated():
    house = MirroredHouse(balance="12000")
    house.create(side="Buy", qty="1")
    house.mark(89_500)
    assert (0, 1) == (house.held, house.desk.liquidator.count)


def test_funding_when_the_next_time_moves_then_the_rate_named_before_is_paid_once():
    house = MirroredHouse()
    house.create(side="Buy", qty="1")
    before = house.user.ledger.wallet["USDT"]
    house.funding(100_000, START_NS + HOUR_NS)
    house.funding(250_000, START_NS + HOUR_NS)
    house.funding(-900_000, START_NS + 9 * HOUR_NS)
    house.funding(-900_000, START_NS + 9 * HOUR_NS)
    assert [25_000] == house.fundings
    paid = Decimal(before - house.user.ledger.wallet["USDT"]).scaleb(-18)
    assert Decimal("25") == paid  # 0.025 % of 100,000
    assert [] == house.ledger.faults()


def test_listing_when_made_then_it_has_the_live_filters():
    live = btc(
        tick_units=5,
        lot_units=2,
        size_min_units=4,
        size_max_units=800,
        market_size_max_units=400,
        notional_min=Decimal(7),
        funding_interval_minutes=60,
    )
    listing = listing_of(live)
    assert (0, 3, 5, 2, 4, 800, 400, Decimal(7), 60) == (
        listing.price_decimals,
        listing.size_decimals,
        listing.tick_units,
        listing.lot_units,
        listing.size_min_units,
        listing.size_max_units,
        listing.market_size_max_units,
        listing.notional_min,
        listing.funding_interval_minutes,
    )


def test_instrument_when_its_filters_change_then_orders_are_held_to_the_new_ones():
    house = MirroredHouse()
    assert house.mirror.change_instrument(btc(size_min_units=500, version=2))
    assert 500 == house.mirror.market.instrument.size_min_units


def test_instrument_when_its_units_change_then_nothing_fills_there_any_more():
    house = MirroredHouse()
    order = house.create(side="Buy", qty="2", price="99000")
    assert not house.mirror.change_instrument(btc(price_decimals=1, version=2))
    house.trade(Side.SELL, 90_000, 50_000)
    assert ("New", "Cancelled") == (order.status, house.create(side="Sell", qty="1").status)


def test_live_book_when_nobody_rests_then_its_levels_are_read_only_when_asked_for():
    house = MirroredHouse()
    before = house.mirror.book.sequence
    house.update += 1
    house.live.apply_delta(
        [(99_000, 1)], [], update_id=house.update, received_ns=START_NS, sequence=2_000
    )
    house.trade(Side.SELL, 99_000, 1)
    assert (before, False) == (house.mirror.book.sequence, house.mirror.has_resting)
    assert 1 == house.mirror.book.external_size(Side.BUY, 99_000)


# any market ---------------------------------------------------------------------------------------

_SIZES = st.integers(0, 6_000)
_LEVELS = st.dictionaries(st.integers(0, DEPTH - 1), _SIZES, max_size=3)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("levels"), _LEVELS, _LEVELS),
        st.tuples(st.just("trade"), st.booleans(), st.integers(-2, 2), st.integers(1, 9_000)),
        st.tuples(st.just("limit"), st.booleans(), st.integers(-3, 3), st.integers(1, 5)),
        st.tuples(st.just("market"), st.booleans(), st.integers(1, 12)),
        st.tuples(st.just("gap")),
        st.tuples(st.just("resync"), _SIZES, st.integers(-2, 2)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_ledger_when_the_live_market_does_anything_then_it_balances_and_no_size_is_made_up(steps):
    house = MirroredHouse(balance="1000000000")
    for step in steps:
        kind = step[0]
        if kind == "levels" and house.live.is_synced:
            house.levels(
                {99_000 - 1_000 * n: size for n, size in step[1].items()},
                {101_000 + 1_000 * n: size for n, size in step[2].items()},
            )
        elif kind == "trade":
            side = Side.BUY if step[1] else Side.SELL
            house.trade(side, 100_000 + 1_000 * step[2], step[3])
        elif kind == "limit":
            price = 100_000 + 1_000 * step[2]
            house.create(side="Buy" if step[1] else "Sell", qty=str(step[3]), price=str(price))
        elif kind == "market":
            levels = house.live.asks() if step[1] else house.live.bids()
            seen = sum(size for _, size in levels) if house.live.is_synced else 0
            own = sum(o.leaves_units for o in house.desk.stores[house.user.uid].live.values())
            order = house.create(side="Buy" if step[1] else "Sell", qty=str(step[2]))
            assert order.filled_units <= seen + own
        elif kind == "gap":
            house.gap()
        elif kind == "resync":
            middle = 100_000 + 1_000 * step[2]
            house.snapshot({middle - 1_000: step[1] + 1}, {middle + 1_000: step[1] + 1})
    assert [] == house.ledger.faults() + house.desk.faults()
