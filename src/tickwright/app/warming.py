"""Owns strategies that learn before they may act; refuses their answers until a moment.

A walk-forward window begins in the middle of a market: indicators are warmed on what came before,
without a trade of that time in the figures. The strategy is called as always; what it answers
before the moment is dropped, which it can't tell from a refusal.
"""

from collections.abc import Callable
from typing import Any

from tickwright.strategy.base import Strategy

__all__ = ["warming"]

_CALLBACKS = (
    "on_start on_book on_trade on_market on_book_state on_order on_fill on_work on_account on_timer"
).split()


def warming(kind: type[Strategy], from_ns: int) -> type[Strategy]:
    """Return a class like `kind` whose answers count from `from_ns` on."""
    # A callback that isn't written is never called: only those that are may be replaced.
    members = {
        name: _muted(getattr(kind, name), from_ns)
        for name in _CALLBACKS
        if getattr(kind, name) is not getattr(Strategy, name)
    }
    return type(kind.__name__, (kind,), {**members, "__module__": kind.__module__})


def _muted(callback: Callable[..., Any], from_ns: int) -> Callable[..., Any]:
    def called(self: Strategy, *arguments: Any) -> Any:
        answer = callback(self, *arguments)
        return None if self.context.now_ns < from_ns else answer

    return called
