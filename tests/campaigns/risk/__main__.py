"""Judge intents in bulk: `python -m tests.campaigns.risk [--count N] [--seed N]`.

Random intents with concurrent fills, lost answers, moving prices and days go through the real gate,
portfolio and blotter, and every verdict is compared with a model of the limits of its own. Prints
how often each check refused or reduced; exit code 1 and the seed when one limit was passed.
"""

import argparse
import sys
import time

from tests.campaigns.risk.world import LimitPassed, World

INTENTS_PER_WORLD = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Run until the count is done; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.risk", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="intents (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one, printed")
    options = parser.parse_args(arguments)
    seed = options.seed or time.time_ns() & 0xFFFFFFFF
    _say(f"seed {seed}, {options.count:,} intents")
    begun = time.monotonic()
    done = 0
    worlds: list[World] = []
    while done < options.count:
        world = World(seed + len(worlds))
        worlds.append(world)
        try:
            done += world.run(min(INTENTS_PER_WORLD, options.count - done)).intents
        except LimitPassed as error:
            _say(f"a limit was passed or misjudged: {error}")
            return 1
    _print(worlds, done, time.monotonic() - begun)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _print(worlds: list[World], done: int, seconds: float) -> None:
    figures = [world.figures for world in worlds]

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in figures)

    _say(
        f"{done:,} intents in {seconds:.0f} s: {total('approved'):,} approved, "
        f"{total('closing'):,} closing, {total('fills'):,} fills, {total('unknown'):,} unknown, "
        f"{total('days'):,} days, {total('resets'):,} resets; 0 limits passed"
    )
    names = sorted({name for one in figures for name in (*one.refused, *one.reduced)})
    _say(f"{'check':<22}{'refused':>12}{'reduced':>12}")
    for name in names:
        refused = sum(one.refused[name] for one in figures)
        reduced = sum(one.reduced[name] for one in figures)
        _say(f"{name:<22}{refused:>12,}{reduced:>12,}")


if __name__ == "__main__":
    sys.exit(main())
