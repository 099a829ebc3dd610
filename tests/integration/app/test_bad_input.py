"""`run` refuses bad keys, clocks, journals, disks, answers: one sentence with what helps."""

import binascii
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.app.between import Answers, between
from tests.integration.clients.venue import KEY, SECRET, Venue, running
from tests.integration.kill.test_kill import CONFIG
from tests.unit.storage.test_journal import cancel, place
from tickwright.core.identity import AccountId
from tickwright.storage.journal import Journal

SECONDS = "1"
KEYS = {"TICKWRIGHT_MAIN_API_KEY": KEY, "TICKWRIGHT_MAIN_API_SECRET": SECRET}
QUOTING = Path(__file__).parents[1] / "kill" / "quoting.py"


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with running() as found:
        yield found


@pytest.fixture
def folder(venue: Venue, tmp_path: Path) -> Path:
    shutil.copy(QUOTING, tmp_path / "quoting.py")
    (tmp_path / "run.toml").write_text(CONFIG.format(venue=venue))
    return tmp_path


def orders_ever(venue: Venue) -> int:
    account = venue.account()
    return len(account["open_orders"]) + len(account["closed_orders"])


def run(
    folder: Path,
    keys: dict[str, str] | None = None,
    *,
    before: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickwright", "run", str(folder / "run.toml"), "--seconds", SECONDS],
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
        env={"PATH": "/usr/bin:/bin", **KEYS, **(keys or {})},
        preexec_fn=before,
    )


def refuses(
    venue: Venue, done: "subprocess.CompletedProcess[str]", before: int, *words: str
) -> None:
    """Check that nothing was sent and that one sentence says why, and what helps."""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tickwright run: "), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 2)
    for word in words:
        assert word in last
    assert before == orders_ever(venue)


# keys ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"TICKWRIGHT_MAIN_API_KEY": "k" * 18},
            ("10003", "account bybit:main", "key and environment (env) belong together"),
        ),
        (
            {"TICKWRIGHT_MAIN_API_SECRET": "s" * 36},
            ("10004", "account bybit:main", "the secret doesn't belong to the key"),
        ),
    ],
)
def test_run_when_the_key_is_wrong_then_refuses_and_says_what_helps(
    venue: Venue, folder: Path, keys: dict[str, str], words: tuple[str, ...]
):
    before = orders_ever(venue)
    refuses(venue, run(folder, keys), before, *words)


def refusal(code: int, text: str) -> bytes:
    return json.dumps({"retCode": code, "retMsg": text, "result": {}, "time": 1}).encode()


def rights(**changed: object) -> bytes:
    held = {
        "readOnly": 0,
        "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []},
        "ips": ["*"],
        "expiredAt": "2099-01-01T00:00:00Z",
    }
    body = {"retCode": 0, "retMsg": "", "result": held | changed, "time": 1}
    return json.dumps(body).encode()


HTML = b"<html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"/user/query-api": refusal(33004, "Your api key has expired.")},
            ("33004", "the key has expired: make a new one"),
        ),
        (
            {"/user/query-api": refusal(10010, "Unmatched IP, please check your API key's bound")},
            ("10010", "bound to other addresses"),
        ),
        (
            {"/user/query-api": rights(permissions={"Wallet": ["Withdraw"]})},
            ("may withdraw", "make one that can't"),
        ),
        ({"/user/query-api": rights(readOnly=1)}, ("may only read", "make one that may trade")),
        ({"/user/query-api": HTML}, ("without the venue's JSON", "a proxy or gateway")),
        (
            {"/user/query-api": b'{"retCode":0,"result":[]}'},
            ("bybit:main", "API key can't be read"),
        ),
        ({"/market/time": HTML}, ("without the venue's JSON", "a proxy or gateway")),
        ({"/market/instruments-info": HTML}, ("without the venue's JSON", "a proxy or gateway")),
    ],
)
def test_run_when_the_venue_answers_so_then_refuses_and_says_what_helps(
    venue: Venue, folder: Path, answers: Answers, words: tuple[str, ...]
):
    before = orders_ever(venue)
    with between(venue.rest, answers) as rest:
        path = folder / "run.toml"
        path.write_text(path.read_text().replace(venue.rest, rest))
        refuses(venue, run(folder), before, *words)


# the clock ----------------------------------------------------------------------------------------


def test_run_when_our_clock_is_1_s_fast_then_stamps_by_the_venue_or_refuses_by_its_limit(
    venue: Venue, folder: Path
):
    venue.fault(kind="clock", offset_s=-1.0, count=1_000_000)
    try:
        before = orders_ever(venue)
        done = run(folder)
        assert 0 == done.returncode, done.stderr
        assert before < orders_ever(venue)
        # Not even the first order: the clock was measured before there was a socket.
        assert "server timestamp" not in done.stderr
        path = folder / "run.toml"
        path.write_text(path.read_text().replace("[risk]\n", "[risk]\nclock_skew_ms_max = 500\n"))
        before = orders_ever(venue)
        done = run(folder)
    finally:
        venue.heal()
    assert "clock_skew" in done.stdout
    assert "timedatectl set-ntp true" in done.stderr
    assert before == orders_ever(venue)


# the journal --------------------------------------------------------------------------------------


def written(folder: Path, account: str = "bybit:main") -> Path:
    """Leave a journal of an earlier run with three orders; returns its segment."""
    place_of = folder / "sessions" / "state" / "journal-bybit-main"
    journal = Journal(place_of, account=account, epoch=1, now_ns=1)
    for number in (1, 2, 3):
        journal.promise(place(number), number)
    journal.note_cancel(cancel(3), 4)
    journal.close()
    return journal.path


def flip_a_bit(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"TW2") + 1] ^= 4
    path.write_bytes(raw)


def lose_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))


def take_another_version(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    body = lines[0][9:].replace(b'"format":2', b'"format":1')
    lines[0] = b"%08x %b" % (binascii.crc32(body), body)
    path.write_bytes(b"\n".join(lines) + b"\n")


def empty_it(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip_a_bit, ("line 3 is damaged", "move it away")),
        (lose_a_line, ("lines are missing", "move it away")),
        (take_another_version, ("has form 1, this version reads 2", "version that wrote it")),
        (empty_it, ("line 1 is damaged", "move it away")),
    ],
)
def test_run_when_the_journal_was_changed_then_refuses_and_leaves_it(
    venue: Venue, folder: Path, damage: Callable[[Path], None], words: tuple[str, ...]
):
    path = written(folder)
    damage(path)
    kept = path.read_bytes()
    before = orders_ever(venue)
    refuses(venue, run(folder), before, *words)
    assert kept == path.read_bytes()


def test_run_when_the_journal_is_another_accounts_then_refuses(venue: Venue, folder: Path):
    written(folder, account=str(AccountId("bybit", "other")))
    before = orders_ever(venue)
    refuses(venue, run(folder), before, "is of account bybit:other", "a state folder of its own")


def test_run_when_half_a_last_line_stands_there_then_it_is_dropped_and_trades(
    venue: Venue, folder: Path
):
    path = written(folder)
    path.write_bytes(path.read_bytes()[:-30])
    before = orders_ever(venue)
    done = run(folder)
    assert 0 == done.returncode, done.stderr
    assert before < orders_ever(venue)


# the disk -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 600])
def test_run_when_the_disk_is_full_then_refuses_and_names_the_file(
    venue: Venue, folder: Path, room: int
):
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    before = orders_ever(venue)
    refuses(venue, run(folder, before=fill), before, "can't be written", str(folder / "sessions"))
