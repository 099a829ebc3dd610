"""Owns the journal: what we promised the venue, written before its first byte leaves.

One folder an account, one segment after another in it. A line is `<crc32 hex> <json>`, its entries
are numbered without a gap, and the first of a segment says whose journal it is and repeats what is
still open: the last segment alone tells what a restart must ask the venue about.

It refuses to lie: an intent that could not be written raises, and then nothing is sent. Cancels
never wait for it: they are recorded afterwards, and a failure there is only counted. It refuses a
journal that was changed, is of another account or of another form, and names the remedy.

Sync policy: `never` and `interval` survive the death of the process (the record is in the kernel),
`interval` survives a loss of power but for the last interval, `always` survives a loss of power and
costs an fdatasync per order, off the loop thread.
"""

import binascii
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tickwright.core.commands import AmendOrder, CancelAll, CancelOrder, PlaceOrder
from tickwright.core.errors import StorageError
from tickwright.core.identity import ClientId
from tickwright.core.orders import OrderState

__all__ = [
    "Journal",
    "JournalEntry",
    "Opened",
    "Promise",
    "Settled",
    "SyncPolicy",
    "next_epoch",
    "open_promises",
    "read_entries",
    "read_segment",
    "segments",
]

SyncPolicy = Literal["never", "interval", "always"]

FORMAT = 2
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
"""A segment with more behind its head is followed by the next."""
SEGMENTS_MAX = 32
"""Segments kept; the oldest leaves when one more is begun. What is open is in the newest."""
OPEN_MAX = 50_000
"""Open promises carried from segment to segment: more than the trader may have orders."""
_LINE_BYTES_MAX = 64 * 1024
_MOVE_AWAY = (
    "restore the folder, or move it away to go on with what the venue shows alone "
    "(orders sent in the last seconds before the end may then be missed)"
)


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The head of a segment: its form, whose it is, what was open when it began."""

    format: int
    account: str
    open_promises: tuple[PlaceOrder, ...] = ()


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """An order that was promised came to its end: a restart need not ask about it."""

    client_id: ClientId
    state: OrderState
    filled_units: int


Promise = PlaceOrder | AmendOrder | CancelOrder | CancelAll


class JournalEntry(msgspec.Struct, frozen=True):
    """One record: its number, which epoch wrote it, when, and what was promised or is known."""

    number: int
    epoch: int
    now_ns: int
    record: Promise | Settled | Opened


class Journal:
    """Appends promises to the last segment of one account's folder.

    `open` holds the promised orders that nobody called settled yet, earlier runs' too.

    Raises:
        StorageError: the folder can't be used, or what is in it is damaged or somebody else's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        account: str,
        epoch: int,
        now_ns: int,
        sync: SyncPolicy = "never",
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        self.folder = folder
        self.sync: SyncPolicy = sync
        self.entry_count = 0
        self.flush_count = 0
        self.lost_cancels = 0
        """Cancels and ends that could not be recorded."""
        self.fault = ""
        """Set by a failed write or sync: no new order may be sent from then on."""
        self._account = account
        self._epoch = epoch
        self._bytes_max = segment_bytes_max
        self._encode = msgspec.json.Encoder().encode
        self._fd = -1
        self._bytes = 0
        self._head_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept = segments(folder)
            if kept:
                _mend_tail(kept[-1])
        except OSError as error:
            raise StorageError(f"journal {folder} can't be opened: {error.strerror}") from None
        self.open, self._number = _open_promises(kept, account)
        try:
            self._begin_segment(now_ns)
        except OSError as error:
            raise StorageError(f"journal {folder} can't be written: {error.strerror}") from None

    @property
    def path(self) -> Path:
        """The segment written to."""
        return self._path

    def promise(self, command: Promise, now_ns: int) -> None:
        """Write a promise; it may be sent once this returns (and `flush`, when sync is always).

        Raises:
            StorageError: it isn't in the file, so it must not be sent.
        """
        if self.fault:
            raise StorageError(self.fault)
        try:
            if self._bytes - self._head_bytes >= self._bytes_max:
                self._begin_segment(now_ns)
            self._append(command, now_ns)
        except OSError as error:
            self.fault = f"journal {self._path} can't be written: {error.strerror or error}"
            raise StorageError(self.fault) from None
        if type(command) is PlaceOrder:
            if len(self.open) >= OPEN_MAX:
                del self.open[next(iter(self.open))]
            self.open[command.client_id] = command
        elif type(command) is AmendOrder:
            _take_amend(self.open, command)

    def note_cancel(self, command: CancelOrder | CancelAll, now_ns: int) -> None:
        """Record a cancel that was sent already; a full disk must not have stopped it."""
        self._note(command, now_ns)

    def settle(
        self, client_id: ClientId, state: OrderState, filled_units: int, now_ns: int
    ) -> None:
        """Record the end of an order; nothing happens for one that isn't open here."""
        if self.open.pop(client_id, None) is not None:
            self._note(Settled(client_id, state, filled_units), now_ns)

    def flush(self) -> None:
        """Bring everything to the disk; call off the loop thread.

        Raises:
            StorageError: the sync failed; from now on no order may be sent.
        """
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self.fault = f"journal {self._path} can't be synced: {error.strerror}"
            raise StorageError(self.fault) from None
        self.flush_count += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _note(self, record: CancelOrder | CancelAll | Settled, now_ns: int) -> None:
        try:
            self._append(record, now_ns)
        except OSError:
            self.lost_cancels += 1

    def _append(self, record: Promise | Settled, now_ns: int) -> None:
        line = self._line(record, now_ns)
        written = os.write(self._fd, line)
        if written != len(line):
            # Half a line: the reader drops it, and whatever follows must not be glued to it.
            os.ftruncate(self._fd, self._bytes)
            raise OSError(f"only {written} of {len(line)} bytes were written")
        self._bytes += written
        self._number += 1
        self.entry_count += 1

    def _begin_segment(self, now_ns: int) -> None:
        """Write the next segment's head, under its name only once it is whole and on the disk."""
        path = self.folder / f"{self._number + 1:012d}.log"
        draft = path.with_suffix(".draft")
        head = Opened(FORMAT, self._account, tuple(self.open.values()))
        line = self._line(head, now_ns)
        fd = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if os.write(fd, line) != len(line):
                raise OSError("the head of a segment was cut")
            os.fsync(fd)
            draft.rename(path)
        except OSError:
            os.close(fd)
            raise
        if self._fd >= 0:
            # What the old one holds is promised as much as the new one's.
            os.fdatasync(self._fd)
            os.close(self._fd)
        self._fd, self._path = fd, path
        self._bytes = self._head_bytes = len(line)
        self._number += 1
        for old in segments(self.folder)[:-SEGMENTS_MAX]:
            old.unlink()

    def _line(self, record: Promise | Settled | Opened, now_ns: int) -> bytes:
        body = self._encode(JournalEntry(self._number + 1, self._epoch, now_ns, record))
        return b"%08x %b\n" % (binascii.crc32(body), body)


def segments(folder: Path) -> list[Path]:
    """Return the segments of a journal, oldest first."""
    return sorted(path for path in folder.glob("*.log") if path.stem.isdigit())


def open_promises(folder: Path, *, account: str) -> tuple[PlaceOrder, ...]:
    """Return the orders a journal promised whose end it doesn't know, oldest first.

    Raises:
        StorageError: it can't be read, is damaged, of another form or of another account.
    """
    return tuple(_open_promises(segments(folder), account)[0].values())


def _open_promises(kept: list[Path], account: str) -> tuple[dict[ClientId, PlaceOrder], int]:
    """Return what is open, and the number of the last entry."""
    found: dict[ClientId, PlaceOrder] = {}
    number = 0
    if not kept:
        return found, number
    for entry in read_segment(kept[-1]):
        number = entry.number
        record = entry.record
        if isinstance(record, Opened):
            if record.account != account:
                raise StorageError(
                    f"journal {kept[-1].parent} is of account {record.account}, not {account}: "
                    "give this account a state folder of its own"
                )
            found = {promise.client_id: promise for promise in record.open_promises}
        elif isinstance(record, PlaceOrder):
            found[record.client_id] = record
        elif isinstance(record, AmendOrder):
            _take_amend(found, record)
        elif isinstance(record, Settled):
            found.pop(record.client_id, None)
    return found, number


def _take_amend(found: dict[ClientId, PlaceOrder], amend: AmendOrder) -> None:
    """Let a promised order count with the larger size an amend may have given it."""
    promise, size_units = found.get(amend.client_id), amend.size_units
    if promise is not None and size_units is not None and size_units > promise.size_units:
        found[amend.client_id] = msgspec.structs.replace(promise, size_units=size_units)


def read_segment(path: Path) -> Iterator[JournalEntry]:
    """Yield the whole entries of a segment; a cut last line is a crash and is left out.

    Raises:
        StorageError: it can't be read, has another form, or a line before the last is damaged
            (named).
    """
    for _, entry in read_entries(path):
        yield entry


def read_entries(
    path: Path, *, offset: int = 0, expected: int | None = None
) -> Iterator[tuple[int, JournalEntry]]:
    """Yield entries with the byte where each begins; see `read_segment`.

    A reader that goes on where it was gives the next byte as `offset` and the number of the entry
    that must stand there as `expected`. A trader may be writing: half a last line comes later.

    Raises:
        StorageError: as `read_segment`.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            lines = file.read().split(b"\n")
    except OSError as error:
        raise StorageError(f"journal {path} can't be read: {error.strerror}") from None
    decode = msgspec.json.Decoder(JournalEntry).decode
    wanted = int(path.stem) if expected is None else expected
    begins = offset
    for number, line in enumerate(lines, start=1):
        begins, at = begins + len(line) + 1, begins
        if not line:
            continue
        place = f"line {number}" if not offset else f"the line at byte {at}"
        if not _is_whole(line):
            if number == len(lines) and at > 0:
                return
            raise StorageError(f"journal {path}: {place} is damaged; {_MOVE_AWAY}")
        if at == 0:
            _check_head(path, line)
        try:
            entry = decode(line[9:])
        except msgspec.MsgspecError as error:
            raise StorageError(f"journal {path}: {place}: {error}; {_MOVE_AWAY}") from None
        if entry.number != wanted:
            raise StorageError(
                f"journal {path}: {place} is entry {entry.number}, not {wanted}: "
                f"lines are missing; {_MOVE_AWAY}"
            )
        wanted += 1
        yield at, entry


class _Head(msgspec.Struct):
    """As much of any form's head as must be known to refuse it."""

    record: dict[str, object]


def _check_head(path: Path, line: bytes) -> None:
    try:
        form = msgspec.json.decode(line[9:], type=_Head).record.get("format")
    except msgspec.MsgspecError:
        form = None
    if form != FORMAT:
        raise StorageError(
            f"journal {path} has form {form}, this version reads {FORMAT}: end its orders with the "
            f"version that wrote it, or {_MOVE_AWAY}"
        )


def _mend_tail(path: Path) -> None:
    """Drop half a line that a crash left: its promise never returned, so it was never sent."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LINE_BYTES_MAX))
        tail = file.read()
        rest = tail[tail.rfind(b"\n") + 1 :]
        if not rest or len(rest) == size:
            return
        if _is_whole(rest):
            file.write(b"\n")
        else:
            file.truncate(size - len(rest))


def _is_whole(line: bytes) -> bool:
    checksum, _, body = line.partition(b" ")
    try:
        return len(checksum) == 8 and int(checksum, 16) == binascii.crc32(body)
    except ValueError:
        return False


def next_epoch(folder: Path, now_ns: int) -> int:
    """Return a number no earlier run of this folder used, on disk before it is returned.

    It is also above the clock in seconds, so that a lost folder can't repeat an epoch.

    Raises:
        StorageError: it can't be written.
    """
    path = folder / "epoch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = int(path.read_text().strip() or "0")
        except FileNotFoundError:
            held = 0
        except ValueError:
            raise StorageError(f"{path} holds no number; remove it to start over") from None
        epoch = max(held + 1, now_ns // 1_000_000_000)
        with path.open("w") as file:
            file.write(f"{epoch}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror}; make room on its disk, or let this user "
            "write there"
        ) from None
    return epoch
