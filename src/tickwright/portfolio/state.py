"""Owns the ledger as a record, out and in again: what a restart must know; refuses to guess.

Everything folded from executions is in it, down to the execution ids that were counted, so that a
restored ledger takes rows it counted before for the duplicates they are. Marks are not: prices are
asked for anew, and until they come equity is unknown. Sizes are written with their decimals, so
that an instrument whose decimals changed meanwhile is followed or refused, never misread.
"""

from tickwright.core.identity import StrategyId
from tickwright.core.ledger_state import (
    AccountRecord,
    HoldingRecord,
    IdRecord,
    LegRecord,
    PositionRecord,
    PurseRecord,
)
from tickwright.portfolio.account import Account, Holding, Purse
from tickwright.portfolio.fold import ExecutionIds
from tickwright.portfolio.position import Position

__all__ = ["restore_account", "restore_ids", "write_account", "write_ids"]


# out ----------------------------------------------------------------------------------------------


def write_account(
    account: Account, ids: ExecutionIds | None, *, since_ns: int = 0
) -> AccountRecord:
    """Return an account as a record; executions before `since_ns` are known by their time alone."""
    written, forgotten_ns = ((), 0) if ids is None else write_ids(account, ids, since_ns=since_ns)
    return AccountRecord(
        account_id=account.account_id,
        is_funded=account.is_funded,
        transferred=account.transferred,
        unexplained=account.unexplained,
        day_start_ns=account.day_start_ns,
        day_end_ns=account.day_end_ns,
        day_start_equity=account.day_start_equity,
        day_start_transferred=account.day_start_transferred,
        day_start_unexplained=account.day_start_unexplained,
        peak_equity=account.peak_equity,
        peak_transferred=account.peak_transferred,
        peak_unexplained=account.peak_unexplained,
        purses=tuple(_write_purse(purse) for _, purse in sorted(account.purses.items())),
        # In the order they were made: the ids of executions are counted by it.
        holdings=tuple(_write_holding(one) for one in account.holdings.values()),
        ids=written,
        ids_forgotten_ns=forgotten_ns,
        totals=account.totals,
    )


def write_ids(
    account: Account, ids: ExecutionIds, *, since_ns: int = 0
) -> tuple[tuple[IdRecord, ...], int]:
    """Return the executions an account counted, oldest first, and up to when they are forgotten."""
    named = {holding.index: key for key, holding in account.holdings.items()}
    rows = tuple(
        IdRecord(ns, named[index], one) for ns, (index, one) in ids.order if ns >= since_ns
    )
    is_cut = len(rows) < len(ids.order)
    return rows, max(ids.forgotten_ns, since_ns) if is_cut else ids.forgotten_ns


def _write_purse(purse: Purse) -> PurseRecord:
    balance = purse.balance
    forgotten_ns, recent = balance.moves()
    return PurseRecord(
        asset=balance.asset,
        amount=balance.amount,
        locked=balance.locked,
        unexplained=balance.unexplained,
        transferred=balance.transferred,
        reported_ns=balance.reported_ns,
        has_report=balance.has_report,
        pending_flow=purse.pending_flow,
        forgotten_ns=forgotten_ns,
        recent=recent,
    )


def _write_holding(holding: Holding) -> HoldingRecord:
    instrument = holding.market.instrument
    return HoldingRecord(
        instrument_id=instrument.id,
        size_decimals=instrument.size_decimals,
        is_hedged=holding.is_hedged,
        halt_reason=holding.halt_reason,
        legs=tuple(
            LegRecord(
                leg=leg,
                adopted_ns=book.adopted_ns,
                position=_write_position(book.position, None),
                shares=tuple(_write_position(s, owner) for owner, s in book.shares.items()),
                told=book.told,
            )
            for leg, book in holding.legs.items()
        ),
    )


def _write_position(position: Position, strategy_id: StrategyId | None) -> PositionRecord:
    return PositionRecord(
        strategy_id=strategy_id,
        size_units=position.size_units,
        cost=position.cost,
        realised=position.realised,
        funding=position.funding,
        fees=dict(position.fees),
        traded=position.traded,
        amount=position.amount,
        costed=position.costed,
        fill_count=position.fill_count,
        opened_ns=position.opened_ns,
        updated_ns=position.updated_ns,
        day=position.base,
    )


# in -----------------------------------------------------------------------------------------------


def restore_account(account: Account, record: AccountRecord) -> None:
    """Fill an empty account, whose holdings are made, from a record; what has none is left out.

    Raises:
        UnitsError: a recorded size doesn't fit its instrument's decimals any more.
    """
    for written in record.holdings:
        holding = account.holdings.get(written.instrument_id)
        if holding is not None:
            _restore_holding(holding, written)
    for kept in record.purses:
        purse = account.purse(kept.asset)
        balance = purse.balance
        balance.amount = kept.amount
        balance.locked = kept.locked
        balance.unexplained = kept.unexplained
        balance.transferred = kept.transferred
        balance.reported_ns = kept.reported_ns
        balance.has_report = kept.has_report
        balance.restore_moves(kept.forgotten_ns, kept.recent)
        purse.revalue()
        purse.pending_flow = kept.pending_flow
    for holding in account.holdings.values():
        holding.refresh()
    account.is_funded = record.is_funded
    account.transferred = record.transferred
    account.unexplained = record.unexplained
    account.day_start_ns = record.day_start_ns
    account.day_end_ns = record.day_end_ns
    account.day_start_equity = record.day_start_equity
    account.day_start_transferred = record.day_start_transferred
    account.day_start_unexplained = record.day_start_unexplained
    account.peak_equity = record.peak_equity
    account.peak_transferred = record.peak_transferred
    account.peak_unexplained = record.peak_unexplained
    account.totals = record.totals
    account.base_version += 1


def restore_ids(account: Account, record: AccountRecord) -> ExecutionIds:
    """Return the executions a record counted."""
    ids = ExecutionIds()
    for row in record.ids:
        if row.instrument_id not in account.holdings:
            continue
        key = (account.holdings[row.instrument_id].index, row.execution_id)
        ids.keys.add(key)
        ids.order.append((row.venue_ns, key))
    ids.forgotten_ns = record.ids_forgotten_ns
    return ids


def _restore_holding(holding: Holding, record: HoldingRecord) -> None:
    shift = holding.market.instrument.size_decimals - record.size_decimals
    for written in record.legs:
        book = holding.leg(written.leg)
        book.adopted_ns = written.adopted_ns
        book.told = written.told
        _fill(book.position, written.position, shift, holding)
        for share in written.shares:
            _fill(book.share(share.strategy_id), share, shift, holding)
    holding.is_hedged = record.is_hedged
    holding.halt_reason = record.halt_reason


def _fill(position: Position, record: PositionRecord, shift: int, holding: Holding) -> None:
    position.cost = record.cost
    position.realised = record.realised
    position.funding = record.funding
    position.fees = dict(record.fees)
    position.traded = record.traded
    position.costed = record.costed
    position.fill_count = record.fill_count
    position.opened_ns = record.opened_ns
    position.updated_ns = record.updated_ns
    position.base = record.day
    if holding.market.is_spot:
        position.set_amount(record.amount, holding.market.instrument)
        return
    position.size_units = record.size_units
    if shift:
        position.rescale(shift)
