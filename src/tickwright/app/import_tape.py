"""Owns what the verb `import` does: one file of a peer's or an archive's format becomes a tape.

The lake's importers read it; the lake is thrown away. It refuses to guess an instrument's rules.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tickwright.app.backtest import instrument_of
from tickwright.app.config_model import RulesConfig
from tickwright.app.lake import build_lake, open_lake
from tickwright.core.identity import InstrumentId

if TYPE_CHECKING:
    from tickwright.backtest.tape import Tape

__all__ = ["ImportedTape", "import_tape"]


class ImportedTape(msgspec.Struct, frozen=True, kw_only=True):
    """What `import --json` writes. Times are UTC nanoseconds; `remarks` are for people."""

    tape: str
    instrument: str
    messages: int
    level_rows: int
    trades: int
    first_ns: int
    last_ns: int
    digest: str
    remarks: list[str]


def import_tape(
    sources: list[Path],
    folder: Path,
    instrument: InstrumentId,
    rules: RulesConfig,
    *,
    depth: int,
    on_progress: Callable[[str, float], None],
) -> ImportedTape:
    """Make a tape of files that hold one instrument's market; returns what it holds.

    Raises:
        ConfigError: a file is of no known kind.
        StorageError: a file is damaged, or the folder is there already.
    """
    from tickwright.backtest.from_lake import tape_from_lake
    from tickwright.storage.lake.catalogue import Catalogue

    with tempfile.TemporaryDirectory(prefix="tickwright-import-") as place:
        built = build_lake(
            sources,
            place,
            instrument=str(instrument),
            allows_overlap=False,
            on_progress=on_progress,
        )
        tape = tape_from_lake(
            Catalogue(open_lake(place)),
            [instrument_of(instrument, rules)],
            folder,
            depths={instrument: depth},
            starts_empty=True,
        )
    return _told(tape, [one for source in built.sources for one in source.remarks])


def _told(tape: "Tape", remarks: list[str]) -> ImportedTape:
    header = tape.header
    return ImportedTape(
        tape=str(tape.folder),
        instrument=str(tape.instruments[0].id),
        messages=header.messages,
        level_rows=header.level_rows,
        trades=header.trades,
        first_ns=int(tape.received_ns[0]),
        last_ns=int(tape.received_ns[-1]),
        digest=header.digest,
        remarks=remarks,
    )
