"""Owns the in-process comparison: bytes to book to features to one Python call, on one tape.

Figures are processor nanoseconds per frame (`process_time`), so that other work on the machine
cannot lengthen them by taking the core away. Stacks take turns of 2,000 frames, so that a slow
moment hits all alike; the first 200 of a turn refill the caches and are not counted. Every round
starts with fresh books.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tickwright.bench.figures import Spread, ratio
from tickwright.bench.machine import pin
from tickwright.bench.report import Column, Section
from tickwright.bench.rivals import Caller, Features, Stack
from tickwright.bench.runs import RunFailed, Session
from tickwright.bench.tape import COMPOSED_SHAPE, CORE_SHAPE, Tape, TapeShape, load_tape

__all__ = ["main", "measure_core"]

_TURN_FRAMES: Final = 2_000
_WARM_FRAMES: Final = 200

_VARIANTS: Final[tuple[tuple[TapeShape, Features], ...]] = (
    (COMPOSED_SHAPE, "touch"),
    (COMPOSED_SHAPE, "full"),
    (CORE_SHAPE, "touch"),
    (CORE_SHAPE, "full"),
)


def _makers(tape: Tape, features: Features, *, has_article: bool) -> dict[str, Callable[[], Stack]]:
    from tickwright.bench.ours import OursStack
    from tickwright.bench.rivals.composed import ComposedStack

    symbols = [instrument.symbol for instrument in tape.instruments]
    makers: dict[str, Callable[[], Stack]] = {
        "ours": lambda: OursStack(tape, features),
        "composed": lambda: ComposedStack(symbols, Caller().on_book, features),
    }
    if has_article:
        from tickwright.bench.rivals.article import ArticleStack

        makers["article"] = lambda: ArticleStack(symbols, Caller().on_book, features)
    return makers


def _round(
    makers: dict[str, Callable[[], Stack]], frames: Sequence[bytes]
) -> dict[str, tuple[float, dict[str, Any]]]:
    """Feed every frame to fresh stacks, taking turns; return ns a frame and books of each."""
    stacks = {name: make() for name, make in makers.items()}
    spent = dict.fromkeys(makers, 0)
    timed = 0
    gc.collect()
    for start in range(0, len(frames), _TURN_FRAMES):
        turn = frames[start : start + _TURN_FRAMES]
        timed += len(turn) - len(turn[:_WARM_FRAMES])
        for name, stack in stacks.items():
            feed = stack.feed
            for frame in turn[:_WARM_FRAMES]:
                feed(frame)
            judged = turn[_WARM_FRAMES:]
            started = time.process_time_ns()
            for frame in judged:
                feed(frame)
            spent[name] += time.process_time_ns() - started
    return {name: (spent[name] / timed, stack.tops()) for name, stack in stacks.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all stacks on one tape and print one JSON report."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.core")
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--features", choices=("touch", "full"), required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--article", action="store_true")
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    tape = load_tape(options.tape)
    makers = _makers(tape, options.features, has_article=options.article)
    figures: dict[str, list[float]] = {name: [] for name in makers}
    tops: dict[str, dict[str, Any]] = {}
    for _ in range(options.rounds):
        for name, (ns_per_frame, tops[name]) in _round(makers, tape.frames).items():
            figures[name].append(ns_per_frame)
    agree = all(top == tops["ours"] for top in tops.values())
    sys.stdout.write(
        json.dumps({"figures": figures, "agree": agree, "tape": tape.describe()}) + "\n"
    )
    return 0


def measure_core(session: Session) -> Section:
    """Measure the in-process section."""
    section = Section(
        "core",
        "In process: bytes to book, features, one Python call (CPU ns a frame, median, min-max)",
        [
            Column(f"{shape.name}_{features}", f"{shape.name} tape, {features}")
            for shape, features in _VARIANTS
        ],
    )
    frames, rounds = (20_000, 3) if session.quick else (50_000, 9)
    missing = session.missing_for_article()
    spreads: dict[str, dict[str, Spread]] = {}
    for shape, features in _VARIANTS:
        folder = session.tape(shape, frames=frames)
        session.say(f"{shape.name} tape, {features} features: {rounds} alternating rounds")
        arguments = ["--tape", str(folder), "--features", features, "--rounds", str(rounds)]
        report = session.call(
            "tickwright.bench.core", arguments if missing else [*arguments, "--article"]
        )
        if not report["agree"]:
            raise RunFailed(f"the stacks' books differ at the end of the {shape.name} tape")
        for name, values in report["figures"].items():
            spreads.setdefault(name, {})[f"{shape.name}_{features}"] = Spread.of(values)
        if features == "touch":
            section.notes.append(f"{shape.name} tape: {report['tape']}.")
    for name, row in spreads.items():
        section.add(name, **row)
    for name in ("composed", "article"):
        if name in spreads:
            ratios = {key: ratio(row, spreads["ours"][key]) for key, row in spreads[name].items()}
            section.add(f"{name} / ours", **{key: f"{value:.1f}x" for key, value in ratios.items()})
    key = f"{CORE_SHAPE.name}_full"
    ours = spreads["ours"][key]
    section.aim(
        "composed / ours, core tape, full features, at least 5",
        ratio(spreads["composed"][key], ours),
        least=5.0,
    )
    if "article" in spreads:
        section.aim(
            "article / ours, core tape, full features, at least 20",
            ratio(spreads["article"][key], ours),
            least=20.0,
        )
    else:
        section.notes.append(f"The article's stack was not measured: {', '.join(missing)} missing.")
    section.notes.append(
        "touch: best bid and ask, mid, spread; full: also the imbalance of ten levels and the "
        "z-score of 100 mids. Only ours checks update ids and keeps latency histograms."
    )
    section.notes.append("All stacks ended with the same touch of every book.")
    return section


if __name__ == "__main__":
    sys.exit(main())
