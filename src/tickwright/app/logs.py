"""Owns the log of a run: JSON lines in its folder, short lines on stderr; refuses to show secrets.

Secrets are known by value: wherever one stands, in a key, a value, an error's text or a traceback,
stars stand in its place. Nothing is written before that. What the standard library's `logging`
carries (the event loop, picows, aiohttp) goes the same way.
"""

import logging
import sys
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from tickwright.core.errors import StorageError

__all__ = ["LOG_BYTES_MAX", "LOG_FILE", "RunLog", "redacted"]

LOG_FILE = "run.log.jsonl"
LOG_BYTES_MAX = 64 * 1024 * 1024
"""A log stops growing there, and its last line says so; a run goes on."""
NEST_MAX = 8
STARS = "***"
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def redacted(value: Any, secrets: tuple[str, ...], depth: int = 0) -> Any:
    """Return the same value with stars wherever a secret stood.

    What isn't text, a number or a collection of them becomes text first: its own words could hold
    one.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= NEST_MAX:
        return "..."
    if isinstance(value, dict):
        return {
            str(redacted(str(key), secrets)): redacted(held, secrets, depth + 1)
            for key, held in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(held, secrets, depth + 1) for held in value]
    text = value if isinstance(value, str) else _text(value)
    for secret in secrets:
        text = text.replace(secret, STARS)
    return text


class RunLog:
    """One run's log; close it at the end.

    Args:
        folder: where the file goes; None writes none.
        secrets: texts that must never show.
        console: where short lines go too, such as stderr without a live screen; None for nowhere.

    Raises:
        StorageError: the file can't be opened.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        secrets: Iterable[str] = (),
        level: str = "info",
        console: TextIO | None = None,
        bytes_max: int = LOG_BYTES_MAX,
    ) -> None:
        # A longer secret may hold a shorter one: the longer goes first.
        self._secrets = tuple(sorted({s for s in secrets if s}, key=len, reverse=True))
        self._console = console
        self._bytes_max = bytes_max
        self._bytes = 0
        self.is_full = False
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        if folder is not None:
            self.path = folder / LOG_FILE
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Unbuffered: what led to a crash must be in the file.
                self._file = self.path.open("ab", buffering=0)
                self._bytes = self._file.tell()
            except OSError as error:
                raise StorageError(f"the log {self.path} can't be opened: {error}") from None
        self._least = _LEVELS[level]
        self.log: FilteringBoundLogger = structlog.wrap_logger(
            _Nowhere(),
            wrapper_class=structlog.make_filtering_bound_logger(self._least),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                self._redact,
                self._write,
            ],
        )
        self._bridge = _Bridge(self.log)

    def note(self, event: str, text: str) -> None:
        """Log a remark of the trading process; (event, text) as `Trader` tells them."""
        self.log.info(event, text=text)

    def take_standard_logging(self) -> None:
        """Take over what the standard library's logging carries, until `close`."""
        root = logging.getLogger()
        root.addHandler(self._bridge)
        # Libraries tell every connection they make: only their troubles are worth a line.
        root.setLevel(logging.DEBUG if self._least <= logging.DEBUG else logging.WARNING)

    def clean(self, text: str) -> str:
        """Return a text with stars in the place of secrets, for a screen."""
        return str(redacted(text, self._secrets))

    def mute(self) -> None:
        """Write into the file alone from now on: what comes is told by somebody else."""
        self._console = None

    def close(self) -> None:
        """Close the file."""
        logging.getLogger().removeHandler(self._bridge)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _redact(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        clean: MutableMapping[str, Any] = redacted(dict(event), self._secrets)
        return clean

    def _write(self, logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        if self._console is not None:
            self._console.write(_line(event))
            self._console.flush()
        if self._file is not None and not self.is_full:
            line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
            if self._bytes + len(line) > self._bytes_max:
                self.is_full = True
                line = orjson.dumps({"event": "log.full", "bytes_max": self._bytes_max}) + b"\n"
            self._bytes += len(line)
            try:
                self._file.write(line)
            except OSError as error:
                # A full disk must not stop trading: cancels go out without a log too.
                self.is_full = True
                sys.stderr.write(f"tickwright: the log can't be written any more: {error}\n")
        raise structlog.DropEvent


class _Nowhere:
    """Stands where structlog wants a logger: `RunLog._write` has done the writing already."""


class _Bridge(logging.Handler):
    """Hands records of the standard library to the run's log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under its logger's name."""
        self._log.log(
            record.levelno,
            "library.log",
            logger=record.name,
            text=record.getMessage(),
            exc_info=record.exc_info or False,
        )


def _line(event: MutableMapping[str, Any]) -> str:
    known = ("timestamp", "level", "event", "text", "exception")
    rest = " ".join(f"{key}={held}" for key, held in event.items() if key not in known)
    parts = (str(event["timestamp"])[11:23], event["event"], event.get("text", ""), rest)
    line = " ".join(str(part) for part in parts if part)
    trace = event.get("exception")
    return f"{line}\n{trace}\n" if trace else f"{line}\n"


def _text(value: object) -> str:
    return str(value)
