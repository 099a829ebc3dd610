"""Runs the simulator with its default market: `python -m tickwright.simulator [symbols] [port]`.

The command line with every option is `tickwright simulate`.
"""

import sys

from tickwright.simulator.run import SimulatorOptions, main

if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:3] if text.isdigit()]
    symbols, port = (*numbers, 50, 0)[:2] if len(numbers) != 1 else (numbers[0], 0)
    sys.exit(main(SimulatorOptions(symbols=symbols, port=port)))
