"""Makes run records by hand, so that every figure of them is known beforehand."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tickwright.backtest.record import (
    CURVE_DECIMALS,
    BookTime,
    Curve,
    FillRecord,
    OrderRecord,
    RunRecord,
)
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.units import money_from_decimal

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
START = 20_000 * DAY
"""2024-10-04, midnight UTC."""


def instrument(
    symbol: str = "BTCUSDT",
    *,
    payoff: Payoff = Payoff.LINEAR,
    category: Category = Category.LINEAR,
    multiplier: str = "1",
) -> Instrument:
    """Return an instrument of 2 decimals in price and 3 in size."""
    base = symbol.removesuffix("USDT").removesuffix("USD")
    return Instrument(
        id=InstrumentId("box", category, symbol),
        base_asset=base,
        quote_asset="USDT",
        settle_asset=base if payoff is Payoff.INVERSE else "USDT",
        price_decimals=2,
        size_decimals=3,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=10**12,
        market_size_max_units=10**12,
        payoff=payoff,
        multiplier=Decimal(multiplier),
    )


def near(value: Any, *, rel: float | None = None, abs: float | None = None) -> Any:
    """Return what equals numbers up to rounding, also inside of a tuple."""
    return pytest.approx(value, rel=rel, abs=abs)


def money(value: str | float) -> int:
    return money_from_decimal(Decimal(str(value)))


class MadeRun:
    """Gathers a run; times in seconds after its start, prices and sizes in whole assets."""

    def __init__(self, *instruments: Instrument, seconds: float = 60.0, equity: str = "1000"):
        held = instruments or (instrument(),)
        self.instruments = {str(one.id): one for one in held}
        self.default = str(held[0].id)
        self.seconds = seconds
        self.equity = equity
        self.orders: list[OrderRecord] = []
        self.fills: list[FillRecord] = []
        self.samples: list[tuple[float, float, float]] = []
        self.mids: dict[str, list[tuple[float, float | None]]] = {}
        self.positions: dict[str, list[tuple[float, float]]] = {}
        self.changes: dict[str, object] = {}

    def order(
        self,
        name: str,
        side: int,
        size: float,
        price: float | None = None,
        *,
        at: float = 0.0,
        strategy: str = "lean",
        of: str | None = None,
        mid: float | None = None,
        arrived: float | None = None,
        rested: float | None = None,
        ahead: float = 0.0,
        cancel: float | None = None,
        ended: float | None = None,
        known: float | None = None,
        state: str = "filled",
        filled: float | None = None,
        reason: str = "",
    ) -> "MadeRun":
        whole = size if state == "filled" else 0.0
        self.orders.append(
            OrderRecord(
                client_id=name,
                strategy_id=strategy,
                instrument_id=of or self.default,
                side=side,
                order_type="market" if price is None else "limit",
                time_in_force="gtc",
                is_post_only=False,
                is_reduce_only=False,
                price_units=None if price is None else round(price * 100),
                size_units=round(size * 1000),
                event_id=len(self.orders) + 1,
                intended_ns=self._ns(at),
                intended_mid_twice=None if mid is None else round(mid * 200),
                arrived_ns=self._maybe(at if arrived is None else arrived),
                rested_ns=self._maybe(rested),
                ahead_units=round(ahead * 1000),
                cancel_sent_ns=self._maybe(cancel),
                ended_ns=self._maybe(ended),
                known_ns=self._maybe(known),
                state=state,
                filled_units=round((whole if filled is None else filled) * 1000),
                reason=reason,
            )
        )
        return self

    def fill(
        self,
        at: float,
        side: int,
        size: float,
        price: float,
        *,
        order: str = "",
        fee: str = "0",
        fee_asset: str = "USDT",
        maker: bool = False,
        mid: float | None = None,
        strategy: str = "lean",
        of: str | None = None,
        kind: str = "trade",
        leg: str = "net",
        known: float = 0.001,
        cause: str = "taker",
    ) -> "MadeRun":
        self.fills.append(
            FillRecord(
                execution_id=f"e{len(self.fills)}",
                client_id=order,
                strategy_id=strategy,
                instrument_id=of or self.default,
                kind=kind,
                side=side,
                price_units=round(price * 100),
                size_units=round(size * 1000),
                fee=money(fee),
                fee_asset=fee_asset,
                cash=0,
                is_maker=maker,
                venue_ns=self._ns(at),
                known_ns=self._ns(at + known),
                mid_twice=None if mid is None else round(mid * 200),
                cause=cause,
                leg=leg,
            )
        )
        return self

    def funding(self, at: float, cash: str, *, strategy: str = "lean") -> "MadeRun":
        self.fill(at, 1, 0, 0, kind="funding", strategy=strategy, cause="")
        self.fills[-1].cash = money(cash)
        return self

    def sample(self, at: float, equity: float, exposure: float = 0.0) -> "MadeRun":
        self.samples.append((at, equity, exposure))
        return self

    def mid(self, at: float, price: float | None, *, of: str | None = None) -> "MadeRun":
        self.mids.setdefault(of or self.default, []).append((at, price))
        return self

    def position(self, at: float, size: float, *, of: str | None = None) -> "MadeRun":
        self.positions.setdefault(of or self.default, []).append((at, size))
        return self

    def with_(self, **changes: object) -> "MadeRun":
        self.changes |= changes
        return self

    def record(self) -> RunRecord:
        scale = 10**CURVE_DECIMALS

        def column(values: list[float], factor: int = 1) -> np.ndarray:
            return np.array([round(value * factor) for value in values], np.int64)

        count = len(self.samples)
        held: dict[str, object] = {
            "name": "made",
            "started_ns": START,
            "ended_ns": self._ns(self.seconds),
            "seed": 7,
            "parameters": {"lean": {"edge_bps": Decimal("1.5"), "symbols": ["BTCUSDT"]}},
            "plan_digest": "p" * 16,
            "digest": "d" * 16,
            "instruments": self.instruments,
            "equity_asset": "USDT",
            "starting_equity": money(self.equity),
            "orders": self.orders,
            "fills": self.fills,
            "curve": Curve(
                time_ns=np.array([self._ns(row[0]) for row in self.samples], np.int64),
                equity=column([row[1] for row in self.samples], scale),
                cash=np.zeros(count, np.int64),
                fees=np.zeros(count, np.int64),
                funding=np.zeros(count, np.int64),
                exposure=column([row[2] for row in self.samples], scale),
            ),
            "mids": {
                name: (
                    np.array([self._ns(row[0]) for row in rows], np.int64),
                    column([row[1] or 0 for row in rows], 200),
                )
                for name, rows in self.mids.items()
            },
            "positions": {
                name: (
                    np.array([self._ns(row[0]) for row in rows], np.int64),
                    column([row[1] for row in rows], 1000),
                )
                for name, rows in self.positions.items()
            },
            "refusals": {},
            "venue_refusals": {},
            "halted": {},
            "books": {
                self.default: BookTime(messages=100, synced_ns=self._ns(self.seconds) - START)
            },
            "limits_hit": {},
            "latencies": {},
            "wall_s": 2.0,
            "level_rows": 1_000_000,
            "messages": 100_000,
            "wake_ups": 5_000,
        }
        return RunRecord(**{**held, **self.changes})  # type: ignore[arg-type]

    def _ns(self, seconds: float) -> int:
        return START + round(seconds * SECOND)

    def _maybe(self, seconds: float | None) -> int:
        return 0 if seconds is None else self._ns(seconds)
