"""Measures the platform beside its rivals in one run; quotes no figure without its conditions.

The door is `tickwright.bench.runner.run_bench`. Nothing is re-exported here: measured clients are
processes of this package, and what a client imports would stand in its figures.
"""

__all__: list[str] = []
