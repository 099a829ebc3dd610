"""Measure how well a sweep uses the processors: the same trials by one process and by several.

python tools/measure_sweep.py [--trials N] [--jobs N] [--messages N] [--rounds N]

Alternates the two, on a synthetic tape, and prints the median of their ratios with its spread. What
else runs on the machine takes away from the larger one: measure where nothing does. Busy is how
many trials were under way on average, start and end of the workers included.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from tickwright.app.trials import trials_recipe
from tickwright.backtest.synthetic import SyntheticTape, write_synthetic
from tickwright.research import sweep

CONFIG = """
[venues.box]
kind = "bybit"
env = "simulator"
[accounts.paper]
venue = "box"
[[strategies]]
id = "mean"
strategy = "mean_reversion"
account = "paper"
symbols = ["BTCUSDT"]
[strategies.parameters]
sampling = "by_update"
[risk]
position_percent_max = 50
[backtest]
tape = "tape"
"""


def main() -> int:
    """Print the ratio of the times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_synthetic(home / "tape", SyntheticTape(messages=asked.messages))
        header = home / "tape" / "tape.json"
        header.write_text(header.read_text().replace('"venue":"sim"', '"venue":"bybit"'))
        (home / "mean.toml").write_text(CONFIG)
        recipe = trials_recipe(home / "mean.toml")
        ratios = []
        for _ in range(asked.rounds):
            times = []
            for jobs in (1, asked.jobs):
                began = perf_counter()
                found = sweep(
                    recipe,
                    {"mean.lookback": "50:2000", "mean.entry_z": "1.0:4.0"},
                    sampler="random",
                    trials=asked.trials,
                    jobs=jobs,
                    objective="net",
                )
                times.append(perf_counter() - began)
                assert not found.failed, found.failed[0].error
                busy = sum(one.wall_s for one in found.trials) / times[-1]
            ratios.append(times[0] / times[1])
            print(
                f"1 process {times[0]:.1f} s, {asked.jobs} processes {times[1]:.1f} s, "
                f"busy {busy:.2f}"
            )
    print(f"{asked.trials} trials: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
