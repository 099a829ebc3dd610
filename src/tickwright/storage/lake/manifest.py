"""Owns the notes beside a lake's files: what is whole, and where it came from.

A file without its note is not part of the lake: the note is written last, so nothing half written
ever looks whole. Refuses notes of a newer format.
"""

from urllib.parse import quote

import msgspec

from tickwright.core.errors import StorageError
from tickwright.core.identity import Category, InstrumentId
from tickwright.storage.lake.schema import FORMAT, Table

__all__ = [
    "PartitionNote",
    "Source",
    "SourceNote",
    "decode_partition",
    "decode_source",
    "note_name",
    "partition_folder",
    "source_name",
]

NOTES = "_notes"
SOURCES = "_sources"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows come from. `key` is its identity, `checksum` (SHA-256) what it held when read."""

    key: str
    checksum: str
    kind: str
    name: str


class PartitionNote(msgspec.Struct, frozen=True, kw_only=True):
    """One whole file of the lake. `first_ns` and `last_ns` are when we received, else the venue's.

    `levels` counts the price levels of book rows.
    """

    format: int
    table: Table
    venue: str
    category: str
    symbol: str
    date: str
    file: str
    rows: int
    levels: int
    bytes: int
    first_ns: int
    last_ns: int
    price_decimals: int
    size_decimals: int
    source: Source

    @property
    def instrument_id(self) -> InstrumentId:
        """Whose rows these are."""
        return InstrumentId(self.venue, Category(self.category), self.symbol)


class SourceNote(msgspec.Struct, frozen=True, kw_only=True):
    """One source that is in the lake whole, and what was noticed in it."""

    format: int
    source: Source
    rows: int
    files: list[str]
    remarks: list[str]


def partition_folder(table: Table, instrument_id: InstrumentId, date: str) -> str:
    """Return the folder of a partition, in the form every reader of Parquet knows."""
    return (
        f"{table.value}/venue={quote(instrument_id.venue, safe='')}"
        f"/category={instrument_id.category.value}"
        f"/symbol={quote(instrument_id.symbol, safe='')}/date={date}"
    )


def note_name(file: str) -> str:
    """Return where the note of a file stands."""
    return f"{NOTES}/{file.removesuffix('.parquet')}.json"


def source_name(key: str) -> str:
    """Return where the note of a source stands."""
    return f"{SOURCES}/{key}.json"


def decode_partition(raw: bytes, name: str) -> PartitionNote:
    """Read a file's note; raises StorageError."""
    try:
        note = msgspec.json.decode(raw, type=PartitionNote)
    except msgspec.MsgspecError as error:
        raise StorageError(f"the lake's note {name} is damaged: {error}") from None
    _check(note.format, name)
    return note


def decode_source(raw: bytes, name: str) -> SourceNote:
    """Read a source's note; raises StorageError."""
    try:
        note = msgspec.json.decode(raw, type=SourceNote)
    except msgspec.MsgspecError as error:
        raise StorageError(f"the lake's note {name} is damaged: {error}") from None
    _check(note.format, name)
    return note


def _check(found: int, name: str) -> None:
    if found != FORMAT:
        raise StorageError(
            f"the lake's note {name} has format {found}; this version reads {FORMAT}"
        )
