"""Owns the limit: a picows client that counts frames and reads nothing of them.

No stack on the same loop can be faster than this one, so it is the floor that latency and CPU
figures are divided by.
"""

import ssl
from collections.abc import Callable, Sequence

import picows

from tickwright.bench.rivals.contract import Top, subscribe_requests

__all__ = ["CountOnly", "listen"]


class CountOnly(picows.WSListener):
    """Counts the text frames of a socket; calls ``on_frame`` for each when there is one."""

    def __init__(
        self,
        on_frame: Callable[[], None] | None = None,
        on_first: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.frames = 0
        self._on_frame = on_frame
        self._on_first = on_first

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Count one frame; acknowledgements are not counted."""
        if frame.msg_type is not picows.WSMsgType.TEXT:
            if frame.msg_type is picows.WSMsgType.CLOSE:
                transport.disconnect()
            return
        if self._on_first is not None:
            if not frame.get_payload_as_bytes().startswith(b'{"topic"'):
                return
            self._on_first()
            self._on_first = None
        self.frames += 1
        if self._on_frame is not None:
            self._on_frame()

    def tops(self) -> dict[str, Top]:
        """Return nothing: it keeps no book."""
        return {}

    def finish(self) -> None:
        """Tidy nothing."""


async def listen(
    url: str, topics: Sequence[str], stack: CountOnly, context: ssl.SSLContext | None
) -> None:
    """Read until the sender closes."""
    transport, _ = await picows.ws_connect(lambda: stack, url, ssl_context=context)
    for request in subscribe_requests(topics):
        transport.send(picows.WSMsgType.TEXT, request.encode())
    await transport.wait_disconnected()
