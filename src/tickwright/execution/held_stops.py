"""Owns what the venue holds for one position's exits: proven, under way, refused.

Refuses to take a request for a fact: what isn't proven to be held at the venue is ours to watch,
from the first moment on. Proof is an accepted request, the order that carried the levels, or the
venue's own report of the position.
"""

import msgspec

from tickwright.execution.exit_levels import ExitLevels
from tickwright.execution.planner import Bracket

__all__ = ["HeldStops", "StopsWish"]


class StopsWish(msgspec.Struct, frozen=True, gc=False):
    """What the venue should hold; None leaves as it is. Prices and distances in price units."""

    stop_units: int | None = None
    take_units: int | None = None
    distance_units: int | None = None
    activation_units: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be asked for."""
        return self.stop_units is None and self.take_units is None and self.distance_units is None


class HeldStops(msgspec.Struct):
    """What is proven to be held (0: none) and the one request that may be under way."""

    stop_units: int = 0
    take_units: int = 0
    distance_units: int = 0
    proven_ns: int = 0
    """The venue's time of the latest proof; an older report proves nothing."""
    asked: StopsWish | None = None
    number: int = 0
    asked_ns: int = 0
    attempts: int = 0
    retry_ns: int = 0
    """When the request is repeated."""
    refusals: int = 0
    quiet_until_ns: int = 0
    """Until when a refusal keeps us from asking again."""
    was_asked: bool = False
    is_doubted: bool = False
    """Whether somebody was told that an answer is missing."""

    @property
    def may_fire(self) -> bool:
        """Whether the venue may hold any stop, proven or not."""
        return bool(self.stop_units or self.take_units or self.distance_units or self.was_asked)

    def holds_stop(self, levels: ExitLevels) -> bool:
        """Whether the venue holds the stop that does not trail, at least as tight."""
        wanted = levels.static_units
        return wanted is None or bool(
            self.stop_units and not levels.is_tighter(wanted, self.stop_units)
        )

    def left_to_us(self, levels: ExitLevels) -> Bracket:
        """Return the levels that must be watched here."""
        stop = None if self.holds_stop(levels) else levels.static_units
        trail = levels.trail_units
        if trail is not None and not self.distance_units:
            # Held as a plain stop it protects just as well, until it moves on.
            is_held = self.stop_units and not levels.is_tighter(trail, self.stop_units)
            if not is_held and (stop is None or levels.is_tighter(trail, stop)):
                stop = trail
        take = None if self.take_units else levels.take_units
        return Bracket(stop, take)

    def wish(self, levels: ExitLevels) -> StopsWish:
        """Return what the venue should be asked to hold beyond what it holds."""
        distance = None if self.distance_units else levels.distance_units
        # The venue's trailing stop begins at its price now: the way ours has come already is
        # handed over as a plain stop, so that nothing loosens.
        wanted = levels.static_units if distance is None else levels.stop_units
        if wanted is not None and self.stop_units:
            wanted = wanted if levels.is_tighter(wanted, self.stop_units) else None
        return StopsWish(
            stop_units=wanted,
            take_units=None if self.take_units else levels.take_units,
            distance_units=distance,
            activation_units=(
                None if distance is None or levels.is_trailing else levels.activation_units
            ),
        )

    def prove(self, wish: StopsWish, venue_ns: int) -> None:
        """Take what was asked for as held."""
        self.stop_units = wish.stop_units or self.stop_units
        self.take_units = wish.take_units or self.take_units
        self.distance_units = wish.distance_units or self.distance_units
        self.proven_ns = max(self.proven_ns, venue_ns)
        self.refusals = 0
        self.settle()

    def settle(self) -> None:
        """End the request under way."""
        self.asked = None
        self.attempts = 0
        self.is_doubted = False
