"""Owns the private REST paths: who asks, how often, in which envelope; refuses their content.

Business errors are HTTP 200 with a retCode. An address that asks too often gets 403 and silence for
ten minutes; the control paths are never counted.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from tickwright.simulator.faults import FaultBoard, FaultKind
from tickwright.simulator.private.accounts import Accounts, ApiKey
from tickwright.simulator.private.auth import key_of_request
from tickwright.simulator.private.limits import AddressLimits
from tickwright.simulator.private.refusals import VenueRefusal, parameter
from tickwright.simulator.private.service import GETS, POSTS, Answer, Reply, Service
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["BODY_BYTES_MAX", "PrivateRest"]

BODY_BYTES_MAX = 1 << 20
_NO_ANSWER_S = 60.0
"""How long a dropped reply keeps its client waiting before the connection ends."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PrivateRest:
    """Private answers over HTTP."""

    def __init__(
        self,
        venue: SimulatedVenue,
        service: Service,
        accounts: Accounts,
        faults: FaultBoard,
        addresses: AddressLimits,
    ) -> None:
        self._venue = venue
        self._service = service
        self._accounts = accounts
        self._faults = faults
        self._addresses = addresses

    def mount(self, app: web.Application) -> None:
        """Add the private routes, and the address limit over every path of the venue."""
        for name, path in GETS.items():
            app.router.add_get(path, self._get(name))
        for name, path in POSTS.items():
            app.router.add_post(path, self._post(name))
        app.middlewares.append(self._count_address)

    @web.middleware
    async def _count_address(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        address = request.remote or ""
        counted = request.path.startswith("/v5/")
        if counted and not self._addresses.is_allowed(address, self._now_ms()):
            return web.Response(status=403, text="access too frequent")
        return await handler(request)

    def _get(self, name: str) -> Handler:
        async def respond(request: web.Request) -> web.StreamResponse:
            if request.can_read_body:
                return web.Response(status=403, text="Forbidden")
            try:
                key = self._key(request, request.raw_path.partition("?")[2])
            except VenueRefusal as refusal:
                return self._response(Answer(refusal.code, refusal.text))
            return self._response(self._service.get(key, name, request.query))

        return respond

    def _post(self, name: str) -> Handler:
        async def respond(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            try:
                if len(body) > BODY_BYTES_MAX:
                    raise parameter("params error: body too large")
                key = self._key(request, body.decode("utf-8", "replace"))
                decoded = msgspec.json.decode(body)
            except VenueRefusal as refusal:
                return self._response(Answer(refusal.code, refusal.text))
            except (msgspec.DecodeError, RecursionError):
                return self._response(Answer(10001, "params error: body is not JSON"))
            return await self._arrive(request, self._service.submit(key, name, decoded, "rest"))

        return respond

    async def _arrive(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        """Bring a reply to its client, as late and as broken as a fault made it."""
        if reply.answer is None:
            if reply.fault is FaultKind.REPLY_DROPPED:
                await asyncio.sleep(_NO_ANSWER_S)
            return _reset(request)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.fault is FaultKind.REPLY_ERROR:
            return web.Response(status=500, text="Internal Server Error")
        if reply.fault is FaultKind.REPLY_HTML:
            page = "<html><head><title>502 Bad Gateway</title></head></html>"
            return web.Response(status=502, text=page, content_type="text/html")
        return self._response(reply.answer)

    def _key(self, request: web.Request, payload: str) -> ApiKey:
        return key_of_request(self._accounts, request.headers, payload, self._clock_ms())

    def _clock_ms(self) -> int:
        return self._faults.clock_ns(self._venue.now_ns) // 1_000_000

    def _now_ms(self) -> int:
        return self._venue.now_ns // 1_000_000

    def _response(self, answer: Answer) -> web.Response:
        body = answer.body(self._clock_ms())
        headers = {}
        if answer.budget is not None:
            headers = {
                "X-Bapi-Limit": str(answer.budget.limit),
                "X-Bapi-Limit-Status": str(answer.budget.left),
                "X-Bapi-Limit-Reset-Timestamp": str(answer.budget.reset_ms),
            }
        return web.Response(body=body, content_type="application/json", headers=headers)


def _reset(request: web.Request) -> web.Response:
    """End the connection without an answer; the response is never seen."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
