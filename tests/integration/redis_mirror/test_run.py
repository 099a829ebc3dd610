"""`tickwright run` with a mirror, and `tickwright cache` beside it: whole processes."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.runs import EAGER, written_below
from tickwright.app.config import load_config
from tickwright.bench.redis_server import redis_server
from tickwright.cache import open_cache
from tickwright.core.errors import ConfigError

PASSWORD = "canary-of-redis"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
LONG_S = 45.0
CONFIG = f"""{EAGER}
[redis]
url = "URL"
interval_ms = 50
"""


async def started(*words: str, password: str = PASSWORD) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tickwright",
        *words,
        env={**os.environ, "TICKWRIGHT_REDIS_PASSWORD": password, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def tickwright(*words: str, password: str = PASSWORD) -> tuple[int, str]:
    process = await started(*words, password=password)
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def has_all(url: str) -> bool:
    """Whether books, trades and signals have been mirrored."""
    with open_cache(url, password=PASSWORD) as cache:
        books = [cache.book(symbol) for symbol in SYMBOLS]
        return bool(
            all(book is not None and book.is_synced for book in books)
            and cache.signals()
            and any(cache.trades(symbol) for symbol in SYMBOLS)
        )


async def test_run_when_mirrored_then_another_process_reads_it_and_the_report_counts(
    tmp_path: Path,
):
    path, report_path = tmp_path / "my.toml", tmp_path / "report.json"
    with redis_server("--requirepass", PASSWORD) as server:
        path.write_text(CONFIG.replace("URL", server.url))
        process = await started("run", str(path), "--json", str(report_path))
        ending = asyncio.create_task(process.communicate())
        try:
            async with asyncio.timeout(LONG_S):
                while not await asyncio.to_thread(has_all, server.url):
                    assert not ending.done(), ending.result()[0].decode()
                    await asyncio.sleep(0.1)
            code, shown = await tickwright("cache", server.url)
            found, book = await tickwright("cache", server.url, "BTCUSDT", "--levels", "3")
            process.send_signal(signal.SIGINT)
            said = (await ending)[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await ending
    report = json.loads(report_path.read_text())["redis"]

    assert (0, 0, 0) == (code, found, process.returncode), shown + said + book
    assert " synced " in shown
    assert "writes every 50 ms" in shown
    assert "BTCUSDT" in shown
    assert "ETHUSDT" in shown
    assert len(book.splitlines()) >= 7
    # Two processes began and ended meanwhile.
    assert report["writes"] > 20
    assert report["trades"] > 0
    assert report["signals"] > 0
    assert (0, 0, 0) == (report["outages"], report["entries_lost"], report["refused"])
    assert PASSWORD not in written_below(tmp_path) + said + shown


async def test_run_when_redis_is_not_there_then_trades_all_the_same_and_counts_it(tmp_path: Path):
    path, report_path = tmp_path / "my.toml", tmp_path / "report.json"
    path.write_text(CONFIG.replace("URL", "redis://127.0.0.1:1"))
    code, said = await tickwright("run", str(path), "--seconds", "5", "--json", str(report_path))
    report = json.loads(report_path.read_text())

    assert 0 == code, said
    assert report["books_synced"] == 2
    assert (False, 1, 0) == (
        report["redis"]["is_up"],
        report["redis"]["outages"],
        report["redis"]["writes"],
    )
    assert report["redis"]["outage_s"] > 3
    assert "redis.lost" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('url = "http://:canary@host"', "redis.url must begin with one of redis://"),
        ('url = "redis://:canary@host/x"', "redis.url must end with a database number"),
        ("url = 5", "redis.url must be text in quotes"),
        ("interval_ms = 4000", "expire_s must be at least three intervals"),
        ("levels = 0", "redis.levels"),
    ],
)
def test_configuration_when_the_mirror_is_wrong_then_says_so_and_shows_no_password(
    tmp_path: Path, line: str, words: str
):
    path = tmp_path / "my.toml"
    path.write_text(CONFIG.replace('url = "URL"\ninterval_ms = 50', line))
    with pytest.raises(ConfigError) as told:
        load_config(path)
    assert words in str(told.value)
    assert "canary" not in str(told.value)


async def test_cache_when_nothing_is_there_then_says_so():
    with redis_server() as server:
        code, said = await tickwright("cache", server.url, password="")
        assert (1, True) == (code, "no mirror is written there" in said)
        code, said = await tickwright("cache", server.url, "BTCUSDT", password="")
        assert (1, True) == (code, "no book of BTCUSDT" in said)
    code, said = await tickwright("cache", server.url)
    assert (1, True) == (code, "can't be read" in said)
    code, said = await tickwright("cache", "http://canary@x")
    assert (2, True, False) == (code, "must begin with" in said, "canary" in said)
