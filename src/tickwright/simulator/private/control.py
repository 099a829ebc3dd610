"""Owns `GET /control/ledger`: accounts, orders, executions, the proof of balance; no secret.

Not a venue path: tests and tools read here what the venue really holds, without signing.
"""

from typing import Any

import msgspec
from aiohttp import web

from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.shapes import execution_row, money_text, order_row

__all__ = ["LedgerControl", "ledger_report"]


def ledger_report(desk: Desk, *, limit: int = 1_000) -> dict[str, Any]:
    """Return every account with its latest orders and executions, and what doesn't balance."""
    faults = desk.ledger.faults() + desk.faults()
    return {
        "now_ns": desk.venue.now_ns,
        "balanced": not faults,
        "faults": faults,
        "accounts": [_account(desk, account, limit) for account in desk.accounts.by_uid.values()],
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
        "executions": [execution_row(e) for e in list(store.executions)[-limit:][::-1]],
    }


class LedgerControl:
    """Answers the ledger's control endpoint."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def mount(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/control/ledger", self._get_ledger)

    async def _get_ledger(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "1000")
        if not (text.isascii() and text.isdigit() and len(text) < 8):
            body = msgspec.json.encode({"error": "limit must be a whole number"})
            return web.Response(status=400, body=body, content_type="application/json")
        report = ledger_report(self._desk, limit=int(text))
        return web.Response(body=msgspec.json.encode(report), content_type="application/json")
