"""What a verb raises becomes an exit code and at most one sentence."""

import errno

import pytest
import typer

import tickwright.net.listener
from tickwright.cli.outcome import check_sockets, verb
from tickwright.core.errors import (
    ConfigError,
    ConnectionLost,
    InstrumentUnknown,
    StorageError,
    VenueError,
)


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ConfigError("write it so"), 2, "tickwright look: write it so\n"),
        (InstrumentUnknown("no A"), 2, "tickwright look: no A\n"),
        (ConnectionLost("gone"), 1, "tickwright look: gone\n"),
        (StorageError("cut"), 1, "tickwright look: cut\n"),
        (VenueError(10001, "no", what="GET"), 1, "tickwright look: GET: venue code 10001: no\n"),
        (OSError(errno.ENOSPC, "No space left", "f"), 1, "tickwright look: f: No space left\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_verb_when_it_raises_then_ends_with_code_and_sentence(
    raised: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
):
    @verb("look")
    def look() -> int:
        raise raised

    with pytest.raises(typer.Exit) as ended:
        look()

    assert (code, ("", said)) == (ended.value.exit_code, capsys.readouterr())


def test_verb_when_it_is_a_bug_then_the_traceback_stays():
    @verb("look")
    def look() -> int:
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError):
        look()


def test_sockets_when_picows_is_another_one_then_are_not_opened(monkeypatch: pytest.MonkeyPatch):
    check_sockets()
    monkeypatch.setattr(tickwright.net.listener, "picows_mismatch", lambda: "built against another")

    with pytest.raises(ConfigError, match="built against another"):
        check_sockets()
