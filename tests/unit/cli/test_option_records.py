"""Records of options: typer sees their fields in the record's place, the verb gets the record."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from tickwright.cli.option_records import takes_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    depth: Annotated[int, typer.Option(min=1, help="How deep.")] = 5
    until: Annotated[str, typer.Option("--to", help="How far.")] = ""


def test_record_when_a_verb_takes_it_then_its_options_stand_in_its_place():
    got: list[object] = []

    @takes_records
    def look(name: str, *, reach: Reach, loud: bool = False) -> int:
        got.append((name, reach, loud))
        return 0

    app = typer.Typer(rich_markup_mode=None)
    app.command()(look)
    helped = CliRunner().invoke(app, ["--help"]).stdout
    runs = [["BTC"], ["BTC", "--to", "noon", "--loud", "--depth", "9"], ["BTC", "--depth", "0"]]
    codes = [CliRunner().invoke(app, words).exit_code for words in runs]

    assert helped.index("--depth") < helped.index("--to") < helped.index("--loud")
    assert [0, 0, 2] == codes
    assert [("BTC", Reach(), False), ("BTC", Reach(depth=9, until="noon"), True)] == got
