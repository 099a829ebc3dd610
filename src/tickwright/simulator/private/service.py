"""Owns the private endpoints by name, for REST and the trade socket alike; refuses transport.

Every call goes the same way: permission, request budget, typed request, desk or query. A batch has
a verdict per order, and its outer verdict says OK even when every order failed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tickwright.core.identity import Category
from tickwright.simulator.faults import ORDER_KINDS, Fault, FaultBoard, FaultKind
from tickwright.simulator.private.account_queries import AccountQueries
from tickwright.simulator.private.accounts import Account, ApiKey, Right
from tickwright.simulator.private.dcp import Disconnection
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
    DcpRequest,
    LeverageRequest,
    LimitPriceRequest,
    MarginModeRequest,
    ModeRequest,
    OrderRequest,
    TradingStopRequest,
    TransferRequest,
    read_request,
)
from tickwright.simulator.private.shapes import Row

__all__ = ["BATCH_MAX", "GETS", "POSTS", "SOCKET_OPS", "Answer", "Reply", "Service"]

BATCH_MAX = {Category.SPOT: 10, Category.LINEAR: 20}

GETS = {
    "order.realtime": "/v5/order/realtime",
    "order.history": "/v5/order/history",
    "execution.list": "/v5/execution/list",
    "position.list": "/v5/position/list",
    "account.wallet-balance": "/v5/account/wallet-balance",
    "account.fee-rate": "/v5/account/fee-rate",
    "account.info": "/v5/account/info",
    "account.transaction-log": "/v5/account/transaction-log",
    "account.query-dcp-info": "/v5/account/query-dcp-info",
    "account.user-setting-config": "/v5/account/user-setting-config",
    "account.collateral-info": "/v5/account/collateral-info",
    "account.borrow-history": "/v5/account/borrow-history",
    "asset.coin-info": "/v5/asset/coin/query-info",
    "asset.sub-member-list": "/v5/asset/transfer/query-sub-member-list",
    "asset.coins-balance": "/v5/asset/transfer/query-account-coins-balance",
    "position.closed-pnl": "/v5/position/closed-pnl",
    "user.query-api": "/v5/user/query-api",
    "user.query-sub-members": "/v5/user/query-sub-members",
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
    "order.pre-check": "/v5/order/pre-check",
    "order.disconnected-cancel-all": "/v5/order/disconnected-cancel-all",
    "account.set-margin-mode": "/v5/account/set-margin-mode",
    "account.set-limit-px-action": "/v5/account/set-limit-px-action",
    "asset.universal-transfer": "/v5/asset/transfer/universal-transfer",
}
"""Changing endpoints by name, with their paths."""
SOCKET_OPS = frozenset(
    f"order.{verb}{suffix}" for verb in ("create", "amend", "cancel") for suffix in ("", "-batch")
)
"""What the trade socket carries."""

_LINEAR, _SPOT = Category.LINEAR, Category.SPOT
_MAINTENANCE = frozenset({FaultKind.MAINTENANCE})
_TOO_MANY = VenueRefusal(10006, "Too many visits")

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the venue answers: code, text, result, extra information, what is left to ask for."""

    code: int
    text: str
    result: Row = {}
    extra: Row = {}
    budget: Budget | None = None

    def body(self, clock_ms: int) -> bytes:
        """Return the envelope around it, as REST answers it."""
        return _encode(
            {
                "retCode": self.code,
                "retMsg": self.text,
                "result": self.result,
                "retExtInfo": self.extra,
                "time": clock_ms,
            }
        )


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What comes back for an order request: its answer, `delay_s` late; None when none comes.

    `fault` is what happened to it on the way. Without an answer the request may have been booked.
    """

    answer: Answer | None
    fault: FaultKind | None = None
    delay_s: float = 0.0


class Service:
    """Carries out private requests of known keys."""

    def __init__(
        self,
        desk: Desk,
        limits: RequestLimits,
        faults: FaultBoard,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self.desk = desk
        self._hurry = hurry
        self._faults = faults
        self.disconnection = Disconnection(
            desk.venue, lambda account, category: desk.cancel_as(account, category, "CancelByDCP")
        )
        self._limits = limits
        self._positions = PositionSettings(desk)
        queries = self._queries = Queries(desk)
        more = AccountQueries(desk, self.disconnection)
        self._gets: dict[str, Callable[[ApiKey, Mapping[str, str]], Row]] = {
            "order.realtime": lambda key, query: queries.open_orders(key.account, query),
            "order.history": lambda key, query: queries.order_history(key.account, query),
            "execution.list": lambda key, query: queries.executions(key.account, query),
            "position.list": lambda key, query: queries.positions(key.account, query),
            "account.wallet-balance": lambda key, query: queries.wallet(key.account, query),
            "account.fee-rate": lambda key, query: queries.fee_rates(key.account, query),
            "account.info": lambda key, query: queries.info(key.account, query),
            "account.transaction-log": more.transaction_log,
            "account.query-dcp-info": more.dcp_info,
            "account.user-setting-config": more.setting_config,
            "account.collateral-info": more.collateral_info,
            "account.borrow-history": more.borrow_history,
            "asset.coin-info": more.coin_info,
            "asset.sub-member-list": more.sub_member_list,
            "asset.coins-balance": more.coins_balance,
            "position.closed-pnl": more.closed_pnl,
            "user.query-api": more.key_information,
            "user.query-sub-members": more.sub_members,
        }
        self._posts: dict[str, Callable[[Account, Any], Row]] = {
            "order.create": self._create,
            "order.amend": self._amend,
            "order.cancel": self._cancel,
            "order.cancel-all": self._cancel_all,
            "position.set-leverage": self._set_leverage,
            "position.switch-mode": self._switch_mode,
            "position.trading-stop": self._trading_stop,
            "order.pre-check": self._pre_check,
            "order.disconnected-cancel-all": self._set_dcp,
            "account.set-margin-mode": self._set_margin_mode,
            "account.set-limit-px-action": self._set_limit_price_action,
            "asset.universal-transfer": self._transfer,
        }

    def get(self, key: ApiKey, name: str, query: Mapping[str, str]) -> Answer:
        """Answer a reading request."""
        budget = self._spend(key, name, query.get("category"))
        try:
            if not budget.is_allowed:
                raise _TOO_MANY
            self._check_maintenance(name)
            lag = self._strike(FaultKind.LAGGING_REST, name)
            if lag is not None:
                now_ns = self.desk.venue.now_ns
                self._queries.cutoff_ns = now_ns - int(lag.spec.delay_s * 1e9)
            return Answer(0, "OK", self._gets[name](key, query), budget=budget)
        except VenueRefusal as refusal:
            return Answer(refusal.code, refusal.text, budget=budget)
        finally:
            self._queries.cutoff_ns = 0

    def post(self, key: ApiKey, name: str, body: Any, way: str = "rest") -> Answer:
        """Carry out a changing request; `way` names its front.

        `body` is decoded JSON, or for one order's request the typed form of it.
        """
        category = _category(body)
        if name.endswith("-batch"):
            return self._batch(key, name, body, category, way)
        budget = self._spend(key, name, category)
        try:
            if not budget.is_allowed:
                raise _TOO_MANY
            if self._faults.has_private_faults:
                self._check_maintenance(name, way)
            self._check_rights(key, name, category)
            result = self._posts[name](key.account, body)
            # What the book makes of it need not wait for the clock.
            self._hurry()
            return Answer(0, "OK", result, budget=budget)
        except VenueRefusal as refusal:
            return Answer(refusal.code, refusal.text, budget=budget)

    def submit(self, key: ApiKey, name: str, body: Any, way: str) -> Reply:
        """Carry out a changing request that a fault may hit on its way; `way` names the front."""
        if not self._faults.has_private_faults:
            return Reply(self.post(key, name, body, way))
        category = str(_category(body) or "")
        now_ns = self.desk.venue.now_ns
        fault = self._faults.strike(ORDER_KINDS, category, (name, f"{way}.{name}"), now_ns)
        if fault is None:
            return Reply(self.post(key, name, body, way))
        kind = fault.spec.kind
        if kind is FaultKind.CUT_BEFORE_BOOKING:
            return Reply(None, kind)
        answer = self.post(key, name, body, way)
        if kind in (FaultKind.CUT_AFTER_BOOKING, FaultKind.REPLY_DROPPED):
            return Reply(None, kind)
        if kind is FaultKind.REPLY_DELAYED:
            return Reply(answer, kind, fault.spec.delay_s)
        assert kind in (FaultKind.REPLY_ERROR, FaultKind.REPLY_HTML), kind
        return Reply(Answer(10016, "Server error", budget=answer.budget), kind)

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

    def _pre_check(self, account: Account, body: Any) -> Row:
        request = read_request(body, CreateRequest)
        before, after = self.desk.pre_check(account, request)
        return {
            "orderId": "",
            "orderLinkId": request.order_link_id,
            "preImrE4": before.initial_rate_e4,
            "preMmrE4": before.maintenance_rate_e4,
            "postImrE4": after.initial_rate_e4,
            "postMmrE4": after.maintenance_rate_e4,
        }

    def _set_dcp(self, account: Account, body: Any) -> Row:
        request = read_request(body, DcpRequest)
        window = str(request.time_window)
        seconds = int(window) if window.isascii() and window.isdigit() and len(window) < 5 else 0
        self.disconnection.set_window(account, request.product, seconds)
        return {}

    def _set_margin_mode(self, account: Account, body: Any) -> Row:
        request = read_request(body, MarginModeRequest)
        if request.set_margin_mode != "REGULAR_MARGIN":
            raise parameter("params error: only REGULAR_MARGIN (cross) is offered by this venue")
        return {"reasons": []}

    def _set_limit_price_action(self, account: Account, body: Any) -> Row:
        request = read_request(body, LimitPriceRequest)
        # Inverse contracts share the setting of the linear ones.
        text = "linear" if request.category == "inverse" else request.category
        if request.modify_enable is None:
            raise parameter("params error: modifyEnable missing")
        account.adjusts[self.desk.category(text)] = request.modify_enable
        return {}

    def _transfer(self, account: Account, body: Any) -> Row:
        request = read_request(body, TransferRequest)
        self.desk.transfer(account, request)
        return {"transferId": request.transfer_id, "status": "SUCCESS"}

    # batches ----------------------------------------------------------------------------------

    def _batch(self, key: ApiKey, name: str, body: Any, category: object, way: str) -> Answer:
        try:
            request = read_request(body, BatchRequest)
            kind = self.desk.category(request.category)
            if not 1 <= len(request.request) <= BATCH_MAX[kind]:
                raise parameter(f"params error: request must hold 1 to {BATCH_MAX[kind]} orders")
            self._check_maintenance(name, way)
            self._check_rights(key, name, request.category)
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
        self._hurry()
        return Answer(0, "OK", {"list": rows}, {"list": verdicts}, budget)

    # gates ------------------------------------------------------------------------------------

    def _strike(self, kind: FaultKind, name: str) -> Fault | None:
        if not self._faults.has_private_faults:
            return None
        return self._faults.strike(frozenset({kind}), "private", (name,), self.desk.venue.now_ns)

    def _check_maintenance(self, name: str, way: str = "rest") -> None:
        if not self._faults.has_private_faults:
            return
        names = (name, f"{way}.{name}")
        now_ns = self.desk.venue.now_ns
        if self._faults.strike(_MAINTENANCE, "private", names, now_ns) is None:
            return
        if way == "trade":
            raise VenueRefusal(10019, "ws trade service is restarting, do not accept new request")
        raise VenueRefusal(10016, "Service is under maintenance")

    def _check_rights(self, key: ApiKey, name: str, category: object) -> None:
        if name == "asset.universal-transfer":
            needed = Right.TRANSFER
        elif category == "spot":
            needed = Right.SPOT_TRADE
        elif name.startswith("position."):
            needed = Right.CONTRACT_POSITIONS
        else:
            needed = Right.CONTRACT_ORDERS
        if needed not in key.rights:
            raise VenueRefusal(10005, "Permission denied, please check your API key permissions.")

    def _spend(self, key: ApiKey, name: str, category: object, units: int = 1) -> Budget:
        kind = None
        if category == "linear":
            kind = _LINEAR
        elif category == "spot":
            kind = _SPOT
        now_ms = self.desk.venue.now_ns // 1_000_000
        divisor = 1
        if self._faults.has_private_faults:
            divisor = 1 if self._strike(FaultKind.HALVED_LIMITS, name) is None else 2
        return self._limits.spend(key.account.uid, name, kind, now_ms, units, divisor=divisor)


def _category(body: Any) -> Any:
    if isinstance(body, OrderRequest):
        return body.category
    return body.get("category") if isinstance(body, Mapping) else None


def _ids(order: VenueOrder) -> Row:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""
