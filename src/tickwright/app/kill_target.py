"""Owns reading from a configuration what the kill switch needs; refuses to need the rest.

A strategy that doesn't load, a limit that contradicts another: none of that may stop the switch.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
from pydantic import ValidationError

from tickwright.app.account_keys import AccountKey, paper_key, read_kill_key, read_toml
from tickwright.app.config_faults import config_error, told
from tickwright.app.config_model import KillFile
from tickwright.app.paper_settings import state_folder
from tickwright.app.venue_kit import emergency_client
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.bybit.sign import Credentials, Secret
from tickwright.venues.port import EmergencyClient

__all__ = ["KillTarget", "note_hosts", "noted_hosts", "read_kill_file", "read_kill_target"]

CONFIG_BYTES_MAX = 1_000_000
_CATEGORIES = (Category.LINEAR, Category.SPOT)


class KillTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of one state folder, with the switch's own keys, which never show.

    `borrowed` names accounts for which the trader's key has to serve.
    """

    path: Path
    file: KillFile
    keys: dict[str, AccountKey]
    borrowed: tuple[str, ...]

    def __repr__(self) -> str:
        return f"KillTarget({self.path}, accounts={list(self.keys)})"

    @property
    def folder(self) -> Path:
        """The trader's state folder."""
        return state_folder(self.path.parent / self.file.session.dir, is_paper=self.file.is_paper)

    def credentials(self, account: str) -> Credentials:
        """Return what signs the switch's requests."""
        key = self.keys[account]
        return Credentials(key.api_key, Secret(key.api_secret.get_secret_value()))

    @property
    def inside(self) -> frozenset[str]:
        """Accounts whose venue ends with the run: a simulator it started, or paper."""
        return frozenset(
            name
            for name, account in self.file.accounts.items()
            if self.file.is_paper or self.file.venues[account.venue].starts_simulator
        )

    @contextlib.asynccontextmanager
    async def clients(self) -> AsyncIterator[dict[str, EmergencyClient]]:
        """Open a client for each account and close them afterwards.

        Raises:
            ConfigError: where a venue's simulator is, is not known.
        """
        made: dict[str, EmergencyClient] = {}
        async with contextlib.AsyncExitStack() as stack:
            for name, account in self.file.accounts.items():
                if name not in self.keys:
                    continue
                venue = self.file.venues[account.venue]
                hosts = venue.hosts()
                if name in self.inside:
                    hosts = noted_hosts(self.folder, account.venue)
                client, http = emergency_client(
                    hosts,
                    self.credentials(name),
                    _CATEGORIES,
                    random=Random(),
                    ssl_context=venue.trusted(account.venue, self.path.parent),
                )
                stack.push_async_callback(http.aclose)
                made[name] = client
            yield made


def read_kill_file(path: Path) -> KillFile:
    """Read the tables that tell where a trader keeps its state and whom it trades with; no key.

    Raises:
        ConfigError: one of these tables is wrong.
    """
    try:
        return KillFile.model_validate(read_toml(path, CONFIG_BYTES_MAX))
    except ValidationError as error:
        raise config_error(path, told(error.errors(), KillFile)) from None


def read_kill_target(path: Path, *, accounts: tuple[str, ...] = ()) -> KillTarget:
    """Read the tables the switch needs, of all accounts or of those named.

    Raises:
        ConfigError: one of these tables is wrong, a key is missing, no such account.
    """
    file = read_kill_file(path)
    for name in accounts:
        if name not in file.accounts:
            known = ", ".join(file.accounts) or "none"
            raise ConfigError(f"{path}: no account {name!r}; there are: {known}")
    keys: dict[str, AccountKey] = {}
    borrowed: list[str] = []
    for name in accounts or tuple(file.accounts):
        account = file.accounts[name]
        venue = file.venues.get(account.venue)
        if venue is None:
            raise ConfigError(f"{path}: account {name} names no venue of [venues]")
        if file.is_paper:
            # There is one key, made for what listens inside the trader.
            keys[name] = paper_key(name)
            continue
        keys[name], is_borrowed = read_kill_key(name, account, venue, path.parent)
        if is_borrowed:
            borrowed.append(name)
    if not keys:
        raise ConfigError(f"{path} has no account: there is nothing to kill")
    return KillTarget(path=path, file=file, keys=keys, borrowed=tuple(borrowed))


def note_hosts(folder: Path, venue: str, hosts: Hosts) -> None:
    """Leave where a simulator that a run started itself can be found."""
    folder.mkdir(parents=True, exist_ok=True)
    _hosts_path(folder, venue).write_bytes(msgspec.json.encode(hosts))


def noted_hosts(folder: Path, venue: str) -> Hosts:
    """Return where a simulator that a run started is, or was.

    Raises:
        ConfigError: no run left an address.
    """
    try:
        return msgspec.json.decode(_hosts_path(folder, venue).read_bytes(), type=Hosts)
    except (OSError, msgspec.MsgspecError):
        raise ConfigError(
            f"venue {venue} is a simulator that a run starts itself, and no run left its address"
        ) from None


def _hosts_path(folder: Path, venue: str) -> Path:
    return folder / f"venue-{venue}.json"
