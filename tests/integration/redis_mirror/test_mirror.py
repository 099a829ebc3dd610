"""The mirror against a real Redis: what readers see, and what Redis may do to it."""

import asyncio
import signal
import time
from decimal import Decimal

import pytest

from tests.integration.redis_mirror.mirroring import Market, mirroring, until
from tickwright.bench.redis_server import redis_server
from tickwright.cache import open_cache
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.events import BookState
from tickwright.storage import redis_mirror
from tickwright.storage.redis_address import parse_redis_url
from tickwright.storage.redis_mirror import MirrorOptions, RedisMirror


@pytest.fixture
def server():
    with redis_server() as running:
        yield running


@pytest.fixture
def market():
    return Market()


async def test_book_when_mirrored_then_is_read_back_level_by_level(server, market):
    async with mirroring(server.url, market) as mirror:
        await until(lambda: mirror.report().books >= 2, "both books")
        market.move()
        with open_cache(server.url) as cache:
            await until(
                lambda: (b := cache.book("BTCUSDT")) and b.update_id == 2, "the newest update"
            )
            book = cache.book("BTCUSDT")
            top = cache.top(market.books[0].instrument_id)
            shallow = cache.book("BTCUSDT", levels=3)
            names = cache.instruments()
            writer = cache.writer()

    assert book is not None
    assert top is not None
    assert shallow is not None
    assert writer is not None
    assert BookState.SYNCED is book.state
    assert book.is_synced
    assert 10 == len(book.bids) == len(book.asks)
    assert (Decimal("100.00"), Decimal("1.001")) == book.bids[0]
    assert (
        tuple((Decimal(10_001 + i).scaleb(-2), Decimal(2_000 + i).scaleb(-3)) for i in range(10))
        == book.asks
    )
    assert (book.bids[0], book.asks[0]) == ((top.bid, top.bid_size), (top.ask, top.ask_size))
    assert book.bids[:3] == shallow.bids
    assert ["BTCUSDT", "ETHUSDT"] == [one.symbol for one in names]
    assert 10 == writer.interval_ms


async def test_readable_hash_when_read_with_any_client_then_is_plain_text(server, market):
    async with mirroring(server.url, market) as mirror:
        await until(lambda: mirror.report().books >= 2, "both books")
        with server.client(decode_responses="yes") as client:
            key = f"tickwright:{{{market.books[0].instrument_id}}}:book"
            await until(lambda: client.exists(key), "the hash")
            row = client.hgetall(key)

    assert "synced" == row["state"]
    assert ("100.00", "1.000") == (row["bid"], row["bid_size"])
    assert ("100.01", "2.000") == (row["ask"], row["ask_size"])
    assert row["bids"].startswith('[["100.00","1.000"],["99.99","1.001"]')


async def test_trades_and_signals_when_mirrored_then_stream_in_order_and_capped(server, market):
    options = MirrorOptions(interval_ms=10, expire_ms=1_500, streams_max=200)
    async with mirroring(server.url, market, options=options) as mirror:
        mirror.on_trades(market.trades(1_500), market.find)
        mirror.on_signal(market.signal())
        await until(lambda: mirror.report().trades == 1_500, "all trades")
        with open_cache(server.url) as cache:
            newest = cache.trades("BTCUSDT", count=50)
            after = cache.trades("BTCUSDT", count=50, after=newest[9].entry_id)
            signals = cache.signals()
        with server.client() as client:
            kept = client.xlen(f"tickwright:{{{market.books[0].instrument_id}}}:trades")
        report = mirror.report()

    assert [f"t{n}" for n in range(1_451, 1_501)] == [one.trade_id for one in newest]
    assert newest[10:] == tuple(
        type(one)(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "age_s": old.age_s})
        for one, old in zip(after, newest[10:], strict=True)
    )
    assert (Decimal("100.01"), Decimal("0.005"), "buy") == (
        newest[0].price,
        newest[0].size,
        newest[0].side,
    )
    assert newest[0].age_s is not None
    assert 0 <= newest[0].age_s < 30
    # Redis trims whole blocks of a hundred.
    assert 200 <= kept < 400
    assert [("lean", "long", False, 42)] == [
        (one.strategy_id, one.kind, one.is_approved, one.event_id) for one in signals
    ]
    assert (0, 0, 1) == (report.entries_lost, report.refused, report.signals)


async def test_signal_when_its_reason_holds_a_secret_then_stars_stand_there(server, market):
    def clean(text: str) -> str:
        return text.replace("canary", "***")

    async with mirroring(server.url, market, clean=clean) as mirror:
        mirror.on_signal(market.signal("key canary"))
        await until(lambda: mirror.report().signals == 1, "the signal")
        with open_cache(server.url) as cache:
            assert ["key ***"] == [one.reason for one in cache.signals()]


async def test_book_when_nobody_writes_any_more_then_is_gone_and_its_age_grows_until_then(
    server, market
):
    options = MirrorOptions(interval_ms=10, levels=10, expire_ms=3_000)
    async with mirroring(server.url, market, options=options) as mirror:
        await until(lambda: mirror.report().books >= 2, "both books")
    with open_cache(server.url) as cache:
        began = time.monotonic()
        first = cache.book("BTCUSDT")
        await asyncio.sleep(0.3)
        second = cache.book("BTCUSDT")
        passed = time.monotonic() - began
        assert first is not None
        assert first.age_s is not None
        assert second is not None
        assert second.age_s is not None
        assert 0.25 < second.age_s - first.age_s < passed + 0.05
        await until(lambda: cache.book("BTCUSDT") is None, "expiry")
        assert cache.top("BTCUSDT") is None
        await until(lambda: cache.writer() is None, "the writer's own expiry")
        await until(lambda: not cache.instruments(), "the other book's expiry")


async def test_quiet_book_when_nothing_changes_then_stays_and_ages(server, market):
    async with mirroring(server.url, market):
        with open_cache(server.url) as cache:
            await until(lambda: cache.book("BTCUSDT"), "the book")
            await asyncio.sleep(2.0)  # longer than keys live
            book = cache.book("BTCUSDT")
    assert book is not None
    assert book.age_s is not None
    assert 1.9 < book.age_s < 30.0


async def test_stale_book_when_mirrored_then_says_so_at_once(server, market):
    async with mirroring(server.url, market):
        with open_cache(server.url) as cache:
            await until(lambda: cache.book("BTCUSDT"), "the book")
            market.books[0].mark_stale("a gap")
            await until(
                lambda: (b := cache.book("BTCUSDT")) and b.state is BookState.STALE, "stale"
            )
            other = cache.book("ETHUSDT")
    assert other is not None
    assert other.is_synced


async def test_redis_when_flushed_then_everything_is_written_again_and_it_is_counted(
    server, market
):
    notes: list[str] = []
    async with mirroring(server.url, market, notes=notes) as mirror:
        with open_cache(server.url) as cache, server.client() as client:
            await until(lambda: mirror.report().writes > 5, "writes")
            client.flushall()
            await until(lambda: mirror.report().flushes == 1, "the flush seen")
            await until(lambda: len(cache.instruments()) == 2, "both books again")
        assert mirror.report().is_up
    assert ["redis.flushed"] == [note.split()[0] for note in notes]


async def test_redis_when_killed_and_started_under_load_then_no_trade_is_lost_or_doubled(
    server, market
):
    notes: list[str] = []
    sent = 0
    async with mirroring(server.url, market, notes=notes) as mirror:
        for tick in range(150):
            market.move()
            mirror.on_trades(market.trades(10), market.find)
            sent += 10
            if tick == 30:
                server.kill()
            elif tick == 90:
                server.start()
            started = time.monotonic()
            await asyncio.sleep(0.01)
            assert time.monotonic() - started < 1.5
        await until(lambda: mirror.report().is_up, "Redis back")
        before = mirror.report()
        mirror.on_trades(market.trades(10), market.find)
        sent += 10
        await until(lambda: mirror.report().trades == sent, "all trades")
        with open_cache(server.url) as cache:
            await until(
                lambda: (b := cache.book("BTCUSDT")) and b.update_id == market.moves + 1,
                "the newest book",
            )
            ids = [one.trade_id for one in cache.trades("BTCUSDT", count=10_000)]
    assert len(ids) == len(set(ids))
    assert f"t{sent}" == ids[-1]
    # What came while Redis was away is there whole, in order.
    assert list(range(int(ids[0][1:]), sent + 1)) == [int(one[1:]) for one in ids]
    assert int(ids[0][1:]) <= 400
    assert (1, 0) == (before.outages, before.entries_lost)
    assert 0.3 < before.outage_s < 30
    assert ["redis.lost", "redis.back"] == [n.split()[0] for n in notes if "flushed" not in n]


async def test_redis_when_it_stands_still_for_two_seconds_then_the_loop_does_not(server, market):
    async with mirroring(server.url, market) as mirror:
        await until(lambda: mirror.report().writes > 5, "writes")
        server.signal(signal.SIGSTOP)
        try:
            stopped = asyncio.get_running_loop().time()
            longest = 0.0
            while (now := asyncio.get_running_loop().time()) - stopped < 2.0:
                market.move()
                mirror.on_trades(market.trades(2), market.find)
                await asyncio.sleep(0.002)
                longest = max(longest, asyncio.get_running_loop().time() - now)
            report = mirror.report()
        finally:
            server.signal(signal.SIGCONT)
        await until(lambda: mirror.report().trades == market.trade_count, "all trades")
        with open_cache(server.url) as cache:
            await until(
                lambda: (b := cache.book("BTCUSDT")) and b.update_id == market.moves + 1,
                "the newest book",
            )
            ids = [one.trade_id for one in cache.trades("BTCUSDT", count=10_000)]
        end = mirror.report()
    assert (False, 1) == (report.is_up, report.outages)
    assert report.skipped > 50
    # Of the two seconds that the server stood; a busy machine holds the loop up as well.
    assert longest < 1.5
    assert [f"t{n}" for n in range(1, market.trade_count + 1)] == ids
    assert (True, 1, 0) == (end.is_up, end.outages, end.entries_lost)


async def test_write_when_carried_out_late_then_the_book_does_not_look_fresh(server, market):
    """A stopped server carries the last write out when it goes on: long after its deadline."""
    options = MirrorOptions(interval_ms=10, expire_ms=500)
    async with mirroring(server.url, market, options=options) as mirror:
        await until(lambda: mirror.report().writes > 5, "writes")
        server.signal(signal.SIGSTOP)
        market.move()
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    server.signal(signal.SIGCONT)
    with open_cache(server.url) as cache:
        assert cache.book("BTCUSDT") is None


async def test_redis_when_full_then_refusals_are_an_outage_that_ends_with_room(server, market):
    notes: list[str] = []
    with server.client() as client:
        async with mirroring(server.url, market, notes=notes) as mirror:
            await until(lambda: mirror.report().writes > 5, "writes")
            client.config_set("maxmemory", "1mb")
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
            mirror.on_trades(market.trades(5), market.find)
            await until(lambda: mirror.report().refused > 5, "refusals")
            full = mirror.report()
            client.config_set("maxmemory", "0")
            await until(lambda: mirror.report().trades == 5, "the trades")
            end = mirror.report()
            with open_cache(server.url) as cache:
                assert 5 == len(cache.trades("BTCUSDT"))
    assert full.fault.startswith("OOM")
    assert (False, 1) == (full.is_up, full.outages)
    assert (True, 1, 0) == (end.is_up, end.outages, end.entries_lost)
    assert notes[0].startswith("redis.lost OOM")


async def test_queue_when_redis_is_away_for_long_then_the_oldest_are_lost_and_counted(
    server, market, monkeypatch: pytest.MonkeyPatch
):
    # Two chunks of 256 KiB, of which the older goes when a third is wanted.
    monkeypatch.setattr(redis_mirror, "TRADES_WAITING_BYTES_MAX", 0)
    sent = 20_000
    server.kill()
    async with mirroring(server.url, market) as mirror:
        await until(lambda: mirror.report().outages == 1, "the outage")
        mirror.on_trades(market.trades(sent), market.find)
        lost = mirror.report().entries_lost
        assert 5_000 < lost < sent - 2_000
        server.start()
        await until(lambda: mirror.report().trades == sent - lost, "what waited")
        with open_cache(server.url) as cache:
            (newest,) = cache.trades("BTCUSDT", count=1)
    assert (lost, f"t{sent}") == (mirror.report().entries_lost, newest.trade_id)


async def test_password_when_wrong_then_the_fault_says_so_without_it(market):
    with redis_server("--requirepass", "right-canary") as server:
        wrong = f"redis://:wrong-canary@127.0.0.1:{server.port}"
        notes: list[str] = []
        async with mirroring(wrong, market, notes=notes) as mirror:
            await until(lambda: mirror.report().outages == 1, "the refusal")
            report = mirror.report()
        assert "WRONGPASS" in report.fault
        assert "canary" not in repr(report) + repr(notes) + repr(parse_redis_url(wrong))
        right = parse_redis_url(server.url, password="right-canary")
        async with mirroring(right, market) as mirror:
            await until(lambda: mirror.report().is_up, "the right one")
            with open_cache(server.url, password="right-canary") as cache:
                assert cache.book("BTCUSDT") is not None
        with (
            open_cache(wrong) as cache,
            pytest.raises(StorageError, match="can't be read") as told,
        ):
            cache.book("BTCUSDT")
        assert "canary" not in str(told.value)


async def test_key_of_another_kind_when_in_the_way_then_the_rest_goes_on(server, market):
    with server.client() as client:
        client.set(f"tickwright:{{{market.books[0].instrument_id}}}:trades", "not ours")
        async with mirroring(server.url, market) as mirror:
            mirror.on_trades(market.trades(1), market.find)
            await until(lambda: mirror.report().refused > 0, "the refusal")
            await until(lambda: mirror.report().is_up, "the rest")
            with open_cache(server.url) as cache:
                assert cache.book("BTCUSDT") is not None


async def test_symbol_when_two_instruments_have_it_then_the_reader_asks_for_more(server):
    from tests.oracle.instruments import make_instrument
    from tickwright.book.order_book import OrderBook
    from tickwright.core.identity import Category

    market = Market(("BTCUSDT",))
    market.books.append(OrderBook(make_instrument(category=Category.SPOT)))
    async with mirroring(server.url, market) as mirror:
        await until(lambda: mirror.report().books >= 2, "both books")
        with open_cache(server.url) as cache:
            await until(lambda: len(cache.instruments()) == 2, "both keys")
            with pytest.raises(ConfigError, match="one of several"):
                cache.book("BTCUSDT")
            empty = cache.book(market.books[1].instrument_id)
    assert empty is not None
    assert (BookState.EMPTY, None, ()) == (empty.state, empty.age_s, empty.bids)


async def test_mirror_when_redis_never_was_there_then_it_ends_in_time(market):
    started = time.monotonic()
    async with mirroring("redis://127.0.0.1:1", market) as mirror:
        await until(lambda: mirror.report().outages == 1, "the outage")
    assert time.monotonic() - started < 20
    assert isinstance(mirror, RedisMirror)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"*2\r\n$1\r\nx\r\n$1\r\ny\r\n",
        b"$5\r\nab",
        b":1\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_server_when_it_is_no_redis_then_is_an_outage_and_dialled_again(
    market, answer: bytes, scheme: str
):
    dials = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dials
        dials += 1
        await reader.read(100)
        writer.write(answer)
        writer.close()

    foreign = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = foreign.sockets[0].getsockname()[1]
    async with mirroring(f"{scheme}://127.0.0.1:{port}", market) as mirror:
        await until(lambda: dials >= 3, "three dials")
        report = mirror.report()
    foreign.close()
    assert (False, 1, 0) == (report.is_up, report.outages, report.writes)
    assert report.fault
