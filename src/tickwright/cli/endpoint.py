"""Owns the options that name a public endpoint, for every verb that looks at one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tickwright.venues.bybit.hosts import Hosts

__all__ = ["CaPath", "CategoryName", "EndpointOptions"]

CategoryName = Annotated[Literal["spot", "linear"], typer.Option(help="Product line.")]
CaPath = Annotated[
    Path | None, typer.Option(help="The one certificate to trust.", metavar="FILE.pem")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """How deep and over how many sockets to look, and where."""

    depth: Annotated[int, typer.Option(help="Levels a side: 1, 50, 200 or 1000.", metavar="N")] = 50
    connections: Annotated[
        int, typer.Option(min=1, max=100, help="Spread the symbols over N sockets.", metavar="N")
    ] = 1
    env: Annotated[
        Literal["mainnet", "testnet"] | None,
        typer.Option(help="Whose addresses; mainnet without any URL."),
    ] = None
    public_url: Annotated[
        str | None,
        typer.Option(help="Prefix before the category: ws://host:port/v5/public.", metavar="URL"),
    ] = None
    rest_url: Annotated[
        str | None, typer.Option(help="http(s)://host:port, for the instruments.", metavar="URL")
    ] = None

    def hosts(self) -> "Hosts":
        """Return the addresses: given ones stand alone unless an environment is named too.

        Raises:
            ConfigError: they name no socket.
        """
        from tickwright.core.errors import ConfigError
        from tickwright.venues.bybit.hosts import Environment, hosts_of

        env = self.env
        if env is None and self.public_url is None:
            if self.rest_url is not None:
                raise ConfigError(
                    "--rest-url alone names no socket: give --public-url or --env too"
                )
            env = "mainnet"
        environment = None if env is None else Environment(env)
        return hosts_of(environment, rest_url=self.rest_url, public_url=self.public_url)
