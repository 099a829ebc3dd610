"""Owns an index over a journal's segments: which orders were promised, where, and their ends.

It is derived: delete it and it is built anew, and so it is when it can't be read, is of another
version or of another journal. Only what was appended since the last look is read. It stands beside
the trader's folder, never in it, and refuses to touch a segment; where it can't be written it is
made in memory for the one look.
"""

import binascii
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tickwright.core.commands import AmendOrder, CancelAll, CancelOrder, PlaceOrder
from tickwright.core.errors import StorageError
from tickwright.storage.journal import (
    JournalEntry,
    Opened,
    Settled,
    read_entries,
    segments,
)

__all__ = ["IndexedOrder", "JournalIndex", "index_path"]

VERSION = 1
ORDERS_MAX = 500_000
"""Orders kept; beyond it those that ended longest ago leave."""
_TRIM_EVERY = 10_000
_BUSY_S = 5.0
"""How long one look waits for another."""
_SCHEMA = """
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
    client_id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    venue TEXT NOT NULL,
    category TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side INTEGER NOT NULL,
    order_type TEXT NOT NULL,
    size_units INTEGER NOT NULL,
    price_units INTEGER,
    trigger_price_units INTEGER,
    reduce_only INTEGER NOT NULL,
    promised_ns INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    segment TEXT NOT NULL,
    offset INTEGER NOT NULL,
    amends INTEGER NOT NULL DEFAULT 0,
    cancels INTEGER NOT NULL DEFAULT 0,
    asked_ns INTEGER,
    state TEXT NOT NULL DEFAULT '',
    filled_units INTEGER,
    settled_ns INTEGER
) WITHOUT ROWID;
CREATE INDEX orders_by_time ON orders (promised_ns);
CREATE INDEX orders_open ON orders (promised_ns) WHERE state = '';
CREATE TABLE entries (
    number INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    segment TEXT NOT NULL,
    offset INTEGER NOT NULL,
    now_ns INTEGER NOT NULL,
    PRIMARY KEY (client_id, number)
) WITHOUT ROWID;
"""
_COLUMNS = (
    "client_id, account, strategy_id, venue, category, symbol, side, order_type, size_units, "
    "price_units, trigger_price_units, reduce_only, promised_ns, epoch, number, segment, offset, "
    "amends, cancels, asked_ns, state, filled_units, settled_ns"
)


class IndexedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One promised order. `state` is "" while the journal knows no end of it.

    `side` is 1 for buy, -1 for sell. `segment` and `offset` say where its promise stands; an order
    known by a segment's head alone, because older segments are gone, has that head's time. What was
    asked of all orders at once (cancel-all) isn't counted in `cancels`.
    """

    client_id: str
    account: str
    strategy_id: str
    venue: str
    category: str
    symbol: str
    side: int
    order_type: str
    size_units: int
    price_units: int | None
    trigger_price_units: int | None
    reduce_only: bool
    promised_ns: int
    epoch: int
    number: int
    segment: str
    offset: int
    amends: int
    cancels: int
    asked_ns: int | None
    state: str
    filled_units: int | None
    settled_ns: int | None

    @property
    def is_open(self) -> bool:
        """Whether nobody wrote down how it ended."""
        return not self.state


def index_path(state_folder: Path, journal: Path) -> Path:
    """Return where the index of a journal stands: beside the trader's folder."""
    return state_folder.parent / "index" / f"{state_folder.name}-{journal.name}.sqlite"


class JournalIndex:
    """The orders of one journal; close it after the look.

    `path` None keeps it in memory.
    """

    def __init__(self, journal: Path, path: Path | None) -> None:
        self.journal = journal
        self.fault = ""
        """Why the journal can't be read to its end; the rest is as good as it gets."""
        self.rebuilt = ""
        """Why what was there before was thrown away; empty when it was not."""
        base = _opened(path)
        if base is None:
            self.rebuilt = "it can't be used; made in memory for this look"
            base = _in_memory()
        self._base: sqlite3.Connection = base

    def __enter__(self) -> "JournalIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    # reading the journal ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what was appended since the last look; a damaged place ends it (`fault`)."""
        try:
            self._refresh()
        except sqlite3.Error as error:
            # Damaged, full, or taken by another look for too long: this one is made in memory.
            self.rebuilt = f"{error}; made in memory for this look"
            self._base.close()
            self._base = _in_memory()
            self._refresh()

    def _refresh(self) -> None:
        base = self._base
        self.fault = ""
        base.execute("BEGIN IMMEDIATE")
        try:
            kept = segments(self.journal)
            last, offset, expected = self._place(kept)
            for path in kept:
                if path.name < last:
                    continue
                is_same = path.name == last
                self._take_segment(
                    path, offset if is_same else 0, expected if is_same else int(path.stem)
                )
                if self.fault:
                    break
            base.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                base.execute("ROLLBACK")
            raise

    def _place(self, kept: list[Path]) -> tuple[str, int, int]:
        """Return segment, byte and number to go on from; forget everything if it is another's."""
        held = dict(self._base.execute("SELECT key, value FROM state"))
        if not held:
            return "", 0, 0
        name, offset, head = held["segment"], int(held["offset"]), held["head"]
        path = self.journal / name
        reason = ""
        if path not in kept:
            if not kept or kept[-1].name < name:
                reason = "the journal was replaced"
        elif _head_of(path) != head or path.stat().st_size < offset - 1:
            reason = "the journal was replaced"
        if reason:
            self.rebuilt = reason
            for table in ("state", "orders", "entries"):
                self._base.execute(f"DELETE FROM {table}")
            return "", 0, 0
        return name, offset, int(held["expected"])

    def _take_segment(self, path: Path, offset: int, expected: int) -> None:
        count = 0
        following, number = offset, expected
        try:
            for at, entry in read_entries(path, offset=offset, expected=expected):
                self._take(path.name, at, entry)
                count += 1
                number = entry.number + 1
                following = at
                if count % _TRIM_EVERY == 0:
                    self._trim()
        except StorageError as error:
            self.fault = str(error)
        if count:
            # The last entry's length is known by reading it again: lines carry none.
            with path.open("rb") as file:
                file.seek(following)
                following += len(file.readline().rstrip(b"\n")) + 1
        self._trim()
        place = {
            "segment": path.name,
            "offset": str(following),
            "expected": str(number),
            "head": _head_of(path),
        }
        self._base.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", place.items())

    def _take(self, segment: str, at: int, entry: JournalEntry) -> None:
        record, base = entry.record, self._base
        if isinstance(record, Opened):
            for promise in record.open_promises:
                self._add(promise, segment, at, entry)
            return
        client_id = "" if isinstance(record, CancelAll) else record.client_id
        if isinstance(record, PlaceOrder):
            self._add(record, segment, at, entry)
        elif isinstance(record, Settled):
            base.execute(
                "UPDATE orders SET state = ?, filled_units = ?, settled_ns = ? WHERE client_id = ?",
                (record.state.value, record.filled_units, entry.now_ns, client_id),
            )
        elif isinstance(record, (AmendOrder, CancelOrder)):
            column = "amends" if isinstance(record, AmendOrder) else "cancels"
            base.execute(
                f"UPDATE orders SET {column} = {column} + 1, asked_ns = ? WHERE client_id = ?",
                (entry.now_ns, client_id),
            )
        base.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
            (entry.number, client_id, segment, at, entry.now_ns),
        )

    def _add(self, order: PlaceOrder, segment: str, at: int, entry: JournalEntry) -> None:
        where = order.instrument_id
        values = (
            order.client_id,
            str(order.account_id),
            order.strategy_id,
            where.venue,
            where.category.value,
            where.symbol,
            int(order.side),
            order.order_type.value,
            order.size_units,
            order.price_units,
            order.trigger_price_units,
            int(order.reduce_only),
            entry.now_ns,
            entry.epoch,
            entry.number,
            segment,
            at,
        )
        self._base.execute(
            "INSERT OR IGNORE INTO orders (client_id, account, strategy_id, venue, category, "
            "symbol, side, order_type, size_units, price_units, trigger_price_units, reduce_only, "
            "promised_ns, epoch, number, segment, offset) VALUES "
            f"({', '.join('?' * len(values))})",
            values,
        )

    def _trim(self) -> None:
        (count,) = self._base.execute("SELECT COUNT(*) FROM orders").fetchone()
        if count <= ORDERS_MAX:
            return
        self._base.execute(
            "DELETE FROM orders WHERE client_id IN (SELECT client_id FROM orders "
            "WHERE state != '' ORDER BY promised_ns LIMIT ?)",
            (count - ORDERS_MAX,),
        )
        self._base.execute(
            "DELETE FROM entries WHERE client_id != '' "
            "AND client_id NOT IN (SELECT client_id FROM orders)"
        )
        self._base.execute(
            "DELETE FROM entries WHERE client_id = '' "
            "AND now_ns < (SELECT MIN(promised_ns) FROM orders)"
        )

    # asking -----------------------------------------------------------------------------------

    def orders(
        self,
        *,
        is_open: bool = False,
        strategy_id: str | None = None,
        symbol: str | None = None,
        last: int | None = None,
    ) -> tuple[IndexedOrder, ...]:
        """Return the promised orders, oldest first; of `last`, the newest so many."""
        wanted: list[str] = []
        values: list[object] = []
        if is_open:
            wanted.append("state = ''")
        for column, value in (("strategy_id", strategy_id), ("symbol", symbol)):
            if value is not None:
                wanted.append(f"{column} = ?")
                values.append(value)
        where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        values.append(-1 if last is None else last)
        rows = self._base.execute(
            f"SELECT {_COLUMNS} FROM orders{where} ORDER BY promised_ns DESC, number DESC LIMIT ?",
            values,
        ).fetchall()
        return tuple(_order(row) for row in reversed(rows))

    def order(self, client_id: str) -> IndexedOrder | None:
        """Return one order by its whole id."""
        row = self._base.execute(
            f"SELECT {_COLUMNS} FROM orders WHERE client_id = ?",
            (client_id,),
        ).fetchone()
        return None if row is None else _order(row)

    def beginning_with(self, prefix: str, *, at_most: int) -> tuple[str, ...]:
        """Return ids that begin so, at most so many."""
        rows = self._base.execute(
            "SELECT client_id FROM orders WHERE client_id >= ? AND client_id < ? "
            "ORDER BY client_id LIMIT ?",
            (prefix, prefix + "\U0010ffff", at_most),
        )
        return tuple(name for (name,) in rows)

    def newest_ids(self, at_most: int) -> tuple[str, ...]:
        """Return the ids promised last."""
        rows = self._base.execute(
            "SELECT client_id FROM orders ORDER BY promised_ns DESC LIMIT ?", (at_most,)
        )
        return tuple(name for (name,) in rows)

    @property
    def order_count(self) -> int:
        """How many orders it knows."""
        (count,) = self._base.execute("SELECT COUNT(*) FROM orders").fetchone()
        return int(count)

    @property
    def open_count(self) -> int:
        """How many of them have no end in the journal."""
        (count,) = self._base.execute("SELECT COUNT(*) FROM orders WHERE state = ''").fetchone()
        return int(count)

    def entries_of(self, order: IndexedOrder) -> Iterator[JournalEntry]:
        """Yield what the journal says of one order, oldest first, cancel-alls in its life too.

        Read from the segments themselves, checksums and all. What stands in a segment that is gone
        is left out.
        """
        until_ns = 2**63 - 1 if order.settled_ns is None else order.settled_ns
        rows = self._base.execute(
            "SELECT segment, offset, number FROM entries WHERE client_id = ? "
            "OR (client_id = '' AND now_ns BETWEEN ? AND ?) ORDER BY number",
            (order.client_id, order.promised_ns, until_ns),
        ).fetchall()
        for segment, offset, number in rows:
            path = self.journal / segment
            if path.exists():
                yield from _single(path, offset, number)


def _single(path: Path, offset: int, number: int) -> Iterator[JournalEntry]:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(offset)
        line = file.readline().rstrip(b"\n")
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            if int(line[:8], 16) == binascii.crc32(line[9:]):
                entry = msgspec.json.decode(line[9:], type=JournalEntry)
                if entry.number == number:
                    yield entry


def _order(row: Sequence[object]) -> IndexedOrder:
    return msgspec.convert(
        dict(zip((name.strip() for name in _COLUMNS.split(",")), row, strict=True)),
        IndexedOrder,
        strict=False,
    )


def _head_of(path: Path) -> str:
    """Return what tells one journal's segment from another's of the same name."""
    try:
        with path.open("rb") as file:
            return file.read(8).decode("ascii", "replace")
    except OSError:
        return ""


def _in_memory() -> sqlite3.Connection:
    base = _opened(None)
    assert base is not None, "memory can always be had"
    return base


def _opened(path: Path | None) -> sqlite3.Connection | None:
    """Open the file, made anew where it isn't a whole index of this version; None when it can't be.

    Nothing waits for the disk: what is lost is built again.
    """
    for attempt in range(2):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(
                ":memory:" if path is None else path, timeout=_BUSY_S, isolation_level=None
            )
        except (OSError, sqlite3.Error):
            return None
        try:
            base.execute("PRAGMA synchronous = OFF")
            base.execute("PRAGMA journal_mode = MEMORY")
            (version,) = base.execute("PRAGMA user_version").fetchone()
            (tables,) = base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            if not tables:
                base.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
                version = VERSION
            if version == VERSION:
                base.execute("SELECT COUNT(*) FROM state").fetchone()
                return base
        except sqlite3.OperationalError:
            # Taken by another look, or not ours to write: this look makes its own.
            base.close()
            return None
        except sqlite3.DatabaseError:
            pass
        base.close()
        if path is None or attempt:
            return None
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return None
    return None
