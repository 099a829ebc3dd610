"""The verb `orders`: what a trader promised its venues, and how it goes with what they show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import FAILURE, check_sockets, verb

if TYPE_CHECKING:
    from tickwright.app.orders import OrderLine, OrdersReport
    from tickwright.app.trader_folder import TraderFolder
    from tickwright.app.venue_orders import VenueAccountOrders

__all__ = ["order_words", "orders"]


@verb("orders")
def orders(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    *,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those whose end the journal doesn't know.")
    ] = False,
    strategy: Annotated[
        str | None, typer.Option(help="Only this strategy's.", metavar="ID")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Only in this symbol.", metavar="SYMBOL")
    ] = None,
    last: Annotated[
        int, typer.Option(min=1, max=100_000, help="The newest so many.", metavar="N")
    ] = 20,
    venue: Annotated[
        bool, typer.Option("--venue", help="Ask the venue too, and show what differs.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write them here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """List the orders that CONFIG's trader promised.

    They are read from its journal; it isn't disturbed.

    Exit code 1: a journal can't be read to its end, or the venue shows something else.
    """
    check_json_path(json)
    from tickwright.app.orders import read_orders
    from tickwright.app.trader_folder import TraderFolder

    where = TraderFolder(config)
    report = read_orders(where, is_open=only_open, strategy_id=strategy, symbol=symbol, last=last)
    if venue:
        report = _compared(where, report)
    if json is not None:
        write_json(json, report)
    if json != STDOUT:
        _show(report)
    return 0 if report.is_good else FAILURE


def _compared(where: "TraderFolder", report: "OrdersReport") -> "OrdersReport":
    import asyncio

    check_sockets()
    from msgspec.structs import replace

    from tickwright.app.kill_target import read_kill_target
    from tickwright.app.venue_orders import look_at_venues

    found = asyncio.run(look_at_venues(where, read_kill_target(where.path)))
    return replace(report, venues=tuple(found))


def _show(report: "OrdersReport") -> None:
    for line in report.orders:
        typer.echo(order_words(line))
    for journal in report.journals:
        typer.echo(f"{journal.account}: {journal.orders} orders, {journal.open} without an end")
        if journal.fault:
            typer.echo(journal.fault)
    for account in report.venues or ():
        _show_venue(account)


def order_words(line: "OrderLine") -> str:
    """Write one order on one line."""
    from tickwright.app.notice_log import utc

    size = f"{line.size_units} units" if line.size is None else str(line.size)
    price = "market"
    if line.price_units is not None:
        price = f"{line.price_units} units" if line.price is None else str(line.price)
    filled = ""
    if line.filled_units:
        filled = f", {line.filled_units if line.filled is None else line.filled} filled"
    counts = (("amends", line.amends), ("cancels", line.cancels))
    marks = [f"{count} {name}" for name, count in counts if count]
    tail = f" ({', '.join(marks)})" if marks else ""
    symbol = line.instrument.rpartition(":")[2]
    return (
        f"{utc(line.promised_ns)} {line.client_id} {line.strategy_id} {line.side} {size} "
        f"{symbol} {price} {line.state}{filled}{tail}"
    )


def _show_venue(account: "VenueAccountOrders") -> None:
    if account.fault:
        typer.echo(f"{account.account}: the venue couldn't be asked: {account.fault}")
        return
    for one in account.orders:
        name = one.client_id or one.venue_id
        price = f" at {one.price}" if one.price else ""
        words = f": {one.words}" if one.words else ""
        symbol = one.instrument.rpartition(":")[2]
        typer.echo(
            f"{one.verdict:<11} {name} {one.side} {one.size} {symbol}{price} {one.state}{words}"
        )
    typer.echo(
        f"{account.account} at the venue: {len(account.orders)} orders compared, "
        f"{account.differences} differ"
    )
