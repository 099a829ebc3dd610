"""The verb `import`: a file of hftbacktest, Tardis or an archive as a tape for backtests."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import tell, verb
from tickwright.core.errors import ConfigError

__all__ = ["import_verb"]


@verb("import")
def import_verb(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="hftbacktest npz, Tardis CSV, Bybit book zip or trade CSV of one instrument.",
            metavar="FILE",
        ),
    ],
    *,
    tape: Annotated[Path, typer.Option(help="The tape's folder, not there yet.", metavar="DIR")],
    instrument: Annotated[str, typer.Option(help="Whose it is.", metavar="VENUE:CATEGORY:SYMBOL")],
    tick: Annotated[str, typer.Option(help="Step of prices, such as 0.1.", metavar="PRICE")],
    lot: Annotated[str, typer.Option(help="Step of sizes, such as 0.001.", metavar="SIZE")],
    base: Annotated[str, typer.Option(help="Asset that is traded, such as BTC.", metavar="ASSET")],
    size_max: Annotated[
        str, typer.Option(help="Largest order, in the size's unit.", metavar="SIZE")
    ] = "1000000",
    notional_min: Annotated[
        str, typer.Option(help="Least value of an order.", metavar="AMOUNT")
    ] = "0",
    leverage_max: Annotated[str, typer.Option(help="Of the instrument.", metavar="N")] = "100",
    depth: Annotated[
        int,
        typer.Option(min=0, max=10_000, help="Levels a side shown at most; 0: all.", metavar="N"),
    ] = 0,
    json: Annotated[
        Path | None, typer.Option(help="Write what it holds here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Make a tape of FILEs.

    `tickwright backtest CONFIG --tape DIR` runs over it.
    """
    check_json_path(json)
    from pydantic import ValidationError

    from tickwright.app.config_model import RulesConfig
    from tickwright.app.import_tape import import_tape
    from tickwright.core.identity import InstrumentId

    try:
        rules = RulesConfig.model_validate(
            {
                "tick": tick,
                "lot": lot,
                "size_min": lot,
                "size_max": size_max,
                "notional_min": notional_min,
                "leverage_max": leverage_max,
                "base_asset": base,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"--{first['loc'][0]}: {first['msg']}".replace("_", "-")) from None
    if min(rules.tick, rules.lot) <= Decimal(0):
        raise ConfigError("--tick and --lot must be above zero")
    done = import_tape(
        files,
        tape,
        InstrumentId.parse(instrument),
        rules,
        depth=depth,
        on_progress=lambda _name, _part: None,
    )
    for remark in done.remarks:
        tell("import", remark)
    if json is not None:
        write_json(json, done)
    if json != STDOUT:
        typer.echo(
            f"{tape}: {done.messages:,} messages, {done.level_rows:,} levels, "
            f"{done.trades:,} trades of {done.instrument}"
        )
    return 0
