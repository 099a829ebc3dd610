"""The list of endpoints agrees with what is served, and its page with the list."""

from pathlib import Path

from tests.integration.simulator_private.client import running
from tickwright.core.identity import Category
from tickwright.simulator.coverage import ENDPOINTS, TOPICS, Coverage, Served, endpoints_page
from tickwright.simulator.private.service import SOCKET_OPS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator-endpoints.md"


def names(rows: tuple[Coverage, ...], kind: str = "") -> set[str]:
    served = {row.name for row in rows if row.served is not Served.NO}
    return {name.removeprefix(kind) for name in served if name.startswith(kind)}


async def test_listed_endpoints_then_are_exactly_those_with_a_route():
    async with running() as client:
        routes = {
            f"{route.method} {route.resource.canonical}"
            for route in client.venue.server.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        assert names(ENDPOINTS) == {route for route in routes if " /v5/" in route}


async def test_listed_topics_then_can_be_subscribed_and_others_not():
    async with running() as client, client.stream("order") as stream:
        for topic in names(TOPICS, "private ") - {"order"}:
            assert (await stream.ask(op="subscribe", args=[topic]))["success"] is True
        assert (await stream.ask(op="subscribe", args=["greeks"]))["success"] is False
        venue = client.venue.venue
        for topic in {row.name.removeprefix("public ") for row in TOPICS if "public" in row.name}:
            filled = topic.replace("{symbol}", "BTCUSDT").replace("{interval}", "1")
            filled = filled.replace("{1,50,200,1000}", "50")
            # The whole book is offered on spot alone.
            category = Category.SPOT if "full" in topic else Category.LINEAR
            is_there = venue.stream(category, filled) is not None
            assert is_there is (topic in names(TOPICS, "public ")), topic


def test_listed_operations_then_are_those_of_the_trade_socket():
    assert names(TOPICS, "trade ") == SOCKET_OPS


def test_page_then_is_what_the_list_says():
    assert PAGE.read_text(encoding="utf-8") == endpoints_page(), "run tools/list_endpoints.py"
