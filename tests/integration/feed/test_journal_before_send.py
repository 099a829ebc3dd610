"""What an account promises in one step reaches the disk at once and leaves in its order."""

import asyncio
import contextlib
from pathlib import Path

import msgspec
from picows import ws_create_server

from tickwright.bench.order_parts import ACCOUNT, OrderPath, QuietVenue
from tickwright.bench.tape import COMPOSED_SHAPE, make_tape
from tickwright.core.commands import PlaceOrder
from tickwright.core.identity import ClientId, Leg, StrategyId
from tickwright.core.orders import OrderType, Side, TimeInForce, TriggerBy
from tickwright.storage.journal import read_segment

WAIT_S = 20.0


def creates(path: OrderPath, count: int) -> list[PlaceOrder]:
    book = path.books[0]
    first = PlaceOrder(
        account_id=ACCOUNT,
        client_id=ClientId("one0"),
        instrument_id=book.instrument_id,
        strategy_id=StrategyId("bench"),
        side=Side.BUY,
        size_units=1_000,
        order_type=OrderType.LIMIT,
        price_units=1_000,
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=False,
        leg=Leg.NET,
        stop_loss_price_units=None,
        take_profit_price_units=None,
        trigger_price_units=None,
        trigger_by=TriggerBy.LAST,
        valid_until_ns=0,
        event_id=1,
    )
    names = (ClientId(f"one{n}") for n in range(count))
    return [msgspec.structs.replace(first, client_id=name) for name in names]


async def test_creates_when_synced_always_then_share_one_sync_and_keep_their_order(tmp_path: Path):
    server = await ws_create_server(lambda _: QuietVenue(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    tape = make_tape(COMPOSED_SHAPE, frames=100, category="linear")
    path = OrderPath(tape, tmp_path, "always")
    path.connect(f"ws://{host}:{port}/")
    running = asyncio.create_task(path.link.run())
    commands = creates(path, 7)
    async with asyncio.timeout(WAIT_S):
        while not (path.link.is_synced and path.channel.is_ready):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        path.link.execute_all(commands)
        assert path.sent == []
        while len(path.sent) < len(commands):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert commands == path.sent
    assert 1 == path.journal.flush_count
    records = [entry.record for entry in read_segment(path.journal.path)]
    assert commands == records[1:]
    await path.link.stop()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    server.close()
    await server.wait_closed()
    path.journal.close()
