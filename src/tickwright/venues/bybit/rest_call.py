"""Owns one REST call to Bybit: sign, pace, send, read the envelope; refuses to retry an order.

Queries are repeated a few times with jittered waits; whatever changes something is sent once. An
answer that isn't the venue's JSON is a `FrameError` with the beginning of its text.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar
from urllib.parse import quote

import msgspec

from tickwright.core.errors import ConfigError, ConnectionLost, FrameError, VenueError
from tickwright.core.events import ClockNotice
from tickwright.net.http import HttpClient, HttpResponse, NeverSent
from tickwright.venues.bybit.errors import Reaction, http_reaction, reaction_of
from tickwright.venues.bybit.limits import RestBudget, VenueClock
from tickwright.venues.bybit.private_wire import RestAnswer, TimeResult
from tickwright.venues.bybit.sign import RECV_WINDOW_MS, Credentials
from tickwright.venues.bybit.wire import read_strict, shortened
from tickwright.venues.port import Clock

__all__ = ["Pairs", "RestAnswered", "RestCaller", "query_text"]

ATTEMPTS_MAX = 4
WAIT_S_MAX = 10.0
"""Longest a query waits for its budget before it fails."""
_FIRST_WAIT_S = 0.2
_CURSOR_LENGTH_MAX = 1_024
_CURSOR_CHARACTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%-._~*+/:,"
)
_TIMESTAMP_CODES = (10002, -1)
_RATE_CODES = (10006, 170222)

Pairs = Sequence[tuple[str, str]]
T = TypeVar("T")


class RestAnswered(msgspec.Struct, frozen=True):
    """A readable answer, good or bad."""

    code: int
    text: str
    result: object
    venue_ns: int
    headers: dict[str, str]
    extra: object = None

    def read(self, kind: type[T]) -> T:
        """Read the result as `kind`; raises FrameError."""
        return _converted(self.result, kind)

    def read_extra(self, kind: type[T]) -> T:
        """Read what stands beside the result as `kind`; raises FrameError."""
        return _converted(self.extra, kind)


def _converted(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise FrameError(f"{kind.__name__}: {error}: {shortened(str(value))}") from None


def query_text(pairs: Pairs, cursor: str = "") -> str:
    """Return the query as it is sent and signed; a cursor comes encoded and stays as it came.

    Raises:
        FrameError: the cursor holds what can't stand in a query.
    """
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs if value)
    if not cursor:
        return text
    if len(cursor) > _CURSOR_LENGTH_MAX or not _CURSOR_CHARACTERS.issuperset(cursor):
        raise FrameError(f"the venue's cursor is unusable: {shortened(cursor)}")
    return f"{text}&cursor={cursor}" if text else f"cursor={cursor}"


class RestCaller:
    """Makes calls to one address, signed when credentials are given.

    Args:
        now: returns UTC nanoseconds.
        random: draws the jitter of repeated queries.
        budget: shared by all callers of one address.
        clock: shared by everything that stamps requests to the venue.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        now: Clock,
        random: Random,
        budget: RestBudget | None = None,
        clock: VenueClock | None = None,
        credentials: Credentials | None = None,
        recv_window_ms: int = RECV_WINDOW_MS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.http = http
        self.now = now
        self.budget = budget if budget is not None else RestBudget()
        self.clock = clock if clock is not None else VenueClock()
        self._random = random
        self._credentials = credentials
        self._recv_window_ms = recv_window_ms
        self._sleep = sleep

    async def get(
        self,
        path: str,
        pairs: Pairs = (),
        *,
        group: str = "",
        cursor: str = "",
        is_signed: bool = False,
    ) -> RestAnswered:
        """Ask, repeating what may pass; return the answer with code 0.

        Raises:
            ConnectionLost: no answer, or the address must be silent.
            FrameError: an answer that isn't the venue's JSON.
            VenueError: the venue refuses.
        """
        query = query_text(pairs, cursor)
        target = f"{path}?{query}" if query else path
        has_synced = False
        for attempt in range(ATTEMPTS_MAX):
            is_last = attempt == ATTEMPTS_MAX - 1
            try:
                await self._wait(group)
                headers = self._signed(query) if is_signed else None
                response = await self.http.request("GET", target, headers=headers)
                answer = self._read(response, group, path)
            except (ConnectionLost, FrameError):
                if is_last or self.budget.silent_for_ns(self.now()):
                    raise
            else:
                reaction = reaction_of(answer.code)
                if answer.code == 0:
                    return answer
                may_pass = reaction in (Reaction.RETRY, Reaction.UNKNOWN)
                if not may_pass or is_last:
                    raise VenueError(answer.code, answer.text, what=path)
                if answer.code in _TIMESTAMP_CODES:
                    if has_synced:
                        raise VenueError(answer.code, answer.text, what=path)
                    has_synced = True
                    self.clock.distrust()
                    await self.server_clock()
                    continue
            wait = _FIRST_WAIT_S * 2**attempt
            await self._sleep(wait / 2 + self._random.random() * wait / 2)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def post(
        self, path: str, body: bytes, *, group: str, is_urgent: bool, units: int = 1
    ) -> RestAnswered:
        """Send once; return the answer whatever its code. It costs `units` of the group's budget.

        Raises:
            NeverSent: no budget, the address must be silent, or no connection.
            ConnectionLost: it may have arrived.
            FrameError: it arrived, and the answer can't be read.
        """
        wait_ns = self.budget.take(group, self.now(), is_urgent=is_urgent, units=units)
        if wait_ns:
            raise NeverSent(f"{path}: request budget is used up for {wait_ns / 1e9:.1f} s")
        headers = self._signed(body.decode()) | {"Content-Type": "application/json"}
        response = await self.http.request("POST", path, headers=headers, body=body)
        answer = self._read(response, group, path)
        if answer.code in _TIMESTAMP_CODES:
            self.clock.distrust()
        return answer

    async def server_clock(self) -> ClockNotice:
        """Measure the venue's clock and use it from now on.

        Raises:
            ConnectionLost, FrameError, VenueError: as `get`, without repeating.
        """
        await self._wait("")
        asked_ns = self.now()
        response = await self.http.request("GET", "/v5/market/time")
        answered_ns = self.now()
        answer = self._read(response, "", "/v5/market/time")
        if answer.code != 0:
            raise VenueError(answer.code, answer.text, what="/v5/market/time")
        text = answer.read(TimeResult).timeNano
        if not (text.isascii() and text.isdigit() and 18 <= len(text) <= 19):
            raise FrameError(f"venue time {shortened(text)} is no number of nanoseconds")
        self.clock.measure(asked_ns, answered_ns, int(text))
        return ClockNotice(self.http.base_url, self.clock.offset_ns, self.clock.uncertainty_ns)

    async def _wait(self, group: str) -> None:
        waited_s = 0.0
        while wait_ns := self.budget.take(group, self.now()):
            if self.budget.silent_for_ns(self.now()):
                raise NeverSent(
                    f"the venue wants silence for {wait_ns / 1e9:.0f} s more (HTTP 403)"
                )
            waited_s += wait_ns / 1e9
            if waited_s > WAIT_S_MAX:
                raise NeverSent(f"request budget of {group or 'the address'} is used up")
            await self._sleep(wait_ns / 1e9)

    def _signed(self, payload: str) -> dict[str, str]:
        if self._credentials is None:
            raise ConfigError("this call needs an API key and secret")
        return self._credentials.rest_headers(
            payload,
            timestamp_ms=self.clock.venue_ms(self.now()),
            recv_window_ms=self._recv_window_ms,
        )

    def _read(self, response: HttpResponse, group: str, path: str) -> RestAnswered:
        now_ns = self.now()
        self.budget.learn(group, response.headers, now_ns, offset_ns=self.clock.offset_ns)
        if http_reaction(response.status) is Reaction.SILENCE:
            self.budget.silence(now_ns)
        try:
            answer = read_strict(response.body, RestAnswer)
        except FrameError:
            raise FrameError(
                f"{path}: HTTP {response.status} without the venue's JSON; a proxy or gateway may "
                f"answer in its place: look at what stands between, and try again: "
                f"{shortened(response.body)}"
            ) from None
        if answer.retCode in _RATE_CODES:
            self.budget.exceeded(group, now_ns)
        return RestAnswered(
            answer.retCode,
            answer.retMsg[:200],
            answer.result,
            answer.time * 1_000_000,
            response.headers,
            answer.retExtInfo,
        )
