"""Takes each safeguard away in turn and shows that a row of the fault campaign turns red.

`python -m tests.campaigns.mutants [NAME ...]`. A safeguard is replaced at run time, in this process
alone; no file is changed. A row that stays green without it proves nothing about it: that is a
failure here.
"""

import argparse
import asyncio
import fcntl
import sys
import time
from dataclasses import dataclass
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.campaigns.chaos.__main__ import load
from tests.campaigns.chaos.rows import ROWS, Result
from tickwright.core.commands import CancelAll, CancelOrder
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind
from tickwright.engine.evidence_desk import EvidenceDesk
from tickwright.engine.order_desk import OrderDesk
from tickwright.execution.blotter import Blotter
from tickwright.execution.client_ids import ClientIds
from tickwright.execution.request_budget import BudgetLimits, RequestBudget
from tickwright.feed.account_link import AccountLink
from tickwright.risk.bound_limits import BoundLimits
from tickwright.risk.protections import Protections
from tickwright.storage.fence import Fence, FenceState
from tickwright.storage.journal import Journal
from tickwright.venues.bybit.emergency import BybitEmergencyClient
from tickwright.venues.bybit.limits import VenueClock

__all__ = ["MUTANTS", "Mutant", "play"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A safeguard, where it sits, what takes its place, and the row that must notice."""

    name: str
    row: str
    owner: Any
    attribute: str
    instead: Any


def _ceiled(self: Instrument, value: Any, decimals: int, step: int, *, up: bool) -> int:
    return _ON_STEP(self, value, decimals, step, up=True)


_ON_STEP = Instrument._on_step


def _again(self: OrderDesk, record: Any) -> None:
    """Send the order once more instead of asking what became of it."""
    order = record.order
    if record.create.is_unknown and not record.query_due_ns:
        self.place(
            order.intent,
            size_units=order.size_units,
            strategy_id=order.strategy_id,
            account_id=order.account_id,
            cause_event_id=order.cause_event_id,
        )
    _CHASE(self, record)


_CHASE = OrderDesk.chase


def _first_owner(self: ClientIds, client_id: str | None) -> Any:
    return next(iter(self._owners.values()), None)


def _ageless(self: BoundLimits, *args: Any, **kwargs: Any) -> None:
    _BIND(self, *args, **kwargs)
    self.book_age_ns = 10**18


_BIND = BoundLimits.__init__


def _boundless(self: RequestBudget, *_: Any, **__: Any) -> None:
    _BUDGET(self, BudgetLimits(limit=10_000), learns=False)


_BUDGET = RequestBudget.__init__


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _yes(*_: Any, **__: Any) -> bool:
    return True


def _sent_first(self: AccountLink, command: Any) -> bool:
    """Let the bytes leave and write nothing down."""
    return True


def _fresh(*_: Any) -> float:
    """No heartbeat is ever old."""
    return 0.0


async def _unfiltered(self: BybitEmergencyClient) -> int:
    return await self._cancel_all("Order") + await self._cancel_all("StopOrder")


def _journal_first(self: AccountLink, command: Any) -> None:
    """Write a cancel down before it is sent."""
    if isinstance(command, (CancelOrder, CancelAll)):
        promise: Any = self._promise
        if not promise(command):
            return
    _EXECUTE(self, command)


_EXECUTE = AccountLink.execute


def _no(*_: Any, **__: Any) -> bool:
    return False


MUTANTS = (
    Mutant("dedupe by execution id", "R9", Blotter, "is_new_fill", _yes),
    Mutant("age check of the book", "R5", BoundLimits, "__init__", _ageless),
    Mutant("journal write before send", "R2", AccountLink, "_promise", _sent_first),
    Mutant("floor rounding of sizes and bids", "R11", Instrument, "_on_step", _ceiled),
    Mutant("query before a retry", "R1", OrderDesk, "chase", _again),
    Mutant("cancel of what a crash left", "R4", EvidenceDesk, "_leave_or_cancel", _nothing),
    Mutant("promises of an earlier run", "R4", EvidenceDesk, "on_promises", _nothing),
    Mutant("ends written to the journal", "R2", Journal, "settle", _nothing),
    Mutant("reading the account while trading", "R12", EvidenceDesk, "on_reconciliation", _nothing),
    Mutant("request budget", "R8", RequestBudget, "__init__", _boundless),
    Mutant("doubt of the clock", "R7", VenueClock, "distrust", _nothing),
    Mutant(
        "allow-list of rows that move a position",
        "R10",
        ExecutionKind,
        "moves_position",
        property(_yes),
    ),
    Mutant("breaker against order storms", "R20", Protections, "on_order", _nothing),
    Mutant("owner by the name of an order", "R24", ClientIds, "owner", _first_owner),
    Mutant("lease against a second instance", "R24", fcntl, "flock", _nothing),
    Mutant("age of an answer that knows no order", "R1", OrderDesk, "is_absence_proven", _yes),
    Mutant("fence before each send", "R21b", AccountLink, "_is_fenced", _no),
    Mutant("age of the last heartbeat", "R21b", FenceState, "silence_s", _fresh),
    Mutant("heartbeat of a living trader", "R21b", Fence, "beat", _nothing),
    Mutant(
        "filter of the kill's cancel-all", "R21b", BybitEmergencyClient, "cancel_all", _unfiltered
    ),
    Mutant("cancels that wait for no journal", "R21b", AccountLink, "execute", _journal_first),
    Mutant("a row that isn't booked isn't counted", "R23", Blotter, "refuse_fill", _nothing),
)


async def play(mutant: Mutant, *, seed: int = 1) -> Result:
    """Play a mutant's row at the small size."""
    # What its instances hold themselves isn't the class's: a property goes before it.
    original = vars(mutant.owner).get(mutant.attribute)
    setattr(mutant.owner, mutant.attribute, mutant.instead)
    try:
        return await ROWS[mutant.row].play("ci", Random(f"{seed} {mutant.row}"))
    finally:
        if original is None:
            delattr(mutant.owner, mutant.attribute)
        else:
            setattr(mutant.owner, mutant.attribute, original)


def first_words(result: Result) -> str:
    """What the row said of it."""
    if result.violations:
        return result.violations[0][:90]
    return "" if result.is_good else "its fault never struck"


def main() -> int:
    """Play the mutants; 1 when one of them lived."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="part of a safeguard's name")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    load()
    table = Table("safeguard taken away", "row", "violations", "the first of them", "took")
    survivors = []
    for mutant in MUTANTS:
        if chosen.names and not any(name in mutant.name for name in chosen.names):
            continue
        began = time.monotonic()
        try:
            result = asyncio.run(play(mutant, seed=chosen.seed))
            words, count = first_words(result), str(len(result.violations))
            is_dead = not result.is_good
        except Exception as error:  # noqa: BLE001 - however it ended, it was noticed
            words, count, is_dead = f"ended: {error!r}"[:90], "-", True
        if not is_dead:
            survivors.append(mutant.name)
        took = f"{time.monotonic() - began:.0f} s"
        table.add_row(mutant.name, mutant.row, count, words, took, style=None if is_dead else "red")
        sys.stdout.write(f"{mutant.name}: {'noticed' if is_dead else 'LIVED'} in {took}\n")
        sys.stdout.flush()
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
