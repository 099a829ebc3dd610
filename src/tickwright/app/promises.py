"""Owns what was promised to the venues: a journal an account, from the first promise to its end.

An end is told to the journal when nothing a restart needs is lost by it: at once where nothing was
filled, and else when the state on the disk holds what the order made.
"""

from collections import deque
from pathlib import Path

from tickwright.core.commands import OrderNotice
from tickwright.core.events import PromisedOrder, PromisesRestored
from tickwright.core.identity import AccountId, ClientId
from tickwright.core.orders import FINAL_STATES, OrderState
from tickwright.engine.engine import Engine
from tickwright.storage.journal import Journal, SyncPolicy

__all__ = ["Promises"]

ENDED_MAX = 10_000
"""Ends of orders kept from the journals while the state can't be written."""


class Promises:
    """The journals of a run's accounts, in its state folder."""

    def __init__(self, folder: Path, sync: SyncPolicy, *, epoch: int) -> None:
        self._folder = folder
        self._sync = sync
        self._epoch = epoch
        self._journals: dict[AccountId, Journal] = {}
        self._ended: deque[tuple[int, ClientId, OrderState, int]] = deque()
        """Orders that ended with executions, and when; the journal isn't told yet."""

    @property
    def entry_count(self) -> int:
        """Entries written by this run."""
        return sum(journal.entry_count for journal in self._journals.values())

    def open(self, account_id: AccountId, now_ns: int) -> Journal:
        """Open an account's journal; raises StorageError when it can't be believed."""
        journal = self._journals[account_id] = Journal(
            self._folder / f"journal-{account_id.venue}-{account_id.name}",
            account=str(account_id),
            epoch=self._epoch,
            now_ns=now_ns,
            sync=self._sync,
        )
        return journal

    def restored(self) -> list[PromisesRestored]:
        """Return what earlier runs promised and didn't live to see the end of, by account."""
        found = []
        for account_id, journal in self._journals.items():
            promised = tuple(
                PromisedOrder(
                    client_id=one.client_id,
                    instrument_id=one.instrument_id,
                    side=one.side,
                    size_units=one.size_units,
                    order_type=one.order_type,
                    price_units=one.price_units,
                    reduce_only=one.reduce_only,
                    leg=one.leg,
                    trigger_price_units=one.trigger_price_units,
                    stop_loss_price_units=one.stop_loss_price_units,
                    take_profit_price_units=one.take_profit_price_units,
                    planned=one.planned,
                    time_in_force=one.time_in_force,
                    post_only=one.post_only,
                    work=one.work,
                )
                for one in journal.open.values()
            )
            if promised:
                found.append(PromisesRestored(account_id=account_id, orders=promised))
        return found

    def end(self, notice: OrderNotice, engine: Engine) -> None:
        """Take in what a notice says, in case a promised order came to its end."""
        client_id = notice.client_id
        if client_id is None or notice.state not in FINAL_STATES:
            return
        state, filled_units = notice.state, notice.filled_units
        is_child = False
        record = engine.state.blotter.find_ours(client_id)
        if record is not None:
            if not record.is_settled:
                # The report that said filled may come before its executions: until they are here
                # a restart has to ask about it.
                return
            state, filled_units = record.order.state, record.order.filled_units
            is_child = record.order.parent_id is not None
        if filled_units or is_child:
            # Until the state on the disk holds what it made, a restart has to ask about it; and a
            # work that waits for its child there has to find it.
            self._ended.append((notice.now_ns, client_id, state, filled_units))
            if len(self._ended) > ENDED_MAX:
                self.settle(self._ended[0][0])
        else:
            self._settle(client_id, state, filled_units, notice.now_ns)

    def settle(self, until_ns: int) -> None:
        """Let the journals know of ends whose executions the written state holds."""
        while self._ended and self._ended[0][0] <= until_ns:
            now_ns, client_id, state, filled_units = self._ended.popleft()
            self._settle(client_id, state, filled_units, now_ns)

    def close(self) -> None:
        """Close the journals."""
        for journal in self._journals.values():
            journal.close()

    def _settle(
        self, client_id: ClientId, state: OrderState, filled_units: int, now_ns: int
    ) -> None:
        for journal in self._journals.values():
            journal.settle(client_id, state, filled_units, now_ns)
