"""Owns which topics one public socket carries and what became of each request.

Refuses to send anything.

Pure bookkeeping by the facts of the Bybit V5 documentation and of published probes: a refused
request refuses all its topics, a repeated topic is refused and brings no snapshot, an
acknowledgement names only its `req_id`. Hence chunks of at most 10 topics, single requests after a
refusal, unsubscribe before a resync.
"""

import enum
from collections.abc import Iterable

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.net.session import Send
from tickwright.venues.bybit.control import Classified

__all__ = [
    "ARGS_CHARACTERS_MAX",
    "ARGS_PER_REQUEST_MAX",
    "Phase",
    "Subscription",
    "Subscriptions",
    "TopicKind",
]

ARGS_PER_REQUEST_MAX = 10
"""Bybit's limit for spot; kept for all categories, since a refusal costs the whole request."""
ARGS_CHARACTERS_MAX = 21_000
"""Length of all topics of one public connection."""
ACK_TIMEOUT_NS = 3_000_000_000
LEAVE_TIMEOUT_NS = 1_000_000_000
FIRST_DATA_NS = 3_000_000_000
RESYNCS_FAST_MAX = 5
"""Resyncs of one topic that follow each other at once; later ones wait `RESYNC_PAUSE_NS`."""
RESYNC_CALM_NS = 10_000_000_000
RESYNC_PAUSE_NS = 1_000_000_000
REQUESTS_PER_POLL_MAX = 30


class TopicKind(enum.Enum):
    """What a topic carries."""

    BOOK = "book"
    COMPANION = "companion"
    TRADES = "trades"
    TICKER = "ticker"
    CANDLE = "candle"
    LIQUIDATION = "liquidation"

    @property
    def starts_with_data(self) -> bool:
        """Whether the venue sends a snapshot at once, so that silence after the ack is a fault."""
        return self in (TopicKind.BOOK, TopicKind.COMPANION)


class Phase(enum.Enum):
    """How far a subscription got on the current connection."""

    WANTED = "wanted"
    SENT = "sent"
    ACKED = "acked"
    LIVE = "live"
    LEAVING = "leaving"
    REFUSED = "refused"


class Subscription:
    """One topic we want, and its state on the current connection."""

    __slots__ = (
        "book",
        "deadline_ns",
        "frames_before",
        "kind",
        "must_go_alone",
        "not_before_ns",
        "phase",
        "refusal",
        "resync_count",
        "resynced_ns",
        "slot",
        "symbol",
        "timeouts",
        "topic",
    )

    def __init__(
        self, topic: str, kind: TopicKind, symbol: str, slot: int, book: OrderBook | None
    ) -> None:
        self.topic = topic
        self.kind = kind
        self.symbol = symbol
        self.slot = slot
        self.book = book
        self.resync_count = 0
        self.resynced_ns = 0
        self.reset()

    def reset(self) -> None:
        """Start over: the connection is a new one."""
        self.phase = Phase.WANTED
        self.deadline_ns = 0
        self.not_before_ns = 0
        self.frames_before = 0
        self.must_go_alone = False
        self.timeouts = 0
        self.refusal = ""

    def __repr__(self) -> str:
        return f"Subscription({self.topic} {self.phase.value})"


class _Request:
    __slots__ = ("is_subscribe", "sent_ns", "topics")

    def __init__(self, topics: list[Subscription], *, is_subscribe: bool, sent_ns: int) -> None:
        self.topics = topics
        self.is_subscribe = is_subscribe
        self.sent_ns = sent_ns


class Subscriptions:
    """The wanted topics of one socket and the requests under way."""

    def __init__(self) -> None:
        self.by_topic: dict[str, Subscription] = {}
        self._requests: dict[str, _Request] = {}
        self._number = 0
        self._leaving_for_good: list[str] = []
        self.is_calm = True
        """Whether nothing is to be sent or waited for: every topic is live or refused."""

    def add(self, subscription: Subscription) -> None:
        """Want a topic.

        Raises:
            ValueError: it is wanted already, or the socket's topics would exceed Bybit's limit.
        """
        if subscription.topic in self.by_topic:
            raise ValueError(f"{subscription.topic} is subscribed already")
        if self.characters + len(subscription.topic) + 3 > ARGS_CHARACTERS_MAX:
            raise ValueError(
                f"one connection carries at most {ARGS_CHARACTERS_MAX} characters of topics"
            )
        self.by_topic[subscription.topic] = subscription
        self.is_calm = False

    @property
    def characters(self) -> int:
        """Length of all wanted topics as they stand in a request."""
        return sum(len(topic) + 3 for topic in self.by_topic)

    def drop(self, topic: str) -> Subscription | None:
        """Want a topic no more; the unsubscription goes out with the next requests."""
        subscription = self.by_topic.pop(topic, None)
        if subscription and subscription.phase not in (Phase.WANTED, Phase.REFUSED):
            self._leaving_for_good.append(topic)
            self.is_calm = False
        return subscription

    def reset(self) -> None:
        """Forget all requests: the connection is gone. What is wanted stays wanted."""
        self._requests.clear()
        self._leaving_for_good.clear()
        self.is_calm = False
        for subscription in self.by_topic.values():
            subscription.reset()

    def resync(self, subscription: Subscription, now_ns: int) -> None:
        """Ask for the topic's snapshot again: unsubscribe, wait for the answer, subscribe."""
        if subscription.phase in (Phase.WANTED, Phase.LEAVING, Phase.SENT):
            return
        if now_ns - subscription.resynced_ns > RESYNC_CALM_NS:
            subscription.resync_count = 0
        subscription.resync_count += 1
        subscription.resynced_ns = now_ns
        subscription.phase = Phase.LEAVING
        subscription.deadline_ns = 0
        self.is_calm = False
        too_often = subscription.resync_count > RESYNCS_FAST_MAX
        subscription.not_before_ns = now_ns + RESYNC_PAUSE_NS if too_often else now_ns

    # requests -------------------------------------------------------------------------------------

    def requests(self, now_ns: int) -> list[Send]:
        """Return what must be sent now, at most `REQUESTS_PER_POLL_MAX` requests."""
        sends: list[Send] = []
        while self._leaving_for_good and len(sends) < REQUESTS_PER_POLL_MAX:
            leaving = self._leaving_for_good[:ARGS_PER_REQUEST_MAX]
            del self._leaving_for_good[:ARGS_PER_REQUEST_MAX]
            sends.append(self._send("unsubscribe", leaving))
        wanted: list[Subscription] = []
        for subscription in self.by_topic.values():
            if subscription.phase is Phase.WANTED and now_ns >= subscription.not_before_ns:
                wanted.append(subscription)
            elif (
                subscription.phase is Phase.LEAVING
                and subscription.deadline_ns == 0
                and now_ns >= subscription.not_before_ns
                and len(sends) < REQUESTS_PER_POLL_MAX
            ):
                sends.append(self._leave(subscription, now_ns))
        alone = [s for s in wanted if s.must_go_alone]
        together = [s for s in wanted if not s.must_go_alone]
        chunks = [[s] for s in alone]
        chunks += [
            together[i : i + ARGS_PER_REQUEST_MAX]
            for i in range(0, len(together), ARGS_PER_REQUEST_MAX)
        ]
        for chunk in chunks[: max(0, REQUESTS_PER_POLL_MAX - len(sends))]:
            sends.append(self._enter(chunk, now_ns))
        self.is_calm = not self._leaving_for_good and all(
            each.phase in (Phase.LIVE, Phase.REFUSED) and not each.deadline_ns
            for each in self.by_topic.values()
        )
        return sends

    def _enter(self, chunk: list[Subscription], now_ns: int) -> Send:
        send = self._send("subscribe", [s.topic for s in chunk])
        self._requests[f"t{self._number}"] = _Request(chunk, is_subscribe=True, sent_ns=now_ns)
        for subscription in chunk:
            subscription.phase = Phase.SENT
            subscription.deadline_ns = now_ns + ACK_TIMEOUT_NS
        return send

    def _leave(self, subscription: Subscription, now_ns: int) -> Send:
        send = self._send("unsubscribe", [subscription.topic])
        self._requests[f"t{self._number}"] = _Request(
            [subscription], is_subscribe=False, sent_ns=now_ns
        )
        subscription.deadline_ns = now_ns + LEAVE_TIMEOUT_NS
        return send

    def _send(self, op: str, topics: Iterable[str]) -> Send:
        self._number += 1
        message = {"req_id": f"t{self._number}", "op": op, "args": list(topics)}
        return Send(msgspec.json.encode(message))

    # answers --------------------------------------------------------------------------------------

    def on_answer(self, answer: Classified, now_ns: int) -> list[Subscription]:
        """Take the venue's answer to a request; returns the topics that were refused for good."""
        self.is_calm = False
        request = self._requests.pop(answer.request_id, None)
        if request is None and not answer.request_id and len(self._requests) == 1:
            # Some sockets answer without an id: with one request under way there is no doubt.
            request = self._requests.pop(next(iter(self._requests)))
        if request is None:
            return []
        if not request.is_subscribe:
            for subscription in request.topics:
                if subscription.phase is Phase.LEAVING:
                    # A refusal to leave means that we weren't subscribed: subscribing is right as
                    # well.
                    subscription.phase = Phase.WANTED
            return []
        mine = [s for s in request.topics if s.phase is Phase.SENT]
        if answer.is_success:
            for subscription in mine:
                if subscription.topic in answer.topics_refused:
                    continue
                waits = subscription.kind.starts_with_data
                subscription.phase = Phase.ACKED if waits else Phase.LIVE
                subscription.deadline_ns = now_ns + FIRST_DATA_NS
            mine = [s for s in mine if s.topic in answer.topics_refused]
        return self._refused(mine, len(request.topics), answer.text)

    def _refused(self, mine: list[Subscription], asked: int, text: str) -> list[Subscription]:
        lost = []
        for subscription in mine:
            if asked > 1:
                subscription.phase = Phase.WANTED
                subscription.must_go_alone = True
            elif "already subscribed" in text:
                # Its data may flow, but a book without its snapshot is worth nothing: leave and
                # come back.
                book = subscription.book
                is_good = book is None or book.is_synced
                subscription.phase = Phase.LIVE if is_good else Phase.LEAVING
                subscription.deadline_ns = 0
            else:
                subscription.phase = Phase.REFUSED
                subscription.refusal = text
                lost.append(subscription)
        return lost

    def on_data(self, subscription: Subscription) -> None:
        """Note that data came: better than any acknowledgement."""
        if subscription.phase in (Phase.SENT, Phase.ACKED):
            subscription.phase = Phase.LIVE
            subscription.timeouts = 0

    def expire(self, now_ns: int) -> list[Subscription]:
        """Return the topics whose answer or first data is overdue; they are wanted again."""
        late = []
        for subscription in self.by_topic.values():
            if not 0 < subscription.deadline_ns <= now_ns:
                continue
            if subscription.phase is Phase.LEAVING:
                subscription.phase = Phase.WANTED
            elif subscription.phase is Phase.SENT:
                subscription.phase = Phase.WANTED
                subscription.must_go_alone = True
                subscription.timeouts += 1
                late.append(subscription)
            elif subscription.phase is Phase.ACKED:
                subscription.phase = Phase.LEAVING
                subscription.deadline_ns = 0
                subscription.timeouts += 1
                late.append(subscription)
                continue
            subscription.deadline_ns = 0
        if len(self._requests) > 4 * REQUESTS_PER_POLL_MAX:
            old = [
                key for key, r in self._requests.items() if r.sent_ns + 2 * ACK_TIMEOUT_NS < now_ns
            ]
            for key in old:
                del self._requests[key]
        return late
