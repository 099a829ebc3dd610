"""Owns the hint beside a wrong name: the right ones like it; refuses to choose for anyone."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["near_names", "nearest"]


def near_names(
    name: str, known: Iterable[str], *, count: int = 1, likeness: float = 0.6
) -> list[str]:
    """Return up to `count` of the known names that are like `name`, the likest first.

    `likeness` is 0 (anything) to 1 (the same).
    """
    return get_close_matches(name, list(known), n=count, cutoff=likeness)


def nearest(name: str, known: Iterable[str], *, what: str = "known", likeness: float = 0.6) -> str:
    """Return a hint: the nearest right name, or all of them when none is near."""
    names = list(known)
    near = near_names(name, names, likeness=likeness)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{what}: {', '.join(names)}" if names else f"{what}: none"
