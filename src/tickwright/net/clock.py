"""Owns reading the clock.

Refuses to step: UTC is anchored once, later wall-clock steps are reported.
"""

import time

from tickwright.net.listener import utc_now_ns

__all__ = ["wall_step_ns", "utc_now_ns"]


def wall_step_ns() -> int:
    """Return how far the wall clock moved away from ours since start, in nanoseconds."""
    return time.time_ns() - utc_now_ns()
