"""Owns a market's recorded messages as columns that lie in files and are mapped, never loaded.

A tape is a folder: `messages.npy` (one `MESSAGE` each, in the order they were received),
`venue_ns.npy` and `received_ns.npy` (int64 UTC nanoseconds), `levels.npy` (int64 pairs of price and
size units: a book message's bids, then its asks, best first as the venue told them) and `tape.json`
(the instruments by slot, where it came from, a digest). Nobody changes a tape; several processes
may map one at once.

It refuses to mend data: what contradicts itself is refused with its place, what is missing stands
in it as `STALE`.
"""

import enum
import mmap
import os
import shutil
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.core.errors import StorageError
from tickwright.core.instrument import Instrument

__all__ = ["MESSAGE", "Ints", "MessageKind", "Tape", "TapeHeader", "TapeWriter"]

Ints = npt.NDArray[np.int64]

FORMAT = 1
SLOTS_MAX = 4_096
"""Books one tape may hold."""
_HEADER = "tape.json"
_NEAR = 4_096
"""How many messages may lie between two about books before memory is kept a little longer."""
_COLUMNS = ("messages", "venue_ns", "received_ns", "levels")


class MessageKind(enum.IntEnum):
    """What a message says. `first` and `second` of `MESSAGE` depend on it.

    Book messages: the place of their first level, the update id. Trades: price, size; `flags` & 1
    is a seller's trade, & 2 a block trade. Prices: price, 0. Funding: the rate in parts per 10^9,
    when it is paid. `STALE`: the book isn't to be believed until the next snapshot; `second` is the
    number of its reason in the header.
    """

    DELTA = 0
    SNAPSHOT = 1
    TRADE = 2
    MARK = 3
    INDEX = 4
    FUNDING = 5
    STALE = 6
    LAST = 7


MESSAGE = np.dtype(
    [
        ("first", "<i8"),
        ("second", "<i8"),
        ("sequence", "<i8"),
        ("bids", "<i4"),
        ("asks", "<i4"),
        ("slot", "<u2"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("spare", "<u4"),
    ]
)
"""One message; `bids` and `asks` count the levels of a book message."""

assert MESSAGE.itemsize == 40


class TapeHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape holds. `depth` is how many levels a side of a book shows at most; 0: all.

    `source` says where it came from, for people; `digest` is over columns and instruments.
    """

    format: int = FORMAT
    instruments: tuple[Instrument, ...]
    depths: tuple[int, ...]
    reasons: tuple[str, ...] = ()
    source: str = ""
    messages: int = 0
    level_rows: int = 0
    trades: int = 0
    digest: str = ""


class Tape:
    """A tape that lies on disk, mapped read-only.

    Raises:
        StorageError: there is none, it is of another format, or its columns don't fit each other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / _HEADER
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise StorageError(f"no tape in {folder}: {path.name}: {error.strerror}") from None
        try:
            self.header = msgspec.json.decode(raw, type=TapeHeader)
        except msgspec.MsgspecError as error:
            raise StorageError(f"{path}: not a tape of this version: {error}") from None
        if self.header.format != FORMAT:
            raise StorageError(
                f"{path}: format {self.header.format}, this version reads {FORMAT}: build it again"
            )
        self.messages: npt.NDArray[np.void] = _mapped(folder, "messages", MESSAGE)
        self.venue_ns: Ints = _mapped(folder, "venue_ns", np.dtype("<i8"))
        self.received_ns: Ints = _mapped(folder, "received_ns", np.dtype("<i8"))
        self.levels: Ints = _mapped(folder, "levels", np.dtype("<i8"))
        self._check()

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments by slot."""
        return self.header.instruments

    def __len__(self) -> int:
        return len(self.messages)

    def let_go(self, until: int) -> None:
        """Give back the memory of the messages before a place; asked for again, they are there.

        A walk that never looks back needs little of a tape at a time.
        """
        for column in (self.messages, self.venue_ns, self.received_ns):
            _let_go(column, until)
        books = np.flatnonzero(self.messages["kind"][until : until + _NEAR] <= MessageKind.SNAPSHOT)
        if len(books):
            _let_go(self.levels, int(self.messages["first"][until + int(books[0])]))

    def _check(self) -> None:
        header, count = self.header, len(self.messages)
        if not count:
            raise StorageError(f"{self.folder}: the tape is empty")
        wrong = ""
        if len(self.venue_ns) != count or len(self.received_ns) != count:
            wrong = "its columns have different lengths"
        elif count != header.messages or len(self.levels) != header.level_rows:
            wrong = f"{_HEADER} tells of {header.messages} messages, there are {count}"
        elif self.levels.ndim != 2 or self.levels.shape[1] != 2:
            wrong = "levels aren't pairs"
        elif not 1 <= len(header.instruments) <= SLOTS_MAX:
            wrong = "it has no instruments"
        elif len(header.depths) != len(header.instruments):
            wrong = "depths and instruments differ in number"
        if wrong:
            raise StorageError(f"{self.folder}: damaged tape: {wrong}; build it again")


def _let_go(column: npt.NDArray[Any], until: int) -> None:
    """Unmap the pages before a row, as far as the platform can; they are the file's, unchanged."""
    mapped = getattr(column, "_mmap", None)
    if mapped is None or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = column.offset % mmap.ALLOCATIONGRANULARITY  # type: ignore[attr-defined]
    length = (start + until * column.strides[0]) // mmap.PAGESIZE * mmap.PAGESIZE
    if length:
        mapped.madvise(mmap.MADV_DONTNEED, 0, length)


def _mapped(folder: Path, name: str, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        # An empty file can't be mapped; a tape of trades has no levels.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: damaged tape: {error}") from None
    if found.dtype != kind:
        raise StorageError(f"{path}: damaged tape: its columns have another type")
    return found  # type: ignore[no-any-return]


class TapeWriter:
    """Writes a tape into a folder beside its final one, which appears when all is there.

    Messages must come in the order of `received_ns`. Used as a context manager it leaves nothing
    behind when something raises.

    Raises:
        StorageError: the folder is there already, or can't be made.
    """

    def __init__(
        self,
        folder: Path,
        instruments: Sequence[Instrument],
        *,
        depths: Sequence[int],
        source: str,
    ) -> None:
        if folder.exists():
            raise StorageError(f"{folder} is there already; remove it, or choose another")
        self.folder = folder
        self._draft = folder.with_name(f".{folder.name}.{os.getpid()}")
        self._header = TapeHeader(
            instruments=tuple(instruments), depths=tuple(depths), source=source
        )
        self._reasons: dict[str, int] = {}
        self._digest = blake2b(digest_size=16)
        self._messages = self._levels = self._trades = 0
        self._last_ns = 0
        try:
            self._draft.mkdir(parents=True)
            self._files = {name: (self._draft / f"{name}.raw").open("wb") for name in _COLUMNS}
        except OSError as error:
            raise StorageError(f"{folder}: can't write a tape there: {error}") from None

    def __enter__(self) -> "TapeWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon()

    def reason(self, text: str) -> int:
        """Return the number of a reason for `STALE`."""
        return self._reasons.setdefault(text, len(self._reasons))

    def append(
        self, messages: npt.NDArray[np.void], venue_ns: Ints, received_ns: Ints, levels: Ints
    ) -> None:
        """Append whole columns; `first` of book messages counts from the start of `levels`.

        Raises:
            StorageError: they contradict each other; nothing of them is written.
        """
        count = len(messages)
        if not count:
            return
        self._check(messages, received_ns, levels)
        messages = messages.copy()
        kinds = messages["kind"]
        is_book = kinds <= MessageKind.SNAPSHOT
        messages["first"][is_book] += self._levels
        # A clock that is behind the venue's would show us news before they were made.
        venue_ns = np.minimum(venue_ns, received_ns)
        for name, column in (
            ("messages", messages),
            ("venue_ns", venue_ns),
            ("received_ns", received_ns),
            ("levels", levels),
        ):
            raw = np.ascontiguousarray(column).tobytes()
            self._files[name].write(raw)
            self._digest.update(raw)
        self._messages += count
        self._levels += len(levels)
        self._trades += int((kinds == MessageKind.TRADE).sum())
        self._last_ns = int(received_ns[-1])

    def _check(self, messages: npt.NDArray[np.void], received_ns: Ints, levels: Ints) -> None:
        late = np.flatnonzero(np.diff(received_ns, prepend=self._last_ns) < 0)
        if len(late):
            raise StorageError(
                f"{self.folder}: message {self._messages + int(late[0])} was received before the "
                "one before it; sort the source by receive time"
            )
        if int(messages["slot"].max()) >= len(self._header.instruments):
            raise StorageError(f"{self.folder}: a message of an instrument the tape doesn't have")
        is_book = messages["kind"] <= MessageKind.SNAPSHOT
        counts = (messages["bids"].astype(np.int64) + messages["asks"])[is_book]
        starts = np.cumsum(counts) - counts
        if int(counts.sum()) != len(levels) or np.any(messages["first"][is_book] != starts):
            raise StorageError(f"{self.folder}: levels and messages don't fit each other")
        if len(levels) and (levels[:, 0].min() <= 0 or levels[:, 1].min() < 0):
            place = int(np.flatnonzero((levels[:, 0] <= 0) | (levels[:, 1] < 0))[0])
            raise StorageError(
                f"{self.folder}: level {self._levels + place} has price {levels[place, 0]} and "
                f"size {levels[place, 1]}"
            )
        is_trade = messages["kind"] == MessageKind.TRADE
        if np.any(messages["first"][is_trade] <= 0) or np.any(messages["second"][is_trade] <= 0):
            raise StorageError(f"{self.folder}: a trade without a price or a size")

    def finish(self) -> Tape:
        """Put the tape in its place and open it.

        Raises:
            StorageError: nothing was appended, or somebody else made it meanwhile.
        """
        if not self._messages:
            self.abandon()
            raise StorageError(f"{self.folder}: there is nothing to make a tape of")
        shapes = {"messages": (self._messages,), "levels": (self._levels, 2)}
        for name, file in self._files.items():
            file.close()
            kind = MESSAGE if name == "messages" else np.dtype("<i8")
            _framed(self._draft, name, shapes.get(name, (self._messages,)), kind)
        self._digest.update(msgspec.json.encode(self._header.instruments))
        header = msgspec.structs.replace(
            self._header,
            reasons=tuple(self._reasons),
            messages=self._messages,
            level_rows=self._levels,
            trades=self._trades,
            digest=self._digest.hexdigest(),
        )
        (self._draft / _HEADER).write_bytes(msgspec.json.encode(header))
        try:
            self._draft.rename(self.folder)
        except OSError as error:
            self.abandon()
            raise StorageError(f"{self.folder}: {error.strerror}") from None
        return Tape(self.folder)

    def abandon(self) -> None:
        """Remove what was written."""
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._draft, ignore_errors=True)


def _framed(
    folder: Path,
    name: str,
    shape: tuple[int, ...],
    kind: np.dtype[Any],
) -> None:
    """Put numpy's header before a raw column, without holding the column."""
    raw = folder / f"{name}.raw"
    with (folder / f"{name}.npy").open("wb") as whole:
        np.lib.format.write_array_header_1_0(
            whole,
            {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape},
        )
        with raw.open("rb") as column:
            shutil.copyfileobj(column, whole, 1 << 20)
    raw.unlink()
