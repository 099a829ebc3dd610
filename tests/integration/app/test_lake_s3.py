"""A lake behind a server that speaks S3: built, listed, asked and continued as one on disk."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickwright.app.lake import LakeBuild, build_lake, lake_rows, query_lake
from tickwright.core.errors import StorageError
from tickwright.simulator.sources.opening import sample_path
from tickwright.storage.lake import writer as writer_module

SAMPLE = sample_path("bybit_linear_xrpusdt_ob500_20241201.zip")
START_S = 45.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with (
        (tmp_path_factory.mktemp("s3") / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            make_bucket(f"{url}/market", process)
            yield url
        finally:
            process.terminate()


def make_bucket(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while True:
        assert process.poll() is None, "the server ended at once"
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, "the server doesn't answer"
            time.sleep(0.05)


@pytest.fixture(autouse=True)
def account(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("HOME", str(tmp_path / "home")),
    ):
        monkeypatch.setenv(name, value)


def built(place: str) -> LakeBuild:
    return build_lake(
        [SAMPLE],
        place,
        instrument=None,
        allows_overlap=False,
        on_progress=lambda name, part: None,
    )


def test_lake_when_in_a_bucket_then_is_built_listed_and_asked_like_a_folder(tmp_path: Path):
    place = "s3://market/some/prefix"

    (source,) = built(place).sources
    (again,) = built(place).sources
    built(str(tmp_path / "lake"))

    assert (50, False, True) == (source.rows, source.is_known, again.is_known)
    assert lake_rows(str(tmp_path / "lake")) == lake_rows(place)
    sql = "select * exclude (filename) from (select *, 1 filename from book) order by ordinal"
    held = [list(query_lake(one, sql)[1]) for one in (place, str(tmp_path / "lake"))]
    assert held[0] == held[1]
    assert 50 == len(held[0])


def test_build_when_stopped_behind_a_file_then_goes_on_from_what_the_bucket_holds(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(writer_module, "FILE_ROWS_MAX", 20)
    place = "s3://market/resumed"
    finish = writer_module.LakeWriter.finish
    monkeypatch.setattr(writer_module.LakeWriter, "finish", _killed)
    with pytest.raises(KeyboardInterrupt):
        built(place)
    monkeypatch.setattr(writer_module.LakeWriter, "finish", finish)

    (source,) = built(place).sources

    assert (50, 3, 2) == (source.rows, source.files, source.files_resumed)
    (row,) = lake_rows(place)
    assert (50, 3) == (row.rows, row.files)


def _killed(writer: object, remarks: list[str]) -> None:
    raise KeyboardInterrupt


def test_bucket_when_it_is_not_there_then_one_sentence_says_so_without_the_secret():
    with pytest.raises(StorageError, match="s3://nobody") as told:
        lake_rows("s3://nobody/lake")

    assert "canary" not in str(told.value)
    assert "\n" not in str(told.value)
