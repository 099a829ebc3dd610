"""Snapshots made by hand, for tests of what people see."""

from decimal import Decimal

import msgspec

from tickwright.app.trader_snapshot import BookLine, TraderSnapshot
from tickwright.engine.summary import (
    AccountSummary,
    EngineSummary,
    PositionSummary,
    ProtectionSummary,
    StrategySummary,
)


def book(symbol: str, *, state: str = "synced", updates: int = 10, **changes: object) -> BookLine:
    """Return one line of a book."""
    line = BookLine(
        symbol=symbol,
        state=state,
        age_ms=12.0,
        bid="100.10",
        bid_size="1.5",
        ask="100.20",
        ask_size="2",
        spread_percent=0.0999,
        imbalance=0.5,
        updates=updates,
        gaps=0,
        update_id=7,
    )
    return msgspec.structs.replace(line, **changes)


def position(
    symbol: str,
    *,
    strategy: str = "fast",
    size: str = "0",
    realised: str = "0",
    unrealised: str | None = "0",
    fees: dict[str, str] | None = None,
) -> PositionSummary:
    """Return one strategy's share of a position."""
    return PositionSummary(
        strategy_id=strategy,
        account="bybit:demo",
        instrument=f"bybit:linear:{symbol}",
        size=Decimal(size),
        entry_price=None,
        realised=Decimal(realised),
        unrealised=None if unrealised is None else Decimal(unrealised),
        funding=Decimal(0),
        fees={asset: Decimal(fee) for asset, fee in (fees or {}).items()},
    )


def protection(name: str, *, state: str = "reducing", until_ns: int | None) -> ProtectionSummary:
    """Return one protection in force."""
    kind, _, scope = name.partition("@")
    return ProtectionSummary(
        name=name,
        kind=kind,
        scope=scope,
        state=state,
        reason="3 of them; at most 2",
        since_ns=1,
        until_ns=until_ns,
        lifted_by="operator" if until_ns is None else "time",
    )


def strategy(
    name: str,
    *,
    refusals: dict[str, int] | None = None,
    halt: str = "",
    last: dict[str, str] | None = None,
) -> StrategySummary:
    """Return one strategy's counts."""
    return StrategySummary(
        strategy_id=name,
        halt_reason=halt,
        signals=5,
        exits=2,
        orders=3,
        fills=4,
        refusals=refusals or {},
        last_refusals=last or {},
    )


def engine(**changes: object) -> EngineSummary:
    """Return an engine's summary."""
    plain = EngineSummary(
        event_id=1_000,
        now_ns=1,
        digest="d",
        engine_halt="",
        halted_instruments={},
        orders_placed=6,
        orders_live=1,
        cancels=1,
        queries=0,
        unknown_requests=0,
        fills=8,
        unowned_fills=0,
        duplicate_fills=0,
        older_reports=0,
        stops_hit=1,
        takes_hit=2,
        syncs=1,
        sync_differences=0,
        reconciliations=0,
        reconcile_mismatches=0,
        foreign_orders=0,
        dropped_notices=0,
        strategies=(strategy("fast", refusals={"rate_limit": 2}), strategy("slow")),
        positions=(),
        accounts=(
            AccountSummary(
                account="bybit:demo",
                is_ready=True,
                equity=Decimal("9990.5"),
                exposure=Decimal("1000"),
                day_loss=Decimal("9.5"),
            ),
        ),
        budgets=(),
    )
    return msgspec.structs.replace(plain, **changes)


def shot(**changes: object) -> TraderSnapshot:
    """Return a whole process at one moment."""
    books = (book("BTCUSDT"), book("ETHUSDT"))
    plain = TraderSnapshot(
        mode="simulator",
        market="simulator",
        seconds=10.0,
        cpu_seconds=0.5,
        messages=20_000,
        book_updates=15_000,
        trades=3_000,
        frames_per_turn_max=20,
        turn_us_p99=400.0,
        conflated=0,
        feed_ms={"count": 5.0, "p50": 2.5, "p99": 20.0, "max": 30.0},
        callback_us={"count": 5.0, "p50": 40.0, "p99": 600.0, "max": 5_000.0},
        tick_to_order_us={"count": 5.0, "p50": 700.0, "p99": 2_900.0, "max": 3_000.0},
        gaps=0,
        resyncs=0,
        reconnects=1,
        suspicions=0,
        alarms=0,
        refused_frames=0,
        audits_agreed=4,
        audits_differed=0,
        clock_offset_ms=0.1,
        books_synced=2,
        books=books,
        engine=engine(),
        log_is_whole=True,
        log_bytes=4_000_000,
        journal_entries=6,
        last_refusals=("BTCUSDT long z -3 -> exposure_limit: 1,500 against 1,000",),
        last_signals=("BTCUSDT long z -3",),
        notes=(
            "account.ready private",
            "order ETHUSDT held by the venue cancelled: TakeProfit Deactivated",
            "order BTCUSDT tw1 filled: fill",
        ),
    )
    return msgspec.structs.replace(plain, **changes)
