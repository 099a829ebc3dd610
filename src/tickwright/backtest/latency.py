"""Owns how long things take on their way, as seeded draws; refuses to reorder what one way carries.

Three ways: the feed (venue to us), orders (us to the venue), responses (venue to us: answers and
the private stream). On one way nothing overtakes: a later thing arrives no earlier.
"""

from random import Random
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from tickwright.backtest.tape import Ints

__all__ = ["LatencySpec", "Way", "feed_times"]

_MS = 1_000_000
SAMPLES_MAX = 1_000_000


class LatencySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a way takes.

    `constant` is `ms`. `samples` draws from `samples_ms` (as measured), each as likely. `recorded`
    takes a tape's own receive times and is for the feed alone.
    """

    kind: Literal["constant", "samples", "recorded"] = "constant"
    ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.0
    samples_ms: tuple[Annotated[float, Meta(ge=0, le=60_000)], ...] = ()

    def __post_init__(self) -> None:
        if (self.kind == "samples") is not bool(self.samples_ms):
            raise ValueError("samples_ms goes with kind = 'samples', which needs at least one")
        if len(self.samples_ms) > SAMPLES_MAX:
            raise ValueError(f"samples_ms holds at most {SAMPLES_MAX} samples")


class Way:
    """One direction. `drawn` keeps every latency for the report."""

    def __init__(self, spec: LatencySpec, rng: Random) -> None:
        assert spec.kind != "recorded", "only the feed has recorded times"
        self.drawn: list[int] = []
        self._constant = round(spec.ms * _MS)
        self._samples = [round(ms * _MS) for ms in spec.samples_ms]
        self._rng = rng
        self._last_ns = 0

    def arrival(self, sent_ns: int) -> int:
        """Return when what leaves now arrives."""
        samples = self._samples
        took = samples[self._rng.randrange(len(samples))] if samples else self._constant
        self._last_ns = max(self._last_ns, sent_ns + took)
        self.drawn.append(self._last_ns - sent_ns)
        return self._last_ns


def feed_times(spec: LatencySpec, venue_ns: Ints, received_ns: Ints, *, seed: int) -> Ints:
    """Return when each message of a tape reaches us; never before the venue sent it.

    Without recorded times the messages arrive in the order in which the venue made them.
    """
    if spec.kind == "recorded":
        return received_ns
    if spec.kind == "constant":
        times: Ints = venue_ns + np.int64(round(spec.ms * _MS))
        return times
    rng = np.random.default_rng(seed)
    samples = np.array([round(ms * _MS) for ms in spec.samples_ms], dtype=np.int64)
    order = np.argsort(venue_ns, kind="stable")
    drawn = venue_ns[order] + samples[rng.integers(len(samples), size=len(venue_ns))]
    found = np.empty_like(venue_ns)
    found[order] = np.maximum.accumulate(drawn)
    return found
