"""Owns whether a run has a history, and joins the two; refuses to show where it goes.

A table `[history]` makes a run write one; the variable may name the database in its place.
"""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from urllib.parse import parse_qs, unquote, urlsplit

from tickwright.app.config import Config
from tickwright.app.config_model import HistoryConfig
from tickwright.app.history_rows import EngineRows
from tickwright.app.history_spool import HISTORY_FOLDER
from tickwright.app.history_tap import HistoryTap
from tickwright.app.trader import Trader
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError
from tickwright.storage.history.database import DSN_VARIABLE, place_of
from tickwright.storage.history.rows import source_name
from tickwright.storage.history.wire import Hello

__all__ = ["attach_history", "history_dsn", "history_secrets", "open_history"]


def history_dsn(config: Config) -> str | None:
    """Return where a run of this configuration writes its history; None when it doesn't."""
    history = config.file.history
    if not history.live:
        return None
    if "history" not in config.file.model_fields_set:
        return None
    return os.environ.get(DSN_VARIABLE) or history.dsn


def history_secrets(config: Config) -> list[str]:
    """Return what of it must never show."""
    dsn = history_dsn(config)
    if dsn is None:
        return []
    parts = urlsplit(dsn)
    found = parse_qs(parts.query).get("password", [])
    if parts.password:
        found += [parts.password, unquote(parts.password)]
    return found


def open_history(
    config: Config,
    trader: Trader,
    *,
    clean: Callable[[str], str],
    on_note: Callable[[str, str], None],
) -> HistoryTap | None:
    """Return the tap of a started trader, which takes what it makes from now on; None without.

    Raises:
        ConfigError: the DSN is none, or what writes isn't installed.
    """
    dsn = history_dsn(config)
    if dsn is None:
        return None
    return attach_history(trader, dsn, config.file.history, clean=clean, on_note=on_note)


def attach_history(
    trader: Trader,
    dsn: str,
    settings: HistoryConfig,
    *,
    clean: Callable[[str], str] = str,
    on_note: Callable[[str, str], None] | None = None,
) -> HistoryTap:
    """Let a started trader's history go to a database; see `open_history`."""
    place_of(dsn)
    if not all(map(find_spec, ("asyncpg", "numpy"))):
        raise ConfigError("the history needs asyncpg and numpy: pip install 'tickwright[history]'")
    engine = trader.engine
    rows = EngineRows(
        engine, lambda: _books(trader), sample_s=settings.sample_s, levels=settings.levels
    )
    tap = HistoryTap(
        Hello(
            source=source_name(trader.started_ns, trader.epoch),
            dsn=dsn,
            folder=str(trader.settings.state_folder / HISTORY_FOLDER),
            spool_bytes_max=settings.spool_mb_max * 1024**2,
        ),
        rows,
        event_id=lambda: engine.event_id,
        dropped_notices=lambda: engine.state.outbox.dropped_notices,
        take_notices=trader.take_notices,
        clean=clean,
        on_note=on_note,
    )
    trader.door.on_taken = rows.on_input
    return tap


def _books(trader: Trader) -> Iterator[OrderBook]:
    for feed in trader.feeds:
        for book in feed.books:
            if book is not None:
                yield book
