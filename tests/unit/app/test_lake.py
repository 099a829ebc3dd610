"""Archives come into the lake as the books they hold; each is read once."""

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickwright.app.lake import LakeBuild, build_lake, lake_rows, query_lake
from tickwright.app.recorded_books import BybitRecorded
from tickwright.book.order_book import OrderBook
from tickwright.cli.main import app
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.identity import InstrumentId
from tickwright.simulator.sources.opening import sample_path
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.reader import LakeReader, apply_book_row
from tickwright.storage.lake.store import FolderStore

SAMPLE = sample_path("bybit_linear_xrpusdt_ob500_20241201.zip")
XRP = InstrumentId.parse("bybit:linear:XRPUSDT")


def frames() -> list[bytes]:
    with zipfile.ZipFile(SAMPLE) as archive:
        return archive.read(archive.namelist()[0]).splitlines()


def archive_of(path: Path, lines: list[bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("day.data", b"\n".join(lines) + b"\n")
    return path


def built(
    lake: Path, *paths: Path, instrument: str | None = None, overlap: bool = False
) -> LakeBuild:
    return build_lake(
        list(paths),
        str(lake),
        instrument=instrument,
        allows_overlap=overlap,
        on_progress=lambda name, part: None,
    )


def test_archive_when_rebuilt_from_the_lake_then_every_update_is_the_book_of_its_frames(
    tmp_path: Path,
):
    built(tmp_path / "lake", SAMPLE)
    direct = BybitRecorded()
    for frame in frames():
        direct.survey(frame)
    direct.open()
    (expected,) = direct.books
    rebuilt = OrderBook(expected.instrument, capacity=500, policy=expected.policy)
    (batch,) = LakeReader(Catalogue(FolderStore(tmp_path / "lake"))).book(XRP)

    assert len(frames()) == len(batch)
    for index, frame in enumerate(frames()):
        assert direct.take(frame, 1) is None
        apply_book_row(rebuilt, batch, index)
        assert (expected.update_id, expected.bids(), expected.asks()) == (
            rebuilt.update_id,
            rebuilt.bids(),
            rebuilt.asks(),
        )


def test_archive_when_imported_twice_under_another_name_then_is_noticed(tmp_path: Path):
    built(tmp_path / "lake", SAMPLE)
    copy = tmp_path / "again.zip"
    copy.write_bytes(SAMPLE.read_bytes())

    (source,) = built(tmp_path / "lake", copy).sources

    assert source.is_known
    assert str(SAMPLE) in source.remarks[-1]
    assert [50] == [row.rows for row in lake_rows(str(tmp_path / "lake"))]


def test_archive_when_packed_anew_then_its_rows_are_refused_as_the_same_time(tmp_path: Path):
    built(tmp_path / "lake", SAMPLE)
    anew = archive_of(tmp_path / "anew.zip", frames()[:-1])

    with pytest.raises(StorageError, match="--overlap"):
        built(tmp_path / "lake", anew)
    built(tmp_path / "lake", anew, overlap=True)

    assert [99] == [row.rows for row in lake_rows(str(tmp_path / "lake"))]


def test_archive_when_a_message_is_missing_then_the_book_is_in_doubt_until_a_snapshot(
    tmp_path: Path,
):
    lines = frames()
    path = archive_of(tmp_path / "gap.zip", [*lines[:10], *lines[11:20]])

    (source,) = built(tmp_path / "lake", path).sources

    assert ["1 gaps: the book is in doubt until the next snapshot"] == source.remarks
    _, rows = query_lake(str(tmp_path / "lake"), "select kind, reason <> '' from book")
    assert [(1, False), *[(0, False)] * 9, (2, True)] == list(rows)


def test_archive_when_lines_are_doubled_or_broken_then_they_are_counted(tmp_path: Path):
    lines = frames()
    path = archive_of(
        tmp_path / "odd.zip",
        [*lines[:5], lines[4], *lines[5:8], b'{"topic":"orderbook.500', lines[0]],
    )

    (source,) = built(tmp_path / "lake", path).sources

    assert ["1 lines could not be read: line 10", "1 messages told twice, taken once"] == [
        source.remarks[0][:34],
        source.remarks[1],
    ]
    _, rows = query_lake(str(tmp_path / "lake"), "select kind from book order by ordinal")
    assert [1, *[0] * 7, 2, 1] == [kind for (kind,) in rows]


@pytest.mark.parametrize("kept", [100, 20_000])
def test_archive_when_cut_then_is_refused_whole(tmp_path: Path, kept: int):
    path = tmp_path / "cut.zip"
    path.write_bytes(SAMPLE.read_bytes()[:kept])

    with pytest.raises(StorageError, match=r"cut\.zip"):
        built(tmp_path / "lake", path)

    assert [] == list((tmp_path / "lake").rglob("*.parquet"))


def test_trades_when_of_either_market_then_are_read(tmp_path: Path):
    future = tmp_path / "BTCUSDT2024-12-01.csv.gz"
    future.write_bytes(
        gzip.compress(
            b"timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
            b"foreignNotional\n1733011200.6912,BTCUSDT,Sell,0.015,96000.10,PlusTick,a-1,1,1,1\n"
        )
    )
    spot = tmp_path / "BTCUSDT_2024-12-01.csv.gz"
    spot.write_bytes(
        gzip.compress(b"id,timestamp,price,volume,side\n7,1733011200691,96000.1,0.5,buy\n")
    )

    built(tmp_path / "lake", future, instrument="bybit:linear:BTCUSDT")
    built(tmp_path / "lake", spot, instrument="bybit:spot:BTCUSDT")

    _, rows = query_lake(
        str(tmp_path / "lake"),
        "select category, trade_id, side, price::varchar, size::varchar, venue_ns "
        "from trades_decimal order by category",
    )
    assert [
        ("linear", "a-1", -1, "96000.10", "0.015", 1733011200691200000),
        ("spot", "7", 1, "96000.10", "0.500", 1733011200691000000),
    ] == list(rows)


def test_file_when_it_does_not_say_whose_it_is_then_the_instrument_is_asked_for(tmp_path: Path):
    path = tmp_path / "in.csv"
    path.write_text("id,timestamp,price,volume,side\n7,1733011200691,96000.1,0.5,buy\n")

    with pytest.raises(ConfigError, match="--instrument"):
        built(tmp_path / "lake", path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "a,b\n1,2\n", "no known kind"),
        ("a.zip", "nothing", "damaged"),
        ("a.jsonl", "{}\n", "no order book"),
    ],
)
def test_file_when_foreign_then_one_sentence_says_so(
    tmp_path: Path, name: str, text: str, words: str
):
    (tmp_path / name).write_text(text)

    with pytest.raises((ConfigError, StorageError), match=words):
        built(tmp_path / "lake", tmp_path / name)


def test_verbs_when_typed_then_build_list_ask_and_export(tmp_path: Path):
    run = CliRunner()
    lake = ["--lake", str(tmp_path / "lake")]

    built_ = run.invoke(app, ["lake", "build", str(SAMPLE), *lake, "--json", "-"])
    listed = run.invoke(app, ["lake", "ls", *lake, "--json", "-"])
    asked = run.invoke(app, ["lake", "sql", "select count(*) n from book", *lake, "--csv"])
    shown = run.invoke(app, ["lake", "sql", "select * from book", *lake, "--rows", "3"])
    out = tmp_path / "out.npz"
    exported = run.invoke(
        app, ["lake", "export", "bybit:linear:XRPUSDT", *lake, "--hftbacktest", str(out)]
    )
    wrong = run.invoke(app, ["lake", "sql", "select nothing", *lake])
    empty = run.invoke(app, ["lake", "ls", "--lake", str(tmp_path / "none")])

    assert 50 == json.loads(built_.stdout)["sources"][0]["rows"]
    assert "bybit:linear:XRPUSDT" == json.loads(listed.stdout)[0]["instrument"]
    assert "n\n50\n" == asked.stdout.replace("\r", "")
    assert (0, 0) == (shown.exit_code, exported.exit_code)
    assert out.exists()
    assert (2, 2) == (wrong.exit_code, empty.exit_code)
