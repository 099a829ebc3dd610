"""Owns `/control/...`, the simulator's own endpoints; refuses to look like the venue.

`GET /control/status`, `GET /control/book?category=&symbol=&depth=[&u=]`, `GET` and `POST` and
`DELETE /control/faults`. Errors are HTTP 400 with `{"error": text}`.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.faults import FaultBoard, fault_specs
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["Control"]

_FAULTS_PER_POST_MAX = 64


class Control:
    """Answers of the control endpoints."""

    def __init__(
        self,
        venue: SimulatedVenue,
        faults: FaultBoard,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._venue = venue
        self._faults = faults
        self._status = status

    def mount(self, app: web.Application) -> None:
        """Add the control routes."""
        app.router.add_get("/control/status", self._get_status)
        app.router.add_get("/control/book", self._get_book)
        app.router.add_get("/control/faults", self._get_faults)
        app.router.add_post("/control/faults", self._post_faults)
        app.router.add_delete("/control/faults", self._delete_faults)

    async def _get_status(self, request: web.Request) -> web.Response:
        return _answer(self._status())

    async def _get_book(self, request: web.Request) -> web.Response:
        """The window of a depth topic as it was published: now, or under an earlier `u`."""
        query = request.query
        try:
            category = Category(query.get("category", ""))
            depth, u = int(query.get("depth", "50")), int(query.get("u", "0"))
        except ValueError:
            return _refusal("category, depth or u is wrong")
        stream = self._venue.book_stream(category, query.get("symbol", ""), depth)
        if stream is None:
            return _refusal("no such book topic")
        stream.refresh()
        now_u = stream.window.u
        shown = stream.history.window_at(u or now_u)
        if shown is None:
            return _refusal(f"u {u} is not known; the topic is at {now_u}")
        bids, asks = shown
        return _answer(
            {
                "symbol": stream.market.instrument.symbol,
                "depth": depth,
                "u": u or now_u,
                "seq": stream.shown_seq,
                "b": bids,
                "a": asks,
            }
        )

    async def _get_faults(self, request: web.Request) -> web.Response:
        return _answer({"faults": self._faults.report()})

    async def _post_faults(self, request: web.Request) -> web.Response:
        """Add faults: one object, an array, or `{"faults": [...]}` as in a plan file."""
        try:
            body = msgspec.json.decode(await request.read())
        except (msgspec.DecodeError, RecursionError) as error:
            return _refusal(f"body is not JSON: {error}")
        if isinstance(body, dict) and set(body) == {"faults"}:
            body = body["faults"]
        rows = body if isinstance(body, list) else [body]
        if len(rows) > _FAULTS_PER_POST_MAX:
            return _refusal(f"at most {_FAULTS_PER_POST_MAX} faults a request")
        try:
            added = [
                self._faults.add(spec, self._venue.now_ns) for spec in fault_specs(rows, "request")
            ]
        except ConfigError as error:
            return _refusal(str(error))
        return _answer({"faults": [fault.report() for fault in added]})

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return _answer({"faults": self._faults.report()})


def _answer(body: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _refusal(text: str) -> web.Response:
    body = msgspec.json.encode({"error": text})
    return web.Response(status=400, body=body, content_type="application/json")
