"""A REST server between a program and a simulated venue: it answers some questions by itself."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

__all__ = ["Answers", "between"]

Answers = dict[str, bytes]
"""What is answered instead of the venue's own answer, by the end of the path."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rest = ""
    answers: ClassVar[Answers] = {}

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        for end, body in self.answers.items():
            if path.endswith(end):
                self._send(200, body)
                return
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _pass_on(self, body: bytes | None) -> None:
        request = urllib.request.Request(self.rest + self.path, data=body)
        for name, value in self.headers.items():
            if name.lower().startswith("x-bapi") or name.lower() == "content-type":
                request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self._send(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._send(error.code, error.read())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:
        """Say nothing."""


@contextmanager
def between(rest: str, answers: Answers) -> Iterator[str]:
    """Yield the address of a server that answers `answers` itself and passes the rest on."""
    handler = type("Handler", (_Handler,), {"rest": rest, "answers": answers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
