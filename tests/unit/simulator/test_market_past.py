"""What a contract remembers: mark, index and premium candles, open interest, fundings."""

import json
from typing import Any

import pytest

from tests.unit.simulator_private.house import START_NS, House
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.market_past import INTEREST_KEPT, INTEREST_STEP_MS, MarketPast
from tickwright.simulator.market_rest import MarketRest
from tickwright.simulator.rest import PublicRest
from tickwright.simulator.sources.operations import MarketFacts

WHERE = {"category": "linear", "symbol": "BTCUSDT"}
MINUTE_MS = 60_000


def past() -> MarketPast:
    return MarketPast(instrument_for(Category.LINEAR, "BTCUSDT"), START_NS // 1_000_000)


def rest(house: House) -> MarketRest:
    return MarketRest(house.venue, lambda: house.venue.now_ns)


def set_facts(house: House, mark: int, index: int) -> None:
    house.linear.facts = MarketFacts(mark_units=mark * 100, index_units=index * 100)
    house.linear.book.changed(house.venue.now_ns, 1)


# candles ----------------------------------------------------------------------------------------


def test_mark_and_index_candles_then_are_those_of_their_own_prices():
    house = House()
    house.run(5_000)
    for mark, index in ((60_500, 60_100), (59_500, 60_200), (60_250, 60_300)):
        set_facts(house, mark, index)
        house.run(2_000)
    marks = rest(house).mark_kline({**WHERE, "interval": "1"})["list"]
    indexes = rest(house).index_kline({**WHERE, "interval": "1"})["list"]
    premiums = rest(house).premium_kline({**WHERE, "interval": "1"})["list"]
    assert [row[1:] for row in marks] == [["60000.00", "60500.00", "59500.00", "60250.00"]]
    assert [row[1:] for row in indexes] == [["60000.00", "60300.00", "60000.00", "60300.00"]]
    # The mid stays at 60,000: it is 300 of 60,300 below the index in the end.
    assert [row[1:] for row in premiums] == [["0", "0", "-0.00497513", "-0.00497513"]]


def test_candles_then_go_on_by_the_minute_newest_first():
    house = House()
    house.run(3 * MINUTE_MS)
    rows = rest(house).mark_kline({**WHERE, "interval": "1", "limit": "2"})["list"]
    assert int(rows[0][0]) - int(rows[1][0]) == MINUTE_MS
    assert len(rows) == 2


# open interest ----------------------------------------------------------------------------------


def test_open_interest_then_counts_users_positions_once_each():
    house = House(accounts=2, balances="100000")
    shown = house.linear.past
    before = shown.open_interest_units
    first = house.create(0, side="Buy", qty="0.5", price="60000")
    house.create(1, side="Sell", qty="0.5", price="60000")
    assert first.status == "Filled"
    # The crowd saw a trade of 500 units too, and half of it counts.
    assert abs(shown.open_interest_units - before - 500) <= 250
    held = shown.open_interest_units
    house.create(0, side="Sell", qty="0.5", price="60000")
    house.create(1, side="Buy", qty="0.5", price="60000")
    assert abs(held - shown.open_interest_units - 500) <= 250


def test_position_that_the_venue_takes_over_then_leaves_the_open_interest():
    house = House()
    house.create(side="Buy", qty="1")
    before = house.linear.past.open_interest_units
    set_facts(house, 40_000, 40_000)
    house.run()
    assert house.users[0].ledger.positions["BTCUSDT", 0].size_units == 0
    assert before - house.linear.past.open_interest_units == 1_000


def test_crowd_then_opens_with_the_market_closes_against_it_and_stays_within_bounds():
    seen = past()
    first = seen.open_interest_units
    seen.traded(Side.BUY, 1_000, "PlusTick")
    seen.traded(Side.SELL, 1_000, "ZeroMinusTick")
    assert seen.open_interest_units == first + 1_000
    seen.traded(Side.SELL, 1_000, "PlusTick")
    assert seen.open_interest_units == first + 500
    for _ in range(10):
        seen.traded(Side.BUY, first, "PlusTick")
    assert seen.open_interest_units == 2 * first
    for _ in range(10):
        seen.traded(Side.SELL, first, "PlusTick")
    assert seen.open_interest_units == first // 2


def test_open_interest_query_then_tells_what_was_at_each_interval():
    house = House()
    told: list[int] = []
    for _ in range(4):
        house.run(INTEREST_STEP_MS)
        house.trade("Buy", 6_000_100 + len(told) * 10, 100)
        told.append(house.linear.past.open_interest_units)
    rows = rest(house).open_interest({**WHERE, "intervalTime": "5min"})["list"]
    size = house.linear.instrument.size_text
    assert len(rows) == 5
    assert [row["openInterest"] for row in rows[:3]] == [size[units] for units in told[2::-1]]
    assert len(rest(house).open_interest({**WHERE, "intervalTime": "1h"})["list"]) == 1
    assert len({row["openInterest"] for row in rows}) > 1


def test_interests_then_are_bounded():
    seen = past()
    for number in range(INTEREST_KEPT + 10):
        seen.look(1, 1, 1, number * INTEREST_STEP_MS)
    assert len(seen.interests) == INTEREST_KEPT


# funding ----------------------------------------------------------------------------------------


def funding(house: House, **query: Any) -> list[dict[str, str]]:
    public = PublicRest(house.venue, lambda: house.venue.now_ns, lambda: False)
    return list(public.funding_history({**WHERE, **query})["list"])


def test_funding_history_then_is_what_was_paid_and_before_the_start_the_invented_past():
    house = House()
    before = funding(house)
    assert len(before) == 200
    assert len({row["fundingRate"] for row in before}) > 10
    house.linear.funding_e8 = 12_345
    house.run(8 * 3_600_000)
    house.desk.pay_funding(house.linear, -500)
    rows = funding(house)
    assert [row["fundingRate"] for row in rows[:2]] == ["-0.000005", "0.00012345"]
    assert rows[2:] == before[:198]
    assert int(rows[1]["fundingRateTimestamp"]) % (8 * 3_600_000) == 0


def test_funding_history_of_a_contract_nobody_trades_then_goes_on_too():
    house = House()
    assert house.desk._desks == {}
    count = len(house.linear.past.fundings)
    house.run(8 * 3_600_000)
    assert len(house.linear.past.fundings) == count + 1


def test_funding_history_of_a_span_then_keeps_to_it():
    house = House()
    end = START_NS // 1_000_000
    rows = funding(house, startTime=str(end - 24 * 3_600_000), endTime=str(end))
    assert [int(row["fundingRateTimestamp"]) <= end for row in rows] == [True] * 3
    assert len(funding(house, limit="7")) == 7


# wide books -------------------------------------------------------------------------------------


class Frames:
    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:

        self.payloads.append(json.loads(payload))


def test_book_with_rpi_sizes_then_has_three_figures_a_level():
    house = House()
    frames = Frames()
    stream = house.venue.stream(Category.LINEAR, "orderbook.rpi.BTCUSDT")
    assert stream is not None
    stream.subscribe(frames)
    house.linear.book.apply([(5_999_900, 7)], [], house.venue.now_ns, 1)
    house.run(200)
    snapshot, delta = frames.payloads
    assert snapshot["data"]["b"][0] == ["59999.00", "1.000", "0"]
    assert delta["data"]["b"] == [["59999.00", "0.007", "0"]]
    assert delta["data"]["u"] == snapshot["data"]["u"] + 1
    shown = rest(house).rpi_orderbook({**WHERE, "limit": "2"})
    assert shown["b"] == [["59999.00", "0.007", "0"], ["59998.00", "1.000", "0"]]
    assert shown["u"] == delta["data"]["u"]


def test_whole_book_then_begins_with_rest_and_goes_on_by_deltas():
    house = House()
    frames = Frames()
    stream = house.venue.stream(Category.SPOT, "orderbook.full.BTCUSDT")
    assert stream is not None
    stream.subscribe(frames)
    assert frames.payloads == []
    where = {"category": "spot", "symbol": "BTCUSDT"}
    base = rest(house).full_orderbook(where)
    house.spot.book.apply([(5_000_000, 3_000_000)], [], house.venue.now_ns, 1)
    house.run(400)
    (delta,) = frames.payloads
    assert (delta["type"], delta["data"]["u"]) == ("delta", base["u"] + 1)
    assert delta["data"]["b"] == [["50000", "3"]]
    after = rest(house).full_orderbook(where)
    assert (after["u"], after["seq"]) == (delta["data"]["u"], delta["data"]["seq"])
    assert after["b"] == [*base["b"], ["50000", "3"]]


@pytest.mark.parametrize("topic", ["orderbook.full.BTCUSDT", "orderbook.rpi.NOUSDT"])
def test_wide_book_that_is_not_offered_then_does_not_exist(topic):
    house = House()
    assert house.venue.stream(Category.LINEAR, topic) is None
