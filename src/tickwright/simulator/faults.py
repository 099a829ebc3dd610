"""Owns the faults committed on command: plans, when they strike, counts; refuses to send anything.

A fault waits until `at_s` after it was added, then watches occasions of its kind (frames, requests
or new connections that match its category and topic), skips the first `after_frames`, strikes with
`probability`, at most `count` times (0: no end) and for at most `duration_s` (0: no end). `armed`
counts the occasions on which it could have struck, `hit` those on which it did. Chance comes from
the venue's seed.
"""

import enum
import re
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.nearest import near_names

__all__ = [
    "CONNECTION_KINDS",
    "DAMAGE_KINDS",
    "DELTA_KINDS",
    "EVENT_KINDS",
    "FAULTS_MAX",
    "FRAME_KINDS",
    "ORDER_KINDS",
    "PRIVATE_KINDS",
    "REQUEST_KINDS",
    "Fault",
    "FaultBoard",
    "FaultKind",
    "FaultSpec",
    "damage",
    "fault_specs",
    "load_fault_plan",
]

FAULTS_MAX = 256
"""Most faults on one board, spent ones included; more are refused."""


class FaultKind(enum.Enum):
    """What goes wrong."""

    # a frame of a matching topic is the occasion
    CUT = "cut"
    """The socket is reset (RST)."""
    VANISH = "vanish"
    """The socket stays open, nothing is sent, read or answered any more; no FIN."""
    SILENCE_SOCKET = "silence_socket"
    """Data stops on the socket for `duration_s`; pings are answered if `answer_pings`."""
    SILENCE_TOPIC = "silence_topic"
    """Data of the topic stops on the socket for `duration_s`."""
    GAP = "gap"
    """A delta is not sent."""
    DUPLICATE = "duplicate"
    """A delta is sent twice."""
    REORDER = "reorder"
    """A delta is sent after the following frame of its topic."""
    SNAPSHOT = "snapshot"
    """An unasked snapshot follows a frame of a book topic."""
    RESTART = "restart"
    """The topic restarts for everyone: a snapshot with u = 1, then 2, 3 and so on."""
    TRUNCATED = "truncated"
    GARBAGE = "garbage"
    HTML = "html"
    UNKNOWN_FIELDS = "unknown_fields"
    MISSING_FIELD = "missing_field"
    LONG_NUMBER = "long_number"
    WRONG_SYMBOL = "wrong_symbol"
    UNKNOWN_ENUM = "unknown_enum"
    """A word out of a fixed set is one that nobody knows."""
    TOPIC_OUTAGE = "topic_outage"
    """Frames of the topic go nowhere, for everybody, with count = 0 as long as it lasts."""
    FRAGMENTED = "fragmented"
    """A frame is sent as three WebSocket fragments."""
    # a request is the occasion
    SLOW_ACK = "slow_ack"
    """The answer comes `delay_s` late."""
    NO_ACK = "no_ack"
    """The request is carried out and never answered."""
    REFUSE_SUBSCRIBE = "refuse_subscribe"
    SLOW_READER = "slow_reader"
    """The venue stops reading the socket for `duration_s`."""
    # an order request is the occasion, by REST or the trade socket: `category` is the product,
    # `topic` the operation (`order.create`), or `rest.order.create` and `trade.order.create` for
    # one way only
    REPLY_DROPPED = "reply_dropped"
    """The request is carried out and never answered."""
    REPLY_DELAYED = "reply_delayed"
    """The request is carried out, the answer comes `delay_s` late."""
    REPLY_ERROR = "reply_error"
    """The request is carried out and answered with a server error."""
    REPLY_HTML = "reply_html"
    """The request is carried out and answered with a gateway's HTML page (REST alone)."""
    CUT_BEFORE_BOOKING = "cut_before_booking"
    """The connection is reset and the request is not carried out."""
    CUT_AFTER_BOOKING = "cut_after_booking"
    """The request is carried out and the connection reset before the answer."""
    # an event of a private topic is the occasion: `category` is "private"
    DUPLICATE_EVENT = "duplicate_event"
    """A private message is sent twice."""
    REORDER_EVENT = "reorder_event"
    """A private message is sent after the following one."""
    # a private request is the occasion: `topic` is its name (`order.realtime`, `order.create`)
    LAGGING_REST = "lagging_rest"
    """A query is answered as of `delay_s` ago, at most a minute."""
    HALVED_LIMITS = "halved_limits"
    """The account's request budgets count half."""
    MAINTENANCE = "maintenance"
    """Private requests are refused as under maintenance (10016; on the trade socket 10019), and the
    system status says so."""
    CLOCK = "clock"
    """The venue's clock is `offset_s` off and drifts by `drift_ppm`; asking it is the occasion, and
    every stamp of a public frame asks it."""
    # a new connection is the occasion
    OUTAGE = "outage"
    """Every socket is reset, then new ones get 503 for `duration_s`. REST goes on answering."""
    REFUSE_CONNECTIONS = "refuse_connections"
    """New sockets get 503 for `duration_s`, the open ones live on."""


DELTA_KINDS = frozenset({FaultKind.GAP, FaultKind.DUPLICATE, FaultKind.REORDER})
DAMAGE_KINDS = frozenset(
    {
        FaultKind.TRUNCATED,
        FaultKind.GARBAGE,
        FaultKind.HTML,
        FaultKind.UNKNOWN_FIELDS,
        FaultKind.MISSING_FIELD,
        FaultKind.LONG_NUMBER,
        FaultKind.WRONG_SYMBOL,
        FaultKind.UNKNOWN_ENUM,
    }
)
REQUEST_KINDS = frozenset(
    {
        FaultKind.SLOW_ACK,
        FaultKind.NO_ACK,
        FaultKind.REFUSE_SUBSCRIBE,
        FaultKind.SLOW_READER,
    }
)
CONNECTION_KINDS = frozenset({FaultKind.OUTAGE, FaultKind.REFUSE_CONNECTIONS})
ORDER_KINDS = frozenset(
    {
        FaultKind.REPLY_DROPPED,
        FaultKind.REPLY_DELAYED,
        FaultKind.REPLY_ERROR,
        FaultKind.REPLY_HTML,
        FaultKind.CUT_BEFORE_BOOKING,
        FaultKind.CUT_AFTER_BOOKING,
    }
)
EVENT_KINDS = frozenset({FaultKind.DUPLICATE_EVENT, FaultKind.REORDER_EVENT})
PRIVATE_KINDS = frozenset(
    {
        FaultKind.LAGGING_REST,
        FaultKind.HALVED_LIMITS,
        FaultKind.MAINTENANCE,
        FaultKind.CLOCK,
    }
)
FRAME_KINDS = (
    frozenset(FaultKind)
    - REQUEST_KINDS
    - CONNECTION_KINDS
    - ORDER_KINDS
    - EVENT_KINDS
    - PRIVATE_KINDS
)


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One planned fault, as the plan file writes it; times in seconds since it was added."""

    kind: FaultKind
    category: str = "*"
    topic: str = "*"
    at_s: float = 0.0
    after_frames: int = 0
    count: int = 1
    probability: float = 1.0
    duration_s: float = 0.0
    delay_s: float = 1.0
    offset_s: float = 0.0
    drift_ppm: float = 0.0
    answer_pings: bool = True

    def __post_init__(self) -> None:
        for name in ("at_s", "after_frames", "count", "duration_s", "delay_s"):
            if not 0 <= getattr(self, name) < 1e9:
                raise ValueError(f"{name} must be 0 or more")
        if not (-1e9 < self.offset_s < 1e9 and -1e6 < self.drift_ppm < 1e6):
            raise ValueError("offset_s or drift_ppm is out of range")
        if not 0 < self.probability <= 1:
            raise ValueError("probability must be above 0 and at most 1")


def fault_specs(rows: Sequence[Mapping[str, Any]], where: str) -> list[FaultSpec]:
    """Read faults strictly.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type or an impossible
        value.
    """
    known = FaultSpec.__struct_fields__
    specs = []
    for number, row in enumerate(rows, start=1):
        place = f"{where}: fault {number}"
        if not isinstance(row, Mapping):
            raise ConfigError(f"{place} must be a table")
        for key in row:
            if key not in known:
                raise ConfigError(f"{place}: unknown key {key!r}{_nearest(key, known)}")
        if "kind" not in row:
            raise ConfigError(f"{place}: kind is missing; one of {', '.join(_KINDS)}")
        if row["kind"] not in _KINDS:
            hint = _nearest(str(row["kind"]), _KINDS)
            raise ConfigError(f"{place}: unknown kind {row['kind']!r}{hint}")
        try:
            specs.append(msgspec.convert(dict(row), FaultSpec))
        except msgspec.ValidationError as error:
            raise ConfigError(f"{place}: {error}") from None
    return specs


_KINDS = tuple(kind.value for kind in FaultKind)


def _nearest(word: str, known: Sequence[str]) -> str:
    close = near_names(word, known)
    return f" (did you mean {close[0]!r}?)" if close else f"; known: {', '.join(known)}"


def load_fault_plan(path: Path) -> list[FaultSpec]:
    """Read a plan file: an array of tables named `faults`.

    Raises:
        ConfigError: the file can't be read, isn't TOML, or holds anything but valid faults.
    """
    try:
        plan = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"fault plan {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"fault plan {path} is not TOML: {error}") from None
    for key in plan:
        if key != "faults":
            raise ConfigError(f"fault plan {path}: unknown key {key!r}{_nearest(key, ['faults'])}")
    rows = plan.get("faults", [])
    if not isinstance(rows, list):
        raise ConfigError(f"fault plan {path}: faults must be an array of tables ([[faults]])")
    return fault_specs(rows, f"fault plan {path}")


class Fault:
    """A fault on the board and what became of it."""

    __slots__ = ("armed", "from_ns", "hit", "number", "spec", "until_ns")

    def __init__(self, number: int, spec: FaultSpec, now_ns: int) -> None:
        self.number = number
        self.spec = spec
        self.from_ns = now_ns + int(spec.at_s * 1e9)
        # Only the kinds that strike again and again read the span as the fault's own life.
        self.until_ns = 0
        if spec.duration_s and spec.kind not in _SPAN_KINDS:
            self.until_ns = self.from_ns + int(spec.duration_s * 1e9)
        self.armed = 0
        self.hit = 0

    def is_over(self, now_ns: int) -> bool:
        """Whether it can't strike any more."""
        spec = self.spec
        if self.until_ns and now_ns >= self.until_ns:
            return True
        return spec.kind not in CONNECTION_KINDS and 0 < spec.count <= self.hit

    def report(self) -> dict[str, Any]:
        """The fault as the control endpoint shows it."""
        spec: dict[str, Any] = msgspec.to_builtins(self.spec)
        return {"number": self.number, **spec, "armed": self.armed, "hit": self.hit}


# For these kinds `duration_s` is how long the effect lasts once it has struck.
_SPAN_KINDS = frozenset(
    {
        FaultKind.SILENCE_SOCKET,
        FaultKind.SILENCE_TOPIC,
        FaultKind.SLOW_READER,
        FaultKind.OUTAGE,
        FaultKind.REFUSE_CONNECTIONS,
    }
)


class FaultBoard:
    """Every fault of a run. The frame path asks one flag, `has_frame_faults`."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        # Apart, so that what is in a damaged frame doesn't move when the next fault strikes.
        self._garbage = Random(0)
        self.faults: list[Fault] = []
        self._live: list[Fault] = []
        self._clocks: list[Fault] = []
        self.has_frame_faults = False
        self.has_lag = False
        self.has_clock = False
        self.has_private_faults = False

    def add(self, spec: FaultSpec, now_ns: int) -> Fault:
        """Put a fault on the board.

        Raises:
            ConfigError: the board is full.
        """
        if len(self.faults) >= FAULTS_MAX:
            raise ConfigError(f"at most {FAULTS_MAX} faults in one run")
        fault = Fault(len(self.faults) + 1, spec, now_ns)
        self.faults.append(fault)
        self._live.append(fault)
        self._refresh()
        return fault

    def clear(self) -> None:
        """End every fault; their counts stay readable."""
        self._live.clear()
        self._refresh()

    def strike(
        self,
        kinds: frozenset[FaultKind],
        category: str,
        topics: Sequence[str],
        now_ns: int,
    ) -> Fault | None:
        """Ask at an occasion: the fault that strikes now, counted, or None."""
        struck = None
        for fault in self._live:
            spec = fault.spec
            if spec.kind not in kinds or now_ns < fault.from_ns or fault.is_over(now_ns):
                continue
            if not fnmatchcase(category, spec.category):
                continue
            if spec.topic != "*" and not any(fnmatchcase(topic, spec.topic) for topic in topics):
                continue
            fault.armed += 1
            if fault.armed <= spec.after_frames or self._rng.random() >= spec.probability:
                continue
            fault.hit += 1
            struck = fault
            break
        if struck is not None and struck.is_over(now_ns):
            self._live.remove(struck)
            self._refresh()
        return struck

    def damage(self, kind: FaultKind, payload: bytes) -> bytes:
        """Return what arrives instead of a frame."""
        return damage(kind, payload, self._garbage)

    def clock_ns(self, now_ns: int) -> int:
        """Return what the venue's clock says to clients at a venue time."""
        if not self._clocks:
            return now_ns
        said = now_ns
        for fault in self._clocks:
            if fault.from_ns <= now_ns and not (fault.until_ns and now_ns >= fault.until_ns):
                fault.armed += 1
                fault.hit += 1
                said += int(fault.spec.offset_s * 1e9)
                said += int((now_ns - fault.from_ns) * fault.spec.drift_ppm) // 1_000_000
        return said

    def is_maintained(self, now_ns: int) -> bool:
        """Whether a maintenance goes on now; the system status says so."""
        return any(
            fault.spec.kind is FaultKind.MAINTENANCE
            and fault.from_ns <= now_ns
            and not fault.is_over(now_ns)
            for fault in self._live
        )

    def outages(self, now_ns: int) -> list[Fault]:
        """The outages and refusals of connections that have begun and aren't over."""
        return [
            fault
            for fault in self._live
            if fault.spec.kind in CONNECTION_KINDS
            and fault.from_ns <= now_ns < fault.from_ns + int(fault.spec.duration_s * 1e9) + 1
        ]

    def end(self, fault: Fault) -> None:
        """Take a fault off the board."""
        if fault in self._live:
            self._live.remove(fault)
            self._refresh()

    def report(self) -> list[dict[str, Any]]:
        """Every fault with its counts."""
        return [fault.report() for fault in self.faults]

    def _refresh(self) -> None:
        self.has_frame_faults = any(fault.spec.kind in FRAME_KINDS for fault in self._live)
        self.has_lag = any(fault.spec.kind is FaultKind.LAGGING_REST for fault in self._live)
        self._clocks = [fault for fault in self._live if fault.spec.kind is FaultKind.CLOCK]
        self.has_clock = bool(self._clocks)
        self.has_private_faults = any(
            fault.spec.kind in ORDER_KINDS | PRIVATE_KINDS for fault in self._live
        )


_FIRST_NUMBER = re.compile(rb'(\[\["|"p":")[0-9.]+"')
_UPDATE_ID = re.compile(rb'"u":[0-9]+,|"p":"[0-9.]+",')
_WORD = re.compile(
    rb'"(orderStatus|execType|cancelType|createType|positionStatus|accountType|S|side|type|L)"'
    rb':"[A-Za-z]+"'
)
_SYMBOL = re.compile(rb'"(s|symbol)":"[A-Z0-9]+"')


def damage(kind: FaultKind, payload: bytes, rng: Random) -> bytes:
    """Return what arrives instead of a frame."""
    if kind is FaultKind.TRUNCATED:
        return payload[: max(1, len(payload) // 2)]
    if kind is FaultKind.GARBAGE:
        return bytes(rng.randrange(33, 127) for _ in range(64))
    if kind is FaultKind.HTML:
        return (
            b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
        )
    if kind is FaultKind.UNKNOWN_FIELDS:
        return payload[:-1] + b',"newField":{"nested":[1,{"deep":null}]},"flag":true}'
    if kind is FaultKind.MISSING_FIELD:
        return _UPDATE_ID.sub(b"", payload, count=1)
    if kind is FaultKind.LONG_NUMBER:
        return _FIRST_NUMBER.sub(rb"\g<1>123456789012345678901234567890" + b'"', payload, count=1)
    if kind is FaultKind.UNKNOWN_ENUM:
        return _WORD.sub(rb'"\g<1>":"NeverHeardOf"', payload, count=1)
    assert kind is FaultKind.WRONG_SYMBOL, kind
    return _SYMBOL.sub(rb'"\g<1>":"WRONGUSDT"', payload, count=1)
