"""A watchdog's note is believed while its very process is there."""

from pathlib import Path

import msgspec

from tickwright.app.trader_state import watchdog_line
from tickwright.app.watchdog_record import WATCHDOG_FILE, noted_watchdog, watching


def test_note_when_watching_then_stands_and_leaves_with_the_watchdog(tmp_path: Path):
    with watching(tmp_path, 3.0):
        line = watchdog_line(tmp_path, heartbeat_s_max=5.0)
        assert (True, 3.0) == (line.is_watching, line.heartbeat_s_max)
    assert None is noted_watchdog(tmp_path)
    assert not watchdog_line(tmp_path, heartbeat_s_max=5.0).is_watching


def test_note_when_its_number_belongs_to_another_process_by_now_then_is_not_believed(
    tmp_path: Path,
):
    with watching(tmp_path, 3.0):
        record = noted_watchdog(tmp_path)
        assert record is not None
        other = msgspec.structs.replace(record, birth=record.birth + 1)
        (tmp_path / WATCHDOG_FILE).write_bytes(msgspec.json.encode(other))
        assert not watchdog_line(tmp_path, heartbeat_s_max=5.0).is_watching
    assert other == noted_watchdog(tmp_path)


def test_note_when_it_is_rubbish_then_there_is_none(tmp_path: Path):
    (tmp_path / WATCHDOG_FILE).write_text("{")
    assert None is noted_watchdog(tmp_path)
