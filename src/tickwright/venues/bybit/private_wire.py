"""Owns Bybit's private messages as structs: orders, executions, positions, wallet and replies.

Refuses to interpret. The stream and REST share their rows; REST leaves the category out, and calls
a position's price `avgPrice` where the stream says `entryPrice`. A field without a default is
vital. Numeric texts may be empty.
"""

from typing import Any

import msgspec

__all__ = [
    "AccountInfo",
    "BatchReply",
    "BatchRows",
    "BatchVerdicts",
    "CoinRow",
    "DisconnectInfo",
    "DisconnectRow",
    "ExecutionRow",
    "FeeRateRow",
    "KeyRow",
    "Listing",
    "OrderIds",
    "OrderRow",
    "PositionRow",
    "PrivateMessage",
    "RestAnswer",
    "TimeResult",
    "TradeReply",
    "WalletRow",
]


class PrivateMessage(msgspec.Struct, frozen=True):
    """A message of a private topic; rows are read one by one, so that a bad one spoils no other."""

    topic: str
    creationTime: int  # noqa: N815
    data: list[dict[str, Any]]


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """One order as the stream or a query shows it."""

    symbol: str
    orderId: str  # noqa: N815
    orderLinkId: str  # noqa: N815
    side: str
    orderType: str  # noqa: N815
    orderStatus: str  # noqa: N815
    price: str
    qty: str
    cumExecQty: str  # noqa: N815
    updatedTime: str  # noqa: N815
    category: str = ""
    cancelType: str = ""  # noqa: N815
    rejectReason: str = ""  # noqa: N815
    positionIdx: int = 0  # noqa: N815
    reduceOnly: bool = False  # noqa: N815
    stopOrderType: str = ""  # noqa: N815
    triggerPrice: str = ""  # noqa: N815
    parentOrderLinkId: str = ""  # noqa: N815
    marketUnit: str = ""  # noqa: N815


class ExecutionRow(msgspec.Struct, frozen=True, gc=False):
    """One execution; fills of our orders, funding, settlement and the rest."""

    symbol: str
    orderId: str  # noqa: N815
    orderLinkId: str  # noqa: N815
    side: str
    execId: str  # noqa: N815
    execType: str  # noqa: N815
    execTime: str  # noqa: N815
    execPrice: str  # noqa: N815
    execQty: str  # noqa: N815
    execFee: str  # noqa: N815
    isMaker: bool  # noqa: N815
    category: str = ""
    feeCurrency: str = ""  # noqa: N815
    execPnl: str = ""  # noqa: N815
    stopOrderType: str = ""  # noqa: N815


class PositionRow(msgspec.Struct, frozen=True, gc=False):
    """One position or leg; `side` is empty when flat."""

    symbol: str
    side: str
    size: str
    positionIdx: int  # noqa: N815
    updatedTime: str  # noqa: N815
    category: str = ""
    entryPrice: str = ""  # noqa: N815
    avgPrice: str = ""  # noqa: N815
    stopLoss: str | None = None  # noqa: N815
    takeProfit: str | None = None  # noqa: N815
    trailingStop: str | None = None  # noqa: N815
    leverage: str = ""
    positionIM: str = ""  # noqa: N815
    positionMM: str = ""  # noqa: N815
    liqPrice: str = ""  # noqa: N815


class CoinRow(msgspec.Struct, frozen=True, gc=False):
    """One asset of the wallet."""

    coin: str
    walletBalance: str  # noqa: N815
    locked: str = ""


class WalletRow(msgspec.Struct, frozen=True):
    """An account's totals in USD; empty where the margin mode has none."""

    coin: list[CoinRow]
    totalEquity: str = ""  # noqa: N815
    totalAvailableBalance: str = ""  # noqa: N815
    totalInitialMargin: str = ""  # noqa: N815
    totalMaintenanceMargin: str = ""  # noqa: N815


class AccountInfo(msgspec.Struct, frozen=True, gc=False):
    """How an account is set up."""

    marginMode: str = ""  # noqa: N815


class DisconnectRow(msgspec.Struct, frozen=True, gc=False):
    """One product's cancel on disconnect; the window is in seconds."""

    product: str
    dcpStatus: str = ""  # noqa: N815
    timeWindow: str = ""  # noqa: N815


class DisconnectInfo(msgspec.Struct, frozen=True):
    """What `query-dcp-info` answers; null for accounts that can't have it."""

    dcpInfos: list[DisconnectRow] | None = None  # noqa: N815


class OrderIds(msgspec.Struct, frozen=True, gc=False):
    """What an accepted order request answers with."""

    orderId: str = ""  # noqa: N815
    orderLinkId: str = ""  # noqa: N815


class BatchRows(msgspec.Struct, frozen=True):
    """The orders of a batch as its answer names them; those refused have no `orderId`."""

    rows: list[OrderIds] = msgspec.field(name="list", default_factory=list)


class BatchCode(msgspec.Struct, frozen=True, gc=False):
    """What became of one item of a batch."""

    code: int
    msg: str = ""


class BatchVerdicts(msgspec.Struct, frozen=True):
    """The verdicts of a batch, in the order of its items."""

    verdicts: list[BatchCode] = msgspec.field(name="list", default_factory=list)


class LimitHeader(msgspec.Struct, frozen=True, gc=False):
    """The account's request budget, as the order-entry socket writes it into each reply."""

    limit: str = msgspec.field(name="X-Bapi-Limit", default="")
    remaining: str = msgspec.field(name="X-Bapi-Limit-Status", default="")
    reset: str = msgspec.field(name="X-Bapi-Limit-Reset-Timestamp", default="")
    time: str = msgspec.field(name="Timenow", default="")


class TradeReply(msgspec.Struct, frozen=True):
    """A reply of the order-entry socket; some refusals come without `reqId`."""

    retCode: int  # noqa: N815
    op: str
    retMsg: str = ""  # noqa: N815
    reqId: str = ""  # noqa: N815
    data: OrderIds = OrderIds()
    header: LimitHeader = LimitHeader()


class BatchReply(msgspec.Struct, frozen=True):
    """What a reply of the order-entry socket says of a batch's items."""

    data: BatchRows = BatchRows()
    retExtInfo: BatchVerdicts = BatchVerdicts()  # noqa: N815


class RestAnswer(msgspec.Struct, frozen=True):
    """The envelope of every REST answer; `result` is read when its shape is known.

    `retExtInfo` holds the verdicts of a batch and is empty otherwise.
    """

    retCode: int  # noqa: N815
    retMsg: str = ""  # noqa: N815
    result: Any = None
    retExtInfo: Any = None  # noqa: N815
    time: int = 0


class Listing(msgspec.Struct, frozen=True):
    """A page of rows."""

    list: list[dict[str, Any]]
    category: str = ""
    nextPageCursor: str | None = None  # noqa: N815


class TimeResult(msgspec.Struct, frozen=True):
    """The venue's clock in nanoseconds."""

    timeNano: str  # noqa: N815


class FeeRateRow(msgspec.Struct, frozen=True):
    """An account's fee rates on one symbol, as fractions."""

    symbol: str
    makerFeeRate: str  # noqa: N815
    takerFeeRate: str  # noqa: N815


class KeyRow(msgspec.Struct, frozen=True):
    """What the calling key may do."""

    permissions: dict[str, list[str]]
    readOnly: int  # noqa: N815
    ips: list[str] | None = None
    expiredAt: str = ""  # noqa: N815
    deadlineDay: int | None = None  # noqa: N815
    uta: int = 0
