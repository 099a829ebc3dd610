"""Owns who may trade at the simulated venue: accounts, keys, settings; refuses to show a secret.

A secret appears in no repr and no error text.
"""

import enum
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from types import MappingProxyType

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.core.units import money_from_decimal
from tickwright.simulator.private.holdings import Holdings, MarketOf
from tickwright.simulator.private.ledger import AccountLedger, Ledger

__all__ = [
    "DEMO_ACCOUNT",
    "DEMO_KEY",
    "DEMO_SECRET",
    "FEES_PPM",
    "LEVERAGE_DEFAULT",
    "Account",
    "AccountSpec",
    "Accounts",
    "ApiKey",
    "KeySpec",
    "Right",
    "parse_account",
    "signature",
]

DEMO_KEY = "tickwright-demo-key"
DEMO_SECRET = "tickwright-demo-secret"  # noqa: S105 - opens the simulated venue and nothing else
LEVERAGE_DEFAULT = Decimal(10)

FEES_PPM: Mapping[Category, tuple[int, int]] = MappingProxyType(
    {Category.LINEAR: (200, 550), Category.SPOT: (1_000, 1_000)}
)
"""(maker, taker) fee rates in parts per million: the venue's schedule without any tier."""

_FIRST_UID = 106_000_001
_BALANCE = re.compile(r"([0-9]+(?:\.[0-9]{1,18})?)([A-Z][A-Z0-9]{1,11})")


def signature(secret: str, text: str) -> str:
    """Sign a text as the venue does: HMAC-SHA256, lower-case hex."""
    return hmac.new(secret.encode(), text.encode(), sha256).hexdigest()


class Right(enum.Enum):
    """What a key may do beside reading."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    CONTRACT_ORDERS = "Order"
    CONTRACT_POSITIONS = "Position"
    SPOT_TRADE = "SpotTrade"
    TRANSFER = "SubMemberTransfer"


ALL_RIGHTS = frozenset(Right)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One more key of an account."""

    key: str
    secret: str = field(repr=False)
    read_only: bool = False
    rights: frozenset[Right] = ALL_RIGHTS


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account to open: its key, its secret, what it starts with.

    `master` is the key of the account that this one is a sub-account of; it comes before. A key
    may do what `rights` say, and nothing but read when it is `read_only`.
    """

    key: str
    secret: str = field(repr=False)
    balances: tuple[tuple[str, Decimal], ...]
    read_only: bool = False
    rights: frozenset[Right] = ALL_RIGHTS
    master: str = ""
    more_keys: tuple[KeySpec, ...] = ()
    fees_ppm: Mapping[Category, tuple[int, int]] = field(default_factory=lambda: FEES_PPM)


DEMO_ACCOUNT = AccountSpec(DEMO_KEY, DEMO_SECRET, (("USDT", Decimal(10_000)),))


def parse_account(text: str) -> AccountSpec:
    """Read `KEY:SECRET=10000USDT[,2BTC]`, or `KEY:SECRET@MASTERKEY=...` for a sub-account.

    Raises:
        ConfigError: the text has another form; it names the key, never the secret.
    """
    credentials, _, amounts = text.partition("=")
    credentials, _, master = credentials.partition("@")
    key, _, secret = credentials.partition(":")
    if not key or not secret or not amounts:
        raise ConfigError(f"account {key!r} must be written KEY:SECRET=10000USDT[,2BTC]")
    balances = []
    for part in amounts.split(","):
        match = _BALANCE.fullmatch(part.strip())
        if match is None:
            raise ConfigError(f"account {key!r}: balance {part!r} must be written like 10000USDT")
        try:
            balances.append((match[2], Decimal(match[1])))
        except InvalidOperation:
            raise ConfigError(f"account {key!r}: balance {part!r} is not a number") from None
    return AccountSpec(key, secret, tuple(balances), master=master)


@dataclass(slots=True, eq=False)
class Account:
    """One account with its settings. `hedged` holds the symbols in hedge mode."""

    uid: int
    ledger: AccountLedger = field(repr=False)
    created_ms: int
    master: "Account | None" = field(default=None, repr=False)
    leverages: dict[str, Decimal] = field(default_factory=dict)
    hedged: set[str] = field(default_factory=set)
    adjusts: dict[Category, bool] = field(
        default_factory=lambda: {Category.LINEAR: True, Category.SPOT: False}
    )
    """Whether a price beyond the limits is moved to them; otherwise its order is refused."""
    fees_ppm: Mapping[Category, tuple[int, int]] = field(default_factory=lambda: FEES_PPM)
    """(maker, taker) rates of its fee tier in parts per million; negative is a rebate."""

    _holdings: Holdings | None = field(default=None, init=False, repr=False)

    def holdings(self, market_of: MarketOf) -> Holdings:
        """Return what the open positions are worth and bind now."""
        known = self._holdings
        if known is None or not known.hold(self.ledger, self.leverage, market_of):
            known = self._holdings = Holdings(self.ledger, self.leverage, market_of)
        return known

    def leverage(self, symbol: str) -> Decimal:
        """Return the leverage chosen for a symbol."""
        return self.leverages.get(symbol, LEVERAGE_DEFAULT)

    def indexes(self, symbol: str) -> tuple[int, ...]:
        """Return the position indexes of a symbol in its present mode."""
        return (1, 2) if symbol in self.hedged else (0,)


@dataclass(frozen=True, slots=True, eq=False)
class ApiKey:
    """A key of an account."""

    key: str
    account: Account
    rights: frozenset[Right]
    _secret: str = field(repr=False)

    @property
    def read_only(self) -> bool:
        """Whether it may change nothing."""
        return not self.rights

    def is_signed(self, text: str, given: str) -> bool:
        """Whether a signature is this key's for the text."""
        return hmac.compare_digest(
            signature(self._secret, text).encode(), given.encode("utf-8", "replace")
        )


class Accounts:
    """Every account by uid and every key by its text."""

    def __init__(self, specs: tuple[AccountSpec, ...], ledger: Ledger, now_ms: int) -> None:
        self.ledger = ledger
        self.by_uid: dict[int, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        for spec in specs:
            master = None
            if spec.master:
                if spec.master not in self.keys:
                    raise ConfigError(
                        f"account key {spec.master!r} is not known before {spec.key!r}"
                    )
                master = self.keys[spec.master].account
            uid = _FIRST_UID + len(self.by_uid)
            account = Account(uid, ledger.open(uid), now_ms, master, fees_ppm=spec.fees_ppm)
            for asset, amount in spec.balances:
                account.ledger.deposit(asset, money_from_decimal(amount))
            self.by_uid[uid] = account
            for key in (
                KeySpec(spec.key, spec.secret, spec.read_only, spec.rights),
                *spec.more_keys,
            ):
                if key.key in self.keys:
                    raise ConfigError(f"account key {key.key!r} is given twice")
                rights = frozenset[Right]() if key.read_only else key.rights
                self.keys[key.key] = ApiKey(key.key, account, rights, key.secret)

    def subs_of(self, account: Account) -> list[Account]:
        """Return the sub-accounts of an account."""
        return [other for other in self.by_uid.values() if other.master is account]
