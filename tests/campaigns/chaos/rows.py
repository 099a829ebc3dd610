"""What a row of the campaign is and what it found; a row whose fault never struck has failed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

__all__ = ["ROWS", "Result", "Row", "Size", "row"]

Size = Literal["ci", "nightly"]


@dataclass(slots=True)
class Result:
    """What a row went through. `seconds` are the times it is judged by, named in `timed`."""

    runs: int = 0
    armed: int = 0
    hit: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    timed: str = ""

    def check(self, *, is_true: bool, otherwise: str) -> None:
        """Note a violation."""
        if not is_true and len(self.violations) < 100:
            self.violations.append(otherwise)

    @property
    def is_good(self) -> bool:
        """Whether nothing was violated and what was to strike did strike."""
        return self.runs > 0 and self.hit > 0 and not self.violations


Play = Callable[[Size, Random], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Row:
    """One incident: its number, its name, and the play that brings it about."""

    name: str
    title: str
    play: Play


ROWS: dict[str, Row] = {}


def row(name: str, title: str) -> Callable[[Play], Play]:
    """Put a play into the campaign."""

    def register(play: Play) -> Play:
        assert name not in ROWS, name
        ROWS[name] = Row(name, title, play)
        return play

    return register
