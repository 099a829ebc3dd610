"""The run's log: whole, bounded, and never with a secret in it."""

import io
import json
import logging
from pathlib import Path

import pytest

from tickwright.app.logs import LOG_FILE, STARS, RunLog, redacted
from tickwright.core.errors import StorageError

CANARY = "CANARY-s3cret-0123456789"


class Careless:
    """An object whose text holds a secret."""

    def __repr__(self) -> str:
        return f"Careless(key={CANARY})"


def _lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def test_redacted_when_a_secret_stands_anywhere_then_stars():
    value = {
        CANARY: 1,
        "text": f"sign={CANARY}&x=1",
        "deep": [{"a": (CANARY, 2.5, None, True)}, Careless()],
    }
    found = redacted(value, (CANARY,))
    assert CANARY not in json.dumps(found)
    assert {
        STARS: 1,
        "text": f"sign={STARS}&x=1",
        "deep": [{"a": [STARS, 2.5, None, True]}, f"Careless(key={STARS})"],
    } == found


def test_redacted_when_nested_without_end_then_bounded():
    value: list[object] = []
    value.append(value)
    assert "..." in json.dumps(redacted(value, ()))


def test_log_when_secret_is_in_key_value_error_or_library_then_never_written(tmp_path: Path):
    console = io.StringIO()
    log = RunLog(tmp_path, secrets=[CANARY, ""], console=console)
    log.take_standard_logging()
    log.note("account.login", f"key {CANARY} refused")
    log.log.warning("order.rejected", reason=f"bad {CANARY}", held=Careless(), **{CANARY: 1})
    logging.getLogger("some.library").warning("posting %s", CANARY)
    try:
        raise RuntimeError(f"no {CANARY}")
    except RuntimeError as error:
        log.log.error("run.bug", exc_info=error)
    log.close()
    written = (tmp_path / LOG_FILE).read_text()
    assert (False, False) == (CANARY in written, CANARY in console.getvalue())
    assert ["account.login", "order.rejected", "library.log", "run.bug"] == [
        line["event"] for line in _lines(tmp_path)
    ]
    assert "RuntimeError: no ***" in str(_lines(tmp_path)[-1]["exception"])


def test_log_when_one_secret_holds_another_then_nothing_of_it_shows(tmp_path: Path):
    log = RunLog(tmp_path, secrets=["abc", "abc-longer"])
    assert f"x {STARS} y {STARS}" == log.clean("x abc-longer y abc")
    log.close()


def test_log_when_closed_then_library_records_go_elsewhere(tmp_path: Path):
    log = RunLog(tmp_path)
    log.take_standard_logging()
    log.close()
    logging.getLogger("some.library").warning("late")
    assert [] == _lines(tmp_path)


def test_log_when_level_is_warning_then_notes_are_left_out(tmp_path: Path):
    log = RunLog(tmp_path, level="warning")
    log.note("feed.connected", "one")
    log.log.warning("feed.lost")
    log.close()
    assert ["feed.lost"] == [line["event"] for line in _lines(tmp_path)]


def test_log_when_full_then_says_so_once_and_stops_growing(tmp_path: Path):
    log = RunLog(tmp_path, bytes_max=500)
    for number in range(50):
        log.note("feed.connected", f"line {number}")
    log.close()
    lines = _lines(tmp_path)
    assert (True, "log.full") == (log.is_full, lines[-1]["event"])
    assert (tmp_path / LOG_FILE).stat().st_size < 600


def test_log_when_folder_cannot_be_made_then_clear_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be opened"):
        RunLog(tmp_path / "file" / "inside")


def test_log_when_console_then_short_line_with_time_event_and_keys():
    console = io.StringIO()
    log = RunLog(None, console=console)
    log.log.info("order.changed", text="hello", client_id="tw1")
    log.close()
    time, rest = console.getvalue().split(" ", 1)
    assert (12, "order.changed hello client_id=tw1\n") == (len(time), rest)
