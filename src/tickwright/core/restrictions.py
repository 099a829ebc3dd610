"""Owns the words of protections over time: what was restricted, where, why and until when.

Refuses to decide when: that is `risk.protections`.
"""

import enum

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, InstrumentId, StrategyId

__all__ = ["LiftedBy", "ProtectionKind", "Restriction", "Scope", "Stage", "parse_name"]

ALL = "all"


class Stage(enum.Enum):
    """How far a scope is restricted."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    ACTIVE = "active"
    """Not at all."""
    REDUCING = "reducing"
    """Nothing is opened; whatever only shrinks a position passes."""
    HALTED = "halted"
    """Only closing and protective orders pass: stops, takes, exits, a flatten."""


class LiftedBy(enum.Enum):
    """Who ends a restriction. An operator may also end earlier what time would."""

    TIME = "time"
    NEXT_DAY = "next day"
    OPERATOR = "operator"


class ProtectionKind(enum.Enum):
    """What restricts; the value is the stable name in files, logs, reports and `--lift`."""

    __hash__ = object.__hash__

    COOLDOWN = "cooldown"
    LOSS_STREAK = "loss_streak"
    VOLATILITY = "volatility"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    EQUAL_REJECTS = "equal_rejects"
    FLIP_FLOP = "flip_flop"
    ORDER_STORM = "order_storm"
    CONTRADICTION = "contradiction"
    OPERATOR = "operator"


class Scope(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, omit_defaults=True):
    """What is restricted: an account, a strategy, an instrument, a strategy in one, or everything.

    As text: `venue:account`, `strategy`, `venue:category:SYMBOL`, `strategy/venue:category:SYMBOL`,
    `all`.
    """

    account_id: AccountId | None = None
    strategy_id: StrategyId | None = None
    instrument_id: InstrumentId | None = None

    def __str__(self) -> str:
        if self.account_id is not None:
            return str(self.account_id)
        if self.strategy_id is None:
            return ALL if self.instrument_id is None else str(self.instrument_id)
        if self.instrument_id is None:
            return self.strategy_id
        return f"{self.strategy_id}/{self.instrument_id}"

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read the text form.

        Raises:
            ConfigError: it has no such form.
        """
        if text == ALL:
            return cls()
        strategy, slash, instrument = text.partition("/")
        if slash:
            if not strategy or ":" in strategy:
                raise ConfigError(f"scope {text!r} must be written strategy/venue:category:SYMBOL")
            return cls(
                strategy_id=StrategyId(strategy), instrument_id=InstrumentId.parse(instrument)
            )
        parts = text.split(":")
        if not all(parts) or len(parts) > 3:
            raise ConfigError(
                f"scope {text!r} must be all, a strategy, venue:account, venue:category:SYMBOL or "
                "strategy/venue:category:SYMBOL"
            )
        if len(parts) == 1:
            return cls(strategy_id=StrategyId(text))
        if len(parts) == 2:
            return cls(account_id=AccountId(*parts))
        return cls(instrument_id=InstrumentId.parse(text))


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """One protection in force. `until_ns` None: a person must lift it."""

    kind: ProtectionKind
    scope: Scope
    stage: Stage
    lifted_by: LiftedBy
    reason: str
    since_ns: int
    until_ns: int | None

    @property
    def name(self) -> str:
        """Kind and scope, as `--lift` takes them: `drawdown@venue:main`."""
        return f"{self.kind.value}@{self.scope}"

    def is_over(self, now_ns: int) -> bool:
        """Whether its time has passed."""
        return self.until_ns is not None and self.until_ns <= now_ns


def parse_name(text: str) -> tuple[ProtectionKind, Scope]:
    """Read `KIND@SCOPE`.

    Raises:
        ConfigError: no `@`, no such kind, or no such form of a scope.
    """
    kind, at, scope = text.partition("@")
    known = [one.value for one in ProtectionKind]
    if not at:
        raise ConfigError(f"{text!r} must be written KIND@SCOPE, such as drawdown@venue:main")
    if kind not in known:
        raise ConfigError(f"{kind!r} is no kind of protection: {', '.join(known)}")
    return ProtectionKind(kind), Scope.parse(scope)
