"""Owns the answers to private GET requests about orders, positions and wallets; changes nothing.

Lists come newest first and are paged by a cursor, which is the number of the last row seen.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import TypeVar

from tickwright.core.identity import Category
from tickwright.simulator.private.accounts import Account
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.records import OPEN_STATUSES, ExecutionRecord, VenueOrder
from tickwright.simulator.private.refusals import parameter
from tickwright.simulator.private.settlement import SymbolDesk
from tickwright.simulator.private.shapes import Row, execution_row, order_row, rate_text

__all__ = ["CLOSED_IN_REALTIME", "Queries", "page_of", "time_window", "whole"]

CLOSED_IN_REALTIME = 500
"""Closed orders that the realtime query still shows with openOnly=1."""

_DAY_MS = 86_400_000
_WINDOW_MS_MAX = 7 * _DAY_MS
_UNFILLED_MS_MAX = _DAY_MS

Query = Mapping[str, str]
_Record = TypeVar("_Record")


class Queries:
    """Reads the desk for one account at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.cutoff_ns = 0
        """When not 0, what happened after it isn't known yet: a fault makes the queries lag."""

    def open_orders(self, account: Account, query: Query) -> Row:
        """Answer order/realtime: open orders, or with openOnly=1 the latest closed ones."""
        category = self._desk.category(query.get("category", ""), reading=True)
        self._need_scope(category, query)
        store = self._desk.stores[account.uid]
        limit = whole(query, "limit", 20, 1, 50)
        if query.get("orderId") or query.get("orderLinkId"):
            # An id finds the order whatever the other filters say.
            known = store.find(query.get("orderId", ""), query.get("orderLinkId", ""))
            found = [known] if known is not None and known.category is category else []
            orders = [order for order in found if order.status != "Created"]
        elif query.get("openOnly", "0") == "1":
            closed = list(store.finals())[:CLOSED_IN_REALTIME]
            orders = [order for order in closed if _fits(order, category, query)]
        else:
            live = sorted(store.live.values(), key=lambda order: order.number, reverse=True)
            orders = [
                order
                for order in live
                if order.status in OPEN_STATUSES and _fits(order, category, query)
            ]
            if self.cutoff_ns:
                ended = list(store.finals())[:CLOSED_IN_REALTIME]
                both = sorted([*live, *ended], key=lambda order: order.number, reverse=True)
                orders = [o for o in both if _fits(o, category, query) and self._was_open(o)]
        return self._order_page(category, orders, query, limit)

    def order_history(self, account: Account, query: Query) -> Row:
        """Answer order/history: finished orders; unfilled ones disappear after a day."""
        category = self._desk.category(query.get("category", ""), reading=True)
        store = self._desk.stores[account.uid]
        limit = whole(query, "limit", 20, 1, 50)
        start, end = time_window(query, self._now_ms())
        unfilled_after = self._now_ms() - _UNFILLED_MS_MAX
        if query.get("orderId") or query.get("orderLinkId"):
            known = store.find(query.get("orderId", ""), query.get("orderLinkId", ""))
            orders = [known] if known is not None and not known.is_live else []
            orders = [order for order in orders if order.category is category]
        else:
            orders = [
                order
                for order in store.finals()
                if _fits(order, category, query)
                and start <= order.created_ms <= end
                and (order.filled_units or order.updated_ms >= unfilled_after)
                and query.get("orderStatus", "") in ("", order.status)
            ]
        return self._order_page(category, orders, query, limit)

    def executions(self, account: Account, query: Query) -> Row:
        """Answer execution/list."""
        category = self._desk.category(query.get("category", ""), reading=True)
        limit = whole(query, "limit", 50, 1, 100)
        start, end = time_window(query, self._now_ms())
        store = self._desk.stores[account.uid]
        # An order's executions are none before its creation, and the list is in order of time.
        start = max(start, store.since_ms(query.get("orderId", ""), query.get("orderLinkId", "")))
        latest = takewhile(lambda one: one.at_ms >= start, reversed(store.executions))
        chosen = [
            execution
            for execution in latest
            if execution.instrument.category is category
            and not 0 < self.cutoff_ns < execution.at_ms * 1_000_000
            and execution.at_ms <= end
            and _execution_fits(execution, query)
        ]
        page, cursor = page_of(chosen, query, limit, lambda execution: execution.number)
        rows = [execution_row(execution) for execution in page]
        for row in rows:
            # The stream alone carries these.
            for name in ("category", "marketUnit", "execPnl", "createType", "isLeverage"):
                del row[name]
            row["extraFees"] = ""
        return {"nextPageCursor": cursor, "category": category.value, "list": rows}

    def positions(self, account: Account, query: Query) -> Row:
        """Answer position/list: with a symbol flat ones too, with a settle coin open ones alone."""
        category = self._desk.category(query.get("category", ""), reading=True)
        if category is Category.SPOT:
            raise parameter("params error: category invalid")
        symbol, coin = query.get("symbol", ""), query.get("settleCoin", "")
        if category is Category.LINEAR and not symbol and not coin:
            raise parameter("Missing some parameters that must be filled in, symbol or settleCoin")
        limit = whole(query, "limit", 20, 1, 200)
        settlement = self._desk.settlement
        chosen: list[tuple[SymbolDesk, int]] = []
        if symbol and category is Category.LINEAR:
            desk = self._desk.desk_of(self._desk.market(category.value, symbol))
            chosen = [(desk, index) for index in account.indexes(symbol)]
        elif category is Category.LINEAR:
            chosen = [
                (self._desk.desk_of(settlement.linear_market(held)), index)
                for (held, index), position in sorted(account.ledger.positions.items())
                if position.size_units and coin == settlement.linear_market(held).instrument.quote
            ]
        first = whole(query, "cursor", 0, 0, 1 << 40)
        rows = [
            settlement.position_row(account, desk, index, is_stream=False)
            for desk, index in chosen[first : first + limit]
        ]
        if self.cutoff_ns:
            rows = [self._past_position(account, row) for row in rows]
        more = str(first + limit) if first + limit < len(chosen) else ""
        return {"list": rows, "nextPageCursor": more, "category": category.value}

    def wallet(self, account: Account, query: Query) -> Row:
        """Answer account/wallet-balance."""
        if query.get("accountType", "") != "UNIFIED":
            raise parameter("accountType only support UNIFIED.")
        row = self._desk.settlement.wallet_row(account)
        wanted = {coin for coin in query.get("coin", "").split(",") if coin}
        if wanted:
            row["coin"] = [coin for coin in row["coin"] if coin["coin"] in wanted]
        return {"list": [row]}

    def fee_rates(self, account: Account, query: Query) -> Row:
        """Answer account/fee-rate."""
        category = self._desk.category(query.get("category", ""), reading=True)
        fees = account.fees_ppm.get(category, account.fees_ppm[Category.LINEAR])
        maker, taker = (rate_text(ppm * 100) for ppm in fees)
        symbol, base = query.get("symbol", ""), query.get("baseCoin", "")
        if symbol:
            self._desk.market(category.value, symbol)
        rows = [
            {"symbol": instrument.symbol, "takerFeeRate": taker, "makerFeeRate": maker}
            for instrument in (m.instrument for m in self._desk.venue.markets.values())
            if instrument.category is category
            and symbol in ("", instrument.symbol)
            and base in ("", instrument.base)
        ]
        return {"list": rows}

    def info(self, account: Account, query: Query) -> Row:
        """Answer account/info."""
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(account.created_ms),
            "unifiedMarginStatus": 5,
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def _order_page(
        self, category: Category, orders: list[VenueOrder], query: Query, limit: int
    ) -> Row:
        pairs = [(order.number, self._row(order)) for order in orders]
        known = [(number, row) for number, row in pairs if row is not None]
        page, cursor = page_of(known, query, limit, lambda pair: pair[0])
        rows = [{name: row[name] for name in row if name != "category"} for _, row in page]
        return {"list": rows, "nextPageCursor": cursor, "category": category.value}

    def _row(self, order: VenueOrder) -> Row | None:
        row = order_row(order)
        if not self.cutoff_ns:
            return row
        uid, about = order.account.uid, f"{order.order_id}:{order.position_index}"
        return self._desk.settlement.past.row(uid, "order", about, self.cutoff_ns, row)

    def _past_position(self, account: Account, row: Row) -> Row:
        """Return a position as it was told then; what was never told stays as it is."""
        about = f"{row['symbol']}:{row['positionIdx']}"
        past = self._desk.settlement.past
        old = past.row(account.uid, "position", about, self.cutoff_ns, row)
        if old is None or old is row:
            return row
        shown = dict(old)
        shown["avgPrice"] = shown.pop("entryPrice")
        shown.pop("category", None)
        return shown

    def _was_open(self, order: VenueOrder) -> bool:
        row = self._row(order)
        return row is not None and row["orderStatus"] in OPEN_STATUSES

    # parameters -------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return self._desk.venue.now_ns // 1_000_000

    @staticmethod
    def _need_scope(category: Category, query: Query) -> None:
        if category is Category.LINEAR and not (
            query.get("symbol") or query.get("baseCoin") or query.get("settleCoin")
        ):
            raise parameter(
                "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin"
            )


def time_window(query: Query, now_ms: int, *, default_days: int = 7) -> tuple[int, int]:
    """Read startTime and endTime: at most seven days, by default the last `default_days`."""
    start = whole(query, "startTime", -1, 0, 1 << 60)
    end = whole(query, "endTime", -1, 0, 1 << 60)
    span = default_days * _DAY_MS
    if start < 0 and end < 0:
        return now_ms - span, now_ms
    if start < 0:
        start = end - span
    elif end < 0:
        end = start + span
    if not 0 <= end - start <= _WINDOW_MS_MAX:
        raise parameter("The time range between startTime and endTime cannot exceed 7 days")
    return start, end


def whole(query: Query, name: str, default: int, lowest: int, highest: int) -> int:
    """Read a whole number within bounds; refuses with 10001."""
    text = query.get(name, "")
    if text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise parameter(f"params error: {name} invalid")
    value = int(text)
    if not lowest <= value <= highest:
        raise parameter(f"params error: {name} must be {lowest} to {highest}")
    return value


def _fits(order: VenueOrder, category: Category, query: Query) -> bool:
    instrument = order.instrument
    return (
        order.category is category
        and query.get("symbol", "") in ("", instrument.symbol)
        and query.get("baseCoin", "") in ("", instrument.base)
        and query.get("settleCoin", "") in ("", instrument.quote)
        and _kind_fits(order, query.get("orderFilter", ""))
    )


def _kind_fits(order: VenueOrder, word: str) -> bool:
    if word == "":
        return True
    if word == "Order":
        return not order.is_conditional
    if order.is_spot:
        return order.order_filter == word
    return order.is_conditional


def _execution_fits(execution: ExecutionRecord, query: Query) -> bool:
    order = execution.order
    return (
        query.get("symbol", "") in ("", execution.instrument.symbol)
        and query.get("baseCoin", "") in ("", execution.instrument.base)
        and query.get("execType", "") in ("", execution.kind)
        and query.get("orderId", "") in ("", order.order_id if order is not None else None)
        and query.get("orderLinkId", "") in ("", order.link_id if order is not None else None)
    )


def page_of(
    records: Iterable[_Record], query: Query, limit: int, number_of: Callable[[_Record], int]
) -> tuple[list[_Record], str]:
    """Cut one page out of records that are newest first; returns it with the next cursor."""
    # A client may send the cursor as it was given, or decoded.
    text = query.get("cursor", "").replace("%3A", ":").partition(":")[0]
    before = 1 << 62
    if text:
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise parameter("params error: cursor invalid")
        before = int(text)
    rest = [record for record in records if number_of(record) < before]
    page = rest[:limit]
    return page, f"{number_of(page[-1])}%3A{len(page)}" if len(rest) > limit else ""
