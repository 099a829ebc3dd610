"""Owns the options that name a public endpoint, for every verb that looks at one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tickwright.venues.bybit.hosts import Hosts

__all__ = [
    "CaPath",
    "CategoryName",
    "Connections",
    "Depth",
    "EnvName",
    "PublicUrl",
    "RestUrl",
    "hosts_from",
]

CategoryName = Annotated[Literal["spot", "linear"], typer.Option(help="Product line.")]
Depth = Annotated[int, typer.Option(help="Levels a side: 1, 50, 200 or 1000.")]
Connections = Annotated[
    int, typer.Option(min=1, max=100, help="Spread the symbols over N sockets.", metavar="N")
]
EnvName = Annotated[
    Literal["mainnet", "testnet"] | None,
    typer.Option(help="Whose addresses; mainnet without any URL."),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(help="Prefix before the category: ws://host:port/v5/public.", metavar="URL"),
]
RestUrl = Annotated[
    str | None, typer.Option(help="http(s)://host:port, for the instruments.", metavar="URL")
]
CaPath = Annotated[
    Path | None, typer.Option(help="Certificate to trust beside none.", metavar="FILE.pem")
]


def hosts_from(env: str | None, public_url: str | None, rest_url: str | None) -> "Hosts":
    """Return the addresses: given ones stand alone unless an environment is named too."""
    from tickwright.core.errors import ConfigError
    from tickwright.venues.bybit.hosts import Environment, hosts_of

    if env is None and public_url is None:
        if rest_url is not None:
            raise ConfigError("--rest-url alone names no socket: give --public-url or --env too")
        env = "mainnet"
    environment = None if env is None else Environment(env)
    return hosts_of(environment, rest_url=rest_url, public_url=public_url)
