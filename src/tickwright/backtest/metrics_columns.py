"""Owns a run's fills and orders as columns; refuses to judge them.

A run may leave a million of them: whatever is counted later is counted on arrays. Money becomes
float64 of the equity asset here (statistics are floats; exact sums come from the records), and NaN
where there is no rate: a fee in a third asset has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, repeat
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from tickwright.backtest.record import FillRecord, OrderRecord, RunRecord
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.orders import ExecutionKind, OrderState
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
_TRADE, _FILLED = ExecutionKind.TRADE.value, OrderState.FILLED.value
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
    impact: Ints
    """What our own taking had added to its price, against us, in price units."""
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
    known = set(map(attrgetter("instrument_id"), record.fills))
    known |= set(map(attrgetter("instrument_id"), record.orders))
    if strange := sorted(known - set(codes)):
        raise ValueError(f"no instrument {strange[0]!r} in the record of {record.name!r}")
    fills: Sequence[FillRecord] = record.fills
    times = np.fromiter(map(attrgetter("venue_ns"), fills), np.int64, len(fills))
    if (np.diff(times) < 0).any():
        fills = sorted(fills, key=attrgetter("venue_ns"))
    order_of = dict(zip(map(attrgetter("client_id"), record.orders), count(), strict=False))
    return RunColumns(
        terms=terms,
        fills=_fill_columns(fills, terms, codes, order_of, record.equity_asset),
        orders=_order_columns(record.orders, codes),
    )


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
    (strategy, leg, cause, asset, kind, name), words = _coded(
        rows, ("strategy_id", "leg", "cause", "fee_asset", "kind", "instrument_id")
    )
    strategies, legs, causes, assets, kinds, names = words
    time_ns, known_ns, side, price, size, is_maker, impact = _ints(
        rows,
        ("venue_ns", "known_ns", "side", "price_units", "size_units", "is_maker", "impact_units"),
    )
    instrument = _picked([codes[one] for one in names], name)
    is_funding = _picked([one in _FUNDING for one in kinds], kind).astype(np.bool_)
    size = size * _picked([one in _MOVING for one in kinds], kind)
    # Ledger money exceeds int64, so it goes to floats at once.
    fee = _floats(rows, "fee") / MONEY_ONE
    quote = terms.price(instrument, price)
    rates = np.array(
        [[_rate(one, held, equity_asset) for held in terms.instruments] for one in assets], np.int64
    ).reshape(len(assets), len(terms.names))
    rate = rates[asset, instrument] if rows else asset
    # What costs nothing needs no rate.
    rate = np.where(fee == 0, _SAME, rate)
    fee = np.where(rate == _SAME, fee, np.where(rate == _BY_PRICE, fee * quote, np.nan))
    paid = _floats(rows, "cash") / MONEY_ONE * terms.to_equity(instrument, quote)
    order = map(order_of.get, map(attrgetter("client_id"), rows), repeat(-1))
    return FillColumns(
        time_ns=time_ns,
        known_ns=known_ns,
        strategy=strategy,
        instrument=instrument,
        leg=leg,
        order=np.fromiter(order, np.int64, len(rows)),
        side=side,
        price=price,
        size=size,
        is_trade=_picked([one == _TRADE for one in kinds], kind).astype(np.bool_),
        is_maker=is_maker.astype(np.bool_),
        fee=fee,
        funding=np.where(is_funding, paid, 0.0),
        mid=_mids(rows, "mid_twice"),
        impact=impact,
        notional=np.where(size > 0, terms.notional(instrument, size, price), 0.0),
        cause=cause,
        strategies=strategies,
        legs=legs,
        causes=causes,
    )


def _order_columns(rows: Sequence[OrderRecord], codes: Mapping[str, int]) -> OrderColumns:
    (strategy, state, name), words = _coded(rows, ("strategy_id", "state", "instrument_id"))
    strategies, states, names = words
    mid, limit = _mids(rows, "intended_mid_twice"), _floats(rows, "price_units")
    side, size, filled, ahead = _ints(rows, ("side", "size_units", "filled_units", "ahead_units"))
    intended_ns, arrived_ns, rested_ns, cancel_sent_ns, ended_ns, known_ns = _ints(
        rows,
        ("intended_ns", "arrived_ns", "rested_ns", "cancel_sent_ns", "ended_ns", "known_ns"),
    )
    return OrderColumns(
        strategy=strategy,
        instrument=_picked([codes[one] for one in names], name),
        side=side,
        price=np.where(np.isnan(limit), mid, limit),
        size=size,
        filled=filled,
        intended_ns=intended_ns,
        arrived_ns=arrived_ns,
        rested_ns=rested_ns,
        cancel_sent_ns=cancel_sent_ns,
        ended_ns=ended_ns,
        known_ns=known_ns,
        ahead=ahead,
        mid=mid,
        is_filled=_picked([one == _FILLED for one in states], state).astype(np.bool_),
        strategies=strategies,
    )


# A million rows are read by C loops, and each row as seldom as may be: finding it in memory is what
# costs.
_Rows = Sequence[FillRecord] | Sequence[OrderRecord]


def _coded(
    rows: _Rows, names: tuple[str, ...]
) -> tuple[tuple[Ints, ...], tuple[tuple[str, ...], ...]]:
    """Return columns of codes and, for each, its words by code."""
    get = attrgetter(*names)
    kinds = {key: code for code, key in enumerate(dict.fromkeys(map(get, rows)))}
    kind = np.fromiter(map(kinds.__getitem__, map(get, rows)), np.int64, len(rows))
    columns, words = [], []
    for place in range(len(names)):
        codes: dict[str, int] = {}
        columns.append(_picked([codes.setdefault(key[place], len(codes)) for key in kinds], kind))
        words.append(tuple(codes))
    return tuple(columns), tuple(words)


def _picked(values: Sequence[int], at: Ints) -> Ints:
    return np.array(values, np.int64)[at] if len(at) else at


def _ints(rows: _Rows, names: tuple[str, ...]) -> tuple[Ints, ...]:
    """Return columns of whole numbers and flags, each contiguous."""
    values = chain.from_iterable(map(attrgetter(*names), rows))
    table = np.fromiter(values, np.int64, len(rows) * len(names)).reshape(len(rows), len(names))
    return tuple(np.ascontiguousarray(column) for column in table.T)


def _floats(rows: _Rows, name: str) -> Floats:
    """Return a column of numbers; None becomes NaN."""
    return np.array(list(map(attrgetter(name), rows)), dtype=np.float64)


def _mids(rows: _Rows, name: str) -> Floats:
    """Return mids in price units of a column of twice the mid; NaN without one."""
    twice = _floats(rows, name)
    return np.where(twice > 0, twice, np.nan) / 2
