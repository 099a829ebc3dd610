"""The feed on sockets beyond faults: our bugs, audits, instruments, symbols that come and go."""

from typing import Any

import msgspec
import pytest

from tests.integration.feed.world import SYMBOLS, World, running_world
from tickwright.core.errors import VenueError
from tickwright.core.events import BookState, InstrumentChanged
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.venues.port import MarketClient, TopOfBook


def only_error(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        (group,) = group.exceptions
    return group


async def ended(world: World) -> BaseException:
    await world.wait_done()
    error = world.task.exception()
    assert error is not None
    return only_error(error)


class Market:
    """The real client, with one answer exchanged."""

    def __init__(self, real: MarketClient | None, **answers: Any) -> None:
        self._real = real
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return self._answers[name] if name in self._answers else getattr(self._real, name)


async def test_door_when_it_raises_then_the_failure_surfaces_and_nothing_is_dialled_again():
    async with running_world() as world:
        world.strategy_raises = ZeroDivisionError("a bug of ours")
        assert world.strategy_raises is await ended(world)
        dials = [connection.counts.dials for connection in world.feed.connections]
        assert [1] == dials


async def test_check_when_it_has_a_bug_then_the_feed_ends_with_it():
    bug = ZeroDivisionError("in a check")

    async def top_of_book(instrument: Instrument) -> TopOfBook:
        raise bug

    async with running_world() as world:
        world.exchange_market(Market(world.kit.market, top_of_book=top_of_book))
        world.strike(kind="silence_topic", topic="orderbook.*.BTCUSDT", count=0)
        assert bug is await ended(world)


async def test_audit_when_rest_disagrees_at_the_same_moment_then_resynced_alone():
    async with running_world(options={"audit_interval_s": 0.05}, events_per_s=60.0) as world:
        await world.wait("audits", lambda: world.feed.counts.audits_agreed >= 3)
        assert 0 == world.feed.counts.audits_differed
        real = world.kit.market
        assert real is not None
        lies = 1

        async def top_of_book(instrument: Instrument) -> TopOfBook:
            nonlocal lies
            top = await real.top_of_book(instrument)
            book = world.book(instrument.symbol)
            if lies and instrument.symbol == "ETHUSDT" and top.sequence == book.sequence:
                lies -= 1
                book_size = top.bid_size_units + 1
                return TopOfBook(
                    symbol=top.symbol,
                    bid_price_units=top.bid_price_units,
                    bid_size_units=book_size,
                    ask_price_units=top.ask_price_units,
                    ask_size_units=top.ask_size_units,
                    update_id=top.update_id,
                    sequence=top.sequence,
                    venue_ns=top.venue_ns,
                )
            return top

        world.exchange_market(Market(real, top_of_book=top_of_book))
        await world.wait("differed", lambda: world.feed.counts.audits_differed == 1)
        assert ["the REST audit shows another top"] == world.reasons_of("ETHUSDT")
        await world.end_well()
        assert [BookState.SYNCED] == world.states_of("BTCUSDT")


async def test_rest_when_it_fails_then_nothing_of_the_stream_suffers():
    async def fail(*arguments: object, **named: object) -> None:
        raise VenueError(10006, "too many visits", what="test")

    options = {"audit_interval_s": 0.05, "instruments_interval_s": 0.05}
    async with running_world(options=options) as world:
        world.exchange_market(Market(world.kit.market, top_of_book=fail, instruments=fail))
        await world.wait("skips", lambda: world.feed.counts.audits_skipped >= 3)
        await world.wait(
            "notes", lambda: "feed.instruments_unread" in [name for name, _ in world.notes]
        )
        await world.end_well()
        assert 0 == world.feed.collect().resyncs


async def test_instrument_when_its_numbers_stop_fitting_then_read_again_and_the_book_is_back():
    async with running_world(options={"instruments_interval_s": 0}) as world:
        # As if the venue had added a decimal since we read its instruments.
        book = world.book("BTCUSDT")
        real = book.instrument
        coarse = _with_fewer_decimals(real)
        world.feed.apply_instrument(coarse)
        world.feed.sessions[0].resync(book.slot, 1)
        await world.wait("doubt", lambda: book.instrument.size_decimals == real.size_decimals)
        await world.wait("synced", lambda: book.is_synced)
        assert any(isinstance(event, InstrumentChanged) for event in world.events)
        world.wrong.clear()  # the coarse units were ours alone
        await world.end_well()
        assert [BookState.SYNCED] == world.states_of("ETHUSDT")


def _with_fewer_decimals(instrument: Instrument) -> Instrument:
    return msgspec.structs.replace(
        instrument,
        price_decimals=instrument.price_decimals - 1,
        size_decimals=instrument.size_decimals - 1,
    )


async def test_symbols_when_they_come_and_go_while_running_then_only_wanted_ones_are_served():
    async with running_world(listed=("DOGEUSDT",), options={"books_max": 4}) as world:
        world.pinned = set(SYMBOLS) - {"SOLUSDT"}
        await world.keep("DOGEUSDT")
        assert "SOLUSDT" not in world.feed.symbols
        await world.all_synced()
        await world.end_well()
        topics = world.topics_at_the_venue()
        assert "orderbook.50.DOGEUSDT" in topics
        assert not any(topic.endswith("SOLUSDT") for topic in topics)
        assert 0 == world.feed.collect().resyncs


async def test_trades_when_the_market_trades_then_every_one_arrives_in_order():
    async with running_world(category=Category.SPOT, events_per_s=1_500.0) as world:
        await world.wait("trades", lambda: len(world.trades) > 100)
        for symbol in SYMBOLS:
            mine = [trade for trade in world.trades if trade.instrument_id.symbol == symbol]
            sequences = [trade.sequence for trade in mine]
            assert sorted(sequences) == sequences
            assert len({trade.trade_id for trade in mine}) == len(mine)


@pytest.mark.parametrize("depth", [1, 200, 1000])
@pytest.mark.parametrize("category", [Category.LINEAR, Category.SPOT])
async def test_books_when_of_another_depth_then_equal_the_venues(depth: int, category: Category):
    options = {"depth": depth, "capacity": depth}
    async with running_world(category=category, options=options) as world:
        await world.end_well()
        if depth > 1:
            fault = world.strike(kind="gap", topic=f"orderbook.{depth}.ETHUSDT")
            await world.wait("hit", lambda: fault.hit == 1)
            await world.wait("stale", lambda: world.reasons_of("ETHUSDT") == ["gap"])
            await world.end_well()


async def test_books_when_their_capacity_is_below_the_depth_then_hold_the_best_levels():
    async with running_world(options={"capacity": 7}) as world:
        world.compares_best = 7
        world.wrong.clear()
        await world.flowing(updates=40)
        assert [] == world.wrong
        assert all(book.bid_count <= 7 for book in world.books.values())


async def test_feed_when_cancelled_while_rest_answers_then_ends_each_time():
    """A cancellation that comes with an answer must not be forgotten, or the end never comes."""
    answers = 0

    async def top_of_book(instrument: Instrument) -> TopOfBook:
        nonlocal answers
        answers += 1
        world.task.cancel()
        return TopOfBook(instrument.symbol, 0, 0, 0, 0, 0, 0, 0)

    async with running_world(options={"audit_interval_s": 0.05}) as world:
        world.exchange_market(Market(world.kit.market, top_of_book=top_of_book))
        await world.wait_done()
        assert world.task.cancelled()
        assert 1 == answers
