"""Owns the compiled end of a WebSocket: one call per frame into a sink.

Refuses to know what a frame means.

`FrameSink` is the port: a venue's scanner overrides `on_frame` in compiled code, a slower session
overrides `on_bytes` in Python. `FrameListener` is the picows listener that feeds it. A sink that
raises latches the listener shut: picows calls on for the rest of its buffer, and a broken program
must never look like a broken network, so `failure` holds the exception and the connection's owner
raises it instead of dialling again.

Time: `received_ns` is UTC anchored once when this module is loaded plus the monotonic clock (it
never steps), taken once per socket read (all frames of one read share it).
"""

import time
from importlib.metadata import version

from libc.stdint cimport int64_t, uint8_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from tickwright.core.errors import FrameError

from tickwright.book.order_book cimport LatencyHistogram

__all__ = ["FrameListener", "FrameSink", "PICOWS_BUILT_AGAINST", "picows_mismatch", "utc_now_ns"]

cdef extern from *:
    """
    #ifndef PICOWS_VERSION
    #define PICOWS_VERSION "unknown"
    #endif
    static const char* tw_picows_version = PICOWS_VERSION;
    """
    const char* tw_picows_version

PICOWS_BUILT_AGAINST = tw_picows_version.decode("ascii")

cdef int64_t _anchor_ns = 0


cdef int64_t _monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * 1_000_000_000 + now.tv_nsec


_anchor_ns = <int64_t> time.time_ns() - _monotonic_ns()


cdef int64_t utc_ns() noexcept nogil:
    return _anchor_ns + _monotonic_ns()


def utc_now_ns():
    """Return UTC nanoseconds that never step.

    The wall clock at start plus the monotonic clock since.
    """
    return utc_ns()


def picows_mismatch():
    """Say what is wrong when another picows is installed than was compiled against, else None."""
    installed = version("picows")
    if installed == PICOWS_BUILT_AGAINST:
        return None
    return (
        f"tickwright was compiled against picows {PICOWS_BUILT_AGAINST}, but picows {installed} is "
        f"installed; run `pip install picows=={PICOWS_BUILT_AGAINST}`, or build tickwright again "
        "(`make build`)"
    )


cdef class FrameSink:
    """Takes the frames of one connection.

    Override `on_bytes` in Python, or `on_frame` in compiled code.
    """

    cdef int on_frame(
        self, const uint8_t* data, Py_ssize_t size, int64_t received_ns, bint last
    ) except -1:
        self.on_bytes((<const char*> data)[:size], received_ns, last)
        return 0

    cdef int on_read_end(self, int64_t received_ns) except -1:
        """Learn that a socket read is over whose last frame was none of yours."""
        return 0

    def on_bytes(self, bytes frame, int64_t received_ns, bint last):
        """Take one whole message; `last` marks the last one of a socket read."""
        raise FrameError(f"{type(self).__name__} takes no frames")

    def feed(self, bytes frame, int64_t received_ns, *, bint last=True):
        """Pass a frame in as if a socket had read it: for replays and tests."""
        cdef const char* data = frame
        self.on_frame(<const uint8_t*> data, len(frame), received_ns, last)


cdef class FrameListener(WSListener):
    """Feeds the frames of one picows connection to a sink and keeps the figures of its reads.

    Args:
        sink: takes the frames.
        when_connected: called without arguments after the handshake.
        when_disconnected: called without arguments once the transport is gone.
        message_bytes_max: a message joined of fragments may be this long; more shuts the listener.
    """

    def __init__(
        self, FrameSink sink, *, when_connected=None, when_disconnected=None,
        Py_ssize_t message_bytes_max=8 * 1024 * 1024,
    ):
        self.sink = sink
        self.when_connected = when_connected
        self.when_disconnected = when_disconnected
        self.message_bytes_max = message_bytes_max
        self.turn_time = LatencyHistogram()
        self.fragments = bytearray()
        self.close_reason = ""

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        self.last_frame_ns = utc_ns()
        if self.when_connected is not None:
            self.when_connected()

    cpdef on_ws_disconnected(self, WSTransport transport):
        if self.when_disconnected is not None:
            self.when_disconnected()

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef bint last = frame.last_in_buffer
        if self.is_shut:
            return
        if self.turn_frames == 0:
            self.turn_ns = utc_ns()
            self.last_frame_ns = self.turn_ns
            self.turn_count += 1
        self.turn_frames += 1
        try:
            if (
                frame.msg_type == WSMsgType.TEXT
                and frame.fin
                and not self.in_fragments
                and not frame.rsv1
            ):
                self.deliver(<const uint8_t*> frame.payload_ptr, frame.payload_size, last)
            elif frame.msg_type == WSMsgType.CLOSE:
                self.close_reason = f"closed by the venue with code {int(frame.get_close_code())}"
                transport.disconnect(False)
            elif frame.msg_type == WSMsgType.PONG or frame.msg_type == WSMsgType.PING:
                pass
            else:
                self.take_fragment(transport, frame)
            if last and self.is_read_open:
                self.is_read_open = False
                self.sink.on_read_end(self.turn_ns)
        except BaseException as error:
            # Whatever it is, it must not look like the network's fault: see the module's first
            # paragraph.
            self.shut(error)
            transport.disconnect(False)
        if last:
            self.turn_time.add(utc_ns() - self.turn_ns)
            if self.turn_frames > self.turn_frames_max:
                self.turn_frames_max = self.turn_frames
            self.turn_frames = 0

    cdef int deliver(self, const uint8_t* data, Py_ssize_t size, bint last) except -1:
        self.frame_count += 1
        self.byte_count += size
        self.is_read_open = not last
        return self.sink.on_frame(data, size, self.turn_ns, last)

    cdef int take_fragment(self, WSTransport transport, WSFrame frame) except -1:
        """Join the parts of a message (picows hands them out one by one), bounded."""
        cdef bytes whole
        cdef const char* data
        if frame.rsv1:
            return self.give_up(transport, "the venue sent a compressed frame, never agreed on")
        if (frame.msg_type == WSMsgType.CONTINUATION) != self.in_fragments:
            return self.give_up(transport, "the venue broke the order of message fragments")
        self.fragment_count += 1
        self.fragments += (<const char*> frame.payload_ptr)[: frame.payload_size]
        if len(self.fragments) > self.message_bytes_max:
            return self.give_up(
                transport, f"a fragmented message is longer than {self.message_bytes_max} bytes"
            )
        self.in_fragments = not frame.fin
        if frame.fin:
            whole = bytes(self.fragments)
            self.fragments = bytearray()
            data = whole
            self.deliver(<const uint8_t*> data, len(whole), frame.last_in_buffer)
        return 0

    cdef int give_up(self, WSTransport transport, str reason) except -1:
        """End a connection whose peer breaks the protocol: a fault of the world, dialled again."""
        self.is_shut = True
        self.close_reason = reason
        self.fragments = bytearray()
        transport.disconnect(False)
        return 0

    cdef void shut(self, object failure):
        self.is_shut = True
        self.failure = failure

    def send_text(self, bytes message):
        """Hand one text message to the socket; returns False when the connection is gone."""
        if self.transport is None or self.transport.is_disconnected:
            return False
        self.transport.send(WSMsgType.TEXT, message)
        return True

    def abort(self):
        """Drop the connection at once.

        No closing handshake, which a dead peer would never answer.
        """
        if self.transport is not None:
            self.transport.disconnect(False)
