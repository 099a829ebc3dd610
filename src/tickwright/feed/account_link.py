"""Owns one account's sockets and queries: it carries requests out and evidence in.

It refuses to decide anything about an order: what became of its bytes, what the venue answered and
what it reports all go in by the engine's door. The order of things is fixed here: journal, then
bytes; cancels never wait for the journal; after every login the whole account is read, and only
then may it trade.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

import msgspec

from tickwright.core.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceOrder,
    QueryOrder,
    SetPositionStops,
)
from tickwright.core.errors import ConnectionLost, FrameError, StorageError, VenueError
from tickwright.core.events import ConnectionChanged, Input, Reconciliation, SendOutcome
from tickwright.core.identity import AccountId, Category
from tickwright.core.kept_state import READING_OVERLAP_NS
from tickwright.core.orders import RequestKind
from tickwright.feed.together import AccountCommand, together
from tickwright.net.connection import Connection, DialGate
from tickwright.net.listener import utc_now_ns
from tickwright.net.session import Session
from tickwright.storage.journal import Journal
from tickwright.venues.port import (
    AccountClient,
    Encoded,
    OrderChannel,
    OrderRequest,
    PricedRequest,
)

__all__ = ["AccountDoor", "AccountLink", "LinkCounts", "TradeChannel"]

TASKS_MAX = 64
"""REST calls under way at once; beyond it an order is refused as unsent, a query waits its turn."""
SYNC_RETRY_S = 1.0
JOURNAL_EVERY_S = 0.2
"""With `journal.sync = "interval"`: what a loss of power may cost."""

EXPIRED = "expired before it could be sent"
_FAULTS = (ConnectionLost, FrameError, VenueError, OSError, TimeoutError)


class OrderFence(Protocol):
    """What may forbid, at any moment and from outside, to open anything."""

    @property
    def is_revoked(self) -> bool:
        """Whether nothing may be opened any more."""
        ...


class AccountDoor(Protocol):
    """Where the account's inputs go in."""

    def on_input(self, event: Input, now_ns: int) -> None:
        """Record an input and take it."""
        ...


class TradeChannel(Session, OrderChannel, Protocol):
    """The venue's session for order entry."""


class LinkCounts(msgspec.Struct):
    """What one account's link went through; counts only ever rise."""

    sent_by_socket: int = 0
    sent_by_rest: int = 0
    batches: int = 0
    """Messages that carried several of these requests."""
    unsent: int = 0
    syncs: int = 0
    sync_faults: int = 0
    reconciliations: int = 0
    reconcile_faults: int = 0
    unreadable: int = 0
    last_fault: str = ""


class AccountLink:
    """Drives the private stream, the order channel and the REST client of one account.

    Args:
        journal: takes every create and amend before it is sent.
        last_price_units: tells the latest trade price of an instrument, for conditional orders.
        on_sent: called with (command, handed to the socket at) right after the bytes left.
        fence: looked at right before the bytes of whatever may open something.
        silent_ns: says for how long the venue wants to hear nothing from our address.
        reconcile_s: how often the account is read and compared while trading; 0 never.
        batches: whether requests of one step may leave in one message.
    """

    def __init__(
        self,
        account_id: AccountId,
        door: AccountDoor,
        client: AccountClient,
        journal: Journal,
        *,
        categories: Sequence[Category],
        last_price_units: Callable[[PlaceOrder], int | None],
        on_sent: Callable[[PlaceOrder, int], None] | None = None,
        on_note: Callable[[str, str], None] | None = None,
        fence: OrderFence | None = None,
        silent_ns: Callable[[int], int] | None = None,
        reconcile_s: float = 0.0,
        seen_ns: int = 0,
        batches: bool = False,
    ) -> None:
        self._fence = fence
        self._batches = batches
        self._silent_ns = silent_ns
        self._reconcile_s = reconcile_s
        self.account_id = account_id
        self.counts = LinkCounts()
        self.is_synced = False
        self._door = door
        self._client = client
        self._journal = journal
        self._categories = tuple(categories)
        self._last_price_units = last_price_units
        self._on_sent = on_sent
        self._on_note = on_note
        self._private: Connection | None = None
        self._trade: Connection | None = None
        self._channel: TradeChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unflushed: list[Sequence[PlaceOrder | AmendOrder]] = []
        """Promised and not forced to the disk yet; bounded by the live orders."""
        self._is_flushing = False
        self._sync_wanted = asyncio.Event()
        self._seen_ns = seen_ns
        """Executions since this time of the venue are asked for; 0: nothing was seen before."""

    @property
    def journal(self) -> Journal:
        """What was promised to the venue."""
        return self._journal

    def connect(
        self,
        private: tuple[str, Session],
        trade: tuple[str, TradeChannel] | None,
        gate: DialGate,
        trade_gate: DialGate,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Give the link its sockets: (address, session); no trade socket means orders by REST.

        `ssl_context` is for wss; None takes the system's certificates.
        """
        venue = self.account_id.venue
        self._private = Connection(
            private[0],
            private[1],
            gate,
            name=f"{venue}-private",
            on_change=self._changed("private"),
            ssl_context=ssl_context,
        )
        if trade is not None:
            self._channel = trade[1]
            self._trade = Connection(
                trade[0],
                trade[1],
                trade_gate,
                name=f"{venue}-trade",
                on_change=self._changed("trade"),
                ssl_context=ssl_context,
            )

    @property
    def trade_connection(self) -> Connection | None:
        """The order socket's connection; None when orders go by REST."""
        return self._trade

    def wake(self) -> None:
        """Poll both sessions as soon as the loop is free."""
        for connection in (self._private, self._trade):
            if connection is not None:
                connection.wake()

    # the host of the sessions -----------------------------------------------------------------

    def on_event(self, event: Input, now_ns: int) -> None:
        """Pass what a session read to the engine."""
        self._door.on_input(event, now_ns)

    def on_ready(self, channel: str, now_ns: int) -> None:
        """A channel is logged in; after the private one the account is read."""
        self._note("account.ready", channel)
        if channel == "private":
            self._sync_wanted.set()

    def on_unreadable(self, channel: str, text: str, now_ns: int) -> None:
        """A private message couldn't be read: read the account again, nothing may be missed."""
        self.counts.unreadable += 1
        self.counts.last_fault = text
        self._note("account.unreadable", f"{channel}: {text}")
        self._sync_wanted.set()

    def on_instrument_doubt(self, symbol: str) -> None:
        """A symbol of a private message isn't held, or a number didn't fit it."""
        self._note("account.instrument_doubt", symbol)

    def on_login_refused(self, channel: str, code: int, text: str, now_ns: int) -> None:
        """The venue refuses the login."""
        self.counts.last_fault = f"{channel} login refused: {code} {text}"
        self._note("account.login_refused", self.counts.last_fault)

    # requests -----------------------------------------------------------------------------------

    def execute(self, command: AccountCommand) -> None:
        """Carry one command out; what becomes of it comes in by the door."""
        if isinstance(command, (PlaceOrder, AmendOrder)):
            if not self._promise(command):
                return
            if self._journal.sync == "always":
                self._send_after_flush((command,))
            else:
                self._send(command)
        elif isinstance(command, QueryOrder):
            self._spawn(self._query(command))
        elif isinstance(command, CancelAll):
            self._spawn(self._cancel_all(command))
        elif isinstance(command, SetPositionStops):
            # It only reduces risk: like a cancel it goes out whatever else is under way.
            self._spawn(self._set_stops(command))
        else:
            self._send(command)
            self._journal.note_cancel(command, utc_now_ns())

    def execute_all(self, commands: Sequence[AccountCommand]) -> None:
        """Carry out the commands of one step; where batches are wished, together where they may.

        Each keeps its own record in the journal, outcome and answer.
        """
        if not self._batches or len(commands) < 2:
            for command in commands:
                self.execute(command)
            return
        for group in together(commands, self._client.batch_max):
            cancels = [one for one in group if isinstance(one, CancelOrder)]
            promised = [one for one in group if isinstance(one, (PlaceOrder, AmendOrder))]
            if len(group) == 1:
                self.execute(group[0])
            elif cancels:
                self._send_together(cancels)
                for cancel in cancels:
                    self._journal.note_cancel(cancel, utc_now_ns())
            else:
                kept = [one for one in promised if not self._is_fenced(one) and self._promise(one)]
                if self._journal.sync == "always":
                    self._send_after_flush(kept)
                else:
                    self._send_together(kept)

    def _promise(self, command: PlaceOrder | AmendOrder) -> bool:
        try:
            self._journal.promise(command, utc_now_ns())
        except StorageError as error:
            self._unsent(command, str(error))
            return False
        return True

    def _send_after_flush(self, commands: Sequence[PlaceOrder | AmendOrder]) -> None:
        """Send what is promised, in this order, once its record is on the disk.

        What is promised while the disk is busy waits for its turn and shares one.
        """
        self._unflushed.append(commands)
        if commands and not self._is_flushing:
            self._is_flushing = True
            self._spawn(self._flush_and_send())

    async def _flush_and_send(self) -> None:
        try:
            while self._unflushed:
                groups, self._unflushed = self._unflushed, []
                try:
                    await asyncio.to_thread(self._journal.flush)
                except StorageError as error:
                    for command in (one for group in groups for one in group):
                        self._unsent(command, str(error))
                    continue
                for group in groups:
                    if len(group) == 1:
                        self._send(group[0])
                    else:
                        self._send_together(group)
        finally:
            self._is_flushing = False

    def _is_fenced(self, command: OrderRequest) -> bool:
        """Refuse what the kill switch or a ban of our address forbids; cancels always pass."""
        if type(command) is CancelOrder:
            return False
        if self._fence is not None and self._fence.is_revoked:
            self._unsent(command, "the kill switch was thrown")
            return True
        if self._silent_ns is not None and (wait_ns := self._silent_ns(utc_now_ns())):
            self._unsent(command, f"the venue wants silence for {wait_ns / 1e9:.0f} s more")
            return True
        return False

    def _send(self, command: OrderRequest) -> None:
        # Looked at here and not before the journal: nothing may come between it and the bytes.
        if self._is_fenced(command):
            return
        now_ns = utc_now_ns()
        last = None
        if isinstance(command, PlaceOrder):
            if 0 < command.valid_until_ns < now_ns:
                self._unsent(command, EXPIRED)
                return
            if command.trigger_price_units is not None:
                last = self._last_price_units(command)
        channel = self._channel
        if channel is not None and channel.is_ready and self._trade is not None:
            encoded = channel.encode(command, now_ns, last_price_units=last)
            if not isinstance(encoded, Encoded):
                self._unsent(command, encoded.reason)
            elif self._trade.send(encoded.message):
                self._is_sent(command)
            else:
                channel.not_sent(encoded.request_id)
                self._spawn_send(command, last)
        else:
            self._spawn_send(command, last)

    def _send_together(self, commands: Sequence[OrderRequest]) -> None:
        """Send requests of one kind in one message; what can't leave now is told one by one."""
        now_ns = utc_now_ns()
        ready: list[PricedRequest] = [
            (command, self._last_of(command))
            for command in commands
            if not self._is_fenced(command) and not self._is_expired(command, now_ns)
        ]
        if len(ready) < 2:
            for command, _ in ready:
                self._send(command)
            return
        self.counts.batches += 1
        channel = self._channel
        if channel is None or not channel.is_ready or self._trade is None:
            self._spawn_send_together(ready)
            return
        batch = channel.encode_batch(ready, now_ns)
        for command, reason in batch.refused:
            self._unsent(command, reason)
        if not batch.message:
            return
        if self._trade.send(batch.message):
            for command in batch.sent:
                self._is_sent(command)
        else:
            channel.not_sent(batch.request_id)
            self._spawn_send_together([one for one in ready if one[0] in batch.sent])

    def _is_expired(self, command: OrderRequest, now_ns: int) -> bool:
        if isinstance(command, PlaceOrder) and 0 < command.valid_until_ns < now_ns:
            self._unsent(command, EXPIRED)
            return True
        return False

    def _last_of(self, command: OrderRequest) -> int | None:
        if isinstance(command, PlaceOrder) and command.trigger_price_units is not None:
            return self._last_price_units(command)
        return None

    def _is_sent(self, command: OrderRequest) -> None:
        sent_ns = utc_now_ns()
        self.counts.sent_by_socket += 1
        if self._on_sent is not None and isinstance(command, PlaceOrder):
            self._on_sent(command, sent_ns)
        self._later(_outcome(command, is_sent=True, reason="", sent_ns=sent_ns))

    def _spawn_send(self, command: OrderRequest, last: int | None) -> None:
        # Cancels go out however much is under way; a create over the bound was never sent.
        if len(self._tasks) >= TASKS_MAX and not isinstance(command, CancelOrder):
            self._unsent(command, f"{TASKS_MAX} REST calls are under way")
            return
        self._spawn(self._send_by_rest(command, last))

    async def _send_by_rest(self, command: OrderRequest, last: int | None) -> None:
        if self._is_fenced(command):
            return
        self.counts.sent_by_rest += 1
        if self._on_sent is not None and isinstance(command, PlaceOrder):
            self._on_sent(command, utc_now_ns())
        outcome, reply = await self._client.send(command, last_price_units=last)
        self._door.on_input(outcome, utc_now_ns())
        if reply is not None:
            self._door.on_input(reply, utc_now_ns())

    def _spawn_send_together(self, ready: Sequence[PricedRequest]) -> None:
        if len(self._tasks) >= TASKS_MAX and not isinstance(ready[0][0], CancelOrder):
            for command, _ in ready:
                self._unsent(command, f"{TASKS_MAX} REST calls are under way")
            return
        self._spawn(self._send_together_by_rest(ready))

    async def _send_together_by_rest(self, ready: Sequence[PricedRequest]) -> None:
        allowed = [one for one in ready if not self._is_fenced(one[0])]
        if not allowed:
            return
        self.counts.sent_by_rest += len(allowed)
        for command, _ in allowed:
            if self._on_sent is not None and isinstance(command, PlaceOrder):
                self._on_sent(command, utc_now_ns())
        for outcome, reply in await self._client.send_batch(allowed):
            self._door.on_input(outcome, utc_now_ns())
            if reply is not None:
                self._door.on_input(reply, utc_now_ns())

    def _unsent(self, command: OrderRequest, reason: str) -> None:
        self.counts.unsent += 1
        self.counts.last_fault = reason
        self._later(_outcome(command, is_sent=False, reason=reason, sent_ns=0))

    def _later(self, event: Input) -> None:
        """Take an input after the step that asked for the request.

        The engine is in that step, maybe in the middle of a frame with more to come: what follows
        from sending enters after the frame, in a live run as in its replay.
        """
        asyncio.get_running_loop().call_soon(self._deliver, event)

    def _deliver(self, event: Input) -> None:
        self._door.on_input(event, utc_now_ns())

    async def _query(self, command: QueryOrder) -> None:
        try:
            found = await self._client.query_order(command)
        except _FAULTS as error:
            # A failed query is never an empty answer: the engine asks again when it wants.
            self._fault("account.query_failed", error)
            return
        for event in found:
            self._door.on_input(event, utc_now_ns())

    async def _cancel_all(self, command: CancelAll) -> None:
        instrument_id = command.instrument_id
        categories = self._categories if instrument_id is None else (instrument_id.category,)
        for category in categories:
            try:
                await self._client.cancel_all(command, category=category)
            except _FAULTS as error:
                self._fault("account.cancel_all_failed", error)
        self._journal.note_cancel(command, utc_now_ns())

    async def _set_stops(self, command: SetPositionStops) -> None:
        reply = await self._client.set_stops(command)
        self._door.on_input(reply, utc_now_ns())

    # running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the sockets up and the account read until cancelled."""
        assert self._private is not None, "connect() comes first"
        async with asyncio.TaskGroup() as group:
            group.create_task(self._private.run())
            if self._trade is not None:
                group.create_task(self._trade.run())
            group.create_task(self._sync_for_ever())
            if self._reconcile_s:
                group.create_task(self._reconcile_for_ever())
            if self._journal.sync == "interval":
                group.create_task(self._flush_for_ever())

    async def stop(self) -> None:
        """End the sockets for good; requests under way get a moment to be answered."""
        for connection in (self._trade, self._private):
            if connection is not None:
                await connection.stop()
        for task in self._tasks:
            task.cancel()

    async def _flush_for_ever(self) -> None:
        """Bring the journal to the disk now and then; a failure shuts it, and orders with it."""
        flushed = 0
        while not self._journal.fault:
            await asyncio.sleep(JOURNAL_EVERY_S)
            if self._journal.entry_count == flushed:
                continue
            flushed = self._journal.entry_count
            try:
                await asyncio.to_thread(self._journal.flush)
            except StorageError as error:
                self._fault("account.journal_failed", error)

    async def _sync_for_ever(self) -> None:
        """Read the whole account whenever it was asked for, until it worked."""
        while True:
            await self._sync_wanted.wait()
            self._sync_wanted.clear()
            try:
                report = await self._client.sync(self._categories, since_ns=self._seen_ns)
            except _FAULTS as error:
                self.counts.sync_faults += 1
                self._fault("account.sync_failed", error)
                self._sync_wanted.set()
                await asyncio.sleep(SYNC_RETRY_S)
                continue
            self.counts.syncs += 1
            self.is_synced = True
            # The next one asks again for the last minute: an execution may show late.
            self._seen_ns = max(0, report.venue_ns - READING_OVERLAP_NS)
            self._door.on_input(report, utc_now_ns())

    async def _reconcile_for_ever(self) -> None:
        """Read the account again and again; a reading that failed says nothing."""
        fault = ""
        while True:
            await asyncio.sleep(self._reconcile_s)
            if not self.is_synced or self._sync_wanted.is_set():
                continue
            try:
                report = await self._client.sync(self._categories, since_ns=self._seen_ns)
            except _FAULTS as error:
                self.counts.reconcile_faults += 1
                if str(error) != fault:
                    self._fault("account.reconcile_failed", error)
                fault = str(error)
                continue
            fault = ""
            self.counts.reconciliations += 1
            self._seen_ns = max(self._seen_ns, report.venue_ns - READING_OVERLAP_NS)
            self._door.on_input(Reconciliation(report), utc_now_ns())

    def _changed(self, channel: str) -> Callable[[bool, str], None]:
        venue = self.account_id.venue

        def on_change(is_up: bool, reason: str) -> None:  # noqa: FBT001 (the connection's callback)
            if channel == "private" and not is_up:
                self.is_synced = False
            self._note(
                "account.connected" if is_up else "account.disconnected", f"{channel} {reason}"
            )
            event = ConnectionChanged(venue, channel, self.account_id.name, is_up, reason)
            self._door.on_input(event, utc_now_ns())

        return on_change

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def _fault(self, event: str, error: Exception) -> None:
        self.counts.last_fault = str(error)
        self._note(event, str(error))

    def _note(self, event: str, text: str) -> None:
        if self._on_note is not None:
            self._on_note(event, text)


def _outcome(command: OrderRequest, *, is_sent: bool, reason: str, sent_ns: int) -> SendOutcome:
    if isinstance(command, PlaceOrder):
        kind = RequestKind.CREATE
    elif isinstance(command, AmendOrder):
        kind = RequestKind.AMEND
    else:
        kind = RequestKind.CANCEL
    return SendOutcome(
        account_id=command.account_id,
        client_id=command.client_id,
        request=kind,
        is_sent=is_sent,
        reason=reason,
        sent_ns=sent_ns,
    )
