"""Owns secrets and signatures of Bybit requests; refuses to show or store a secret.

Keys are of the HMAC kind. A secret is wrapped: its repr, str, format and errors show stars, and it
can't be pickled or copied into a log.
"""

import hashlib
import hmac
from typing import NoReturn

from tickwright.core.errors import ConfigError

__all__ = ["AUTH_SECONDS", "RECV_WINDOW_MS", "Credentials", "Secret"]

RECV_WINDOW_MS = 5_000
"""How long a signed request stays good: short, so that a late one is refused and not executed."""
AUTH_SECONDS = 10
"""How long a socket's authentication stays good; one second is too short for slow links."""
_LENGTH_MAX = 256


class Secret:
    """Wraps a secret text; only `reveal` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not 0 < len(text) <= _LENGTH_MAX or not text.isascii() or not text.isprintable():
            raise ConfigError(
                f"a secret must be 1 to {_LENGTH_MAX} printable ASCII characters (not shown here)"
            )
        if " " in text:
            raise ConfigError("a secret holds a blank: was it pasted with its label? (not shown)")
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text, other._text)

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret has no hash")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


class Credentials:
    """An API key with its secret; signs REST requests and socket logins."""

    __slots__ = ("_hmac", "api_key", "secret")

    def __init__(self, api_key: str, secret: Secret) -> None:
        self.api_key = Secret(api_key).reveal()
        self.secret = secret
        # Keyed once: a copy of the keyed state signs in a third of the time.
        self._hmac = hmac.new(secret.reveal().encode(), digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return f"Credentials(...{self.api_key[-4:]})" if len(self.api_key) > 8 else "Credentials()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("credentials are never pickled or copied")

    def sign(self, text: str) -> str:
        """Return HMAC-SHA256 of a text in lower-case hexadecimal."""
        keyed = self._hmac.copy()
        keyed.update(text.encode())
        return keyed.hexdigest()

    def rest_headers(
        self, payload: str, *, timestamp_ms: int, recv_window_ms: int = RECV_WINDOW_MS
    ) -> dict[str, str]:
        """Return the headers that sign a request.

        `payload` is the query text exactly as sent (GET, without "?") or the body (POST).
        """
        signed = f"{timestamp_ms}{self.api_key}{recv_window_ms}{payload}"
        return {
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-TIMESTAMP": str(timestamp_ms),
            "X-BAPI-RECV-WINDOW": str(recv_window_ms),
            "X-BAPI-SIGN": self.sign(signed),
        }

    def login_args(self, expires_ms: int) -> tuple[str, int, str]:
        """Return the `args` of a socket's auth request that is good until `expires_ms`."""
        return self.api_key, expires_ms, self.sign(f"GET/realtime{expires_ms}")
