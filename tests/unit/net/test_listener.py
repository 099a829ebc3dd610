"""Frames go to the sink whole and once; a peer that breaks the protocol isn't a bug of ours."""

import time

import pytest
from picows import WSMsgType
from picows.picows import _make_test_ws_frame

from tickwright.core.errors import FrameError
from tickwright.net.listener import (
    PICOWS_BUILT_AGAINST,
    FrameListener,
    FrameSink,
    picows_mismatch,
    utc_now_ns,
)


class Sink(FrameSink):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []

    def on_bytes(self, frame: bytes, received_ns: int, last: bool) -> None:
        self.frames.append((frame, last))


def make_listener() -> tuple[Sink, FrameListener]:
    sink = Sink()
    return sink, FrameListener(sink)


def send(listener: FrameListener, kind: WSMsgType, payload: bytes, *, fin: bool = True) -> None:
    # The transport is needed to end a connection alone: tests/integration/feed does that.
    listener.on_ws_frame(None, _make_test_ws_frame(kind, payload, fin, False))  # type: ignore[arg-type]


def test_text_when_whole_then_goes_to_the_sink():
    sink, listener = make_listener()
    send(listener, WSMsgType.TEXT, b"one")
    send(listener, WSMsgType.BINARY, b"two")
    assert [(b"one", True), (b"two", True)] == sink.frames
    assert (2, 6) == (listener.frame_count, listener.byte_count)


@pytest.mark.parametrize("parts", [[b"a", b"b"], [b"a", b"", b"b"], [b"", b"ab"], [b"x"] * 50])
def test_text_when_in_fragments_then_is_joined(parts: list[bytes]):
    sink, listener = make_listener()
    for place, part in enumerate(parts):
        kind = WSMsgType.TEXT if place == 0 else WSMsgType.CONTINUATION
        send(listener, kind, part, fin=place == len(parts) - 1)
        if place + 1 < len(parts):
            # Control frames may come between, and are nobody's business.
            send(listener, WSMsgType.PING, b"")
            assert [] == sink.frames
    assert [(b"".join(parts), True)] == sink.frames
    assert len(parts) == listener.fragment_count
    send(listener, WSMsgType.TEXT, b"next")
    assert (b"next", True) == sink.frames[-1]


def test_control_frames_when_they_come_then_count_as_life_but_not_as_data():
    sink, listener = make_listener()
    send(listener, WSMsgType.PONG, b"")
    assert [] == sink.frames
    assert 0 == listener.frame_count
    assert 0 < listener.last_frame_ns <= utc_now_ns()


def test_sink_when_it_takes_no_frames_then_says_so():
    with pytest.raises(FrameError, match="FrameSink takes no frames"):
        FrameSink().feed(b"x", 1)


def test_sink_when_fed_then_gets_the_frame_the_time_and_the_place_in_the_read():
    seen = []

    class Timed(FrameSink):
        def on_bytes(self, frame: bytes, received_ns: int, last: bool) -> None:
            seen.append((frame, received_ns, last))

    Timed().feed(b"x", 7, last=False)
    Timed().feed(b"y", 8)
    assert [(b"x", 7, False), (b"y", 8, True)] == seen


def test_listener_when_never_connected_then_sends_and_aborts_nothing():
    _, listener = make_listener()
    assert not listener.send_text(b"x")
    listener.abort()


def test_clock_when_read_then_never_steps_back_and_stays_near_the_wall():
    times = [utc_now_ns() for _ in range(1_000)]
    assert sorted(times) == times
    assert abs(time.time_ns() - utc_now_ns()) < 60_000_000_000


def test_picows_when_it_is_the_one_compiled_against_then_there_is_no_mismatch():
    assert picows_mismatch() is None
    assert PICOWS_BUILT_AGAINST[0].isdigit()
