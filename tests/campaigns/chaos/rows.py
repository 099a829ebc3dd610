"""What a row of the campaign is and what it found; a row whose fault never struck has failed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

__all__ = ["ROWS", "Result", "Row", "Size", "row", "together"]

TOGETHER_MAX = 4
"""Runs at once: most of them wait for the venue's evidence most of the time."""

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
    notes: list[str] = field(default_factory=list)
    """What is worth keeping beside the figures; it goes into the JSON alone."""

    def check(self, *, is_true: bool, otherwise: str) -> None:
        """Note a violation."""
        if not is_true and len(self.violations) < 100:
            self.violations.append(otherwise)

    @contextmanager
    def named(self, what: str) -> Iterator["Result"]:
        """Collect a part's findings; its violations begin with its name."""
        part = Result()
        yield part
        self.add(part, what)

    def add(self, part: "Result", what: str) -> None:
        """Take over what a part found."""
        self.runs += part.runs
        self.armed += part.armed
        self.hit += part.hit
        self.seconds += part.seconds
        self.violations += [f"{what}: {one}" for one in part.violations]
        self.notes += [f"{what}: {one}" for one in part.notes]

    @property
    def is_good(self) -> bool:
        """Whether nothing was violated and what was to strike did strike."""
        return self.runs > 0 and self.hit > 0 and not self.violations


Play = Callable[[Size, Random], Coroutine[Any, Any, Result]]


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


async def together(
    result: Result,
    plays: Iterable[tuple[str, Callable[[Result], Awaitable[None]]]],
    *,
    at_once: int = TOGETHER_MAX,
) -> None:
    """Play named parts, a few at once; what each of them found goes into the result in order."""
    gate = asyncio.Semaphore(at_once)

    async def one(what: str, play: Callable[[Result], Awaitable[None]]) -> tuple[str, Result]:
        async with gate:
            part = Result()
            await play(part)
            return what, part

    for what, part in await asyncio.gather(*(one(what, play) for what, play in plays)):
        result.add(part, what)
