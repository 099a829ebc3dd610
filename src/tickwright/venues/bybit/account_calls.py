"""Owns calls that go over a whole account: pages of a listing, its scopes, cancel-all in turns.

It refuses to read more than one page knows of an order: rows are given as they came, and what reads
them says what they mean.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec

from tickwright.core.errors import FrameError
from tickwright.core.identity import Category
from tickwright.venues.bybit.private_wire import Listing
from tickwright.venues.bybit.rest_call import Pairs, RestAnswered, RestCaller
from tickwright.venues.bybit.wire import shortened

__all__ = [
    "CANCEL_ALL_PATH",
    "SETTLE_ASSETS",
    "Row",
    "cancel_in_turns",
    "pages",
    "row_of",
    "scopes_of",
]

PAGES_MAX = 200
SETTLE_ASSETS = ("USDT", "USDC")
"""Whose linear contracts are asked for: the venue wants one named."""
CANCEL_ALL_PATH = "/v5/order/cancel-all"
_CANCELLED_PER_CALL = 500
_CANCEL_CALLS_MAX = 20

Row = dict[str, Any]
T = TypeVar("T")


def scopes_of(category: Category, settle_assets: Iterable[str]) -> list[Pairs]:
    """Return the queries that together cover a category."""
    base = ("category", category.value)
    if category is Category.LINEAR:
        return [(base, ("settleCoin", asset)) for asset in settle_assets]
    return [(base,)]


def row_of(raw: Row, kind: type[T]) -> T:
    """Read a row as `kind`; raises FrameError."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise FrameError(f"{kind.__name__}: {error}: {shortened(str(raw))}") from None


async def pages(
    caller: RestCaller, path: str, pairs: Pairs, group: str
) -> AsyncIterator[tuple[Row, int]]:
    """Read every row of a listing, and when its page came.

    Raises:
        FrameError: it has no end; ConnectionLost, VenueError: as `RestCaller.get`.
    """
    cursor = ""
    for _ in range(PAGES_MAX):
        answer = await caller.get(path, pairs, group=group, cursor=cursor, is_signed=True)
        page = answer.read(Listing)
        received_ns = caller.now()
        for raw in page.list:
            yield raw, received_ns
        following = page.nextPageCursor or ""
        # The venue names a cursor after the last page too; the page after that is empty.
        if not following or following == cursor or not page.list:
            return
        cursor = following
    raise FrameError(f"{path} has no end after {PAGES_MAX} pages")


async def cancel_in_turns(
    post: Callable[[dict[str, str]], Awaitable[RestAnswered]], scopes: Iterable[Pairs], kind: str
) -> int:
    """Cancel all orders of the filter `kind` in `scopes`; returns how many the venue named.

    `post` makes one call and raises what it raises. A call cancels at most 500, so it is repeated.
    """
    cancelled = 0
    for scope in scopes:
        for _ in range(_CANCEL_CALLS_MAX):
            answer = await post({**dict(scope), "orderFilter": kind})
            count = len(answer.read(Listing).list)
            cancelled += count
            if count < _CANCELLED_PER_CALL:
                break
    return cancelled
