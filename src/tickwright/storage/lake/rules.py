"""Owns the rules of a lake's instruments as their recordings told them; refuses to guess any.

Rows carry units alone. Whoever trades on them again needs tick, lot, minima and what the contract
is; archives don't tell these, recordings do.
"""

from urllib.parse import quote

import msgspec

from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.storage.lake.store import LakeStore

__all__ = ["RULES", "read_rules", "write_rules"]

RULES = "_rules"


def write_rules(store: LakeStore, instrument: Instrument) -> None:
    """Keep an instrument's rules; those of a later version stay."""
    known = read_rules(store, instrument.id)
    if known is None or known.valid_from_ns <= instrument.valid_from_ns:
        store.write(_name(instrument.id), msgspec.json.encode(instrument))


def read_rules(store: LakeStore, instrument_id: InstrumentId) -> Instrument | None:
    """Return an instrument's rules, None where no recording told them.

    Raises:
        StorageError: they are damaged.
    """
    name = _name(instrument_id)
    raw = store.read(name)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=Instrument)
    except msgspec.MsgspecError as error:
        raise StorageError(f"the lake's rules {name} are damaged: {error}") from None


def _name(instrument_id: InstrumentId) -> str:
    return f"{RULES}/{quote(str(instrument_id), safe='')}.json"
