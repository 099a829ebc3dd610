"""Owns the engine's figures for reports and screens; refuses to be part of a decision."""

from decimal import Decimal

import msgspec

from tickwright.core.restrictions import Restriction
from tickwright.core.units import money_to_decimal
from tickwright.engine.evidence_desk import EvidenceDesk
from tickwright.engine.lanes import StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.result_summary import ResultSummary
from tickwright.engine.state import TradingState
from tickwright.execution.request_budget import BudgetUse

__all__ = [
    "AccountSummary",
    "EngineSummary",
    "PositionSummary",
    "ProtectionSummary",
    "StrategySummary",
    "summarise",
]


class PositionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's share of one position; money in the settle asset, None without a price."""

    strategy_id: str | None
    account: str
    instrument: str
    size: Decimal
    entry_price: Decimal | None
    realised: Decimal
    unrealised: Decimal | None
    funding: Decimal
    fees: dict[str, Decimal]


class StrategySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's counts; `refusals` by reason, `last_refusals` their last words."""

    strategy_id: str
    halt_reason: str
    signals: int
    exits: int
    orders: int
    fills: int
    refusals: dict[str, int]
    last_refusals: dict[str, str] = {}


class ProtectionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One protection in force; `name` is what `--lift` takes, `until_ns` None waits for a person.

    `lifted_by` is time, next day or operator.
    """

    name: str
    kind: str
    scope: str
    state: str
    reason: str
    since_ns: int
    until_ns: int | None
    lifted_by: str

    @classmethod
    def of(cls, row: Restriction) -> "ProtectionSummary":
        """Return a restriction as reports show it."""
        return cls(
            name=row.name,
            kind=row.kind.value,
            scope=str(row.scope),
            state=row.stage.value,
            reason=row.reason,
            since_ns=row.since_ns,
            until_ns=row.until_ns,
            lifted_by=row.lifted_by.value,
        )


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One account's money in the equity asset; None when a price is missing."""

    account: str
    is_ready: bool
    equity: Decimal | None
    exposure: Decimal | None
    day_loss: Decimal | None


class EngineSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole engine at one input."""

    event_id: int
    now_ns: int
    digest: str
    engine_halt: str
    halted_instruments: dict[str, str]
    orders_placed: int
    orders_live: int
    amends: int = 0
    cancels: int
    queries: int
    unknown_requests: int
    fills: int
    unowned_fills: int
    duplicate_fills: int
    older_reports: int
    stops_hit: int
    takes_hit: int
    syncs: int
    sync_differences: int
    reconciliations: int
    reconcile_mismatches: int
    foreign_orders: int
    dropped_notices: int
    strategies: tuple[StrategySummary, ...]
    positions: tuple[PositionSummary, ...]
    accounts: tuple[AccountSummary, ...]
    budgets: tuple[BudgetUse, ...]
    results: tuple[ResultSummary, ...] = ()
    """Only where they were asked for: a screen that draws twice a second doesn't show them."""
    protections: tuple[ProtectionSummary, ...] = ()
    """In force now, the oldest first."""
    protections_entered: dict[str, int] = {}
    """How often each kind restricted something in this run."""


def summarise(
    state: TradingState, orders: OrderDesk, positions: PositionDesk, evidence: EvidenceDesk
) -> EngineSummary:
    """Collect the figures as they stand."""
    moment = state.moment
    blotter = state.blotter
    return EngineSummary(
        event_id=moment.event_id,
        now_ns=moment.now_ns,
        digest=state.outbox.digest,
        engine_halt=state.view.engine_halt,
        halted_instruments={
            str(key): reason for key, reason in sorted(state.view.halted_instruments.items())
        },
        orders_placed=orders.placed_count,
        orders_live=blotter.live_count,
        amends=orders.amend_count,
        cancels=orders.cancel_count,
        queries=orders.query_count,
        unknown_requests=sum(record.unknown_requests for record in blotter.live()),
        fills=evidence.fill_count,
        unowned_fills=evidence.unowned_fill_count,
        duplicate_fills=blotter.duplicate_fill_count,
        older_reports=blotter.older_report_count,
        stops_hit=positions.stop_count,
        takes_hit=positions.take_count,
        syncs=evidence.sync_count,
        sync_differences=evidence.sync_difference_count,
        reconciliations=evidence.reconcile.count,
        reconcile_mismatches=evidence.reconcile.mismatch_count,
        foreign_orders=len(blotter.foreign),
        dropped_notices=state.outbox.dropped_notices,
        strategies=tuple(_strategy(run) for run in state.runs.values()),
        positions=_positions(state),
        accounts=_accounts(state),
        budgets=state.budget.uses(moment.now_ns),
        protections=tuple(
            ProtectionSummary.of(row)
            for row in state.protections.table
            if not row.is_over(moment.now_ns)
        ),
        protections_entered={
            kind.value: count for kind, count in state.protections.entered.items()
        },
    )


def _strategy(run: StrategyRun) -> StrategySummary:
    return StrategySummary(
        strategy_id=run.strategy_id,
        halt_reason=run.halt_reason,
        signals=run.signal_count,
        exits=run.exit_count,
        orders=run.order_count,
        fills=run.fill_count,
        refusals=dict(sorted(run.refusals.items())),
        last_refusals={
            name: f"{said.check.value} against {said.check.bound}"
            for name, said in sorted(run.last_refusals.items())
        },
    )


def _positions(state: TradingState) -> tuple[PositionSummary, ...]:
    result = []
    for account in state.portfolio.accounts():
        for instrument_id, holding in sorted(account.holdings.items()):
            instrument = holding.market.instrument
            mark = holding.market.mark_units
            for book in holding.legs.values():
                for strategy_id, share in book.shares.items():
                    if share.is_flat and not share.fill_count:
                        continue
                    unrealised = None if mark is None else share.unrealised(instrument, mark)
                    result.append(
                        PositionSummary(
                            strategy_id=strategy_id,
                            account=str(account.account_id),
                            instrument=str(instrument_id),
                            size=instrument.quantity(share.size_units),
                            entry_price=share.entry_price(instrument),
                            realised=money_to_decimal(share.realised),
                            unrealised=_money(0 if share.is_flat else unrealised),
                            funding=money_to_decimal(share.funding),
                            fees={
                                asset: money_to_decimal(fee)
                                for asset, fee in sorted(share.fees.items())
                            },
                        )
                    )
    return tuple(result)


def _accounts(state: TradingState) -> tuple[AccountSummary, ...]:
    return tuple(
        AccountSummary(
            account=str(account_id),
            is_ready=account_id in state.view.ready_accounts,
            equity=_money(state.portfolio.equity(account_id)),
            exposure=_money(state.portfolio.exposure(account_id)),
            day_loss=_money(state.portfolio.account(account_id).day_loss),
        )
        for account_id in state.accounts
    )


def _money(units: int | None) -> Decimal | None:
    return None if units is None else money_to_decimal(units)
