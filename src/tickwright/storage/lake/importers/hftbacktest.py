"""Owns hftbacktest's npz files, in and out; refuses event kinds the lake has no place for.

There a level change is a row of 64 bytes, and an event whose venue time is out of order stands
twice, once for each clock. Here the rows with both times equal are one message; the second
appearance is made again on the way out.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.identity import InstrumentId
from tickwright.core.units import INT64_MAX
from tickwright.storage.lake.importers.columns import DECIMALS_MAX
from tickwright.storage.lake.reader import LakeReader
from tickwright.storage.lake.schema import BookRow, MessageKind, Table, TradeRow
from tickwright.storage.lake.writer import LakeWriter

__all__ = ["EVENT", "ExportReport", "export_npz", "import_npz", "read_npz"]

EVENT = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ],
    align=True,
)
"""One row of such a file."""

_DEPTH, _TRADE, _CLEAR, _SNAPSHOT = 1, 2, 3, 4
_VENUE, _LOCAL, _BUY, _SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
_EXACT_MAX = 2**53
_ROWS_A_STEP = 500_000

Events = np.ndarray[tuple[int], np.dtype[Any]]


def read_npz(path: Path) -> Events:
    """Return a file's events.

    Raises:
        ConfigError: it can't be opened.
        StorageError: it is damaged, or holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            data = held["data" if "data" in held.files else held.files[0]]
    except (ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StorageError(f"{path} is damaged or no npz of events: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    if data.dtype.names is None or not set(EVENT.names or ()) <= set(data.dtype.names):
        raise StorageError(f"{path} holds no hftbacktest events but {data.dtype}")
    out = np.empty(len(data), EVENT)
    for name in EVENT.names or ():
        out[name] = data[name]
    return out


def import_npz(path: Path, instrument_id: InstrumentId, writer: LakeWriter) -> list[str]:
    """Write a file's depth and trade events; returns what a person should know.

    Raises:
        ConfigError, StorageError: as `read_npz`; or a number needs more than 12 decimals.
    """
    every = read_npz(path)
    remarks: list[str] = []
    local = every[(every["ev"] & _LOCAL) != 0]
    if not len(local) and len(every):
        local = every
        remarks.append("no event says which clock it is for: all are taken for both")
    kinds = local["ev"] & 0xFF
    known = (kinds >= _DEPTH) & (kinds <= _SNAPSHOT)
    sided = (local["ev"] & (_BUY | _SELL)) != 0
    kept = known & (sided | (kinds == _TRADE))
    if not kept.all():
        remarks.append(f"{int((~kept).sum())} events of other kinds or without a side left out")
    local = local[kept]
    extra = (local["order_id"] != 0) | (local["ival"] != 0) | (local["fval"] != 0)
    if extra.any():
        remarks.append(f"{int(extra.sum())} events had an order id or user values: left out")
    if (local["local_ts"][1:] < local["local_ts"][:-1]).any():
        raise StorageError(f"{path}: local times go back; correct the event order first")
    if len(local):
        _write(path, local, instrument_id, writer)
    else:
        remarks.append("the file holds no depth or trade event")
    return remarks


def _write(path: Path, rows: Events, instrument_id: InstrumentId, writer: LakeWriter) -> None:
    prices = rows["px"]
    price_decimals = _decimals(prices[np.isfinite(prices)], f"{path}: px")
    size_decimals = _decimals(rows["qty"], f"{path}: qty")
    is_bid = (rows["ev"] & _BUY) != 0
    whole_side = np.where(is_bid, 0, INT64_MAX)
    finite = np.isfinite(prices)
    scaled = np.rint(np.where(finite, prices, 0.0) * 10.0**price_decimals).astype(np.int64)
    price_units = np.where(finite, scaled, whole_side)
    size_units = np.rint(rows["qty"] * 10.0**size_decimals).astype(np.int64)
    kinds = (rows["ev"] & 0xFF).astype(np.int64)
    begins = _boundaries(rows, kinds, is_bid)
    ends = np.append(begins[1:], len(rows))
    # Where the bids of each message end: they come first in it.
    middles = begins + np.add.reduceat(is_bid.astype(np.int64), begins)
    number = 0
    for step in range(0, len(begins), _ROWS_A_STEP):
        cut = slice(step, step + _ROWS_A_STEP)
        for begin, middle, end in zip(
            begins[cut].tolist(), middles[cut].tolist(), ends[cut].tolist(), strict=True
        ):
            kind = int(kinds[begin])
            received_ns = int(rows["local_ts"][begin])
            venue_ns = int(rows["exch_ts"][begin])
            row: BookRow | TradeRow
            if kind == _TRADE:
                ev = int(rows["ev"][begin])
                side = 1 if ev & _BUY else -1 if ev & _SELL else 0
                price, size = int(price_units[begin]), int(size_units[begin])
                row = TradeRow(received_ns, venue_ns, side, price, size, "", 0, False)
            else:
                number += 1
                row = BookRow(
                    received_ns,
                    venue_ns,
                    0,
                    _KINDS[kind],
                    0,
                    number,
                    0,
                    -1,
                    0,
                    price_units[begin:middle].tolist(),
                    size_units[begin:middle].tolist(),
                    price_units[middle:end].tolist(),
                    size_units[middle:end].tolist(),
                    "",
                )
            writer.append(
                Table.TRADES if kind == _TRADE else Table.BOOK,
                instrument_id,
                row,
                price_decimals=price_decimals,
                size_decimals=size_decimals,
            )


_KINDS = {
    _DEPTH: MessageKind.DELTA,
    _CLEAR: MessageKind.CLEAR,
    _SNAPSHOT: MessageKind.REFILL,
}


def _boundaries(rows: Events, kinds: Any, is_bid: Any) -> Any:
    """Return where messages begin: bids stand before asks in one, so that order comes back."""
    begins = np.ones(len(rows), dtype=bool)
    same = (
        (kinds[1:] == kinds[:-1])
        & (rows["exch_ts"][1:] == rows["exch_ts"][:-1])
        & (rows["local_ts"][1:] == rows["local_ts"][:-1])
        & (is_bid[:-1] | ~is_bid[1:])
        & (kinds[1:] != _TRADE)
        & (kinds[1:] != _CLEAR)
    )
    begins[1:] = ~same
    return np.flatnonzero(begins)


def _decimals(values: Any, what: str) -> int:
    for decimals in range(DECIMALS_MAX + 1):
        units = np.rint(values * 10.0**decimals)
        if np.array_equal(units / 10.0**decimals, values) and (np.abs(units) < _EXACT_MAX).all():
            return decimals
    raise StorageError(f"{what}: numbers of more than {DECIMALS_MAX} decimals or 53 bits")


# out --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote. `doubts` are stretches without a book, which the format can't tell."""

    rows: int
    messages: int
    trades: int
    doubts: int
    without_received: int


def export_npz(
    reader: LakeReader,
    instrument_id: InstrumentId,
    path: Path,
    *,
    from_ns: int = 0,
    until_ns: int = 2**63 - 1,
    feed_latency_ns: int = 0,
) -> ExportReport:
    """Write books and trades of an instrument as one npz; whole or not at all.

    Rows without our time get the venue's plus `feed_latency_ns`. Everything is held in memory, 72
    bytes a row: that is the format.

    Raises:
        StorageError: nothing there, or a file of the lake can't be read.
    """
    books = _book_events(reader, instrument_id, from_ns, until_ns)
    trades, trade_ordinals = _trade_events(reader, instrument_id, from_ns, until_ns)
    rows = np.concatenate([trades, *books.parts])
    if not len(rows):
        raise StorageError(f"the lake holds no book or trade of {instrument_id} there")
    ordinals = np.concatenate([trade_ordinals, *books.ordinals])
    unknown = rows["local_ts"] == 0
    rows["local_ts"][unknown] = rows["exch_ts"][unknown] + feed_latency_ns
    sources = {
        note.source.key
        for table in (Table.BOOK, Table.TRADES)
        for note in reader.catalogue.notes(table, instrument_id)
    }
    if len(sources) > 1:
        # Ordinals count within a source. At equal times a trade comes before what it did to depth.
        ordinals = np.zeros_like(ordinals)
    rows = rows[np.lexsort((ordinals, rows["local_ts"]))]
    out = _both_clocks(rows)
    draft = path.with_name(f".{path.name}.draft.npz")
    try:
        np.savez_compressed(draft, data=out)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)
    return ExportReport(len(out), books.messages, len(trades), books.doubts, int(unknown.sum()))


@dataclass(slots=True)
class _BookEvents:
    parts: list[Events]
    ordinals: list[Any]
    messages: int = 0
    doubts: int = 0


def _book_events(
    reader: LakeReader, instrument_id: InstrumentId, from_ns: int, until_ns: int
) -> _BookEvents:
    found = _BookEvents([], [])
    for batch in reader.book(instrument_id, from_ns=from_ns, until_ns=until_ns):
        price_unit, size_unit = 10.0**batch.price_decimals, 10.0**batch.size_decimals
        times = zip(
            batch.kind.tolist(),
            batch.venue_ns.tolist(),
            batch.received_ns.tolist(),
            batch.ordinal.tolist(),
            batch.bid_offsets.tolist()[:-1],
            batch.bid_offsets.tolist()[1:],
            batch.ask_offsets.tolist()[:-1],
            batch.ask_offsets.tolist()[1:],
            strict=True,
        )
        for kind, venue_ns, received_ns, ordinal, bid, bid_end, ask, ask_end in times:
            if kind == MessageKind.DOUBT:
                found.doubts += 1
                continue
            found.messages += 1
            rows = _message(
                kind,
                (batch.bid_prices[bid:bid_end], batch.bid_sizes[bid:bid_end]),
                (batch.ask_prices[ask:ask_end], batch.ask_sizes[ask:ask_end]),
            )
            whole = (rows["px"] == 0.0) | (rows["px"] == float(INT64_MAX))
            rows["px"] /= price_unit
            rows["qty"] /= size_unit
            if kind == MessageKind.CLEAR:
                rows["px"][whole] = np.nan
            rows["exch_ts"] = venue_ns
            rows["local_ts"] = received_ns
            found.parts.append(rows)
            found.ordinals.append(np.full(len(rows), ordinal))
    return found


def _message(kind: int, bids: tuple[Any, Any], asks: tuple[Any, Any]) -> Events:
    event = {
        MessageKind.DELTA: _DEPTH,
        MessageKind.CLEAR: _CLEAR,
    }.get(MessageKind(kind), _SNAPSHOT)
    parts = []
    for side, (prices, sizes), worst in ((_BUY, bids, np.min), (_SELL, asks, np.max)):
        rows = np.zeros(len(prices), EVENT)
        rows["ev"], rows["px"], rows["qty"] = event | side, prices, sizes
        if kind == MessageKind.SNAPSHOT and len(prices):
            # A snapshot here replaces; there it only sets, behind a clear up to its worst price.
            clear = np.zeros(1, EVENT)
            clear["ev"], clear["px"] = _CLEAR | side, worst(prices)
            parts.append(clear)
        parts.append(rows)
    return np.concatenate(parts)


def _trade_events(
    reader: LakeReader, instrument_id: InstrumentId, from_ns: int, until_ns: int
) -> tuple[Events, Any]:
    parts, ordinals = [np.zeros(0, EVENT)], [np.zeros(0, np.int64)]
    for batch in reader.batches(Table.TRADES, instrument_id, from_ns=from_ns, until_ns=until_ns):
        metadata = batch.schema.metadata
        rows = np.zeros(batch.num_rows, EVENT)
        side = batch.column("side").to_numpy()
        rows["ev"] = _TRADE | np.where(side > 0, _BUY, np.where(side < 0, _SELL, 0))
        rows["exch_ts"] = batch.column("venue_ns").to_numpy()
        rows["local_ts"] = batch.column("received_ns").to_numpy()
        prices = batch.column("price").to_numpy()
        rows["px"] = prices / 10.0 ** int(metadata[b"tickwright.price_decimals"])
        sizes = batch.column("size").to_numpy()
        rows["qty"] = sizes / 10.0 ** int(metadata[b"tickwright.size_decimals"])
        parts.append(rows)
        ordinals.append(batch.column("ordinal").to_numpy())
    return np.concatenate(parts), np.concatenate(ordinals)


def _both_clocks(rows: Events) -> Events:
    """Order events for both clocks: those out of order by the venue's time stand twice."""
    if (rows["exch_ts"][1:] >= rows["exch_ts"][:-1]).all():
        rows["ev"] |= np.uint64(_VENUE | _LOCAL)
        return rows
    by_venue = np.argsort(rows["exch_ts"], kind="stable").tolist()
    times = list(zip(rows["exch_ts"].tolist(), rows["local_ts"].tolist(), strict=True))
    picks: list[int] = []
    flags: list[int] = []
    venue_at = local_at = 0
    count = len(rows)
    while venue_at < count or local_at < count:
        if venue_at == count:
            picks.append(local_at)
            flags.append(_LOCAL)
            local_at += 1
            continue
        first = times[by_venue[venue_at]]
        second = times[local_at] if local_at < count else None
        if first == second:
            picks.append(by_venue[venue_at])
            flags.append(_VENUE | _LOCAL)
            venue_at += 1
            local_at += 1
        elif second is None or first < second:
            picks.append(by_venue[venue_at])
            flags.append(_VENUE)
            venue_at += 1
        else:
            picks.append(local_at)
            flags.append(_LOCAL)
            local_at += 1
    out: Events = rows[np.array(picks)]
    out["ev"] |= np.array(flags, dtype=np.uint64)
    return out
