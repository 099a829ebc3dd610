"""Owns reading what a trader mirrors into Redis; refuses to invent: what isn't there is None.

Ages need no two clocks that agree: a key says how long it was to live, and the server how much of
that is left. It never writes. Needs the extra `redis`.
"""

from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import redis
import redis.cluster

from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.events import BookState
from tickwright.core.identity import InstrumentId
from tickwright.core.units import decimal_from_units
from tickwright.storage.redis_address import RedisAddress, parse_redis_url
from tickwright.storage.redis_layout import (
    BookKeys,
    PackedBook,
    signals_key,
    unpack_book,
    writer_key,
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

ENTRIES_MAX = 100_000
"""Entries of a stream that one call returns at most."""
SCAN_COUNT = 1_000


class CachedTop(msgspec.Struct, frozen=True, kw_only=True):
    """The best levels of a book; None where a side is empty. Sizes in the venue's unit.

    `age_s` counts from the book's last proof to this reading; None when nothing proved it. Trade
    on nothing that isn't `is_synced` and young.
    """

    instrument_id: InstrumentId
    state: BookState
    age_s: float | None
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None

    @property
    def is_synced(self) -> bool:
        """Whether the trader held the book proven when it wrote it."""
        return self.state is BookState.SYNCED


class CachedBook(msgspec.Struct, frozen=True, kw_only=True):
    """A book's best levels as (price, size), best first; `age_s` as in `CachedTop`."""

    instrument_id: InstrumentId
    state: BookState
    age_s: float | None
    update_id: int
    venue_ns: int
    received_ns: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    @property
    def is_synced(self) -> bool:
        """Whether the trader held the book proven when it wrote it."""
        return self.state is BookState.SYNCED


class CachedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One public trade; `entry_id` is its place in the stream, `side` the aggressor's."""

    entry_id: str
    side: str
    price: Decimal
    size: Decimal
    trade_id: str
    venue_ns: int
    received_ns: int
    age_s: float | None
    """Since it was received; None when nobody writes any more."""


class CachedSignal(msgspec.Struct, frozen=True, kw_only=True):
    """One signal and what the risk gate said of it; `refusal` is empty for an approved one."""

    entry_id: str
    strategy_id: str
    instrument_id: InstrumentId
    kind: str
    confidence: float
    reason: str
    is_approved: bool
    refusal: str
    client_id: str
    event_id: int
    now_ns: int
    age_s: float | None


class CachedWriter(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes; `now_ns` is its clock at this reading, `age_s` the time since its last write."""

    version: str
    started_ns: int
    now_ns: int
    age_s: float
    interval_ms: int
    levels: int


class Cache:
    """Reads one mirror; make it with `open_cache`.

    Instruments are named in whole (`venue:category:SYMBOL`), or by their symbol where one alone has
    it. All methods raise StorageError when Redis can't be read, ConfigError for an impossible name.
    """

    def __init__(self, client: Any, address: RedisAddress, prefix: str) -> None:
        self._client = client
        self._address = address
        self._prefix = prefix
        self._names: dict[str, InstrumentId] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Cache({self._address})"

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def instruments(self) -> tuple[InstrumentId, ...]:
        """Return what has a live book, in order."""
        head, tail = f"{self._prefix}:{{", "}:packed"
        pattern = f"{_plain(self._prefix)}:{{*}}:packed"
        keys = self._try(lambda: list(self._client.scan_iter(match=pattern, count=SCAN_COUNT)))
        names = {key.decode().removeprefix(head).removesuffix(tail) for key in keys}
        return tuple(sorted(InstrumentId.parse(name) for name in names))

    def book(self, instrument: InstrumentId | str, *, levels: int = 0) -> CachedBook | None:
        """Return a book with its best `levels` (0: all that are mirrored); None without one."""
        found = self._packed(instrument)
        if found is None:
            return None
        instrument_id, packed, age_s = found
        count = levels or None
        return CachedBook(
            instrument_id=instrument_id,
            state=packed.state,
            age_s=age_s,
            update_id=packed.update_id,
            venue_ns=packed.venue_ns,
            received_ns=packed.received_ns,
            bids=_decimals(packed, packed.bids[:count]),
            asks=_decimals(packed, packed.asks[:count]),
        )

    def top(self, instrument: InstrumentId | str) -> CachedTop | None:
        """Return the best bid and ask; None without a book."""
        found = self.book(instrument, levels=1)
        if found is None:
            return None
        bid, bid_size = found.bids[0] if found.bids else (None, None)
        ask, ask_size = found.asks[0] if found.asks else (None, None)
        return CachedTop(
            instrument_id=found.instrument_id,
            state=found.state,
            age_s=found.age_s,
            bid=bid,
            bid_size=bid_size,
            ask=ask,
            ask_size=ask_size,
        )

    def trades(
        self, instrument: InstrumentId | str, *, count: int = 100, after: str | None = None
    ) -> tuple[CachedTrade, ...]:
        """Return trades, oldest first: the newest `count`, or the first `count` after an entry."""
        instrument_id = self._instrument_id(instrument)
        if instrument_id is None:
            return ()
        key = BookKeys.of(self._prefix, instrument_id).trades
        rows, now_ns = self._entries(key, count, after)
        return tuple(
            CachedTrade(
                entry_id=entry_id,
                side=row["side"],
                price=Decimal(row["price"]),
                size=Decimal(row["size"]),
                trade_id=row["trade_id"],
                venue_ns=int(row["venue_ns"]),
                received_ns=int(row["received_ns"]),
                age_s=_since(int(row["received_ns"]), now_ns),
            )
            for entry_id, row in rows
        )

    def signals(self, *, count: int = 100, after: str | None = None) -> tuple[CachedSignal, ...]:
        """Return signals, oldest first, as `trades` does."""
        rows, now_ns = self._entries(signals_key(self._prefix), count, after)
        return tuple(
            CachedSignal(
                entry_id=entry_id,
                strategy_id=row["strategy_id"],
                instrument_id=InstrumentId.parse(row["instrument"]),
                kind=row["kind"],
                confidence=float(row["confidence"]),
                reason=row["reason"],
                is_approved=row["verdict"] == "approved",
                refusal=row["refusal"],
                client_id=row["client_id"],
                event_id=int(row["event_id"]),
                now_ns=int(row["now_ns"]),
                age_s=_since(int(row["now_ns"]), now_ns),
            )
            for entry_id, row in rows
        )

    def writer(self) -> CachedWriter | None:
        """Return who writes; None when nobody has for as long as keys live."""
        key = writer_key(self._prefix)
        left_ms, raw = self._left_and(key, "hgetall")
        if left_ms is None or not raw:
            return None
        held = {name.decode(): value.decode() for name, value in raw.items()}
        try:
            expire_ms, written_ns = int(held["expire_ms"]), int(held["written_ns"])
            past_ns = max(0, expire_ms - left_ms) * 1_000_000
            return CachedWriter(
                version=held["version"],
                started_ns=int(held["started_ns"]),
                now_ns=written_ns + past_ns,
                age_s=past_ns / 1e9,
                interval_ms=int(held["interval_ms"]),
                levels=int(held["levels"]),
            )
        except (KeyError, ValueError):
            raise StorageError(f"{key} isn't what a mirror writes") from None

    # within -------------------------------------------------------------------------------------

    def _packed(
        self, instrument: InstrumentId | str
    ) -> tuple[InstrumentId, PackedBook, float | None] | None:
        instrument_id = self._instrument_id(instrument)
        if instrument_id is None:
            return None
        left_ms, raw = self._left_and(BookKeys.of(self._prefix, instrument_id).packed, "get")
        # A key without an end was tampered with: its age can't be known.
        if raw is None or left_ms is None:
            return None
        packed = unpack_book(raw)
        if packed.age_ns is None:
            return instrument_id, packed, None
        past_ms = max(0, packed.expire_ms - left_ms)
        return instrument_id, packed, packed.age_ns / 1e9 + past_ms / 1e3

    def _left_and(self, key: str, verb: str) -> tuple[int | None, Any]:
        """Return how many ms a key has left, None without an end, and what it holds.

        The time first: a write in between then makes the age too old, never too young.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.pttl(key)
        getattr(pipeline, verb)(key)
        left_ms, held = self._try(pipeline.execute)
        return (left_ms if left_ms >= 0 else None), held

    def _entries(
        self, key: str, count: int, after: str | None
    ) -> tuple[list[tuple[str, dict[str, str]]], int | None]:
        if not 1 <= count <= ENTRIES_MAX:
            raise ConfigError(f"count must be 1 to {ENTRIES_MAX}")
        writer = self.writer()
        if after is None:
            found = self._try(lambda: self._client.xrevrange(key, count=count))
            found.reverse()
        else:
            found = self._try(lambda: self._client.xrange(key, min=f"({after}", count=count))
        rows = [
            (entry_id.decode(), {k.decode(): v.decode() for k, v in row.items()})
            for entry_id, row in found
        ]
        return rows, None if writer is None else writer.now_ns

    def _instrument_id(self, instrument: InstrumentId | str) -> InstrumentId | None:
        if isinstance(instrument, InstrumentId):
            return instrument
        if ":" in instrument:
            return InstrumentId.parse(instrument)
        known = self._names.get(instrument)
        if known is not None:
            return known
        found = [one for one in self.instruments() if one.symbol == instrument]
        if len(found) > 1:
            names = ", ".join(map(str, found))
            raise ConfigError(f"{instrument} is one of several: {names}")
        if not found:
            return None
        self._names[instrument] = found[0]
        return found[0]

    def _try(self, ask: Any) -> Any:
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            raise StorageError(f"{self._address} can't be read: {error}") from None


def open_cache(
    url: str,
    *,
    password: str | None = None,
    prefix: str = "tickwright",
    ca_file: Path | None = None,
    timeout_s: float = 1.0,
) -> Cache:
    """Return a reader of the mirror at `url`, written as in the configuration.

    Raises:
        ConfigError: the URL is none.
        StorageError: a cluster can't be reached (another Redis is dialled at the first question).
    """
    try:
        address = parse_redis_url(url, password=password, ca_file=ca_file)
    except ConfigError as error:
        raise ConfigError(f"redis url {error}") from None
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "username": address.username or None,
        "password": address.password or None,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "ssl": address.is_tls,
    }
    if address.is_tls and ca_file is not None:
        options["ssl_ca_certs"] = str(ca_file)
    if not address.is_cluster:
        return Cache(redis.Redis(db=address.db, **options), address, prefix)
    try:
        return Cache(redis.cluster.RedisCluster(**options), address, prefix)
    except (redis.RedisError, OSError) as error:
        raise StorageError(f"{address} can't be reached: {error}") from None


def _decimals(
    packed: PackedBook, levels: tuple[tuple[int, int], ...]
) -> tuple[tuple[Decimal, Decimal], ...]:
    price, size = packed.price_decimals, packed.size_decimals
    return tuple((decimal_from_units(p, price), decimal_from_units(s, size)) for p, s in levels)


def _since(then_ns: int, now_ns: int | None) -> float | None:
    return None if now_ns is None else max(0, now_ns - then_ns) / 1e9


def _plain(text: str) -> str:
    """Write a text so that a pattern takes it letter by letter."""
    return "".join(f"\\{one}" if one in "*?[]\\^" else one for one in text)
