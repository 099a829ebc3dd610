"""Owns how the engine's notices stand in the log of a run; halts are told by the trader itself."""

from datetime import UTC, datetime

from tickwright.app.logs import RunLog
from tickwright.core.commands import (
    Notice,
    OrderNotice,
    ProtectionNotice,
    SignalNotice,
    WorkNotice,
)
from tickwright.core.restrictions import Stage
from tickwright.core.verdicts import Rejected

__all__ = ["log_notice", "protection_words", "utc", "work_words"]


def log_notice(log: RunLog, notice: Notice) -> None:
    """Write one notice with the input that caused it."""
    if isinstance(notice, SignalNotice):
        signal, verdict = notice.signal, notice.verdict
        is_refused = isinstance(verdict, Rejected)
        log.log.info(
            "signal.refused" if is_refused else "signal.approved",
            strategy_id=notice.strategy_id,
            instrument=str(signal.instrument_id),
            kind=signal.kind.value,
            reason=signal.reason,
            verdict=str(verdict) if is_refused else "",
            client_id=notice.client_id,
            event_id=notice.event_id,
        )
    elif isinstance(notice, ProtectionNotice):
        log.log.warning(
            "protection.lifted" if notice.stage is Stage.ACTIVE else "protection.entered",
            protection=notice.name,
            state=notice.stage.value,
            reason=notice.reason,
            since_ns=notice.since_ns,
            until_ns=notice.until_ns,
            by=notice.by,
            event_id=notice.event_id,
        )
    elif isinstance(notice, WorkNotice):
        work = notice.work
        log.log.info(
            "work.changed",
            work_id=work.work_id,
            strategy_id=work.strategy_id,
            instrument=str(work.intent.instrument_id),
            state=work.state.value,
            filled_units=work.filled_units,
            size_units=work.size_units,
            orders=len(work.children),
            reason=work.reason,
            event_id=notice.event_id,
        )
    elif isinstance(notice, OrderNotice):
        log.log.info(
            "order.changed",
            state=notice.state.value,
            client_id=notice.client_id,
            strategy_id=notice.strategy_id,
            instrument=str(notice.instrument_id),
            filled_units=notice.filled_units,
            reason=notice.reason,
            event_id=notice.event_id,
        )


def protection_words(notice: ProtectionNotice) -> str:
    """Return the sentence for the screen."""
    if notice.stage is Stage.ACTIVE:
        return f"protection.lifted {notice.name} by {notice.by}"
    end = "until a person lifts it" if notice.until_ns is None else f"until {utc(notice.until_ns)}"
    stood = ", stood before the restart" if notice.by else ""
    state = notice.stage.value
    return f"protection.entered {notice.name} {state} {end}{stood}: {notice.reason}"


def work_words(notice: WorkNotice) -> str:
    """Return the sentence for the screen."""
    work = notice.work
    share = 100 * work.filled_units // work.size_units
    head = f"work.{work.state.value} {work.intent.instrument_id.symbol} {work.strategy_id}"
    return f"{head}: {share} % filled in {len(work.children)} orders {work.reason}".rstrip()


def utc(now_ns: int) -> str:
    """Write a time to the second, as people read it."""
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
