"""Market making on constructed books; every price is worked out beside it."""

import math
from typing import Any

from msgspec.structs import replace

from tests.unit.engine.bench import BTC, instrument
from tests.unit.strategy.library.stage import BOTH_SIDES, Stage
from tickwright.core.commands import PlaceOrder
from tickwright.core.events import BookState, BookStateChanged, InstrumentChanged
from tickwright.core.instrument import AmendKind, Capabilities
from tickwright.core.orders import OrderState, Side
from tickwright.strategy.library.market_making import MarketMaking, MarketMakingParameters

QUIET: dict[str, Any] = {
    "order_notional": 180.0,  # 3 lots of 0.001 at 60,000: 0.003 is worth 180.0015, so 2 lots
    "risk_aversion": 1.0,
    "fill_decay": 1.0,
    "horizon_s": 1e-6,  # variance counts for nothing unless a test says so
    "volatility_interval_ms": 100,
    "volatility_window": 2,
    "requote_ms": 100,
    "reprice_ticks": 0,
}


def stage(**changes) -> Stage:
    return Stage(MarketMaking(), MarketMakingParameters(**{**QUIET, **changes}), is_shown=False)


def flat(one: Stage, bid: int = 600_000, *, count: int = 1, after_ms: float = 400) -> None:
    """Show a book one tick wide; three samples and more pass, all of one mid."""
    for _ in range(count):
        one.show([(bid, 1_000_000)], [(bid + 1, 1_000_000)], after_ms=after_ms)


def quoting(**changes) -> tuple[Stage, PlaceOrder, PlaceOrder]:
    """Return a stage with a bid and an ask resting around 60,000.05."""
    one = stage(**changes)
    flat(one, count=2)
    bid, ask = one.places()
    one.rest(bid, ask)
    return one, bid, ask


def test_quotes_when_the_market_is_still_then_half_a_spread_of_ln_two_basis_points():
    one = stage()
    flat(one)
    assert [] == one.quotes()  # the volatility is not known yet
    flat(one)
    # No variance: half = ln(1 + 1/1) / 1 = 0.6931 bps of 600,000.5 = 41.589 units.
    assert 41.589 == round(math.log(2) * 600_000.5 / 1e4, 3)
    # 600,000.5 - 41.589 = 599,958.911 down, 600,042.089 up.
    assert [(-1, 600_043, 2), (1, 599_958, 2)] == one.quotes()
    assert [True, True] == [order.post_only for order in one.places()]


def test_quotes_when_long_then_both_lean_down_by_gamma_variance_and_inventory():
    one = stage(risk_aversion=0.1, fill_decay=0.5, horizon_s=0.4)
    # Mids 600,000.5 and 600,060.5 in turns: each return is ln(600060.5/600000.5) = 0.99995 bps, so
    # the variance over 0.4 s, four samples of 0.1 s, is 4 x 0.9999 = 3.9996 bps^2.
    for bid in (600_000, 600_060, 600_000, 600_060, 600_000):
        one.show([(bid, 1_000_000)], [(bid + 1, 1_000_000)], after_ms=100)
        one.rest(*one.places())
        for amend in one.amends():
            one.move(next(o for o in one.places(one.log) if o.client_id == amend.client_id), amend)
    # half = 0.1 x 3.9996 / 2 + ln(1 + 0.1/0.5) / 0.1 = 0.19998 + 1.82322 = 2.02320 bps;
    # of 600,000.5 that is 121.392 units: 599,879.108 and 600,121.892.
    assert [(-1, 600_122, 2), (1, 599_879, 2)] == one.asked()
    filled = next(o for o in one.places(one.log) if o.side is Side.BUY)
    one.fill(filled, price=599_879)
    # One order held: the centre is 0.39996 bps lower, 23.998 units: 599,976.502 -+ 121.392.
    (lower,) = one.amends()
    assert 600_098 == lower.price_units  # 600,097.894
    # Whether a new bid is placed at once is up to the order being gone; its price is known.
    one.report(filled, OrderState.FILLED, filled=2)
    one.show([(600_000, 1_000_000)], [(600_001, 1_000_000)], after_ms=1)
    assert [599_855] == [o.price_units for o in one.places(one.log) if o.side is Side.BUY][1:]


def test_quotes_when_the_mid_moves_then_both_are_amended_the_one_that_retreats_first():
    one, bid, ask = quoting()
    one.show([(600_100, 1_000_000)], [(600_101, 1_000_000)], after_ms=50)
    assert [] == one.amends()  # no pass is due yet
    one.show([(600_100, 1_000_000)], [(600_101, 1_000_000)], after_ms=60)
    # 600,100.5 -+ 41.596: the ask steps back, the bid forward.
    assert [(ask.client_id, 600_143), (bid.client_id, 600_058)] == [
        (amend.client_id, amend.price_units) for amend in one.amends()
    ]
    one.show([(600_100, 1_000_000)], [(600_101, 1_000_000)], after_ms=110)
    assert [] == one.amends()  # both are under way


def test_quotes_when_inventory_is_full_then_the_side_that_adds_is_withdrawn():
    one, bid, ask = quoting(inventory_max=1.0)
    one.fill(bid)
    one.report(bid, OrderState.FILLED, filled=2)
    flat(one)
    assert [(-1, 600_043, 2)] == one.asked()
    one.fill(ask)
    one.report(ask, OrderState.FILLED, filled=2)
    flat(one)
    assert [(-1, 600_043, 2), (1, 599_958, 2)] == one.asked()


def test_quotes_when_filled_in_part_then_whole_again_once_less_than_half_is_left():
    one, bid, _ = quoting(order_notional=660.0)  # 0.011 at 60,000.05 is 660.0006: 10 lots
    assert 10 == bid.size_units
    one.fill(bid, 4)
    assert [] == one.amends()
    one.fill(bid, 2)
    (amend,) = one.amends()
    assert (bid.client_id, None, 16) == (amend.client_id, amend.price_units, amend.size_units)


def test_quotes_when_the_venue_can_not_amend_then_withdrawn_and_placed_once_gone():
    rules = instrument(capabilities=Capabilities(amend=AmendKind.NONE))
    one = Stage(MarketMaking(), MarketMakingParameters(**QUIET), rules, is_shown=False)
    flat(one, count=2)
    bid, ask = one.places()
    one.rest(bid, ask)
    flat(one, 600_100)
    assert [[], [bid.client_id, ask.client_id]] == [
        one.amends(),
        [cancel.client_id for cancel in one.withdrawn()],
    ]
    flat(one, 600_100, after_ms=110)
    assert [] == one.places()  # never more than one order a side
    one.withdraw(bid)
    one.withdraw(ask)
    flat(one, 600_100, after_ms=110)
    assert [Side.BUY, Side.SELL] == [order.side for order in one.places()]


def test_quotes_when_the_venue_refuses_then_asked_for_again_at_the_next_pass():
    one = stage()
    flat(one, count=2)
    placed = one.places()
    for order in placed:
        one.reply_refused(order, "insufficient")
    flat(one, after_ms=110)
    assert 2 == len(one.places())  # the venue's word: it may differ now


def test_quotes_when_the_gate_refuses_then_asked_for_again_after_a_second():
    strict = replace(BOTH_SIDES, risk=replace(BOTH_SIDES.risk, reduce_only=True))
    one = Stage(MarketMaking(), MarketMakingParameters(**QUIET), config=strict, is_shown=False)
    flat(one, count=2)

    def refused() -> int:
        return sum(one.engine.summary().strategies[0].refusals.values())

    assert 2 == refused()
    flat(one, count=5, after_ms=150)
    assert 2 == refused()
    flat(one, after_ms=300)
    assert 4 == refused()


def test_quotes_when_the_book_was_out_for_long_then_the_volatility_starts_anew():
    one, bid, ask = quoting(outage_reset_ms=1_000)
    one.stale()
    assert {bid.client_id, ask.client_id} == {cancel.client_id for cancel in one.withdrawn()}
    one.withdraw(bid)
    one.withdraw(ask)
    one.now_ns += 2_000_000_000
    one.handle(BookStateChanged(BTC, BookState.SYNCED, BookState.RESYNCING, "snapshot"))
    flat(one)
    assert [] == one.quotes()
    flat(one)
    assert [(-1, 600_043, 2), (1, 599_958, 2)] == one.quotes()


def test_quotes_when_spot_then_only_what_is_held_is_offered():
    rules = instrument(capabilities=Capabilities(can_short=False))
    one = Stage(MarketMaking(), MarketMakingParameters(**QUIET), rules, is_shown=False)
    flat(one, count=2)
    (bid,) = one.places()
    assert Side.BUY is bid.side
    one.rest(bid)
    one.fill(bid, 1)
    (ask,) = one.places()
    assert (Side.SELL, 1) == (ask.side, ask.size_units)


def test_quotes_when_the_tick_changes_then_on_the_new_one():
    one, *_ = quoting()
    rules = instrument(tick_units=10, version=2)
    one.books[BTC].change_instrument(rules)
    one.handle(InstrumentChanged(rules))
    for _ in range(2):
        one.show([(600_000, 1_000_000)], [(600_010, 1_000_000)], after_ms=400)
    # 600,005 -+ 41.589: 599,963.411 down and 600,046.589 up to tens.
    assert [599_960, 600_050] == sorted(a.price_units for a in one.amends() if a.price_units)


def test_restart_when_orders_of_an_earlier_run_stand_then_no_second_pair():
    one, bid, ask = quoting()
    fresh = MarketMaking()
    fresh.bind(one.strategies["one"].context)
    fresh.on_start()
    book = one.books[BTC]
    for _ in range(2):
        one.now_ns += 400_000_000
        one._update_id += 1
        book.apply_snapshot(
            [(600_000, 1_000_000)],
            [(600_001, 1_000_000)],
            update_id=one._update_id,
            received_ns=one.now_ns,
        )
        assert None is fresh.on_book(book)
    assert {bid.client_id, ask.client_id} == {o.client_id for o in fresh.context.orders()}
