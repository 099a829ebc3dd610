"""Owns the way to the database: connections, and its errors in our words, without the password."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tickwright.core.errors import ConfigError, ConnectionLost, StorageError

if TYPE_CHECKING:
    import asyncpg

__all__ = ["DSN_VARIABLE", "HistoryRefused", "connect", "place_of", "translated"]

DSN_VARIABLE = "TICKWRIGHT_HISTORY_DSN"
CONNECT_S = 5.0
COMMAND_S = 60.0
SCHEMES = ("postgresql", "postgres")


class HistoryRefused(StorageError):
    """The database refuses these rows, and would again; repeating doesn't help."""


def place_of(dsn: str) -> str:
    """Return where a DSN leads, for people: user, host, port and database, never the password.

    Raises:
        ConfigError: it is none.
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port or 5432
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in SCHEMES:
        raise ConfigError("the history's DSN must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    user = f"{parts.username}@" if parts.username else ""
    return f"{user}{parts.hostname or 'localhost'}:{port}{parts.path}"


async def connect(dsn: str, *, command_s: float | None = COMMAND_S) -> "asyncpg.Connection":
    """Open a connection.

    Raises:
        ConfigError: the DSN, its user, password or database is wrong, or asyncpg isn't installed.
        ConnectionLost: the database can't be reached now.
    """
    place = place_of(dsn)
    try:
        import asyncpg
    except ImportError:
        raise ConfigError(
            "the history needs asyncpg and numpy: pip install 'tickwright[history]'"
        ) from None
    try:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_S,
            command_timeout=command_s,
            server_settings={"application_name": "tickwright", "timezone": "UTC"},
        )
    except (
        asyncpg.InvalidPasswordError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise ConfigError(f"database {place}: {error}") from None
    except (ValueError, asyncpg.ClientConfigurationError):
        # Its text may quote the DSN.
        raise ConfigError(f"database {place}: the DSN can't be understood") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(f"database {place}: {error}") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        words = str(error) or type(error).__name__
        raise ConnectionLost(f"database {place} can't be reached: {words}") from None


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the driver's errors into ours.

    Raises:
        ConnectionLost: the connection died or the server ends; retrying is right.
        HistoryRefused: the rows themselves are refused.
        StorageError: rights, disk, schema: a person must look.
    """
    import asyncpg

    try:
        yield
    except (
        asyncpg.DataError,
        asyncpg.IntegrityConstraintViolationError,
        OverflowError,
        ValueError,
    ) as error:
        raise HistoryRefused(f"{what}: the database refuses the rows: {error}") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise StorageError(
            f"{what}: {error}; the user needs CREATE on the database to migrate, and rights on "
            "the schema tickwright to write"
        ) from None
    except (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InterfaceError,
        asyncpg.DeadlockDetectedError,
        TimeoutError,
        OSError,
    ) as error:
        raise ConnectionLost(f"{what}: {error or type(error).__name__}") from None
    except asyncpg.PostgresError as error:
        raise StorageError(f"{what}: {error}") from None
