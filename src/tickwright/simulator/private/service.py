"""Owns the private endpoints by name, for REST and the trade socket alike; refuses transport.

Every call goes the same way: permission, request budget, typed request, desk or query. A batch has
a verdict per order, and its outer verdict says OK even when every order failed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tickwright.core.identity import Category
from tickwright.simulator.private.accounts import Account, ApiKey
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.limits import Budget, RequestLimits
from tickwright.simulator.private.positions import PositionSettings
from tickwright.simulator.private.queries import Queries
from tickwright.simulator.private.records import VenueOrder
from tickwright.simulator.private.refusals import VenueRefusal, parameter
from tickwright.simulator.private.requests import (
    AmendRequest,
    BatchRequest,
    CancelAllRequest,
    CancelRequest,
    CreateRequest,
    LeverageRequest,
    ModeRequest,
    TradingStopRequest,
    read_request,
)
from tickwright.simulator.private.shapes import Row

__all__ = ["BATCH_MAX", "GETS", "POSTS", "SOCKET_OPS", "Answer", "Service"]

BATCH_MAX = {Category.SPOT: 10, Category.LINEAR: 20}

GETS = {
    "order.realtime": "/v5/order/realtime",
    "order.history": "/v5/order/history",
    "execution.list": "/v5/execution/list",
    "position.list": "/v5/position/list",
    "account.wallet-balance": "/v5/account/wallet-balance",
    "account.fee-rate": "/v5/account/fee-rate",
    "account.info": "/v5/account/info",
    "user.query-api": "/v5/user/query-api",
}
"""Reading endpoints by name, with their paths."""
POSTS = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.cancel-all": "/v5/order/cancel-all",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
    "position.set-leverage": "/v5/position/set-leverage",
    "position.switch-mode": "/v5/position/switch-mode",
    "position.trading-stop": "/v5/position/trading-stop",
}
"""Changing endpoints by name, with their paths."""
SOCKET_OPS = frozenset(
    name for name in POSTS if name.startswith("order.") and name != "order.cancel-all"
)
"""What the trade socket carries."""

_TOO_MANY = VenueRefusal(10006, "Too many visits")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the venue answers: code, text, result, extra information, what is left to ask for."""

    code: int
    text: str
    result: Row = field(default_factory=dict)
    extra: Row = field(default_factory=dict)
    budget: Budget | None = None


class Service:
    """Carries out private requests of known keys."""

    def __init__(self, desk: Desk, limits: RequestLimits) -> None:
        self.desk = desk
        self._limits = limits
        self._positions = PositionSettings(desk)
        queries = Queries(desk)
        self._gets: dict[str, Callable[[ApiKey, Mapping[str, str]], Row]] = {
            "order.realtime": lambda key, query: queries.open_orders(key.account, query),
            "order.history": lambda key, query: queries.order_history(key.account, query),
            "execution.list": lambda key, query: queries.executions(key.account, query),
            "position.list": lambda key, query: queries.positions(key.account, query),
            "account.wallet-balance": lambda key, query: queries.wallet(key.account, query),
            "account.fee-rate": lambda key, query: queries.fee_rates(key.account, query),
            "account.info": lambda key, query: queries.info(key.account, query),
            "user.query-api": queries.key_information,
        }
        self._posts: dict[str, Callable[[Account, Any], Row]] = {
            "order.create": self._create,
            "order.amend": self._amend,
            "order.cancel": self._cancel,
            "order.cancel-all": self._cancel_all,
            "position.set-leverage": self._set_leverage,
            "position.switch-mode": self._switch_mode,
            "position.trading-stop": self._trading_stop,
        }

    def get(self, key: ApiKey, name: str, query: Mapping[str, str]) -> Answer:
        """Answer a reading request."""
        budget = self._spend(key, name, query.get("category"))
        try:
            if not budget.is_allowed:
                raise _TOO_MANY
            return Answer(0, "OK", self._gets[name](key, query), budget=budget)
        except VenueRefusal as refusal:
            return Answer(refusal.code, refusal.text, budget=budget)

    def post(self, key: ApiKey, name: str, body: Any) -> Answer:
        """Carry out a changing request; `body` is decoded JSON."""
        category = body.get("category") if isinstance(body, Mapping) else None
        if name.endswith("-batch"):
            return self._batch(key, name, body, category)
        budget = self._spend(key, name, category)
        try:
            if not budget.is_allowed:
                raise _TOO_MANY
            self._check_rights(key)
            return Answer(0, "OK", self._posts[name](key.account, body), budget=budget)
        except VenueRefusal as refusal:
            return Answer(refusal.code, refusal.text, budget=budget)

    # one by one -------------------------------------------------------------------------------

    def _create(self, account: Account, body: Any) -> Row:
        return _ids(self.desk.create(account, read_request(body, CreateRequest)))

    def _amend(self, account: Account, body: Any) -> Row:
        return _ids(self.desk.amend(account, read_request(body, AmendRequest)))

    def _cancel(self, account: Account, body: Any) -> Row:
        return _ids(self.desk.cancel(account, read_request(body, CancelRequest)))

    def _cancel_all(self, account: Account, body: Any) -> Row:
        chosen = self.desk.cancel_all(account, read_request(body, CancelAllRequest))
        return {"list": [_ids(order) for order in chosen], "success": "1"}

    def _set_leverage(self, account: Account, body: Any) -> Row:
        self._positions.set_leverage(account, read_request(body, LeverageRequest))
        return {}

    def _switch_mode(self, account: Account, body: Any) -> Row:
        self._positions.switch_mode(account, read_request(body, ModeRequest))
        return {}

    def _trading_stop(self, account: Account, body: Any) -> Row:
        self._positions.set_trading_stop(account, read_request(body, TradingStopRequest))
        return {}

    # batches ----------------------------------------------------------------------------------

    def _batch(self, key: ApiKey, name: str, body: Any, category: object) -> Answer:
        try:
            request = read_request(body, BatchRequest)
            kind = self.desk.category(request.category)
            if not 1 <= len(request.request) <= BATCH_MAX[kind]:
                raise parameter(f"params error: request must hold 1 to {BATCH_MAX[kind]} orders")
            self._check_rights(key)
        except VenueRefusal as refusal:
            return Answer(refusal.code, refusal.text, budget=self._spend(key, name, category))
        # Each order costs one unit; when the budget ends midway the rest fail one by one.
        budget = self._spend(key, name, category, len(request.request))
        if budget.granted == 0:
            return Answer(_TOO_MANY.code, _TOO_MANY.text, budget=budget)
        single = self._posts[name.removesuffix("-batch")]
        rows, verdicts = [], []
        for number, item in enumerate(request.request):
            fields = item if isinstance(item, Mapping) else {}
            try:
                if number >= budget.granted:
                    raise _TOO_MANY
                if not isinstance(item, Mapping):
                    raise parameter("params error: order is not an object")
                ids = single(key.account, {**fields, "category": request.category})
                verdict = {"code": 0, "msg": "OK"}
            except VenueRefusal as refusal:
                ids = {"orderId": "", "orderLinkId": _text(fields, "orderLinkId")}
                verdict = {"code": refusal.code, "msg": refusal.text}
            row = {"category": request.category, "symbol": _text(fields, "symbol"), **ids}
            if name == "order.create-batch":
                at = str(self.desk.venue.now_ns // 1_000_000)
                row["createAt"] = at if verdict["code"] == 0 else ""
            rows.append(row)
            verdicts.append(verdict)
        return Answer(0, "OK", {"list": rows}, {"list": verdicts}, budget)

    # gates ------------------------------------------------------------------------------------

    def _check_rights(self, key: ApiKey) -> None:
        if key.read_only:
            raise VenueRefusal(10005, "Permission denied, please check your API key permissions.")

    def _spend(self, key: ApiKey, name: str, category: object, units: int = 1) -> Budget:
        kind = Category(category) if category in ("linear", "spot") else None
        now_ms = self.desk.venue.now_ns // 1_000_000
        return self._limits.spend(key.account.uid, name, kind, now_ms, units)


def _ids(order: VenueOrder) -> Row:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""
