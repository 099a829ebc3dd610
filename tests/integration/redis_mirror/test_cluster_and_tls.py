"""The mirror against a real cluster of two nodes, and through TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from tests.integration.redis_mirror.mirroring import Market, mirroring, until
from tickwright.bench.redis_server import RedisServer, redis_server
from tickwright.cache import open_cache
from tickwright.core.errors import ConfigError
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.throwaway_tls import make_throwaway_tls
from tickwright.storage.redis_address import parse_redis_url

HALF = 8192
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
CLUSTER = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")


@contextlib.contextmanager
def cluster() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Run two masters that share the slots."""
    with redis_server(*CLUSTER) as one, redis_server(*CLUSTER) as two:
        for server, slots in ((one, range(HALF)), (two, range(HALF, 2 * HALF))):
            with server.client() as client:
                client.execute_command("CLUSTER ADDSLOTS", *slots)
        with one.client() as client:
            client.execute_command("CLUSTER MEET", "127.0.0.1", two.port)
        yield one, two


def is_well(server: RedisServer) -> bool:
    with server.client() as client:
        try:
            text = client.execute_command("CLUSTER INFO")
        except redis.RedisError:
            return False
        words = text if isinstance(text, dict) else {}
        return words.get("cluster_state") == "ok" and words.get("cluster_known_nodes") == "2"


async def test_cluster_when_mirrored_into_then_every_node_holds_its_share():
    market = Market(SYMBOLS)
    with cluster() as (one, two):
        await until(lambda: is_well(one) and is_well(two), "the cluster's state")
        url = f"redis+cluster://127.0.0.1:{one.port}"
        async with mirroring(url, market) as mirror:
            mirror.on_trades(market.trades(20), market.find)
            mirror.on_signal(market.signal())
            await until(lambda: mirror.report().trades == 20, "the trades")
            with one.client() as first, two.client() as second:
                shares = (first.dbsize(), second.dbsize())
            with open_cache(url) as cache:
                assert list(SYMBOLS) == [name.symbol for name in cache.instruments()]
                books = [cache.book(symbol) for symbol in SYMBOLS]
                trades = cache.trades("BTCUSDT")
                assert 1 == len(cache.signals())
            report = mirror.report()
    assert min(shares) > 0
    assert all(book is not None and book.is_synced for book in books)
    assert 20 == len(trades)
    assert (0, 0, 0) == (report.refused, report.outages, report.entries_lost)


@contextlib.asynccontextmanager
async def tls_front(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Speak TLS before a plain server; the wheel's Redis is built without it."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(1 << 16):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_tls_when_the_authority_is_trusted_then_mirrors_and_else_refuses():
    tls = make_throwaway_tls("127.0.0.1", now_ns=utc_now_ns())
    market = Market()
    try:
        with redis_server() as server:
            async with tls_front(server.port, tls.context) as port:
                url = f"rediss://127.0.0.1:{port}/0"
                trusted = parse_redis_url(url, ca_file=tls.ca_path)
                async with mirroring(trusted, market) as mirror:
                    await until(lambda: mirror.report().is_up, "the first write")

                    def read():
                        with open_cache(url, ca_file=tls.ca_path) as cache:
                            return cache.book("BTCUSDT")

                    assert await asyncio.to_thread(read) is not None
                async with mirroring(url, market) as distrusting:
                    await until(lambda: distrusting.report().outages, "the refusal")
                    assert "certificate" in distrusting.report().fault.lower()
    finally:
        tls.remove()


def test_ca_file_when_missing_then_is_named():
    address = parse_redis_url("rediss://host", ca_file=parse_missing())
    with pytest.raises(ConfigError, match=r"gone\.pem"):
        address.ssl_context()


def parse_missing():
    from pathlib import Path

    return Path("gone.pem")
