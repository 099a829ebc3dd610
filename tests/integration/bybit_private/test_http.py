"""The HTTP client bounds what it reads and tells what a failure proves."""

import asyncio
import socket

import pytest
from aiohttp import web

from tests.integration.bybit_private.conftest import Script
from tickwright.core.errors import ConfigError, ConnectionLost, FrameError
from tickwright.net.http import HttpClient, NeverSent


async def test_request_when_answered_then_status_headers_and_body(script: Script):
    script.say(b"hello", status=418, headers={"X-Bapi-Limit": "10"})
    async with HttpClient(script.url) as client:
        response = await client.request(
            "POST", "/v5/x?a=%3D&b=%26", headers={"X-Mine": "1"}, body=b"payload"
        )
    assert (418, "10", b"hello") == (
        response.status,
        response.headers["x-bapi-limit"],
        response.body,
    )
    method, path, headers, body = script.requests[0]
    assert ("POST", "/v5/x?a=%3D&b=%26", "1", b"payload") == (method, path, headers["x-mine"], body)


async def test_request_when_get_then_no_body_and_no_content_type(script: Script):
    script.say(b"")
    async with HttpClient(script.url) as client:
        await client.request("GET", "/")
    headers = script.requests[0][2]
    assert ("content-type" in headers, "content-length" in headers) == (False, False)


async def test_request_when_nobody_listens_then_never_sent():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with HttpClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(NeverSent):
            await client.request("GET", "/")


async def test_request_when_the_answer_is_late_then_lost_but_maybe_sent(script: Script):
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    script.do(hang)
    async with HttpClient(script.url, timeout_s=0.2) as client:
        with pytest.raises(ConnectionLost) as caught:
            await client.request("POST", "/")
    release.set()
    assert ConnectionLost is type(caught.value)
    assert 1 == len(script.requests)


async def test_request_when_the_connection_dies_then_lost_but_maybe_sent(script: Script):
    async def die(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    script.do(die)
    async with HttpClient(script.url) as client:
        with pytest.raises(ConnectionLost) as caught:
            await client.request("POST", "/")
    assert ConnectionLost is type(caught.value)


async def test_request_when_the_answer_is_too_long_then_frame_error(script: Script):
    script.say(b"x" * 200_000)
    async with HttpClient(script.url, body_bytes_max=100_000) as client:
        with pytest.raises(FrameError, match="100000"):
            await client.request("GET", "/")


async def test_request_when_redirected_then_not_followed(script: Script):
    script.say(b"", status=302, headers={"Location": "/elsewhere"})
    async with HttpClient(script.url) as client:
        assert 302 == (await client.request("GET", "/")).status
    assert 1 == len(script.requests)


async def test_request_when_too_many_wait_then_never_sent(script: Script):
    release = asyncio.Event()

    arrived = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await release.wait()
        return web.Response()

    for _ in range(3):
        script.do(hang)
    async with HttpClient(script.url, concurrent_max=1, waiting_max=2) as client:
        tasks = [asyncio.create_task(client.request("GET", "/")) for _ in range(3)]
        await arrived.wait()
        with pytest.raises(NeverSent, match="2 requests wait"):
            await client.request("GET", "/")
        release.set()
        assert [200, 200, 200] == [response.status for response in await asyncio.gather(*tasks)]


def test_client_when_address_is_no_url_then_config_error():
    with pytest.raises(ConfigError):
        HttpClient("ws://127.0.0.1")
