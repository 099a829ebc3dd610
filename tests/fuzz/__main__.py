"""Mutate frames in bulk: `python -m tests.fuzz [--seconds N] [--count N] [--seed N]`.

Prints what became of the mutants; exit code 1 and the frame when one breaks the property.
"""

import argparse
import sys
import time
from collections import Counter
from random import Random

from tests.fuzz.corpus import corpus
from tests.fuzz.judge import Judge, Outcome, Violation
from tests.fuzz.large import large_frames
from tests.fuzz.mutate import mutate

BATCH = 1_000
LARGE_EVERY = 20_000
"""So many mutants between two rounds of frames at the limits of length, which are slow to read."""
SHOWN = 3


def main(arguments: list[str] | None = None) -> int:
    """Run until the time or the count is spent; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--count", type=int, default=0, help="how many mutants; 0: by time alone")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, printed")
    options = parser.parse_args(arguments)
    seed = options.seed or time.time_ns() & 0xFFFFFFFF
    chance = Random(seed)
    seeds, judge = corpus(chance), Judge()
    counts: Counter[Outcome] = Counter()
    violations = 0
    begun = time.monotonic()
    done = 0
    while time.monotonic() - begun < options.seconds and not 0 < options.count <= done:
        batch = [
            (origin.category, mutate(origin.frame, chance))
            for origin in (chance.choice(seeds) for _ in range(BATCH))
        ]
        if done % LARGE_EVERY == 0:
            batch += large_frames(chance)
        for category, frame in batch:
            try:
                counts[judge.judge(category, frame)] += 1
            except Violation as violation:
                violations += 1
                if violations <= SHOWN:
                    _say(f"seed {seed}, {category.value}: {str(violation)[:2_000]}")
        done += len(batch)
    spent = time.monotonic() - begun
    _say(f"{done} mutants in {spent:.1f} s ({60 * done / spent:,.0f} a minute), seed {seed}")
    for outcome in Outcome:
        _say(f"  {counts[outcome]:>10,}  {outcome.value}")
    _say(f"  {violations:>10,}  violations")
    return 1 if violations else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
