"""Owns the receiving side of the socket benchmarks: one client, one run, one process.

``python -m tickwright.bench.client NAME --url URL --tape FOLDER`` subscribes, reads until the
sender closes, and prints one JSON report: messages, seconds from the first frame to the last, CPU
seconds of this process in that time (kernel included), peak memory, the touch of every book at the
end and, for a paced run, latency percentiles from the moment each frame was due to the entry of the
Python callback. A client records the clock in a preallocated array and computes nothing until the
run is over.
"""

import argparse
import asyncio
import gc
import json
import resource
import ssl
import sys
import time
import urllib.request
from array import array
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tickwright.bench.figures import latency_us
from tickwright.bench.machine import pin
from tickwright.bench.rivals import Caller, Features, Reader, Top
from tickwright.bench.senders import Plan
from tickwright.bench.tape import Tape, load_tape
from tickwright.net.loop import make_loop_factory

__all__ = ["CLIENTS", "Recorder", "fetch_plan", "main"]

CLIENTS: Final = ("count-only", "ours", "composed", "article")
#: The first frames of a paced run warm caches and buffers and are not judged.
WARM_UP_FRAMES: Final = 1_000
_PLAN_TIMEOUT_S: Final = 10.0


class Recorder(Caller):
    """Counts callbacks and, when asked to, notes when each frame reached the strategy.

    ``arrivals[k]`` is the monotonic time of frame ``k``, 0 when the frame reached no callback.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.arrivals = array("q", bytes(8 * capacity))
        self.first_ns = 0
        self.first_cpu_ns = 0
        self.stack: Reader | None = None

    def on_first(self) -> None:
        """Start the clocks: the first frame is here."""
        self.first_cpu_ns = time.process_time_ns()
        self.first_ns = time.monotonic_ns()

    def on_book_timed(self, symbol: str, *features: float) -> None:
        """Be the strategy of a paced run: note the time at entry."""
        now = time.monotonic_ns()
        self.updates += 1
        assert self.stack is not None
        self.arrivals[self.stack.frames - 1] = now

    def on_frame_timed(self) -> None:
        """Note the time of a frame that nobody reads."""
        now = time.monotonic_ns()
        assert self.stack is not None
        self.arrivals[self.stack.frames - 1] = now


def fetch_plan(url: str) -> Plan:
    """Ask the sender what it sent in the run that just ended."""
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else "http"
    context = ssl._create_unverified_context() if scheme == "https" else None
    address = f"{scheme}://{parts.netloc}/plan"
    with urllib.request.urlopen(address, timeout=_PLAN_TIMEOUT_S, context=context) as reply:
        return Plan(**json.load(reply))


def _insecure_context(url: str) -> ssl.SSLContext | None:
    """Return a client context for the sender's throw-away certificate, None for plain sockets."""
    if not url.startswith("wss"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _rival(
    name: str, url: str, tape: Tape, features: Features, recorder: Recorder, *, is_timed: bool
) -> tuple[Reader, Coroutine[Any, Any, None]]:
    """Return the named stack and the coroutine that reads the socket for it."""
    context = _insecure_context(url)
    if name == "ours":
        from tickwright.bench import ours

        client = ours.OursClient(
            tape, features, recorder.on_first, recorder.arrivals if is_timed else None
        )
        return client, client.listen(url, context)
    symbols = [instrument.symbol for instrument in tape.instruments]
    callback = recorder.on_book_timed if is_timed else recorder.on_book
    if name == "article":
        from tickwright.bench.rivals import article

        stack = article.ArticleStack(symbols, callback, features)
        return stack, article.listen(url, tape.topics, stack, context, recorder.on_first)
    if name == "composed":
        from tickwright.bench.rivals import composed

        listener = composed.ComposedStack(symbols, callback, features, recorder.on_first)
        return listener, composed.listen(url, tape.topics, listener, context)
    from tickwright.bench.rivals import count_only

    counter = count_only.CountOnly(recorder.on_frame_timed if is_timed else None, recorder.on_first)
    return counter, count_only.listen(url, tape.topics, counter, context)


def run(loop: str, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on asyncio, uvloop, busy_poll or ``coalesce:MICROSECONDS``."""
    name, _, pause = loop.partition(":")
    factory = make_loop_factory(
        busy_poll=name == "busy_poll",
        coalesce_us=int(pause or "0"),
        wants_uvloop=name == "uvloop",
    )
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


def report(
    recorder: Recorder,
    stack: Reader,
    *,
    ended_ns: int,
    ended_cpu_ns: int,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Return the figures of one run as a JSON document."""
    seconds = (ended_ns - recorder.first_ns) / 1e9
    cpu_seconds = (ended_cpu_ns - recorder.first_cpu_ns) / 1e9
    tops: dict[str, Top] = stack.tops()
    return arguments | {
        "messages": stack.frames,
        "seconds": seconds,
        "messages_per_s": stack.frames / seconds,
        "cpu_seconds": cpu_seconds,
        "cpu_s_per_million": cpu_seconds / stack.frames * 1e6,
        "cpu_share": cpu_seconds / seconds,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "tops": {symbol: list(top) for symbol, top in sorted(tops.items())},
    }


def paced_figures(recorder: Recorder, plan: Plan) -> dict[str, Any]:
    """Return the latency of every judged frame, due to callback, with the sender's own delays."""
    arrivals = recorder.arrivals
    samples = [
        at - plan.due_ns(index)
        for index, at in enumerate(arrivals[: plan.frames])
        if at and index >= WARM_UP_FRAMES
    ]
    return {
        "latency_us": latency_us(samples),
        "rate": plan.rate,
        "send_shape": plan.send_shape,
        "sender_late_us": {"p99": plan.late_us_p99, "max": plan.late_us_max},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one client against a sender and print its report."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.client")
    parser.add_argument("name", choices=CLIENTS)
    parser.add_argument(
        "--url", required=True, help="sender address with its path, e.g. ws://.../flood"
    )
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--loop", default="asyncio", help="asyncio, uvloop, busy_poll, coalesce:US")
    parser.add_argument("--features", choices=("touch", "full"), default="touch")
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    tape = load_tape(options.tape)
    is_timed = urlsplit(options.url).path.startswith("/paced")
    recorder = Recorder(len(tape.frames))
    stack, work = _rival(
        options.name, options.url, tape, options.features, recorder, is_timed=is_timed
    )
    recorder.stack = stack
    gc.collect()
    gc.freeze()
    run(options.loop, work)
    ended_cpu_ns, ended_ns = time.process_time_ns(), time.monotonic_ns()
    stack.finish()
    about = {"name": options.name, "loop": options.loop, "features": options.features}
    figures = report(recorder, stack, ended_ns=ended_ns, ended_cpu_ns=ended_cpu_ns, arguments=about)
    if is_timed:
        figures |= paced_figures(recorder, fetch_plan(options.url))
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
