"""Owns comparing what was promised with what a venue shows open; refuses to send any order.

The venue is read before the journal is looked at again: whatever it showed of ours had been
promised by then.
"""

from collections.abc import Sequence

import msgspec

from tickwright.app.kill_target import KillTarget
from tickwright.app.trader_folder import TraderFolder
from tickwright.app.venue_questions import Asked, asking
from tickwright.core.commands import QueryOrder
from tickwright.core.errors import (
    ConfigError,
    ConnectionLost,
    FrameError,
    InstrumentUnknown,
    VenueError,
)
from tickwright.core.events import OrderReport
from tickwright.core.identity import Category, ClientId, InstrumentId
from tickwright.core.orders import FINAL_STATES, Fill
from tickwright.execution.client_ids import ClientIds
from tickwright.storage.journal_index import IndexedOrder, JournalIndex

__all__ = ["VenueAccountOrders", "VenueOrderLine", "look_at_venues"]

ASKED_MAX = 50
"""Promised orders without an end that a venue is asked about one by one."""
_CATEGORIES = (Category.LINEAR, Category.SPOT)
_ALIKE = frozenset({"agrees", "held", "foreign"})
_FAULTS = (ConnectionLost, FrameError, VenueError, InstrumentUnknown)


class VenueOrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the venue and the journal see it; `verdict` says how they go together.

    `agrees`: promised, and open at the venue. `held`: a position's own stop or take profit.
    `foreign`: not ours. `ended_here`: the journal wrote its end, and the venue shows it open.
    `unknown`: our form of id, and no promise of it (another journal's, or this one was lost).
    `ended_there`: promised without an end, and the venue shows how it ended. `absent`: promised
    without an end, and the venue has never heard of it. `unasked`: the question failed, or there
    were too many.
    """

    verdict: str
    client_id: str
    venue_id: str
    instrument: str
    side: str
    state: str
    size: str
    filled: str
    price: str
    words: str = ""


class VenueAccountOrders(msgspec.Struct, frozen=True, kw_only=True):
    """One account at its venue. `fault` says why it couldn't be asked; then nothing is known."""

    account: str
    orders: tuple[VenueOrderLine, ...] = ()
    fault: str = ""

    @property
    def differences(self) -> int:
        """Orders that the journal and the venue don't see alike; foreign ones are nobody's."""
        return sum(one.verdict not in _ALIKE for one in self.orders)


async def look_at_venues(where: TraderFolder, target: KillTarget) -> list[VenueAccountOrders]:
    """Ask every account's venue what is open, and compare; questions alone leave."""
    found = []
    for name in target.keys:
        venue = where.file.venues[where.file.accounts[name].venue].kind
        account = f"{venue}:{name}"
        journal = where.journals()[account]
        with where.index(journal) as index:
            before = index.orders(is_open=True)
        try:
            async with asking(target, name) as asked:
                reports = await _open_at(asked)
                with where.index(journal) as index:
                    lines = [_shown(asked, one, index) for one in reports]
                shown = {one.client_id for one in reports}
                lines += await _missing(asked, [o for o in before if o.client_id not in shown])
        except (*_FAULTS, ConfigError) as error:
            where_from = "" if name not in target.inside else "it lives inside a run: "
            found.append(VenueAccountOrders(account=account, fault=f"{where_from}{error}"))
        else:
            found.append(VenueAccountOrders(account=account, orders=tuple(lines)))
    return found


async def _open_at(asked: Asked) -> list[OrderReport]:
    await asked.kit.measure_clock()
    reports: list[OrderReport] = []
    client = asked.client()
    for category in _CATEGORIES:
        await asked.read_instruments(category)
        reports += await client.open_orders(category)
    return reports


def _shown(asked: Asked, report: OrderReport, index: JournalIndex) -> VenueOrderLine:
    """Say what an order that is open at the venue is to us."""
    client_id = report.client_id or ""
    order = index.order(client_id) if client_id else None
    parent = index.order(report.parent_id) if report.parent_id else None
    if order is not None:
        verdict = "agrees" if order.is_open else "ended_here"
        words = "" if order.is_open else f"the journal says {order.state}"
    elif parent is not None:
        verdict, words = "agrees", f"held by the venue for {parent.client_id}"
    elif ClientIds.is_ours(client_id):
        verdict, words = "unknown", "an id of our form that this journal never promised"
    elif not client_id and report.is_conditional and report.reduce_only:
        verdict, words = "held", "a stop or take profit of the position, held by the venue"
    else:
        verdict, words = "foreign", "placed by somebody else, or by the venue"
    return _line(asked, verdict, report, words)


async def _missing(asked: Asked, orders: Sequence[IndexedOrder]) -> list[VenueOrderLine]:
    """Ask what became of promised orders that the venue doesn't show open."""
    lines = []
    client = asked.client()
    for number, order in enumerate(orders):
        if number >= ASKED_MAX:
            lines.append(_promised(order, "unasked", f"more than {ASKED_MAX} have no end"))
            continue
        where = InstrumentId(order.venue, Category(order.category), order.symbol)
        query = QueryOrder(
            account_id=asked.account_id,
            client_id=ClientId(order.client_id),
            instrument_id=where,
            event_id=0,
        )
        try:
            evidence = await client.query_order(query)
        except _FAULTS as error:
            lines.append(_promised(order, "unasked", str(error)))
            continue
        reports = [one for one in evidence if isinstance(one, OrderReport)]
        if reports:
            verdict = "ended_there" if reports[-1].state in FINAL_STATES else "agrees"
            lines.append(_line(asked, verdict, reports[-1], ""))
        elif any(isinstance(one, Fill) for one in evidence):
            lines.append(_promised(order, "ended_there", "only its executions are known"))
        else:
            words = "neither in open orders nor in history nor in executions"
            lines.append(_promised(order, "absent", words))
    return lines


def _line(asked: Asked, verdict: str, report: OrderReport, words: str) -> VenueOrderLine:
    instrument = asked.instruments[report.instrument_id]
    price = report.price_units
    return VenueOrderLine(
        verdict=verdict,
        client_id=report.client_id or "",
        venue_id=report.venue_id,
        instrument=str(report.instrument_id),
        side="buy" if report.side > 0 else "sell",
        state=report.state.value,
        size=instrument.size_text(report.size_units),
        filled=instrument.size_text(report.filled_units),
        price="" if not price else instrument.price_text(price),
        words=words,
    )


def _promised(order: IndexedOrder, verdict: str, words: str) -> VenueOrderLine:
    return VenueOrderLine(
        verdict=verdict,
        client_id=order.client_id,
        venue_id="",
        instrument=f"{order.venue}:{order.category}:{order.symbol}",
        side="buy" if order.side > 0 else "sell",
        state="",
        size="",
        filled="",
        price="",
        words=words,
    )
