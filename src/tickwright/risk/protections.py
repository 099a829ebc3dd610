"""Owns protections over time: what is counted, when it restricts, and when that ends by itself.

One machine for all kinds: whatever trips is a `Restriction` in the table, with its numbers, and a
`Change` that the engine tells and acts on. Fed by closed trades, stops, refusals of the venue,
orders, changes of direction and mids once a second. The losses of an account are latched by the
gate, which sees every change of equity; here they stand as rows, so that one list shows all.

Bounded: counts per configured strategy and instrument, each a window no longer than its threshold.
Refuses to restrict a closing order: that is the gate's to judge.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.core.restrictions import ProtectionKind, Restriction, Scope
from tickwright.core.risk_state import PairRecord, StrategyRecord
from tickwright.core.units import money_to_decimal
from tickwright.risk.protections_config import (
    SECOND_NS,
    BoundProtections,
    ProtectionLimits,
    bind_protections,
)
from tickwright.risk.protections_table import RULES, RestrictionTable

__all__ = ["Change", "ClosedFill", "Protections"]

_SCALE = 1 << 40
REASON_LENGTH_MAX = 200
"""A venue's words are kept so long."""
_COOLDOWN = ProtectionKind.COOLDOWN
_VOLATILITY = ProtectionKind.VOLATILITY


@dataclass(frozen=True, slots=True)
class Change:
    """A restriction that was entered, or lifted by somebody."""

    restriction: Restriction
    lifted_by: str = ""
    """"" when it was entered."""


class ClosedFill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a fill did to a strategy's position: signed sizes before and after, and its money.

    `money` is realised profit less fees in the settle asset, in money units of it; `is_stop` says
    that a stop loss caused it.
    """

    account_id: AccountId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    size_before: int
    size_after: int
    money: int
    asset: str
    is_stop: bool


class _StrategyMemory:
    """What is counted of one strategy."""

    __slots__ = ("last_reject", "losses", "orders", "rejects")

    def __init__(self) -> None:
        self.losses = 0
        self.last_reject = ""
        self.rejects: deque[int] = deque()
        self.orders: deque[int] = deque()


class _PairMemory:
    """What is counted of one strategy in one instrument."""

    __slots__ = ("direction", "flips", "money")

    def __init__(self) -> None:
        self.direction = 0
        self.flips: deque[int] = deque()
        self.money = 0


class _MarketMemory:
    """Squared returns of one instrument's mid within the window."""

    __slots__ = ("before", "squares", "sum")

    def __init__(self) -> None:
        self.before = 0
        self.squares: deque[int] = deque()
        self.sum = 0

    def take(self, mid: int, window: int) -> int:
        """Take a mid and return the sum of squared returns, in units of 2^-80."""
        if self.before:
            square = 0
            if mid != self.before:
                change = int(math.log(mid / self.before) * _SCALE)
                square = change * change
                self.sum += square
            self.squares.append(square)
            if len(self.squares) > window:
                self.sum -= self.squares.popleft()
        self.before = mid
        return self.sum


class Protections:
    """All protections of a process.

    `accounts` replaces `limits` for the accounts it names. `changes` holds what nobody took yet.
    """

    def __init__(
        self, limits: ProtectionLimits, *, accounts: Mapping[AccountId, ProtectionLimits]
    ) -> None:
        self.table = RestrictionTable()
        self.changes: list[Change] = []
        """What was entered and lifted; the engine takes it at the end of each input."""
        self.version = 0
        """Goes up with everything a restart must know."""
        self.entered: dict[ProtectionKind, int] = {}
        """How often each kind restricted something in this run."""
        self.entered_count = 0
        """Their sum."""
        self._limits = limits
        self._by_account = dict(accounts)
        self._strategies: dict[StrategyId, _StrategyMemory] = {}
        self._pairs: dict[tuple[StrategyId, InstrumentId], _PairMemory] = {}
        self._markets: dict[InstrumentId, _MarketMemory] = {}
        # Bounded by accounts x strategies x instruments, all of which the configuration names.
        self._bound: dict[
            tuple[AccountId, StrategyId | None, InstrumentId | None], BoundProtections
        ] = {}
        self._volatility: dict[InstrumentId, BoundProtections] = {}

    def bound(
        self,
        account_id: AccountId,
        strategy_id: StrategyId | None = None,
        instrument_id: InstrumentId | None = None,
    ) -> BoundProtections:
        """Return what counts for a strategy in an instrument."""
        key = (account_id, strategy_id, instrument_id)
        found = self._bound.get(key)
        if found is None:
            limits = self._by_account.get(account_id, self._limits)
            found = self._bound[key] = bind_protections(limits, strategy_id, instrument_id)
        return found

    def volatility_bound(self, instrument_id: InstrumentId) -> BoundProtections:
        """Return the strictest account's: volatility is a market's matter and restricts all."""
        found = self._volatility.get(instrument_id)
        if found is None:
            every = [
                bind_protections(limits, None, instrument_id)
                for limits in (self._limits, *self._by_account.values())
            ]
            on = [one for one in every if one.volatility_percent]
            found = min(on or every, key=lambda one: one.volatility_percent)
            self._volatility[instrument_id] = found
        return found

    # feeding --------------------------------------------------------------------------------------

    def on_order(self, account_id: AccountId, strategy_id: StrategyId, now_ns: int) -> None:
        """Count an opening order that was sent."""
        self.version += 1
        bound = self.bound(account_id, strategy_id)
        if not bound.order_storm:
            return
        orders = self._strategy(strategy_id).orders
        orders.append(now_ns)
        if len(orders) < bound.order_storm:
            return
        # What left the window is forgotten only when it could matter.
        _forget(orders, now_ns - bound.order_storm_ns)
        if len(orders) >= bound.order_storm:
            seconds = max(now_ns - orders[0], 0) / SECOND_NS
            words = (
                f"{len(orders)} opening orders in {seconds:.1f} s; at most {bound.order_storm} "
                f"in {bound.order_storm_ns // SECOND_NS} s"
            )
            orders.clear()
            self.enter(ProtectionKind.ORDER_STORM, Scope(strategy_id=strategy_id), words, now_ns)

    def on_reject(
        self, account_id: AccountId, strategy_id: StrategyId, reason: str, now_ns: int
    ) -> None:
        """Count the venue's refusal of an order."""
        self.version += 1
        bound = self.bound(account_id, strategy_id)
        if not bound.equal_rejects:
            return
        memory = self._strategy(strategy_id)
        reason = reason[:REASON_LENGTH_MAX]
        if reason != memory.last_reject:
            memory.rejects.clear()
            memory.last_reject = reason
        memory.rejects.append(now_ns)
        _forget(memory.rejects, now_ns - bound.equal_rejects_ns)
        count = len(memory.rejects)
        if count >= bound.equal_rejects:
            memory.rejects.clear()
            words = f"{count} equal refusals in a row: {reason}; at most {bound.equal_rejects}"
            self.enter(ProtectionKind.EQUAL_REJECTS, Scope(strategy_id=strategy_id), words, now_ns)

    def on_taken(self, strategy_id: StrategyId) -> None:
        """An order of the strategy works or filled: refusals before it are no row any more."""
        memory = self._strategies.get(strategy_id)
        if memory is not None and memory.rejects:
            self.version += 1
            memory.rejects.clear()

    def on_fill(self, fill: ClosedFill, now_ns: int) -> None:
        """Count a fill of a strategy: its stop, its direction, and the trade it may have closed."""
        self.version += 1
        key = (fill.strategy_id, fill.instrument_id)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = _PairMemory()
        bound = self.bound(fill.account_id, fill.strategy_id, fill.instrument_id)
        before, after = _sign(fill.size_before), _sign(fill.size_after)
        pair.money = fill.money if not before else pair.money + fill.money
        if after and pair.direction and after != pair.direction:
            self._count_flip(fill, pair, bound, now_ns)
        pair.direction = after or pair.direction
        if fill.is_stop and bound.cooldown_ns:
            words = (
                f"a stop loss closed {'long' if before > 0 else 'short'}; "
                f"{bound.cooldown_ns // SECOND_NS} s of pause here"
            )
            scope = Scope(strategy_id=fill.strategy_id, instrument_id=fill.instrument_id)
            self.enter(_COOLDOWN, scope, words, now_ns, now_ns + bound.cooldown_ns)
        if before and after != before:
            self._count_trade(fill, pair.money, now_ns)
            pair.money = 0

    def _count_flip(
        self, fill: ClosedFill, pair: _PairMemory, bound: BoundProtections, now_ns: int
    ) -> None:
        if not bound.flip_flops:
            return
        flips = pair.flips
        flips.append(now_ns)
        _forget(flips, now_ns - bound.flip_flops_ns)
        if len(flips) >= bound.flip_flops:
            seconds = max(now_ns - flips[0], 0) / SECOND_NS
            words = (
                f"{len(flips)} changes of direction in {seconds:.1f} s; at most "
                f"{bound.flip_flops} in {bound.flip_flops_ns // SECOND_NS} s"
            )
            flips.clear()
            scope = Scope(strategy_id=fill.strategy_id, instrument_id=fill.instrument_id)
            self.enter(ProtectionKind.FLIP_FLOP, scope, words, now_ns)

    def _count_trade(self, fill: ClosedFill, money: int, now_ns: int) -> None:
        # The pause is the strategy's, so its figures are too: no symbol's override speaks here.
        bound = self.bound(fill.account_id, fill.strategy_id)
        memory = self._strategy(fill.strategy_id)
        if money >= 0:
            memory.losses = 0
            return
        memory.losses += 1
        if not bound.losses_in_row or memory.losses < bound.losses_in_row:
            return
        words = (
            f"{memory.losses} losing trades in a row, the last "
            f"{money_to_decimal(money):.4f} {fill.asset} in {fill.instrument_id.symbol}; "
            f"at most {bound.losses_in_row}"
        )
        memory.losses = 0
        if bound.loss_pause_ns:
            scope = Scope(strategy_id=fill.strategy_id)
            kind = ProtectionKind.LOSS_STREAK
            self.enter(kind, scope, words, now_ns, now_ns + bound.loss_pause_ns)

    def on_mid(self, instrument_id: InstrumentId, mid: int | None, now_ns: int) -> None:
        """Take the mid of a second (any unit, above zero); None where the book is not proven."""
        bound = self.volatility_bound(instrument_id)
        if not bound.volatility_percent:
            return
        memory = self._markets.get(instrument_id)
        if memory is None:
            memory = self._markets[instrument_id] = _MarketMemory()
        if mid is None or mid <= 0:
            # What moved meanwhile counts when the book is back.
            return
        root = math.sqrt(memory.take(mid, bound.volatility_window_s)) * 100 / _SCALE
        if root < bound.volatility_percent:
            return
        words = (
            f"realised volatility {root:.3f} % in {len(memory.squares)} s; halts at "
            f"{bound.volatility_percent} % in {bound.volatility_window_s} s"
        )
        scope = Scope(instrument_id=instrument_id)
        until_ns = now_ns + max(bound.volatility_pause_ns, SECOND_NS)
        self.enter(_VOLATILITY, scope, words, now_ns, until_ns)

    # entering and lifting -------------------------------------------------------------------------

    def enter(
        self,
        kind: ProtectionKind,
        scope: Scope,
        reason: str,
        now_ns: int,
        until_ns: int | None = None,
    ) -> None:
        """Restrict a scope; one that is in force is prolonged and not told again."""
        held = self.table.get(kind, scope)
        if held is not None and not held.is_over(now_ns):
            if held.until_ns is not None and (until_ns is None or until_ns > held.until_ns):
                self.version += 1
                self.table.put(replace(held, reason=reason, until_ns=until_ns))
            return
        if held is not None:
            self._lift(held, held.lifted_by.value)
        rule = RULES[kind]
        restriction = Restriction(
            kind=kind,
            scope=scope,
            stage=rule.stage,
            lifted_by=rule.lifted_by,
            reason=reason,
            since_ns=now_ns,
            until_ns=until_ns,
        )
        self.version += 1
        self.entered[kind] = self.entered.get(kind, 0) + 1
        self.entered_count += 1
        self.table.put(restriction)
        self.changes.append(Change(restriction))

    def lapse(self, now_ns: int) -> int | None:
        """Lift what time ends; return when the next one ends, None when none does."""
        next_ns = None
        for row in self.table:
            if row.is_over(now_ns):
                self._lift(row, row.lifted_by.value)
            elif row.until_ns is not None:
                next_ns = row.until_ns if next_ns is None else min(next_ns, row.until_ns)
        return next_ns

    def lift(self, kind: ProtectionKind, scope: Scope, by: str) -> Restriction | None:
        """Lift exactly one, whoever may; None when it isn't in force. Its counts start anew."""
        row = self.table.get(kind, scope)
        if row is None:
            return None
        self._lift(row, by)
        memory = None if scope.strategy_id is None else self._strategies.get(scope.strategy_id)
        if memory is not None:
            if kind is ProtectionKind.EQUAL_REJECTS:
                memory.rejects.clear()
            elif kind is ProtectionKind.ORDER_STORM:
                memory.orders.clear()
            elif kind is ProtectionKind.LOSS_STREAK:
                memory.losses = 0
        if kind is _VOLATILITY and scope.instrument_id is not None:
            self._markets.pop(scope.instrument_id, None)
        return row

    def _lift(self, row: Restriction, by: str) -> None:
        self.version += 1
        self.table.remove(row.kind, row.scope)
        self.changes.append(Change(row, by))

    # restart --------------------------------------------------------------------------------------

    def strategy_records(self) -> tuple[StrategyRecord, ...]:
        """Return what is counted of strategies, without their returns."""
        return tuple(
            StrategyRecord(
                strategy_id=strategy_id,
                losses_in_row=memory.losses,
                last_reject=memory.last_reject,
                rejects_ns=tuple(memory.rejects),
                orders_ns=tuple(memory.orders),
            )
            for strategy_id, memory in sorted(self._strategies.items())
        )

    def pair_records(self) -> tuple[PairRecord, ...]:
        """Return what is counted of strategies in instruments."""
        return tuple(
            PairRecord(
                strategy_id=strategy_id,
                instrument_id=instrument_id,
                direction=memory.direction,
                flips_ns=tuple(memory.flips),
                trade_money=memory.money,
            )
            for (strategy_id, instrument_id), memory in sorted(self._pairs.items())
        )

    def restore(
        self,
        restrictions: Iterable[Restriction],
        strategies: Iterable[StrategyRecord],
        pairs: Iterable[PairRecord],
    ) -> None:
        """Go on where a state was taken. Volatility is measured anew: the market went on alone.

        Rules of today hold: a kind that restricts further now does so for restored rows too.
        """
        for row in restrictions:
            rule = RULES[row.kind]
            self.table.put(replace(row, stage=rule.stage, lifted_by=rule.lifted_by))
        for record in strategies:
            memory = self._strategy(record.strategy_id)
            memory.losses = record.losses_in_row
            memory.last_reject = record.last_reject
            memory.rejects = deque(record.rejects_ns)
            memory.orders = deque(record.orders_ns)
        for held in pairs:
            pair = self._pairs[held.strategy_id, held.instrument_id] = _PairMemory()
            pair.direction = held.direction
            pair.flips = deque(held.flips_ns)
            pair.money = held.trade_money
        self.version += 1

    def _strategy(self, strategy_id: StrategyId) -> _StrategyMemory:
        memory = self._strategies.get(strategy_id)
        if memory is None:
            memory = self._strategies[strategy_id] = _StrategyMemory()
        return memory


def _forget(stamps: deque[int], before_ns: int) -> None:
    while stamps and stamps[0] <= before_ns:
        stamps.popleft()


def _sign(units: int) -> int:
    return (units > 0) - (units < 0)
