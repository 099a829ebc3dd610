"""Owns making a tape of a lake's tables: every instrument's rows in one order of receive time.

Rows come a row group at a time and are merged up to the earliest time that every table has reached,
so that a month costs no more memory than an hour. What was received carries our time; archives
without one carry the venue's. It refuses rows out of order, books that don't begin with a whole
one, and rules of an instrument that nobody gave.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tickwright.backtest.tape import MESSAGE, Ints, MessageKind, Tape, TapeWriter
from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.reader import BookBatch, LakeReader
from tickwright.storage.lake.schema import MessageKind as RowKind
from tickwright.storage.lake.schema import Table

__all__ = ["tape_from_lake"]

_PRICES = {"mark": MessageKind.MARK, "index": MessageKind.INDEX, "last": MessageKind.LAST}
_ALWAYS_NS = (1 << 63) - 1


@dataclass(slots=True)
class _Part:
    """Columns of some messages of one table; `levels` belong to book messages in their order."""

    messages: npt.NDArray[np.void]
    venue_ns: Ints
    received_ns: Ints
    ordinal: Ints
    levels: Ints

    def split(self, until_ns: int) -> "tuple[_Part, _Part]":
        """Return what was received before a time, and the rest."""
        place = int(np.searchsorted(self.received_ns, until_ns, side="left"))
        rows = int(_level_counts(self.messages[:place]).sum())
        return self._cut(slice(place), slice(rows)), self._cut(
            slice(place, None), slice(rows, None)
        )

    def with_more(self, other: "_Part") -> "_Part":
        """Return both, one behind the other."""
        return _Part(
            np.concatenate((self.messages, other.messages)),
            np.concatenate((self.venue_ns, other.venue_ns)),
            np.concatenate((self.received_ns, other.received_ns)),
            np.concatenate((self.ordinal, other.ordinal)),
            np.concatenate((self.levels, other.levels)),
        )

    def _cut(self, wanted: slice, levels: slice) -> "_Part":
        return _Part(
            self.messages[wanted],
            self.venue_ns[wanted],
            self.received_ns[wanted],
            self.ordinal[wanted],
            self.levels[levels],
        )


def tape_from_lake(
    catalogue: Catalogue,
    instruments: Sequence[Instrument],
    folder: Path,
    *,
    depths: Mapping[InstrumentId, int] | None = None,
    from_ns: int = 0,
    until_ns: int = _ALWAYS_NS,
    starts_empty: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Tape:
    """Write the tape of some instruments; `on_progress` gets the messages written so far.

    `depths`: how many levels a side each feed shows at most, all where nothing is said.
    `starts_empty` takes a book whose first row is a change as one that began with nothing.

    Raises:
        StorageError: no rows of an instrument, rows out of order or of other units, or a book that
            doesn't begin with a whole one.
    """
    reader = LakeReader(catalogue)
    chosen = [(depths or {}).get(one.id, 0) for one in instruments]
    with TapeWriter(folder, instruments, depths=chosen, source=catalogue.store.place) as writer:
        streams = []
        for slot, instrument in enumerate(instruments):
            wanted = _Wanted(reader, instrument, slot, from_ns, until_ns)
            if not catalogue.notes(Table.BOOK, instrument.id):
                raise StorageError(
                    f"{catalogue.store.place} has no books of {instrument.id}; `tickwright lake "
                    "ls` lists what there is"
                )
            streams += [
                _Stream(wanted.books(writer, starts_empty=starts_empty), f"{instrument.id} book"),
                _Stream(wanted.trades(), f"{instrument.id} trades"),
                _Stream(wanted.tickers(), f"{instrument.id} tickers"),
                _Stream(wanted.fundings(), f"{instrument.id} funding"),
            ]
        count = 0
        for parts in _merged(streams):
            count += _append(writer, parts)
            if on_progress is not None:
                on_progress(count)
        if not count:
            raise StorageError(f"{catalogue.store.place}: no rows between the wanted times")
    return Tape(folder)


def _merged(streams: "list[_Stream]") -> Iterator[list[_Part]]:
    """Yield parts that nothing still to come can belong before."""
    done_ns = -1
    while True:
        for stream in streams:
            stream.fill(done_ns)
        # Rows of one instant may go on in a table's next batch: only what is before it is taken.
        open_ends = [stream.last_ns for stream in streams if not stream.is_over]
        done_ns = min(open_ends, default=_ALWAYS_NS)
        parts = [part for stream in streams if (part := stream.take(done_ns)) is not None]
        if parts:
            yield parts
        if not open_ends:
            return


class _Stream:
    """One table of one instrument, read as far as needed."""

    def __init__(self, parts: Iterator[_Part], name: str) -> None:
        self._parts = parts
        self._name = name
        self._part: _Part | None = None
        self.last_ns = 0
        self.is_over = False

    def fill(self, beyond_ns: int) -> None:
        """Read until something later than a time is there, or the end."""
        while not self.is_over and (self._part is None or self.last_ns <= beyond_ns):
            part = next(self._parts, None)
            if part is None:
                self.is_over = True
            elif len(part.messages):
                self._add(part)

    def _add(self, part: _Part) -> None:
        late = np.flatnonzero(np.diff(part.received_ns, prepend=self.last_ns) < 0)
        if len(late):
            place = int(late[0])
            raise StorageError(
                f"{self._name}: the row received at {int(part.received_ns[place])} ns stands "
                "behind a later one: two sources overlap, or the source isn't sorted"
            )
        self.last_ns = int(part.received_ns[-1])
        self._part = part if self._part is None else self._part.with_more(part)

    def take(self, until_ns: int) -> _Part | None:
        """Return what was received before a time; the rest waits."""
        if self._part is None:
            return None
        taken, rest = self._part.split(until_ns)
        self._part = rest if len(rest.messages) else None
        return taken if len(taken.messages) else None


def _append(writer: TapeWriter, parts: list[_Part]) -> int:
    messages = np.concatenate([part.messages for part in parts])
    received = np.concatenate([part.received_ns for part in parts])
    ordinals = np.concatenate([part.ordinal for part in parts])
    starts = np.concatenate([_level_starts(part) for part in parts])
    offsets = np.cumsum([0, *(len(part.levels) for part in parts[:-1])])
    starts += np.repeat(offsets, [len(part.messages) for part in parts])
    levels = np.concatenate([part.levels for part in parts])
    order = np.lexsort((ordinals, received))
    messages = messages[order]
    counts = _level_counts(messages)
    is_book = messages["kind"] <= MessageKind.SNAPSHOT
    first = np.cumsum(counts) - counts
    messages["first"][is_book] = first[is_book]
    # Where each level of the sorted messages lies in the parts as they came.
    places = np.repeat(starts[order] - first, counts) + np.arange(int(counts.sum()))
    venue = np.concatenate([part.venue_ns for part in parts])[order]
    writer.append(messages, venue, received[order], levels[places])
    return len(messages)


def _level_counts(messages: npt.NDArray[np.void]) -> Ints:
    counts: Ints = messages["bids"].astype(np.int64) + messages["asks"]
    return counts


def _level_starts(part: _Part) -> Ints:
    counts = _level_counts(part.messages)
    starts: Ints = np.cumsum(counts) - counts
    return starts


class _Wanted:
    """The tables of one instrument as parts of a tape."""

    def __init__(
        self, reader: LakeReader, instrument: Instrument, slot: int, from_ns: int, until_ns: int
    ) -> None:
        self._reader = reader
        self._instrument = instrument
        self._slot = slot
        self._from_ns, self._until_ns = from_ns, until_ns
        self._update_id = 0

    # books --------------------------------------------------------------------------------------

    def books(self, writer: TapeWriter, *, starts_empty: bool) -> Iterator[_Part]:
        """Yield book messages."""
        is_first = True
        for batch in self._reader.book(
            self._instrument.id, from_ns=self._from_ns, until_ns=self._until_ns
        ):
            self._check_units(batch.price_decimals, batch.size_decimals)
            part = self._book(batch, writer)
            if is_first:
                self._check_start(part, starts_empty=starts_empty)
                is_first = False
            yield part

    def _check_start(self, part: _Part, *, starts_empty: bool) -> None:
        kind = int(part.messages["kind"][0])
        if kind == MessageKind.DELTA and starts_empty:
            part.messages["kind"][0] = MessageKind.SNAPSHOT
        elif kind == MessageKind.DELTA:
            raise StorageError(
                f"{self._instrument.id}: the first book row at {int(part.received_ns[0])} ns is a "
                "change of a book that isn't there; begin at a snapshot, or say that it starts "
                "empty"
            )

    def _book(self, batch: BookBatch, writer: TapeWriter) -> _Part:
        count = len(batch)
        messages = np.zeros(count, dtype=MESSAGE)
        kinds = np.asarray(batch.kind)
        messages["slot"] = self._slot
        bids = np.diff(batch.bid_offsets).astype(np.int64)
        asks = np.diff(batch.ask_offsets).astype(np.int64)
        messages["bids"], messages["asks"] = bids, asks
        messages["sequence"] = batch.sequence
        messages["second"] = self._ids(batch, kinds)
        messages["kind"] = np.where(kinds == RowKind.DELTA, MessageKind.DELTA, MessageKind.SNAPSHOT)
        for place in np.flatnonzero(kinds == RowKind.DOUBT).tolist():
            messages["kind"][place] = MessageKind.STALE
            messages["second"][place] = writer.reason(batch.reasons[place].as_py())
        part = _Part(
            messages,
            np.array(batch.venue_ns),
            _times(batch.received_ns, batch.venue_ns),
            np.array(batch.ordinal),
            _interleaved(batch, bids, asks),
        )
        if np.any(kinds >= RowKind.CLEAR):
            part = self._whole_books(part, kinds)
        return part

    def _ids(self, batch: BookBatch, kinds: Any) -> Ints:
        """Return the ids by which a hole is noticed: the venue's where they count up by one."""
        counts_up = (
            not np.any(batch.first_id)
            and bool(np.all(batch.update_id[kinds <= RowKind.SNAPSHOT] > 0))
            and not np.any(batch.previous_id > 0)
        )
        if counts_up:
            self._update_id = int(batch.update_id[-1])
            return batch.update_id
        # Other numberings were checked when the rows were made; a hole there is a row of doubt.
        ids: Ints = self._update_id + 1 + np.arange(len(batch), dtype=np.int64)
        self._update_id = int(ids[-1])
        return ids

    def _whole_books(self, part: _Part, kinds: Any) -> _Part:
        """Make one snapshot of each run of CLEAR and REFILL rows, which together say a whole book.

        Raises:
            StorageError: a run that leaves a side as it was.
        """
        special = kinds >= RowKind.CLEAR
        begins = np.flatnonzero(special & ~np.concatenate(([False], special[:-1])))
        kept = ~special
        starts = _level_starts(part)
        levels: list[Ints] = []
        at = 0
        for begin in begins.tolist():
            end = begin
            while end < len(kinds) and special[end]:
                end += 1
            sides: tuple[list[Ints], list[Ints]] = ([], [])
            for place in range(begin, end):
                if kinds[place] != RowKind.REFILL:
                    continue
                first, count = int(starts[place]), int(part.messages["bids"][place])
                sides[0].append(part.levels[first : first + count])
                last = first + count + int(part.messages["asks"][place])
                sides[1].append(part.levels[first + count : last])
            if not all(any(len(one) for one in side) for side in sides):
                raise StorageError(
                    f"{self._instrument.id}: the rows at {int(part.received_ns[begin])} ns clear a "
                    "book and fill it with nothing; a tape needs whole books"
                )
            levels.append(part.levels[at : int(starts[begin])])
            levels += [*sides[0], *sides[1]]
            at = int(starts[end]) if end < len(kinds) else len(part.levels)
            kept[begin] = True
            part.messages["kind"][begin] = MessageKind.SNAPSHOT
            part.messages["bids"][begin] = sum(len(one) for one in sides[0])
            part.messages["asks"][begin] = sum(len(one) for one in sides[1])
        levels.append(part.levels[at:])
        return _Part(
            part.messages[kept],
            part.venue_ns[kept],
            part.received_ns[kept],
            part.ordinal[kept],
            np.concatenate(levels),
        )

    # the rest -----------------------------------------------------------------------------------

    def trades(self) -> Iterator[_Part]:
        """Yield trades; one that names no side is left out: nobody knows whom it met."""
        for batch in self._batches(Table.TRADES):
            self._check_batch(batch)
            side = _ints(batch, "side")
            part = self._plain(batch, np.full(batch.num_rows, MessageKind.TRADE))
            part.messages["first"] = _ints(batch, "price")
            part.messages["second"] = _ints(batch, "size")
            part.messages["sequence"] = _ints(batch, "sequence")
            is_block = batch.column("is_block").to_numpy(zero_copy_only=False)
            part.messages["flags"] = (side < 0) + 2 * is_block.astype(np.int64)
            is_known = (side != 0) & (part.messages["first"] > 0) & (part.messages["second"] > 0)
            yield _kept(part, is_known)

    def tickers(self) -> Iterator[_Part]:
        """Yield mark, index and last prices."""
        for batch in self._batches(Table.TICKERS):
            self._check_batch(batch)
            words = np.array(batch.column("kind").to_pylist(), dtype=object)
            kinds = np.array([_PRICES.get(word, 255) for word in words], dtype=np.int64)
            part = self._plain(batch, kinds)
            part.messages["first"] = _ints(batch, "price")
            yield _kept(part, kinds != 255)

    def fundings(self) -> Iterator[_Part]:
        """Yield funding rates."""
        for batch in self._batches(Table.FUNDING):
            part = self._plain(batch, np.full(batch.num_rows, MessageKind.FUNDING))
            part.messages["first"] = _ints(batch, "rate_e9")
            part.messages["second"] = _ints(batch, "next_funding_ns")
            yield part

    def _batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        return self._reader.batches(
            table, self._instrument.id, from_ns=self._from_ns, until_ns=self._until_ns
        )

    def _plain(self, batch: pa.RecordBatch, kinds: Any) -> _Part:
        messages = np.zeros(batch.num_rows, dtype=MESSAGE)
        messages["slot"] = self._slot
        messages["kind"] = kinds
        venue = np.array(_ints(batch, "venue_ns"))
        return _Part(
            messages,
            venue,
            _times(_ints(batch, "received_ns"), venue),
            np.array(_ints(batch, "ordinal")),
            np.empty((0, 2), dtype=np.int64),
        )

    def _check_batch(self, batch: pa.RecordBatch) -> None:
        metadata = batch.schema.metadata
        self._check_units(
            int(metadata[b"tickwright.price_decimals"]), int(metadata[b"tickwright.size_decimals"])
        )

    def _check_units(self, prices: int, sizes: int) -> None:
        instrument = self._instrument
        if (prices, sizes) != (instrument.price_decimals, instrument.size_decimals):
            raise StorageError(
                f"{instrument.id}: rows with {prices} price and {sizes} size decimals, its rules "
                f"have {instrument.price_decimals} and {instrument.size_decimals}"
            )


def _kept(part: _Part, wanted: Any) -> _Part:
    if wanted.all():
        return part
    return _Part(
        part.messages[wanted],
        part.venue_ns[wanted],
        part.received_ns[wanted],
        part.ordinal[wanted],
        part.levels,
    )


def _ints(batch: pa.RecordBatch, name: str) -> Ints:
    found: Ints = batch.column(name).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _times(received: Ints, venue: Ints) -> Ints:
    times: Ints = np.where(received != 0, received, venue)
    return times


def _interleaved(batch: BookBatch, bids: Ints, asks: Ints) -> Ints:
    """Return the levels of all messages: each one's bids, then its asks, as (price, size)."""
    counts = bids + asks
    first = np.cumsum(counts) - counts
    levels = np.empty((int(counts.sum()), 2), dtype=np.int64)
    for offsets, own, prices, sizes, shift in (
        (batch.bid_offsets, bids, batch.bid_prices, batch.bid_sizes, np.zeros_like(bids)),
        (batch.ask_offsets, asks, batch.ask_prices, batch.ask_sizes, bids),
    ):
        begin, end = int(offsets[0]), int(offsets[-1])
        before = np.cumsum(own) - own
        places = np.repeat(first + shift - before, own) + np.arange(end - begin)
        levels[places, 0] = prices[begin:end]
        levels[places, 1] = sizes[begin:end]
    return levels
