"""Owns how the engine's notices stand in the log of a run; halts are told by the trader itself."""

from tickwright.app.logs import RunLog
from tickwright.core.commands import Notice, OrderNotice, SignalNotice
from tickwright.core.verdicts import Rejected

__all__ = ["log_notice"]


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
