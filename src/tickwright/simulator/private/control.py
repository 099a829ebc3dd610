"""Owns `/control/ledger`, `/control/mark` and `/control/funding`; tells no secret.

Not a venue path: tests and tools read here what the venue really holds, without signing.
"""

from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from tickwright.core.errors import ConfigError, UnitsError
from tickwright.core.identity import Category
from tickwright.core.units import units_from_text
from tickwright.simulator.market import SymbolMarket
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.shapes import execution_row, money_text, order_row
from tickwright.simulator.sources.operations import MarketFacts

__all__ = ["FundingOrder", "LedgerControl", "MarkOrder", "ledger_faults", "ledger_report"]

_RATE_E8_MAX = 10**8
_FUNDING_IN_S_MAX = 1e6


def ledger_faults(desk: Desk) -> list[str]:
    """Return what doesn't balance, in the ledger and between it and the books."""
    return desk.ledger.faults() + desk.faults()


def ledger_report(desk: Desk, *, limit: int = 1_000) -> dict[str, Any]:
    """Return every account with its latest orders and executions, and what doesn't balance."""
    faults = ledger_faults(desk)
    return {
        "now_ns": desk.venue.now_ns,
        "balanced": not faults,
        "faults": faults,
        "accounts": [_account(desk, account, limit) for account in desk.accounts.by_uid.values()],
        "liquidations": desk.liquidator.count,
        "house": {asset: money_text(sum_) for asset, sum_ in desk.ledger.house.wallet.items()},
    }


def _account(desk: Desk, account: Account, limit: int) -> dict[str, Any]:
    store = desk.stores[account.uid]
    ledger = account.ledger
    settlement = desk.settlement
    live = sorted(store.live.values(), key=lambda order: order.number, reverse=True)
    keys = [key.key for key in desk.accounts.keys.values() if key.account is account]
    return {
        "uid": account.uid,
        "keys": keys,
        "wallet": {asset: money_text(amount) for asset, amount in ledger.wallet.items()},
        "deposits": {asset: money_text(amount) for asset, amount in ledger.deposits.items()},
        "fees": {asset: money_text(amount) for asset, amount in ledger.fees.items()},
        "realised": {asset: money_text(amount) for asset, amount in ledger.realised.items()},
        "funding": {asset: money_text(amount) for asset, amount in ledger.funding.items()},
        "positions": [
            settlement.position_row(
                account, desk.desk_of(settlement.linear_market(symbol)), index, is_stream=True
            )
            for (symbol, index), position in ledger.positions.items()
            if position.size_units or position.flow
        ],
        "open_orders": [order_row(order) for order in live[:limit]],
        "closed_orders": [order_row(order) for order in list(store.finals())[:limit]],
        "executions": [
            execution_row(e) | {"cause": e.cause, "matchId": str(e.match_id)}
            for e in list(store.executions)[-limit:][::-1]
        ],
    }


class MarkOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of pinning a mark price."""

    symbol: str
    mark: str | None = None


class FundingOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a funding payment out of turn."""

    symbol: str
    rate: str | None = None
    in_s: float = 0.0


class LedgerControl:
    """Answers the ledger's control endpoint."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def mount(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/control/ledger", self._get_ledger)
        app.router.add_post("/control/mark", self._post_mark)
        app.router.add_post("/control/funding", self._post_funding)

    async def _get_ledger(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "1000")
        if not (text.isascii() and text.isdigit() and len(text) < 8):
            body = msgspec.json.encode({"error": "limit must be a whole number"})
            return web.Response(status=400, body=body, content_type="application/json")
        report = ledger_report(self._desk, limit=int(text))
        return web.Response(body=msgspec.json.encode(report), content_type="application/json")

    async def _post_mark(self, request: web.Request) -> web.Response:
        """Pin a contract's mark price, `{"symbol", "mark"}`; null leaves it to the book again."""
        try:
            order = _read(await request.read(), MarkOrder)
            market = self._market(order.symbol)
            mark = None
            if order.mark is not None:
                decimals = market.instrument.price_decimals
                mark = units_from_text(order.mark, decimals)
                if mark <= 0:
                    raise ConfigError("mark must be above 0")
        except (ConfigError, UnitsError) as error:
            return _refusal(str(error))
        facts = market.facts
        market.facts = MarketFacts(mark, facts.index_units, facts.funding_e8)
        market.book.changed(self._desk.venue.now_ns, 1)
        return _answer({"symbol": order.symbol, "mark": order.mark})

    async def _post_funding(self, request: web.Request) -> web.Response:
        """Pay funding now, or `in_s` seconds from now, at `rate` or at the present rate."""
        try:
            order = _read(await request.read(), FundingOrder)
            market = self._market(order.symbol)
            rate_e8 = None
            if order.rate is not None:
                rate_e8 = int(Decimal(order.rate).scaleb(8))
                if abs(rate_e8) > _RATE_E8_MAX:
                    raise ConfigError("rate is out of range")
            if not 0 <= order.in_s <= _FUNDING_IN_S_MAX:
                raise ConfigError("in_s is out of range")
        except (ConfigError, InvalidOperation) as error:
            return _refusal(str(error) or "rate is not a number")
        desk = self._desk
        due_ns = desk.venue.now_ns + int(order.in_s * 1e9)
        desk.venue.schedule(due_ns, lambda _: desk.pay_funding(market, rate_e8))
        return _answer({"symbol": order.symbol, "due_ns": due_ns})

    def _market(self, symbol: str) -> SymbolMarket:
        market = self._desk.venue.markets.get((Category.LINEAR, symbol))
        if market is None:
            raise ConfigError(f"no contract {symbol!r}")
        return market


_Order = TypeVar("_Order")


def _read(body: bytes, kind: type[_Order]) -> _Order:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(str(error)) from None


def _answer(body: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _refusal(text: str) -> web.Response:
    body = msgspec.json.encode({"error": text})
    return web.Response(status=400, body=body, content_type="application/json")
