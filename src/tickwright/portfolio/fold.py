"""Owns how one execution changes a holding, by the table of kinds; refuses what nobody can book.

| kind | position | cash |
|---|---|---|
| trade, block, ADL, liquidation, move, spread, delivery | yes | realised or both assets, fee |
| funding | no | `cash`, and the fee |
| settle | the entry becomes the settlement price | `cash`, and the fee |
| other | nothing is moved and the instrument is halted: a person must look | |

A row that names no leg is refused while separate legs are held: it could belong to either. A row
that was refused is not counted: it is booked when the venue tells it as something that can be.
"""

from collections import deque

import msgspec

from tickwright.core.identity import AccountId, InstrumentId, Leg, StrategyId
from tickwright.core.orders import ExecutionKind, Fill
from tickwright.portfolio.account import Holding, LegBook
from tickwright.portfolio.position import split_by_weight, spot_scale

__all__ = ["EXECUTIONS_MAX", "ExecutionIds", "FillEffect", "fold"]

EXECUTIONS_MAX = 16_384
"""Execution ids remembered per account."""

_FORCED = frozenset({ExecutionKind.ADL, ExecutionKind.LIQUIDATION, ExecutionKind.DELIVERY})


class FillEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution did. `halt_reason` is "" unless the instrument must stop.

    `realised` is in money units of `settle_asset`, without the fee. `is_included` says that a
    report of the venue had held this row already, so that only its owner was booked. `is_booked` is
    False for a row that nobody can book: nothing moved, and it may be told again as what it is.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    leg: Leg
    strategy_id: StrategyId | None
    kind: ExecutionKind
    size_before_units: int
    size_after_units: int
    realised: int
    settle_asset: str
    fee: int
    fee_asset: str
    cash: int
    halt_reason: str = ""
    is_included: bool = False
    is_booked: bool = True

    @property
    def is_closed(self) -> bool:
        """Whether the account's position ended flat by this row."""
        return self.size_before_units != 0 and self.size_after_units == 0


def fold(fill: Fill, strategy_id: StrategyId | None, holding: Holding) -> FillEffect:
    """Apply one row to a holding and its purses; the caller has sorted out repeats."""
    instrument = holding.market.instrument
    if fill.leg is Leg.NET and holding.is_hedged and fill.kind in _FORCED:
        # What the venue takes by force shrinks the leg on the other side; the row names none.
        fill = msgspec.structs.replace(fill, leg=Leg.LONG if fill.side < 0 else Leg.SHORT)
    book = holding.leg(fill.leg)
    before = book.position.size_units
    fault = _fault(fill)
    if not fault and holding.is_hedged:
        fault = _unknown_leg(fill, holding)
    realised = 0
    is_included = False
    is_booked = not fault
    if fault:
        pass
    elif fill.kind.moves_position and instrument.is_spot:
        realised = _trade_spot(fill, holding, book, strategy_id)
    elif fill.kind.moves_position and fill.venue_ns <= book.adopted_ns:
        is_included = True
        _hand_over(fill, holding, book, strategy_id)
    elif fill.kind.moves_position:
        realised = _trade(fill, holding, book, strategy_id)
    elif fill.kind is ExecutionKind.FUNDING:
        move_cash(holding, instrument.settle_asset, fill.cash, fill.venue_ns)
        _share_funding(book, fill.cash)
        _pay_fee(fill, holding, book, strategy_id)
    else:
        realised = fill.cash
        _settle(fill, holding, book)
        _pay_fee(fill, holding, book, strategy_id)
    if not fault:
        holding.refresh()
        if holding.is_hedged:
            fault = _leg_fault(book)
    holding.halt_reason = fault or holding.halt_reason
    return FillEffect(
        account_id=fill.account_id,
        instrument_id=fill.instrument_id,
        leg=fill.leg,
        strategy_id=strategy_id,
        kind=fill.kind,
        size_before_units=before,
        size_after_units=book.position.size_units,
        realised=realised,
        settle_asset=instrument.settle_asset,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        cash=fill.cash,
        halt_reason=fault,
        is_included=is_included,
        is_booked=is_booked,
    )


def move_cash(holding: Holding, asset: str, delta: int, venue_ns: int) -> None:
    """Move money of an asset in the account's purse, or explain what a report had moved already."""
    if not delta:
        return
    purse = holding.account.purse(asset)
    if not purse.balance.move(delta, venue_ns):
        purse.note_unexplained(-delta)
    purse.refresh()


def _trade(fill: Fill, holding: Holding, book: LegBook, strategy_id: StrategyId | None) -> int:
    instrument = holding.market.instrument
    signed = fill.size_units * fill.side
    parts = {strategy_id: signed}
    if strategy_id is None and fill.kind in _FORCED:
        parts = _forced_parts(book, signed)
    for owner, part in parts.items():
        if part:
            share = book.share(owner)
            share.trade(part, fill.price_units, instrument, fill.venue_ns)
            share.traded += holding.market.quote_value(part, fill.price_units)
    book.position.traded += holding.market.quote_value(signed, fill.price_units)
    realised = book.position.trade(signed, fill.price_units, instrument, fill.venue_ns)
    move_cash(holding, instrument.settle_asset, realised, fill.venue_ns)
    _pay_fee(fill, holding, book, strategy_id)
    return realised


def _hand_over(fill: Fill, holding: Holding, book: LegBook, strategy_id: StrategyId | None) -> None:
    """Give its owner a size that came with a report, out of what is unowned."""
    unowned = book.share(None)
    signed = fill.size_units * fill.side
    if strategy_id is not None and unowned.size_units * signed > 0:
        part = min(abs(unowned.size_units), fill.size_units) * fill.side
        instrument = holding.market.instrument
        share = book.share(strategy_id)
        share.trade(part, fill.price_units, instrument, fill.venue_ns)
        worth = holding.market.quote_value(part, fill.price_units)
        share.traded += worth
        book.position.traded += worth
        book.position.fill_count += 1
        unowned.trade(-part, fill.price_units, instrument, fill.venue_ns)
        unowned.fill_count -= 1
    _pay_fee(fill, holding, book, strategy_id)


def _trade_spot(fill: Fill, holding: Holding, book: LegBook, strategy_id: StrategyId | None) -> int:
    instrument = holding.market.instrument
    signed = fill.size_units * fill.side
    worth = instrument.notional(fill.size_units, fill.price_units)
    base_fee = fill.fee if fill.fee_asset == instrument.base_asset else 0
    share = book.share(strategy_id)
    realised = book.position.trade_spot(signed, worth, instrument, fill.venue_ns)
    share.trade_spot(signed, worth, instrument, fill.venue_ns)
    for position in (book.position, share):
        position.traded += worth
        position.pay_spot_fee(base_fee)
        position.add_fee(fill.fee_asset, fill.fee)
    share.set_amount(share.costed, instrument)
    amount = signed * spot_scale(instrument) - base_fee
    move_cash(holding, instrument.quote_asset, -worth * fill.side, fill.venue_ns)
    move_cash(holding, instrument.base_asset, amount, fill.venue_ns)
    if not base_fee:
        move_cash(holding, fill.fee_asset, -fill.fee, fill.venue_ns)
    return realised


def _settle(fill: Fill, holding: Holding, book: LegBook) -> None:
    """Book a settlement: each share gets its profit, unowned what the cash differs."""
    instrument = holding.market.instrument
    left = fill.cash
    for share in book.shares.values():
        if share.size_units:
            profit = share.unrealised(instrument, fill.price_units)
            share.settle(profit, fill.price_units, instrument)
            left -= profit
    if left:
        book.share(None).realised += left
    book.position.settle(fill.cash, fill.price_units, instrument)
    move_cash(holding, instrument.settle_asset, fill.cash, fill.venue_ns)


def _pay_fee(fill: Fill, holding: Holding, book: LegBook, strategy_id: StrategyId | None) -> None:
    if fill.fee:
        move_cash(holding, fill.fee_asset, -fill.fee, fill.venue_ns)
        book.position.add_fee(fill.fee_asset, fill.fee)
        book.share(strategy_id).add_fee(fill.fee_asset, fill.fee)


def _leg_fault(book: LegBook) -> str:
    """Say when a leg of a hedged account crossed zero, which no venue does."""
    position = book.position
    if position.leg is Leg.LONG and position.size_units < 0:
        return "the long leg went below zero"
    if position.leg is Leg.SHORT and position.size_units > 0:
        return "the short leg went above zero"
    return ""


def _forced_parts(book: LegBook, signed: int) -> dict[StrategyId | None, int]:
    """Split a forced reduction over the shares on the reduced side; the rest is unowned."""
    direction = 1 if signed > 0 else -1
    against = {k: s for k, s in book.shares.items() if s.size_units * direction < 0}
    owners = sorted(against, key=lambda owner: owner or "")
    weights = [abs(against[owner].size_units) for owner in owners]
    amount = min(abs(signed), sum(weights))
    parts: dict[StrategyId | None, int] = {}
    if amount:
        for owner, part in zip(owners, split_by_weight(amount, weights), strict=True):
            parts[owner] = part * direction
    rest = abs(signed) - amount
    if rest:
        parts[None] = parts.get(None, 0) + rest * direction
    return parts


def _share_funding(book: LegBook, cash: int) -> None:
    """Count funding for each share by its signed size; the remainder is unowned."""
    book.position.funding += cash
    total = book.position.size_units
    left = cash
    if total:
        for owner, share in book.shares.items():
            if owner is not None and share.size_units:
                part = cash * share.size_units // total
                share.funding += part
                left -= part
    if left:
        book.share(None).funding += left


class ExecutionIds:
    """The execution ids of one account, the last `EXECUTIONS_MAX` of them."""

    __slots__ = ("forgotten_ns", "keys", "order")

    def __init__(self) -> None:
        self.keys: set[tuple[int, str]] = set()
        self.order: deque[tuple[int, tuple[int, str]]] = deque()
        self.forgotten_ns = 0

    def add(self, key: tuple[int, str], venue_ns: int) -> str | None:
        """Remember an id; say why it can't be taken for new, or None."""
        if key in self.keys:
            return "duplicate"
        if venue_ns < self.forgotten_ns:
            return "too old"
        if len(self.order) == EXECUTIONS_MAX:
            gone_ns, gone = self.order.popleft()
            self.keys.discard(gone)
            self.forgotten_ns = max(self.forgotten_ns, gone_ns)
        self.keys.add(key)
        self.order.append((venue_ns, key))
        return None

    def forget_last(self) -> None:
        """Take the id added last for never seen: its row could not be booked."""
        _, key = self.order.pop()
        self.keys.discard(key)


def _unknown_leg(fill: Fill, holding: Holding) -> str:
    if fill.leg is Leg.NET and fill.kind.moves_position:
        for leg, book in holding.legs.items():
            if leg is not Leg.NET and book.position.size_units:
                return f"execution {fill.execution_id} names no leg and the {leg.value} one is held"
    return ""


def _fault(fill: Fill) -> str:
    if fill.kind.moves_position and fill.size_units > 0 and fill.price_units > 0:
        return ""
    if fill.kind is ExecutionKind.OTHER:
        return f"execution {fill.execution_id} is of a kind nobody can book"
    if fill.kind.moves_position:
        return f"execution {fill.execution_id} moves a position without a size or price"
    if fill.kind is ExecutionKind.SETTLE and fill.price_units <= 0:
        return f"settlement {fill.execution_id} has no price"
    return ""
