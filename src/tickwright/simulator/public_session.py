"""Owns one client's public session: its requests, topics and the faults of its frames.

Refuses the market, and whatever carries the frames.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.book_streams import BookStream
from tickwright.simulator.faults import (
    DAMAGE_KINDS,
    DELTA_KINDS,
    FRAME_KINDS,
    REQUEST_KINDS,
    Fault,
    FaultBoard,
    FaultKind,
)
from tickwright.simulator.session import Line, Session
from tickwright.simulator.streams import Subscriber
from tickwright.simulator.wire import Ask, PublicWire, Request

__all__ = ["IDLE_NS_MAX", "PublicSession", "PublicTopic", "PublicVenue"]

IDLE_NS_MAX = 60_000_000_000
"""How long a public session may be without topic and request, unless told otherwise."""

_FOREVER_NS = 1 << 62


class PublicTopic(Protocol):
    """One topic: who subscribes it is told its state, then its frames."""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber and send it the topic's first frame, if it has one."""

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""


class PublicVenue(Protocol):
    """What a public session needs of a venue: topics, the time, and a later run."""

    @property
    def now_ns(self) -> int:
        """Venue time."""

    def schedule(self, due_ns: int, action: Callable[[int], None]) -> None:
        """Call `action(due_ns)` when venue time reaches `due_ns`."""

    def stream(self, category: Category, topic: str) -> PublicTopic | None:
        """Return a topic; None when the venue has none of that name."""

    def streams(self) -> Mapping[tuple[Category, str], PublicTopic]:
        """Return every topic anyone ever asked for."""

    def subscriptions_changed(self) -> None:
        """Tell the venue that subscribers came or went."""


class PublicSession(Session):
    """One client of `/v5/public/{category}`."""

    def __init__(
        self,
        line: Line,
        conn_id: str,
        venue: PublicVenue,
        faults: FaultBoard,
        category: Category,
        *,
        idle_ns_max: int = IDLE_NS_MAX,
    ) -> None:
        super().__init__(line, conn_id)
        self._venue = venue
        self._faults = faults
        self._idle_ns_max = idle_ns_max
        self.category = category
        self.wire = PublicWire(category, conn_id, self._exists)
        # In the order of subscription: an end takes them off in an order that is always the same.
        self.topics: dict[str, None] = {}
        self._last_request_ns = venue.now_ns
        self._held: dict[str, bytes] = {}
        self._silent_topics: dict[str, int] = {}
        self._silent_until_ns = 0
        self._answers_pings = True
        # Whether an earlier fault still acts on frames: asked once a frame, so kept as a flag.
        self._is_disturbed = False

    def close(self) -> None:
        """Forget the client: its subscriptions end."""
        super().close()
        self._unsubscribe(tuple(self.topics))

    def is_idle(self, now_ns: int) -> bool:
        """Whether the session has neither a subscription nor a recent request."""
        return not self.topics and now_ns - self._last_request_ns >= self._idle_ns_max

    # requests
    # --------------------------------------------------------------------------------------

    def on_request(self, text: bytes) -> bool:
        """Carry out one text frame."""
        self._last_request_ns = self._venue.now_ns
        answer = self.wire.decode(text, self.topics.keys())
        if isinstance(answer, bytes):
            self.line.send(answer)
        else:
            self._carry_out(answer)
        return True

    def subscribe(self, *topics: str) -> None:
        """Subscribe without a request and its answer; first frames come at once.

        Raises:
            ConfigError: the venue has no such topic; then none is subscribed.
        """
        for topic in topics:
            if not self._exists(topic):
                raise ConfigError(f"the venue has no {self.category.value} topic {topic!r}")
        self._subscribe(tuple(topic for topic in topics if topic not in self.topics))

    def unsubscribe(self, *topics: str) -> None:
        """Unsubscribe without a request; topics that are not subscribed are passed over."""
        self._unsubscribe(topics)

    def _exists(self, topic: str) -> bool:
        return self._venue.stream(self.category, topic) is not None

    def _carry_out(self, request: Request) -> None:
        now_ns = self._venue.now_ns
        if request.ask is Ask.PING:
            if self._answers_pings or now_ns >= self._silent_until_ns:
                self.line.send(self.wire.pong(request, self._faults.clock_ns(now_ns) // 1_000_000))
            return
        fault = self._faults.strike(REQUEST_KINDS, self.category.value, request.topics, now_ns)
        kind = None if fault is None else fault.spec.kind
        if kind is FaultKind.REFUSE_SUBSCRIBE:
            self.line.send(self.wire.refuse(request))
            return
        ack = self.wire.ack(request)
        if fault is not None and kind is FaultKind.SLOW_ACK:
            due_ns = now_ns + int(fault.spec.delay_s * 1e9)
            self._venue.schedule(due_ns, lambda _: self._send_if_open(ack))
        elif fault is not None and kind is FaultKind.SLOW_READER:
            self.line.stop_reading()
            due_ns = now_ns + int(fault.spec.duration_s * 1e9)
            self._venue.schedule(due_ns, lambda _: self.line.resume_reading())
            self.line.send(ack)
        elif kind is not FaultKind.NO_ACK:
            self.line.send(ack)
        if request.ask is Ask.SUBSCRIBE:
            self._subscribe(request.topics)
        else:
            self._unsubscribe(request.topics)

    def _subscribe(self, topics: tuple[str, ...]) -> None:
        for topic in topics:
            stream = self._venue.stream(self.category, topic)
            assert stream is not None, topic
            self.topics[topic] = None
            stream.subscribe(self)
        self._venue.subscriptions_changed()

    def _unsubscribe(self, topics: tuple[str, ...]) -> None:
        for topic in topics:
            stream = self._venue.streams().get((self.category, topic))
            if stream is not None and topic in self.topics:
                del self.topics[topic]
                stream.unsubscribe(self)
        self._venue.subscriptions_changed()

    def _send_if_open(self, payload: bytes) -> None:
        if self.is_open:
            self.line.send(payload)

    # frames
    # ----------------------------------------------------------------------------------------

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        """Take a frame of a subscribed topic."""
        if self._faults.has_frame_faults or self._is_disturbed:
            self._deliver_disturbed(topic, payload, is_delta=is_delta)
        else:
            self.line.send(payload)

    def _deliver_disturbed(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        now_ns = self._venue.now_ns
        if now_ns < self._silent_until_ns or now_ns < self._silent_topics.get(topic, 0):
            return
        if self._silent_until_ns:
            self._silent_until_ns, self._answers_pings = 0, True
        self._silent_topics.pop(topic, None)
        held = self._held.pop(topic, None)
        if held is None:
            kinds = FRAME_KINDS if is_delta else FRAME_KINDS - DELTA_KINDS
            fault = self._faults.strike(kinds, self.category.value, (topic,), now_ns)
            if fault is not None:
                self._suffer(fault, topic, payload, now_ns)
                return
        self.line.send(payload)
        if held is not None:
            self.line.send(held)
        self._is_disturbed = bool(self._held or self._silent_topics or self._silent_until_ns)

    def _suffer(self, fault: Fault, topic: str, payload: bytes, now_ns: int) -> None:
        self._is_disturbed = True
        kind, spec = fault.spec.kind, fault.spec
        until_ns = now_ns + int(spec.duration_s * 1e9) if spec.duration_s else _FOREVER_NS
        if kind is FaultKind.CUT:
            self.line.cut()
        elif kind is FaultKind.VANISH:
            self.line.vanish()
        elif kind is FaultKind.SILENCE_SOCKET:
            self._silent_until_ns, self._answers_pings = until_ns, spec.answer_pings
        elif kind is FaultKind.SILENCE_TOPIC:
            self._silent_topics[topic] = until_ns
        elif kind is FaultKind.REORDER:
            self._held[topic] = payload
        elif kind is FaultKind.DUPLICATE:
            self.line.send(payload)
            self.line.send(payload)
        elif kind is FaultKind.FRAGMENTED:
            self.line.send_fragmented(payload)
        elif kind in (FaultKind.SNAPSHOT, FaultKind.RESTART):
            self.line.send(payload)
            stream = self._venue.stream(self.category, topic)
            if isinstance(stream, BookStream):
                if kind is FaultKind.SNAPSHOT:
                    self.line.send(stream.snapshot())
                else:
                    # After the frame under way has reached every subscriber.
                    self._venue.schedule(now_ns, lambda _: stream.restart())
        elif kind in DAMAGE_KINDS:
            self.line.send(self._faults.damage(kind, payload))
        else:
            assert kind in (FaultKind.GAP, FaultKind.TOPIC_OUTAGE), kind
