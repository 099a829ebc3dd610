"""Owns what a run says while it goes on without a terminal: a short line every few seconds.

Refuses colour and redrawing: the lines go to a file, a pipe or a CI's log. It also holds what every
screen is given to show.
"""

import time
from typing import Protocol, TextIO

import msgspec

from tickwright.app.trader_snapshot import TraderSnapshot
from tickwright.engine.summary import EngineSummary

__all__ = ["Frame", "ProgressLines", "Screen", "mode_banner"]

LINE_EVERY_S = 2.0
_BANNERS = {
    "simulator": "SIMULATOR: no real market, no real money",
    "demo": "DEMO ACCOUNT: the real market, the venue's paper money",
    "testnet": "TESTNET: test money",
    "mainnet": "MAINNET: REAL MONEY",
}


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a run for a screen. `labels` by symbol; `seconds_left` None: until Ctrl-C."""

    shot: TraderSnapshot
    seconds_left: float | None
    labels: dict[str, str] = {}
    remarks: tuple[str, ...] = ()
    """What the run itself has to say, such as a fault it asked for; newest last."""
    stop_losses: int = 0
    take_profits: int = 0
    is_ending: bool = False


class Screen(Protocol):
    """Where a run shows itself."""

    def show(self, frame: Frame) -> None:
        """Show one moment; never waits for the terminal."""
        ...

    def say(self, text: str) -> None:
        """Show one sentence that stays."""
        ...

    def close(self) -> None:
        """Leave the terminal in order."""
        ...


class ProgressLines:
    """Writes lines for readers that aren't a terminal."""

    def __init__(self, file: TextIO, *, every_s: float = LINE_EVERY_S) -> None:
        self._file = file
        self._every_s = every_s
        self._next_s = 0.0
        self._messages = 0
        self._seconds = 0.0

    def show(self, frame: Frame) -> None:
        """Write a line when the last one is old enough."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        shot = frame.shot
        engine = shot.engine
        since_s = max(shot.seconds - self._seconds, 1e-3)
        rate = (shot.messages - self._messages) / since_s
        self._messages, self._seconds = shot.messages, shot.seconds
        refusals = sum(sum(one.refusals.values()) for one in engine.strategies)
        signals = sum(one.signals for one in engine.strategies)
        left = ""
        if frame.seconds_left is not None and not frame.is_ending:
            left = f" of {shot.seconds + frame.seconds_left:.0f}"
        self._file.write(
            f"{shot.seconds:6.1f}{left} s  {rate:6.0f} messages/s  "
            f"{shot.books_synced}/{len(shot.books)} books synced  {signals} signals  "
            f"{refusals} refused  {engine.orders_placed} orders  {engine.fills} fills"
            f"{_restricted(engine)}\n"
        )
        self._file.flush()

    def say(self, text: str) -> None:
        """Write a sentence."""
        self._file.write(f"{text}\n")
        self._file.flush()

    def close(self) -> None:
        """Nothing to put in order."""


def _restricted(engine: EngineSummary) -> str:
    count = len(engine.protections)
    return f"  {count} protections in force" if count else ""


_MARKETS = {
    "simulator": "a simulated market",
    "demo": "the real market",
    "testnet": "the testnet's market",
    "mainnet": "the real market",
}


def mode_banner(mode: str, market: str = "") -> str:
    """Return in words where a run trades, the most serious of its venues first.

    `market` is where a paper run's data comes from.
    """
    if mode == "paper":
        where = _MARKETS.get(market, market or "live data")
        return f"PAPER: {where}, orders matched in this process, no money"
    modes = mode.split("+")
    known = [words for name, words in reversed(_BANNERS.items()) if name in modes]
    return " + ".join(known) or mode.upper()
