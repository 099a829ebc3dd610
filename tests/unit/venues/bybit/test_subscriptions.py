"""What one socket asks for, in which pieces, and what it makes of each answer or of none."""

import json
from typing import Any

import pytest

from tests.oracle.instruments import make_instrument
from tickwright.book.order_book import OrderBook
from tickwright.net.session import Send
from tickwright.venues.bybit.control import classify
from tickwright.venues.bybit.subscriptions import (
    ACK_TIMEOUT_NS,
    ARGS_CHARACTERS_MAX,
    FIRST_DATA_NS,
    LEAVE_TIMEOUT_NS,
    REQUESTS_PER_POLL_MAX,
    RESYNC_PAUSE_NS,
    RESYNCS_FAST_MAX,
    Phase,
    Subscription,
    Subscriptions,
    TopicKind,
)

S = 1_000_000_000


def book_topic(number: int) -> Subscription:
    symbol = f"S{number}USDT"
    book = OrderBook(make_instrument(symbol), capacity=5)
    return Subscription(f"orderbook.50.{symbol}", TopicKind.BOOK, symbol, number, book)


def trade_topic(number: int = 0) -> Subscription:
    symbol = f"S{number}USDT"
    return Subscription(f"publicTrade.{symbol}", TopicKind.TRADES, symbol, number, None)


def make(*subscriptions: Subscription) -> Subscriptions:
    made = Subscriptions()
    for subscription in subscriptions:
        made.add(subscription)
    return made


def read(sends: list[Send]) -> list[dict[str, Any]]:
    return [json.loads(send.message) for send in sends]


def topics(sends: list[Send]) -> list[list[str]]:
    return [request["args"] for request in read(sends)]


def answer(
    made: Subscriptions, request: dict[str, Any], now_ns: int, text: str = "", **extra: object
) -> list[Subscription]:
    frame = {
        "success": not text,
        "ret_msg": text,
        "conn_id": "c",
        "req_id": request["req_id"],
        "op": request["op"],
        **extra,
    }
    return made.on_answer(classify(json.dumps(frame).encode()), now_ns)


def sync(subscription: Subscription) -> None:
    assert subscription.book is not None
    subscription.book.apply_snapshot([(1, 1)], [(2, 1)], update_id=1, received_ns=1)


# pieces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "pieces"), [(1, [1]), (10, [10]), (25, [10, 10, 5])])
def test_topics_when_many_then_go_in_pieces_of_ten(count: int, pieces: list[int]):
    made = make(*map(book_topic, range(count)))
    requests = read(made.requests(1))
    assert pieces == [len(request["args"]) for request in requests]
    assert {"subscribe"} == {request["op"] for request in requests}
    assert len({request["req_id"] for request in requests}) == len(requests)
    asked = [topic for request in requests for topic in request["args"]]
    assert list(made.by_topic) == asked
    assert [] == made.requests(2)


def test_topics_when_hundreds_then_no_poll_sends_more_than_its_share():
    made = make(*map(book_topic, range(400)))
    rounds = []
    while sends := made.requests(1):
        rounds.append(len(sends))
    assert 40 == sum(rounds)
    assert max(rounds) <= REQUESTS_PER_POLL_MAX


def test_topics_when_wanted_twice_or_too_many_for_a_socket_then_refused():
    made = make(book_topic(0))
    with pytest.raises(ValueError, match="subscribed already"):
        made.add(book_topic(0))
    number = 0
    while made.characters + 40 <= ARGS_CHARACTERS_MAX:
        number += 1
        made.add(book_topic(number))
    made.add(book_topic(number + 1))
    with pytest.raises(ValueError, match="at most 21000 characters"):
        made.add(book_topic(number + 2))
    assert ARGS_CHARACTERS_MAX - 50 < made.characters <= ARGS_CHARACTERS_MAX
    written = json.dumps(list(made.by_topic), separators=(",", ":"))
    assert len(written) <= ARGS_CHARACTERS_MAX + 2


# answers -----------------------------------------------------------------------------------------


def test_ack_when_it_comes_then_books_wait_for_data_and_trades_live():
    book, trades = book_topic(0), trade_topic()
    made = make(book, trades)
    answer(made, read(made.requests(0))[0], 1 * S)
    assert (Phase.ACKED, Phase.LIVE) == (book.phase, trades.phase)
    made.on_data(book)
    assert Phase.LIVE is book.phase


def test_data_when_it_comes_before_the_ack_then_is_as_good():
    book = book_topic(0)
    made = make(book)
    request = read(made.requests(0))[0]
    made.on_data(book)
    assert [] == made.expire(60 * S)
    answer(made, request, 1 * S)
    assert Phase.LIVE is book.phase


def test_refusal_when_several_were_asked_then_each_goes_alone_and_only_the_wrong_one_is_lost():
    made = make(*map(book_topic, range(3)))
    wrong = "orderbook.50.S1USDT"
    text = f"error:handler not found,topic:{wrong}"
    assert [] == answer(made, read(made.requests(0))[0], 1, text)
    singles = read(made.requests(2))
    assert [[topic] for topic in made.by_topic] == [request["args"] for request in singles]
    lost = [
        each
        for request in singles
        for each in answer(made, request, 3, text if request["args"] == [wrong] else "")
    ]
    assert [wrong] == [each.topic for each in lost]
    assert (Phase.REFUSED, text) == (lost[0].phase, lost[0].refusal)
    assert [] == made.requests(60 * S)
    assert Phase.ACKED is made.by_topic["orderbook.50.S2USDT"].phase


def test_too_many_args_when_the_venue_says_so_then_topics_go_alone():
    made = make(*map(book_topic, range(4)))
    answer(made, read(made.requests(0))[0], 1, "args size >10")
    assert [1, 1, 1, 1] == [len(each) for each in topics(made.requests(2))]


def test_already_subscribed_when_the_book_has_no_snapshot_then_leaves_and_comes_back():
    book = book_topic(0)
    made = make(book)
    answer(made, read(made.requests(0))[0], 1, f"error:already subscribed,topic:{book.topic}")
    assert Phase.LEAVING is book.phase
    leave = read(made.requests(2))[0]
    assert ("unsubscribe", [book.topic]) == (leave["op"], leave["args"])
    assert [] == made.requests(3)
    answer(made, leave, 4)
    assert [[book.topic]] == topics(made.requests(5))


@pytest.mark.parametrize("kind", ["book", "trades"])
def test_already_subscribed_when_nothing_is_missing_then_stays(kind: str):
    subscription = book_topic(0) if kind == "book" else trade_topic()
    if kind == "book":
        sync(subscription)
    made = make(subscription)
    answer(made, read(made.requests(0))[0], 1, "error:already subscribed,topic:x")
    assert Phase.LIVE is subscription.phase
    assert [] == made.requests(60 * S)


def test_answers_when_unknown_or_twice_then_change_nothing():
    book = book_topic(0)
    made = make(book)
    request = read(made.requests(0))[0]
    assert [] == answer(made, {"req_id": "t99", "op": "subscribe"}, 1)
    assert "sent" == book.phase.value
    answer(made, request, 1)
    made.on_data(book)
    assert [] == answer(made, request, 2, "error:handler not found,topic:x")
    assert Phase.LIVE is book.phase


def test_answer_without_an_id_when_one_request_is_under_way_then_is_its():
    book = book_topic(0)
    made = make(book)
    made.requests(0)
    frame = b'{"success":true,"conn_id":"c","data":{"failTopics":[],"successTopics":["x"]},'
    made.on_answer(classify(frame + b'"type":"COMMAND_RESP"}'), 1)
    assert Phase.ACKED is book.phase


def test_answer_when_it_names_the_failed_topics_then_only_those_go_alone():
    made = make(*map(book_topic, range(2)))
    made.requests(0)
    frame = (
        b'{"success":true,"conn_id":"c","data":{"failTopics":["orderbook.50.S0USDT"],'
        b'"successTopics":["orderbook.50.S1USDT"]},"type":"COMMAND_RESP"}'
    )
    made.on_answer(classify(frame), 1)
    assert [Phase.WANTED, Phase.ACKED] == [each.phase for each in made.by_topic.values()]
    assert [["orderbook.50.S0USDT"]] == topics(made.requests(2))


# no answers --------------------------------------------------------------------------------------


def test_ack_when_lost_then_asked_again_alone_after_three_seconds():
    made = make(*map(book_topic, range(2)))
    made.requests(0)
    assert [] == made.expire(ACK_TIMEOUT_NS - 1)
    late = made.expire(ACK_TIMEOUT_NS)
    assert [1, 1] == [each.timeouts for each in late]
    assert [[topic] for topic in made.by_topic] == topics(made.requests(ACK_TIMEOUT_NS))


def test_first_data_when_it_stays_away_after_the_ack_then_leaves_and_comes_back():
    book = book_topic(0)
    made = make(book)
    answer(made, read(made.requests(0))[0], 1 * S)
    assert [] == made.expire(1 * S + FIRST_DATA_NS - 1)
    assert [book] == made.expire(1 * S + FIRST_DATA_NS)
    leave = read(made.requests(5 * S))[0]
    assert "unsubscribe" == leave["op"]
    answer(made, leave, 5 * S)
    assert [[book.topic]] == topics(made.requests(5 * S))
    assert 1 == book.timeouts
    made.on_data(book)
    assert 0 == book.timeouts


def test_answer_to_leaving_when_lost_then_comes_back_after_a_second():
    book = book_topic(0)
    made = make(book)
    answer(made, read(made.requests(0))[0], 1)
    made.on_data(book)
    made.resync(book, 1 * S)
    made.requests(1 * S)
    assert [] == made.expire(1 * S + LEAVE_TIMEOUT_NS - 1)
    assert [] == made.requests(1 * S + LEAVE_TIMEOUT_NS - 1)
    assert [] == made.expire(1 * S + LEAVE_TIMEOUT_NS)
    assert [[book.topic]] == topics(made.requests(1 * S + LEAVE_TIMEOUT_NS))


def test_leaving_when_refused_then_subscribes_all_the_same():
    book = book_topic(0)
    made = make(book)
    answer(made, read(made.requests(0))[0], 1)
    made.on_data(book)
    made.resync(book, 2)
    answer(made, read(made.requests(2))[0], 3, "error:not subscribed")
    assert [[book.topic]] == topics(made.requests(4))


# resync and leaving ------------------------------------------------------------------------------


def live(subscription: Subscription) -> Subscriptions:
    made = make(subscription)
    answer(made, read(made.requests(0))[0], 0)
    made.on_data(subscription)
    return made


def resynced(made: Subscriptions, book: Subscription, now_ns: int) -> bool:
    """Go through one resync; returns whether it began at once."""
    made.resync(book, now_ns)
    sends = read(made.requests(now_ns))
    if not sends:
        return False
    answer(made, sends[0], now_ns)
    answer(made, read(made.requests(now_ns))[0], now_ns)
    made.on_data(book)
    return True


def test_resync_when_it_follows_itself_then_is_paced():
    book = book_topic(0)
    made = live(book)
    for _ in range(RESYNCS_FAST_MAX):
        assert resynced(made, book, 1 * S)
    assert not resynced(made, book, 1 * S)
    assert [] == made.requests(1 * S + RESYNC_PAUSE_NS - 1)
    assert [[book.topic]] == topics(made.requests(1 * S + RESYNC_PAUSE_NS))


def test_resync_when_the_last_is_long_ago_then_begins_at_once_again():
    book = book_topic(0)
    made = live(book)
    for number in range(4 * RESYNCS_FAST_MAX):
        assert resynced(made, book, (1 + 11 * number) * S)


@pytest.mark.parametrize("phase", [Phase.WANTED, Phase.SENT, Phase.LEAVING])
def test_resync_when_a_snapshot_is_coming_anyway_then_asks_for_nothing_more(phase: Phase):
    book = book_topic(0)
    made = live(book)
    book.phase = phase
    made.resync(book, 1 * S)
    assert phase is book.phase
    assert 0 == book.resync_count


def test_topic_when_wanted_no_more_then_is_unsubscribed_and_its_late_answer_is_nothing():
    book, other = book_topic(0), book_topic(1)
    made = make(book, other)
    request = read(made.requests(0))[0]
    made.drop(book.topic)
    leave = read(made.requests(1))
    assert [("unsubscribe", [book.topic])] == [(each["op"], each["args"]) for each in leave]
    answer(made, request, 2)
    answer(made, leave[0], 2)
    assert [other.topic] == list(made.by_topic)
    assert Phase.ACKED is other.phase
    assert made.drop("never.there") is None


def test_topic_when_it_was_never_asked_for_then_is_dropped_in_silence():
    book = book_topic(0)
    made = make(book)
    made.drop(book.topic)
    assert [] == made.requests(1)


def test_topic_when_dropped_and_wanted_again_then_leaves_first():
    made = live(book_topic(0))
    made.drop("orderbook.50.S0USDT")
    made.add(book_topic(0))
    assert ["unsubscribe", "subscribe"] == [each["op"] for each in read(made.requests(1))]


def test_connection_when_it_is_new_then_everything_wanted_is_asked_again_and_the_past_forgotten():
    made = live(book_topic(0))
    made.add(trade_topic())
    made.drop("publicTrade.S0USDT")
    book = made.by_topic["orderbook.50.S0USDT"]
    book.timeouts, book.must_go_alone = 2, True
    made.reset()
    assert (0, False, Phase.WANTED) == (book.timeouts, book.must_go_alone, book.phase)
    assert [["orderbook.50.S0USDT"]] == topics(made.requests(5))


def test_requests_when_never_answered_for_an_hour_then_are_forgotten_in_time():
    made = make(*map(book_topic, range(60)))
    now_ns = 0
    for _ in range(1_200):
        now_ns += 3 * S
        made.expire(now_ns)
        made.requests(now_ns)
    assert len(made._requests) < 4 * REQUESTS_PER_POLL_MAX + 4 * 60
