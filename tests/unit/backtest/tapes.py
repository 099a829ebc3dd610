"""Hand-made tapes and strategies that follow a script: what a rule does is seen in isolation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tickwright.backtest.latency import LatencySpec
from tickwright.backtest.record import FillRecord, OrderRecord, RunRecord
from tickwright.backtest.run import Backtest, BacktestSettings
from tickwright.backtest.synthetic import sample_instrument
from tickwright.backtest.tape import MESSAGE, MessageKind, Tape, TapeWriter
from tickwright.backtest.venue import AccountTerms
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, OrderType, SelfTradeRule, Side, TimeInForce
from tickwright.core.signals import AmendIntent, CancelIntent, Decision
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.execution.config import ExecutionConfig
from tickwright.risk.limits import RiskLimits
from tickwright.strategy.base import Strategy

START_NS = 1_767_225_600_000_000_000
MS = 1_000_000
BTC = sample_instrument()
WIDE = RiskLimits(
    position_percent_max=Decimal(10_000),
    exposure_percent_max=Decimal(10_000),
    order_notional_usdt_max=Decimal(10**12),
    leverage_max=Decimal(100),
    margin_use_percent_max=Decimal(100),
    margin_leverage=Decimal(100),
    daily_loss_percent_max=Decimal(100),
    drawdown_percent_max=Decimal(100),
    price_band_bps_max=Decimal(9_000),
    spread_bps_max=Decimal(9_000),
    depth_notional_usdt_min=Decimal("0.01"),
    open_orders_per_instrument_max=1_000,
    unknown_requests_per_instrument_max=100,
    unknown_requests_max=1_000,
    orders_per_second_max=1_000,
    orders_per_minute_max=10_000,
    deny_conflicting_position=False,
)


class Hand:
    """Collects a tape's messages; times in milliseconds after the start, sizes in units."""

    def __init__(
        self, *, feed_ms: float = 1.0, depth: int = 0, instruments: Sequence[Instrument] = (BTC,)
    ) -> None:
        self.feed_ms = feed_ms
        self.depth = depth
        self.instruments = instruments
        self._rows: list[tuple[int, int, dict[str, int], list[tuple[int, int]]]] = []
        self._update_id = 0
        self.reasons: dict[str, int] = {}

    def _add(
        self, at_ms: float, levels: list[tuple[int, int]], feed_ms: float | None, **fields: int
    ) -> "Hand":
        venue_ns = START_NS + round(at_ms * MS)
        received = venue_ns + round((self.feed_ms if feed_ms is None else feed_ms) * MS)
        self._rows.append((venue_ns, received, fields, levels))
        return self

    def book(
        self,
        at_ms: float,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        *,
        slot: int = 0,
        kind: MessageKind = MessageKind.SNAPSHOT,
        feed_ms: float | None = None,
        skipped: int = 0,
    ) -> "Hand":
        self._update_id += 1 + skipped
        return self._add(
            at_ms,
            bids + asks,
            feed_ms,
            kind=kind,
            slot=slot,
            bids=len(bids),
            asks=len(asks),
            second=self._update_id,
        )

    def delta(
        self,
        at_ms: float,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        **more: Any,
    ) -> "Hand":
        return self.book(at_ms, bids, asks, kind=MessageKind.DELTA, **more)

    def trade(self, at_ms: float, side: Side, price: int, size: int, *, slot: int = 0) -> "Hand":
        flags = 1 if side is Side.SELL else 0
        return self._add(
            at_ms, [], None, kind=MessageKind.TRADE, slot=slot, first=price, second=size,
            flags=flags,
        )  # fmt: skip

    def mark(self, at_ms: float, price: int, *, slot: int = 0) -> "Hand":
        return self._add(at_ms, [], None, kind=MessageKind.MARK, slot=slot, first=price)

    def funding(self, at_ms: float, rate_e9: int, due_ms: float, *, slot: int = 0) -> "Hand":
        due = START_NS + round(due_ms * MS)
        return self._add(
            at_ms, [], None, kind=MessageKind.FUNDING, slot=slot, first=rate_e9, second=due
        )

    def stale(self, at_ms: float, reason: str, *, slot: int = 0) -> "Hand":
        number = self.reasons.setdefault(reason, len(self.reasons))
        return self._add(at_ms, [], None, kind=MessageKind.STALE, slot=slot, second=number)

    def write(self, folder: Path) -> Tape:
        rows = sorted(self._rows, key=lambda row: row[1])
        messages = np.zeros(len(rows), dtype=MESSAGE)
        levels: list[tuple[int, int]] = []
        for place, (_, _, fields, pairs) in enumerate(rows):
            for name, value in fields.items():
                messages[place][name] = value
            if fields["kind"] <= MessageKind.SNAPSHOT:
                messages[place]["first"] = len(levels)
                levels += pairs
        with TapeWriter(
            folder,
            self.instruments,
            depths=[self.depth] * len(self.instruments),
            source="made by hand",
        ) as writer:
            for reason in self.reasons:
                writer.reason(reason)
            writer.append(
                messages,
                np.array([row[0] for row in rows], dtype=np.int64),
                np.array([row[1] for row in rows], dtype=np.int64),
                np.array(levels, dtype=np.int64).reshape(-1, 2),
            )
        return Tape(folder)


class Scripted(Strategy):
    """Answers with what its script says for a time; keeps what it heard."""

    script: ClassVar[dict[float, list[Any]]] = {}
    heard: ClassVar[list[tuple[float, str, Any]]] = []

    def on_start(self) -> Decision:
        for at_ms in self.script:
            self.context.set_timer(str(at_ms), START_NS + round(at_ms * MS))
        return None

    def on_book(self, book: Any) -> Decision:
        self._note("book", (book.best_bid, book.best_ask))
        return None

    def on_book_state(self, event: Any) -> Decision:
        self._note("state", (event.state.name, event.reason))
        return None

    def on_timer(self, name: str) -> Decision:
        answers: list[Any] = []
        for wish in self.script[float(name)]:
            answers += wish(self) if callable(wish) else [wish]
        return answers

    def on_fill(self, fill: Any) -> Decision:
        self._note("fill", (fill.price_units, fill.size_units))
        return None

    def on_order(self, order: Any) -> Decision:
        self._note("order", (order.client_id, order.state.value, order.filled_units))
        return None

    def _note(self, kind: str, what: Any) -> None:
        self.heard.append(((self.context.now_ns - START_NS) / MS, kind, what))


def cancel_all(strategy: Scripted) -> list[Any]:
    """Cancel whatever is live."""
    return [CancelIntent(client_id=one.client_id) for one in strategy.context.orders()]


def amend_all(**terms: Any) -> Any:
    """Amend whatever is live."""

    def wish(strategy: Scripted) -> list[Any]:
        return [AmendIntent(client_id=one.client_id, **terms) for one in strategy.context.orders()]

    return wish


def limit(side: Side, price: int, size: int, **more: Any) -> OrderIntent:
    """A limit order on the sample contract."""
    return OrderIntent(
        instrument_id=more.pop("instrument_id", BTC.id), side=side, price_units=price,
        size_units=size, **more,
    )  # fmt: skip


def ioc(side: Side, price: int, size: int) -> OrderIntent:
    """An order that takes and goes."""
    return limit(side, price, size, time_in_force=TimeInForce.IOC)


def market(side: Side, size: int, **more: Any) -> OrderIntent:
    """A market order."""
    return OrderIntent(
        instrument_id=BTC.id, side=side, size_units=size, order_type=OrderType.MARKET, **more
    )


@dataclass
class Ran:
    """What a scripted run left."""

    record: RunRecord
    heard: list[tuple[float, str, Any]] = field(default_factory=list)

    @property
    def fills(self) -> list[tuple[int, int, int]]:
        """(side, price, size) of the fills in order."""
        return [(f.side, f.price_units, f.size_units) for f in self.rows if f.size_units]

    @property
    def rows(self) -> list[FillRecord]:
        return self.record.fills

    @property
    def orders(self) -> list[OrderRecord]:
        return self.record.orders

    @property
    def position(self) -> int:
        """The last known size in the sample contract."""
        known = self.record.positions.get(str(BTC.id))
        return 0 if known is None else int(known[1][-1])

    def times(self, kind: str) -> list[float]:
        return [at for at, what, _ in self.heard if what == kind]


def run(
    tape: Tape,
    script: Mapping[Any, list[Any]],
    *,
    order_ms: float = 2.0,
    response_ms: float = 3.0,
    money: str = "100000",
    risk: RiskLimits = WIDE,
    fees_ppm: tuple[int, int] = (200, 550),
    seen: Callable[[Backtest], None] | None = None,
    halts: bool = False,
    **more: Any,
) -> Ran:
    """Run a script on a tape."""
    heard: list[tuple[float, str, Any]] = []
    fields = {"script": dict(script), "heard": heard, "wakes_on": more.pop("wakes_on", "message")}
    chosen = type("Chosen", (Scripted,), fields)
    plan = TradingPlan(
        engine=EngineConfig(risk=risk, execution=more.pop("execution", ExecutionConfig())),
        accounts=("sim:main",),
        strategies=(
            StrategyPlan(
                strategy_id="script",
                source="script",
                account="sim:main",
                instruments=tuple(str(one.id) for one in tape.instruments),
            ),
        ),
    )
    terms = AccountTerms(
        balances=(("USDT", Decimal(money)),),
        fees_ppm={Category.LINEAR: fees_ppm, Category.SPOT: (1_000, 1_000)},
        leverage=more.pop("leverage", Decimal(10)),
        self_trade=more.pop("self_trade", SelfTradeRule.NONE),
    )
    settings = BacktestSettings(
        tape=tape.folder,
        plan=plan,
        classes={"script": chosen},
        accounts={"sim:main": terms},
        orders=LatencySpec(ms=order_ms),
        responses=LatencySpec(ms=response_ms),
        **more,
    )
    backtest = Backtest(settings)
    if seen is not None:
        seen(backtest)
    ran = Ran(backtest.run(), heard)
    assert halts or {} == ran.record.halted
    return ran
