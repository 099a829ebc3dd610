"""Owns how a verb ends: its exit code and the sentence on stderr; refuses tracebacks for mistakes.

0 is success, 2 is a mistake in what was asked (usage, configuration, a file that can't be opened),
1 is a failure of the world, 130 is Ctrl-C. A bug of ours still shows its traceback.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from tickwright.core.errors import ConfigError, InstrumentUnknown, TickwrightError

__all__ = ["FAILURE", "INTERRUPTED", "USAGE", "check_sockets", "tell", "verb"]

FAILURE = 1
USAGE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

_EXTRAS = {
    "backtest": "backtest",
    "db": "history",
    "diff": "backtest",
    "import": "backtest",
    "lake": "lake",
    "report": "backtest",
    "sweep": "research",
    "walkforward": "research",
}
"""Which extra holds what a verb needs beyond the trading core; other verbs say it themselves."""
_PACKAGES = frozenset(
    {"asyncpg", "duckdb", "numpy", "obstore", "optuna", "plotly", "polars", "pyarrow", "ray"}
)
"""What those extras bring; the lack of any other is somebody else's fault."""

P = ParamSpec("P")


def tell(name: str, text: str) -> None:
    """Say something on stderr under the name of a verb."""
    typer.echo(f"tickwright {name}: {text}", err=True)


def verb(name: str) -> Callable[[Callable[P, int]], Callable[P, None]]:
    """Make a typer command of a function that returns an exit code and may raise our faults."""

    def wrap(function: Callable[P, int]) -> Callable[P, None]:
        @functools.wraps(function)
        def command(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                code = function(*args, **kwargs)
                sys.stdout.flush()
            except (ConfigError, InstrumentUnknown) as error:
                tell(name, str(error))
                code = USAGE
            except TickwrightError as error:
                tell(name, str(error))
                code = FAILURE
            except ModuleNotFoundError as error:
                extra = _EXTRAS.get(name.split()[0])
                if extra is None or error.name not in _PACKAGES:
                    raise
                remedy = f"`pip install 'tickwright[{extra}]'`"
                tell(name, f"{error.name} is not installed: it comes with {remedy}")
                code = USAGE
            except KeyboardInterrupt:
                code = INTERRUPTED
            except BrokenPipeError:
                # The reader left, as `head` does: nothing to say, and nobody to say it to.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                code = PIPE_CLOSED
            except OSError as error:
                place = f"{error.filename}: " if error.filename else ""
                tell(name, f"{place}{error.strerror or error}")
                code = FAILURE
            if code:
                raise typer.Exit(code)

        return command

    return wrap


def check_sockets() -> None:
    """Refuse to open sockets with a picows that ours was not compiled against.

    Raises:
        ConfigError: names both versions and the remedy.
    """
    from tickwright.net.listener import picows_mismatch

    mismatch = picows_mismatch()
    if mismatch is not None:
        raise ConfigError(mismatch)
