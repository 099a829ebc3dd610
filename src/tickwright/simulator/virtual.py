"""Owns running a whole venue under a virtual clock, with a crowd on it; refuses sockets.

Every output (public frames, private messages, answers) goes into one hash in the order it is made:
same options, same hash, in every process. The machine's clock is read to say how long it took, and
for nothing else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.crowd import Crowd, CrowdCounts, crowd_accounts
from tickwright.simulator.private.control import ledger_faults
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.run import SimulatorOptions, build_venue
from tickwright.simulator.whole import WholeVenue

__all__ = [
    "CROWD_ACCOUNTS_MAX",
    "ORDERS_PER_S_MAX",
    "SECONDS_MAX",
    "START_NS",
    "SYMBOLS_DEFAULT",
    "FaultCount",
    "VirtualOptions",
    "VirtualReport",
    "VirtualRun",
]

START_NS = 1_767_225_600_000_000_000
"""Where the virtual clock begins: the first of January 2026, UTC."""
SYMBOLS_DEFAULT = 5
"""Symbols a run lists in each category unless told otherwise."""
SECONDS_MAX = 366 * 86_400
ORDERS_PER_S_MAX = 1_000.0
CROWD_ACCOUNTS_MAX = 100

_STEP_NS = 1_000_000_000
_ACCOUNTS_MIN = 5
_REQUESTS_PER_ACCOUNT = 5.0
"""Requests a second of one account, well below what the venue allows it."""
_PRIVATE_TOPICS = ("order", "execution", "position", "wallet")


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualOptions:
    """How long to run, and with what on the market.

    `seconds` of venue time; the crowd sends `orders_per_s` requests over all accounts, 0: there is
    no crowd. Every symbol's depth-50 book, trades and tickers are subscribed.
    """

    seconds: float
    orders_per_s: float = 2.0
    start_ns: int = START_NS


class FaultCount(msgspec.Struct, frozen=True):
    """A fault of the plan: how often it was armed, how often it hit."""

    kind: str
    topic: str
    armed: int
    hit: int


class VirtualReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run made; all but the wall time and the ratio is the same in every run."""

    seed: int
    symbols: int
    virtual_s: float
    wall_s: float
    times_real: float
    frames: int
    messages: int
    answers: int
    output_bytes: int
    requests: int
    orders: int
    refused: int
    lost: int
    executions: int
    liquidations: int
    is_balanced: bool
    ledger_faults: list[str]
    faults: list[FaultCount]
    hash: str


class VirtualRun:
    """One run; `run` moves its clock to the end.

    Raises:
        ConfigError: options that can't be.
    """

    def __init__(self, options: SimulatorOptions, virtual: VirtualOptions) -> None:
        if not 0 < virtual.seconds <= SECONDS_MAX:
            raise ConfigError(f"seconds must be above 0 and at most {SECONDS_MAX}")
        if not 0 <= virtual.orders_per_s <= ORDERS_PER_S_MAX:
            raise ConfigError(f"orders a second must be 0 to {ORDERS_PER_S_MAX:g}")
        if options.rate:
            raise ConfigError("a rate beyond the push intervals is for sockets")
        self._options = options
        self._virtual = virtual
        venue, faults = build_venue(options, start_ns=virtual.start_ns)
        wanted = max(_ACCOUNTS_MIN, int(virtual.orders_per_s / _REQUESTS_PER_ACCOUNT) + 1)
        accounts = crowd_accounts(venue, min(CROWD_ACCOUNTS_MAX, wanted))
        self.whole = WholeVenue(venue, faults, PrivateOptions(accounts=accounts, seed=options.seed))
        self._digest = blake2b(digest_size=32)
        # What was made since the last step: frames append to it with the list's own method.
        self._made: list[bytes] = []
        self._frames = self._messages = self._answers = self._bytes = 0
        self._wall_s = 0.0
        for category in Category:
            symbols = [symbol for kind, symbol in venue.markets if kind is category]
            if symbols:
                session = self.whole.public(category, self._made.append)
                for symbol in symbols:
                    session.subscribe(
                        f"orderbook.50.{symbol}", f"publicTrade.{symbol}", f"tickers.{symbol}"
                    )
        for key in self.whole.accounts.keys.values():
            self.whole.private(key, self._take_message, *_PRIVATE_TOPICS)
        self._crowd: Crowd | None = None
        if virtual.orders_per_s:
            rng = Random(f"crowd:{options.seed}")
            self._crowd = Crowd(
                self.whole, rng, self._take_answer, requests_per_s=virtual.orders_per_s
            )
            self._crowd.begin()

    def run(self, on_progress: Callable[[float], None] = lambda done_s: None) -> VirtualReport:
        """Move the clock to the end; `on_progress` is told the venue seconds done, each step."""
        start_ns = self._virtual.start_ns
        end_ns = start_ns + int(self._virtual.seconds * 1e9)
        begun = time.perf_counter()
        while self.whole.now_ns < end_ns:
            self.whole.advance(min(self.whole.now_ns + _STEP_NS, end_ns))
            self._digest_made()
            on_progress((self.whole.now_ns - start_ns) / 1e9)
        self._wall_s += time.perf_counter() - begun
        return self.report()

    def report(self) -> VirtualReport:
        """Return what was made so far."""
        self._digest_made()
        desk = self.whole.desk
        wrong = ledger_faults(desk)
        virtual_s = (self.whole.now_ns - self._virtual.start_ns) / 1e9
        counts = CrowdCounts() if self._crowd is None else self._crowd.counts
        return VirtualReport(
            seed=self._options.seed,
            symbols=len(self.whole.venue.markets),
            virtual_s=virtual_s,
            wall_s=round(self._wall_s, 3),
            times_real=round(virtual_s / self._wall_s, 1) if self._wall_s else 0.0,
            frames=self._frames - self._messages - self._answers,
            messages=self._messages,
            answers=self._answers,
            output_bytes=self._bytes,
            requests=counts.requests,
            orders=counts.orders,
            refused=counts.refused,
            lost=counts.lost,
            executions=sum(
                len(store.executions) + store.executions_forgotten for store in desk.stores.values()
            ),
            liquidations=desk.liquidator.count,
            is_balanced=not wrong,
            ledger_faults=wrong,
            faults=[
                FaultCount(fault.spec.kind.value, fault.spec.topic, fault.armed, fault.hit)
                for fault in self.whole.faults.faults
            ],
            hash=self._digest.hexdigest(),
        )

    def _take_message(self, payload: bytes) -> None:
        self._messages += 1
        self._made.append(payload)

    def _take_answer(self, payload: bytes) -> None:
        self._answers += 1
        self._made.append(payload)

    def _digest_made(self) -> None:
        made = self._made
        if not made:
            return
        # JSON has no line feed in it: the pieces cannot be cut otherwise.
        made.append(b"")
        text = b"\n".join(made)
        self._digest.update(text)
        self._frames += len(made) - 1
        self._bytes += len(text) - (len(made) - 1)
        made.clear()
