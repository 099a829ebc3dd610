"""The public session: subscribe, resync the topic that broke, tell a quiet book from a dead one."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.corpus import trade_frame
from tests.unit.venues.bybit.public_world import MS, World, rest_of_the_market
from tickwright.book.control import BookVerb
from tickwright.core.events import BookState, CandleUpdate, LastPrice, Liquidation
from tickwright.core.identity import Category
from tickwright.net.session import Abort, Send
from tickwright.venues.port import TopOfBook
from tickwright.venues.public_port import MarketTopic, TopicChange

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "bybit"
PING = b'{"req_id":"ping","op":"ping"}'
THREE = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes().strip()


def keep_busy(world: World, seconds: float, *, every_ms: int = 20) -> None:
    """Let every market change all the time."""
    for number in range(int(seconds * 1000) // every_ms):
        for symbol in world.venue.markets:
            world.venue.change(symbol, world.now_ns, bid=10_000 + number % 5)
        world.pass_ms(every_ms, step_ms=every_ms)


# subscribing -------------------------------------------------------------------------------------


def test_session_when_connected_then_everything_is_subscribed_and_every_book_synced():
    world = World(THREE, has_trades=True)
    assert [] == world.session.poll(world.now_ns)
    assert not world.session.is_proven
    world.connect()
    assert all(world.book(slot).is_synced for slot in range(3))
    assert world.session.is_proven
    asked = [topic for topics in world.requests("subscribe") for topic in topics]
    wanted = [f"{name}.{symbol}" for symbol in THREE for name in ("orderbook.50", "publicTrade")]
    assert wanted == asked
    assert [0, 1, 2] == world.session.slots
    assert [(slot, BookState.EMPTY, BookState.SYNCED) for slot in range(3)] == world.host.states


def test_session_when_one_symbol_is_unknown_then_the_others_are_served_and_it_is_reported():
    world = World(THREE)
    world.venue.unknown = {"orderbook.50.ETHUSDT"}
    world.connect()
    assert [True, False, True] == [world.book(slot).is_synced for slot in range(3)]
    assert ["orderbook.50.ETHUSDT"] == list(world.host.refused)
    assert 1 == world.session.counts.refused_topics
    world.pass_ms(10_000)
    assert [] == world.aborts


def test_acks_when_lost_then_data_is_proof_enough():
    world = World(THREE)
    world.venue.has_no_acks = True
    world.connect()
    world.pass_ms(2_500)
    assert all(world.book(slot).is_synced for slot in range(3))
    books = [f"orderbook.50.{symbol}" for symbol in THREE]
    assert 1 == world.requests("subscribe").count(books)
    assert all([book] not in world.requests("subscribe") for book in books)


def test_topic_when_acked_three_times_without_data_then_the_connection_is_given_up():
    world = World(("BTCUSDT", "ETHUSDT"), has_companion=False)
    world.venue.silent = {"orderbook.50.BTCUSDT"}
    world.connect()

    def is_over() -> bool:
        world.venue.change("ETHUSDT", world.now_ns)
        return bool(world.aborts)

    took = world.wait_until(is_over, 15_000)
    assert "orderbook.50.BTCUSDT got no answer 3 times" == world.aborts[0][1]
    assert 8.8 <= took < 10.5
    assert 2 == len(world.requests("unsubscribe"))


def test_socket_when_it_acknowledges_and_sends_no_data_then_given_up_at_once():
    world = World(THREE)
    world.venue.has_no_snapshots = True
    world.connect()
    assert world.wait_until(lambda: bool(world.aborts), 15_000) < 3.2
    assert world.aborts[0][1].endswith("is late, and no topic has any data")


def test_topic_when_its_snapshot_is_lost_once_then_asked_again():
    world = World(("BTCUSDT", "ETHUSDT"))
    world.venue.silent = {"orderbook.50.BTCUSDT"}
    world.connect()
    world.venue.silent.clear()
    assert not world.book().is_synced

    def is_back() -> bool:
        world.venue.change("ETHUSDT", world.now_ns)
        return world.book().is_synced

    assert world.wait_until(is_back, 5_000) < 3.3
    assert [] == world.aborts


def test_unsubscription_when_never_acknowledged_then_resyncs_all_the_same():
    world = World()
    world.connect()
    world.venue.has_no_unsubscribe_acks = True
    world.venue.markets["BTCUSDT"].u += 5
    world.venue.change("BTCUSDT", world.now_ns)
    world.pass_ms(50)
    assert not world.book().is_synced
    assert world.wait_until(lambda: world.book().is_synced, 3_000) <= 1.1


def test_symbol_when_removed_then_its_topics_go_and_its_late_frames_count_as_unlisted():
    world = World(THREE, has_trades=True)
    world.connect()
    world.session.remove_symbol("ETHUSDT", world.now_ns)
    late = trade_frame(Category.LINEAR, [("Buy", "1", "1")], symbol="ETHUSDT")
    world.feed(late)
    world.venue.change("ETHUSDT", world.now_ns)
    world.pass_ms(100)
    assert [["orderbook.50.ETHUSDT", "publicTrade.ETHUSDT"]] == world.requests("unsubscribe")
    assert [0, 2] == world.session.slots
    assert 1 == world.session.counts.unlisted_frames
    assert [] == world.host.trades
    gone = [TopicChange(2, f"{name}.ETHUSDT", 1, False) for name in ("orderbook.50", "publicTrade")]
    assert gone == world.host.topics


# one topic breaks --------------------------------------------------------------------------------


def test_gap_when_seen_then_that_topic_alone_leaves_and_comes_back():
    world = World(THREE)
    world.connect()
    world.venue.markets["ETHUSDT"].u += 1
    before = [world.book(slot).snapshot_count for slot in range(3)]
    world.venue.change("ETHUSDT", world.now_ns)
    world.pass_ms(50)
    assert all(world.book(slot).is_synced for slot in range(3))
    assert [["orderbook.50.ETHUSDT"]] == world.requests("unsubscribe")
    assert ["orderbook.50.ETHUSDT"] == world.requests("subscribe")[-1]
    assert [0, 1, 0] == [world.book(slot).snapshot_count - before[slot] for slot in range(3)]
    assert 1 == world.session.counts.resyncs
    assert [
        (1, BookState.SYNCED, BookState.STALE),
        (1, BookState.RESYNCING, BookState.SYNCED),
    ] == world.host.states[-2:]
    assert [(1, BookVerb.RESYNCING, "")] == world.host.controls


def test_book_when_resyncing_then_deltas_of_the_old_subscription_change_nothing():
    world = World()
    world.connect()
    market = world.venue.markets["BTCUSDT"]
    held = world.book().bids()
    market.u += 1
    for bid in (9_990, 9_991, 9_992):
        world.venue.change("BTCUSDT", world.now_ns, bid=bid)
    world.venue.is_dead = True  # no answer to the unsubscription
    world._deliver()
    assert BookState.RESYNCING is world.book().state
    assert held == world.book().bids()
    assert 2 == world.book().ignored_count


@pytest.mark.parametrize(
    "spoil",
    [
        lambda frame: frame.replace(b'"seq":', b'"qes":'),
        lambda frame: frame.replace(b'[["100.50","1"]', b'[["' + b"1" * 30 + b'","1"]'),
        lambda frame: frame.replace(b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'),
        lambda frame: frame.replace(b'"u":', b'"u":-'),
        lambda frame: frame.replace(b'"1"]', b'"1",null]'),
        lambda frame: frame[: len(frame) // 2],
        lambda frame: frame.replace(b"100.50", b"\xff\xfe"),
    ],
    ids=[
        "missing key",
        "30 digits",
        "another symbol",
        "negative id",
        "a third element",
        "cut",
        "UTF-8",
    ],
)
def test_frame_when_its_topic_can_be_read_but_not_its_data_then_that_book_is_doubted_at_once(spoil):
    world = World(("BTCUSDT", "SOLUSDT"))
    world.connect()
    world.venue.change("BTCUSDT", world.now_ns, bid=10_050)
    world.venue.out = [spoil(frame) for frame in world.venue.out]
    world._deliver()
    assert BookState.RESYNCING is world.book().state
    assert ["a frame was unreadable"] == world.host.stale_reasons(0)
    assert 1 == world.session.counts.refused_frames
    assert world.session.counts.last_refusal
    world.pass_ms(50)
    assert world.book().is_synced
    assert 10_050 == world.book().best_bid
    assert [] == world.host.stale_reasons(1)


@pytest.mark.parametrize(
    "frame",
    [b"<html>502</html>", b"", b"{", b"\xff\xfe", b'{"topic":5}', b"[]", b"null", b"1e999"],
)
def test_frame_when_nothing_of_it_can_be_read_then_counted_and_the_gap_is_seen_next(frame: bytes):
    world = World()
    world.connect()
    world.venue.change("BTCUSDT", world.now_ns)
    world.venue.out = [frame]
    world.pass_ms(50)
    # An empty message says nothing at all; the others are counted.
    assert (1 if frame else 0) == world.session.counts.refused_frames
    assert world.book().is_synced
    world.venue.change("BTCUSDT", world.now_ns, bid=10_050)
    world.pass_ms(50)
    assert (1, True, 10_050) == (
        world.session.counts.resyncs,
        world.book().is_synced,
        world.book().best_bid,
    )


def test_number_when_it_does_not_fit_the_instrument_then_the_instrument_is_doubted_too():
    world = World()
    world.connect()
    world.venue.change("BTCUSDT", world.now_ns, bid=10_050)
    world.venue.out = [frame.replace(b'"100.50"', b'"100.505"') for frame in world.venue.out]
    world._deliver()
    assert ["BTCUSDT"] == world.host.doubts
    assert BookState.RESYNCING is world.book().state


def test_frames_when_written_in_another_hand_then_go_the_slow_way_to_the_same_book():
    world = World(has_trades=True)
    world.connect()
    for bid in (10_050, 10_040):
        world.venue.change("BTCUSDT", world.now_ns, bid=bid)
    world.venue.out = [frame.replace(b",", b", ") for frame in world.venue.out]
    world.pass_ms(50)
    assert (True, 10_040, 102) == (
        world.book().is_synced,
        world.book().best_bid,
        world.book().update_id,
    )
    world.feed(trade_frame(Category.LINEAR, [("Buy", "1", "1")]).replace(b":[", b": ["))
    assert [100] == [trade.price_units for trade in world.host.trades]
    assert 0 == world.session.counts.refused_frames


def test_venue_when_it_complains_of_something_unknown_then_counted_with_its_words():
    world = World()
    world.connect()
    world.feed(b'{"success":false,"ret_msg":"error:invalid op","conn_id":"c","op":"x"}')
    assert 1 == world.session.counts.refused_frames
    assert "error:invalid op" in world.session.counts.last_refusal


def test_market_frames_when_they_come_then_reach_the_host_typed():
    world = World()
    instrument = world.host.instruments["BTCUSDT"]
    for topic in MarketTopic:
        world.session.add_market(instrument, 0, topic, "5")
    world.connect()
    asked = [topic for topics in world.requests("subscribe") for topic in topics]
    assert {"tickers.BTCUSDT", "kline.5.BTCUSDT", "allLiquidation.BTCUSDT"} <= set(asked)
    world.feed(
        b'{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT",'
        b'"lastPrice":"100.25"},"cs":1,"ts":1769000000000}'
    )
    world.feed(sample("ws-kline"))
    world.feed(
        sample("ws-all-liquidation").replace(b"ROSEUSDT", b"BTCUSDT").replace(b"0.04499", b"4.5")
    )
    kinds = [type(event) for event in world.host.market]
    assert LastPrice in kinds
    assert {CandleUpdate, Liquidation} <= set(kinds) | {Liquidation}


# the connection ----------------------------------------------------------------------------------


def test_connection_when_lost_then_every_book_is_stale_at_once_and_all_come_back():
    world = World(THREE)
    world.connect()
    world.disconnect("reset by peer")
    assert {BookState.STALE} == {world.book(slot).state for slot in range(3)}
    assert ["connection lost: reset by peer"] == world.host.stale_reasons(2)
    assert [] == world.session.poll(world.now_ns)
    assert not world.session.is_proven
    world.venue.markets["SOLUSDT"].u = 7
    world.venue.requests.clear()
    world.connect()
    assert all(world.book(slot).is_synced for slot in range(3))
    assert 7 == world.book(2).update_id
    assert [[f"orderbook.50.{symbol}" for symbol in THREE]] == world.requests("subscribe")


def test_socket_when_dead_then_pinged_and_dropped_within_three_seconds():
    world = World()
    world.connect()
    world.venue.is_dead = True
    heard_ns = world.session.scanner.last_frame_ns
    world.wait_until(lambda: bool(world.aborts), 5_000)
    at_ns, reason = world.aborts[0]
    assert at_ns - heard_ns < 3_000 * MS
    assert "pings unanswered" in reason
    assert 2 <= sum(each["op"] == "ping" for each in world.venue.requests)


def test_socket_when_it_never_says_a_word_then_dropped_within_three_seconds():
    world = World()
    world.venue.is_dead = True
    world.connect()
    assert world.wait_until(lambda: bool(world.aborts), 5_000) < 3.0
    assert not world.session.is_proven


def test_poll_when_it_gives_up_then_answers_with_the_abort_alone():
    world = World()
    world.venue.is_dead = True
    world.session.on_connected(world.now_ns)
    actions = world.session.poll(world.now_ns + 2_300 * MS)
    assert [Abort] == [type(action) for action in actions]


@pytest.mark.parametrize(
    "pong", ["ws-pong-linear", "ws-pong-spot", "ws-pong-option", "ws-pong-private"]
)
def test_pongs_when_the_socket_is_otherwise_silent_then_keep_it_whatever_their_shape(pong: str):
    world = World((), has_companion=False)
    world.venue.pong = sample(pong)
    world.connect()
    world.pass_ms(60_000)
    assert [] == world.aborts
    assert 60 < world.session.counts.pongs < 80


def test_socket_when_busy_then_pinged_every_twenty_seconds():
    world = World()
    world.connect()
    begun = len(world.venue.requests)
    keep_busy(world, 61)
    pings = [each for each in world.venue.requests[begun:] if each["op"] == "ping"]
    assert 3 == len(pings)
    assert Send(PING) == Send(b'{"req_id":"ping","op":"ping"}')


# silence -----------------------------------------------------------------------------------------


Rest = Callable[[World, str], TopOfBook | None]


def other_top(world: World, symbol: str) -> TopOfBook:
    top = rest_of_the_market(world, symbol)
    return TopOfBook(
        symbol=symbol,
        bid_price_units=top.bid_price_units + 1,
        bid_size_units=1_000,
        ask_price_units=top.ask_price_units,
        ask_size_units=1_000,
        update_id=1,
        sequence=1,
        venue_ns=world.now_ns,
    )


@pytest.mark.parametrize("rest", [None, other_top], ids=["no REST", "REST sees another top"])
def test_busy_topic_when_silenced_among_others_then_noticed_within_two_seconds(rest: Rest | None):
    world = World(("BTCUSDT", "ETHUSDT"), rest=rest)
    world.connect()
    keep_busy(world, 12)
    assert (0, 0) == (world.session.counts.suspicions, world.session.counts.alarms)
    world.venue.silent = {"orderbook.50.BTCUSDT"}
    silenced_ns = world.book().proof_ns
    for number in range(200):
        world.venue.change("BTCUSDT", world.now_ns, bid=9_000 + number % 7)
        world.venue.change("ETHUSDT", world.now_ns, bid=9_000 + number % 7)
        world.pass_ms(20, step_ms=20)
        if not world.book().is_synced:
            break
    assert (world.now_ns - silenced_ns) / 1e9 < 2.0
    assert 1 == world.session.counts.alarms
    assert world.book(1).is_synced
    assert ["orderbook.50.BTCUSDT"] == world.requests("unsubscribe")[-1]
    world.venue.silent.clear()
    assert world.wait_until(lambda: world.book().is_synced, 4_000) < 4.0
    assert world.venue.markets["BTCUSDT"].bid == world.book().best_bid


def test_busy_topic_when_its_market_pauses_then_rest_proves_it_and_nothing_alarms():
    world = World(rest=rest_of_the_market)
    world.connect()
    keep_busy(world, 12)
    world.pass_ms(60_000)
    assert world.session.counts.suspicions > 0
    assert (0, 0) == (world.session.counts.alarms, world.session.counts.resyncs)
    assert world.book().is_synced
    age_ns = world.book().age_ns(world.now_ns)
    assert age_ns is not None
    assert age_ns < 2_000 * MS


def test_quiet_topic_when_silent_then_its_companion_joins_and_proves_it():
    world = World()
    world.connect()
    world.pass_ms(1_200)
    assert ["orderbook.1.BTCUSDT"] == world.requests("subscribe")[-1]
    assert [TopicChange(2, "orderbook.1.BTCUSDT", 0, True)] == world.host.topics
    for _ in range(600):
        world.pass_ms(100)
        age_ns = world.book().age_ns(world.now_ns)
        assert age_ns is not None
        assert age_ns < 3_200 * MS
    assert (0, 100) == (world.session.counts.alarms, world.book().update_id)


def test_quiet_topic_when_dead_then_its_companion_betrays_it_within_two_seconds():
    world = World()
    world.connect()
    world.pass_ms(8_000)
    world.venue.silent = {"orderbook.50.BTCUSDT"}
    world.venue.change("BTCUSDT", world.now_ns, bid=9_500)
    took = world.wait_until(lambda: not world.book().is_synced, 5_000)
    assert took < 2.0
    assert ["its level-1 topic shows another top"] == world.host.stale_reasons(0)


def test_quiet_topic_when_both_topics_fall_silent_and_rest_fails_then_noticed_within_five_seconds():
    world = World(("BTCUSDT", "ETHUSDT"))
    world.connect()
    world.pass_ms(8_000)
    world.venue.silent = {"orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"}
    proven_ns = world.book().proof_ns
    world.wait_until(lambda: not world.book().is_synced, 8_000)
    assert (world.now_ns - proven_ns) / 1e9 <= 5.0
    assert world.book(1).is_synced
    assert 1 == world.session.counts.alarms


def test_quiet_topic_when_rest_sees_another_top_then_noticed_before_the_deadline():
    world = World(rest=other_top, has_companion=False)
    world.connect()
    took = world.wait_until(lambda: bool(world.host.stale_reasons(0)), 8_000)
    assert took < 3.0
    assert ["REST shows another top"] == world.host.stale_reasons(0)


def test_rest_when_it_is_ahead_of_the_socket_then_no_alarm():
    """The market moves while REST is asked: its answer comes first, the delta a moment later."""

    def ahead(world: World, symbol: str) -> TopOfBook:
        world.venue.markets[symbol].bid = 9_950
        return rest_of_the_market(world, symbol)

    world = World(rest=ahead, has_companion=False)
    world.connect()
    world.wait_until(lambda: world.checks == 1, 5_000)
    world.wait_until(lambda: not world._answers, 1_000)
    assert world.book().is_synced
    market = world.venue.markets["BTCUSDT"]
    market.bid = 10_000
    world.venue.change("BTCUSDT", world.now_ns, bid=9_950)
    world.pass_ms(1_000)
    assert (0, 9_950) == (world.session.counts.alarms, world.book().best_bid)


def test_companion_when_refused_then_rest_alone_proves_quiet_books():
    world = World(rest=rest_of_the_market)
    world.venue.unknown = {"orderbook.1.BTCUSDT"}
    world.connect()
    world.pass_ms(30_000)
    assert 1 == world.requests("subscribe").count(["orderbook.1.BTCUSDT"])
    assert [True, False] == [change.is_added for change in world.host.topics]
    assert {} == world.host.refused
    assert (0, True) == (world.session.counts.alarms, world.book().is_synced)
    assert world.checks > 5


def test_companions_when_a_connection_is_lost_then_begin_anew():
    world = World()
    world.connect()
    world.pass_ms(2_000)
    world.disconnect()
    assert [True, False] == [change.is_added for change in world.host.topics]
    world.connect()
    assert ["orderbook.50.BTCUSDT"] == world.requests("subscribe")[-1]
    world.pass_ms(2_000)
    assert ["orderbook.1.BTCUSDT"] == world.requests("subscribe")[-1]
    assert world.book().is_synced


def test_level_one_books_when_kept_themselves_then_have_no_companion():
    world = World((), depth=1, rest=rest_of_the_market)
    world.add("BTCUSDT", 0)
    world.connect()
    world.pass_ms(30_000)
    assert [["orderbook.1.BTCUSDT"]] == world.requests("subscribe")
    assert (0, True) == (world.session.counts.alarms, world.book().is_synced)


@pytest.mark.parametrize("rest", [None, rest_of_the_market], ids=["no REST", "with REST"])
def test_silence_when_a_whole_day_is_quiet_then_no_false_alarm(rest: Rest | None):
    """24 hours of one slow market: bursts, minutes without a change, an hour of nothing."""
    world = World(rest=rest)
    world.connect()
    chance = Random(20260101)
    day_ns = world.now_ns + 86_400 * 1_000 * MS
    next_ns = world.now_ns
    changes = 0
    while world.now_ns < day_ns:
        if world.now_ns >= next_ns:
            changes += 1
            bid = chance.choice([None, 9_990 + chance.randrange(20)])
            world.venue.change("BTCUSDT", world.now_ns, bid=bid)
            pause_s = chance.choice([0.05, 0.2, 1, 3, 4, 10, 60, 300])
            if changes % 500 == 0:
                pause_s = 3_600
            next_ns = world.now_ns + int(chance.expovariate(1 / pause_s) * 1e9)
        world.now_ns += 200 * MS
        world.step()
    assert changes > 1_000
    assert (0, 0) == (world.session.counts.alarms, world.session.counts.resyncs)
    assert ([], True) == (world.aborts, world.book().is_synced)
    assert [] == world.host.stale_reasons(0)
    market = world.venue.markets["BTCUSDT"]
    assert (market.bid, market.u) == (world.book().best_bid, world.book().update_id)
