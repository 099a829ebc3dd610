"""Owns knowing what a lake holds, and showing it to SQL; refuses files without their note.

The views of a connection: one per table with the numbers as they are stored, and one more with
`_decimal` behind its name in which prices and sizes are exact DECIMALs.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.manifest import NOTES, PartitionNote, decode_partition
from tickwright.storage.lake.schema import Table, schema_of
from tickwright.storage.lake.store import LakeStore

if TYPE_CHECKING:
    import duckdb

__all__ = ["Catalogue", "missing_days"]

_PRICES = frozenset("price trigger_price open_price high_price low_price close_price".split())
_SIZES = frozenset("size filled_size volume_size".split())
_PRICE_LISTS = frozenset({"bid_prices", "ask_prices"})
_SIZE_LISTS = frozenset({"bid_sizes", "ask_sizes"})


class Catalogue:
    """The whole files of a lake, as they were when it was made.

    Raises:
        StorageError: a note is damaged or of a newer format.
    """

    def __init__(self, store: LakeStore) -> None:
        self.store = store
        found: list[PartitionNote] = []
        for name in store.names(NOTES):
            raw = store.read(name)
            if raw is not None:
                found.append(decode_partition(raw, name))
        found.sort(key=lambda note: (note.first_ns, note.file))
        self._notes = found

    def notes(
        self, table: Table | None = None, instrument_id: InstrumentId | None = None
    ) -> list[PartitionNote]:
        """Return the files of a table and instrument, by their first row."""
        return [
            note
            for note in self._notes
            if (table is None or note.table is table)
            and (instrument_id is None or note.instrument_id == instrument_id)
        ]

    def local(self, note: PartitionNote) -> Path:
        """Return where a file can be read on this machine."""
        return self.store.local(note.file)

    def connect(self) -> "duckdb.DuckDBPyConnection":
        """Return a DuckDB connection with a view per table and one more with decimals."""
        import duckdb

        connection = duckdb.connect()
        for table in Table:
            notes = self.notes(table)
            if notes:
                connection.execute(f"CREATE VIEW {table.value} AS {self._plain(notes)}")
                groups: dict[tuple[int, int], list[PartitionNote]] = {}
                for note in notes:
                    groups.setdefault((note.price_decimals, note.size_decimals), []).append(note)
                parts = [
                    self._decimal(table, prices, sizes, group)
                    for (prices, sizes), group in sorted(groups.items())
                ]
                connection.execute(
                    f"CREATE VIEW {table.value}_decimal AS " + " UNION ALL BY NAME ".join(parts)
                )
            else:
                _add_empty(connection, table)
        return connection

    def _plain(self, notes: Iterable[PartitionNote]) -> str:
        files = ", ".join(_quoted(str(self.local(note))) for note in notes)
        return (
            f"SELECT * FROM read_parquet([{files}], hive_partitioning = true, "
            "hive_types = {venue: VARCHAR, category: VARCHAR, symbol: VARCHAR, date: DATE})"
        )

    def _decimal(self, table: Table, prices: int, sizes: int, notes: list[PartitionNote]) -> str:
        shown = []
        for one in schema_of(table):
            name = one.name
            if name in _PRICES or name in _PRICE_LISTS:
                shown.append(_scaled(name, prices, is_list=name in _PRICE_LISTS))
            elif name in _SIZES or name in _SIZE_LISTS:
                shown.append(_scaled(name, sizes, is_list=name in _SIZE_LISTS))
            elif name not in ("price_decimals", "size_decimals"):
                shown.append(name)
        words = ", ".join([*shown, "venue", "category", "symbol", "date"])
        return f"SELECT {words} FROM ({self._plain(notes)})"


def missing_days(dates: Iterable[str]) -> list[str]:
    """Return the days between the first and the last that aren't there."""
    held = {date.fromisoformat(one) for one in dates}
    if not held:
        return []
    first, last = min(held), max(held)
    days = (first + timedelta(days=n) for n in range((last - first).days))
    return [day.isoformat() for day in days if day not in held]


def _scaled(name: str, decimals: int, *, is_list: bool) -> str:
    # A product of decimals is exact; a quotient would be a float.
    unit = "1" if not decimals else "0." + "1".rjust(decimals, "0")
    factor = f"{unit}::DECIMAL({decimals + 1}, {decimals})"
    if is_list:
        return f"list_transform({name}, lambda x: x::DECIMAL(19, 0) * {factor}) AS {name}"
    return f"{name}::DECIMAL(19, 0) * {factor} AS {name}"


def _add_empty(connection: Any, table: Table) -> None:
    import pyarrow as pa

    schema = schema_of(table)
    for name in ("venue", "category", "symbol"):
        schema = schema.append(pa.field(name, pa.string()))
    schema = schema.append(pa.field("date", pa.date32()))
    for name in (table.value, f"{table.value}_decimal"):
        connection.register(name, schema.empty_table())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
