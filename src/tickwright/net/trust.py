"""Owns reading the certificates trusted besides the system's; refuses files that hold none."""

import ssl
from pathlib import Path

from tickwright.core.errors import ConfigError

__all__ = ["trusted_by"]


def trusted_by(ca_path: Path | None, what: str) -> ssl.SSLContext | None:
    """Return what `ca_path` trusts, None for the system's; `what` names the file in an error.

    Raises:
        ConfigError: the file can't be read as certificates.
    """
    if ca_path is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{what} {ca_path}: {error}") from None
