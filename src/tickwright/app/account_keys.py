"""Owns where an account's API key comes from; refuses secrets that others can read, and shows none.

The environment comes first, then the account's `key_file`; an account at the simulated venue has a
key by default. In paper mode nothing is read.
"""

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pydantic import SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from tickwright.app.config_faults import Fault
from tickwright.app.config_model import AccountConfig, ConfigFile, VenueConfig
from tickwright.core.errors import ConfigError
from tickwright.core.nearest import nearest
from tickwright.venues.bybit.sign import Credentials, Secret

__all__ = ["AccountKey", "read_keys", "paper_key", "read_kill_key", "read_toml"]

KEY_FILE_BYTES_MAX = 10_000
# The simulated venue's own account, by value: a trader has no use for the simulator's code.
SIMULATOR_KEY = "tickwright-demo-key"
SIMULATOR_SECRET = "tickwright-demo-secret"  # noqa: S105 - opens the simulated venue and nothing else
PAPER_SECRET = "tickwright-paper-secret"  # noqa: S105 - opens a paper venue and nothing else


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An API key; its secret shows stars."""

    api_key: str
    api_secret: SecretStr


def read_toml(path: Path, bytes_max: int) -> dict[str, object]:
    """Read a TOML file of at most `bytes_max`; raises ConfigError with line and column."""
    try:
        with path.open("rb") as file:
            text = file.read(bytes_max + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    if len(text) > bytes_max:
        raise ConfigError(f"{path} is longer than {bytes_max} bytes: that is no configuration")
    try:
        return tomllib.loads(text.decode())
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


class _Environment(BaseSettings):
    """The secrets of one account; read from variables that begin with its prefix."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    api_key: str
    api_secret: str


def read_keys(file: ConfigFile, folder: Path, faults: list[Fault]) -> dict[str, AccountKey]:
    """Return the key of every account; what is missing or unsafe is added to `faults`."""
    keys: dict[str, AccountKey] = {}
    for name, account in file.accounts.items():
        venue = file.venues.get(account.venue)
        if venue is None:
            hint = nearest(account.venue, file.venues, what="venues")
            faults.append(
                Fault(f"accounts.{name}.venue", f"no such venue; {hint}", repr(account.venue))
            )
            continue
        if file.is_paper:
            keys[name] = paper_key(name)
            continue
        try:
            keys[name] = _key(name, account, venue, folder)
            Credentials(keys[name].api_key, Secret(keys[name].api_secret.get_secret_value()))
        except ConfigError as error:
            faults.append(Fault(f"accounts.{name}", str(error)))
    return keys


def read_kill_key(
    name: str, account: AccountConfig, venue: VenueConfig, folder: Path
) -> tuple[AccountKey, bool]:
    """Return the kill switch's key of an account, and whether the trader's own has to serve.

    Raises:
        ConfigError: there is no key, or it is unsafe.
    """
    prefix = f"{_prefix(name)}KILL_"
    found = _from_environment(prefix)
    if found is not None:
        return found, False
    if account.kill_key_file is not None:
        return _key_from_file(folder / account.kill_key_file), False
    return _key(name, account, venue, folder), venue.env != "simulator"


def _prefix(name: str) -> str:
    return f"TICKWRIGHT_{re.sub('[^A-Z0-9]', '_', name.upper())}_"


def _from_environment(prefix: str) -> AccountKey | None:
    found = _Environment.model_validate(EnvSettingsSource(_Environment, env_prefix=prefix)())
    if found.api_key is not None and found.api_secret is not None:
        return AccountKey(found.api_key.get_secret_value(), found.api_secret)
    if found.api_key is not None or found.api_secret is not None:
        raise ConfigError(f"{prefix}API_KEY and {prefix}API_SECRET must both be set")
    return None


def paper_key(name: str) -> AccountKey:
    """Return the key of a paper account: it opens what listens inside this process."""
    return AccountKey(f"tickwright-paper-{name}", SecretStr(PAPER_SECRET))


def _key(name: str, account: AccountConfig, venue: VenueConfig, folder: Path) -> AccountKey:
    prefix = _prefix(name)
    found = _from_environment(prefix)
    if found is not None:
        return found
    if account.key_file is not None:
        return _key_from_file(folder / account.key_file)
    if venue.env == "simulator":
        return AccountKey(SIMULATOR_KEY, SecretStr(SIMULATOR_SECRET))
    raise ConfigError(
        f"no API key: set {prefix}API_KEY and {prefix}API_SECRET, or key_file (env is {venue.env})"
    )


def _key_from_file(path: Path) -> AccountKey:
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"key_file {path}: {error.strerror}") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigError(f"key_file {path} can be read by others: chmod 600 {path}")
    if status.st_uid != os.geteuid():
        raise ConfigError(f"key_file {path} belongs to another user")
    try:
        read = msgspec.convert(read_toml(path, KEY_FILE_BYTES_MAX), _KeyFile)
    except (ConfigError, msgspec.ValidationError):
        # Their texts may quote the file.
        raise ConfigError(
            f'key_file {path} must hold two lines: api_key = "..." and api_secret = "..."'
        ) from None
    return AccountKey(read.api_key, SecretStr(read.api_secret))
