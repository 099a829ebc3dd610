"""Owns what decisions depend on besides inputs: accounts, strategies, limits; refuses secrets.

It stands in the header of every session log, so that a replay can build the same engine.
"""

from hashlib import blake2b
from typing import Any

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.engine.config import EngineConfig
from tickwright.engine.engine import Engine
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import parameters_from

__all__ = ["StrategyPlan", "TradingPlan", "add_strategies", "build_engine", "parse_account"]


class StrategyPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configured strategy. `source` is a library name or `path.py:Class`."""

    strategy_id: str
    source: str
    account: str
    instruments: tuple[str, ...]
    parameters: dict[str, Any] = {}


class TradingPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decisions depend on besides the inputs and the seed."""

    engine: EngineConfig = EngineConfig()
    accounts: tuple[str, ...] = ()
    strategies: tuple[StrategyPlan, ...] = ()

    def to_builtins(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    @classmethod
    def from_builtins(cls, plain: dict[str, object]) -> "TradingPlan":
        """Read it back.

        Raises:
            ConfigError: it no longer fits this version.
        """
        try:
            return msgspec.json.decode(msgspec.json.encode(plain), type=cls)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"the recorded plan doesn't fit this version: {error}") from None

    def digest(self) -> str:
        """Return a hash of the whole plan."""
        return blake2b(msgspec.json.encode(self, order="sorted"), digest_size=16).hexdigest()


def parse_account(text: str) -> AccountId:
    """Read the form `venue:name`."""
    venue, colon, name = text.partition(":")
    if not colon or not venue or not name:
        raise ConfigError(f"account {text!r} must be written venue:name")
    return AccountId(venue, name)


def build_engine(plan: TradingPlan, *, epoch: int, seed: int, now_ns: int) -> Engine:
    """Return an engine with its accounts; books and strategies come later."""
    engine = Engine(plan.engine, epoch=epoch, seed=seed, now_ns=now_ns)
    for account in plan.accounts:
        engine.add_account(parse_account(account))
    return engine


def add_strategies(engine: Engine, plan: TradingPlan, classes: dict[str, type[Strategy]]) -> None:
    """Add the planned strategies once their books are there; `classes` by source."""
    for one in plan.strategies:
        strategy_class = classes[one.source]
        engine.add_strategy(
            StrategyId(one.strategy_id),
            strategy_class(),
            account_id=parse_account(one.account),
            instruments=[InstrumentId.parse(text) for text in one.instruments],
            parameters=parameters_from(
                strategy_class.Parameters, one.parameters, where=f"strategy {one.strategy_id}"
            ),
        )
