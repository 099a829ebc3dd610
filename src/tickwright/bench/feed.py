"""Owns the flood: how many frames a second one core takes from a socket, a Python call per update.

The sender pushes as fast as the client reads, in large pieces: that is the kindest send shape there
is, and no venue sends like that. What carries over to other shapes is the CPU per message, not the
rate.
"""

from tickwright.bench.figures import ratio
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Contestant, Runs, Session
from tickwright.bench.tape import COMPOSED_SHAPE, load_tape

__all__ = ["measure_feed"]


def measure_feed(session: Session) -> Section:
    """Measure the flood section."""
    frames, rounds, seconds = (20_000, 1, 1) if session.quick else (100_000, 5, 2)
    folder = session.tape(COMPOSED_SHAPE, frames=frames)
    path = f"/flood?seconds={seconds}"
    loops = [session.loop] if session.quick else sorted({"asyncio", session.loop})
    contestants = [
        Contestant(client, loop, f"{client}, {loop}", path)
        for client in ("count-only", "ours", "composed")
        for loop in loops
    ]
    missing = session.missing_for_article()
    if not missing:
        contestants.append(
            Contestant(
                "article",
                "asyncio",
                "article with statistics, asyncio",
                path,
                ("--features", "full"),
            )
        )
        contestants.append(
            Contestant("article", "asyncio", "article without statistics, asyncio", path)
        )
    with session.sender(folder) as url:
        runs = session.alternate(contestants, url=url, tape=folder, rounds=rounds)
    section = Section(
        "feed",
        "Flood: socket to one Python call per update, 50 books kept, one core (median, min-max)",
        [
            Column("rate", "frames/s"),
            Column("cpu", "CPU s per million", 2),
            Column("busy", "of a core", 2),
            Column("ratio", "ours / this"),
        ],
    )
    ours = _of(runs, "ours", session.loop)
    for run in runs:
        rate = run.spread("messages_per_s")
        section.add(
            run.contestant.label,
            rate=rate,
            cpu=run.spread("cpu_s_per_million"),
            busy=run.spread("cpu_share"),
            ratio=f"{ratio(ours.spread('messages_per_s'), rate):.1f}x",
        )
    composed = _of(runs, "composed", session.loop)
    best = max(
        (run for run in runs if run.contestant.client == "composed"),
        key=lambda run: run.spread("messages_per_s").median,
    )
    section.aim(
        f"ours / composed on its best loop ({best.contestant.loop}), frames/s, at least 3",
        ratio(ours.spread("messages_per_s"), best.spread("messages_per_s")),
        least=3.0,
    )
    section.aim(
        "composed / ours, CPU per frame, at least 3",
        ratio(composed.spread("cpu_s_per_million"), ours.spread("cpu_s_per_million")),
        least=3.0,
    )
    section.aim(
        "ours, CPU s per million, at most 0.7", ours.spread("cpu_s_per_million").median, most=0.7
    )
    section.notes.append(f"Tape: {load_tape(folder).describe()}.")
    section.notes.append(
        "Send shape: pieces of 1 MiB from a pre-rendered tape; laps begin with snapshots. "
        "50 symbols at depth 50 push at most 2,500 book frames/s on the real venue: "
        "this is a stress figure."
    )
    if missing:
        section.notes.append(f"The article's stack was not measured: {', '.join(missing)} missing.")
    return section


def _of(runs: list[Runs], client: str, loop: str) -> Runs:
    return next(r for r in runs if (r.contestant.client, r.contestant.loop) == (client, loop))
