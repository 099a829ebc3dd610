"""Owns what a check of the doctor says: a verdict, what was seen, what to do; refuses silence.

Four verdicts: ok, warn (it trades, and somebody should look), fail (it won't trade, or shouldn't),
skip (it could not be looked at, and why).
"""

import msgspec

from tickwright.core.errors import TickwrightError, VenueError
from tickwright.venues.bybit.errors import remedy_of

__all__ = ["DoctorLine", "Findings"]


class DoctorLine(msgspec.Struct, frozen=True, kw_only=True):
    """One check. `area` groups them; `remedy` is empty where there is nothing to do."""

    area: str
    name: str
    verdict: str
    text: str
    remedy: str = ""


class Findings:
    """Collects lines of one area."""

    def __init__(self, area: str, lines: list[DoctorLine]) -> None:
        self.area = area
        self.lines = lines

    def ok(self, name: str, text: str) -> None:
        """Tell what is as it should be."""
        self._add(name, "ok", text, "")

    def warn(self, name: str, text: str, remedy: str) -> None:
        """Tell what somebody should look at."""
        self._add(name, "warn", text, remedy)

    def fail(self, name: str, text: str, remedy: str) -> None:
        """Tell what keeps it from trading, or should."""
        self._add(name, "fail", text, remedy)

    def skip(self, name: str, text: str) -> None:
        """Tell what was not looked at."""
        self._add(name, "skip", text, "")

    def fault(self, name: str, error: TickwrightError, remedy: str = "") -> None:
        """Tell what an error says; a venue's code knows its own remedy."""
        known = remedy_of(error.code) if isinstance(error, VenueError) else ""
        self.fail(
            name, str(error), known or remedy or "look at the address, the line and its proxy"
        )

    def _add(self, name: str, verdict: str, text: str, remedy: str) -> None:
        self.lines.append(
            DoctorLine(area=self.area, name=name, verdict=verdict, text=text, remedy=remedy)
        )
