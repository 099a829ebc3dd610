"""Measures the order round trip of the simulated venue: `python tools/measure_order_round_trip.py`.

A venue in a process of its own, with its limits lifted; creates and cancels in turn, at 1,000 a
second over one connection each: REST over a plain socket, then order entry over a WebSocket. The
times are the client's, from handing the request to the socket to having the answer.
"""

import asyncio
import hmac
import json
import socket
import subprocess
import sys
import time
from hashlib import sha256
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

KEY, SECRET = "tickwright-demo-key", "tickwright-demo-secret"
RATE, REQUESTS = 1_000, 4_000
SERVE = """
import sys
from tickwright.simulator.private import PrivateOptions
from tickwright.simulator.run import SimulatorOptions, main
lifted = PrivateOptions(rate_scale=1e6, address_requests_max=10**9)
sys.exit(main(SimulatorOptions(symbols=["BTCUSDT"], seed=7), lifted))
"""


def sign(text: str) -> str:
    """Sign as the venue wants it."""
    return hmac.new(SECRET.encode(), text.encode(), sha256).hexdigest()


def now() -> str:
    """Return the milliseconds of now."""
    return str(time.time_ns() // 1_000_000)


def request(number: int, name: str) -> tuple[str, dict[str, str]]:
    """Return the verb and body of a request: a create, then its cancel."""
    where = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": f"{name}{number // 2}"}
    if number % 2:
        return "cancel", where
    price = {"side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "61000"}
    return "create", where | price


def report(name: str, seconds: list[float], refused: int) -> None:
    """Print the percentiles."""
    times = sorted(seconds)
    p50, p99 = (times[len(times) * share // 100] * 1e6 for share in (50, 99))
    sys.stdout.write(f"{name}: {len(times)} round trips at {RATE}/s, refused {refused}: ")
    sys.stdout.write(f"p50 {p50:.0f} us, p99 {p99:.0f} us, max {times[-1] * 1e6:.0f} us\n")


def measure_rest(rest: str) -> None:
    """Measure over one kept connection, one request after the other."""
    host, _, port = rest.removeprefix("http://").rpartition(":")
    times, refused = [], 0
    with socket.create_connection((host, int(port))) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for number in range(REQUESTS):
            while time.perf_counter() < began + number / RATE:
                pass
            verb, body = request(number, "rest")
            text, at = json.dumps(body), now()
            head = (
                f"POST /v5/order/{verb} HTTP/1.1\r\nHost: x\r\nX-BAPI-API-KEY: {KEY}\r\n"
                f"X-BAPI-TIMESTAMP: {at}\r\nX-BAPI-RECV-WINDOW: 5000\r\n"
                f"X-BAPI-SIGN: {sign(f'{at}{KEY}5000{text}')}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            )
            sent = time.perf_counter()
            raw.sendall((head + text).encode())
            reply = b""
            while not reply.endswith(b"}"):
                reply += raw.recv(65_536)
            times.append(time.perf_counter() - sent)
            refused += b'"retCode":0' not in reply
    report("REST", times, refused)


class Answers(WSListener):
    """Notes when each answer came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, float] = {}
        self.refused = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Note an answer."""
        at = time.perf_counter()
        message: dict[str, Any] = json.loads(frame.get_payload_as_bytes())
        self.came[message.get("reqId", "")] = at
        self.refused += message["retCode"] != 0


async def measure_websocket(trade: str) -> None:
    """Measure over one socket, without waiting for answers."""
    transport, answers = await ws_connect(Answers, trade)
    assert isinstance(answers, Answers)
    expires = int(now()) + 10_000
    login = {"op": "auth", "args": [KEY, expires, sign(f"GET/realtime{expires}")]}
    transport.send(WSMsgType.TEXT, json.dumps(login).encode())
    await asyncio.sleep(0.2)
    sent = {}
    began = time.perf_counter()
    for number in range(REQUESTS):
        while time.perf_counter() < began + number / RATE:  # noqa: ASYNC110 - timers are too coarse
            await asyncio.sleep(0)
        verb, body = request(number, "socket")
        message: dict[str, Any] = {"reqId": str(number), "op": f"order.{verb}", "args": [body]}
        message["header"] = {"X-BAPI-TIMESTAMP": now()}
        text = json.dumps(message).encode()
        sent[str(number)] = time.perf_counter()
        transport.send(WSMsgType.TEXT, text)
    await asyncio.sleep(0.5)
    transport.disconnect()
    report("WebSocket", [answers.came[name] - at for name, at in sent.items()], answers.refused)


def main() -> None:
    """Start a venue and measure both ways."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True
    ) as venue:
        assert venue.stdout is not None
        addresses = json.loads(venue.stdout.readline())
        try:
            measure_rest(addresses["rest"])
            asyncio.run(measure_websocket(addresses["trade"]))
        finally:
            venue.terminate()


if __name__ == "__main__":
    main()
