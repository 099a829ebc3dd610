"""Owns what the kill switch asks of Bybit: rows as they come, no instrument needed to read them.

It refuses to depend on anything that may be broken in a trader: no socket, no instrument list, no
order book. A query that failed raises; it is never an empty answer.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from tickwright.core.errors import FrameError, VenueError
from tickwright.core.identity import Category
from tickwright.venues.bybit.account_calls import (
    CANCEL_ALL_PATH,
    SETTLE_ASSETS,
    Row,
    cancel_in_turns,
    pages,
    row_of,
    scopes_of,
)
from tickwright.venues.bybit.private_wire import KeyRow, OrderRow, PositionRow
from tickwright.venues.bybit.rest_call import Pairs, RestAnswered, RestCaller
from tickwright.venues.bybit.wire import shortened
from tickwright.venues.port import HeldPosition, RestingOrder

__all__ = ["BybitEmergencyClient"]

_AREAS = {
    Category.SPOT: ("Spot",),
    Category.LINEAR: ("ContractTrade", "Derivatives"),
    Category.INVERSE: ("ContractTrade", "Derivatives"),
    Category.OPTION: ("Options", "Derivatives"),
}
_ALREADY_GONE = frozenset({110001, 170213, 170142, 170139, 110008, 110010})
_NOTHING_HELD = frozenset({110017})

T = TypeVar("T")


class BybitEmergencyClient:
    """See `port.EmergencyClient`; one account, all product lines it is given."""

    cancels_per_s = 10
    """What the venue lets an account cancel one by one in a second."""

    def __init__(
        self,
        caller: RestCaller,
        categories: Sequence[Category],
        *,
        settle_assets: Iterable[str] = SETTLE_ASSETS,
    ) -> None:
        self._caller = caller
        self._categories = tuple(categories)
        self._settle_assets = tuple(settle_assets)

    async def synchronise(self) -> tuple[Category, ...]:
        """Measure the venue's clock, and leave out what the key has no rights on.

        Returns the product lines left out: nobody with this key can have orders there.
        """
        await self._caller.server_clock()
        answer = await self._caller.get("/v5/user/query-api", group="query-api", is_signed=True)
        rights = answer.read(KeyRow).permissions
        left_out = tuple(
            category
            for category in self._categories
            if not any(rights.get(area) for area in _AREAS[category])
        )
        if len(left_out) == len(self._categories):
            raise VenueError(0, "the kill switch's key may not trade", what="/v5/user/query-api")
        self._categories = tuple(one for one in self._categories if one not in left_out)
        return left_out

    async def orders(self) -> tuple[RestingOrder, ...]:
        """Read every order that could still fill, conditional ones too."""
        listings = []
        for category in self._categories:
            filters = ("Order", "StopOrder", "tpslOrder") if category is Category.SPOT else ("",)
            for scope in scopes_of(category, self._settle_assets):
                for kind in filters:
                    pairs = (*scope, ("openOnly", "0"), ("limit", "50"), ("orderFilter", kind))
                    listings.append(self._listed(category, pairs))
        found = {one.venue_id: one for listing in await _together(listings) for one in listing}
        return tuple(found.values())

    async def _listed(self, category: Category, pairs: Pairs) -> list[RestingOrder]:
        path, group = "/v5/order/realtime", "order/realtime"
        return [_order(raw, category) async for raw, _ in pages(self._caller, path, pairs, group)]

    async def cancel_all(self) -> int:
        """Cancel all plain orders; returns how many the venue named. Stops stay."""
        return await self._cancel_all("Order")

    async def cancel_stops(self) -> int:
        """Cancel all conditional orders, protective stops too."""
        return await self._cancel_all("StopOrder")

    async def cancel(self, order: RestingOrder) -> None:
        """Cancel one order; already being gone is success."""
        body: dict[str, str] = {
            "category": order.category.value,
            "symbol": order.symbol,
            "orderId": order.venue_id,
        }
        if order.category is Category.SPOT and order.is_conditional:
            body["orderFilter"] = order.filter
        await self._post("/v5/order/cancel", body, "cancel", forgiven=_ALREADY_GONE)

    async def positions(self) -> tuple[HeldPosition, ...]:
        """Read every position that isn't flat; spot has none."""
        found = []
        for category in self._categories:
            if category is Category.SPOT:
                continue
            for scope in scopes_of(category, self._settle_assets):
                pairs = (*scope, ("limit", "200"))
                async for raw, _ in pages(
                    self._caller, "/v5/position/list", pairs, "position/list"
                ):
                    position = _position(raw, category)
                    if position.size:
                        found.append(position)
        return tuple(found)

    async def close(self, position: HeldPosition) -> None:
        """Close a position at the market, reduce-only; nothing being held is success."""
        body = {
            "category": position.category.value,
            "symbol": position.symbol,
            "side": "Sell" if position.size > 0 else "Buy",
            "orderType": "Market",
            "qty": f"{abs(position.size):f}",
            "reduceOnly": True,
            "positionIdx": position.index,
        }
        await self._post("/v5/order/create", body, "create", forgiven=_NOTHING_HELD)

    async def _cancel_all(self, kind: str) -> int:
        scopes = [
            scope
            for category in self._categories
            for scope in scopes_of(category, self._settle_assets)
        ]

        async def post(body: dict[str, str]) -> RestAnswered:
            return await self._post(CANCEL_ALL_PATH, body, "cancel-all")

        # One that fails or is slow holds no other back.
        return sum(await _together(cancel_in_turns(post, (scope,), kind) for scope in scopes))

    async def _post(
        self,
        path: str,
        body: dict[str, Any],
        verb: str,
        *,
        forgiven: frozenset[int] = frozenset(),
    ) -> RestAnswered:
        clock = self._caller.clock
        if clock.is_doubted:
            await self._caller.server_clock()
            clock.is_doubted = False
        answer = await self._caller.post(
            path,
            msgspec.json.encode(body),
            group=f"{verb}.{body['category']}",
            is_urgent=True,
        )
        if answer.code and answer.code not in forgiven:
            raise VenueError(answer.code, answer.text, what=path)
        return answer


async def _together(work: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all of it, also when one fails; then raise what failed first."""
    found = await asyncio.gather(*work, return_exceptions=True)
    done = []
    for one in found:
        if isinstance(one, BaseException):
            raise one
        done.append(one)
    return done


def _order(raw: Row, category: Category) -> RestingOrder:
    row = row_of(raw, OrderRow)
    is_conditional = row.orderStatus == "Untriggered" or bool(row.triggerPrice.strip("0."))
    reduces = row.reduceOnly or (category is Category.SPOT and row.side == "Sell")
    return RestingOrder(
        category=category,
        symbol=row.symbol,
        venue_id=row.orderId,
        client_id=row.orderLinkId,
        parent_id=row.parentOrderLinkId,
        is_conditional=is_conditional and row.orderStatus == "Untriggered",
        is_protective=is_conditional and row.orderStatus == "Untriggered" and reduces,
        filter="tpslOrder" if "TakeProfit" in row.stopOrderType else "StopOrder",
    )


def _position(raw: Row, category: Category) -> HeldPosition:
    row = row_of(raw, PositionRow)
    try:
        size = Decimal(row.size or "0")
    except InvalidOperation:
        raise FrameError(f"position size {shortened(row.size)} is no number") from None
    return HeldPosition(
        category=category,
        symbol=row.symbol,
        size=-size if row.side == "Sell" else size,
        index=row.positionIdx,
    )
