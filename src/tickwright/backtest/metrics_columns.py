"""Owns a run's fills and orders as columns; refuses to judge them.

A run may leave a million of them: whatever is counted later is counted on arrays. Money becomes
float64 of the equity asset here (statistics are floats; exact sums come from the records), and NaN
where there is no rate: a fee in a third asset has none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickwright.backtest.record import FillRecord, OrderRecord, RunRecord
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.orders import ExecutionKind
from tickwright.core.units import MONEY_ONE

__all__ = [
    "DAY_NS",
    "HOUR_NS",
    "SECOND_NS",
    "FillColumns",
    "OrderColumns",
    "RunColumns",
    "Terms",
    "make_columns",
    "totals",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Numbers = Floats | Ints

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS

_SAME, _BY_PRICE, _UNKNOWN = 0, 1, 2
_MOVING = frozenset(kind.value for kind in ExecutionKind if kind.moves_position)
_FUNDING = frozenset({ExecutionKind.FUNDING.value, ExecutionKind.SETTLE.value})


@dataclass(frozen=True, slots=True)
class Terms:
    """How prices and sizes become money of the equity asset; arrays by instrument code."""

    names: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    price_scale: Floats
    """Quote asset per price unit."""
    size_scale: Floats
    """Base asset (quote asset for inverse) per size unit, multiplier included."""
    is_inverse: Flags
    rate: npt.NDArray[np.int8]

    def price(self, code: Ints, price_units: Numbers) -> Floats:
        """Return prices in quote asset."""
        return price_units * self.price_scale[code]

    def notional(self, code: Ints, size: Numbers, price: Numbers) -> Floats:
        """Return unsigned notionals in the equity asset; NaN without a rate."""
        quote = self.price(code, price)
        quantity = np.abs(size) * self.size_scale[code]
        with np.errstate(divide="ignore", invalid="ignore"):
            settled: Floats = np.where(self.is_inverse[code], quantity / quote, quantity * quote)
        return settled * self.to_equity(code, quote)

    def result(self, code: Ints, size: Numbers, entry: Numbers, leave: Numbers) -> Floats:
        """Return the profit of signed sizes between two prices, in the equity asset."""
        entry_price, leave_price = self.price(code, entry), self.price(code, leave)
        quantity = size * self.size_scale[code]
        # The difference of whole numbers is exact; that of their products with a scale is not.
        with np.errstate(divide="ignore", invalid="ignore"):
            linear = quantity * (leave - entry) * self.price_scale[code]
            inverse = quantity * (leave_price - entry_price) / (entry_price * leave_price)
        settled: Floats = np.where(self.is_inverse[code], inverse, linear)
        return settled * self.to_equity(code, leave_price)

    def to_equity(self, code: Ints, price: Floats) -> Floats:
        """Return what one of the settle asset is worth in the equity asset, at these prices."""
        rate = self.rate[code]
        known = np.where(rate == _BY_PRICE, price, 1.0)
        return np.where(rate == _UNKNOWN, np.nan, known)


@dataclass(frozen=True, slots=True)
class FillColumns:
    """The ledger's rows in the order of venue time. A code is an index into the names beside it."""

    time_ns: Ints
    known_ns: Ints
    strategy: Ints
    instrument: Ints
    leg: Ints
    order: Ints
    """Index of its order; -1 for what the venue did by itself."""
    side: Ints
    price: Ints
    size: Ints
    """0 for a row that moves no position."""
    is_trade: Flags
    """A match of an order; liquidations, deliveries and payments are not."""
    is_maker: Flags
    fee: Floats
    """Equity asset; NaN when its asset has no rate."""
    funding: Floats
    """Equity asset, positive when received."""
    mid: Floats
    """The venue's mid just before it, in price units; NaN without one."""
    notional: Floats
    cause: Ints
    strategies: tuple[str, ...]
    legs: tuple[str, ...]
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderColumns:
    """The orders in the order of the record. A time of 0: that never happened."""

    strategy: Ints
    instrument: Ints
    side: Ints
    price: Floats
    """Its limit, else the mid when it was decided, in price units; NaN without either."""
    size: Ints
    filled: Ints
    intended_ns: Ints
    arrived_ns: Ints
    rested_ns: Ints
    cancel_sent_ns: Ints
    ended_ns: Ints
    known_ns: Ints
    ahead: Ints
    mid: Floats
    """The local mid when it was decided, in price units; NaN without one."""
    is_filled: Flags
    """Filled whole."""
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunColumns:
    """A run's columns and what turns them into money."""

    terms: Terms
    fills: FillColumns
    orders: OrderColumns


def totals(of: Ints, values: Floats | Ints | Flags, count: int) -> Floats:
    """Sum values by the group each belongs to, NaN as nothing; shape (count,)."""
    weights = np.nan_to_num(values.astype(np.float64))
    return np.bincount(of, weights=weights, minlength=count).astype(np.float64, copy=False)


def make_columns(record: RunRecord) -> RunColumns:
    """Take a run's fills and orders apart into columns; the record stays as it is.

    Raises:
        ValueError: a fill or order is of an instrument that the record doesn't hold.
    """
    terms = _terms(record)
    codes = {name: code for code, name in enumerate(terms.names)}
    known = {row.instrument_id for row in record.fills}
    known |= {row.instrument_id for row in record.orders}
    if strange := sorted(known - set(codes)):
        raise ValueError(f"no instrument {strange[0]!r} in the record of {record.name!r}")
    fills = record.fills
    if any(after.venue_ns < before.venue_ns for before, after in _pairs(fills)):
        fills = sorted(fills, key=lambda row: row.venue_ns)
    order_of = {order.client_id: index for index, order in enumerate(record.orders)}
    return RunColumns(
        terms=terms,
        fills=_fill_columns(fills, terms, codes, order_of, record.equity_asset),
        orders=_order_columns(record.orders, codes),
    )


def _pairs(fills: Sequence[FillRecord]) -> Iterable[tuple[FillRecord, FillRecord]]:
    following = iter(fills)
    next(following, None)
    return zip(fills, following, strict=False)


def _terms(record: RunRecord) -> Terms:
    names = tuple(record.instruments)
    held = tuple(record.instruments[name] for name in names)
    return Terms(
        names=names,
        instruments=held,
        price_scale=np.array([10.0**-one.price_decimals for one in held], np.float64),
        size_scale=np.array(
            [float(one.multiplier) * 10.0**-one.size_decimals for one in held], np.float64
        ),
        is_inverse=np.array([one.payoff is Payoff.INVERSE for one in held], np.bool_),
        rate=np.array([_rate(one.settle_asset, one, record.equity_asset) for one in held], np.int8),
    )


def _rate(asset: str, instrument: Instrument, equity_asset: str) -> int:
    """Say how an asset becomes the equity asset by this instrument's price."""
    if asset == equity_asset:
        return _SAME
    if asset == instrument.base_asset and instrument.quote_asset == equity_asset:
        return _BY_PRICE
    return _UNKNOWN


def _fill_columns(
    rows: Sequence[FillRecord],
    terms: Terms,
    codes: Mapping[str, int],
    order_of: Mapping[str, int],
    equity_asset: str,
) -> FillColumns:
    count = len(rows)
    strategy, strategies = _coded((row.strategy_id for row in rows), count)
    leg, legs = _coded((row.leg for row in rows), count)
    cause, causes = _coded((row.cause for row in rows), count)
    asset, assets = _coded((row.fee_asset for row in rows), count)
    instrument = _ints((codes[row.instrument_id] for row in rows), count)
    kind, kinds = _coded((row.kind for row in rows), count)
    is_moving = np.array([name in _MOVING for name in kinds], np.bool_)[kind]
    is_funding = np.array([name in _FUNDING for name in kinds], np.bool_)[kind]
    price = _ints((row.price_units for row in rows), count)
    size = np.where(is_moving, _ints((row.size_units for row in rows), count), 0)
    # Ledger money exceeds int64, so it goes to floats at once.
    fee = _floats((row.fee for row in rows), count) / MONEY_ONE
    cash = _floats((row.cash for row in rows), count) / MONEY_ONE
    quote = terms.price(instrument, price)
    rates = np.array(
        [[_rate(name, one, equity_asset) for one in terms.instruments] for name in assets], np.int8
    ).reshape(len(assets), len(terms.names))
    rate = rates[asset, instrument] if count else np.empty(0, np.int8)
    fee = np.where(rate == _SAME, fee, np.where(rate == _BY_PRICE, fee * quote, np.nan))
    # What costs nothing needs no rate.
    fee = np.where(np.isnan(fee) & _flags((row.fee == 0 for row in rows), count), 0.0, fee)
    paid = cash * terms.to_equity(instrument, quote)
    return FillColumns(
        time_ns=_ints((row.venue_ns for row in rows), count),
        known_ns=_ints((row.known_ns for row in rows), count),
        strategy=strategy,
        instrument=instrument,
        leg=leg,
        order=_ints((order_of.get(row.client_id, -1) for row in rows), count),
        side=_ints((row.side for row in rows), count),
        price=price,
        size=size,
        is_trade=np.array([name == ExecutionKind.TRADE.value for name in kinds], np.bool_)[kind],
        is_maker=_flags((row.is_maker for row in rows), count),
        fee=fee,
        funding=np.where(is_funding, paid, 0.0),
        mid=_floats((_half(row.mid_twice) for row in rows), count),
        notional=np.where(size > 0, terms.notional(instrument, size, price), 0.0),
        cause=cause,
        strategies=strategies,
        legs=legs,
        causes=causes,
    )


def _order_columns(rows: Sequence[OrderRecord], codes: Mapping[str, int]) -> OrderColumns:
    count = len(rows)

    def column(value: Callable[[OrderRecord], int]) -> Ints:
        return _ints((value(row) for row in rows), count)

    strategy, strategies = _coded((row.strategy_id for row in rows), count)
    mid = _floats((_half(row.intended_mid_twice) for row in rows), count)
    limit = _floats((np.nan if row.price_units is None else row.price_units for row in rows), count)
    return OrderColumns(
        strategy=strategy,
        instrument=column(lambda row: codes[row.instrument_id]),
        side=column(lambda row: row.side),
        price=np.where(np.isnan(limit), mid, limit),
        size=column(lambda row: row.size_units),
        filled=column(lambda row: row.filled_units),
        intended_ns=column(lambda row: row.intended_ns),
        arrived_ns=column(lambda row: row.arrived_ns),
        rested_ns=column(lambda row: row.rested_ns),
        cancel_sent_ns=column(lambda row: row.cancel_sent_ns),
        ended_ns=column(lambda row: row.ended_ns),
        known_ns=column(lambda row: row.known_ns),
        ahead=column(lambda row: row.ahead_units),
        mid=mid,
        is_filled=_flags((row.state == "filled" for row in rows), count),
        strategies=strategies,
    )


def _half(twice: int | None) -> float:
    return np.nan if twice is None or twice <= 0 else twice / 2


def _coded(words: Iterable[str], count: int) -> tuple[Ints, tuple[str, ...]]:
    """Return a code per word and the words by code."""
    codes: dict[str, int] = {}
    column = _ints((codes.setdefault(word, len(codes)) for word in words), count)
    return column, tuple(codes)


def _ints(values: Iterable[int], count: int) -> Ints:
    return np.fromiter(values, np.int64, count)


def _floats(values: Iterable[float], count: int) -> Floats:
    return np.fromiter(values, np.float64, count)


def _flags(values: Iterable[bool], count: int) -> Flags:
    return np.fromiter(values, np.bool_, count)
