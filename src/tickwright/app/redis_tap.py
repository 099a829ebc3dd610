"""Owns joining a run to its mirror in Redis; refuses to be on the way of anything.

Trades come from the feeds after the engine took them, books are looked at where they are.
"""

import os
from collections.abc import Callable, Iterator
from random import Random

from tickwright.app.config import Config
from tickwright.app.trader import Trader
from tickwright.book.order_book import OrderBook
from tickwright.core.events import Trade
from tickwright.feed.feed import PublicFeed
from tickwright.storage.redis_address import RedisAddress, parse_redis_url
from tickwright.storage.redis_mirror import MirrorOptions, RedisMirror

__all__ = ["PASSWORD_VARIABLE", "attach_mirror", "open_mirror", "redis_address", "redis_secrets"]

PASSWORD_VARIABLE = "TICKWRIGHT_REDIS_PASSWORD"  # noqa: S105 - where it is looked for


def redis_address(config: Config) -> RedisAddress | None:
    """Return where a configuration mirrors to; None when it doesn't."""
    redis = config.file.redis
    if redis.url is None:
        return None
    return parse_redis_url(
        redis.url,
        password=os.environ.get(PASSWORD_VARIABLE),
        ca_file=None if redis.ca_file is None else config.path.parent / redis.ca_file,
    )


def redis_secrets(config: Config) -> list[str]:
    """Return what of it must never show."""
    address = redis_address(config)
    return [] if address is None or not address.password else [address.password]


def open_mirror(
    config: Config,
    trader: Trader,
    *,
    clean: Callable[[str], str],
    on_note: Callable[[str, str], None],
) -> RedisMirror | None:
    """Return the mirror of a started trader, which takes its trades from now on; None without.

    Raises:
        ConfigError: `ca_file` can't be read.
    """
    address = redis_address(config)
    if address is None:
        return None
    address.ssl_context()
    redis = config.file.redis
    return attach_mirror(
        trader,
        address,
        MirrorOptions(
            interval_ms=redis.interval_ms,
            levels=redis.levels,
            streams_max=redis.streams_max,
            expire_ms=round(redis.expire_s * 1e3),
            prefix=redis.prefix,
        ),
        # Chance of its own: how often Redis is dialled must not move any other draw.
        random=Random(config.file.run.seed),
        clean=clean,
        on_note=on_note,
    )


def attach_mirror(
    trader: Trader,
    address: RedisAddress,
    options: MirrorOptions,
    *,
    random: Random,
    clean: Callable[[str], str] = str,
    on_note: Callable[[str, str], None] | None = None,
) -> RedisMirror:
    """Return a mirror of a started trader's books, which takes its trades from now on."""
    mirror = RedisMirror(
        address,
        options,
        books=lambda: _books(trader),
        random=random,
        clean=clean,
        on_note=on_note,
    )
    for feed in trader.feeds:
        feed.trade_taps.append(_tap(mirror, feed))
    return mirror


def _tap(mirror: RedisMirror, feed: PublicFeed) -> Callable[[list[Trade]], None]:
    find = feed.instrument_for
    return lambda trades: mirror.on_trades(trades, find)


def _books(trader: Trader) -> Iterator[OrderBook]:
    for feed in trader.feeds:
        for book in feed.books:
            if book is not None:
                yield book
