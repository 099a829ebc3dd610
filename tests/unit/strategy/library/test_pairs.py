"""Pairs on constructed books: BTCUSDT moves as the square of ETHUSDT, so the hedge ratio is 2."""

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.engine.bench import ACCOUNT, BTC, CONFIG, ETH, instrument
from tests.unit.strategy.library.stage import Stage
from tickwright.core.commands import PlaceOrder
from tickwright.core.errors import ConfigError
from tickwright.core.events import FeesChanged
from tickwright.core.instrument import Capabilities, FeeRates, Instrument
from tickwright.core.orders import OrderIntent, OrderState, Side, TimeInForce
from tickwright.strategy.library.pairs import Pairs, PairsParameters
from tickwright.strategy.parameters import parameters_from

WISHES: dict[str, Any] = {
    "notional": 1000.4,
    "lookback": 10,
    "interval_ms": 100,
    "entry_z": 2.0,
    "exit_z": 0.5,
    "stop_z": 6.0,
    "deviation_bps_min": 10.0,
    "edge_bps": None,
}


def stage(rules: Instrument | None = None, **changes) -> Stage:
    parameters = parameters_from(PairsParameters, {**WISHES, **changes})
    legs = (rules or instrument(BTC), instrument(ETH))
    return Stage(Pairs(), parameters, *legs, config=CONFIG, is_shown=False)


def mid(one: Stage, symbol, units: int, *, after_ms: float = 50) -> None:
    """Show a book two units wide around a mid, deep at the touch."""
    one.show([(units - 1, 10**6)], [(units + 1, 10**6)], instrument_id=symbol, after_ms=after_ms)


def warm(one: Stage) -> None:
    """Give the window twelve samples: ETH 1000.0 and 1010.0 in turns, BTC 1000.0 and 1020.1."""
    for number in range(12):
        high = number % 2
        mid(one, ETH, 10_100 if high else 10_000)
        mid(one, BTC, 10_201 if high else 10_000)
    mid(one, ETH, 10_000)
    mid(one, BTC, 10_000)


def legs(one: Stage) -> dict[str, PlaceOrder]:
    return {order.instrument_id.symbol: order for order in one.places()}


def opened(**changes) -> Stage:
    one = stage(**changes)
    warm(one)
    mid(one, BTC, 10_030)
    for order in one.places():
        one.execute(order, price=order.price_units)
    return one


def test_entry_when_the_first_is_rich_then_sold_against_twice_its_value_of_the_second():
    one = stage()
    warm(one)
    assert [] == one.places(one.log)
    mid(one, BTC, 10_030)
    # ln(10030 / 10000) = 29.955 bps; the line fits exactly, so the floor of 10 bps makes z +3.00.
    first, second = legs(one)["BTCUSDT"], legs(one)["ETHUSDT"]
    # 1000.4 / 1003.0 = 0.99741: 997 units, down to 5 bps below the bid of 1002.9, 10,023.99 up.
    assert (Side.SELL, 997, 10_024) == (first.side, first.size_units, first.price_units)
    # 2 x 1000.4 / 1000.0 = 2.0008: 2000 units, up to 5 bps above the ask of 1000.1, 10,006.0005.
    assert (Side.BUY, 2_000, 10_006) == (second.side, second.size_units, second.price_units)
    assert [TimeInForce.IOC] * 2 == [first.time_in_force, second.time_in_force]


def test_entry_when_the_first_is_poor_then_mirrored():
    one = stage()
    warm(one)
    mid(one, BTC, 9_970)
    assert (Side.BUY, Side.SELL) == (legs(one)["BTCUSDT"].side, legs(one)["ETHUSDT"].side)


def test_exit_when_the_residual_came_back_then_both_legs_are_closed():
    one = opened()
    assert (-997, 2_000) == (one.share(), one.share(instrument_id=ETH))
    mid(one, BTC, 10_010)  # 10 bps: z +1.0, not yet
    assert [] == one.places()
    mid(one, BTC, 10_004)  # 4 bps: z +0.4
    closing = legs(one)
    assert [(Side.BUY, 997, True), (Side.SELL, 2_000, True)] == [
        (closing[symbol].side, closing[symbol].size_units, closing[symbol].reduce_only)
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    for order in closing.values():
        one.execute(order, price=order.price_units)
    mid(one, BTC, 10_004)
    assert [] == one.places()
    assert (0, 0) == (one.share(), one.share(instrument_id=ETH))


def test_exit_when_the_line_drifts_then_the_line_that_opened_it_counts():
    one = opened()
    for _ in range(24):  # the window knows nothing but the new level now
        mid(one, ETH, 10_000)
        mid(one, BTC, 10_030)
    assert [] == one.places()
    assert -997 == one.share()


def test_stop_when_the_residual_grows_then_closed_and_nothing_until_it_came_back():
    one = opened()
    mid(one, BTC, 10_061)  # 60.8 bps: z +6.1
    for order in one.places():
        one.execute(order, price=order.price_units)
    assert (0, 0) == (one.share(), one.share(instrument_id=ETH))
    mid(one, BTC, 10_040)
    assert [] == one.places()


def test_entry_when_a_leg_stays_missing_then_tried_again_and_at_last_all_is_closed():
    one = stage(leg_timeout_ms=1_000, retry_ms=250)
    warm(one)
    mid(one, BTC, 10_030)
    first, second = legs(one)["BTCUSDT"], legs(one)["ETHUSDT"]
    one.execute(first, price=first.price_units)
    one.ack(second)
    one.report(second, OrderState.CANCELLED)  # an IOC that found nothing
    mid(one, BTC, 10_030, after_ms=100)
    assert [] == one.places()
    mid(one, BTC, 10_030, after_ms=200)
    again = one.placed()
    assert (ETH, Side.BUY, 2_000) == (again.instrument_id, again.side, again.size_units)
    one.fill(again, 500)
    one.report(again, OrderState.CANCELLED, filled=500)
    mid(one, BTC, 10_030, after_ms=300)
    assert 1_500 == one.placed().size_units
    one.reply_refused(one.placed(), "no")
    mid(one, BTC, 10_030, after_ms=500)
    assert {("BTCUSDT", 997, True), ("ETHUSDT", 500, True)} == {
        (order.instrument_id.symbol, order.size_units, order.reduce_only) for order in one.places()
    }


def test_pair_when_a_leg_is_lost_later_then_the_other_is_closed_at_once():
    one = opened()
    mid(one, BTC, 10_030)
    lost = one.places(one.log)[-1]
    # Somebody else closed the bought leg: a stop of the venue, a liquidation.
    one.fill(lost, 2_000, side=Side.SELL, price=10_000)
    mid(one, BTC, 10_030)
    order = one.placed()
    assert (BTC, Side.BUY, 997, True) == (
        order.instrument_id,
        order.side,
        order.size_units,
        order.reduce_only,
    )


def test_entry_when_costs_eat_the_residual_then_nothing_and_unknown_fees_refuse():
    for taker, expected in ((None, 0), (Decimal("0.0004"), 0), (Decimal("0.0001"), 2)):
        # Weights 1 and 2: spreads cost 2 bps of each value, 6 in all, fees 3 x 2 x the rate.
        one = stage(edge_bps=5.0)
        if taker is not None:
            for leg in (BTC, ETH):
                one.handle(FeesChanged(ACCOUNT, leg, FeeRates(maker=taker, taker=taker)))
        warm(one)
        mid(one, BTC, 10_030)
        assert expected == len(one.places())


@pytest.mark.parametrize("bounds", [(0.2, 1.9), (2.1, 5.0)])
def test_entry_when_the_hedge_ratio_is_out_of_bounds_then_nothing(bounds):
    one = stage(hedge_ratio_min=bounds[0], hedge_ratio_max=bounds[1])
    warm(one)
    mid(one, BTC, 10_030)
    assert [] == one.places()


def test_entry_when_the_rich_leg_can_not_be_sold_short_then_nothing():
    one = stage(instrument(BTC, capabilities=Capabilities(can_short=False)))
    warm(one)
    mid(one, BTC, 10_030)
    assert [] == one.places()


def test_entry_when_a_book_is_stale_then_nothing():
    one = stage()
    warm(one)
    one.stale(ETH)
    mid(one, BTC, 10_030)
    assert [] == one.places()


def restarted(one: Stage) -> Pairs:
    fresh = Pairs()
    fresh.bind(one.strategies["one"].context)
    fresh.on_start()
    return fresh


def test_restart_when_a_whole_pair_is_held_then_taken_over():
    fresh = restarted(opened())
    assert (-997, 2_000, True) == (fresh._first.target, fresh._second.target, fresh._is_whole)


def test_restart_when_a_lone_leg_is_held_then_closed():
    one = stage()
    warm(one)
    mid(one, BTC, 10_030)
    first = legs(one)["BTCUSDT"]
    one.execute(first, price=first.price_units)
    one.reply_refused(one.places(one.log)[1], "no")
    fresh = restarted(one)
    wishes = [fresh.on_book(one.books[leg]) for leg in (BTC, ETH)]
    assert isinstance(wishes[1], list)
    (intent,) = wishes[1]
    assert isinstance(intent, OrderIntent)
    assert (BTC, Side.BUY, 997, True) == (
        intent.instrument_id,
        intent.side,
        intent.size_units,
        intent.reduce_only,
    )


def test_start_when_there_is_one_symbol_then_the_strategy_is_halted_with_a_sentence():
    one = Stage(Pairs(), PairsParameters(), config=CONFIG)
    (halt,) = one.halts()
    assert "pairs needs two symbols, not 1" in halt.reason


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"exit_z": 3.0}, "exit_z 3 must be below entry_z 2"),
        ({"stop_z": 2.0}, "stop_z 2 must be above entry_z 2"),
        ({"hedge_ratio_min": 6.0}, "hedge_ratio_min must be below"),
    ],
)
def test_parameters_when_contradicting_then_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        stage(**wrong)
