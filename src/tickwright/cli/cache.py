"""The verb `cache`: what a trader mirrors into Redis, as any host reads it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.outcome import FAILURE, tell, verb
from tickwright.core.errors import ConfigError

if TYPE_CHECKING:
    from tickwright.cache import Cache

__all__ = ["cache"]

LEVELS_MAX = 1_000


@verb("cache")
def cache(
    url: Annotated[
        str, typer.Argument(help="Where the mirror is, as in the configuration.", metavar="URL")
    ],
    symbol: Annotated[
        str | None,
        typer.Argument(help="One book with its levels and trades.", metavar="SYMBOL"),
    ] = None,
    *,
    levels: Annotated[
        int, typer.Option(min=1, max=LEVELS_MAX, help="Levels of one book.", metavar="N")
    ] = 5,
    prefix: Annotated[
        str, typer.Option(help="What its keys begin with.", metavar="TEXT")
    ] = "tickwright",
    ca_file: Annotated[
        Path | None, typer.Option(help="The one certificate to trust.", metavar="PATH")
    ] = None,
) -> int:
    """Show the books that a trader mirrors into Redis.

    The password may come from TICKWRIGHT_REDIS_PASSWORD. Exit code 1: nothing is there.
    """
    try:
        from tickwright.cache import open_cache
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ConfigError("needs the Redis client: pip install 'tickwright[redis]'") from None
    password = os.environ.get("TICKWRIGHT_REDIS_PASSWORD")
    with open_cache(url, password=password, prefix=prefix, ca_file=ca_file) as opened:
        return _all(opened) if symbol is None else _one(opened, symbol, levels)


def _all(opened: "Cache") -> int:
    writer = opened.writer()
    rows = [top for name in opened.instruments() if (top := opened.top(name)) is not None]
    if writer is None and not rows:
        tell("cache", "no mirror is written there, or not under this prefix")
        return FAILURE
    if writer is not None:
        typer.echo(
            f"tickwright {writer.version} writes every {writer.interval_ms} ms, "
            f"last {writer.age_s * 1e3:.0f} ms ago, {writer.levels} levels"
        )
    for top in rows:
        typer.echo(
            f"{top.instrument_id!s:<32} {top.state.name.lower():<9} {_ago(top.age_s):>12}  "
            f"{top.bid_size or '-':>14} @ {top.bid or '-':<12} {top.ask or '-':>12} @ "
            f"{top.ask_size or '-'}"
        )
    return 0


def _one(opened: "Cache", symbol: str, levels: int) -> int:
    book = opened.book(symbol, levels=levels)
    if book is None:
        tell("cache", f"no book of {symbol} is there; it was never written or has expired")
        return FAILURE
    typer.echo(f"{book.instrument_id} {book.state.name.lower()}, proven {_ago(book.age_s)}")
    for price, size in reversed(book.asks):
        typer.echo(f"{'':>32} {price:>14} {size:>16}")
    for price, size in book.bids:
        typer.echo(f"{size:>17} {price:>14}")
    for trade in opened.trades(book.instrument_id, count=levels):
        typer.echo(f"{trade.side:<4} {trade.size} @ {trade.price}, {_ago(trade.age_s)}")
    return 0


def _ago(age_s: float | None) -> str:
    return "at no time" if age_s is None else f"{age_s * 1e3:.0f} ms ago"
