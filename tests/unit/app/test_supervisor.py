"""The guard around a run: how each kind of end leaves."""

import asyncio
import os
import signal
from io import StringIO
from pathlib import Path

import pytest

from tickwright.app.logs import LOG_FILE, RunLog
from tickwright.app.supervisor import BUG, INTERRUPTED, Life, single_fault, supervise
from tickwright.core.errors import ConfigError, ConnectionLost

CANARY = "CANARY-s3cret-0123456789"


def test_single_fault_when_group_holds_only_faults_then_the_first_speaks():
    first = ConnectionLost("down")
    group = ExceptionGroup("a", [ExceptionGroup("b", [first]), ConfigError("later")])
    assert first is single_fault(group)


def test_single_fault_when_a_bug_is_among_them_then_none():
    group = ExceptionGroup("a", [ConnectionLost("down"), KeyError("bug")])
    assert (None, None) == (single_fault(group), single_fault(ValueError("bug")))


def test_supervise_when_main_returns_then_its_code():
    async def main(life: Life) -> int:
        return 7

    assert 7 == supervise(main, log=RunLog(None))


def test_supervise_when_faults_come_in_a_group_then_one_is_raised():
    async def fail() -> None:
        raise ConnectionLost("venue main doesn't answer")

    async def main(life: Life) -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
        return 0

    with pytest.raises(ConnectionLost, match="venue main doesn't answer"):
        supervise(main, log=RunLog(None))


def test_supervise_when_the_world_fails_then_the_file_says_it_and_the_console_is_left_to_the_verb(
    tmp_path: Path,
):
    async def main(life: Life) -> int:
        raise ConnectionLost("venue main doesn't answer")

    console = StringIO()
    log = RunLog(tmp_path, console=console)
    with pytest.raises(ConnectionLost):
        supervise(main, log=log)
    log.close()
    assert "doesn't answer" in (tmp_path / LOG_FILE).read_text()
    assert "" == console.getvalue()


def test_supervise_when_bug_then_traceback_in_log_sentence_on_screen_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async def main(life: Life) -> int:
        raise ValueError(f"unexpected {CANARY}")

    log = RunLog(tmp_path, secrets=[CANARY])
    assert BUG == supervise(main, log=log)
    log.close()
    written = (tmp_path / LOG_FILE).read_text()
    said = capsys.readouterr().err
    assert ("ValueError" in written, "Traceback" in written) == (True, True)
    assert "bug of its own: ValueError: unexpected ***" in said
    assert (False, False, False) == (CANARY in written, CANARY in said, "Traceback" in said)


def test_supervise_when_a_callback_raises_then_the_run_ends_as_by_a_bug(
    capsys: pytest.CaptureFixture[str],
):
    def broken() -> None:
        raise ZeroDivisionError("in a callback")

    async def main(life: Life) -> int:
        asyncio.get_running_loop().call_soon(broken)
        await asyncio.Event().wait()
        return 0

    assert BUG == supervise(main, log=RunLog(None))
    assert "ZeroDivisionError: in a callback" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_supervise_when_signalled_once_then_main_ends_in_order(number: signal.Signals):
    async def main(life: Life) -> int:
        os.kill(os.getpid(), number)
        await life.stopping.wait()
        return 3 if life.signal_name == number.name else 4

    assert 3 == supervise(main, log=RunLog(None))


def test_supervise_when_signalled_twice_then_ends_at_once():
    async def main(life: Life) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        await life.stopping.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
        return 0

    assert INTERRUPTED == supervise(main, log=RunLog(None))


def test_supervise_when_over_then_signals_are_as_before():
    async def main(life: Life) -> int:
        return 0

    before = signal.getsignal(signal.SIGTERM)
    supervise(main, log=RunLog(None))
    assert before == signal.getsignal(signal.SIGTERM)
