"""Owns Bybit's addresses per environment; refuses unusable URLs and secrets sent in the clear."""

import enum
from urllib.parse import urlsplit

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category

__all__ = ["Environment", "Hosts", "hosts_of"]


class Environment(enum.Enum):
    """Which of Bybit's worlds: real money, test money, or paper money on the real market."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    DEMO = "demo"


class Hosts(msgspec.Struct, frozen=True):
    """Addresses without a trailing slash; "" where there is none.

    `public` is the prefix before the category. Demo has no order-entry socket: use REST there.
    """

    rest: str = ""
    public: str = ""
    private: str = ""
    trade: str = ""

    def public_url(self, category: Category) -> str:
        """Return the public socket's address of a category.

        Raises:
            ConfigError: no public address is known.
        """
        if not self.public:
            raise ConfigError("no public socket address: give --public-url")
        return f"{self.public}/{category.value}"


_HOSTS = {
    Environment.MAINNET: Hosts(
        rest="https://api.bybit.com",
        public="wss://stream.bybit.com/v5/public",
        private="wss://stream.bybit.com/v5/private",
        trade="wss://stream.bybit.com/v5/trade",
    ),
    Environment.TESTNET: Hosts(
        rest="https://api-testnet.bybit.com",
        public="wss://stream-testnet.bybit.com/v5/public",
        private="wss://stream-testnet.bybit.com/v5/private",
        trade="wss://stream-testnet.bybit.com/v5/trade",
    ),
    # Demo shares the real market's public stream.
    Environment.DEMO: Hosts(
        rest="https://api-demo.bybit.com",
        public="wss://stream.bybit.com/v5/public",
        private="wss://stream-demo.bybit.com/v5/private",
    ),
}
_LOOPBACK = ("localhost", "::1")


def hosts_of(
    environment: Environment | None,
    *,
    rest_url: str | None = None,
    public_url: str | None = None,
    private_url: str | None = None,
    trade_url: str | None = None,
) -> Hosts:
    """Return an environment's addresses with the given ones in their place.

    With None only the given addresses exist: an endpoint of its own, such as the simulator. The
    regional hosts of Bybit are reached by giving their addresses.

    Raises:
        ConfigError: an address isn't a URL of its kind, carries a password, or would send keys in
            the clear to another machine.
    """
    base = Hosts() if environment is None else _HOSTS[environment]
    return Hosts(
        rest=_checked("rest", rest_url, ("http", "https"), is_private=True) or base.rest,
        public=_checked("public", public_url, ("ws", "wss"), is_private=False) or base.public,
        private=_checked("private", private_url, ("ws", "wss"), is_private=True) or base.private,
        trade=_checked("trade", trade_url, ("ws", "wss"), is_private=True) or base.trade,
    )


def _checked(name: str, url: str | None, schemes: tuple[str, ...], *, is_private: bool) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{name} URL: {error}") from None
    if parts.username or parts.password:
        raise ConfigError(f"{name} URL must not carry a user or password")
    if parts.scheme not in schemes or not host or port == 0:
        raise ConfigError(
            f"{name} URL {url!r} must begin with {' or '.join(schemes)}:// and a host"
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"{name} URL {url!r} must not carry a query or fragment")
    is_loopback = host in _LOOPBACK or host.startswith("127.")
    if is_private and parts.scheme in ("http", "ws") and not is_loopback:
        raise ConfigError(f"{name} URL {url!r} would send keys in the clear: use {schemes[1]}://")
    return url.rstrip("/")
