"""The sender's half of WebSocket, against a socket pair and a written-out client."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tickwright.bench.senders import Plan
from tickwright.bench.wire import (
    PeerGone,
    answer_json,
    answer_upgrade,
    await_login,
    await_subscriptions,
    drain,
    join_frames,
    read_request,
    render_frame,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.settimeout(30.0)
    other.settimeout(30.0)
    with one, other:
        yield one, other


def masked(payload: bytes, opcode: int = 1) -> bytes:
    mask = b"\x01\x02\x03\x04"
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE))
    head += b"" if size < 126 else size.to_bytes(2, "big")
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frame_when_rendered_then_its_head_says_its_length(size: int, head: bytes):
    assert head + b"x" * size == render_frame(b"x" * size)


def test_frames_when_joined_then_are_one_piece_in_order():
    assert render_frame(b"one") + render_frame(b"two") == join_frames([b"one", b"two"])


def test_request_when_read_then_gives_path_query_and_key(pair):
    client, server = pair
    client.sendall(
        b"GET /paced?rate=50000&group=50 HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: abc==\r\n\r\n"
    )
    request = read_request(server)

    assert "/paced" == request.path
    assert {"rate": "50000", "group": "50"} == request.options
    assert "abc==" == request.key


def test_request_when_the_path_carries_options_then_they_are_read(pair):
    client, server = pair
    client.sendall(b"GET /paced/rate=1000/trade=1/linear?group=2 HTTP/1.1\r\n\r\n")
    request = read_request(server)

    assert {"rate": "1000", "trade": "1", "group": "2"} == request.options
    assert "" == request.key


def test_login_when_asked_then_is_accepted(pair):
    client, server = pair
    client.sendall(masked(json.dumps({"op": "auth", "args": ["key", 1, "sign"]}).encode()))
    await_login(server)

    assert b'"retCode":0' in client.recv(4096)


def test_request_when_the_peer_closes_early_then_the_peer_is_gone(pair):
    client, server = pair
    client.sendall(b"GET / HT")
    client.close()

    with pytest.raises(PeerGone):
        read_request(server)


def test_upgrade_when_answered_then_carries_the_accept_value_of_the_standard(pair):
    client, server = pair
    answer_upgrade(server, "dGhlIHNhbXBsZSBub25jZQ==")

    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in client.recv(4096)


def test_json_when_answered_then_reads_back(pair):
    client, server = pair
    answer_json(server, {"frames": 3})

    assert {"frames": 3} == json.loads(client.recv(4096).split(b"\r\n\r\n")[1])


def test_subscriptions_when_all_asked_then_each_request_is_acknowledged(pair):
    client, server = pair
    topics = [f"orderbook.50.S{i}USDT" for i in range(12)]
    client.sendall(
        masked(json.dumps({"op": "ping", "req_id": "p"}).encode())
        + masked(json.dumps({"op": "subscribe", "req_id": "1", "args": topics[:10]}).encode())
        + masked(json.dumps({"op": "subscribe", "req_id": "2", "args": topics[10:]}).encode())
    )
    await_subscriptions(server, topics)
    said = client.recv(65_536)

    for request_id in (b"p", b"1", b"2"):
        assert b'"req_id":"' + request_id + b'"' in said
    assert 2 == said.count(b'"op":"subscribe"')


def test_subscriptions_when_the_client_says_goodbye_then_the_peer_is_gone(pair):
    client, server = pair
    client.sendall(masked(b"\x03\xe8", opcode=8))

    with pytest.raises(PeerGone):
        await_subscriptions(server, ["orderbook.50.BTCUSDT"])


def test_drain_when_the_client_reads_to_the_end_then_it_saw_the_close_frame(pair):
    client, server = pair
    seen = []

    def read() -> None:
        while piece := client.recv(4096):
            seen.append(piece)
        client.close()

    reader = threading.Thread(target=read)
    reader.start()
    drain(server, timeout_s=30.0)
    reader.join()

    assert b"\x88\x02\x03\xe8" == b"".join(seen)


def test_plan_when_frames_go_in_groups_then_a_group_shares_its_due_time():
    plan = Plan("paced", 6, 1_000, 2, 500, 4.0, "2 frames a send")

    assert [1_000, 1_000, 1_500, 1_500, 2_000, 2_000] == [plan.due_ns(i) for i in range(6)]
