"""Owns comparing a recorded session with what today's code decides on the same inputs.

Decisions are compared by their digests until the first one that differs; orders one by one over the
whole session, by client id and content, with what today's risk gate says where one is missing. It
refuses to call equal what it couldn't compare: a session with a hole is compared up to it.

Recorded are the inputs, not the decisions; a recorded order is known by what became of it: its
bytes that left, the venue's answers and its reports.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tickwright.app.replay import Replay
from tickwright.core.commands import AmendOrder, CancelOrder, Command, PlaceOrder, SignalNotice
from tickwright.core.errors import StorageError
from tickwright.core.events import Input, OrderReport, SendOutcome
from tickwright.core.orders import RequestKind
from tickwright.core.verdicts import Rejected
from tickwright.engine.plan import TradingPlan
from tickwright.storage.session_log import Record

__all__ = ["DIFFERENCES_MAX", "OrderDifference", "SessionDiff", "diff_session"]

DIFFERENCES_MAX = 1_000
"""Differences told one by one; the counts go on."""
_REFUSALS_KEPT_MAX = 100_000
TWIN_NS = 500_000_000
"""How far apart in time two orders may be that stand for each other."""


class OrderDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One order that isn't the same. `kind`: missing (then, not now), new, or changed."""

    kind: str
    client_id: str
    time_ns: int
    input: int
    then: str
    now: str
    reason: str


class SessionDiff(msgspec.Struct, kw_only=True):
    """What `diff --json` writes. `first_input` 0: every digest agreed."""

    session: str
    mode: str
    inputs: int = 0
    decisions: int = 0
    is_complete: bool = False
    first_input: int = 0
    first_difference: str = ""
    orders_then: int = 0
    orders_now: int = 0
    requests_then: int = 0
    requests_now: int = 0
    missing: int = 0
    new: int = 0
    changed: int = 0
    differences: list[OrderDifference] = []

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.first_difference or self.missing or self.new or self.changed)


class _Order(msgspec.Struct, kw_only=True):
    """An order as one of the two knows it; what is None isn't known."""

    client_id: str
    time_ns: int
    input: int
    terms: tuple[str, int, int, int | None] | None = None
    """(instrument, side, size, price) at its creation."""


def diff_session(
    folder: Path,
    *,
    plan: TradingPlan | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> SessionDiff:
    """Repeat a session through today's code, `plan` in place of its own, and say what differs.

    `on_progress` gets the bytes of the log that were read.

    Raises:
        StorageError: no session there, or it is damaged.
        ConfigError: the recorded configuration no longer fits this version.
    """
    replay = _DiffReplay(folder, plan=plan)
    reader = replay.reader

    def tell(_now_ns: int) -> None:
        if on_progress is not None:
            on_progress(reader.position)

    result = replay.run(tell)
    if not result.events:
        raise StorageError(f"{folder}: no input was recorded; there is nothing to compare")
    told = SessionDiff(
        session=str(folder),
        mode=reader.header.mode,
        inputs=result.events,
        decisions=result.decisions_checked,
        is_complete=result.is_complete,
        first_input=replay.first_input,
        first_difference=replay.first_difference,
        orders_then=len(replay.then),
        orders_now=len(replay.now),
        requests_then=replay.requests_then,
        requests_now=replay.requests_now,
    )
    _compare(replay, told)
    return told


class _DiffReplay(Replay):
    """A replay that goes on where decisions differ, and keeps who asked for what."""

    def __init__(self, folder: Path, *, plan: TradingPlan | None) -> None:
        super().__init__(folder, plan=plan)
        self.stops_at_difference = False
        self.then: dict[str, _Order] = {}
        self.now: dict[str, _Order] = {}
        self.requests_then = self.requests_now = 0
        self.first_input = 0
        self.first_difference = ""
        self.refusals: list[tuple[int, str, str]] = []
        """(time, strategy, words) of what today's gate refused."""

    def words(self, order: _Order) -> str:
        """Say what an order was."""
        if order.terms is None:
            return "sent; the venue never told its terms"
        name, side, size, price = order.terms
        instrument = next((one for one in self.instruments if str(one.id) == name), None)
        if instrument is None:
            return f"{'buy' if side > 0 else 'sell'} {name}"
        at = "at market" if price is None else f"at {instrument.price_text(price)}"
        verb = "buy" if side > 0 else "sell"
        return f"{verb} {instrument.size_text(size)} {instrument.symbol} {at}"

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Keep what today's code asks for."""
        super().on_commands(commands)
        state = self.engine.state
        for command in commands:
            if isinstance(command, PlaceOrder):
                self.now[command.client_id] = _Order(
                    client_id=command.client_id,
                    time_ns=state.now_ns,
                    input=command.event_id,
                    terms=(
                        str(command.instrument_id),
                        int(command.side),
                        command.size_units,
                        command.price_units,
                    ),
                )
            if isinstance(command, PlaceOrder | AmendOrder | CancelOrder):
                self.requests_now += 1

    def _handle(self, event: Input, now_ns: int) -> None:
        super()._handle(event, now_ns)
        if isinstance(event, SendOutcome) and event.is_sent:
            self.requests_then += 1
            if event.request is RequestKind.CREATE:
                self._recorded(event.client_id, event.sent_ns or now_ns)
        elif isinstance(event, OrderReport) and event.client_id in self.then:
            order = self.then[event.client_id]
            if order.terms is None:
                order.terms = (
                    str(event.instrument_id),
                    int(event.side),
                    event.size_units,
                    event.price_units,
                )

    def _recorded(self, client_id: str, time_ns: int) -> None:
        self.then.setdefault(
            client_id, _Order(client_id=client_id, time_ns=time_ns, input=self.engine.event_id)
        )

    def _compare(self, record: Record) -> None:
        super()._compare(record)
        self._keep_refusals()
        if self.result.difference and not self.first_difference:
            self.first_input = record.number
            self.first_difference = self.result.difference

    def _keep_refusals(self) -> None:
        for notice in self.engine.take_notices():
            if isinstance(notice, SignalNotice) and isinstance(notice.verdict, Rejected):
                check = notice.verdict.check
                words = f"{check.reason.value}: {check.value} against {check.bound}"
                self.refusals.append((notice.now_ns, notice.strategy_id, words))
        del self.refusals[:-_REFUSALS_KEPT_MAX]


def _compare(replay: _DiffReplay, told: SessionDiff) -> None:
    then = dict(replay.then)
    now = dict(replay.now)
    pairs: list[tuple[_Order | None, _Order | None]] = []
    for client_id in [one for one in then if one in now and _is_same(then[one], now[one])]:
        del then[client_id], now[client_id]
    # Ids count up: one order less moves all that follow. What is left is matched by what it is.
    left = sorted(now.values(), key=lambda order: order.time_ns)
    for order in then.values():
        twin = next((one for one in left if _is_twin(order, one)), None)
        pairs.append((order, twin))
        if twin is not None:
            left.remove(twin)
    pairs += [(None, order) for order in left]
    for recorded, today in sorted(pairs, key=lambda pair: _time_of(*pair)):
        _tell(replay, told, recorded, today)


def _tell(replay: _DiffReplay, told: SessionDiff, then: _Order | None, now: _Order | None) -> None:
    if then is not None and now is not None:
        if then.terms is not None and _is_same(then, now):
            # The same order under another number, because one before it is missing or new.
            return
        told.changed += 1
        kind, reason = "changed", f"decided {(now.time_ns - then.time_ns) / 1e6:+,.1f} ms later"
    elif then is not None:
        told.missing += 1
        kind, reason = "missing", _refusal_near(replay, then.time_ns)
    else:
        assert now is not None
        if not told.is_complete and now.input >= told.inputs - 1:
            # Decided at the very end of a log that was cut: its sending isn't in it.
            return
        told.new += 1
        kind, reason = "new", _why_new(told)
    if len(told.differences) >= DIFFERENCES_MAX:
        return
    known = now or then
    assert known is not None
    told.differences.append(
        OrderDifference(
            kind=kind,
            client_id=(then or known).client_id,
            time_ns=(then or known).time_ns,
            input=known.input,
            then="" if then is None else replay.words(then),
            now="" if now is None else replay.words(now),
            reason=reason,
        )
    )


def _is_same(then: _Order, now: _Order) -> bool:
    if then.terms is None or now.terms is None or then.terms == now.terms:
        return True
    # The first report may tell a price that the venue chose, of an order that named none.
    return then.terms[:3] == now.terms[:3] and now.terms[3] is None


def _is_twin(then: _Order, now: _Order) -> bool:
    """Whether today's order stands in the place of a recorded one."""
    if then.terms is None or now.terms is None:
        return then.client_id == now.client_id
    is_near = abs(then.time_ns - now.time_ns) <= TWIN_NS
    return is_near and then.terms[:2] == now.terms[:2]


def _time_of(then: _Order | None, now: _Order | None) -> int:
    known = then or now
    assert known is not None
    return known.time_ns


def _refusal_near(replay: _DiffReplay, time_ns: int) -> str:
    """Return what today's gate refused at that time, or that nobody asked it."""
    second = 1_000_000_000
    near = [one for one in replay.refusals if abs(one[0] - time_ns) < second]
    if not near:
        return "today's strategies ask for no order here"
    _, strategy_id, words = min(near, key=lambda one: abs(one[0] - time_ns))
    return f"today's gate refuses {strategy_id}: {words}"


def _why_new(told: SessionDiff) -> str:
    if told.first_input:
        return f"decisions differ since input {told.first_input}"
    return "the recorded run never sent it: journal, fence or socket kept it back"
