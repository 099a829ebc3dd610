"""Owns the list of what the simulated venue offers of its model, endpoint by endpoint.

`docs/simulator-endpoints.md` is written from it by `tools/list_endpoints.py`. A test holds it
against the routes and topics that are really served, so it can't promise what isn't there.
"""

import enum
from dataclasses import dataclass

__all__ = ["ENDPOINTS", "TOPICS", "Coverage", "Served", "endpoints_page"]


class Served(enum.Enum):
    """How much of an endpoint or topic is there."""

    YES = "supported"
    PARTLY = "partly"
    NO = "not"


@dataclass(frozen=True, slots=True)
class Coverage:
    """One endpoint or topic, and what is missing or different."""

    name: str
    served: Served
    note: str = ""


_YES, _PARTLY, _NO = Served.YES, Served.PARTLY, Served.NO

ENDPOINTS = (
    Coverage("GET /v5/market/time", _YES),
    Coverage("GET /v5/market/instruments-info", _YES, "linear and spot; inverse, option: empty"),
    Coverage("GET /v5/market/orderbook", _YES),
    Coverage("GET /v5/market/rpi_orderbook", _YES, "nobody quotes RPI: its size is 0"),
    Coverage("GET /v5/market/full_orderbook", _YES, "spot"),
    Coverage("GET /v5/market/tickers", _PARTLY, "24 h figures count since the start"),
    Coverage("GET /v5/market/kline", _YES, "from the venue's own trades, two days back"),
    Coverage("GET /v5/market/mark-price-kline", _YES, "a day back, once a second"),
    Coverage("GET /v5/market/index-price-kline", _YES, "a day back, once a second"),
    Coverage("GET /v5/market/premium-index-price-kline", _YES, "a day back, once a second"),
    Coverage("GET /v5/market/recent-trade", _YES),
    Coverage("GET /v5/market/funding/history", _YES, "as paid; before the start invented"),
    Coverage("GET /v5/market/open-interest", _YES, "users and a crowd, since the start"),
    Coverage("GET /v5/market/account-ratio", _PARTLY, "a constant"),
    Coverage("GET /v5/market/risk-limit", _PARTLY, "one table for every contract"),
    Coverage("GET /v5/market/price-limit", _YES),
    Coverage("GET /v5/market/insurance", _PARTLY, "empty"),
    Coverage("GET /v5/market/delivery-price", _PARTLY, "empty: nothing is delivered"),
    Coverage("GET /v5/market/historical-volatility", _PARTLY, "empty: no options"),
    Coverage("GET /v5/system/status", _PARTLY, "shows maintenance made by a fault"),
    Coverage("GET /v5/announcements/index", _NO),
    Coverage("POST /v5/order/create", _PARTLY, "spot without margin (170344), no RPI orders"),
    Coverage("POST /v5/order/amend", _YES),
    Coverage("POST /v5/order/cancel", _YES),
    Coverage("POST /v5/order/cancel-all", _YES),
    Coverage("POST /v5/order/create-batch", _YES),
    Coverage("POST /v5/order/amend-batch", _YES),
    Coverage("POST /v5/order/cancel-batch", _YES),
    Coverage("POST /v5/order/pre-check", _PARTLY, "contracts alone"),
    Coverage("POST /v5/order/disconnected-cancel-all", _PARTLY, "every account may, at once"),
    Coverage("GET /v5/order/realtime", _YES),
    Coverage("GET /v5/order/history", _YES, "without delay unless a fault makes it lag"),
    Coverage("GET /v5/order/spot-borrow-check", _NO),
    Coverage("GET /v5/execution/list", _YES),
    Coverage("GET /v5/position/list", _YES),
    Coverage(
        "GET /v5/position/closed-pnl", _PARTLY, "openFee is 0: the closing fee is in closeFee"
    ),
    Coverage("POST /v5/position/set-leverage", _PARTLY, "one leverage for both sides"),
    Coverage("POST /v5/position/switch-mode", _YES),
    Coverage("POST /v5/position/switch-isolated", _NO, "cross margin alone"),
    Coverage("POST /v5/position/trading-stop", _YES, "full, partial and trailing stops"),
    Coverage("POST /v5/position/set-auto-add-margin", _NO),
    Coverage("POST /v5/position/add-margin", _NO),
    Coverage("GET /v5/account/wallet-balance", _YES),
    Coverage("GET /v5/account/info", _YES),
    Coverage("GET /v5/account/fee-rate", _PARTLY, "without VIP levels"),
    Coverage("GET /v5/account/transaction-log", _YES),
    Coverage("GET /v5/account/query-dcp-info", _YES),
    Coverage("GET /v5/account/user-setting-config", _YES),
    Coverage("POST /v5/account/set-limit-px-action", _YES),
    Coverage("GET /v5/account/collateral-info", _PARTLY, "USDT alone"),
    Coverage("GET /v5/account/borrow-history", _PARTLY, "empty: nothing is lent"),
    Coverage("POST /v5/account/set-margin-mode", _PARTLY, "REGULAR_MARGIN alone"),
    Coverage("GET /v5/asset/coin/query-info", _PARTLY, "no coin can be deposited or withdrawn"),
    Coverage("GET /v5/asset/transfer/query-account-coins-balance", _YES),
    Coverage("GET /v5/asset/transfer/query-sub-member-list", _YES),
    Coverage("POST /v5/asset/transfer/universal-transfer", _PARTLY, "master and sub-accounts"),
    Coverage("POST /v5/asset/withdraw/create", _NO),
    Coverage("GET /v5/user/query-api", _YES),
    Coverage("GET /v5/user/query-sub-members", _YES),
)

TOPICS = (
    Coverage("public orderbook.{1,50,200,1000}.{symbol}", _YES),
    Coverage("public orderbook.rpi.{symbol}", _YES, "nobody quotes RPI: its size is 0"),
    Coverage("public orderbook.full.{symbol}", _YES, "spot"),
    Coverage("public publicTrade.{symbol}", _YES),
    Coverage("public tickers.{symbol}", _PARTLY, "24 h figures count since the start"),
    Coverage("public kline.{interval}.{symbol}", _YES),
    Coverage("public allLiquidation.{symbol}", _YES, "linear"),
    Coverage("public priceLimit.{symbol}", _YES, "linear"),
    Coverage("public insurance.USDT", _NO),
    Coverage("public adlAlert.USDT", _NO, "nobody is deleveraged"),
    Coverage("public system.status", _NO),
    Coverage("private order", _YES, "also order.linear, order.spot"),
    Coverage("private execution", _YES, "also by category"),
    Coverage("private execution.fast", _YES, "also by category"),
    Coverage("private position", _YES, "also position.linear"),
    Coverage("private wallet", _YES),
    Coverage("private dcp.future", _YES, "also dcp.spot, dcp.option"),
    Coverage("private greeks", _NO, "no options"),
    Coverage("trade order.create", _YES),
    Coverage("trade order.amend", _YES),
    Coverage("trade order.cancel", _YES),
    Coverage("trade order.create-batch", _YES),
    Coverage("trade order.amend-batch", _YES),
    Coverage("trade order.cancel-batch", _YES),
)


def endpoints_page() -> str:
    """Return the documentation page of what is served."""
    lines = [
        "# What the simulated Bybit serves",
        "",
        "Written by `tools/list_endpoints.py` from `tickwright.simulator.coverage`; do not edit.",
        "`linear` (USDT perpetuals) and `spot` are traded; `inverse` and `option` can be asked",
        "about and are empty.",
        "",
        "## REST",
        "",
        *_table(ENDPOINTS),
        "",
        "## WebSocket topics and operations",
        "",
        *_table(TOPICS),
        "",
    ]
    return "\n".join(lines)


def _table(rows: tuple[Coverage, ...]) -> list[str]:
    head = ["| what | status | note |", "|---|---|---|"]
    return head + [f"| `{row.name}` | {row.served.value} | {row.note} |" for row in rows]
