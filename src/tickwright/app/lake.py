"""Owns what the verb `lake` does: what a source is, who reads it, and what came of it.

Refuses to read a source twice: what stands in the lake whole is told and passed over.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.identity import InstrumentId
from tickwright.storage.session_log import SessionReader

if TYPE_CHECKING:
    from tickwright.storage.lake.catalogue import Catalogue
    from tickwright.storage.lake.importers.hftbacktest import ExportReport
    from tickwright.storage.lake.manifest import Source
    from tickwright.storage.lake.store import LakeStore
    from tickwright.storage.lake.writer import LakeWriter

__all__ = [
    "LakeBuild",
    "LakeRow",
    "LakeSource",
    "build_lake",
    "export_lake",
    "lake_rows",
    "open_lake",
    "query_lake",
]

HASH_BYTES = 1 << 20
_SESSION, _BOOK, _TRADES = "session", "book archive", "trades"
_TARDIS_BOOK, _TARDIS_TRADES, _NPZ = "tardis book", "tardis trades", "hftbacktest"


class LakeSource(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one source. `is_known`: it stood in the lake already and was passed over."""

    name: str
    kind: str
    rows: int
    files: int
    is_known: bool
    files_resumed: int
    seconds: float
    remarks: list[str]


class LakeBuild(msgspec.Struct, frozen=True, kw_only=True):
    """What `lake build --json` writes."""

    lake: str
    sources: list[LakeSource]


class LakeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One table of one instrument in the lake. Times are UTC nanoseconds."""

    table: str
    instrument: str
    days: int
    days_missing: list[str]
    files: int
    rows: int
    levels: int
    bytes: int
    first_ns: int
    last_ns: int


def open_lake(place: str) -> "LakeStore":
    """Open a lake's place: a folder or a URL.

    Raises:
        ConfigError: what a lake needs isn't installed, or the URL can't be opened.
    """
    try:
        import pyarrow  # noqa: F401 - the question is whether it is there
    except ImportError:
        raise ConfigError(
            "a lake needs pyarrow, NumPy and DuckDB: pip install 'tickwright[lake]'"
        ) from None
    from tickwright.storage.lake.store import open_store

    return open_store(place)


def build_lake(
    sources: list[Path],
    place: str,
    *,
    instrument: str | None,
    allows_overlap: bool,
    on_progress: Callable[[str, float], None],
) -> LakeBuild:
    """Read sources into the lake, one after the other; each is whole before the next begins.

    `on_progress` gets a source's name and the fraction of it that was read.

    Raises:
        ConfigError: a source is of no known kind, or its instrument must be given.
        StorageError: a source is damaged, or stands over another's rows.
    """
    given = None if instrument is None else InstrumentId.parse(instrument)
    store = open_lake(place)
    done = []
    for path in sources:
        kind = _kind_of(path)
        if given is None and kind not in (_SESSION, _BOOK):
            raise ConfigError(f"{path} doesn't say whose it is: give --instrument")
        done.append(_build_one(path, kind, store, given, allows_overlap, on_progress))
    return LakeBuild(lake=store.place, sources=done)


def _build_one(
    path: Path,
    kind: str,
    store: "LakeStore",
    given: InstrumentId | None,
    allows_overlap: bool,  # noqa: FBT001 - handed through
    on_progress: Callable[[str, float], None],
) -> LakeSource:
    from tickwright.storage.lake.writer import LakeWriter, source_in

    began_s = time.perf_counter()
    source = _source_of(path, kind)
    known = source_in(store, source)
    if known is not None:
        remark = f"in the lake already, from {known.source.name}"
        return LakeSource(
            name=str(path),
            kind=kind,
            rows=known.rows,
            files=len(known.files),
            is_known=True,
            files_resumed=0,
            seconds=round(time.perf_counter() - began_s, 3),
            remarks=[*known.remarks, remark],
        )
    with LakeWriter(store, source, allows_overlap=allows_overlap) as writer:
        remarks = _read(path, kind, given, writer, store, lambda part: on_progress(str(path), part))
        if not writer.rows:
            raise StorageError(f"{path} holds nothing for the lake")
        note = writer.finish(remarks)
        return LakeSource(
            name=str(path),
            kind=kind,
            rows=note.rows,
            files=len(note.files),
            is_known=False,
            files_resumed=writer.resumed_files,
            seconds=round(time.perf_counter() - began_s, 3),
            remarks=remarks,
        )


def _read(
    path: Path,
    kind: str,
    given: InstrumentId | None,
    writer: "LakeWriter",
    store: "LakeStore",
    on_part: Callable[[float], None],
) -> list[str]:
    if kind == _SESSION:
        return _read_session(path, writer, store, on_part)
    if kind == _BOOK:
        from tickwright.app.lake_archives import import_bybit_book

        return import_bybit_book(path, given, writer, lambda _: on_part(0.0))
    assert given is not None, "asked for before"
    if kind == _NPZ:
        from tickwright.storage.lake.importers.hftbacktest import import_npz

        return import_npz(path, given, writer)
    from tickwright.storage.lake.importers import tardis

    if kind == _TARDIS_BOOK:
        return tardis.import_book(path, given, writer)
    from tickwright.app.lake_archives import DERIVATIVE_TRADES, SPOT_TRADES
    from tickwright.storage.lake.importers.columns import header_of
    from tickwright.storage.lake.importers.trades_csv import import_trades

    columns = tardis.TRADE_COLUMNS
    if kind == _TRADES:
        columns = DERIVATIVE_TRADES if "trdMatchID" in header_of(path) else SPOT_TRADES
    return import_trades(path, columns, given, writer)


def _read_session(
    path: Path, writer: "LakeWriter", store: "LakeStore", on_part: Callable[[float], None]
) -> list[str]:
    from tickwright.app.lake_session import SessionRows
    from tickwright.storage.lake.rules import write_rules

    reader = SessionReader(path)
    size = max(reader.size, 1)
    rows = SessionRows(reader, writer)
    rows.run(lambda: on_part(min(reader.position / size, 1.0)))
    for instrument in rows.instruments:
        write_rules(store, instrument)
    cut = "the session's log ends in the middle of a block: read up to there"
    return [*rows.remarks, *([cut] if reader.is_cut else [])]


def _kind_of(path: Path) -> str:
    if (path / "header.json").is_file():
        return _SESSION
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, but holds no session")
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file")
    name = path.name.lower()
    if name.endswith(".npz"):
        return _NPZ
    if name.endswith((".csv", ".csv.gz")):
        return _csv_kind(path)
    return _BOOK


def _csv_kind(path: Path) -> str:
    from tickwright.storage.lake.importers import tardis
    from tickwright.storage.lake.importers.columns import header_of

    header = header_of(path)
    if header == tardis.BOOK_COLUMNS:
        return _TARDIS_BOOK
    if header == tardis.TRADE_HEADER:
        return _TARDIS_TRADES
    if {"timestamp", "side", "price"} <= set(header) and {"trdMatchID", "id"} & set(header):
        return _TRADES
    raise ConfigError(f"{path}: no known kind of file; its columns are {', '.join(header)[:200]}")


def _source_of(path: Path, kind: str) -> "Source":
    from tickwright.storage.lake.manifest import Source

    if kind == _SESSION:
        # A session that goes on is the same source with more in it; a file is what it holds.
        head = _digest([path / "header.json"])
        inputs = _digest([path / "header.json", *sorted(path.glob("inputs-*"))])
        return Source(key=head, checksum=inputs, kind=kind, name=str(path))
    whole = _digest([path])
    return Source(key=whole, checksum=whole, kind=kind, name=str(path))


def _digest(paths: list[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(HASH_BYTES):
                    found.update(block)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from None
    return found.hexdigest()


# what is there ----------------------------------------------------------------------------------


def lake_rows(place: str) -> list[LakeRow]:
    """Return what the lake holds, a row for each table of each instrument.

    Raises:
        StorageError: there is no lake, or its notes are damaged.
    """
    from tickwright.storage.lake.catalogue import missing_days

    found = []
    notes = _catalogue(place).notes()
    keys = sorted({(note.table.value, str(note.instrument_id)) for note in notes})
    for table, instrument in keys:
        own = [n for n in notes if n.table == table and str(n.instrument_id) == instrument]
        days = {note.date for note in own}
        found.append(
            LakeRow(
                table=table,
                instrument=instrument,
                days=len(days),
                days_missing=missing_days(days),
                files=len(own),
                rows=sum(note.rows for note in own),
                levels=sum(note.levels for note in own),
                bytes=sum(note.bytes for note in own),
                first_ns=min(note.first_ns for note in own),
                last_ns=max(note.last_ns for note in own),
            )
        )
    return found


def query_lake(place: str, sql: str) -> tuple[list[str], Iterator[tuple[object, ...]]]:
    """Run SQL over the lake's views; returns column names and rows as they come.

    Raises:
        ConfigError: DuckDB refuses the SQL.
        StorageError: the query failed while it ran.
    """
    import duckdb

    connection = _catalogue(place).connect()
    try:
        answer = connection.execute(sql)
    except duckdb.Error as error:
        connection.close()
        raise ConfigError(f"DuckDB: {error}") from None
    names = [one[0] for one in answer.description or []]

    def rows() -> Iterator[tuple[object, ...]]:
        try:
            while batch := answer.fetchmany(1_000):
                yield from batch
        except duckdb.Error as error:
            raise StorageError(f"DuckDB: {error}") from None
        finally:
            connection.close()

    return names, rows()


def export_lake(
    place: str,
    instrument: str,
    path: Path,
    *,
    from_ns: int,
    until_ns: int,
    feed_latency_ns: int,
) -> "ExportReport":
    """Write books and trades of an instrument as an npz for hftbacktest.

    Raises:
        StorageError: the lake holds nothing there.
    """
    from tickwright.storage.lake.importers.hftbacktest import export_npz
    from tickwright.storage.lake.reader import LakeReader

    return export_npz(
        LakeReader(_catalogue(place)),
        InstrumentId.parse(instrument),
        path,
        from_ns=from_ns,
        until_ns=until_ns,
        feed_latency_ns=feed_latency_ns,
    )


def _catalogue(place: str) -> "Catalogue":
    store = open_lake(place)
    from tickwright.storage.lake.catalogue import Catalogue

    catalogue = Catalogue(store)
    if not catalogue.notes():
        raise ConfigError(f"{place} holds no lake: fill it by `tickwright lake build`")
    return catalogue
