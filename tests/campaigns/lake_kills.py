"""Kills a converter at random moments: the lake holds whole files alone, and in the end all rows.

``python -m tests.campaigns.lake_kills --count 50`` makes a recording over midnight, converts it
once for comparison, then starts `tickwright lake build` again and again into lakes that earlier
kills left behind. After each kill every file with a note is read and its rows counted; when a build
comes through, the lake must equal the undisturbed one, row for row, and a new lake is begun.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.app.test_lake_session import recorded
from tickwright.bench.tape import COMPOSED_SHAPE, make_tape
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.store import FolderStore

__all__ = ["main"]

#: A converter with small files, so that kills fall between files and inside them.
_BUILD = (
    "import sys; from tickwright.storage.lake import writer; writer.FILE_ROWS_MAX = 200; "
    "from tickwright.cli.main import main; main()"
)


def _build(recording: Path, lake: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", _BUILD, "lake", "build", str(recording), "--lake", str(lake)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _wait_for_drafts(process: "subprocess.Popen[bytes]", lake: Path) -> None:
    """Let the interpreter start: until the converter writes there is nothing to break."""
    while not (lake / "_tmp").exists() and process.poll() is None:
        time.sleep(0.001)


def _contents(lake: Path) -> dict[str, pa.Table]:
    """Read every file that is part of the lake, and see that its note tells the truth."""
    found = {}
    for note in Catalogue(FolderStore(lake)).notes():
        table = pq.ParquetFile(lake / note.file).read()
        if table.num_rows != note.rows:
            raise SystemExit(f"{note.file} holds {table.num_rows} rows, its note says {note.rows}")
        found[note.file] = table
    return found


def main() -> int:
    """Kill so many times and say what was seen."""
    parser = argparse.ArgumentParser(prog="tests.campaigns.lake_kills")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--frames", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="tw-lake-kills-") as name:
        folder = Path(name)
        tape = make_tape(
            COMPOSED_SHAPE, frames=options.frames, symbols=5, category="linear", seed=options.seed
        )
        recorded(folder / "recording", tape, options.seed)
        with _build(folder / "recording", folder / "whole") as undisturbed:
            _wait_for_drafts(undisturbed, folder / "whole")
            began_s = time.monotonic()
            assert undisturbed.wait() == 0
        whole_s = time.monotonic() - began_s
        whole = _contents(folder / "whole")
        kills = whole_lakes = partly = lakes = 0
        while kills < options.count:
            lake = folder / f"lake-{lakes}"
            with _build(folder / "recording", lake) as process:
                _wait_for_drafts(process, lake)
                time.sleep(chance.random() * whole_s)
                was_killed = process.poll() is None
                if was_killed:
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
                process.wait()
            held = _contents(lake) if lake.exists() else {}
            for file, table in held.items():
                if not table.equals(whole[file]):
                    raise SystemExit(f"seed {options.seed}: {file} differs after {kills} kills")
            partly += bool(was_killed and 0 < len(held) < len(whole))
            if not was_killed:
                if held.keys() != whole.keys():
                    raise SystemExit(f"seed {options.seed}: a whole lake lacks files")
                whole_lakes += 1
                lakes += 1
                shutil.rmtree(lake)
    sys.stdout.write(
        f"{kills} kills, {partly} of them with some of the {len(whole)} files there; {whole_lakes} "
        "lakes came through, each equal to the undisturbed one\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
