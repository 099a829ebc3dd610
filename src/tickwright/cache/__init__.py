"""The mirror in Redis, read from any host: books, trades and signals, each with its age."""

from tickwright.cache.reader import (
    Cache,
    CachedBook,
    CachedSignal,
    CachedTop,
    CachedTrade,
    CachedWriter,
    open_cache,
)

__all__ = [
    "Cache",
    "CachedBook",
    "CachedSignal",
    "CachedTop",
    "CachedTrade",
    "CachedWriter",
    "open_cache",
]
