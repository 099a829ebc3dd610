"""Owns latency at a fixed rate: from when a frame was due at the sender to the strategy's call.

Counted from the due time, so that a client (or a sender) that falls behind cannot hide it. The p99
of one run is mostly this machine's noise; that is why runs alternate and medians of them are
compared, and why a client that only counts stands beside every row: no stack on that loop can be
faster.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tickwright.bench.figures import Spread, ratio
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Contestant, RunFailed, Runs, Session, books_agree
from tickwright.bench.tape import COMPOSED_SHAPE
from tickwright.bench.venue import Venue, listed_instruments, started_venue

__all__ = ["measure_latency"]

_SYMBOLS: Final = 50
_RATE: Final = 50_000
_ARTICLE_RATE: Final = 20_000
_BURST_FRAMES: Final = 50
_CADENCE_RATE: Final = 2_500
#: Documented settings that trade the processor against latency, by the loop that makes them.
_SETTINGS: Final = {"busy_poll": "busy_poll", "coalesce_us": "coalesce:100"}


def measure_latency(session: Session) -> list[Section]:
    """Measure the latency sections: even pace, settings, sends of 50 frames, cadence, TLS."""
    frames, rounds = (20_000, 1) if session.quick else (100_000, 9)
    sections = []
    with started_venue(_SYMBOLS, is_quiet=True) as venue:
        listed = listed_instruments(venue, _SYMBOLS)
        folder = session.tape(COMPOSED_SHAPE, frames=frames, category="linear", listed=listed)
        with session.sender(folder) as url:
            sections.append(_measure_even(session, url, folder, frames, rounds, venue))
    with session.sender(folder) as url:
        for name, loop in _SETTINGS.items():
            settings = _rows(loop, f"/paced?rate={_RATE}")[:2]
            runs = session.alternate(settings, url=url, tape=folder, rounds=rounds)
            title = f"Setting {name}: {_RATE:,} frames/s evenly paced, 1 frame a send"
            sections.append(_section(f"latency_{name}", title, runs))

        grouped = _rows(session.loop, f"/paced?rate={_RATE}&group={_BURST_FRAMES}")
        runs = session.alternate(grouped, url=url, tape=folder, rounds=min(rounds, 3))
        title = f"{_RATE:,} frames/s, {_BURST_FRAMES} frames a send"
        sections.append(_section("latency_grouped", title, runs))

        count = 2 * _CADENCE_RATE if session.quick else 8 * _CADENCE_RATE
        path = f"/paced?rate={_CADENCE_RATE}&group={_BURST_FRAMES}&frames={count}"
        runs = session.alternate(
            _rows(session.loop, path), url=url, tape=folder, rounds=min(rounds, 3)
        )
        title = f"The venue's cadence: {_CADENCE_RATE:,} frames/s, {_BURST_FRAMES} every 20 ms"
        section = _section("latency_cadence", title, runs)
        section.aim(
            "ours, share of a core, at most 0.01", runs[1].spread("cpu_share").median, most=0.01
        )
        sections.append(section)

    tls = session.certificate()
    if isinstance(tls, str):
        sections[0].notes.append(f"No table with TLS: {tls}.")
        return sections
    with session.sender(folder, tls=tls) as url:
        runs = session.alternate(
            _rows(session.loop, f"/paced?rate={_RATE}"), url=url, tape=folder, rounds=rounds
        )
        title = f"With TLS: {_RATE:,} frames/s evenly paced, 1 frame a send"
        sections.append(_section("latency_tls", title, runs))
    return sections


def _measure_even(
    session: Session, url: str, folder: Path, frames: int, rounds: int, venue: Venue
) -> Section:
    """Measure the table that the targets are about, a whole trader with orders in it."""
    rows = _rows(session.loop, f"/paced?rate={_RATE}")
    rows.append(
        Contestant(
            "ours-trading",
            session.loop,
            f"ours, whole trader, {session.loop}",
            f"/paced/rate={_RATE}",
            ("--rest", venue.rest, "--private", venue.private),
            "tickwright.bench.trading",
        )
    )
    if not session.missing_for_article():
        rows.append(
            Contestant(
                "article",
                "asyncio",
                f"article with statistics at {_ARTICLE_RATE:,}/s",
                f"/paced?rate={_ARTICLE_RATE}&frames={min(frames, 2 * _ARTICLE_RATE)}",
                ("--features", "full"),
            )
        )
    runs = session.alternate(rows, url=url, tape=folder, rounds=rounds)
    section = _section("latency", f"{_RATE:,} frames/s evenly paced, 1 frame a send", runs)
    _aim(section, runs)
    trading = next(run for run in runs if run.contestant.client == "ours-trading")
    section.add(
        "ours, whole trader: due to order bytes",
        p50=trading.spread("order_us", "p50"),
        p99=trading.spread("order_us", "p99"),
        p999=trading.spread("order_us", "p999"),
    )
    _aim_orders(section, runs[0], trading)
    return section


def _rows(loop: str, path: str) -> list[Contestant]:
    """Return the compared rows on a loop; the floor first, ours second."""
    return [
        Contestant(client, loop, f"{client}, {loop}", path)
        for client in ("count-only", "ours", "composed")
    ]


def _section(name: str, title: str, runs: Sequence[Runs]) -> Section:
    floor = runs[0]
    # Only runs over the same frames can end with the same books.
    whole = [run for run in runs if run.spread("messages") == floor.spread("messages")]
    if not books_agree(whole):
        raise RunFailed(f"{name}: the stacks' books differ at the end of the tape")
    section = Section(
        name,
        f"{title}: due to strategy call (median of {len(runs[0].reports)} alternating runs)",
        [
            Column("p50", "p50 us", 1),
            Column("p99", "p99 us", 1),
            Column("p999", "p99.9 us", 0),
            Column("cpu", "of a core", 3),
            Column("over", "p50 - floor us"),
            Column("p99_ratio", "p99 / floor"),
            Column("cpu_ratio", "CPU / floor"),
            Column("late", "sender late p99 us", 1),
        ],
    )
    for run in runs:
        p50, p99 = run.spread("latency_us", "p50"), run.spread("latency_us", "p99")
        cpu = run.spread("cpu_share")
        compared: dict[str, Spread | str] = {}
        if run is not floor and run.spread("rate") == floor.spread("rate"):
            compared = {
                "over": f"{p50.median - floor.spread('latency_us', 'p50').median:+.1f}",
                "p99_ratio": f"{ratio(p99, floor.spread('latency_us', 'p99')):.2f}x",
                "cpu_ratio": f"{ratio(cpu, floor.spread('cpu_share')):.2f}x",
            }
        section.add(
            run.contestant.label,
            p50=p50,
            p99=p99,
            p999=run.spread("latency_us", "p999"),
            cpu=cpu,
            late=run.spread("sender_late_us", "p99"),
            **compared,
        )
    return section


def _aim_orders(section: Section, floor: Runs, trading: Runs) -> None:
    p50, p99 = trading.spread("order_us", "p50"), trading.spread("order_us", "p99")
    section.aim(
        "order bytes, p50 above count-only in us, at most 15",
        p50.median - floor.spread("latency_us", "p50").median,
        most=15.0,
    )
    section.aim(
        "order bytes / count-only, p99, at most 1.5",
        ratio(p99, floor.spread("latency_us", "p99")),
        most=1.5,
    )
    orders = int(trading.spread("orders").median)
    section.notes.append(
        f"The whole trader runs engine, gate, append journal and session log, and sends {orders} "
        "orders a run over a socket; a quiet simulator answers for its account."
    )


def _aim(section: Section, runs: Sequence[Runs]) -> None:
    floor, ours = runs[0], runs[1]
    over = ours.spread("latency_us", "p50").median - floor.spread("latency_us", "p50").median
    section.aim("ours, p50 above count-only in us, at most 5", over, most=5.0)
    section.aim(
        "ours / count-only, p99, at most 1.3",
        ratio(ours.spread("latency_us", "p99"), floor.spread("latency_us", "p99")),
        most=1.3,
    )
    section.aim(
        "ours / count-only, CPU, at most 1.2",
        ratio(ours.spread("cpu_share"), floor.spread("cpu_share")),
        most=1.2,
    )
    section.notes.append(
        f"{_RATE:,} frames/s from 50 symbols is a stress figure; the venue's cadence is below."
    )
