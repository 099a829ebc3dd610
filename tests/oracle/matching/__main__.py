"""Drives random order flow through the compiled engine and the plain one for as long as asked.

    python -m tests.oracle.matching --seconds 60 --seed 1

Prints the seed of the first flow whose engines differ and exits with 1.
"""

import argparse
import sys
import time
import traceback
from random import Random

from tests.oracle.matching.flow import SCALES, Twins, random_step

__all__ = ["main"]

_STEPS = 200


def main() -> int:
    """Run flows of 200 steps until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.matching")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    flows = events = 0
    while time.monotonic() < until:
        seed = options.seed + flows
        rng = Random(seed)
        twins = Twins(SCALES[seed % len(SCALES)])
        for number in range(_STEPS):
            step = random_step(rng)
            try:
                twins.apply(step)
            except Exception:  # noqa: BLE001 - whatever it is, the seed must be told
                traceback.print_exc()
                sys.stdout.write(f"seed {seed}, step {number} {step}: the engines differ" + "\n")
                return 1
        flows += 1
        events += twins.events
    sys.stdout.write(
        f"{flows} flows of {_STEPS} steps, {events:,} events equal, from seed {options.seed}" + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
