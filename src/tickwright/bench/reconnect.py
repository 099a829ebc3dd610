"""Owns the times of trouble: how fast a fault is noticed and how fast every book is valid again.

The venue is the simulator in its own process, faults are committed by its control endpoint; the
client is the production feed with REST checks. Nothing is injected into the client, no clock is
turned.
"""

from dataclasses import dataclass
from typing import Any, Final

from tickwright.bench.figures import Spread
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import RunFailed, Session
from tickwright.bench.venue import started_venue

__all__ = ["measure_reconnect"]

_SYMBOLS: Final = 50


@dataclass(frozen=True, slots=True)
class _Trial:
    scenario: str
    label: str
    count_quick: int
    count: int


_TRIALS: Final = (
    _Trial("reset", "TCP reset", 5, 50),
    _Trial("lost_delta", "one delta lost", 5, 50),
    _Trial("silent_topic", "a busy topic silent", 1, 5),
    # A vanished socket stays on the simulator's list, so that the next fault could strike it again.
    _Trial("vanished", "the peer vanished (no data, no pong, no FIN)", 1, 1),
    _Trial("outage", "outage, counted from the server's return", 1, 3),
)


def measure_reconnect(session: Session) -> Section:
    """Measure the section on faults."""
    section = Section(
        "reconnect",
        f"Faults under {_SYMBOLS} linear books: seconds, median and least to most",
        [
            Column("noticed", "noticed after s", 3),
            Column("valid", "then all valid after s", 3),
            Column("worst", "p99 of valid s", 3),
            Column("count", "faults"),
        ],
    )
    outage_s = 3.0 if session.quick else 10.0
    reports: dict[str, list[dict[str, float]]] = {}
    for trial in _TRIALS:
        count = trial.count_quick if session.quick else trial.count
        session.say(f"{trial.label}: {count} times")
        results, false_alarms = _try(session, trial, count, outage_s)
        reports[trial.scenario] = results
        after = "valid_after_return_s" if trial.scenario == "outage" else "valid_s"
        valid = sorted(result[after] for result in results)
        section.add(
            f"{trial.label} ({outage_s:.0f} s)" if trial.scenario == "outage" else trial.label,
            noticed=Spread.of(result["noticed_s"] for result in results),
            valid=Spread.of(valid),
            worst=f"{valid[max(0, -(-99 * len(valid) // 100) - 1)]:.3f}",
            count=str(count),
        )
        if false_alarms:
            section.notes.append(f"{trial.label}: {false_alarms} other books were in doubt too.")
    worst_reset = max(result["valid_s"] for result in reports["reset"])
    section.aim("TCP reset, worst until all books valid in s, below 1", worst_reset, most=1.0)
    worst_outage = max(result["valid_after_return_s"] for result in reports["outage"])
    section.aim("outage, worst after the server's return in s, below 2", worst_outage, most=2.0)
    worst_silence = max(result["noticed_s"] for result in reports["silent_topic"])
    section.aim("busy topic silent, worst until noticed in s, below 2", worst_silence, most=2.0)
    section.notes.append(
        "A reset is noticed at once. A lost delta is noticed at the topic's next frame; its row "
        "counts from the last good frame. A silenced topic stays silent for 8 s on its socket, so "
        "its book cannot be valid sooner."
    )
    return section


def _try(
    session: Session, trial: _Trial, count: int, outage_s: float
) -> tuple[list[dict[str, float]], int]:
    """Run one scenario against a fresh simulator; return its results and false alarms."""
    with started_venue(_SYMBOLS) as venue:
        arguments = [trial.scenario, "--public", venue.public, "--rest", venue.rest]
        arguments += ["--symbols", str(_SYMBOLS), "--count", str(count), "--outage", str(outage_s)]
        report: dict[str, Any] = session.call("tickwright.bench.prober", arguments)
    if len(report["results"]) != count:
        raise RunFailed(f"{trial.label}: {len(report['results'])} of {count} faults were timed")
    return report["results"], int(report["false_alarms"])
