"""Owns what a Redis URL says; refuses to show its password, in texts, reprs and errors.

`redis://[user[:password]@]host[:port][/db]`, `rediss://` over TLS, `redis+cluster://` and
`rediss+cluster://` for a cluster, of which the host is any node.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tickwright.core.errors import ConfigError
from tickwright.net.trust import trusted_by

__all__ = ["RedisAddress", "parse_redis_url"]

PORT = 6379
SCHEMES = {
    "redis": (False, False),
    "rediss": (True, False),
    "redis+cluster": (False, True),
    "rediss+cluster": (True, True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is and who we are there; `str` shows no password."""

    host: str
    port: int = PORT
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    is_tls: bool = False
    is_cluster: bool = False
    ca_file: Path | None = None

    def __str__(self) -> str:
        scheme = next(s for s, two in SCHEMES.items() if two == (self.is_tls, self.is_cluster))
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}" + ("" if self.is_cluster else f"/{self.db}")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return what to trust; None without TLS.

        Raises:
            ConfigError: `ca_file` can't be read.
        """
        if not self.is_tls:
            return None
        return trusted_by(self.ca_file, "redis ca_file") or ssl.create_default_context()


def parse_redis_url(
    url: str, *, password: str | None = None, ca_file: Path | None = None
) -> RedisAddress:
    """Read a URL; a given `password` stands in place of the URL's.

    Raises:
        ConfigError: it is none; the text says why and doesn't repeat the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError:
        raise ConfigError("must be redis://host:port/db; its port or host can't be read") from None
    kind = SCHEMES.get(parts.scheme)
    if kind is None:
        raise ConfigError(f"must begin with one of {', '.join(s + '://' for s in SCHEMES)}")
    if not parts.hostname:
        raise ConfigError("names no host")
    if parts.query or parts.fragment:
        raise ConfigError("takes nothing behind ? or #; options are keys of their own")
    db_text = parts.path.strip("/")
    if db_text and not (db_text.isascii() and db_text.isdigit() and len(db_text) < 6):
        raise ConfigError("must end with a database number, like /0")
    is_tls, is_cluster = kind
    if is_cluster and int(db_text or 0):
        raise ConfigError("a cluster has database 0 alone")
    return RedisAddress(
        host=parts.hostname,
        port=port,
        db=int(db_text or 0),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or "") if password is None else password,
        is_tls=is_tls,
        is_cluster=is_cluster,
        ca_file=ca_file,
    )
