"""Owns the figures at the end of a run, as `--json` writes them; refuses to draw them.

Field names are stable: a new version may add some. Money is exact decimal text in the equity asset;
latencies and times carry their unit in their names; what was not measured is null.
"""

import os
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from tickwright import __version__
from tickwright.app.history_tap import HistoryReport
from tickwright.app.ledger_check import LedgerCheck
from tickwright.app.trader_snapshot import TraderSnapshot
from tickwright.core.commands import Notice, OrderNotice
from tickwright.core.orders import OrderState
from tickwright.engine.result_summary import ResultFigures, ResultSummary
from tickwright.engine.summary import PositionSummary, ProtectionSummary
from tickwright.storage.redis_mirror import MirrorReport

__all__ = [
    "ArticleRow",
    "BookReport",
    "Brackets",
    "CutReport",
    "Latency",
    "LimitHit",
    "Pnl",
    "ReplayCheck",
    "ResultReport",
    "RunReport",
    "StrategyReport",
    "SymbolReport",
    "count_bracket",
    "make_report",
    "process_mb",
]

CENT = Decimal("0.00000001")
STOP, TAKE = "StopLoss", "TakeProfit"
_ENDED = "stopped: end of the run"


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of one named sample; null without a sample."""

    count: int = 0
    p50: float | None = None
    p99: float | None = None
    max: float | None = None


class BookReport(msgspec.Struct, frozen=True, kw_only=True):
    """One book at the end. `source` says what its market is made of, "" for a real venue."""

    symbol: str
    state: str
    updates: int
    gaps: int
    bid: str | None
    ask: str | None
    source: str = ""


class Pnl(msgspec.Struct, frozen=True, kw_only=True):
    """Money made or lost; `fees` are paid when positive, `net` has everything in it.

    `unrealised` is null while a mark is missing, and then counts nothing in `net`. Fees in another
    asset than the equity's (spot takes them in base) stand in `other_fees`, outside `net`.
    """

    realised: Decimal
    unrealised: Decimal | None
    funding: Decimal
    fees: Decimal
    net: Decimal
    other_fees: dict[str, Decimal] = {}


class SymbolReport(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's result over all strategies; `size` is the position left, signed."""

    symbol: str
    size: Decimal
    pnl: Pnl


class LimitHit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that refused signals or orders; `last` has the figures of its last refusal."""

    reason: str
    count: int
    strategy_id: str
    last: str


class StrategyReport(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's counts and result."""

    strategy_id: str
    signals: int
    exits: int
    orders: int
    fills: int
    refusals: dict[str, int]
    halt_reason: str
    pnl: Pnl


class ResultReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy made in one instrument of one account, whole and today.

    Without a symbol it is the whole account; with one and no strategy, what nobody here asked for.
    """

    account: str
    strategy_id: str | None
    symbol: str | None
    total: ResultFigures
    day: ResultFigures
    gross: Decimal | None = None
    leverage: Decimal | None = None


class Brackets(msgspec.Struct, kw_only=True):
    """Stops that fired. Held by the venue, or watched here where strategies share a position."""

    stop_losses: int = 0
    take_profits: int = 0


class CutReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a cut of the public sockets did. `valid_after_ms` is null when books stayed invalid."""

    at_s: float
    books: int
    valid_after_ms: float | None


class ReplayCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What repeating the recorded session found. `frame_us` is the work for one frame alone."""

    is_identical: bool
    is_complete: bool
    decisions: int
    events: int
    frames: int
    seconds: float
    difference: str = ""
    frame_us_average: float | None = None
    frame_us_p99: float | None = None


class ArticleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the article beside the one measured, as texts for people."""

    what: str
    article: str
    here: str
    measured: str


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    verb: str
    version: str
    mode: str
    market: str
    """Where the market data came from: the mode, but for paper runs."""
    started: str
    seconds: float
    ended_by: str
    """`time`, the name of a signal, or what broke the run."""
    is_broken: bool
    messages: int
    messages_per_s: float
    book_updates: int
    trades: int
    books_kept: int
    books_synced: int
    gaps: int
    resyncs: int
    reconnects: int
    refused_frames: int
    audits_agreed: int
    audits_differed: int
    feed_ms: Latency
    """Venue time to socket read, clock skew included."""
    callback_us: Latency
    """Socket read to the strategy, waiting behind earlier frames of the same read included."""
    tick_to_order_us: Latency
    """Socket read of the frame to the order's bytes handed to the socket."""
    cpu_seconds: float
    memory_mb: float | None
    memory_peak_mb: float | None
    signals: int
    exits: int
    refusals: dict[str, int]
    orders: int
    cancels: int
    fills: int
    brackets: Brackets
    pnl: Pnl
    symbols: tuple[SymbolReport, ...]
    strategies: tuple[StrategyReport, ...]
    books: tuple[BookReport, ...]
    halts: tuple[str, ...]
    limits_hit: tuple[LimitHit, ...]
    protections: tuple[ProtectionSummary, ...]
    protections_entered: dict[str, int]
    ledger: tuple[LedgerCheck, ...]
    cut: CutReport | None
    session: str | None
    session_mb: float
    session_is_whole: bool
    results: tuple[ResultReport, ...] = ()
    """Every account and, in it, every strategy by symbol; whole and since the day began."""
    replay: ReplayCheck | None = None
    redis: MirrorReport | None = None
    """What the mirror did, when one is configured."""
    history: HistoryReport | None = None
    """What became of the history, when a database is configured."""
    article: tuple[ArticleRow, ...] = ()
    """The demo alone compares itself with the article."""

    @property
    def is_sound(self) -> bool:
        """Whether it ran to its end, and ledger and replay agree as far as they were looked at."""
        if self.is_broken:
            return False
        is_replayed = self.replay is None or self.replay.is_identical
        return is_replayed and all(check.is_equal is not False for check in self.ledger)


def count_bracket(brackets: Brackets, notice: Notice) -> None:
    """Count a stop or take profit held by the venue that filled."""
    if not isinstance(notice, OrderNotice) or notice.foreign is None:
        return
    if notice.state is OrderState.FILLED and notice.foreign.is_conditional:
        if notice.reason.startswith(STOP):
            brackets.stop_losses += 1
        elif notice.reason.startswith(TAKE):
            brackets.take_profits += 1


def make_report(
    shot: TraderSnapshot,
    *,
    verb: str,
    started_ns: int,
    ended_by: str,
    is_broken: bool = False,
    labels: Mapping[str, str],
    brackets: Brackets,
    ledger: Iterable[LedgerCheck],
    cut: CutReport | None,
    session: str | None,
    asset: str = "USDT",
    redis: MirrorReport | None = None,
    history: HistoryReport | None = None,
) -> RunReport:
    """Collect a run's figures from its last snapshot; `labels` by symbol, `asset` the equity's."""
    engine = shot.engine
    now, peak = process_mb()
    by_symbol: dict[str, list[PositionSummary]] = {}
    for position in engine.positions:
        by_symbol.setdefault(position.instrument.rpartition(":")[2], []).append(position)
    return RunReport(
        verb=verb,
        version=__version__,
        mode=shot.mode,
        market=shot.market,
        started=datetime.fromtimestamp(started_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        seconds=round(shot.seconds, 3),
        ended_by=ended_by,
        is_broken=is_broken,
        messages=shot.messages,
        messages_per_s=round(shot.messages / max(shot.seconds, 1e-9), 1),
        book_updates=shot.book_updates,
        trades=shot.trades,
        books_kept=len(shot.books),
        books_synced=shot.books_synced,
        gaps=shot.gaps,
        resyncs=shot.resyncs,
        reconnects=shot.reconnects,
        refused_frames=shot.refused_frames,
        audits_agreed=shot.audits_agreed,
        audits_differed=shot.audits_differed,
        feed_ms=_latency(shot.feed_ms),
        callback_us=_latency(shot.callback_us),
        tick_to_order_us=_latency(shot.tick_to_order_us),
        cpu_seconds=round(shot.cpu_seconds, 3),
        memory_mb=now,
        memory_peak_mb=peak,
        signals=sum(one.signals for one in engine.strategies),
        exits=sum(one.exits for one in engine.strategies),
        refusals=_refusals(shot),
        orders=engine.orders_placed,
        cancels=engine.cancels,
        fills=engine.fills,
        brackets=Brackets(
            stop_losses=brackets.stop_losses + engine.stops_hit,
            take_profits=brackets.take_profits + engine.takes_hit,
        ),
        pnl=_pnl(engine.positions, asset),
        symbols=tuple(
            SymbolReport(
                symbol=symbol,
                size=sum((one.size for one in held), Decimal(0)),
                pnl=_pnl(held, asset),
            )
            for symbol, held in sorted(by_symbol.items())
        ),
        strategies=tuple(
            StrategyReport(
                strategy_id=one.strategy_id,
                signals=one.signals,
                exits=one.exits,
                orders=one.orders,
                fills=one.fills,
                refusals=one.refusals,
                halt_reason=one.halt_reason,
                pnl=_pnl(
                    [held for held in engine.positions if held.strategy_id == one.strategy_id],
                    asset,
                ),
            )
            for one in engine.strategies
        ),
        books=tuple(
            BookReport(
                symbol=line.symbol,
                state=line.state,
                updates=line.updates,
                gaps=line.gaps,
                bid=line.bid,
                ask=line.ask,
                source=labels.get(line.symbol, ""),
            )
            for line in shot.books
        ),
        halts=_halts(shot),
        limits_hit=_limits_hit(shot),
        protections=engine.protections,
        protections_entered=engine.protections_entered,
        ledger=tuple(ledger),
        cut=cut,
        session=session,
        session_mb=round(shot.log_bytes / 1e6, 2),
        session_is_whole=shot.log_is_whole,
        results=tuple(_result(row) for row in engine.results),
        redis=redis,
        history=history,
    )


def process_mb() -> tuple[float | None, float | None]:
    """Return this process's resident memory in MB, now and at its highest."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    peak_mb = peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return None, round(peak_mb, 1)
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1), round(peak_mb, 1)


def _result(row: ResultSummary) -> ResultReport:
    symbol = None if row.instrument is None else row.instrument.rpartition(":")[2]
    return ResultReport(
        account=row.account,
        strategy_id=row.strategy_id,
        symbol=symbol,
        total=_rounded(row.total),
        day=_rounded(row.day),
        gross=None if row.gross is None else row.gross.quantize(CENT),
        leverage=row.leverage,
    )


def _rounded(found: ResultFigures) -> ResultFigures:
    def cents(value: Decimal | None) -> Decimal | None:
        return None if value is None else value.quantize(CENT)

    return ResultFigures(
        realised=cents(found.realised),
        unrealised=cents(found.unrealised),
        funding=cents(found.funding),
        fees=cents(found.fees),
        traded=cents(found.traded),
        net=cents(found.net),
        fills=found.fills,
    )


def _latency(found: Mapping[str, float]) -> Latency:
    if not found:
        return Latency()
    return Latency(
        count=int(found["count"]),
        p50=round(found["p50"], 3),
        p99=round(found["p99"], 3),
        max=round(found["max"], 3),
    )


def _refusals(shot: TraderSnapshot) -> dict[str, int]:
    total: dict[str, int] = {}
    for strategy in shot.engine.strategies:
        for reason, count in strategy.refusals.items():
            total[reason] = total.get(reason, 0) + count
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _limits_hit(shot: TraderSnapshot) -> tuple[LimitHit, ...]:
    """Return each reason once: its count over all strategies, in the words of the one it hit most.

    After the end of a run everything is refused: that is no limit anybody set.
    """
    found: list[LimitHit] = []
    for reason, count in _refusals(shot).items():
        most = max(shot.engine.strategies, key=lambda one: one.refusals.get(reason, 0))
        last = most.last_refusals.get(reason, "")
        if not last.startswith(_ENDED):
            hit = LimitHit(reason=reason, count=count, strategy_id=most.strategy_id, last=last)
            found.append(hit)
    return tuple(found)


def _halts(shot: TraderSnapshot) -> tuple[str, ...]:
    engine = shot.engine
    found = [(str(one.strategy_id), one.halt_reason) for one in engine.strategies]
    found += engine.halted_instruments.items()
    found.append(("engine", engine.engine_halt))
    # The end of a run halts the engine in order: that is no news.
    return tuple(
        f"{name}: {reason}" for name, reason in found if reason and not reason.startswith(_ENDED)
    )


def _pnl(held: Sequence[PositionSummary], asset: str) -> Pnl:
    realised = sum((one.realised for one in held), Decimal(0))
    funding = sum((one.funding for one in held), Decimal(0))
    fees: dict[str, Decimal] = {}
    for one in held:
        for name, fee in one.fees.items():
            fees[name] = fees.get(name, Decimal(0)) + fee
    paid = fees.pop(asset, Decimal(0))
    known = [one.unrealised for one in held if one.unrealised is not None]
    unrealised = sum(known, Decimal(0))
    return Pnl(
        realised=realised.quantize(CENT),
        unrealised=unrealised.quantize(CENT) if len(known) == len(held) else None,
        funding=funding.quantize(CENT),
        fees=paid.quantize(CENT),
        net=(realised + unrealised + funding - paid).quantize(CENT),
        other_fees={name: fee.quantize(CENT) for name, fee in sorted(fees.items())},
    )
