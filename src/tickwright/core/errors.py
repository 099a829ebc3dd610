"""Owns the faults of the world that callers may catch; refuses to carry secrets.

A refusal by our own rules is not here: it is a returned value (`core.verdicts`). A bug is an
assertion.
"""

__all__ = [
    "ConfigError",
    "ConnectionLost",
    "FrameError",
    "InstrumentUnknown",
    "StorageError",
    "TickwrightError",
    "UnitsError",
    "VenueError",
]


class TickwrightError(Exception):
    """Base of every fault we raise on purpose; its text is written for the user."""


class ConfigError(TickwrightError):
    """The configuration can't be used: names the key, the place and the remedy."""


class UnitsError(TickwrightError, ValueError):
    """A number doesn't fit the units of its instrument: too many decimals, or too large."""


class FrameError(TickwrightError, ValueError):
    """A frame of the venue can't be understood; nothing of it was applied."""


class InstrumentUnknown(TickwrightError, KeyError):
    """A symbol the venue doesn't list, or that we didn't load."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "unknown instrument"


class ConnectionLost(TickwrightError, ConnectionError):
    """A socket couldn't be opened or died; retrying is right."""


class VenueError(TickwrightError):
    """The venue answered with a refusal.

    `code` is the venue's own number (branch on it, never on the text); `text` is its message.
    """

    def __init__(self, code: int, text: str, *, what: str) -> None:
        super().__init__(f"{what}: venue code {code}: {text}")
        self.code = code
        self.text = text
        self.what = what


class StorageError(TickwrightError):
    """A file of ours can't be read or written; names the file and the position."""
