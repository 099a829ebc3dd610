"""The file a restart goes on with: whole or refused, never silently fresh."""

import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickwright.core.errors import StorageError
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId
from tickwright.core.kept_state import KeptState
from tickwright.core.restrictions import LiftedBy, ProtectionKind, Restriction, Scope, Stage
from tickwright.core.risk_state import (
    AccountGateState,
    DayRecord,
    GateState,
    PairRecord,
    RiskState,
    StrategyRecord,
)
from tickwright.storage.kept_state import (
    KEPT_STATE_FILE,
    KeptStateWriter,
    read_kept_state,
    write_kept_state,
)

ACCOUNT = AccountId("bybit", "main")
ALPHA = StrategyId("alpha")
BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
RISK = RiskState(
    saved_ns=1_700_000_000_000_000_000,
    gate=GateState(
        accounts=(
            AccountGateState(
                account_id=ACCOUNT,
                loss_breach_day_ns=-1,
                has_drawdown_breach=True,
                approvals_ns=(1, 2),
            ),
        )
    ),
    days=(
        DayRecord(
            account_id=ACCOUNT,
            day_start_ns=5,
            # Money is wider than 64 bits.
            day_start_equity=123_456_789 * 10**18 + 1,
            peak_equity=None,
        ),
    ),
    restrictions=(
        Restriction(
            kind=ProtectionKind.COOLDOWN,
            scope=Scope(strategy_id=ALPHA, instrument_id=BTC),
            stage=Stage.REDUCING,
            lifted_by=LiftedBy.TIME,
            reason='a stop loss closed long: ünïcode "quoted"',
            since_ns=7,
            until_ns=8,
        ),
    ),
    strategies=(StrategyRecord(strategy_id=ALPHA, returns=(0.1, None, -2.5e-17)),),
    pairs=(PairRecord(strategy_id=ALPHA, instrument_id=BTC, trade_money=-(10**30)),),
)
STATE = KeptState(risk=RISK)
LATER = KeptState(risk=msgspec.structs.replace(RISK, saved_ns=9))


def test_state_when_written_then_read_the_same_and_owned_alone(tmp_path: Path):
    folder = tmp_path / "new" / "state"
    write_kept_state(folder, STATE)
    assert STATE == read_kept_state(folder)
    path = folder / KEPT_STATE_FILE
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(folder.iterdir())


def test_state_when_there_is_none_then_none(tmp_path: Path):
    assert None is read_kept_state(tmp_path)


def test_state_when_a_draft_was_left_by_a_crash_then_the_old_one_stands(tmp_path: Path):
    write_kept_state(tmp_path, STATE)
    (tmp_path / f".{KEPT_STATE_FILE}.draft").write_bytes(b"half")
    assert STATE == read_kept_state(tmp_path)
    write_kept_state(tmp_path, LATER)
    read = read_kept_state(tmp_path)
    assert read is not None
    assert 9 == read.saved_ns


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda raw: b"", "half of one"),
        (lambda raw: raw[: len(raw) // 2], "half of one"),
        (lambda raw: b"\x00" * len(raw), "half of one"),
        (lambda raw: b"[" * 100_000, "half of one"),
        (lambda raw: raw.replace(b'"until_ns":8', b'"until_ns":9'), "checksum differs"),
        (lambda raw: raw.replace(b"true", b"false"), "checksum differs"),
        (lambda raw: raw.replace(b'"version":1', b'"version":2'), "version 2, this version reads"),
        (lambda raw: raw.replace(b"tickwright trading", b"something else"), "is no trading state"),
        (lambda raw: b'{"epoch": 4}', "is no trading state"),
    ],
    ids=[
        "empty",
        "half",
        "zeros",
        "deep",
        "changed",
        "lifted by hand",
        "newer",
        "foreign",
        "other",
    ],
)
def test_state_when_it_cannot_be_believed_then_refused_with_a_remedy(tmp_path, spoil, words):
    write_kept_state(tmp_path, STATE)
    path = tmp_path / KEPT_STATE_FILE
    raw = path.read_bytes()
    spoilt = spoil(raw)
    assert raw != spoilt
    path.write_bytes(spoilt)
    with pytest.raises(StorageError, match=words) as refused:
        read_kept_state(tmp_path)
    assert "move it away" in str(refused.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_state_when_any_bit_is_turned_then_refused_or_the_same(tmp_path, place, bit):
    write_kept_state(tmp_path, STATE)
    path = tmp_path / KEPT_STATE_FILE
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] ^= 1 << bit
    path.write_bytes(bytes(raw))
    try:
        read = read_kept_state(tmp_path)
    except StorageError:
        return
    # White space around the envelope, or a field's name that nobody reads: nothing of the state.
    assert STATE == read


def test_state_when_its_place_is_a_folder_then_refused(tmp_path: Path):
    (tmp_path / KEPT_STATE_FILE).mkdir()
    with pytest.raises(StorageError, match="can't be read"):
        read_kept_state(tmp_path)
    with pytest.raises(StorageError, match="can't be written"):
        write_kept_state(tmp_path, STATE)


def test_writer_when_states_come_quickly_then_the_newest_is_on_the_disk_at_the_end(tmp_path: Path):
    writer = KeptStateWriter(tmp_path)
    for saved_ns in range(200):
        writer.save(KeptState(risk=msgspec.structs.replace(RISK, saved_ns=saved_ns)))
    writer.close()
    read = read_kept_state(tmp_path)
    assert read is not None
    assert 199 == read.saved_ns
    assert 1 <= writer.written_count <= 200
    assert "" == writer.fault
    assert "trading-state" not in {thread.name for thread in threading.enumerate()}


def test_writer_when_the_disk_refuses_then_the_fault_is_told_and_the_next_write_mends_it(
    tmp_path: Path,
):
    blocked = tmp_path / "state"
    blocked.write_text("")
    writer = KeptStateWriter(blocked)
    writer.save(STATE)
    writer.close()
    assert "can't be written" in writer.fault
    os.unlink(blocked)
    again = KeptStateWriter(blocked)
    again.save(STATE)
    again.close()
    assert ("", STATE) == (again.fault, read_kept_state(blocked))
