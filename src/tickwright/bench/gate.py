"""Owns the risk gate's own time: one verdict on an intent, and each of its checks alone.

100 instruments of one account, with positions and working orders in half of them. Every intent is
another instrument's, so that no cache of one is measured. `python -m tickwright.bench.gate` prints
one JSON report. Times are of the wall clock, because a percentile needs single calls: other work on
the machine shows in p99 first.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from time import perf_counter_ns
from typing import Any, Final

import msgspec

from tickwright.bench.figures import Spread, percentile
from tickwright.bench.machine import pin
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Session
from tickwright.book.order_book import OrderBook
from tickwright.core.events import BalanceReport
from tickwright.core.identity import AccountId, Category, InstrumentId, Leg, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind, Fill, OrderIntent, Side
from tickwright.core.units import MONEY_ONE
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.checks import FINAL_TESTS, OPENING_ROOMS, OPENING_TESTS
from tickwright.risk.gate import Gate, RiskView
from tickwright.risk.limits import LimitOverrides, RiskGroup, RiskLimits

__all__ = ["ALL_LIMITS", "GateDesk", "main", "measure_gate"]

SYMBOLS: Final = 100
P50_US_MAX: Final = 5.0
P99_US_MAX: Final = 15.0
_ACCOUNT: Final = AccountId("bench", "main")
_STRATEGY: Final = StrategyId("bench")
_PRICE: Final = 6_000_000
_NOW_NS: Final = 20_000 * 86_400_000_000_000 + 36_000_000_000_000
_STEP_NS: Final = 300_000_000
_CHECK_CALLS: Final = 200
_NAMES: Final = tuple(f"C{n:02}USDT" for n in range(SYMBOLS))
_DEFAULT: Final = RiskLimits(orders_per_second_max=10_000, orders_per_minute_max=100_000)

ALL_LIMITS: Final = RiskLimits(
    orders_per_second_max=10_000,
    orders_per_minute_max=100_000,
    order_size_max=Decimal(100),
    position_notional_usdt_max=Decimal(1_000_000),
    total_notional_usdt_max=Decimal(100_000_000),
    net_exposure_percent_max=Decimal(60),
    positions_max=SYMBOLS,
    loss_streak_max=5,
    order_to_fill_ratio_max=Decimal(1_000),
    depth_notional_usdt_min=Decimal(1_000),
    deny_unknown_clock=True,
    trading_hours=("mon-sun 00:00-24:00",),
    funding_pause_before_s=60,
    funding_pause_after_s=60,
    symbols_allowed=_NAMES,
    symbols_denied=("NONEUSDT",),
    groups=tuple(
        RiskGroup(
            name=f"group{n}",
            symbols=_NAMES[10 * n : 10 * n + 10],
            exposure_percent_max=Decimal(50),
            direction="net" if n % 2 else "gross",
        )
        for n in range(10)
    ),
    strategies={"bench": LimitOverrides(loss_streak_max=4, position_percent_max=Decimal(15))},
)
"""Every limit there is, switched on."""


class GateDesk:
    """One gate with its books and account, and an intent for each instrument."""

    def __init__(self, limits: RiskLimits) -> None:
        self.gate = Gate(limits)
        self.now_ns = _NOW_NS
        portfolio = Portfolio()
        self.books: list[OrderBook] = []
        self.instruments = [_instrument(name) for name in _NAMES]
        portfolio.apply_balance(
            BalanceReport(
                account_id=_ACCOUNT,
                asset="USDT",
                wallet_balance=1_000_000 * MONEY_ONE,
                locked=0,
                venue_ns=_NOW_NS,
                received_ns=_NOW_NS,
            )
        )
        for number, instrument in enumerate(self.instruments):
            portfolio.set_instrument(instrument)
            self.books.append(_book(instrument))
            portfolio.set_mark(instrument.id, _PRICE, now_ns=_NOW_NS, mid_twice_units=2 * _PRICE)
            portfolio.set_funding_time(instrument.id, _NOW_NS + 3_600_000_000_000)
            portfolio.holding(_ACCOUNT, instrument.id)
            if number % 2:
                portfolio.apply_fill(_fill(instrument, number), _STRATEGY)
                portfolio.set_working(
                    _ACCOUNT, instrument.id, buy_units=3, sell_units=2, open_orders=2
                )
        portfolio.start_day(_NOW_NS)
        self.view = RiskView(
            portfolio, ready_accounts={_ACCOUNT}, clock_skew_ns={_ACCOUNT.venue: 1_000_000}
        )
        self.gate.note_fill(_ACCOUNT, _NOW_NS)

    def intent(self, number: int, **changes: Any) -> OrderIntent:
        """Return a small order to buy one instrument at its touch."""
        fields: dict[str, Any] = {"side": Side.BUY, "size_units": 5, "price_units": _PRICE + 10}
        fields |= changes
        return OrderIntent(instrument_id=self.instruments[number].id, **fields)

    def step(self, number: int) -> None:
        """Let time pass, prove the book, count a cancel and a fill now and then."""
        self.now_ns += _STEP_NS
        self.books[number].prove(self.now_ns)
        if number % 10 == 0:
            self.gate.note_cancel(_ACCOUNT, self.now_ns)
            self.gate.note_fill(_ACCOUNT, self.now_ns)
        # A mark that was just told: its age is the feed's matter and not this measure's.
        market = self.view.portfolio.holding(_ACCOUNT, self.instruments[number].id).market
        market.mark_ns = self.now_ns
        market.funding_next_ns = self.now_ns + 3_600_000_000_000

    def ask(self, number: int, intent: OrderIntent) -> object:
        """Judge an intent."""
        return self.gate.check(
            intent,
            strategy_id=_STRATEGY,
            account_id=_ACCOUNT,
            event_id=1,
            now_ns=self.now_ns,
            book=self.books[number],
            instrument=self.instruments[number],
            view=self.view,
        )

    def explain(self, number: int, intent: OrderIntent) -> None:
        """Ask every check by itself."""
        self.gate.explain(
            intent,
            strategy_id=_STRATEGY,
            account_id=_ACCOUNT,
            now_ns=self.now_ns,
            book=self.books[number],
            instrument=self.instruments[number],
            view=self.view,
        )


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        id=InstrumentId("bench", Category.LINEAR, symbol),
        base_asset=symbol[:-4],
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=2,
        size_decimals=3,
        tick_units=10,
        lot_units=1,
        size_min_units=1,
        size_max_units=1_000_000,
        market_size_max_units=500_000,
        notional_min=Decimal(5),
        leverage_max=Decimal(100),
        funding_interval_minutes=480,
    )


def _book(instrument: Instrument) -> OrderBook:
    book = OrderBook(instrument)
    bids = [(_PRICE - 10 * (n + 1), 1_000) for n in range(50)]
    asks = [(_PRICE + 10 * (n + 1), 1_000) for n in range(50)]
    book.apply_snapshot(bids, asks, update_id=1, received_ns=_NOW_NS)
    return book


def _fill(instrument: Instrument, number: int) -> Fill:
    return Fill(
        account_id=_ACCOUNT,
        instrument_id=instrument.id,
        execution_id=f"fill-{number}",
        kind=ExecutionKind.TRADE,
        side=Side.BUY,
        price_units=_PRICE,
        size_units=20,
        fee=0,
        fee_asset="USDT",
        is_maker=False,
        venue_ns=_NOW_NS,
        received_ns=_NOW_NS,
        leg=Leg.NET,
    )


# what is measured ---------------------------------------------------------------------------------

_MIXES: Final[dict[str, tuple[RiskLimits, dict[str, Any]]]] = {
    "default limits, approved": (_DEFAULT, {}),
    "every limit on, approved": (ALL_LIMITS, {}),
    "every limit on, with a bracket": (
        ALL_LIMITS,
        {"stop_loss_price_units": _PRICE - 5_000, "take_profit_price_units": _PRICE + 5_000},
    ),
    "every limit on, groups added up": (
        # A group whose bound is below the account's gross exposure: no shortcut says yes.
        msgspec.structs.replace(
            ALL_LIMITS,
            groups=tuple(
                msgspec.structs.replace(group, exposure_percent_max=Decimal(5))
                for group in ALL_LIMITS.groups
            ),
        ),
        {},
    ),
    "every limit on, reduced": (
        msgspec.structs.replace(ALL_LIMITS, order_size_max=Decimal("0.003")),
        {},
    ),
    "every limit on, refused": (ALL_LIMITS, {"price_units": 2 * _PRICE}),
    "every limit on, closing": (
        ALL_LIMITS,
        {"side": Side.SELL, "reduce_only": True, "price_units": _PRICE - 10},
    ),
}


def _verdicts(limits: RiskLimits, changes: dict[str, Any], count: int, seed: int) -> list[int]:
    """Return the nanoseconds of each verdict."""
    desk = GateDesk(limits)
    # A closing order needs something to close: every second instrument holds a position.
    numbers = [n for n in range(SYMBOLS) if n % 2 or "reduce_only" not in changes]
    intents = {number: desk.intent(number, **changes) for number in numbers}
    for number in numbers:
        # The first order of a strategy in an instrument puts its limits together, once.
        desk.step(number)
        desk.ask(number, intents[number])
    random = Random(seed)
    spent: list[int] = []
    gc.collect()
    gc.disable()
    for _ in range(count):
        number = random.choice(numbers)
        intent = intents[number]
        desk.step(number)
        started = perf_counter_ns()
        desk.ask(number, intent)
        spent.append(perf_counter_ns() - started)
    gc.enable()
    return sorted(spent)


def _checks() -> dict[str, float]:
    """Return the nanoseconds of each check alone, over a question of every limit."""
    desk = GateDesk(ALL_LIMITS)
    desk.step(1)
    desk.explain(1, desk.intent(1))
    question = desk.gate.question
    asked: dict[str, Callable[[Any], object]] = {}
    asked |= {test.reason.value: test.passes for test in OPENING_TESTS}
    asked |= {room.reason.value: room.units for room in OPENING_ROOMS}
    asked |= {test.reason.value: test.passes for test in FINAL_TESTS}
    figures: dict[str, float] = {}
    for name, ask in asked.items():
        times = []
        for _ in range(_CHECK_CALLS):
            started = perf_counter_ns()
            for _ in range(10):
                ask(question)
            times.append((perf_counter_ns() - started) / 10)
        figures[name] = sorted(times)[len(times) // 2]
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every mix in alternating rounds and print one JSON report."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.gate")
    parser.add_argument("--intents", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    report: dict[str, Any] = {"mixes": {name: {} for name in _MIXES}, "checks": {}}
    for number in range(options.rounds):
        for name, (limits, changes) in _MIXES.items():
            spent = _verdicts(limits, changes, options.intents, number)
            for key, fraction in (("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)):
                figures = report["mixes"][name].setdefault(key, [])
                figures.append(percentile(spent, fraction) / 1e3)
        for name, spent_ns in _checks().items():
            report["checks"].setdefault(name, []).append(spent_ns)
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def measure_gate(session: Session) -> list[Section]:
    """Measure the verdicts and each check."""
    rounds, intents = (2, 5_000) if session.quick else (9, 50_000)
    session.say(f"gate: {rounds} rounds of {intents:,} intents a mix")
    report = session.call(
        "tickwright.bench.gate", ["--intents", str(intents), "--rounds", str(rounds)]
    )
    verdicts = Section(
        "gate",
        f"The risk gate, {SYMBOLS} symbols, from Python (wall clock, median, min-max)",
        [
            Column("p50_us", "p50, us", 2),
            Column("p99_us", "p99, us", 2),
            Column("p999_us", "p99.9, us", 2),
        ],
    )
    for name, figures in report["mixes"].items():
        spreads = {key: Spread.of(values) for key, values in figures.items()}
        verdicts.add(name, **spreads)
        if name == "every limit on, approved":
            verdicts.aim(
                f"{name}: p50, at most {P50_US_MAX:g} us",
                spreads["p50_us"].median,
                most=P50_US_MAX,
            )
            verdicts.aim(
                f"{name}: p99, at most {P99_US_MAX:g} us",
                spreads["p99_us"].median,
                most=P99_US_MAX,
            )
    verdicts.notes.append(
        "Timed: one call of the gate, its question, every check and the memory of the approval; "
        "every intent is another symbol's. The first order of a strategy in a symbol puts its "
        "limits together and comes before."
    )
    checks = Section(
        "gate_checks",
        "Each check alone, as an opening order with every limit on asks it",
        [Column("ns", "ns a check")],
    )
    for name, values in report["checks"].items():
        checks.add(name, ns=Spread.of(values))
    checks.notes.append(
        "A plain order does not ask them one by one: `risk.plain_order` answers for all of them."
    )
    return [verdicts, checks]


if __name__ == "__main__":
    sys.exit(main())
