"""Compares what a trader and its venue wrote down, by a ledger of its own; trusts neither side.

It reads files and nothing else: of the trader the journal, the session logs and the books it kept
at its end, of the venue its ledger as JSON. Nothing of the trader's judgement is used, so that a
fault in it can't hide itself: lines and numbers are read anew here, and the ledger is a few lines
of exact fractions. Only the segments of a session are unpacked by the trader's reader.
"""

import argparse
import binascii
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tickwright.storage.segments import REPEATED, read_segments

__all__ = [
    "Ledger",
    "TraderHistory",
    "VenueHistory",
    "compare",
    "inputs",
    "read_trader",
    "read_venue",
]

_INPUT, _BOOK = 3, 7
_MONEY = 10**18
_PREFIX, _CLIENT_ID_LENGTH = "tw", 26
_STATES = {
    "Filled": "filled",
    "Cancelled": "cancelled",
    "PartiallyFilledCanceled": "cancelled",
    "Deactivated": "cancelled",
    "Rejected": "rejected",
}
_MOVING = {"Trade", "BustTrade", "AdlTrade", "trade", "liquidation", "adl"}
_MONEY_ERROR_MAX = Fraction(1, 10**9)
"""The venue rounds averages at 18 decimals; here nothing is rounded."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One row: signed size, price, fee paid, cash received; exact."""

    execution_id: str
    symbol: str
    client_id: str
    kind: str
    size: Fraction
    price: Fraction
    fee: Fraction
    cash: Fraction
    at_ms: int

    @property
    def moves(self) -> bool:
        return self.kind in _MOVING


@dataclass(slots=True)
class Ledger:
    """Average cost, exactly: size and entry value by symbol, and sums of money."""

    sizes: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    entries: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    realised: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    funding: Fraction = Fraction(0)

    def take(self, row: Execution) -> None:
        """Fold one row."""
        self.fees += row.fee
        self.funding += row.cash
        if not row.moves:
            return
        held = self.sizes[row.symbol]
        if held * row.size >= 0:
            self.entries[row.symbol] += row.size * row.price
        else:
            # With the sign of what was held.
            closed = min(abs(row.size), abs(held)) * (1 if held > 0 else -1)
            cost = self.entries[row.symbol] * closed / held
            self.realised += closed * row.price - cost
            self.entries[row.symbol] -= cost
            rest = row.size + closed
            self.entries[row.symbol] += rest * row.price
        self.sizes[row.symbol] = held + row.size


def folded(rows: Iterable[Execution]) -> Ledger:
    """Fold executions in the order of their time, which is the venue's."""
    ledger = Ledger()
    for row in sorted(rows, key=lambda row: row.at_ms):
        ledger.take(row)
    return ledger


@dataclass(slots=True)
class Booked:
    """What the trader says it holds in one symbol, and what it made of it; exact.

    `is_whole` is False once the venue's size was taken in place of executions: their profit is not
    in these sums.
    """

    size_units: int = 0
    cost: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    funding: Fraction = Fraction(0)
    is_whole: bool = True


@dataclass(slots=True)
class TraderHistory:
    """What the trader wrote: promises with their time, ends, executions by id, evidence of none.

    `books` is None where what was kept last is of an earlier moment than the last execution.
    """

    promised_ns: dict[str, int] = field(default_factory=dict)
    promised_units: dict[str, int] = field(default_factory=dict)
    settled: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """Ends: state, units filled, when it was written."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """From when until when a session log goes: one that was killed loses its last moments."""
    executions: dict[str, Execution] = field(default_factory=dict)
    known_ns: dict[str, int] = field(default_factory=dict)
    """When an execution was first told."""
    apart: list[tuple[int, int]] = field(default_factory=list)
    """From when the private stream was lost until the account was read again."""
    disproved: set[str] = field(default_factory=set)
    books: dict[str, Booked] | None = None
    faults: list[str] = field(default_factory=list)
    size_decimals: dict[str, int] = field(default_factory=dict)
    price_decimals: dict[str, int] = field(default_factory=dict)

    def asked(self, order: dict[str, Any]) -> Fraction:
        """Return the size that was first asked for, of an order as the venue shows it."""
        decimals = self.size_decimals[order["symbol"]]
        return Fraction(self.promised_units.get(order["orderLinkId"], 0), 10**decimals)


@dataclass(slots=True)
class VenueHistory:
    """What the venue holds of one account."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    open_ids: set[str] = field(default_factory=set)
    executions: dict[str, Execution] = field(default_factory=dict)
    positions: dict[str, Fraction] = field(default_factory=dict)
    deposits: Fraction = Fraction(0)
    wallet: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    funding: Fraction = Fraction(0)
    faults: list[str] = field(default_factory=list)


# reading ------------------------------------------------------------------------------------------


def read_trader(state: Path, sessions: Sequence[Path]) -> TraderHistory:
    """Read every journal of a state folder and the session logs of its runs, oldest first."""
    found = TraderHistory()
    for folder in sorted(state.glob("journal-*")):
        for path in sorted(folder.glob("*.log")):
            _read_segment(path, found)
    for folder in sessions:
        first_ns = last_ns = 0
        for kind, now_ns, payload in _records(folder, found.faults):
            first_ns, last_ns = first_ns or now_ns, now_ns
            if kind == _BOOK:
                instrument = json.loads(payload)["instrument"]
                symbol = instrument["id"]["symbol"]
                found.size_decimals[symbol] = instrument["size_decimals"]
                found.price_decimals[symbol] = instrument["price_decimals"]
            elif kind == _INPUT:
                _read_input(json.loads(payload), now_ns, found)
        found.spans.append((first_ns, last_ns))
    _read_books(state, found)
    return found


def _read_books(state: Path, found: TraderHistory) -> None:
    """Read the books kept last, unless an execution was told after them: that run was killed."""
    path = state / "trading-state.json"
    if not path.exists():
        return
    kept = json.loads(path.read_bytes())["state"]
    if kept["risk"]["saved_ns"] < max(found.known_ns.values(), default=0):
        return
    found.books = {}
    for account in kept["ledger"]["accounts"]:
        for holding in account["holdings"]:
            booked = found.books.setdefault(holding["instrument_id"]["symbol"], Booked())
            for leg in holding["legs"]:
                position = leg["position"]
                booked.size_units += position["size_units"]
                booked.cost += Fraction(position["cost"], _MONEY)
                booked.realised += Fraction(position["realised"], _MONEY)
                booked.fees += Fraction(sum(position["fees"].values()), _MONEY)
                booked.funding += Fraction(position["funding"], _MONEY)
                booked.is_whole &= not leg["adopted_ns"]


def _read_segment(path: Path, found: TraderHistory) -> None:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        checksum, _, body = line.partition(b" ")
        if checksum != b"%08x" % binascii.crc32(body):
            if number < len(lines):
                found.faults.append(f"{path.name}: line {number} is damaged")
            return
        entry = json.loads(body)
        record = entry["record"]
        if record["type"] == "place":
            client_id = record["client_id"]
            if client_id in found.promised_ns:
                found.faults.append(f"{client_id} was promised twice")
            found.promised_ns[client_id] = entry["now_ns"]
            found.promised_units[client_id] = record["size_units"]
        elif record["type"] == "settled":
            end = (record["state"], record["filled_units"], entry["now_ns"])
            found.settled[record["client_id"]] = end


def _records(folder: Path, faults: list[str]) -> Iterator[tuple[int, int, bytes]]:
    if not (folder / "inputs-000001.tws").exists():
        return  # Killed before its log was begun.
    reader = read_segments(folder)
    for record in reader:
        if not record.flags & REPEATED:
            yield int(record.kind), record.now_ns, record.payload
    faults += [f"{skip.path}: {skip.reason} at byte {skip.position}" for skip in reader.skips]


def inputs(session: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the inputs of a session log with the times they were taken at."""
    for kind, now_ns, payload in _records(session, []):
        if kind == _INPUT:
            yield now_ns, json.loads(payload)


def _read_input(event: dict[str, Any], now_ns: int, found: TraderHistory) -> None:
    kind = event["type"]
    if kind == "fill":
        _read_fill(event, now_ns, found)
    elif kind == "sync_report":
        if found.apart and not found.apart[-1][1]:
            found.apart[-1] = (found.apart[-1][0], now_ns)
        for fill in event["fills"]:
            _read_fill(fill, now_ns, found)
    elif kind == "reconciliation":
        for fill in event["report"]["fills"]:
            _read_fill(fill, now_ns, found)
    elif kind == "connection" and event["channel"] == "private" and not event["is_up"]:
        if not found.apart or found.apart[-1][1]:
            found.apart.append((now_ns, 0))
    elif (
        kind == "order_absent"
        or (kind == "send_outcome" and event["request"] == "create" and not event["is_sent"])
        or (kind == "reply" and event["request"] == "create" and event["outcome"] == "refused")
    ):
        found.disproved.add(event["client_id"])


def _read_fill(event: dict[str, Any], now_ns: int, found: TraderHistory) -> None:
    symbol = event["instrument_id"]["symbol"]
    if symbol not in found.size_decimals:
        found.faults.append(f"an execution in {symbol}, of which no rules were written")
        return
    size = Fraction(event["side"] * event["size_units"], 10 ** found.size_decimals[symbol])
    row = Execution(
        execution_id=event["execution_id"],
        symbol=symbol,
        client_id=event["client_id"] or "",
        kind=event["kind"],
        size=size,
        price=Fraction(event["price_units"], 10 ** found.price_decimals[symbol]),
        fee=Fraction(event["fee"], _MONEY),
        cash=Fraction(event["cash"], _MONEY),
        at_ms=event["venue_ns"] // 1_000_000,
    )
    found.known_ns.setdefault(row.execution_id, now_ns)
    if row.kind == "other":
        # Of a kind nobody can book: it counts from when it is told as what it is.
        return
    known = found.executions.setdefault(row.execution_id, row)
    if known != row:
        found.faults.append(f"execution {row.execution_id} was told in two ways: {known}, {row}")


def read_venue(account: dict[str, Any]) -> VenueHistory:
    """Read an account of the venue's ledger."""
    found = VenueHistory()
    for row in [*account["closed_orders"], *account["open_orders"]]:
        name = row["orderLinkId"]
        if name and name in found.orders:
            found.faults.append(f"{name}: two orders of one id")
        found.orders[name or row["orderId"]] = row
    found.open_ids = {row["orderLinkId"] for row in account["open_orders"]}
    signs = {"Buy": 1, "Sell": -1}
    for row in reversed(account["executions"]):
        kind = row["execType"]
        is_funding = kind == "Funding"
        fee = Fraction(row["execFee"] or 0)
        found.executions[row["execId"]] = Execution(
            execution_id=row["execId"],
            symbol=row["symbol"],
            client_id=row["orderLinkId"],
            kind=kind,
            size=signs[row["side"]] * Fraction(row["execQty"]),
            price=Fraction(row["execPrice"]),
            fee=Fraction(0) if is_funding else fee,
            cash=-fee if is_funding else Fraction(0),
            at_ms=int(row["execTime"]),
        )
    for row in account["positions"]:
        if Fraction(row["size"]):
            found.positions[row["symbol"]] = signs[row["side"]] * Fraction(row["size"])
    for name in ("deposits", "wallet", "fees", "realised", "funding"):
        setattr(found, name, sum((Fraction(text) for text in account[name].values()), Fraction(0)))
    return found


# comparing ----------------------------------------------------------------------------------------


def compare(
    trader: TraderHistory,
    venue: VenueHistory,
    *,
    skew_ms: int = 1_000,
    was_killed: bool = False,
) -> list[str]:
    """Return everything in which the two histories differ; empty when they agree.

    `skew_ms` is how far the venue's clock may be behind the trader's; it stamps in its own steps.
    `was_killed` says that a session log may lack its last moments.
    """
    ours = {name for name in venue.orders if _is_ours(name)}
    # Within one millisecond only the venue knows which came first, and average cost depends on it.
    order = {name: number for number, name in enumerate(venue.executions)}
    told = sorted(trader.executions.values(), key=lambda row: order.get(row.execution_id, -1))
    return [
        *trader.faults,
        *venue.faults,
        *_orders(trader, venue, ours, skew_ms),
        *_executions(trader, venue, ours),
        *_money(folded(told), venue, "the trader's"),
        *_money(folded(venue.executions.values()), venue, "the venue's"),
        *_booked(trader, venue, was_killed=was_killed),
    ]


def _is_ours(name: str) -> bool:
    return len(name) == _CLIENT_ID_LENGTH and name.startswith(_PREFIX) and name.isalnum()


def _orders(
    trader: TraderHistory, venue: VenueHistory, ours: set[str], skew_ms: int
) -> Iterator[str]:
    for name in sorted(ours):
        row = venue.orders[name]
        promised_ns = trader.promised_ns.get(name)
        if promised_ns is None:
            yield f"{name} is at the venue and was never promised"
            continue
        if promised_ns // 1_000_000 > int(row["createdTime"]) + skew_ms:
            yield f"{name} was promised after the venue had it"
        if name in venue.open_ids:
            continue
        settled = trader.settled.get(name)
        if settled is None:
            yield f"{name} ended as {row['orderStatus']} and the trader doesn't know"
            continue
        state, filled_units, _ = settled
        filled = Fraction(filled_units, 10 ** trader.size_decimals[row["symbol"]])
        if _STATES.get(row["orderStatus"]) not in (state, None) and not (
            # Two words of the venue for one end.
            {state, _STATES[row["orderStatus"]]} <= {"cancelled", "expired", "rejected"}
        ):
            yield f"{name} ended as {row['orderStatus']}, here as {state}"
        if filled != Fraction(row["cumExecQty"]):
            yield f"{name} filled {row['cumExecQty']}, here {float(filled)}"
    for name, promised_ns in trader.promised_ns.items():
        for down_ns, read_ns in trader.apart:
            if down_ns < promised_ns < (read_ns or promised_ns):
                yield f"{name} was promised while the private stream was lost"
    for name in sorted(set(trader.promised_ns) - ours):
        settled = trader.settled.get(name)
        if settled is None or name in trader.disproved:
            continue
        if any(first_ns <= settled[2] <= last_ns for first_ns, last_ns in trader.spans):
            yield f"{name} was promised, never booked, and ended here without evidence"


def _executions(trader: TraderHistory, venue: VenueHistory, ours: set[str]) -> Iterator[str]:
    for name, row in venue.executions.items():
        held = trader.executions.get(name)
        if held is None:
            yield f"execution {name} of {row.client_id or 'nobody'} is unknown to the trader"
        elif (held.size, held.price, held.fee, held.cash) != (
            (row.size, row.price, row.fee, row.cash)
            if row.moves
            # A row that moves no size has none to agree on.
            else (held.size, held.price, row.fee, row.cash)
        ):
            yield f"execution {name} differs: {row} at the venue, {held} here"
    for name in trader.executions.keys() - venue.executions.keys():
        yield f"execution {name} was never made by the venue"
    for name in sorted(ours):
        made = sum(
            (abs(row.size) for row in venue.executions.values() if row.client_id == name),
            Fraction(0),
        )
        if made != Fraction(venue.orders[name]["cumExecQty"]):
            yield f"{name}: executions of {float(made)}, cumulative {venue.orders[name]}"


def _money(ledger: Ledger, venue: VenueHistory, whose: str) -> Iterator[str]:
    sizes = {symbol: size for symbol, size in ledger.sizes.items() if size}
    if sizes != venue.positions:
        yield f"positions by {whose} executions: {_shown(sizes)}, held {_shown(venue.positions)}"
    for name in ("fees", "realised", "funding"):
        made, held = getattr(ledger, name), getattr(venue, name)
        if abs(made - held) > _MONEY_ERROR_MAX:
            yield f"{name} by {whose} executions: {float(made)}, booked {float(held)}"
    wallet = venue.deposits + ledger.realised + ledger.funding - ledger.fees
    if abs(wallet - venue.wallet) > _MONEY_ERROR_MAX:
        yield f"wallet by {whose} executions: {float(wallet)}, booked {float(venue.wallet)}"


def _booked(trader: TraderHistory, venue: VenueHistory, *, was_killed: bool) -> Iterator[str]:
    """What the trader says it holds and made, beside what it was told: told is not booked yet.

    A row told late is folded late, so that profit falls to another fill than at the venue; what was
    paid and got in all is the same in any order.
    """
    if trader.books is None:
        return
    ledger = Ledger()
    for row in trader.executions.values():
        ledger.take(row)
    sizes = {
        symbol: Fraction(booked.size_units, 10 ** trader.size_decimals[symbol])
        for symbol, booked in trader.books.items()
        if booked.size_units
    }
    if sizes != venue.positions:
        yield f"positions in the trader's books: {_shown(sizes)}, held {_shown(venue.positions)}"
    books = trader.books.values()
    if not all(booked.is_whole for booked in books):
        return
    paid = sum((row.size * row.price for row in venue.executions.values() if row.moves), Fraction())
    kept = sum((booked.cost - booked.realised for booked in books), Fraction())
    if abs(kept - paid) > _MONEY_ERROR_MAX:
        yield f"the trader's books paid {float(kept)} for what it holds, in fact {float(paid)}"
    for name in ("fees", "funding") if was_killed else ("fees", "funding", "realised"):
        kept, told = sum(getattr(booked, name) for booked in books), getattr(ledger, name)
        if abs(kept - told) > _MONEY_ERROR_MAX:
            yield f"{name} in the trader's books: {float(kept)}, by what it was told {float(told)}"


def _shown(sizes: dict[str, Fraction]) -> dict[str, str]:
    return {
        symbol: str(Decimal(size.numerator) / Decimal(size.denominator))
        for symbol, size in sizes.items()
    }


def main() -> int:
    """`python -m tests.campaigns.history STATE LEDGER.json SESSION ...`: 1 when they differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.history", description=__doc__)
    parser.add_argument("state", type=Path, help="the trader's state folder")
    parser.add_argument("ledger", type=Path, help="the venue's /control/ledger as a file")
    parser.add_argument("sessions", type=Path, nargs="+", help="session folders, oldest first")
    parser.add_argument("--was-killed", action="store_true", help="a session ended by SIGKILL")
    chosen = parser.parse_args()
    account = json.loads(chosen.ledger.read_text())["accounts"][0]
    trader, venue = read_trader(chosen.state, chosen.sessions), read_venue(account)
    differences = compare(trader, venue, was_killed=chosen.was_killed)
    for difference in differences:
        sys.stdout.write(f"{difference}\n")
    sys.stdout.write(
        f"{len(venue.orders)} orders, {len(venue.executions)} executions, "
        f"{len(differences)} differences\n"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
