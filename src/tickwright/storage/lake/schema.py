"""Owns what a lake holds: its tables, their columns and how they lie in Parquet; refuses floats.

Prices and sizes are int64 in units of 10^-decimals; every row says its decimals, and so does every
file's schema metadata. Times are int64 UTC nanoseconds, 0 where nobody told. `ordinal` numbers the
rows of one source in the order they came, over all tables: ties in time are settled by it. A book
row is one message: its levels stand in four lists, best or first told first.
"""

import enum
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

__all__ = [
    "FORMAT",
    "BookRow",
    "CandleRow",
    "FillRow",
    "FundingRow",
    "LiquidationRow",
    "MessageKind",
    "OrderRow",
    "Row",
    "Table",
    "TickerRow",
    "TradeRow",
    "schema_of",
]

FORMAT = 1


class Table(enum.StrEnum):
    """The tables of a lake."""

    BOOK = "book"
    TRADES = "trades"
    TICKERS = "tickers"
    FUNDING = "funding"
    LIQUIDATIONS = "liquidations"
    CANDLES = "candles"
    ORDERS = "orders"
    FILLS = "fills"


class MessageKind(enum.IntEnum):
    """What a book row does; the numbers are on disk."""

    DELTA = 0
    """Sets the levels it names; size 0 removes one."""
    SNAPSHOT = 1
    """Replaces the whole book."""
    DOUBT = 2
    """Nothing is known of the book from here to the next snapshot; `reason` says why."""
    CLEAR = 3
    """Removes a side from its best price up to and with the one price it names."""
    REFILL = 4
    """Sets levels as a delta does; it is the part of a snapshot behind a CLEAR or a SNAPSHOT."""


class BookRow(NamedTuple):
    """One message of a book. Ids are the venue's, 0 where it has none."""

    received_ns: int
    venue_ns: int
    matched_ns: int
    kind: int
    depth: int
    update_id: int
    first_id: int
    previous_id: int
    sequence: int
    bid_prices: list[int]
    bid_sizes: list[int]
    ask_prices: list[int]
    ask_sizes: list[int]
    reason: str


class TradeRow(NamedTuple):
    """A public trade; `side` is the aggressor's: 1 bought, -1 sold, 0 unknown."""

    received_ns: int
    venue_ns: int
    side: int
    price: int
    size: int
    trade_id: str
    sequence: int
    is_block: bool


class TickerRow(NamedTuple):
    """A price of the venue; `kind` is last, mark or index."""

    received_ns: int
    venue_ns: int
    kind: str
    price: int


class FundingRow(NamedTuple):
    """A funding rate in parts per 10^9, positive when longs pay."""

    received_ns: int
    venue_ns: int
    rate_e9: int
    next_funding_ns: int


class LiquidationRow(NamedTuple):
    """A liquidated position of somebody."""

    received_ns: int
    venue_ns: int
    side: int
    price: int
    size: int


class CandleRow(NamedTuple):
    """A candle; those that aren't final will change."""

    received_ns: int
    venue_ns: int
    interval_ns: int
    start_ns: int
    open_price: int
    high_price: int
    low_price: int
    close_price: int
    volume_size: int
    is_final: bool


class OrderRow(NamedTuple):
    """What the venue said of one order of an account. No price: a market order."""

    received_ns: int
    venue_ns: int
    account: str
    client_id: str | None
    venue_id: str
    parent_id: str | None
    side: int
    order_type: str
    state: str
    price: int | None
    trigger_price: int | None
    size: int
    filled_size: int
    leg: str
    is_reduce_only: bool
    is_from_query: bool
    reason: str


class FillRow(NamedTuple):
    """One execution of an account; `fee` (positive is paid) and `cash` are exact money."""

    received_ns: int
    venue_ns: int
    account: str
    client_id: str | None
    venue_id: str | None
    execution_id: str
    kind: str
    side: int
    price: int
    size: int
    fee: Decimal
    fee_asset: str
    cash: Decimal
    is_maker: bool
    leg: str


Row = BookRow | TradeRow | TickerRow | FundingRow | LiquidationRow | CandleRow | OrderRow | FillRow

_INT, _SMALL, _TEXT, _FLAG = pa.int64(), pa.int8(), pa.string(), pa.bool_()
_LEVELS = pa.list_(pa.field("element", pa.int64(), nullable=False))
_MONEY = pa.decimal128(38, 18)

_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("kind", "side"), _SMALL),
    **dict.fromkeys(("bid_prices", "bid_sizes", "ask_prices", "ask_sizes"), _LEVELS),
    **dict.fromkeys(("fee", "cash"), _MONEY),
    "depth": pa.int32(),
}
_TEXTS = frozenset(
    "reason trade_id account client_id venue_id parent_id order_type state leg execution_id "
    "fee_asset".split()
)
_NULLABLE = frozenset({"client_id", "venue_id", "parent_id", "price", "trigger_price"})
_ROWS: dict[Table, type[tuple[object, ...]]] = {
    Table.BOOK: BookRow,
    Table.TRADES: TradeRow,
    Table.TICKERS: TickerRow,
    Table.FUNDING: FundingRow,
    Table.LIQUIDATIONS: LiquidationRow,
    Table.CANDLES: CandleRow,
    Table.ORDERS: OrderRow,
    Table.FILLS: FillRow,
}


def _type_of(table: Table, name: str) -> pa.DataType:
    if name == "kind" and table in (Table.TICKERS, Table.FILLS):
        return _TEXT
    if name.startswith("is_"):
        return _FLAG
    return _TEXT if name in _TEXTS else _TYPES.get(name, _INT)


def _fields(table: Table) -> list[pa.Field]:
    names: tuple[str, ...] = _ROWS[table]._fields  # type: ignore[attr-defined]
    own = [
        pa.field(
            name,
            _type_of(table, name),
            nullable=table in (Table.ORDERS, Table.FILLS) and name in _NULLABLE,
        )
        for name in names
    ]
    decimals = [pa.field(f"{what}_decimals", _SMALL, nullable=False) for what in ("price", "size")]
    return [pa.field("ordinal", _INT, nullable=False), *own, *decimals]


_FIELDS = {table: _fields(table) for table in Table}


def schema_of(table: Table, *, price_decimals: int = 0, size_decimals: int = 0) -> pa.Schema:
    """Return the Arrow schema of a table's files; the metadata tells format and decimals."""
    return pa.schema(
        _FIELDS[table],
        metadata={
            "tickwright.format": str(FORMAT),
            "tickwright.table": table.value,
            "tickwright.price_decimals": str(price_decimals),
            "tickwright.size_decimals": str(size_decimals),
        },
    )
